//! `Value` in JSON and back, without loss.
//!
//! What JSON has is itself; what it has not is an object whose keys begin with `$`.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::convert::Infallible;

use serde_json::value::RawValue;
use wirestream_tokio::{Fields, Object, Value};

use super::{
    Json, Mismatch, look, push, read_bytes, read_f32, read_f64, write_all, write_bytes, write_f32,
    write_f64, write_text,
};

/// Reads a value. Its limits are checked when it is encoded, but for the depth.
pub(crate) fn read(raw: &RawValue) -> Result<Value, Mismatch> {
    nested(raw, Value::MAX_DEPTH)
}

fn nested(raw: &RawValue, depth_left: usize) -> Result<Value, Mismatch> {
    let inner = |raw: &RawValue| {
        let depth_left = depth_left.checked_sub(1);
        let too_deep = || Mismatch("the value is nested deeper than 64 levels".into());
        nested(raw, depth_left.ok_or_else(too_deep)?)
    };
    Ok(match look(raw)? {
        Json::Null => Value::Null,
        Json::Bool(truth) => truth.into(),
        Json::Number(text) if text.contains(['.', 'e', 'E']) => Value::F64(read_f64(raw)?),
        Json::Number(text) => match (text.parse::<i128>(), text.parse::<u128>()) {
            (Ok(integer), _) => Value::Int(integer),
            (_, Ok(integer)) => Value::Uint(integer),
            _ => return Err(Mismatch::new("an integer of at most 128 bits", raw)),
        },
        Json::Text(text) => text.into(),
        Json::List(items) => Value::List(items.into_iter().map(inner).collect::<Result<_, _>>()?),
        Json::Object(entries) if entries.iter().any(|(key, _)| key.starts_with('$')) => {
            special(raw, &entries, inner)?
        }
        Json::Object(entries) => {
            let entry = |(key, value): (String, &RawValue)| Ok((key.into(), inner(value)?));
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, _>>()?)
        }
    })
}

/// What JSON has no word for.
fn special(
    raw: &RawValue,
    entries: &[(String, &RawValue)],
    inner: impl Fn(&RawValue) -> Result<Value, Mismatch>,
) -> Result<Value, Mismatch> {
    if let [(key, content)] = entries {
        match &key[..] {
            "$f32" => return Ok(Value::F32(read_f32(content)?)),
            "$f64" => return Ok(Value::F64(read_f64(content)?)),
            "$bytes" => return Ok(Value::Bytes(read_bytes(content)?)),
            "$some" => return Ok(Value::Some(Box::new(inner(content)?))),
            "$map" => {
                let wrong = || Mismatch::new("a list of pairs", content);
                let Json::List(pairs) = look(content)? else { return Err(wrong()) };
                let pair = |raw: &RawValue| match look(raw)? {
                    Json::List(pair) if pair.len() == 2 => Ok((inner(pair[0])?, inner(pair[1])?)),
                    _ => Err(wrong()),
                };
                return Ok(Value::Map(pairs.into_iter().map(pair).collect::<Result<_, _>>()?));
            }
            _ => {}
        }
    }
    let (mut name, mut variant, mut fields) = (None, None, Fields::Unit);
    for (key, content) in entries {
        match (&key[..], look(content)?) {
            ("$object", Json::Text(text)) => name = Some(text),
            ("$variant", Json::Text(text)) => variant = Some(text),
            ("$fields", Json::List(items)) => {
                fields = Fields::Tuple(items.into_iter().map(&inner).collect::<Result<_, _>>()?);
            }
            ("$fields", Json::Object(entries)) => {
                let field = |(name, value): (String, &RawValue)| Ok((name, inner(value)?));
                fields = Fields::Named(entries.into_iter().map(field).collect::<Result<_, _>>()?);
            }
            _ => {
                return Err(Mismatch(format!(
                    "`{key}` is not understood here; a map with such a key is written \
                     {{\"$map\": [[key, value], ...]}}"
                )));
            }
        }
    }
    let name = name.ok_or_else(|| Mismatch::new("an object with its name in `$object`", raw))?;
    Ok(Value::Object(Box::new(Object { name, variant, fields })))
}

/// Writes a value, on one line.
pub(crate) fn write(out: &mut String, value: &Value) {
    let tagged = |out: &mut String, tag, write: &dyn Fn(&mut String)| {
        push(out, format_args!("{{\"${tag}\":"));
        write(out);
        out.push('}');
    };
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => push(out, format_args!("{truth}")),
        Value::Int(integer) => push(out, format_args!("{integer}")),
        Value::Uint(integer) => push(out, format_args!("{integer}")),
        Value::F32(float) => tagged(out, "f32", &|out| write_f32(out, *float)),
        Value::F64(float) if float.is_finite() => write_f64(out, *float),
        Value::F64(float) => tagged(out, "f64", &|out| write_f64(out, *float)),
        Value::Text(text) => write_text(out, text),
        Value::Bytes(bytes) => tagged(out, "bytes", &|out| write_bytes(out, bytes)),
        Value::List(items) => list(out, items),
        Value::Map(entries) => match plain_keys(entries) {
            Some(keys) => named(out, keys.into_iter().zip(entries.iter().map(|(_, value)| value))),
            None => tagged(out, "map", &|out| {
                let Ok(()) = write_all(out, ['[', ']'], entries, |out, (key, value)| {
                    write_all(out, ['[', ']'], [key, value], |out, part| {
                        write(out, part);
                        Ok::<_, Infallible>(())
                    })
                });
            }),
        },
        Value::Object(object) => write_object(out, object),
        Value::Some(content) => tagged(out, "some", &|out| write(out, content)),
    }
}

fn write_object(out: &mut String, object: &Object) {
    out.push_str("{\"$object\":");
    write_text(out, &object.name);
    if let Some(variant) = &object.variant {
        out.push_str(",\"$variant\":");
        write_text(out, variant);
    }
    match &object.fields {
        Fields::Unit => {}
        Fields::Tuple(items) => {
            out.push_str(",\"$fields\":");
            list(out, items);
        }
        Fields::Named(fields) => {
            out.push_str(",\"$fields\":");
            named(out, fields.iter().map(|(name, value)| (&name[..], value)));
        }
    }
    out.push('}');
}

fn list(out: &mut String, items: &[Value]) {
    let Ok(()) = write_all(out, ['[', ']'], items, |out, item| {
        write(out, item);
        Ok::<_, Infallible>(())
    });
}

fn named<'a>(out: &mut String, entries: impl Iterator<Item = (&'a str, &'a Value)>) {
    let Ok(()) = write_all(out, ['{', '}'], entries, |out, (key, value)| {
        write_text(out, key);
        out.push(':');
        write(out, value);
        Ok::<_, Infallible>(())
    });
}

/// The keys of a map that any JSON reader takes for what it is: texts, each once, none with a `$`
/// in front.
fn plain_keys(entries: &[(Value, Value)]) -> Option<Vec<&str>> {
    let mut seen = HashSet::new();
    let mut plain =
        |key| Value::as_str(key).filter(|key| !key.starts_with('$') && seen.insert(*key));
    entries.iter().map(|(key, _)| plain(key)).collect()
}
