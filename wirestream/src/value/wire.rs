//! The wire form: an externally tagged enum whose tags are fixed. (R-VALUE-1)
//!
//! Both traits are written by hand. Writing checks the limits before the first byte; reading
//! carries them down through seeds, so that no input makes it recurse or allocate past them. The
//! whole value is wrapped in a newtype struct, which formats pass through, to tell this crate's own
//! serialiser and deserialiser that a [`Value`] is coming.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, EnumAccess, Error as _, SeqAccess, VariantAccess, Visitor};
use serde::ser::{Error as _, SerializeTupleVariant};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::limits::Limits;
use super::{Fields, Object, Value};

/// The serde name of [`Value`]: not a Rust identifier, so that no derived type has it.
pub(crate) const NAME: &str = "wirestream::Value";

const FIELDS: &str = "wirestream::Fields";

/// Tags of [`Value`] in the order of their numbers.
#[derive(Deserialize)]
#[serde(variant_identifier)]
enum Tag {
    Null,
    Bool,
    Int,
    Uint,
    F32,
    F64,
    Text,
    Bytes,
    List,
    Map,
    Object,
    Some,
}

/// Tags of [`Fields`] in the order of their numbers.
#[derive(Deserialize)]
#[serde(variant_identifier)]
enum FieldsTag {
    Unit,
    Tuple,
    Named,
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Limits::of_a_value(|limits| limits.take_value(self)).map_err(S::Error::custom)?;
        serializer.serialize_newtype_struct(NAME, &Wire(self))
    }
}

/// Writes a part of a value whose limits have been checked.
struct Wire<'a, T: ?Sized>(&'a T);

impl Serialize for Wire<'_, Value> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => s.serialize_unit_variant(NAME, 0, "Null"),
            Value::Bool(truth) => s.serialize_newtype_variant(NAME, 1, "Bool", truth),
            Value::Int(integer) => s.serialize_newtype_variant(NAME, 2, "Int", integer),
            Value::Uint(integer) => s.serialize_newtype_variant(NAME, 3, "Uint", integer),
            Value::F32(float) => s.serialize_newtype_variant(NAME, 4, "F32", float),
            Value::F64(float) => s.serialize_newtype_variant(NAME, 5, "F64", float),
            Value::Text(text) => s.serialize_newtype_variant(NAME, 6, "Text", text),
            Value::Bytes(bytes) => {
                s.serialize_newtype_variant(NAME, 7, "Bytes", &Wire(bytes.as_slice()))
            }
            Value::List(items) => {
                s.serialize_newtype_variant(NAME, 8, "List", &Wire(items.as_slice()))
            }
            Value::Map(entries) => {
                s.serialize_newtype_variant(NAME, 9, "Map", &Wire(entries.as_slice()))
            }
            Value::Object(object) => {
                let Object { name, variant, fields } = &**object;
                let mut tuple = s.serialize_tuple_variant(NAME, 10, "Object", 3)?;
                tuple.serialize_field(name)?;
                tuple.serialize_field(variant)?;
                tuple.serialize_field(&Wire(fields))?;
                tuple.end()
            }
            Value::Some(content) => {
                s.serialize_newtype_variant(NAME, 11, "Some", &Wire(&**content))
            }
        }
    }
}

impl Serialize for Wire<'_, Fields> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Fields::Unit => s.serialize_unit_variant(FIELDS, 0, "Unit"),
            Fields::Tuple(items) => {
                s.serialize_newtype_variant(FIELDS, 1, "Tuple", &Wire(items.as_slice()))
            }
            Fields::Named(fields) => {
                s.serialize_newtype_variant(FIELDS, 2, "Named", &Wire(fields.as_slice()))
            }
        }
    }
}

impl Serialize for Wire<'_, [u8]> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(self.0)
    }
}

impl Serialize for Wire<'_, [Value]> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter().map(Wire))
    }
}

impl Serialize for Wire<'_, [(Value, Value)]> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter().map(|(key, value)| (Wire(key), Wire(value))))
    }
}

impl Serialize for Wire<'_, [(String, Value)]> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter().map(|(name, value)| (name, Wire(value))))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, Whole)
    }
}

