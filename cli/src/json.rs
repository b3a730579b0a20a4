//! JSON by its text, so that no number is rounded and no entry of an object is lost or moved.

pub(crate) mod value;

use std::fmt::{self, Write as _};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// JSON that does not fit what is wanted: in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Mismatch(pub(crate) String);

impl Mismatch {
    pub(crate) fn new(wanted: impl fmt::Display, raw: &RawValue) -> Self {
        const SHOWN: usize = 40;
        let text = raw.get();
        let mut shown: String = text.chars().take(SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self(format!("{wanted} is wanted, not {shown}"))
    }

    /// The same, at a place.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

/// One JSON value, one level deep.
#[derive(Debug)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// As it is written.
    Number(&'a str),
    Text(String),
    List(Vec<&'a RawValue>),
    /// In order; keys may repeat.
    Object(Vec<(String, &'a RawValue)>),
}

/// Parses a text that is one JSON value.
pub(crate) fn parse(text: &str) -> Result<&RawValue, Mismatch> {
    serde_json::from_str(text).map_err(|error| Mismatch(format!("this is not JSON: {error}")))
}

/// Looks one level into a value.
pub(crate) fn look(raw: &RawValue) -> Result<Json<'_>, Mismatch> {
    let text = raw.get();
    let failed = |error: serde_json::Error| Mismatch(format!("this is not JSON: {error}"));
    Ok(match text.as_bytes().first() {
        Some(b'n') => Json::Null,
        Some(b't') => Json::Bool(true),
        Some(b'f') => Json::Bool(false),
        Some(b'"') => Json::Text(serde_json::from_str(text).map_err(failed)?),
        Some(b'[') => Json::List(serde_json::from_str(text).map_err(failed)?),
        Some(b'{') => Json::Object(serde_json::from_str::<Entries>(text).map_err(failed)?.0),
        _ => Json::Number(text),
    })
}

/// Writes a text in quotes. What a terminal could take for a command is escaped.
pub(crate) fn write_text(out: &mut String, text: &str) {
    let quoted = serde_json::to_string(text).expect("a text is JSON");
    for letter in quoted.chars() {
        // All of these are within the Basic Multilingual Plane. The tags beyond it are invisible
        // and harmless.
        match is_command(letter) {
            true => push(out, format_args!("\\u{:04x}", u32::from(letter))),
            false => out.push(letter),
        }
    }
}

/// Whether a terminal may do something else with it than show it: controls, C1 ones too, and what
/// changes the direction of the text around it.
pub(crate) fn is_command(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends what is formatted.
pub(crate) fn push(out: &mut String, what: fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a string takes what is written");
}

/// Floats: a number if it is one, else a text that keeps its bits.
macro_rules! floats {
    ($($read:ident $write:ident $float:ident $bits:ident $digits:literal;)*) => {$(
        pub(crate) fn $read(raw: &RawValue) -> Result<$float, Mismatch> {
            let wrong = || Mismatch::new(stringify!($float), raw);
            let float: $float = match look(raw)? {
                Json::Number(text) => text.parse().map_err(|_| wrong())?,
                Json::Text(text) => return match &text[..] {
                    "NaN" => Ok($float::NAN),
                    "Infinity" => Ok($float::INFINITY),
                    "-Infinity" => Ok($float::NEG_INFINITY),
                    text => {
                        let digits = text.strip_prefix("0x").filter(|hex| hex.len() == $digits);
                        let bits = digits.and_then(|hex| $bits::from_str_radix(hex, 16).ok());
                        bits.map($float::from_bits).ok_or_else(wrong)
                    }
                },
                _ => return Err(wrong()),
            };
            if float.is_finite() { Ok(float) } else { Err(wrong()) }
        }

        pub(crate) fn $write(out: &mut String, float: $float) {
            match float {
                $float::INFINITY => out.push_str("\"Infinity\""),
                $float::NEG_INFINITY => out.push_str("\"-Infinity\""),
                _ if float.to_bits() == $float::NAN.to_bits() => out.push_str("\"NaN\""),
                _ if float.is_nan() => {
                    push(out, format_args!("\"0x{:0width$x}\"", float.to_bits(), width = $digits));
                }
                _ => out.push_str(&serde_json::to_string(&float).expect("a number is JSON")),
            }
        }
    )*};
}

floats! {
    read_f32 write_f32 f32 u32 8;
    read_f64 write_f64 f64 u64 16;
}

/// Bytes are a text of hexadecimal digits.
pub(crate) fn read_bytes(raw: &RawValue) -> Result<Vec<u8>, Mismatch> {
    let wrong = || Mismatch::new("bytes, a text of hexadecimal digits,", raw);
    let Json::Text(text) = look(raw)? else { return Err(wrong()) };
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(wrong)?;
    Ok(digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

pub(crate) fn write_bytes(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for byte in bytes {
        push(out, format_args!("{byte:02x}"));
    }
    out.push('"');
}

/// Writes `items` between two brackets, with commas.
pub(crate) fn write_all<T, E>(
    out: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T) -> Result<(), E>,
) -> Result<(), E> {
    out.push(open);
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write(out, item)?;
    }
    out.push(close);
    Ok(())
}

/// The entries of an object.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
