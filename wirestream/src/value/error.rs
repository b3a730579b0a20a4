//! What can go wrong between a Rust type and a value.

use std::fmt::Display;

use serde::de::{Expected, Unexpected};

use super::Value;

/// Why a type did not become a [`Value`], or a value not the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// More than [`Value::MAX_DEPTH`] containers stand within one another.
    #[error("value nests deeper than {} levels", Value::MAX_DEPTH)]
    TooDeep,
    /// The value has more than [`Value::MAX_ELEMENTS`] elements in all.
    #[error("value has more than {} elements", Value::MAX_ELEMENTS)]
    TooManyElements,
    /// [`Value::object`] was given data whose type has no name.
    #[error("type has no name to send an object under")]
    Unnamed,
    /// The object is of another type than the one asked for.
    ///
    /// A type that reads through another, by serde's `try_from`, is found under that other's name:
    /// rename the other.
    #[error("expected an object `{expected}`, found `{found}`")]
    WrongName {
        /// The name of the type asked for.
        expected: &'static str,
        /// The name the object carries.
        found: String,
    },
    /// The value is of another kind than the type takes.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What the type takes, in its own words.
        expected: String,
        /// What the value is.
        found: String,
    },
    /// The value is of the right kind but outside of what the type holds, such as 300 for a `u8`.
    #[error("expected {expected}, found {found}")]
    InvalidValue {
        /// What the type holds, in its own words.
        expected: String,
        /// What the value is.
        found: String,
    },
    /// The value has too many or too few elements for the type.
    #[error("expected {expected}, found {found} elements")]
    InvalidLength {
        /// What the type takes, in its own words.
        expected: String,
        /// How many elements there are.
        found: usize,
    },
    /// The enum has no such variant.
    #[error("unknown variant `{0}`")]
    UnknownVariant(String),
    /// The struct refuses fields it does not know, and this is one.
    #[error("unknown field `{0}`")]
    UnknownField(String),
    /// A field that the struct needs is not there.
    #[error("missing field `{0}`")]
    MissingField(&'static str),
    /// A field is there twice.
    #[error("duplicate field `{0}`")]
    DuplicateField(&'static str),
    /// An error of the type's own `Serialize` or `Deserialize`, in its words.
    #[error("{0}")]
    Custom(String),
}

impl serde::ser::Error for ValueError {
    fn custom<T: Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: Display>(message: T) -> Self {
        Self::Custom(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::WrongType { expected: expected.to_string(), found: found.to_string() }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::InvalidValue { expected: expected.to_string(), found: found.to_string() }
    }

    fn invalid_length(found: usize, expected: &dyn Expected) -> Self {
        Self::InvalidLength { expected: expected.to_string(), found }
    }

    fn unknown_variant(found: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownVariant(found.to_owned())
    }

    fn unknown_field(found: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownField(found.to_owned())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingField(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::DuplicateField(field)
    }
}
