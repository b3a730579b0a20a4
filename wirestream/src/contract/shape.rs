//! What serde shows of a type, and how a contract spells it.

use std::fmt;

/// The shape of a type.
#[derive(Clone, Debug, Default)]
pub(super) enum Shape {
    /// Not seen: it stands behind something that takes no value.
    #[default]
    Unseen,
    /// A type without parts.
    Leaf(&'static str),
    /// A type that serde does not show, or that takes no value: its name, and what was seen.
    Opaque(String, Box<Shape>),
    Option(Box<Shape>),
    List(Box<Shape>),
    Map(Box<Shape>, Box<Shape>),
    Tuple(Vec<Shape>),
    /// A struct or enum, by its place in the list of types.
    Named(&'static str, usize),
}

/// What a struct, or a variant of an enum, holds.
#[derive(Clone, Debug, Default)]
pub(super) enum Content {
    /// Not seen.
    #[default]
    Unseen,
    Unit,
    /// By position.
    Tuple(Vec<Shape>),
    /// By name.
    Fields(Vec<(&'static str, Shape)>),
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unseen => f.write_str("?"),
            Self::Leaf(name) => f.write_str(name),
            Self::Opaque(name, seen) => write!(f, "opaque {name} {seen}"),
            Self::Option(content) => write!(f, "option {content}"),
            Self::List(item) => write!(f, "[{item}]"),
            Self::Map(key, value) => write!(f, "map {key} to {value}"),
            Self::Tuple(items) => tuple(f, items),
            Self::Named(name, place) => write!(f, "{name}#{place}"),
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unseen => f.write_str(" ?"),
            Self::Unit => Ok(()),
            Self::Tuple(items) => tuple(f, items),
            Self::Fields(fields) => {
                f.write_str(" { ")?;
                for (place, (name, shape)) in fields.iter().enumerate() {
                    let comma = if place == 0 { "" } else { ", " };
                    write!(f, "{comma}{name}: {shape}")?;
                }
                f.write_str(" }")
            }
        }
    }
}

fn tuple(f: &mut fmt::Formatter<'_>, items: &[Shape]) -> fmt::Result {
    f.write_str("(")?;
    for (place, shape) in items.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        write!(f, "{comma}{shape}")?;
    }
    f.write_str(")")
}

/// The name of a type without the paths in it, which may change while the type stays the same:
/// `Option<C>` for `core::option::Option<a::b::C>`.
pub(super) fn short_name(name: &str) -> String {
    let mut short = String::new();
    let mut word = 0;
    for letter in name.chars() {
        match letter {
            ':' => short.truncate(word),
            _ => {
                short.push(letter);
                if !letter.is_alphanumeric() && letter != '_' {
                    word = short.len();
                }
            }
        }
    }
    short
}
