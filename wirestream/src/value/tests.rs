use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Fields, Object, Value, ValueError};

mod display;
mod errors;
mod limits;
mod names;
mod numbers;
mod properties;
mod rust_types;
mod wire;

fn encode(value: &Value) -> Vec<u8> {
    postcard::to_allocvec(value).expect("within the limits")
}

fn decode(bytes: &[u8]) -> postcard::Result<Value> {
    postcard::from_bytes(bytes)
}

fn unhex(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect()
}

/// `depth` containers within one another, each made by `wrap`.
fn nest(depth: usize, wrap: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(Value::Bool(true), |content, _| wrap(content))
}

fn named(name: &str, fields: &[(&str, Value)]) -> Value {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Object { name: name.into(), variant: None, fields: Fields::Named(fields) }.into()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Player {
    name: String,
    level: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ping;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Level(u32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point(f32, f64);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Role {
    Guest,
    Member(u32),
    Span(i8, u64),
    Admin { since: i128, over: Vec<Role> },
}

fn ann() -> Player {
    Player { name: "Ann".into(), level: 3 }
}