/// Reads a whole value, under fresh limits.
struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Value, D::Error> {
        Limits::of_a_value(|limits| ValueSeed(limits).deserialize(deserializer))
    }

    /// A value within a value is handed over in its postcard bytes.
    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Value, E> {
        postcard::from_bytes(&bytes).map_err(E::custom)
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct ValueSeed<'a>(Limits<'a>);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        const TAGS: &[&str] = &[
            "Null", "Bool", "Int", "Uint", "F32", "F64", "Text", "Bytes", "List", "Map", "Object",
            "Some",
        ];
        deserializer.deserialize_enum(NAME, TAGS, self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let (tag, content) = data.variant()?;
        let nested = || self.0.nested().map_err(A::Error::custom);
        match tag {
            Tag::Null => content.unit_variant().map(|()| Value::Null),
            Tag::Bool => content.newtype_variant().map(Value::Bool),
            Tag::Int => content.newtype_variant().map(Value::Int),
            // A small integer in the wide form is taken for what it is. (R-VALUE-2)
            Tag::Uint => content.newtype_variant::<u128>().map(Value::from),
            Tag::F32 => content.newtype_variant().map(Value::F32),
            Tag::F64 => content.newtype_variant().map(Value::F64),
            Tag::Text => content.newtype_variant().map(Value::Text),
            Tag::Bytes => content.newtype_variant_seed(BytesSeed).map(Value::Bytes),
            Tag::List => content.newtype_variant_seed(Elements::items(nested()?)).map(Value::List),
            Tag::Map => content.newtype_variant_seed(Elements::entries(nested()?)).map(Value::Map),
            Tag::Object => {
                let object = content.tuple_variant(3, ObjectVisitor(nested()?))?;
                Ok(Value::Object(Box::new(object)))
            }
            Tag::Some => {
                self.0.take_element().map_err(A::Error::custom)?;
                let content = content.newtype_variant_seed(ValueSeed(nested()?))?;
                Ok(Value::Some(Box::new(content)))
            }
        }
    }
}

/// Reads an object: its name, its variant, its fields.
struct ObjectVisitor<'a>(Limits<'a>);

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object's name, variant and fields")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Object, A::Error> {
        let missing =
            |index| A::Error::invalid_length(index, &"an object's name, variant and fields");
        let name = seq.next_element()?.ok_or_else(|| missing(0))?;
        let variant = seq.next_element()?.ok_or_else(|| missing(1))?;
        let fields = seq.next_element_seed(FieldsSeed(self.0))?.ok_or_else(|| missing(2))?;
        Ok(Object { name, variant, fields })
    }
}

/// Reads an object's fields.
struct FieldsSeed<'a>(Limits<'a>);

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_enum(FIELDS, &["Unit", "Tuple", "Named"], self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object's fields")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Fields, A::Error> {
        let (tag, content) = data.variant()?;
        match tag {
            FieldsTag::Unit => content.unit_variant().map(|()| Fields::Unit),
            FieldsTag::Tuple => {
                content.newtype_variant_seed(Elements::items(self.0)).map(Fields::Tuple)
            }
            FieldsTag::Named => {
                content.newtype_variant_seed(Elements::fields(self.0)).map(Fields::Named)
            }
        }
    }
}

/// Reads the elements of a container, each by the same seed.
struct Elements<'a, S> {
    limits: Limits<'a>,
    element: S,
}

impl<'a> Elements<'a, ValueSeed<'a>> {
    fn items(limits: Limits<'a>) -> Self {
        Self { limits, element: ValueSeed(limits) }
    }
}

impl<'a> Elements<'a, Pair<ValueSeed<'a>, ValueSeed<'a>>> {
    fn entries(limits: Limits<'a>) -> Self {
        Self { limits, element: Pair(ValueSeed(limits), ValueSeed(limits)) }
    }
}

impl<'a> Elements<'a, Pair<PhantomData<String>, ValueSeed<'a>>> {
    fn fields(limits: Limits<'a>) -> Self {
        Self { limits, element: Pair(PhantomData, ValueSeed(limits)) }
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for Elements<'_, S> {
    type Value = Vec<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for Elements<'_, S> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence of elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        // Grows as elements arrive: the declared length is only a claim. (R-VALUE-5)
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(self.element)? {
            self.limits.take_element().map_err(A::Error::custom)?;
            elements.push(element);
        }
        Ok(elements)
    }
}

/// Reads a pair by the seeds of its halves.
#[derive(Clone, Copy)]
struct Pair<K, V>(K, V);

impl<'de, K: DeserializeSeed<'de>, V: DeserializeSeed<'de>> DeserializeSeed<'de> for Pair<K, V> {
    type Value = (K::Value, V::Value);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_tuple(2, self)
    }
}

impl<'de, K: DeserializeSeed<'de>, V: DeserializeSeed<'de>> Visitor<'de> for Pair<K, V> {
    type Value = (K::Value, V::Value);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let key =
            seq.next_element_seed(self.0)?.ok_or_else(|| A::Error::invalid_length(0, &"a pair"))?;
        let value =
            seq.next_element_seed(self.1)?.ok_or_else(|| A::Error::invalid_length(1, &"a pair"))?;
        Ok((key, value))
    }
}

/// Reads bytes, whether the format has them or only sequences of numbers.
struct BytesSeed;

impl<'de> DeserializeSeed<'de> for BytesSeed {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_byte_buf(self)
    }
}

impl<'de> Visitor<'de> for BytesSeed {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}
