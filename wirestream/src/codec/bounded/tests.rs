use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use wirestream_protocol::Limits;

use super::super::{CodecError, decode, encode};
use super::DecodeLimits;
use crate::Value;

/// A list of nodes, as deep as it likes.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

/// Wide and deep from nothing but lengths.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nest(Vec<Nest>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "that is the point")]
enum Lopsided {
    Small,
    Large([[u64; 8]; 8]),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(u32),
    Line(i32, i64),
    Named { name: String, of: Option<Box<Shape>>, seen: bool },
}

type Mixed = (
    (bool, char, u8, i8, u16, i16, u32, i32, u64, i64),
    (u128, i128, f32, f64, (), Option<Option<u8>>),
    BTreeMap<String, Vec<Shape>>,
    Result<[u8; 3], String>,
    Value,
);

fn limits() -> DecodeLimits {
    DecodeLimits::default()
}

fn refused<T: DeserializeOwned + Debug>(bytes: &[u8], why: &str) {
    let refusal = decode::<T>(bytes, limits()).expect_err("it is beyond the limits");
    assert_eq!(refusal, CodecError::new(why));
}

/// A list of so many nodes, as bytes.
fn nodes(count: usize) -> Vec<u8> {
    let mut bytes = vec![1; count - 1];
    bytes.push(0);
    bytes
}

/// R-DATA-4: each node nests twice, as an option and as a struct; the first is only a struct.
#[test]
fn a_value_nests_as_deep_as_it_may_and_no_deeper() {
    let deepest = Limits::default().decode_depth as usize / 2;
    assert!(decode::<Node>(&nodes(deepest), limits()).is_ok());
    refused::<Node>(&nodes(deepest + 1), "the value nests too deep");
    let more = Limits { decode_depth: 130, ..Limits::default() };
    assert!(decode::<Node>(&nodes(deepest + 1), (&more).into()).is_ok());
}

#[test]
fn a_recursive_type_costs_no_stack_beyond_its_depth() {
    // A thread that would not hold much more than the limit.
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    let thread = small.spawn(|| {
        refused::<Node>(&nodes(51_000), "the value nests too deep");
        refused::<Nest>(&[1; 51_000], "the value nests too deep");
    });
    thread.expect("a thread").join().expect("no overflow");
}

#[test]
fn elements_that_take_no_bytes_are_counted() {
    let spare = Limits::default().decode_elements;
    let list = |len: u32| encode(&len).expect("a varint");
    // The bytes of the length itself count for one each.
    let most = spare + 3;
    assert_eq!(decode::<Vec<()>>(&list(most), limits()).map(|list| list.len()), Ok(most as usize));
    refused::<Vec<()>>(&list(most + 1), "the value has too many elements");
    assert!(decode::<BTreeMap<(), ()>>(&list(most), limits()).is_ok());
    refused::<BTreeMap<(), ()>>(&list(most + 1), "the value has too many elements");
}

thread_local! {
    static READ: Cell<u32> = const { Cell::new(0) };
}

/// Takes no bytes, and is counted as it is read.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Counted;

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        READ.set(READ.get() + 1);
        <()>::deserialize(deserializer).map(|()| Self)
    }
}

#[test]
fn a_set_of_a_billion_units_is_refused_before_any_is_read() {
    let set = |len: u32| encode(&len).expect("a varint");
    let billion = set(1 << 30);
    refused::<BTreeSet<Counted>>(&billion, "the value has too many elements");
    refused::<HashSet<Counted>>(&billion, "the value has too many elements");
    refused::<Vec<Vec<Counted>>>(&[&[1], &billion[..]].concat(), "the value has too many elements");
    assert_eq!(READ.take(), 0);
    // However they are dealt out, the budget is for all of them.
    let most = Limits::default().decode_elements;
    let shares = [&[4], &set(most / 3).repeat(4)[..]].concat();
    refused::<Vec<BTreeSet<Counted>>>(&shares, "the value has too many elements");
    assert_eq!(READ.take(), most / 3 * 3);
}

