//! The notation of a contract, as `Contract` prints it.

use std::sync::Arc;

use super::{Content, Method, Schema, Type};

/// A text is not a type, or not a contract: in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ParseError(String);

/// What cannot be part of a name.
const MARKS: &[char] = &[',', ';', '(', ')', '[', ']', '{', '}', '='];

/// Parses a type: `option [u8]`, or with names `[Point]; Point = struct { x: f64, y: f64 }`.
pub(crate) fn parse_type(text: &str) -> Result<Schema, ParseError> {
    let mut parser = Parser::new(text);
    let root = parser.any_type(0)?;
    let named = parser.definitions()?;
    Ok(Schema { root, named: named.into() })
}

/// Parses the types of a method's arguments: `(i64, text)`.
pub(crate) fn parse_arguments(text: &str) -> Result<Vec<Schema>, ParseError> {
    let mut parser = Parser::new(text);
    parser.expect("(")?;
    let types = parser.types_to(")", 0)?;
    let named: Arc<[Type]> = parser.definitions()?.into();
    Ok(types.into_iter().map(|root| Schema { root, named: named.clone() }).collect())
}

/// Parses what a `Contract` prints.
pub(crate) fn parse_contract(text: &str) -> Result<Method, ParseError> {
    let mut parser = Parser::new(text);
    let (mut arguments, mut streams) = (Vec::new(), Vec::new());
    parser.expect("(")?;
    parser.list_to(")", |parser| {
        parser.field_name()?;
        let is_optional = parser.takes_word("optional");
        if parser.takes_word("stream") {
            streams.push((parser.any_type(0)?, is_optional));
            parser.expect_word("or")?;
            parser.any_type(0)?;
        } else {
            arguments.push(parser.any_type(0)?);
        }
        Ok(())
    })?;
    parser.expect("->")?;
    // A stream, or one value: the messages are the same.
    parser.takes_word("stream");
    let reply = parser.any_type(0)?;
    let error = match parser.takes_word("or") {
        true => parser.any_type(0)?,
        false => Type::Enum(Vec::new()),
    };
    let named: Arc<[Type]> = parser.definitions()?.into();
    let schema = |root| Schema { root, named: named.clone() };
    Ok(Method {
        arguments: arguments.into_iter().map(schema).collect(),
        streams: streams.into_iter().map(|(root, optional)| (schema(root), optional)).collect(),
        reply: schema(reply),
        error: schema(error),
    })
}

