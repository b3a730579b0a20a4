use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use wirestream_tokio::{Contract, Fingerprint, NoError, Value};

use super::{Schema, parse_arguments, parse_contract, parse_type};
use crate::json;

/// All kinds there are. What JSON writes otherwise than serde_json does is not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Everything {
    Nothing,
    Small(i8, u8, i16, u16, i32, u32),
    Large { a: i64, b: u64, c: i128, d: u128 },
    Floats(f32, f64),
    Letters(char, String, bool),
    Maybe(Option<Box<Everything>>),
    Many(Vec<Everything>),
    Named(BTreeMap<String, Everything>),
    Pair(((), (u8,)), Point, Level, Unit),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    tag: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Level(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

/// The rest, by its own notation.
type Other = (BTreeMap<u8, String>, Option<Option<u8>>, Bytes, f32, f64, Option<()>, Value);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

const OTHER: &str = "(map u8 to text, option option u8, bytes, f32, f64, option (), value)";

fn everything() -> impl Strategy<Value = Everything> {
    let float = -1e30..1e30;
    let leaf = prop_oneof![
        Just(Everything::Nothing),
        any::<(i8, u8, i16, u16, i32, u32)>()
            .prop_map(|(a, b, c, d, e, f)| Everything::Small(a, b, c, d, e, f)),
        any::<(i64, u64, i128, u128)>().prop_map(|(a, b, c, d)| Everything::Large { a, b, c, d }),
        (-1e30_f32..1e30, float.clone()).prop_map(|(a, b)| Everything::Floats(a, b)),
        ("[a-zü]", "[ -~ü\n\"]*", any::<bool>()).prop_map(|(a, b, c)| {
            Everything::Letters(a.chars().next().expect("a letter"), b, c)
        }),
        (any::<u8>(), float, any::<Option<u8>>(), any::<u32>()).prop_map(|(a, x, tag, level)| {
            Everything::Pair(((), (a,)), Point { x, tag }, Level(level), Unit)
        }),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::option::of(inner.clone().prop_map(Box::new)).prop_map(Everything::Maybe),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Everything::Many),
            prop::collection::btree_map("[a-z$]*", inner, 0..4).prop_map(Everything::Named),
        ]
    })
}

/// As a contract shows it.
fn schema_of_everything() -> Schema {
    let contract = Contract::new().unary::<Everything, NoError>();
    parse_contract(&contract.to_string()).expect("a contract").reply
}

fn encode(of: &Schema, text: &str) -> Result<Vec<u8>, json::Mismatch> {
    let mut bytes = Vec::new();
    of.encode(json::parse(text)?, &mut bytes).map(|()| bytes)
}

fn postcard<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, Vec::new()).expect("postcard")
}

proptest! {
    #[test]
    fn any_type_is_written_and_read_as_serde_does(value in everything()) {
        let of = schema_of_everything();
        let (json, bytes) = (serde_json::to_string(&value).expect("JSON"), postcard(&value));
        prop_assert_eq!(of.decode(&bytes), Ok(json.clone()));
        prop_assert_eq!(encode(&of, &json), Ok(bytes));
    }

    #[test]
    fn what_serde_json_cannot_say_survives(
        map in prop::collection::btree_map(any::<u8>(), "[a-z]*", 0..4),
        maybe in any::<Option<Option<u8>>>(),
        bytes in any::<Vec<u8>>(),
        (single, double) in any::<(u32, u64)>(),
        unit in any::<Option<()>>(),
        text in ".*",
    ) {
        let floats = (f32::from_bits(single), f64::from_bits(double));
        let other: Other = (map, maybe, Bytes(bytes), floats.0, floats.1, unit, Value::from(text));
        let (of, bytes) = (parse_type(OTHER).expect("a type"), postcard(&other));
        let json = of.decode(&bytes).expect("of this type");
        prop_assert_eq!(encode(&of, &json), Ok(bytes), "{}", json);
    }

    #[test]
    fn any_bytes_are_read_to_the_end_or_refused(bytes in any::<Vec<u8>>()) {
        for of in [schema_of_everything(), parse_type(OTHER).expect("a type")] {
            if let Ok(json) = of.decode(&bytes) {
                let again = encode(&of, &json).expect("what was shown can be written");
                prop_assert_eq!(of.decode(&again), Ok(json));
            }
        }
    }
}

