//! What a contract sees of types.

#![allow(dead_code, reason = "types that are only looked at")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::shape::short_name;
use super::{Contract, Fingerprint, Message};
use crate::error::NoError;
use crate::value::Value;

/// What a contract with one argument of type `T` says of it.
fn shape<T: Message>() -> String {
    let text = Contract::new().argument::<T>("x").to_string();
    let text = text.strip_prefix("(x: ").expect("one argument");
    text.replacen(") -> ()", "", 1)
}

#[test]
fn plain_types_are_told_apart() {
    assert_eq!(shape::<u32>(), "u32");
    assert_eq!(shape::<i64>(), "i64");
    assert_eq!(shape::<String>(), "text");
    assert_eq!(shape::<Box<str>>(), "text");
    assert_eq!(shape::<()>(), "()");
    assert_eq!(shape::<(u8, char)>(), "(u8, char)");
    assert_eq!(shape::<[bool; 2]>(), "(bool, bool)");
    assert_eq!(shape::<Option<Vec<f64>>>(), "option [f64]");
    assert_eq!(shape::<BTreeMap<String, i16>>(), "map text to i16");
}

#[test]
fn structs_tell_their_fields_in_order() {
    #[derive(Serialize, Deserialize)]
    struct Level(u8);
    #[derive(Serialize, Deserialize)]
    struct Marker;
    #[derive(Serialize, Deserialize)]
    struct Player {
        name: String,
        #[serde(rename = "rank")]
        level: Level,
        at: (f32, f32),
        marker: Marker,
    }
    assert_eq!(
        shape::<Player>(),
        "Player#0; Player#0 = struct { name: text, rank: Level#1, at: (f32, f32), \
         marker: Marker#2 }; Level#1 = struct(u8); Marker#2 = struct",
    );
}

#[test]
fn every_variant_of_every_enum_is_seen() {
    #[derive(Serialize, Deserialize)]
    enum Colour {
        Red,
        Rgb(u8, u8, u8),
    }
    #[derive(Serialize, Deserialize)]
    enum Shape {
        Empty,
        Circle(f64),
        Painted { colour: Colour, again: Colour },
        Listed(Vec<Colour>),
    }
    assert_eq!(
        shape::<(Shape, Colour)>(),
        "(Shape#0, Colour#1); Shape#0 = enum { Empty, Circle(f64), Painted { colour: Colour#1, \
         again: Colour#1 }, Listed([Colour#1]) }; Colour#1 = enum { Red, Rgb(u8, u8, u8) }",
    );
}

#[test]
fn recursive_types_are_seen_once() {
    #[derive(Serialize, Deserialize)]
    struct Node {
        next: Option<Box<Node>>,
        children: Vec<Node>,
        label: String,
    }
    assert_eq!(
        shape::<Node>(),
        "Node#0; Node#0 = struct { next: option Node#0, children: [Node#0], label: text }",
    );
    // The first variants lead back; a value is found all the same.
    #[derive(Serialize, Deserialize)]
    enum Sum {
        Of(Box<Product>, Box<Product>),
        One(i64),
    }
    #[derive(Serialize, Deserialize)]
    enum Product {
        Of(Box<Sum>, Box<Sum>),
        Named { name: String, again: Box<Product> },
        One(i64),
    }
    assert_eq!(
        shape::<Sum>(),
        "Sum#0; Sum#0 = enum { Of(Product#1, Product#1), One(i64) }; Product#1 = enum { \
         Of(Sum#0, Sum#0), Named { name: text, again: Product#1 }, One(i64) }",
    );
}

#[test]
fn a_type_without_values_is_seen_and_ends_nothing_else() {
    #[derive(Serialize, Deserialize)]
    struct Endless(Box<Endless>);
    assert_eq!(shape::<(Option<NoError>, u8)>(), "(option NoError#0, u8); NoError#0 = enum {}",);
    assert_eq!(shape::<(Vec<Endless>, u8)>(), "([Endless#0], u8); Endless#0 = struct(Endless#0)",);
    #[derive(Serialize, Deserialize)]
    enum Perhaps {
        Never(NoError, u8),
        Always(u16),
    }
    assert_eq!(
        shape::<(Perhaps, u32)>(),
        "(Perhaps#0, u32); Perhaps#0 = enum { Never(NoError#1, ?), Always(u16) }; \
         NoError#1 = enum {}",
    );
}

