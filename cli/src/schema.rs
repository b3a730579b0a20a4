//! Types of payloads, as a contract spells them, and postcard by them.
//!
//! Nothing in a payload names its type, so a tool that was not built with a method's types needs to
//! be told them. Numbers, texts and `Value`s are read and written by postcard itself; only how they
//! are put together is told here.

mod decode;
mod encode;
mod parse;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use parse::{parse_arguments, parse_contract, parse_type};

/// How deep payloads may be nested, beyond what a `Value` may be by itself.
const MAX_DEPTH: usize = 128;

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Text,
    Bytes,
    /// `wirestream::Value`.
    Value,
    Option(Box<Type>),
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Tuple(Vec<Type>),
    Struct(Content),
    Enum(Vec<(String, Content)>),
    /// By its place among the types that have a name.
    Named(usize),
}

/// What a struct, or a variant of an enum, holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Unit,
    Tuple(Vec<Type>),
    Fields(Vec<(String, Type)>),
}

/// A type, and what the names in it stand for.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    root: Type,
    named: Arc<[Type]>,
}

impl Schema {
    /// `Value`, which says itself what it is.
    pub(crate) fn value() -> Self {
        Self { root: Type::Value, named: Arc::default() }
    }
}

/// All that a contract tells of a method.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub(crate) arguments: Vec<Schema>,
    /// The parameter streams: what each carries, and whether the caller may leave it away.
    pub(crate) streams: Vec<(Schema, bool)>,
    pub(crate) reply: Schema,
    pub(crate) error: Schema,
}
