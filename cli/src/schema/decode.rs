//! Postcard to JSON, by a type.
//!
//! The bytes come from the other side, which may claim what it likes: text grows only as bytes are
//! used up, but for items that take none, and those are counted.

use serde::Deserialize;

use super::{Content, MAX_DEPTH, Schema, Type};
use crate::json::{push, value, write_bytes, write_f32, write_f64, write_text};

/// How many items without bytes a payload may have. (A message cannot have as many with bytes.)
const MAX_EMPTY: usize = 16_384;

/// Bytes are not of the type: in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DecodeError(String);

impl Schema {
    /// Decodes all of `bytes` as a value of this type, and writes it as JSON on one line.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<String, DecodeError> {
        let out = String::new();
        let mut decoder = Decoder { named: &self.named, rest: bytes, out, depth: 0, empty: 0 };
        decoder.any(&self.root)?;
        match decoder.rest.len() {
            0 => Ok(decoder.out),
            n => Err(DecodeError(format!("{n} bytes are left over"))),
        }
    }
}

struct Decoder<'a> {
    named: &'a [Type],
    rest: &'a [u8],
    out: String,
    depth: usize,
    /// How many items took no bytes.
    empty: usize,
}

impl<'a> Decoder<'a> {
    fn any(&mut self, of: &'a Type) -> Result<(), DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        self.inner(of)?;
        self.depth -= 1;
        Ok(())
    }

    fn inner(&mut self, of: &'a Type) -> Result<(), DecodeError> {
        match of {
            Type::Bool => self.show::<bool>(),
            Type::I8 => self.show::<i8>(),
            Type::I16 => self.show::<i16>(),
            Type::I32 => self.show::<i32>(),
            Type::I64 => self.show::<i64>(),
            Type::I128 => self.show::<i128>(),
            Type::U8 => self.show::<u8>(),
            Type::U16 => self.show::<u16>(),
            Type::U32 => self.show::<u32>(),
            Type::U64 => self.show::<u64>(),
            Type::U128 => self.show::<u128>(),
            Type::F32 => self.take().map(|float| write_f32(&mut self.out, float)),
            Type::F64 => self.take().map(|float| write_f64(&mut self.out, float)),
            Type::Char => {
                let letter = self.take::<char>()?;
                write_text(&mut self.out, letter.encode_utf8(&mut [0; 4]));
                Ok(())
            }
            Type::Text => self.text(),
            Type::Bytes => self.take().map(|bytes| write_bytes(&mut self.out, bytes)),
            Type::Value => self.take().map(|value| value::write(&mut self.out, &value)),
            Type::Option(content) => self.option(content),
            Type::List(item) => {
                let items = std::iter::repeat(&**item);
                let count = self.take::<u64>()?;
                self.counted(['[', ']'], count, items, Self::any)
            }
            Type::Map(key, value) => self.map(key, value),
            Type::Tuple(types) if types.is_empty() => self.word("null"),
            Type::Tuple(types) => self.items(['[', ']'], types, Self::any),
            Type::Struct(content) => self.content(content),
            Type::Enum(variants) => self.choice(variants),
            Type::Named(place) => {
                let named = self.named;
                self.any(&named[*place])
            }
        }
    }

    fn take<T: Deserialize<'a>>(&mut self) -> Result<T, DecodeError> {
        let taken = postcard::take_from_bytes(self.rest);
        let (part, rest) = taken.map_err(|error| DecodeError(error.to_string()))?;
        self.rest = rest;
        Ok(part)
    }

    fn show<T: Deserialize<'a> + std::fmt::Display>(&mut self) -> Result<(), DecodeError> {
        let part = self.take::<T>()?;
        push(&mut self.out, format_args!("{part}"));
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), DecodeError> {
        self.out.push_str(word);
        Ok(())
    }

    fn text(&mut self) -> Result<(), DecodeError> {
        self.take().map(|text| write_text(&mut self.out, text))
    }

    fn option(&mut self, content: &'a Type) -> Result<(), DecodeError> {
        if !self.take::<bool>()? {
            return self.word("null");
        }
        let start = self.out.len();
        self.any(content)?;
        // What would read as absent, or as less present than it is.
        let shown = &self.out[start..];
        if shown == "null" || shown.starts_with("{\"$some\":") {
            self.out.insert_str(start, "{\"$some\":");
            self.out.push('}');
        }
        Ok(())
    }

    fn map(&mut self, key: &'a Type, value: &'a Type) -> Result<(), DecodeError> {
        let count = self.take::<u64>()?;
        if *key == Type::Text {
            return self.counted(['{', '}'], count, std::iter::repeat(value), |this, value| {
                this.text()?;
                this.out.push(':');
                this.any(value)
            });
        }
        self.counted(['[', ']'], count, std::iter::repeat((key, value)), |this, (key, value)| {
            this.items(['[', ']'], [key, value], Self::any)
        })
    }

    fn content(&mut self, content: &'a Content) -> Result<(), DecodeError> {
        match content {
            Content::Unit => self.word("null"),
            Content::Tuple(types) if types.len() == 1 => self.any(&types[0]),
            Content::Tuple(types) => self.items(['[', ']'], types, Self::any),
            Content::Fields(fields) => self.items(['{', '}'], fields, |this, (name, of)| {
                write_text(&mut this.out, name);
                this.out.push(':');
                this.any(of)
            }),
        }
    }

    fn choice(&mut self, variants: &'a [(String, Content)]) -> Result<(), DecodeError> {
        let place = self.take::<u32>()?;
        let variant = usize::try_from(place).ok().and_then(|place| variants.get(place));
        let Some((name, content)) = variant else {
            let count = variants.len();
            return Err(DecodeError(format!("variant {place} of an enum that has {count}")));
        };
        if *content == Content::Unit {
            write_text(&mut self.out, name);
            return Ok(());
        }
        self.out.push('{');
        write_text(&mut self.out, name);
        self.out.push(':');
        self.content(content)?;
        self.out.push('}');
        Ok(())
    }

    fn counted<T>(
        &mut self,
        brackets: [char; 2],
        mut count: u64,
        items: impl Iterator<Item = T>,
        mut item: impl FnMut(&mut Self, T) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let counted = items.take_while(|_| {
            let more = count > 0;
            count = count.saturating_sub(1);
            more
        });
        self.items(brackets, counted, |this, part| {
            let before = this.rest.len();
            item(this, part)?;
            if this.rest.len() == before {
                this.empty += 1;
            }
            match this.empty > MAX_EMPTY {
                true => Err(DecodeError(format!("more than {MAX_EMPTY} items without bytes"))),
                false => Ok(()),
            }
        })
    }

    fn items<T>(
        &mut self,
        [open, close]: [char; 2],
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.out.push(open);
        for (place, part) in items.into_iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            item(self, part)?;
        }
        self.out.push(close);
        Ok(())
    }
}
