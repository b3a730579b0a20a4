//! The self-describing value of mixed streams.

mod convert;
mod de;
mod display;
mod error;
mod limits;
mod ser;
#[cfg(test)]
mod tests;
mod wire;

use serde::{Deserialize, Serialize};

pub use self::error::ValueError;
pub(crate) use self::wire::NAME;

/// A value that carries its own shape, for streams whose items differ.
///
/// A typed stream needs no [`Value`]: both ends know the type. A mixed stream does. Its sender
/// turns each item into a value, most often a named [`Object`]; its receiver looks at the name and
/// asks for the type behind it:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wirestream::{Value, ValueError};
///
/// #[derive(Serialize, Deserialize)]
/// struct Player {
///     name: String,
///     level: u32,
/// }
///
/// fn describe(value: &Value) -> Result<String, ValueError> {
///     Ok(match value.name() {
///         Some("Player") => {
///             let player = value.to::<Player>()?;
///             format!("{} reached level {}", player.name, player.level)
///         }
///         _ => value.to_string(),
///     })
/// }
///
/// let ann = Value::object(&Player { name: "Ann".into(), level: 3 })?;
/// assert_eq!(describe(&ann)?, "Ann reached level 3");
/// assert_eq!(describe(&Value::from("Hello"))?, "Hello");
/// assert_eq!(describe(&Value::from(42))?, "42");
/// # Ok::<(), ValueError>(())
/// ```
///
/// # From Rust and back
///
/// [`Value::from_serialize`] takes any serde type, and [`Value::to`] gives it back without loss:
///
/// | Rust | value |
/// |---|---|
/// | `()`, `None` | [`Null`](Value::Null) |
/// | `Some(x)` | `x` itself; [`Some`](Value::Some) only where `x` is null or again a `Some` |
/// | any integer | [`Int`](Value::Int); [`Uint`](Value::Uint) only above [`i128::MAX`] |
/// | `char`, `str`, `String` | [`Text`](Value::Text) |
/// | serde's bytes | [`Bytes`](Value::Bytes); a `Vec<u8>` that serde sees as a sequence is a list |
/// | sequence, set, tuple, array | [`List`](Value::List) |
/// | map, struct with a flattened field | [`Map`](Value::Map) |
/// | struct, enum | [`Object`](Value::Object) under the type's serde name |
/// | `Value` | itself |
///
/// On the way back a type that has a name takes an object of that name only, else
/// [`ValueError::WrongName`]; it also takes data without a name, such as a map for a struct. A type
/// without a name takes an object's data whatever its name. An integer serves any type of integer
/// or float that holds it exactly, a float any type of float that does; else it is an error.
///
/// Serde itself buffers the content of `untagged`, internally tagged and flattened types; its
/// buffer holds neither integers beyond 64 bits nor a nested `Value`.
///
/// # On the wire
///
/// A value travels as the externally tagged enum it is. In postcard that is one tag byte and the
/// content; `spec/value.md` has the layout. The limits [`Value::MAX_DEPTH`] and
/// [`Value::MAX_ELEMENTS`] hold wherever a value is made from serde data, written or read, so what
/// one end sends the other can read.
///
/// # In print
///
/// [`Display`](std::fmt::Display) is for people: text as it is, but in quotes within other values,
/// and bytes in hex. `{:#}` spreads containers over lines.
///
/// ```
/// use wirestream::Value;
///
/// let list = vec![Value::from(1), "a".into(), ().into(), vec![0xca_u8, 0xfe].into()];
/// assert_eq!(Value::from(list).to_string(), r#"[1, "a", null, 0xcafe]"#);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing: the unit, or an option without content.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// An integer above [`i128::MAX`]; smaller ones are [`Int`](Self::Int).
    Uint(u128),
    /// A float of 32 bits.
    F32(f32),
    /// A float of 64 bits.
    F64(f64),
    /// Text.
    Text(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Value>),
    /// Pairs of key and value, in the order of the sender. Any value can be a key; keys may repeat.
    Map(Vec<(Value, Value)>),
    /// A struct or enum of the sender's own.
    Object(Box<Object>),
    /// A present option around null or around another `Some`, which would otherwise read as absent.
    Some(Box<Value>),
}

/// A struct or enum value under the name of its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The type's name, as serde gives it: `Player`, without path or generics.
    pub name: String,
    /// The variant's name if the type is an enum.
    pub variant: Option<String>,
    /// The data.
    pub fields: Fields,
}

/// The data of an [`Object`].
#[derive(Debug, Clone, PartialEq)]
pub enum Fields {
    /// None, as in `struct Ping;`.
    Unit,
    /// By position, as in `struct Point(f64, f64);`.
    Tuple(Vec<Value>),
    /// By name, as in `struct Player { name: String }`.
    Named(Vec<(String, Value)>),
}

impl Value {
    /// How many containers may stand within one another: 64. Lists, maps, objects and
    /// [`Some`](Self::Some) are containers, also when empty.
    ///
    /// Data made by people nests a dozen levels. Each level costs the reader stack, and 64 fit well
    /// in a thread of 2 MiB.
    pub const MAX_DEPTH: usize = 64;

