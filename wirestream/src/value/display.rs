//! Values in print, for people.

use std::fmt;

use super::{Fields, Object, Value};

/// How many bytes of a [`Value::Bytes`] are printed.
const BYTES_SHOWN: usize = 16;

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Text(text) = self { f.pad(text) } else { fmt::Debug::fmt(&Nested(self), f) }
    }
}

/// A value in print within another: text stands in quotes. It is `Debug` that it implements because
/// std builds lists, maps and structs from that, on one line or spread over several.
struct Nested<'a>(&'a Value);

impl fmt::Debug for Nested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.pad("null"),
            Value::Bool(truth) => fmt::Debug::fmt(truth, f),
            Value::Int(integer) => fmt::Debug::fmt(integer, f),
            Value::Uint(integer) => fmt::Debug::fmt(integer, f),
            Value::F32(float) => fmt::Debug::fmt(float, f),
            Value::F64(float) => fmt::Debug::fmt(float, f),
            Value::Text(text) => fmt::Debug::fmt(text, f),
            Value::Bytes(bytes) => print_bytes(bytes, f),
            Value::List(items) => f.debug_list().entries(items.iter().map(Nested)).finish(),
            Value::Map(entries) => f
                .debug_map()
                .entries(entries.iter().map(|(key, value)| (Nested(key), Nested(value))))
                .finish(),
            Value::Object(object) => print_object(object, f),
            Value::Some(content) => f.debug_tuple("Some").field(&Nested(content)).finish(),
        }
    }
}

fn print_bytes(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("0x")?;
    for byte in bytes.iter().take(BYTES_SHOWN) {
        write!(f, "{byte:02x}")?;
    }
    if bytes.len() > BYTES_SHOWN {
        write!(f, "… ({} bytes)", bytes.len())?;
    }
    Ok(())
}

fn print_object(object: &Object, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let title = match &object.variant {
        Some(variant) => format!("{}::{variant}", object.name),
        None => object.name.clone(),
    };
    match &object.fields {
        Fields::Unit => f.write_str(&title),
        Fields::Tuple(items) => {
            let mut tuple = f.debug_tuple(&title);
            for item in items {
                tuple.field(&Nested(item));
            }
            tuple.finish()
        }
        Fields::Named(fields) => {
            let mut named = f.debug_struct(&title);
            for (name, value) in fields {
                named.field(name, &Nested(value));
            }
            named.finish()
        }
    }
}
