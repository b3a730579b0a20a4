//! From a value to any serde type.

use std::iter;

use serde::de::value::{
    BorrowedStrDeserializer, MapAccessDeserializer, MapDeserializer, SeqDeserializer,
};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::limits::Limits;
use super::{Fields, Object, Value, ValueError, wire};

/// Methods for the integer types: in range, or an error; anything else is the visitor's to refuse.
macro_rules! deserialize_integers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            if !matches!(self, Value::Int(_) | Value::Uint(_)) {
                return self.deserialize_any(visitor);
            }
            let integer = self.integer().ok_or_else(|| self.does_not_fit(stringify!($type)))?;
            visitor.$visit(integer)
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Value {
    type Error = ValueError;

    deserialize_integers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit map identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Int(integer) => match (u64::try_from(*integer), i64::try_from(*integer)) {
                (Ok(integer), _) => visitor.visit_u64(integer),
                (_, Ok(integer)) => visitor.visit_i64(integer),
                _ => visitor.visit_i128(*integer),
            },
            Value::Uint(integer) => match u64::try_from(*integer) {
                Ok(integer) => visitor.visit_u64(integer),
                Err(_) => visitor.visit_u128(*integer),
            },
            Value::F32(float) => visitor.visit_f32(*float),
            Value::F64(float) => visitor.visit_f64(*float),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::List(items) => visit_items(items, visitor),
            Value::Map(entries) => {
                visit_entries(entries.iter().map(|(key, value)| (key, value)), visitor)
            }
            Value::Object(object) => visit_object(object, visitor),
            Value::Some(content) => visitor.visit_some(&**content),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if let Value::F32(float) = self {
            return visitor.visit_f32(*float);
        }
        if !self.is_number() {
            return self.deserialize_any(visitor);
        }
        let is_exact = |wide: &f64| wide.is_nan() || f64::from(*wide as f32) == *wide;
        let wide = self.as_f64().filter(is_exact).ok_or_else(|| self.does_not_fit("f32"))?;
        visitor.visit_f32(wide as f32)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if !self.is_number() {
            return self.deserialize_any(visitor);
        }
        visitor.visit_f64(self.as_f64().ok_or_else(|| self.does_not_fit("f64"))?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if let Value::Null = self {
            visitor.visit_none()
        } else if let Value::Some(content) = self {
            visitor.visit_some(&**content)
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if let Value::Bytes(bytes) = self {
            return SeqDeserializer::new(bytes.iter().copied()).deserialize_any(visitor);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.struct_fields(name, &visitor)? {
            Some(fields) => visit_fields(fields, visitor),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if name == wire::NAME {
            Limits::of_a_value(|limits| limits.take_value(self))?;
            return visitor
                .visit_byte_buf(postcard::to_allocvec(self).map_err(ValueError::custom)?);
        }
        match self.struct_fields(name, &visitor)? {
            Some(fields) => {
                let content = fields.only(&visitor)?;
                visitor.visit_newtype_struct(content)
            }
            None => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.struct_fields(name, &visitor)? {
            Some(fields) => visit_fields(fields, visitor),
            None => self.deserialize_seq(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.struct_fields(name, &visitor)? {
            Some(fields) => visit_fields(fields, visitor),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if let Value::Object(object) = self {
            check_name(object, name)?;
            return match &object.variant {
                Some(variant) => {
                    visitor.visit_enum(Variant { name: variant, fields: &object.fields })
                }
                None => Err(ValueError::invalid_type(Unexpected::Other("struct"), &visitor)),
            };
        }
        // Data without a name, as formats that do not know enums have it: a text, or a map from
        // variant to content.
        if let Value::Text(variant) = self {
            return visitor.visit_enum(BorrowedStrDeserializer::new(variant));
        }
        if let Value::Map(entries) = self
            && let [(variant @ Value::Text(_), content)] = entries.as_slice()
        {
            let entry = MapDeserializer::new(iter::once((variant, content)));
            return visitor.visit_enum(MapAccessDeserializer::new(entry));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }
}

impl<'de> IntoDeserializer<'de, ValueError> for &'de Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Value {
    fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Uint(_) | Self::F32(_) | Self::F64(_))
    }

    fn does_not_fit(&self, number: &str) -> ValueError {
        ValueError::InvalidValue { expected: number.to_owned(), found: format!("number `{self}`") }
    }

    /// The fields if this is an object, which must then be the struct of that name; none if it is
    /// data without a name.
    fn struct_fields(
        &self,
        name: &'static str,
        expected: &dyn Expected,
    ) -> Result<Option<&Fields>, ValueError> {
        let Self::Object(object) = self else { return Ok(None) };
        check_name(object, name)?;
        match object.variant {
            Some(_) => Err(ValueError::invalid_type(Unexpected::Enum, expected)),
            None => Ok(Some(&object.fields)),
        }
    }
}

impl Fields {
    /// The one field of a newtype.
    fn only(&self, expected: &dyn Expected) -> Result<&Value, ValueError> {
        match self {
            Self::Tuple(items) => match items.as_slice() {
                [content] => Ok(content),
                items => Err(ValueError::invalid_length(items.len(), expected)),
            },
            Self::Unit | Self::Named(_) => {
                Err(ValueError::invalid_type(self.unexpected(), expected))
            }
        }
    }

    fn unexpected(&self) -> Unexpected<'static> {
        match self {
            Self::Unit => Unexpected::Unit,
            Self::Tuple(_) => Unexpected::Seq,
            Self::Named(_) => Unexpected::Map,
        }
    }
}

fn check_name(object: &Object, expected: &'static str) -> Result<(), ValueError> {
    if object.name == expected {
        Ok(())
    } else {
        Err(ValueError::WrongName { expected, found: object.name.clone() })
    }
}

/// Shows an object to a type without a name, the way formats without names do: a newtype as its
/// content, a variant as its name or as a map from that to its content.
fn visit_object<'de, V: Visitor<'de>>(
    object: &'de Object,
    visitor: V,
) -> Result<V::Value, ValueError> {
    let data = Data(&object.fields);
    match &object.variant {
        None => data.deserialize_any(visitor),
        Some(variant) if matches!(object.fields, Fields::Unit) => {
            visitor.visit_borrowed_str(variant)
        }
        Some(variant) => {
            visit_entries(iter::once((BorrowedStrDeserializer::new(variant), data)), visitor)
        }
    }
}

fn visit_fields<'de, V: Visitor<'de>>(
    fields: &'de Fields,
    visitor: V,
) -> Result<V::Value, ValueError> {
    match fields {
        Fields::Unit => visitor.visit_unit(),
        Fields::Tuple(items) => visit_items(items, visitor),
        Fields::Named(fields) => visit_entries(
            fields.iter().map(|(name, value)| (BorrowedStrDeserializer::new(name), value)),
            visitor,
        ),
    }
}

fn visit_items<'de, V: Visitor<'de>>(
    items: &'de [Value],
    visitor: V,
) -> Result<V::Value, ValueError> {
    SeqDeserializer::new(items.iter()).deserialize_any(visitor)
}

fn visit_entries<'de, V, K, E>(
    entries: impl Iterator<Item = (K, E)>,
    visitor: V,
) -> Result<V::Value, ValueError>
where
    V: Visitor<'de>,
    K: IntoDeserializer<'de, ValueError>,
    E: IntoDeserializer<'de, ValueError>,
{
    MapDeserializer::new(entries).deserialize_any(visitor)
}

/// An object's fields as data without a name.
struct Data<'de>(&'de Fields);

impl<'de> Deserializer<'de> for Data<'de> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if let Fields::Tuple(items) = self.0
            && let [content] = items.as_slice()
        {
            return content.deserialize_any(visitor);
        }
        visit_fields(self.0, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de> IntoDeserializer<'de, ValueError> for Data<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// An object of an enum.
struct Variant<'de> {
    name: &'de str,
    fields: &'de Fields,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ValueError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self), ValueError> {
        Ok((seed.deserialize(BorrowedStrDeserializer::<ValueError>::new(self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        if let Fields::Unit = self.fields {
            return Ok(());
        }
        Err(ValueError::invalid_type(self.fields.unexpected(), &"unit variant"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, ValueError> {
        seed.deserialize(self.fields.only(&"newtype variant")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        visit_fields(self.fields, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visit_fields(self.fields, visitor)
    }
}
