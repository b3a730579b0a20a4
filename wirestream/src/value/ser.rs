//! From any serde type to a value.

use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::limits::Limits;
use super::{Fields, Object, Value, ValueError, wire};

/// Turns `value` into a [`Value`] under the limits of a whole one.
pub(super) fn serialize<T: Serialize + ?Sized>(value: &T) -> Result<Value, ValueError> {
    Limits::of_a_value(|limits| value.serialize(ValueSerializer { limits, in_some: false }))
}

/// Builds one value. Left human-readable, as serde's default is: its buffers, through which
/// `untagged` and flattened types are read back, cannot be otherwise.
struct ValueSerializer<'a> {
    limits: Limits<'a>,
    /// Whether this is directly the content of a `Some`: only then does another `Some` count as a
    /// level.
    in_some: bool,
}

impl ValueSerializer<'_> {
    fn unit(self, name: &str, variant: Option<&str>) -> Result<Value, ValueError> {
        self.limits.nested()?;
        Ok(object(name, variant, Fields::Unit))
    }

    fn newtype<T: Serialize + ?Sized>(
        self,
        name: &str,
        variant: Option<&str>,
        content: &T,
    ) -> Result<Value, ValueError> {
        let limits = self.limits.nested()?;
        Ok(object(name, variant, Fields::Tuple(vec![element(limits, content)?])))
    }

    /// A value within the type is taken for what it is. It comes as its wire form, and goes through
    /// those bytes.
    fn value<T: Serialize + ?Sized>(self, wire_form: &T) -> Result<Value, ValueError> {
        let bytes = postcard::to_allocvec(wire_form).map_err(ValueError::custom)?;
        let value = postcard::from_bytes(&bytes).map_err(ValueError::custom)?;
        self.limits.take_value(&value)?;
        Ok(value)
    }
}

macro_rules! serialize_scalars {
    ($($method:ident($type:ty),)*) => {$(
        fn $method(self, scalar: $type) -> Result<Value, ValueError> {
            Ok(scalar.into())
        }
    )*};
}

impl<'a> Serializer for ValueSerializer<'a> {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = NamedFields<'a>;
    type SerializeStructVariant = NamedFields<'a>;

    serialize_scalars! {
        serialize_bool(bool), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]),
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_i128(i128), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32),
        serialize_u64(u64), serialize_u128(u128), serialize_f32(f32), serialize_f64(f64),
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, content: &T) -> Result<Value, ValueError> {
        let limits = if self.in_some { self.limits.nested()? } else { self.limits };
        let value = Value::some(content.serialize(ValueSerializer { limits, in_some: true })?);
        if matches!(value, Value::Some(_)) {
            limits.nested()?.take_element()?;
        }
        Ok(value)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Value, ValueError> {
        self.unit(name, None)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, ValueError> {
        self.unit(name, Some(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        content: &T,
    ) -> Result<Value, ValueError> {
        if name == wire::NAME { self.value(content) } else { self.newtype(name, None, content) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        content: &T,
    ) -> Result<Value, ValueError> {
        self.newtype(name, Some(variant), content)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, ValueError> {
        Items::new(self.limits, None)
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, ValueError> {
        Items::new(self.limits, None)
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Items<'a>, ValueError> {
        Items::new(self.limits, Some((name, None)))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, ValueError> {
        Items::new(self.limits, Some((name, Some(variant))))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, ValueError> {
        Ok(Entries { limits: self.limits.nested()?, entries: Vec::new(), key: None })
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<NamedFields<'a>, ValueError> {
        Ok(NamedFields { limits: self.limits.nested()?, name, variant: None, fields: Vec::new() })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<NamedFields<'a>, ValueError> {
        Ok(NamedFields {
            limits: self.limits.nested()?,
            name,
            variant: Some(variant),
            fields: Vec::new(),
        })
    }
}

fn object(name: &str, variant: Option<&str>, fields: Fields) -> Value {
    Object { name: name.to_owned(), variant: variant.map(str::to_owned), fields }.into()
}

fn element<T: Serialize + ?Sized>(limits: Limits<'_>, content: &T) -> Result<Value, ValueError> {
    limits.take_element()?;
    content.serialize(ValueSerializer { limits, in_some: false })
}

/// Builds a list, or an object whose fields go by position.
struct Items<'a> {
    limits: Limits<'a>,
    object: Option<(&'static str, Option<&'static str>)>,
    items: Vec<Value>,
}

impl<'a> Items<'a> {
    fn new(
        limits: Limits<'a>,
        object: Option<(&'static str, Option<&'static str>)>,
    ) -> Result<Self, ValueError> {
        Ok(Self { limits: limits.nested()?, object, items: Vec::new() })
    }
}

macro_rules! serialize_items {
    ($($trait:ident::$method:ident,)*) => {$(
        impl $trait for Items<'_> {
            type Ok = Value;
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
                self.items.push(element(self.limits, item)?);
                Ok(())
            }

            fn end(self) -> Result<Value, ValueError> {
                Ok(match self.object {
                    None => Value::List(self.items),
                    Some((name, variant)) => object(name, variant, Fields::Tuple(self.items)),
                })
            }
        }
    )*};
}

serialize_items! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

/// Builds a map.
struct Entries<'a> {
    limits: Limits<'a>,
    entries: Vec<(Value, Value)>,
    key: Option<Value>,
}

impl SerializeMap for Entries<'_> {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = Some(element(self.limits, key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let key = self
            .key
            .take()
            .ok_or_else(|| ValueError::custom("a map's value came before its key"))?;
        // The key has paid for the entry.
        let value = value.serialize(ValueSerializer { limits: self.limits, in_some: false })?;
        self.entries.push((key, value));
        Ok(())
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(Value::Map(self.entries))
    }
}

/// Builds an object whose fields go by name.
struct NamedFields<'a> {
    limits: Limits<'a>,
    name: &'static str,
    variant: Option<&'static str>,
    fields: Vec<(String, Value)>,
}

macro_rules! serialize_named_fields {
    ($($trait:ident)*) => {$(
        impl $trait for NamedFields<'_> {
            type Ok = Value;
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                field: &T,
            ) -> Result<(), ValueError> {
                self.fields.push((name.to_owned(), element(self.limits, field)?));
                Ok(())
            }

            fn end(self) -> Result<Value, ValueError> {
                Ok(object(self.name, self.variant, Fields::Named(self.fields)))
            }
        }
    )*};
}

serialize_named_fields! { SerializeStruct SerializeStructVariant }
