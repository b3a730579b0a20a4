//! `Value`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wirestream::{Fields, Limits, Value, fuzz};

/// A type of a user's.
#[derive(Debug, Serialize, Deserialize)]
struct Account {
    id: u128,
    initial: char,
    position: Option<(f32, f64)>,
    roles: Vec<Role>,
    settings: BTreeMap<(i8, String), Option<Option<bool>>>,
    parent: Option<Box<Account>>,
    extra: Value,
}

#[derive(Debug, Serialize, Deserialize)]
enum Role {
    Guest,
    Member(u32),
    Span(i8, u64),
    Admin { since: i128, over: Vec<Role> },
}

/// What decodes is within the value's own limits (R-VALUE-3, R-VALUE-4), is the same once it is
/// encoded again, prints, and whatever Rust type it becomes comes back from that.
pub fn value(data: &[u8]) {
    let is_read_by_postcard = matches!(postcard::take_from_bytes::<Value>(data), Ok((_, [])));
    let decoded = decode(data);
    assert_eq!(decoded.is_ok(), is_read_by_postcard);
    let Ok(value) = decoded else { return };
    let mut elements = 0;
    let depth = measure(&value, &mut elements);
    assert!(depth <= Value::MAX_DEPTH, "{depth} deep");
    assert!(elements <= Value::MAX_ELEMENTS, "{elements} elements");
    let sent = fuzz::encode(&value).expect("a value within the limits");
    // A small integer in the wide form is taken for what it is, which may take a byte more.
    assert!(sent.len() <= data.len() + data.len() / 2, "it grew");
    let received = decode(&sent).expect("what was sent");
    assert_eq!(fuzz::encode(&received).as_ref(), Ok(&sent));
    assert_eq!(value.to_string(), received.to_string());
    assert_eq!(format!("{value:#}"), format!("{received:#}"));
    check_accessors(&value);
    comes_back::<Account>(&value);
    comes_back::<Role>(&value);
    comes_back::<BTreeMap<String, Vec<Option<i64>>>>(&value);
    comes_back::<(u8, f32, Vec<char>)>(&value);
    comes_back::<Value>(&value);
}

fn decode(bytes: &[u8]) -> Result<Value, wirestream::CodecError> {
    fuzz::decode(bytes, &Limits::default())
}

/// How deep a value is. Counts its elements.
fn measure(value: &Value, elements: &mut usize) -> usize {
    let mut parts: Vec<&Value> = Vec::new();
    match value {
        Value::List(items) => parts.extend(items),
        Value::Map(entries) => {
            // A key costs nothing beside its entry.
            *elements += entries.len();
            let pairs = entries.iter().flat_map(|(key, value)| [key, value]);
            return 1 + pairs.map(|part| measure(part, elements)).max().unwrap_or(0);
        }
        Value::Object(object) => match &object.fields {
            Fields::Unit => {}
            Fields::Tuple(items) => parts.extend(items),
            Fields::Named(fields) => parts.extend(fields.iter().map(|(_, value)| value)),
        },
        Value::Some(content) => parts.push(content),
        _ => return 0,
    }
    *elements += parts.len();
    1 + parts.into_iter().map(|part| measure(part, elements)).max().unwrap_or(0)
}

/// An integer is the same number however it is asked for.
fn check_accessors(value: &Value) {
    if let (Some(integer), Some(float)) = (value.as_i64(), value.as_f64()) {
        assert_eq!(float as i64, integer);
    }
    if let Value::Object(object) = value {
        assert_eq!(value.name(), Some(&*object.name));
    }
}

/// What a value becomes makes a value that becomes the same.
fn comes_back<T: Serialize + for<'de> Deserialize<'de>>(value: &Value) {
    let Ok(typed) = value.to::<T>() else { return };
    // It may be larger than a value may be: a default of the type's, say.
    let Ok(again) = Value::from_serialize(&typed) else { return };
    let back: T = again.to().expect("what was made of it");
    assert_eq!(fuzz::encode(&back), fuzz::encode(&typed));
}
