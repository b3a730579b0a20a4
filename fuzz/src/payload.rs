//! The payload decoder, into types that do their worst.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wirestream::{Limits, Value, fuzz};

use crate::input::Input;

/// A list, as long as the bytes like.
#[derive(Debug, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

/// Wide and deep from nothing but lengths.
#[derive(Debug, Serialize, Deserialize)]
struct Nest(Vec<Nest>);

/// Large from a single byte.
#[derive(Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "that is the point")]
enum Lopsided {
    Small,
    Large([[u64; 8]; 8]),
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(u32),
    Line(i32, i64),
    Named { name: String, of: Option<Box<Shape>>, seen: bool },
}

type Plain = (
    (bool, char, u8, i8, u16, i16, u32, i32, u64, i64),
    (u128, i128, f32, f64, (), Option<Option<u8>>),
);
type Mixed = (BTreeMap<String, Vec<Shape>>, Result<[u8; 3], String>, Option<Value>);

/// The first byte chooses the type that the others are decoded into.
///
/// What decodes is within the limits (R-DATA-4), has nothing behind it (R-DATA-1), and is the same
/// once it is encoded again. Types that are harmless are read as postcard reads them.
pub fn payload(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.below(12);
    let bytes = input.rest();
    let limits = Limits::default();
    let elements = bytes.len() + limits.decode_elements as usize;
    let depth = limits.decode_depth as usize;
    let memory = (bytes.len() * limits.decode_growth as usize).max(1 << 20);
    match kind {
        0 => check::<Node>(bytes, |node| assert!(length(node) * 2 <= depth)),
        1 => check::<Nest>(bytes, |nest| {
            let (deep, wide) = extent(nest);
            assert!(deep * 2 <= depth && wide <= elements, "{deep} deep, {wide} wide");
        }),
        2 => check::<Vec<Lopsided>>(bytes, |list| {
            assert!(list.len() * size_of::<Lopsided>() <= memory);
        }),
        3 => check::<Vec<()>>(bytes, |list| assert!(list.len() <= elements)),
        4 => check::<BTreeMap<(), ()>>(bytes, |map| assert!(map.len() <= 1)),
        5 => check::<BTreeSet<Option<()>>>(bytes, |set| assert!(set.len() <= 2)),
        6 => check::<Vec<Vec<BTreeSet<()>>>>(bytes, |lists| {
            assert!(lists.len() + lists.iter().map(Vec::len).sum::<usize>() <= elements);
        }),
        7 => check::<Vec<[Lopsided; 4]>>(bytes, |list| {
            assert!(list.len() * 4 * size_of::<Lopsided>() <= memory);
        }),
        8 => as_postcard::<Plain>(bytes),
        9 => as_postcard::<Mixed>(bytes),
        10 => as_postcard::<BTreeMap<u8, Option<Shape>>>(bytes),
        _ => as_postcard::<(String, Vec<f32>, Result<Vec<u64>, [i16; 2]>)>(bytes),
    }
}

fn check<T: DeserializeOwned + Serialize + Debug>(bytes: &[u8], check: impl FnOnce(&T)) {
    let limits = Limits::default();
    let Ok(value) = fuzz::decode::<T>(bytes, &limits) else { return };
    check(&value);
    let again = fuzz::encode(&value).expect("what was decoded encodes");
    let value = fuzz::decode::<T>(&again, &limits).expect("what was encoded decodes");
    assert_eq!(fuzz::encode(&value).as_ref(), Ok(&again));
    let longer = [bytes, &[0]].concat();
    assert!(fuzz::decode::<T>(&longer, &limits).is_err(), "something trails");
    if let Some((_, shorter)) = bytes.split_last() {
        assert!(fuzz::decode::<T>(shorter, &limits).is_err(), "something was read past the end");
    }
}

fn as_postcard<T: DeserializeOwned + Serialize + Debug>(bytes: &[u8]) {
    check::<T>(bytes, |_| {});
    let ours = fuzz::decode::<T>(bytes, &Limits::default());
    match postcard::take_from_bytes::<T>(bytes) {
        Ok((theirs, [])) => match ours {
            Ok(ours) => assert_eq!(fuzz::encode(&ours), fuzz::encode(&theirs)),
            Err(refusal) => assert!(is_a_limit(&refusal), "{refusal}, and postcard reads it"),
        },
        Ok(_) | Err(_) => assert!(ours.is_err(), "postcard does not read it"),
    }
}

fn is_a_limit(refusal: &wirestream::CodecError) -> bool {
    ["nests too deep", "too many elements", "too large in memory"]
        .iter()
        .any(|limit| refusal.to_string().ends_with(limit))
}

fn length(node: &Node) -> usize {
    let mut length = 1;
    let mut node = node;
    while let Some(next) = &node.next {
        length += 1;
        node = next;
    }
    length
}

/// How deep it is, and how many there are.
fn extent(nest: &Nest) -> (usize, usize) {
    let parts = nest.0.iter().map(extent);
    parts.fold((1, 1), |(deep, many), (part, count)| (deep.max(part + 1), many + count))
}
