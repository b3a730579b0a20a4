use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::de::IgnoredAny;

use super::*;

/// Takes `original` to a value that prints like `printed`, over the wire, and back.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(original: T, printed: &str) {
    let value = Value::from_serialize(&original).expect("within the limits");
    assert_eq!(value.to_string(), printed);
    let received = decode(&encode(&value)).expect("what was sent");
    assert_eq!(received.to(), Ok(original));
}

#[test]
fn scalars_come_back() {
    check((), "null");
    check(true, "true");
    check('ß', "ß");
    check("Hello".to_owned(), "Hello");
    check(0.1_f32, "0.1");
    check(f64::MIN_POSITIVE, "2.2250738585072014e-308");
    check(f64::NEG_INFINITY, "-inf");
    check(f32::INFINITY, "inf");
}

#[test]
fn integers_come_back_at_their_edges() {
    check(i8::MIN, "-128");
    check(u8::MAX, "255");
    check(i64::MIN, "-9223372036854775808");
    check(u64::MAX, "18446744073709551615");
    check(i128::MIN, "-170141183460469231731687303715884105728");
    check(i128::MAX, "170141183460469231731687303715884105727");
    check(u128::MAX, "340282366920938463463374607431768211455");
}

#[test]
fn not_a_number_comes_back_with_its_bits() {
    let nan = f32::from_bits(0x7fa0_0001);
    let value = Value::from_serialize(&nan).expect("a float");
    assert_eq!(value.to::<f32>().map(f32::to_bits), Ok(nan.to_bits()));
    assert!(value.to::<f64>().expect("a wider float").is_nan());
    assert!(Value::F64(f64::NAN).to::<f32>().expect("a narrower float").is_nan());
}

/// R-VALUE-6.
#[test]
fn options_come_back_however_nested() {
    check(None::<u8>, "null");
    check(Some(5), "5");
    check(Some(()), "Some(null)");
    check(vec![None, Some(None), Some(Some(1))], "[null, Some(null), 1]");
    check(
        vec![None, Some(None), Some(Some(None)), Some(Some(Some(())))],
        "[null, Some(null), Some(Some(null)), Some(Some(Some(null)))]",
    );
    check(Some(Ping), "Ping");
    check(Some(Value::Null), "Some(null)");
}

#[test]
fn collections_come_back() {
    check((1, 'a', (true,)), r#"[1, "a", [true]]"#);
    check([[1_u8, 2], [3, 4]], "[[1, 2], [3, 4]]");
    check(BTreeSet::from([3, 1]), "[1, 3]");
    check(BTreeMap::from([((1, 'x'), "a".to_owned())]), r#"{[1, "x"]: "a"}"#);
    check(
        BTreeMap::from([(Role::Member(1), None), (Role::Guest, Some(2))]),
        "{Role::Guest: 2, Role::Member(1): null}",
    );
}

#[test]
fn structs_and_enums_come_back() {
    check(Ping, "Ping");
    check(Level(7), "Level(7)");
    check(Point(0.5, -0.0), "Point(0.5, -0.0)");
    check(ann(), r#"Player { name: "Ann", level: 3 }"#);
    check(Role::Guest, "Role::Guest");
    check(Role::Member(1), "Role::Member(1)");
    check(Role::Span(-1, 2), "Role::Span(-1, 2)");
    check(
        Role::Admin { since: -1, over: vec![Role::Guest] },
        "Role::Admin { since: -1, over: [Role::Guest] }",
    );
}

#[test]
fn types_of_the_standard_library_come_back() {
    check(Duration::from_millis(1_500), "Duration { secs: 1, nanos: 500000000 }");
    check(IpAddr::from([127, 0, 0, 1]), "127.0.0.1");
    check(Ok::<u8, String>(1), "Result::Ok(1)");
    check(1..3, "Range { start: 1, end: 3 }");
    check(std::marker::PhantomData::<u8>, "PhantomData");
}

#[test]
fn bytes_come_back() {
    #[derive(Debug, PartialEq)]
    struct Digest(Vec<u8>);

    impl Serialize for Digest {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }

    impl<'de> Deserialize<'de> for Digest {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Vec::deserialize(deserializer).map(Self)
        }
    }

    check(Digest(vec![1, 2, 255]), "0x0102ff");
    assert_eq!(Value::from(vec![1, 2]).to(), Ok([1, 2]));
    assert_eq!(Value::from(vec![1, 2]).to::<&[u8]>(), Ok(&[1, 2][..]));
}

#[test]
fn every_tagging_of_enums_comes_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Internal {
        Ping,
        Player(Player),
        Moved { x: i64, role: Role },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", content = "data")]
    enum Adjacent {
        Ping,
        Moved(u64, i64),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
        Level(Level),
        Role { role: Role, at: Option<IpAddr> },
    }

    check(Internal::Ping, r#"Internal { kind: "Ping" }"#);
    check(Internal::Player(ann()), r#"Player { kind: "Player", name: "Ann", level: 3 }"#);
    check(
        Internal::Moved { x: -1, role: Role::Span(1, 2) },
        r#"Internal { kind: "Moved", x: -1, role: Role::Span(1, 2) }"#,
    );
    check(Adjacent::Ping, "Adjacent { kind: Adjacent::Ping }");
    check(Adjacent::Moved(1, -1), "Adjacent { kind: Adjacent::Moved, data: [1, -1] }");
    check(Untagged::Number(255), "255");
    check(Untagged::Level(Level(256)), "Level(256)");
    check(
        Untagged::Role { role: Role::Guest, at: Some([127, 0, 0, 1].into()) },
        r#"Untagged { role: Role::Guest, at: "127.0.0.1" }"#,
    );
}

#[test]
fn flattened_fields_come_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Ranked {
        rank: u8,
        #[serde(flatten)]
        player: Player,
        #[serde(flatten)]
        rest: BTreeMap<String, i32>,
    }

    let ranked = Ranked { rank: 1, player: ann(), rest: BTreeMap::from([("x".into(), -1)]) };
    assert_eq!(Value::object(&ranked), Err(ValueError::Unnamed));
    check(ranked, r#"{"rank": 1, "name": "Ann", "level": 3, "x": -1}"#);
}

#[test]
fn a_value_within_a_type_stays_itself() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Entry {
        key: Value,
        values: Vec<Value>,
    }

    let player = Value::object(&ann()).expect("a named type");
    check(player.clone(), r#"Player { name: "Ann", level: 3 }"#);
    check(
        Entry { key: "k".into(), values: vec![().into(), Value::from(Some(())), player] },
        r#"Entry { key: "k", values: [null, Some(null), Player { name: "Ann", level: 3 }] }"#,
    );
}

#[test]
fn texts_can_be_borrowed() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Player<'a> {
        #[serde(borrow)]
        name: &'a str,
    }

    let value = Value::object(&ann()).expect("a named type");
    assert_eq!(value.to(), Ok(Player { name: "Ann" }));
    assert!(value.to::<BTreeMap<&str, IgnoredAny>>().is_ok());
}