struct Parser<'a> {
    rest: &'a str,
    /// The names so far, and what they stand for if that was told yet.
    names: Vec<(&'a str, Option<Type>)>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.trim(), names: Vec::new() }
    }

    fn any_type(&mut self, depth: usize) -> Result<Type, ParseError> {
        if depth > super::MAX_DEPTH {
            return Err(ParseError("the type is nested too deeply".into()));
        }
        let depth = depth + 1;
        if self.takes("(") {
            return Ok(Type::Tuple(self.types_to(")", depth)?));
        }
        if self.takes("[") {
            let item = self.any_type(depth)?;
            self.expect("]")?;
            return Ok(Type::List(Box::new(item)));
        }
        Ok(match self.word("a type")? {
            "bool" => Type::Bool,
            "i8" => Type::I8,
            "i16" => Type::I16,
            "i32" => Type::I32,
            "i64" => Type::I64,
            "i128" => Type::I128,
            "u8" => Type::U8,
            "u16" => Type::U16,
            "u32" => Type::U32,
            "u64" => Type::U64,
            "u128" => Type::U128,
            "f32" => Type::F32,
            "f64" => Type::F64,
            "char" => Type::Char,
            "text" | "string" => Type::Text,
            "bytes" => Type::Bytes,
            "value" => Type::Value,
            "option" => Type::Option(Box::new(self.any_type(depth)?)),
            "map" => {
                let key = self.any_type(depth)?;
                self.expect_word("to")?;
                Type::Map(Box::new(key), Box::new(self.any_type(depth)?))
            }
            "struct" => Type::Struct(self.content(depth)?),
            "enum" => {
                self.expect("{")?;
                let mut variants = Vec::new();
                self.list_to("}", |parser| {
                    let name = parser.word("a variant")?;
                    variants.push((name.to_string(), parser.content(depth)?));
                    Ok(())
                })?;
                Type::Enum(variants)
            }
            "?" | "opaque" => return Err(unseen()),
            // Serde shows what a value is made of; it is known here.
            name if name.starts_with("wirestream::Value#") => Type::Value,
            name => Type::Named(self.place(name)),
        })
    }

    fn content(&mut self, depth: usize) -> Result<Content, ParseError> {
        if self.takes("(") {
            return Ok(Content::Tuple(self.types_to(")", depth)?));
        }
        if self.takes("?") {
            return Err(unseen());
        }
        if !self.takes("{") {
            return Ok(Content::Unit);
        }
        let mut fields = Vec::new();
        self.list_to("}", |parser| {
            let name = parser.field_name()?.to_string();
            fields.push((name, parser.any_type(depth)?));
            Ok(())
        })?;
        Ok(Content::Fields(fields))
    }

    fn types_to(&mut self, end: &str, depth: usize) -> Result<Vec<Type>, ParseError> {
        let mut types = Vec::new();
        self.list_to(end, |parser| {
            types.push(parser.any_type(depth)?);
            Ok(())
        })?;
        Ok(types)
    }

    /// What `item` parses, with commas between, and one at the end if you like.
    fn list_to(
        &mut self,
        end: &str,
        mut item: impl FnMut(&mut Self) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        while !self.takes(end) {
            item(self)?;
            if !self.takes(",") {
                return self.expect(end);
            }
        }
        Ok(())
    }

    /// What the names stand for, each after a semicolon, up to the end of the text.
    fn definitions(mut self) -> Result<Vec<Type>, ParseError> {
        while self.takes(";") && !self.rest.is_empty() {
            let name = self.word("a name")?;
            self.expect("=")?;
            let what = self.any_type(0)?;
            let place = self.place(name);
            if self.names[place].1.replace(what).is_some() {
                return Err(ParseError(format!("`{name}` is there twice")));
            }
        }
        if !self.rest.is_empty() {
            return Err(self.wrong("the end, or `;` and a name"));
        }
        let known = |(name, what): (&str, Option<Type>)| {
            let unknown = || format!("`{name}` is no type, and nothing says what it stands for");
            what.ok_or_else(|| ParseError(unknown()))
        };
        self.names.into_iter().map(known).collect()
    }

    fn place(&mut self, name: &'a str) -> usize {
        let known = self.names.iter().position(|(other, _)| *other == name);
        known.unwrap_or_else(|| {
            self.names.push((name, None));
            self.names.len() - 1
        })
    }

    /// A name and the colon behind it.
    fn field_name(&mut self) -> Result<&'a str, ParseError> {
        let end = self.rest.find(|c| c == ':' || MARKS.contains(&c)).unwrap_or(self.rest.len());
        let name = self.rest[..end].trim_end();
        if name.is_empty() || !self.rest[end..].starts_with(':') {
            return Err(self.wrong("a name and a colon"));
        }
        self.rest = self.rest[end + 1..].trim_start();
        Ok(name)
    }

    fn word(&mut self, wanted: &str) -> Result<&'a str, ParseError> {
        let end = self.rest.find(|c: char| c.is_whitespace() || MARKS.contains(&c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if word.is_empty() {
            return Err(self.wrong(wanted));
        }
        self.rest = rest.trim_start();
        Ok(word)
    }

    fn takes(&mut self, mark: &str) -> bool {
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let before = self.rest;
        let taken = self.word(wanted).is_ok_and(|word| word == wanted);
        if !taken {
            self.rest = before;
        }
        taken
    }

    fn expect(&mut self, mark: &str) -> Result<(), ParseError> {
        if self.takes(mark) { Ok(()) } else { Err(self.wrong(&format!("`{mark}`"))) }
    }

    fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.takes_word(word) { Ok(()) } else { Err(self.wrong(&format!("`{word}`"))) }
    }

    fn wrong(&self, wanted: &str) -> ParseError {
        match self.rest {
            "" => ParseError(format!("{wanted} is wanted at the end")),
            rest => ParseError(format!("{wanted} is wanted before `{rest}`")),
        }
    }
}

fn unseen() -> ParseError {
    let why = "the contract does not show all of the types: what is `?` or `opaque` in it cannot \
               be read or written";
    ParseError(why.into())
}
