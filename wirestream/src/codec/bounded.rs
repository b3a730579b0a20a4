//! Reads a payload within bounds, whatever type is read (R-DATA-4).
//!
//! The bytes are read by postcard. What holds other things (lists, maps, structs, enums, options) is
//! read here, where its depth, its elements and its size are counted.

use postcard::Error;
use serde::de::value::U32Deserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess};
use serde::de::{VariantAccess, Visitor};
use serde::{Deserialize, Deserializer};
use wirestream_protocol::Limits;

#[cfg(test)]
mod tests;

use super::CodecError;
use crate::value;

/// What any value may take in memory, however few its bytes are.
const ROOM: usize = 1024 * 1024;
/// More room than this is not made for elements that were told of and not read.
const ROOM_AHEAD: usize = 1024;

/// How far a payload may go: the part of [`Limits`] that is about decoding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecodeLimits {
    depth: u32,
    elements: u32,
    growth: u32,
}

impl From<&Limits> for DecodeLimits {
    fn from(limits: &Limits) -> Self {
        let &Limits { decode_depth, decode_elements, decode_growth, .. } = limits;
        Self { depth: decode_depth, elements: decode_elements, growth: decode_growth }
    }
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self::from(&Limits::default())
    }
}

/// A deserializer of one payload.
pub(super) struct Bounded<'de> {
    input: postcard::Deserializer<'de, postcard::de_flavors::Slice<'de>>,
    left: Left,
    /// Which limit it was: the errors that are passed up are small.
    refusal: Option<&'static str>,
}

/// What is left of the limits.
#[derive(Clone, Copy)]
struct Left {
    depth: u32,
    elements: usize,
    memory: usize,
}

impl Left {
    const WITHOUT_LIMIT: Self = Self { depth: u32::MAX, elements: usize::MAX, memory: usize::MAX };
}

impl<'de> Bounded<'de> {
    pub(super) fn new(payload: &'de [u8], limits: DecodeLimits) -> Self {
        let left = Left {
            depth: limits.depth,
            // An element that takes a byte is paid for by that byte.
            elements: payload.len().saturating_add(limits.elements as usize),
            memory: payload.len().saturating_mul(limits.growth as usize).max(ROOM),
        };
        Self { input: postcard::Deserializer::from_bytes(payload), left, refusal: None }
    }

    /// What was not read.
    pub(super) fn rest(self) -> Result<&'de [u8], Error> {
        self.input.finalize()
    }

    #[cold]
    fn refuse(&mut self, limit: &'static str) -> Error {
        self.refusal = Some(limit);
        Error::SerdeDeCustom
    }

    /// An error of this payload's, in words.
    #[cold]
    pub(super) fn in_words(&self, error: Error) -> CodecError {
        self.refusal.map_or_else(|| error.into(), CodecError::new)
    }

    /// Reads what holds other things, and is a `T` in the end.
    #[inline]
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let depth = self.left.depth;
        let Some(below) = depth.checked_sub(1) else {
            return Err(self.refuse("the value nests too deep"));
        };
        self.left.depth = below;
        self.charge::<T>()?;
        let result = read(self);
        self.left.depth = depth;
        result
    }

    /// Takes the memory of a `T`.
    #[inline]
    fn charge<T>(&mut self) -> Result<(), Error> {
        match self.left.memory.checked_sub(size_of::<T>()) {
            Some(memory) => {
                self.left.memory = memory;
                Ok(())
            }
            None => Err(self.refuse("the value grows too large in memory")),
        }
    }

    /// Reads how many elements there are, and takes them.
    #[inline]
    fn elements(&mut self) -> Result<usize, Error> {
        let told = usize::deserialize(&mut self.input)?;
        match self.left.elements.checked_sub(told) {
            Some(elements) => {
                self.left.elements = elements;
                Ok(told)
            }
            None => Err(self.refuse("the value has too many elements")),
        }
    }
}

/// The kinds that hold nothing else.
macro_rules! plain {
    ($($method:ident, $visit:ident, $t:ty;)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(<$t>::deserialize(&mut self.input)?)
        }
    )* };
}

impl<'de> Deserializer<'de> for &mut Bounded<'de> {
    type Error = Error;

    plain! {
        deserialize_bool, visit_bool, bool;
        deserialize_i8, visit_i8, i8;
        deserialize_i16, visit_i16, i16;
        deserialize_i32, visit_i32, i32;
        deserialize_i64, visit_i64, i64;
        deserialize_i128, visit_i128, i128;
        deserialize_u8, visit_u8, u8;
        deserialize_u16, visit_u16, u16;
        deserialize_u32, visit_u32, u32;
        deserialize_u64, visit_u64, u64;
        deserialize_u128, visit_u128, u128;
        deserialize_f32, visit_f32, f32;
        deserialize_f64, visit_f64, f64;
        deserialize_char, visit_char, char;
        deserialize_str, visit_borrowed_str, &'de str;
        deserialize_string, visit_borrowed_str, &'de str;
        deserialize_bytes, visit_borrowed_bytes, &'de [u8];
        deserialize_byte_buf, visit_borrowed_bytes, &'de [u8];
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match u8::deserialize(&mut self.input)? {
            0 => visitor.visit_none(),
            1 => self.nested(|this| visitor.visit_some(this)),
            _ => Err(Error::DeserializeBadOption),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == value::NAME {
            // It has limits of its own (R-VALUE-3, R-VALUE-4).
            let outside = std::mem::replace(&mut self.left, Left::WITHOUT_LIMIT);
            let value = visitor.visit_newtype_struct(&mut *self);
            self.left = outside;
            return value;
        }
        self.nested(|this| visitor.visit_newtype_struct(this))
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.elements()?;
        self.nested(|of| visitor.visit_seq(Elements { of, left }))
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.elements()?;
        self.nested(|of| visitor.visit_map(Elements { of, left }))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.nested(|of| visitor.visit_seq(Fields { of, left }))
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.nested(|of| visitor.visit_enum(Variant { of }))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::WontImplement)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::WontImplement)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::WontImplement)
    }
}

/// As many elements as the payload says.
struct Elements<'a, 'de> {
    of: &'a mut Bounded<'de>,
    left: usize,
}

impl<'de> Elements<'_, 'de> {
    #[inline]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.of.charge::<S::Value>()?;
        seed.deserialize(&mut *self.of).map(Some)
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.next(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(ROOM_AHEAD))
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.next(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.of.charge::<S::Value>()?;
        seed.deserialize(&mut *self.of)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(ROOM_AHEAD))
    }
}

/// As many things as the type says: they are part of what was charged for.
struct Fields<'a, 'de> {
    of: &'a mut Bounded<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.of).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant of an enum.
struct Variant<'a, 'de> {
    of: &'a mut Bounded<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let place = u32::deserialize(&mut self.of.input)?;
        let place: U32Deserializer<Error> = place.into_deserializer();
        Ok((seed.deserialize(place)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    #[inline]
    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.of)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { of: self.of, left })
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.tuple_variant(fields.len(), visitor)
    }
}
