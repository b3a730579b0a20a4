//! Values from the usual Rust types.

use super::{Object, Value};

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Null
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

macro_rules! from_integers {
    ($($type:ty)*) => {$(
        impl From<$type> for Value {
            fn from(integer: $type) -> Self {
                Self::Int(i128::from(integer))
            }
        }
    )*};
}

from_integers! { i8 i16 i32 i64 i128 u8 u16 u32 u64 }

impl From<u128> for Value {
    /// An [`Int`](Value::Int) if it fits. (R-VALUE-2)
    fn from(integer: u128) -> Self {
        i128::try_from(integer).map_or(Self::Uint(integer), Self::Int)
    }
}

impl From<isize> for Value {
    fn from(integer: isize) -> Self {
        Self::Int(integer as i128)
    }
}

impl From<usize> for Value {
    fn from(integer: usize) -> Self {
        Self::Int(integer as i128)
    }
}

impl From<f32> for Value {
    fn from(float: f32) -> Self {
        Self::F32(float)
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::F64(float)
    }
}

impl From<char> for Value {
    fn from(character: char) -> Self {
        Self::Text(character.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(items)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(Box::new(object))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Self {
        option.map_or(Self::Null, |content| Self::some(content.into()))
    }
}