#[test]
fn elements_that_take_bytes_are_limited_by_these_alone() {
    let pixels: Vec<u8> = (0..=255).cycle().take(256 * 1024).collect();
    let bytes = encode(&pixels).expect("it encodes");
    assert_eq!(decode(&bytes, limits()), Ok(pixels));
    let numbers = vec![-1_i64; 100_000];
    assert_eq!(decode(&encode(&numbers).expect("it encodes"), limits()), Ok(numbers));
    let texts = vec![String::new(); 100_000];
    assert_eq!(decode(&encode(&texts).expect("it encodes"), limits()), Ok(texts));
}

/// A lopsided element is charged twice: as an element, and as an enum.
#[test]
fn a_value_grows_as_large_as_it_may_and_no_larger() {
    let small = |count: usize| encode(&vec![0_u8; count]).expect("zeros");
    let each = 2 * size_of::<Lopsided>();
    let most = (1024 * 1024 - size_of::<Vec<Lopsided>>()) / each;
    assert!(decode::<Vec<Lopsided>>(&small(most), limits()).is_ok());
    refused::<Vec<Lopsided>>(&small(most + 1), "the value grows too large in memory");
    let more = Limits { decode_growth: 2_000, ..Limits::default() };
    assert!(decode::<Vec<Lopsided>>(&small(most + 1), (&more).into()).is_ok());
    refused::<Vec<Lopsided>>(&small(1024 * 1024), "the value grows too large in memory");
}

/// R-VALUE-3, R-VALUE-4: they are the value's own.
#[test]
fn a_mixed_value_has_its_own_limits_wherever_it_stands() {
    let mut deep = Value::Null;
    for _ in 0..Value::MAX_DEPTH {
        deep = Value::List(vec![deep]);
    }
    let wide = Value::List(vec![Value::Null; Value::MAX_ELEMENTS]);
    let both = (Some(deep), vec![wide; 3]);
    assert_eq!(decode(&encode(&both).expect("it encodes"), limits()), Ok(both));
}

fn same<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    let ours = decode::<T>(bytes, limits()).map(|value| encode(&value).expect("it encodes"));
    let theirs = postcard::take_from_bytes::<T>(bytes);
    let theirs = theirs.ok().filter(|(_, rest)| rest.is_empty());
    assert_eq!(ours.ok(), theirs.map(|(value, _)| encode(&value).expect("it encodes")));
}

fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Empty),
        any::<u32>().prop_map(Shape::Circle),
        any::<(i32, i64)>().prop_map(|(x, y)| Shape::Line(x, y)),
    ];
    leaf.prop_recursive(8, 8, 1, |inner| {
        (".{0,8}", proptest::option::of(inner), any::<bool>())
            .prop_map(|(name, of, seen)| Shape::Named { name, of: of.map(Box::new), seen })
    })
}

proptest! {
    /// Within the limits it reads what postcard reads, and refuses what that refuses.
    #[test]
    fn it_reads_bytes_as_postcard_does(bytes in prop::collection::vec(0_u8..4, 0..40)) {
        same::<Mixed>(&bytes);
        same::<Vec<Shape>>(&bytes);
        same::<BTreeMap<u8, Option<Shape>>>(&bytes);
        same::<(u16, i128, Option<(bool, char)>, f32)>(&bytes);
        same::<Result<Vec<u64>, [i16; 2]>>(&bytes);
        same::<Value>(&bytes);
    }

    #[test]
    fn it_reads_what_was_written(shapes in prop::collection::vec(shapes(), 0..6), cut in any::<u8>()) {
        let bytes = encode(&shapes).expect("it encodes");
        prop_assert_eq!(decode::<Vec<Shape>>(&bytes, limits()), Ok(shapes));
        same::<Vec<Shape>>(&bytes[..usize::from(cut) % bytes.len()]);
    }
}