    /// How many list items, map entries, object fields and contents of [`Some`](Self::Some) one
    /// value may hold in all: 16,384.
    ///
    /// An element can be a single byte on the wire but dozens in memory; the limit keeps what a
    /// hostile value takes, beyond its texts and bytes, to a few megabytes.
    pub const MAX_ELEMENTS: usize = 16_384;

    /// Turns anything serialisable into a value.
    ///
    /// # Errors
    ///
    /// [`ValueError::TooDeep`] and [`ValueError::TooManyElements`] beyond the limits,
    /// [`ValueError::Custom`] if the type's own `Serialize` fails.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use wirestream::Value;
    ///
    /// let value = Value::from_serialize(&BTreeMap::from([(1, "one"), (2, "two")]))?;
    /// assert_eq!(value.to_string(), r#"{1: "one", 2: "two"}"#);
    /// # Ok::<(), wirestream::ValueError>(())
    /// ```
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        ser::serialize(value)
    }

    /// Turns a struct or enum into an [`Object`] under its type's name.
    ///
    /// # Errors
    ///
    /// [`ValueError::Unnamed`] for a type without a serde name (a number, a list, a struct with a
    /// flattened field), else as [`from_serialize`](Self::from_serialize).
    pub fn object<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        let value = Self::from_serialize(value)?;
        if value.name().is_some() { Ok(value) } else { Err(ValueError::Unnamed) }
    }

    /// Reads the value as a `T`, which can borrow its texts and bytes from here.
    ///
    /// # Errors
    ///
    /// [`ValueError::WrongName`] if this is an object of another type, and else the variant that
    /// says how the data does not fit `T`. A number that `T` cannot hold exactly is
    /// [`ValueError::InvalidValue`].
    ///
    /// ```
    /// use wirestream::{Value, ValueError};
    ///
    /// assert_eq!(Value::from(200).to::<u8>(), Ok(200));
    /// assert!(matches!(Value::from(300).to::<u8>(), Err(ValueError::InvalidValue { .. })));
    /// ```
    pub fn to<'de, T: Deserialize<'de>>(&'de self) -> Result<T, ValueError> {
        T::deserialize(self)
    }

    /// The type's name if this is an object.
    pub fn name(&self) -> Option<&str> {
        if let Self::Object(object) = self { Some(&object.name) } else { None }
    }

    /// The variant's name if this is an object of an enum.
    pub fn variant(&self) -> Option<&str> {
        if let Self::Object(object) = self { object.variant.as_deref() } else { None }
    }

    /// The field of that name in an object, or the first entry under that text in a map.
    ///
    /// ```
    /// use wirestream::Value;
    ///
    /// let map = Value::Map(vec![("level".into(), 3.into())]);
    /// assert_eq!(map.get("level"), Some(&Value::Int(3)));
    /// assert_eq!(map.get("name"), None);
    /// ```
    pub fn get(&self, key: &str) -> Option<&Self> {
        if let Self::Map(entries) = self {
            return entries
                .iter()
                .find(|(name, _)| name.as_str() == Some(key))
                .map(|(_, value)| value);
        }
        if let Self::Object(object) = self
            && let Fields::Named(fields) = &object.fields
        {
            return fields.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        }
        None
    }

    /// The truth value if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The integer if this is one and fits. Match on [`Int`](Self::Int) for wider ones.
    pub fn as_i64(&self) -> Option<i64> {
        self.integer()
    }

    /// The number, be it float or integer, if this is one and an `f64` holds it exactly.
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::F64(float) = self {
            Some(*float)
        } else if let Self::F32(float) = self {
            Some(f64::from(*float))
        } else if let Self::Int(integer) = self {
            is_exact_in_f64(integer.unsigned_abs()).then_some(*integer as f64)
        } else if let Self::Uint(integer) = self {
            is_exact_in_f64(*integer).then_some(*integer as f64)
        } else {
            None
        }
    }

    /// The text if this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The bytes if this is bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The items if this is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The integer if this is one and a `T` holds it.
    fn integer<T: TryFrom<i128> + TryFrom<u128>>(&self) -> Option<T> {
        if let Self::Int(integer) = self {
            T::try_from(*integer).ok()
        } else if let Self::Uint(integer) = self {
            T::try_from(*integer).ok()
        } else {
            None
        }
    }

    /// A present option around `content`. (R-VALUE-6)
    fn some(content: Self) -> Self {
        if matches!(content, Self::Null | Self::Some(_)) {
            Self::Some(Box::new(content))
        } else {
            content
        }
    }
}

/// Whether an integer of this magnitude survives the trip through `f64`: its significant bits fit
/// the mantissa.
fn is_exact_in_f64(magnitude: u128) -> bool {
    let outside = magnitude.leading_zeros() + magnitude.trailing_zeros();
    u128::BITS.saturating_sub(outside) <= f64::MANTISSA_DIGITS
}