#[test]
fn a_contract_tells_arguments_streams_reply_and_error() {
    let contract = Contract::new()
        .argument::<(u8, Vec<bool>)>("a")
        .parameter::<Point, NoError>("points")
        .argument::<Value>("mixed")
        .optional_parameter::<String, Everything>("words")
        .stream::<Duration, std::net::IpAddr>();
    let text = contract.to_string();
    let method = parse_contract(&text).expect("a contract");
    assert_eq!(Fingerprint::of(&text), contract.fingerprint());
    let arguments: Vec<_> = ["[1, [true]]", "{\"k\": 2}"]
        .iter()
        .zip(&method.arguments)
        .map(|(json, of)| encode(of, json).expect("it fits"))
        .collect();
    let value = Value::Map(vec![("k".into(), 2.into())]);
    assert_eq!(arguments, [postcard(&(1_u8, vec![true])), postcard(&value)]);
    let optional: Vec<_> = method.streams.iter().map(|(_, optional)| *optional).collect();
    assert_eq!(optional, [false, true]);
    let point = encode(&method.streams[0].0, r#"{"x": 1}"#);
    assert_eq!(point, Ok(postcard(&Point { x: 1.0, tag: None })));
    let reply = method.reply.decode(&postcard(&Duration::new(5, 7)));
    assert_eq!(reply.as_deref(), Ok(r#"{"secs":5,"nanos":7}"#));
    let error: std::net::IpAddr = "127.0.0.1".parse().expect("an address");
    assert_eq!(method.error.decode(&postcard(&error)).as_deref(), Ok(r#"{"V4":[127,0,0,1]}"#));
}

#[test]
fn a_type_that_is_misspelt_is_refused_in_words() {
    for (text, words) in [
        ("", "a type is wanted at the end"),
        ("in32", "`in32` is no type, and nothing says what it stands for"),
        ("[u8", "`]` is wanted at the end"),
        ("u8 u8", "the end, or `;` and a name is wanted before `u8`"),
        ("map u8 u8", "`to` is wanted before `u8`"),
        ("struct { x u8 }", "a name and a colon is wanted before `x u8 }`"),
        ("P; P = u8; P = u8", "`P` is there twice"),
    ] {
        assert_eq!(parse_type(text).expect_err(text).to_string(), words);
    }
    assert!(parse_type(&"[".repeat(100_000)).is_err());
    let unseen = parse_contract("(a: Odd#0) -> () or NoError#1; Odd#0 = struct ?");
    assert!(unseen.expect_err("it is not all there").to_string().contains("does not show"));
    assert_eq!(parse_arguments("()").map(|types| types.len()), Ok(0));
    assert_eq!(parse_arguments("(u8, [P],); P = enum { A }").map(|types| types.len()), Ok(2));
}

#[test]
fn json_of_another_type_is_refused_with_its_place() {
    for (of, json, words) in [
        ("u8", "256", "u8 is wanted, not 256"),
        ("u64", "1.0", "u64 is wanted, not 1.0"),
        ("i8", "\"1\"", "i8 is wanted, not \"1\""),
        ("[[bool]]", "[[], [true, 1]]", "[1]: [1]: true or false is wanted, not 1"),
        ("struct { x: u8 }", "{}", "the field `x` is missing"),
        ("struct { x: u8 }", r#"{"x": 1, "y": 1}"#, "there is no field `y`"),
        ("struct { x: u8 }", r#"{"x": 1, "x": 1}"#, "the field `x` is there twice"),
        ("struct { x: u8 }", r#"{"x": []}"#, "`x`: u8 is wanted, not []"),
        ("enum { A, B(u8) }", "\"C\"", "there is no variant `C`: there is A, B"),
        ("enum { A, B(u8) }", "\"B\"", "`B`: holds something: {\"name\": content} is wanted"),
        ("char", "\"ab\"", "a text of one character is wanted, not \"ab\""),
        ("(u8, u8)", "[1]", "a list of 2 is wanted, not [1]"),
    ] {
        let of = parse_type(of).expect("a type");
        assert_eq!(encode(&of, json).expect_err(json).to_string(), words);
    }
}

#[test]
fn claims_of_the_other_side_cost_little() {
    let began = Instant::now();
    let claimed = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for of in ["[()]", "map () to ()", "[u8]", "text", "bytes", "[struct { a: (), b: struct }]"] {
        assert!(parse_type(of).expect("a type").decode(&claimed).is_err(), "{of}");
    }
    let nested = parse_type("L; L = [L]").expect("a type");
    assert!(nested.decode(&[1; 50_000]).is_err());
    let endless = parse_type("L; L = struct(L)").expect("a type");
    assert!(endless.decode(&[]).is_err());
    assert!(encode(&endless, "1").is_err());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