#[test]
fn types_that_refuse_some_values_are_seen_through() {
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "u16")]
    struct Odd(u16);
    impl TryFrom<u16> for Odd {
        type Error = &'static str;
        fn try_from(number: u16) -> Result<Self, &'static str> {
            if number % 2 == 1 { Ok(Self(number)) } else { Err("even") }
        }
    }
    assert_eq!(shape::<(NonZeroU32, Option<NonZeroU32>, Odd, u8)>(), "(u32, option u32, u16, u8)");
    assert_eq!(
        shape::<(IpAddr, u8)>(),
        "(IpAddr#0, u8); IpAddr#0 = enum { V4((u8, u8, u8, u8)), V6((u8, u8, u8, u8, u8, u8, u8, \
         u8, u8, u8, u8, u8, u8, u8, u8, u8)) }",
    );
}

#[test]
fn what_cannot_be_seen_counts_by_its_name() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(try_from = "(u16, u16)")]
    struct Picky;
    impl TryFrom<(u16, u16)> for Picky {
        type Error = &'static str;
        fn try_from(_: (u16, u16)) -> Result<Self, &'static str> {
            Err("never")
        }
    }
    #[derive(Serialize, Deserialize)]
    enum Other {
        A(u8),
        B(u16),
    }
    #[derive(Serialize, Deserialize)]
    struct Around {
        other: Other,
        picky: Picky,
        behind: u32,
    }
    assert_eq!(
        shape::<Around>(),
        "Around#0; Around#0 = struct { other: Other#1, picky: opaque Picky (u16, u16), \
         behind: ? }; Other#1 = enum { A(u8), B(u16) }",
    );
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        A(u8),
    }
    assert!(shape::<Untagged>().starts_with("opaque "), "{}", shape::<Untagged>());
}

#[test]
fn generic_types_of_one_name_are_two() {
    #[derive(Serialize, Deserialize)]
    struct Wrapper<T> {
        content: T,
    }
    assert_eq!(
        shape::<(Wrapper<u8>, Wrapper<String>, Wrapper<u8>)>(),
        "(Wrapper#0, Wrapper#1, Wrapper#0); Wrapper#0 = struct { content: u8 }; \
         Wrapper#1 = struct { content: text }",
    );
}

#[test]
fn a_value_is_seen_through() {
    let text = shape::<Value>();
    assert!(text.contains("enum { Null, Bool(bool), Int(i128)"), "{text}");
    assert!(!text.contains('?') && !text.contains("opaque"), "{text}");
}

#[test]
fn a_type_wider_than_any_other_ends() {
    /// Enums in one another, each with variants on every level.
    #[derive(Serialize, Deserialize)]
    enum Two<T> {
        A(Option<T>, T),
        B(T, Vec<T>),
    }
    type Deep = Two<Two<Two<Two<Two<Two<Two<Two<u8>>>>>>>>;
    assert_eq!(shape::<Deep>().matches("enum {").count(), 8);
}

#[test]
fn a_contract_differs_by_every_part() {
    let contracts = [
        Contract::new(),
        Contract::new().argument::<u8>("a"),
        Contract::new().argument::<u8>("b"),
        Contract::new().argument::<u16>("a"),
        Contract::new().argument::<u8>("a").argument::<u8>("b"),
        Contract::new().argument::<u8>("b").argument::<u8>("a"),
        Contract::new().parameter::<u8, NoError>("a"),
        Contract::new().parameter::<u8, u8>("a"),
        Contract::new().optional_parameter::<u8, NoError>("a"),
        Contract::new().stream::<u8, NoError>(),
        Contract::new().unary::<u8, NoError>(),
        Contract::new().unary::<u8, u8>(),
    ];
    let mut seen: Vec<Fingerprint> = Vec::new();
    for contract in &contracts {
        assert!(!seen.contains(&contract.fingerprint()), "{contract}");
        seen.push(contract.fingerprint());
    }
    // Compatibility is this side's own affair.
    let compatible = contracts[1].clone().compatible_with(seen[0]);
    assert_eq!(compatible.fingerprint(), seen[1]);
    assert_eq!(compatible.accepted(), [seen[1], seen[0]]);
}

/// Programs of different versions must agree: this never changes.
#[test]
fn a_fingerprint_is_the_same_everywhere() {
    let contract = Contract::new().parameter::<i64, NoError>("numbers").unary::<i64, NoError>();
    assert_eq!(contract.fingerprint().to_string(), "6fd09860ed14ac15");
    let bytes = contract.fingerprint().to_bytes();
    assert_eq!(Fingerprint::from_bytes(bytes), contract.fingerprint());
}

#[test]
fn names_lose_their_paths_alone() {
    assert_eq!(short_name("alloc::vec::Vec<a::b::C<d::E>>"), "Vec<C<E>>");
    assert_eq!(short_name("(u8, &a::B)"), "(u8, &B)");
}
