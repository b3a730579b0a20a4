//! JSON to postcard, by a type.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Content, MAX_DEPTH, Schema, Type};
use crate::json::{Json, Mismatch, look, read_bytes, read_f32, read_f64, value};

impl Schema {
    /// Encodes JSON as a value of this type, behind what is there.
    pub(crate) fn encode(&self, json: &RawValue, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        Encoder { named: &self.named, out, depth: 0 }.any(&self.root, json)
    }
}

struct Encoder<'a> {
    named: &'a [Type],
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl Encoder<'_> {
    fn any(&mut self, of: &Type, json: &RawValue) -> Result<(), Mismatch> {
        if self.depth == MAX_DEPTH {
            return Err(Mismatch(format!("this is nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        self.inner(of, json)?;
        self.depth -= 1;
        Ok(())
    }

    fn inner(&mut self, of: &Type, json: &RawValue) -> Result<(), Mismatch> {
        match of {
            Type::Bool => match look(json)? {
                Json::Bool(truth) => self.put(&truth),
                _ => Err(Mismatch::new("true or false", json)),
            },
            Type::I8 => self.integer::<i8>("i8", json),
            Type::I16 => self.integer::<i16>("i16", json),
            Type::I32 => self.integer::<i32>("i32", json),
            Type::I64 => self.integer::<i64>("i64", json),
            Type::I128 => self.integer::<i128>("i128", json),
            Type::U8 => self.integer::<u8>("u8", json),
            Type::U16 => self.integer::<u16>("u16", json),
            Type::U32 => self.integer::<u32>("u32", json),
            Type::U64 => self.integer::<u64>("u64", json),
            Type::U128 => self.integer::<u128>("u128", json),
            Type::F32 => self.put(&read_f32(json)?),
            Type::F64 => self.put(&read_f64(json)?),
            Type::Char => match look(json)? {
                Json::Text(text) if text.chars().count() == 1 => self.put(&text),
                _ => Err(Mismatch::new("a text of one character", json)),
            },
            Type::Text => match look(json)? {
                Json::Text(text) => self.put(&text),
                _ => Err(Mismatch::new("a text in double quotes", json)),
            },
            Type::Bytes => self.put(&read_bytes(json)?),
            Type::Value => self.put(&value::read(json)?),
            Type::Option(content) => self.option(content, json),
            Type::List(item) => {
                let Json::List(items) = look(json)? else {
                    return Err(Mismatch::new("a list", json));
                };
                self.put(&items.len())?;
                self.items(std::iter::repeat(&**item), &items)
            }
            Type::Map(key, value) => self.map(key, value, json),
            Type::Tuple(types) => self.tuple(types, json),
            Type::Struct(content) => self.content(content, json),
            Type::Enum(variants) => self.choice(variants, json),
            Type::Named(place) => self.any(&self.named[*place], json),
        }
    }

    fn put<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Mismatch> {
        let out = std::mem::take(self.out);
        *self.out = postcard::to_extend(part, out).map_err(|error| Mismatch(error.to_string()))?;
        Ok(())
    }

    fn integer<T: Serialize + std::str::FromStr>(
        &mut self,
        name: &str,
        json: &RawValue,
    ) -> Result<(), Mismatch> {
        let wrong = || Mismatch::new(name, json);
        let Json::Number(text) = look(json)? else { return Err(wrong()) };
        self.put(&text.parse::<T>().map_err(|_| wrong())?)
    }

    fn option(&mut self, content: &Type, json: &RawValue) -> Result<(), Mismatch> {
        match look(json)? {
            Json::Null => self.put(&0_u8),
            Json::Object(entries) if entries.len() == 1 && entries[0].0 == "$some" => {
                self.put(&1_u8)?;
                self.any(content, entries[0].1)
            }
            _ => {
                self.put(&1_u8)?;
                self.any(content, json)
            }
        }
    }

    fn map(&mut self, key: &Type, value: &Type, json: &RawValue) -> Result<(), Mismatch> {
        match look(json)? {
            Json::Object(entries) if *key == Type::Text => {
                self.put(&entries.len())?;
                for (name, json) in entries {
                    self.put(&name)?;
                    self.any(value, json).map_err(|error| error.at(format_args!("`{name}`")))?;
                }
                Ok(())
            }
            Json::List(pairs) => {
                self.put(&pairs.len())?;
                let pair = Type::Tuple(vec![key.clone(), value.clone()]);
                self.items(std::iter::repeat(&pair), &pairs)
            }
            _ if *key == Type::Text => Err(Mismatch::new("an object", json)),
            _ => Err(Mismatch::new("a list of pairs", json)),
        }
    }

    fn items<'t>(
        &mut self,
        types: impl Iterator<Item = &'t Type>,
        items: &[&RawValue],
    ) -> Result<(), Mismatch> {
        for (place, (of, item)) in types.zip(items).enumerate() {
            self.any(of, item).map_err(|error| error.at(format_args!("[{place}]")))?;
        }
        Ok(())
    }

    fn tuple(&mut self, types: &[Type], json: &RawValue) -> Result<(), Mismatch> {
        match look(json)? {
            Json::Null if types.is_empty() => Ok(()),
            Json::List(items) if items.len() == types.len() => self.items(types.iter(), &items),
            _ => Err(Mismatch::new(format_args!("a list of {}", types.len()), json)),
        }
    }

    fn content(&mut self, content: &Content, json: &RawValue) -> Result<(), Mismatch> {
        match content {
            Content::Unit => match look(json)? {
                Json::Null => Ok(()),
                _ => Err(Mismatch::new("null", json)),
            },
            // A struct around one value is that value.
            Content::Tuple(types) if types.len() == 1 => self.any(&types[0], json),
            Content::Tuple(types) => self.tuple(types, json),
            Content::Fields(fields) => self.fields(fields, json),
        }
    }

    fn fields(&mut self, fields: &[(String, Type)], json: &RawValue) -> Result<(), Mismatch> {
        let Json::Object(entries) = look(json)? else {
            return Err(Mismatch::new("an object", json));
        };
        let is_known = |name| fields.iter().any(|(field, _)| field == name);
        if let Some((name, _)) = entries.iter().find(|(name, _)| !is_known(name)) {
            return Err(Mismatch(format!("there is no field `{name}`")));
        }
        for (field, of) in fields {
            let mut found = entries.iter().filter(|(name, _)| name == field);
            match (found.next(), found.next()) {
                (Some((_, json)), None) => {
                    self.any(of, json).map_err(|error| error.at(format_args!("`{field}`")))?;
                }
                (None, _) if matches!(of, Type::Option(_)) => self.put(&0_u8)?,
                (None, _) => return Err(Mismatch(format!("the field `{field}` is missing"))),
                (Some(_), Some(_)) => {
                    return Err(Mismatch(format!("the field `{field}` is there twice")));
                }
            }
        }
        Ok(())
    }

    fn choice(&mut self, variants: &[(String, Content)], json: &RawValue) -> Result<(), Mismatch> {
        let (name, json) = match look(json)? {
            Json::Text(name) => (name, None),
            Json::Object(mut entries) if entries.len() == 1 => {
                let (name, json) = entries.remove(0);
                (name, Some(json))
            }
            _ => return Err(Mismatch::new("a variant's name, or an object of it alone,", json)),
        };
        let Some(place) = variants.iter().position(|(variant, _)| *variant == name) else {
            let names: Vec<_> = variants.iter().map(|(name, _)| &name[..]).collect();
            let names = names.join(", ");
            return Err(Mismatch(format!("there is no variant `{name}`: there is {names}")));
        };
        self.put(&u32::try_from(place).unwrap_or(u32::MAX))?;
        let content = match (&variants[place].1, json) {
            (Content::Unit, None) => Ok(()),
            (_, None) => Err(Mismatch("holds something: {\"name\": content} is wanted".into())),
            (content, Some(json)) => self.content(content, json),
        };
        content.map_err(|error| error.at(format_args!("`{name}`")))
    }
}
