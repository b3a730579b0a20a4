use proptest::prelude::*;
use wirestream_tokio::{Fields, Object, Value};

use super::{read, write};
use crate::json::parse;

fn shown(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

fn read_back(json: &str) -> Value {
    read(parse(json).expect("JSON")).expect("a value")
}

/// What travels, and so what two values have to agree in: it tells one NaN from another.
fn bytes(value: &Value) -> Vec<u8> {
    postcard::to_extend(value, Vec::new()).expect("a value within the limits")
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".*",
        "[$a-c]{0,3}",
        any::<char>().prop_map(String::from),
        Just("\u{1b}\u{9b}".into())
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i128>().prop_map(Value::Int),
        any::<i8>().prop_map(|small| Value::Int(small.into())),
        (i128::MAX as u128 + 1..).prop_map(Value::Uint),
        any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        (0..64_u64).prop_map(|low| Value::F64(f64::from_bits(f64::NAN.to_bits() | low))),
        text().prop_map(Value::Text),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5);
        let fields = prop_oneof![
            Just(Fields::Unit),
            list.clone().prop_map(Fields::Tuple),
            prop::collection::vec((text(), inner.clone()), 0..4).prop_map(Fields::Named),
        ];
        prop_oneof![
            list.prop_map(Value::List),
            prop::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Map),
            prop::collection::vec((text().prop_map(Value::Text), inner.clone()), 0..4)
                .prop_map(Value::Map),
            (text(), prop::option::of(text()), fields).prop_map(|(name, variant, fields)| {
                Value::Object(Box::new(Object { name, variant, fields }))
            }),
            inner.prop_map(|content| Value::Some(Box::new(content))),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_survives_json(value in values()) {
        let json = shown(&value);
        prop_assert_eq!(bytes(&read_back(&json)), bytes(&value), "{}", json);
    }

    #[test]
    fn what_is_shown_is_one_line_of_json_without_a_command_to_the_terminal(value in values()) {
        let json = shown(&value);
        prop_assert!(!json.chars().any(crate::json::is_command), "{}", json);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
    }
}

#[test]
fn each_kind_of_value_has_its_json() {
    let object = |variant: Option<&str>, fields| {
        Value::Object(Box::new(Object {
            name: "Ann".into(),
            variant: variant.map(Into::into),
            fields,
        }))
    };
    let pairs: &[(Value, &str)] = &[
        (Value::Null, "null"),
        (true.into(), "true"),
        ((-42).into(), "-42"),
        (Value::Int(i128::MIN), "-170141183460469231731687303715884105728"),
        (Value::Uint(u128::MAX), "340282366920938463463374607431768211455"),
        (Value::F64(1.0), "1.0"),
        (Value::F64(-0.0), "-0.0"),
        (Value::F64(f64::NAN), r#"{"$f64":"NaN"}"#),
        (Value::F64(f64::NEG_INFINITY), r#"{"$f64":"-Infinity"}"#),
        (Value::F64(f64::from_bits(0x7ff8_0000_0000_0001)), r#"{"$f64":"0x7ff8000000000001"}"#),
        (Value::F32(1.5), r#"{"$f32":1.5}"#),
        (Value::F32(f32::NAN), r#"{"$f32":"NaN"}"#),
        ("Grüße\n\u{1b}[2J\u{9b}\u{202e}".into(), r#""Grüße\n\u001b[2J\u009b\u202e""#),
        (Value::Bytes(vec![0xde, 0xad]), r#"{"$bytes":"dead"}"#),
        (vec![Value::from(1), ().into()].into(), "[1,null]"),
        (Value::Map(vec![("b".into(), 1.into()), ("a".into(), 2.into())]), r#"{"b":1,"a":2}"#),
        (Value::Map(vec![(2.into(), true.into())]), r#"{"$map":[[2,true]]}"#),
        (Value::Map(vec![("$a".into(), 1.into())]), r#"{"$map":[["$a",1]]}"#),
        (
            Value::Map(vec![("a".into(), 1.into()), ("a".into(), 2.into())]),
            r#"{"$map":[["a",1],["a",2]]}"#,
        ),
        (object(None, Fields::Unit), r#"{"$object":"Ann"}"#),
        (
            object(Some("B"), Fields::Tuple(vec![7.into()])),
            r#"{"$object":"Ann","$variant":"B","$fields":[7]}"#,
        ),
        (
            object(None, Fields::Named(vec![("$x".into(), 7.into())])),
            r#"{"$object":"Ann","$fields":{"$x":7}}"#,
        ),
        (Value::Some(Box::new(Value::Null)), r#"{"$some":null}"#),
    ];
    for (value, json) in pairs {
        assert_eq!(shown(value), *json);
        assert_eq!(bytes(&read_back(json)), bytes(value), "{json}");
    }
}

#[test]
fn what_cannot_be_kept_as_it_is_written_is_refused() {
    let beyond = format!("{}0", u128::MAX);
    let deep = format!("{}{}", "[".repeat(70_000), "]".repeat(70_000));
    let refused = [
        &beyond[..],
        "1e999",
        r#"{"$f64":"nan"}"#,
        r#"{"$bytes":"abc"}"#,
        r#"{"$bytes":"+1"}"#,
        r#"{"$map":[[1]]}"#,
        r#"{"$what":1}"#,
        r#"{"$f64":1.0,"a":2}"#,
        r#"{"$variant":"B"}"#,
        r#"{"$object":1}"#,
        &deep,
    ];
    for json in refused {
        assert!(read(parse(json).expect("JSON")).is_err(), "{}", &json[..json.len().min(60)]);
    }
}
