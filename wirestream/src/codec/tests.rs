//! The payloads are as `spec/payloads.md` says (R-DATA-1, R-DATA-3).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::{CodecError, DecodeLimits, encode};

const PAYLOADS: &str = include_str!("../../../spec/vectors/payloads.json");
const BAD_PAYLOADS: &str = include_str!("../../../spec/vectors/bad-payloads.json");
const PAGE: &str = include_str!("../../../spec/payloads.md");

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    super::decode(bytes, DecodeLimits::default())
}

#[derive(Debug, Serialize, Deserialize)]
struct Nothing;

#[derive(Debug, Serialize, Deserialize)]
struct Level(u32);

#[derive(Debug, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(u32),
    Line(i32, i32),
    Box { corner: Point, name: Option<String> },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    r#type: String,
    /// Of bad payloads there is none.
    #[serde(default, deserialize_with = "present")]
    value: Option<serde_json::Value>,
    hex: String,
}

/// What stands there, `null` too.
fn present<'de, D: Deserializer<'de>>(json: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(json).map(Some)
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        let runs = self.hex.split_whitespace().flat_map(|word| {
            let (byte, times) = word.split_once('*').unwrap_or((word, "1"));
            let byte = u8::from_str_radix(byte, 16).expect("hex");
            std::iter::repeat_n(byte, times.parse().expect("a number"))
        });
        runs.collect()
    }

    fn check_json<T: Serialize + DeserializeOwned>(&self) {
        self.check::<T>(|value| serde_json::from_value(value.clone()).expect("a value"));
    }

    fn check_text<T: Serialize + DeserializeOwned + FromStr<Err: Debug>>(&self) {
        self.check::<T>(|value| value.as_str().expect("a text").parse().expect("a value"));
    }

    /// The value encodes to the bytes, and the bytes decode to what encodes so again. Without a
    /// value the bytes do not decode.
    fn check<T: Serialize + DeserializeOwned>(&self, read: impl Fn(&serde_json::Value) -> T) {
        let (name, bytes) = (&self.name, self.bytes());
        let decoded = decode::<T>(&bytes);
        let Some(value) = &self.value else {
            assert!(decoded.is_err(), "{name}");
            return;
        };
        assert_eq!(encode(&read(value)).expect("it encodes"), bytes, "{name}");
        let again = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(encode(&again).expect("it encodes"), bytes, "{name}");
    }

    fn run(&self) {
        match &*self.r#type {
            "bool" => self.check_json::<bool>(),
            "u8" => self.check_json::<u8>(),
            "i8" => self.check_json::<i8>(),
            "u16" => self.check_json::<u16>(),
            "i16" => self.check_json::<i16>(),
            "u32" => self.check_json::<u32>(),
            "i32" => self.check_json::<i32>(),
            "u64" => self.check_text::<u64>(),
            "i64" => self.check_text::<i64>(),
            "u128" => self.check_text::<u128>(),
            "i128" => self.check_text::<i128>(),
            "usize" => self.check_json::<usize>(),
            "isize" => self.check_json::<isize>(),
            "f32" => self.check_text::<f32>(),
            "f64" => self.check_text::<f64>(),
            "String" => self.check_json::<String>(),
            "char" => self.check_json::<char>(),
            "Vec<u8>" => self.check_json::<Vec<u8>>(),
            "Option<u8>" => self.check_json::<Option<u8>>(),
            "()" => self.check_json::<()>(),
            "Nothing" => self.check_json::<Nothing>(),
            "Level" => self.check_json::<Level>(),
            "(u8, bool)" => self.check_json::<(u8, bool)>(),
            "(u32,)" => self.check_json::<(u32,)>(),
            "[u16; 2]" => self.check_json::<[u16; 2]>(),
            "Point" => self.check_json::<Point>(),
            "Vec<u16>" => self.check_json::<Vec<u16>>(),
            "Vec<Vec<u8>>" => self.check_json::<Vec<Vec<u8>>>(),
            "BTreeMap<String, u8>" => self.check_json::<BTreeMap<String, u8>>(),
            "Shape" => self.check_json::<Shape>(),
            "Result<u8, bool>" => self.check_json::<Result<u8, bool>>(),
            "Duration" => self.check_json::<Duration>(),
            other => panic!("{}: an unknown type, {other}", self.name),
        }
    }
}

fn cases(json: &str) -> Vec<Case> {
    serde_json::from_str(json).expect("cases")
}

#[test]
fn values_lie_in_bytes_as_the_vectors_say() {
    let cases = cases(PAYLOADS);
    assert_eq!(cases.len(), 55);
    assert!(cases.iter().all(|case| case.value.is_some()));
    cases.iter().for_each(Case::run);
}

#[test]
fn bytes_that_are_no_value_do_not_decode() {
    let cases = cases(BAD_PAYLOADS);
    assert_eq!(cases.len(), 18);
    cases.iter().for_each(Case::run);
}

/// What is longer than it need be is read all the same.
#[test]
fn a_varint_that_could_be_shorter_is_taken() {
    assert_eq!(decode::<u32>(&[0x81, 0x00]), Ok(1));
}

/// The examples in the table of `spec/payloads.md`.
#[test]
fn the_table_of_the_specification_is_right() {
    fn check(example: &str, value: &impl Serialize) {
        let bytes = encode(value).expect("it encodes");
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let cell = if hex.is_empty() { " ".into() } else { format!(" `{}` ", hex.join(" ")) };
        let row = format!("| {example} |{cell}|\n");
        assert!(PAGE.contains(&row), "{row}");
    }

    check("`true`", &true);
    check("`200`", &200_u8);
    check("`-1`", &-1_i8);
    check("`300`", &300_u16);
    check("`-300`", &-300_i32);
    check("`1.5`", &1.5_f32);
    check("`-0.1`", &-0.1_f64);
    check("`\"Grüße\"`", &"Grüße");
    check("`'ü'`", &'ü');
    check("`[0xde, 0xad]`", &vec![0xde_u8, 0xad]);
    check("`Some(5_u8)`", &Some(5_u8));
    check("`()`", &());
    check("`Level(7)`", &Level(7));
    check("`(1_u8, true)`", &(1_u8, true));
    check("`Point { x: 1, y: -1 }` (`i32`)", &Point { x: 1, y: -1 });
    check("`vec![1_u16, 300]`", &vec![1_u16, 300]);
    check("`{\"k\": 1_u8}`", &BTreeMap::from([("k", 1_u8)]));
    check("`Shape::Circle(7)` (the second)", &Shape::Circle(7));
    check("`Err::<u8, bool>(true)`", &Err::<u8, bool>(true));
    let rows = PAGE
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip_while(|line| !line.starts_with("| `bool` |"));
    assert_eq!(rows.count(), 19);
}
