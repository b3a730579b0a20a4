//! Finds the shape of a type by having it deserialised from nothing: whatever a type asks for, it
//! gets a sample of, and what it asked for is written down.
//!
//! One pass sees one variant of an enum, so there are as many passes as it takes to see all of
//! them. A type is looked into once; where it comes again, and within itself, it is only *made*:
//! from the fewest values that will do, which for an enum is a variant that does not lead back to
//! it. A type that refuses its samples is offered others; one that refuses them all is a dead end,
//! behind which nothing can be seen.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{replace, take};

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::shape::{Content, Shape, short_name};

/// How deep types are looked into. Types of people nest a dozen levels.
const MAX_DEPTH: usize = 96;

/// How many passes one type may take, one for each variant within it and a few more.
const MAX_PASSES: usize = 10_000;

/// How many samples a type is offered.
const SAMPLES: usize = 6;

const INTEGERS: [u8; SAMPLES] = [0, 1, 2, 10, 50, 100];
const LETTERS: [char; SAMPLES] = ['a', 'A', '0', ' ', '\n', '\u{e4}'];
const TEXTS: [&str; SAMPLES] =
    ["", "a", "1", "2000-01-01T00:00:00Z", "http://example.com/", "127.0.0.1"];
const LENGTHS: [usize; SAMPLES] = [0, 1, 16, 32, 4, 12];

/// The types that were seen.
#[derive(Clone, Default)]
pub(super) struct Tracer {
    types: Vec<Type>,
    /// By the type that serde visits them with, and their name. The former differs where the
    /// parameters of a generic type do, and goes into no fingerprint.
    places: BTreeMap<(&'static str, &'static str), usize>,
    /// How many samples a type has refused.
    refusals: BTreeMap<&'static str, usize>,
    /// Options, lists and maps whose content is a dead end: what was seen of it.
    dead_contents: BTreeMap<&'static str, Vec<Shape>>,
    depth: usize,
    /// Which sample the types on the way down are to be offered.
    sample: usize,
    /// An enum on this pass has variants left.
    is_pending: bool,
    failure: Option<Failure>,
}

/// Why a pass was given up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// Something was learnt: the next pass goes further.
    Again,
    /// No value can be made here.
    DeadEnd,
}

#[derive(Clone)]
struct Type {
    name: &'static str,
    kind: Kind,
    /// All of it was seen.
    is_explored: bool,
    is_being_explored: bool,
    is_being_made: bool,
}

#[derive(Clone)]
enum Kind {
    Struct(Content),
    Enum {
        variants: Vec<Variant>,
        /// The variant to make a value of.
        good: Option<usize>,
        /// How many variants have failed at that, since one was found for any enum.
        failed: usize,
    },
}

#[derive(Clone)]
struct Variant {
    name: &'static str,
    content: Content,
    is_explored: bool,
}

impl Tracer {
    pub(super) fn shape_of<T: DeserializeOwned>(&mut self) -> Shape {
        let mut shape = Shape::Unseen;
        for _ in 0..MAX_PASSES {
            self.failure = None;
            self.is_pending = false;
            let made = self.enter(PhantomData::<T>, &mut shape, true);
            let dead_end = made.is_err() && self.failure == Some(Failure::DeadEnd);
            if !self.is_pending && (made.is_ok() || dead_end) {
                break;
            }
        }
        shape
    }

    /// Has a value made, and its shape written down.
    fn enter<'de, S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
        shape: &mut Shape,
        explore: bool,
    ) -> Result<S::Value, Refused> {
        if self.depth == MAX_DEPTH {
            return self.dead_end();
        }
        let sample = self.sample;
        self.sample += self.refusals.get(type_name::<S::Value>()).copied().unwrap_or(0);
        self.depth += 1;
        let made = seed.deserialize(Trace { tracer: self, shape, explore });
        self.depth -= 1;
        self.sample = sample;
        match made {
            Ok(_) => self.failure = None, // a type may do without a part that failed
            Err(_) => self.judge::<S::Value>(shape),
        }
        made
    }

    /// A value of type `T` was not made. If its own parts were, it has refused them.
    fn judge<T>(&mut self, shape: &mut Shape) {
        if self.failure.is_some() {
            return;
        }
        let name = type_name::<T>();
        let refusals = self.refusals.entry(name).or_default();
        *refusals += 1;
        self.failure = Some(if *refusals < SAMPLES { Failure::Again } else { Failure::DeadEnd });
        if self.failure == Some(Failure::DeadEnd) {
            *shape = Shape::Opaque(short_name(name), Box::new(take(shape)));
        }
    }

    fn dead_end<R>(&mut self) -> Result<R, Refused> {
        self.failure.get_or_insert(Failure::DeadEnd);
        Err(Refused)
    }

    /// Runs a part of a pass; also says whether enums in it have variants left.
    fn part<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> (R, bool) {
        let before = replace(&mut self.is_pending, false);
        let result = run(self);
        let is_pending = self.is_pending;
        self.is_pending |= before;
        (result, is_pending)
    }

    /// The place of the type that `V` visits.
    fn place<V>(&mut self, name: &'static str, kind: impl FnOnce() -> Kind) -> usize {
        let next = self.types.len();
        let place = *self.places.entry((type_name::<V>(), name)).or_insert(next);
        if place == next {
            self.types.push(Type {
                name,
                kind: kind(),
                is_explored: false,
                is_being_explored: false,
                is_being_made: false,
            });
        }
        place
    }

    /// The content of an option, list or map, which may be empty: if none can be made, it is.
    fn content<R>(
        &mut self,
        name: &'static str,
        contents: &mut [Shape],
        run: impl FnOnce(&mut Self, &mut [Shape]) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let (made, is_pending) = self.part(|tracer| {
            let made = run(tracer, contents);
            if let (Err(_), Some(last)) = (&made, contents.last_mut()) {
                tracer.judge::<R>(last);
            }
            made
        });
        if made.is_err() && self.failure == Some(Failure::DeadEnd) && !is_pending {
            self.dead_contents.insert(name, contents.to_vec());
            self.failure = Some(Failure::Again);
        }
        made
    }

    /// A struct: `run` gets its parts, and whether to look into them.
    fn structure<V, R>(
        &mut self,
        name: &'static str,
        shape: &mut Shape,
        explore: bool,
        run: impl FnOnce(&mut Self, &mut Vec<Shape>, bool) -> Result<R, Refused>,
        content: impl FnOnce(Vec<Shape>) -> Content,
    ) -> Result<R, Refused> {
        let place = self.place::<V>(name, || Kind::Struct(Content::Unseen));
        *shape = Shape::Named(name, place);
        let this = &mut self.types[place];
        let explore = explore && !this.is_explored && !this.is_being_explored;
        let mut parts = Vec::new();
        if !explore {
            if replace(&mut this.is_being_made, true) {
                return self.dead_end(); // it would never end
            }
            let made = run(self, &mut parts, false);
            self.types[place].is_being_made = false;
            return made;
        }
        this.is_being_explored = true;
        let (made, is_pending) = self.part(|tracer| run(tracer, &mut parts, true));
        let this = &mut self.types[place];
        this.is_being_explored = false;
        this.is_explored = made.is_ok() && !is_pending;
        this.kind = Kind::Struct(content(parts));
        made
    }

    /// Looks into the next variant of an enum.
    fn explore_enum<'de, V: Visitor<'de>>(
        &mut self,
        place: usize,
        visitor: V,
        shape: &mut Shape,
    ) -> Result<V::Value, Refused> {
        let this = &mut self.types[place];
        let Kind::Enum { variants, .. } = &this.kind else { return self.dead_end() };
        let Some(index) = variants.iter().position(|variant| !variant.is_explored) else {
            this.is_explored = true; // it has no variant
            return self.dead_end();
        };
        this.is_being_explored = true;
        let mut content = Content::Unseen;
        let (made, is_pending) = self.part(|tracer| {
            let choice = Choice { tracer, index, content: &mut content, explore: true };
            let made = visitor.visit_enum(choice);
            if made.is_err() {
                tracer.judge::<V::Value>(shape);
            }
            made
        });
        self.types[place].is_being_explored = false;
        if made.is_ok() {
            self.found(place, index);
        }
        let dead_end = made.is_err() && self.failure == Some(Failure::DeadEnd) && !is_pending;
        if dead_end {
            self.failure = Some(Failure::Again); // with the other variants
        }
        let this = &mut self.types[place];
        if let Kind::Enum { variants, .. } = &mut this.kind {
            variants[index].content = content;
            variants[index].is_explored = dead_end || made.is_ok() && !is_pending;
            this.is_explored = variants.iter().all(|variant| variant.is_explored);
        }
        self.is_pending |= !this.is_explored;
        made
    }

    /// Makes any value of an enum.
    fn make_enum<'de, V: Visitor<'de>>(
        &mut self,
        place: usize,
        visitor: V,
        shape: &mut Shape,
    ) -> Result<V::Value, Refused> {
        let this = &mut self.types[place];
        let Kind::Enum { variants, good, failed } = &this.kind else { return self.dead_end() };
        let (count, index) = (variants.len(), good.unwrap_or(*failed));
        if this.is_being_made || index >= count {
            return self.dead_end();
        }
        this.is_being_made = true;
        let mut content = Content::Unseen;
        let choice = Choice { tracer: self, index, content: &mut content, explore: false };
        let made = visitor.visit_enum(choice);
        self.types[place].is_being_made = false;
        if made.is_ok() {
            self.found(place, index);
            return made;
        }
        self.judge::<V::Value>(shape);
        if let Kind::Enum { good: None, failed, .. } = &mut self.types[place].kind
            && self.failure == Some(Failure::DeadEnd)
        {
            *failed = index + 1;
            if *failed < count {
                self.failure = Some(Failure::Again);
            }
        }
        made
    }

    /// A variant of which a value can be made; variants of others may hold it, so they are worth
    /// another try.
    fn found(&mut self, place: usize, index: usize) {
        let Kind::Enum { good: good @ None, .. } = &mut self.types[place].kind else { return };
        *good = Some(index);
        for this in &mut self.types {
            if let Kind::Enum { failed, .. } = &mut this.kind {
                *failed = 0;
            }
        }
    }

    fn sample(&self) -> usize {
        self.sample.min(SAMPLES - 1)
    }
}

/// The types, each after a semicolon.
impl fmt::Display for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, this) in self.types.iter().enumerate() {
            write!(f, "; {}#{place} = ", this.name)?;
            match &this.kind {
                Kind::Struct(content) => write!(f, "struct{content}")?,
                Kind::Enum { variants, .. } if variants.is_empty() => f.write_str("enum {}")?,
                Kind::Enum { variants, .. } => {
                    f.write_str("enum { ")?;
                    for (index, variant) in variants.iter().enumerate() {
                        let comma = if index == 0 { "" } else { ", " };
                        write!(f, "{comma}{}{}", variant.name, variant.content)?;
                    }
                    f.write_str(" }")?;
                }
            }
        }
        Ok(())
    }
}

/// No value was made.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sample was refused")
    }
}

impl std::error::Error for Refused {}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Gives a type what it asks for.
struct Trace<'t> {
    tracer: &'t mut Tracer,
    shape: &'t mut Shape,
    /// Whether to look into it, or only to have a value made.
    explore: bool,
}

impl Trace<'_> {
    /// Serde does not show what it is, and neither can it be sent.
    fn opaque<R>(self, name: &str) -> Result<R, Refused> {
        *self.shape = Shape::Opaque(short_name(name), Box::default());
        self.tracer.dead_end()
    }
}

/// Methods for the number types.
macro_rules! deserialize_numbers {
    ($($method:ident $visit:ident $type:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            *self.shape = Shape::Leaf(stringify!($type));
            visitor.$visit(INTEGERS[self.tracer.sample()] as $type)
        }
    )*};
}

impl<'de> Deserializer<'de> for Trace<'_> {
    type Error = Refused;

    deserialize_numbers! {
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
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        self.opaque(type_name::<V::Value>())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        self.opaque(type_name::<V::Value>())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        self.opaque(type_name::<V::Value>())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.shape = Shape::Leaf("bool");
        visitor.visit_bool(self.tracer.sample() % 2 == 1)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.shape = Shape::Leaf("char");
        visitor.visit_char(LETTERS[self.tracer.sample()])
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.shape = Shape::Leaf("text");
        visitor.visit_borrowed_str(TEXTS[self.tracer.sample()])
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.shape = Shape::Leaf("bytes");
        visitor.visit_borrowed_bytes(&[0; 32][..LENGTHS[self.tracer.sample()]])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        *self.shape = Shape::Tuple(Vec::new());
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Self { tracer, shape, explore } = self;
        let mut content = [Shape::Unseen];
        let made = match tracer.dead_contents.get(type_name::<V>()) {
            Some(seen) => {
                content.clone_from_slice(seen);
                visitor.visit_none()
            }
            None if !explore => visitor.visit_none(),
            None => tracer.content(type_name::<V>(), &mut content, |tracer, content| {
                visitor.visit_some(Trace { tracer, shape: &mut content[0], explore })
            }),
        };
        let [content] = content;
        *shape = Shape::Option(Box::new(content));
        made
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Self { tracer, shape, explore } = self;
        let mut content = [Shape::Unseen];
        let dead = tracer.dead_contents.get(type_name::<V>()).cloned();
        let left = usize::from(explore).max(tracer.sample());
        let made = match dead {
            Some(seen) => {
                content.clone_from_slice(&seen);
                visitor.visit_seq(Parts { tracer, shapes: &mut Vec::new(), left: 0, explore })
            }
            None => tracer.content(type_name::<V>(), &mut content, |tracer, content| {
                let mut items = Vec::new();
                let parts = Parts { tracer, shapes: &mut items, left, explore };
                let made = visitor.visit_seq(parts);
                content[0] = items.into_iter().next().unwrap_or_default();
                made
            }),
        };
        let [content] = content;
        *shape = Shape::List(Box::new(content));
        made
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Self { tracer, shape, explore } = self;
        let mut contents = [Shape::Unseen, Shape::Unseen];
        let dead = tracer.dead_contents.get(type_name::<V>()).cloned();
        let left = usize::from(explore).max(tracer.sample());
        let made = match dead {
            Some(seen) => {
                contents.clone_from_slice(&seen);
                visitor.visit_map(Entries { tracer, shapes: &mut contents, left: 0, explore })
            }
            None => tracer.content(type_name::<V>(), &mut contents, |tracer, shapes| {
                visitor.visit_map(Entries { tracer, shapes, left, explore })
            }),
        };
        let [key, value] = contents;
        *shape = Shape::Map(Box::new(key), Box::new(value));
        made
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let Self { tracer, shape, explore } = self;
        let mut shapes = Vec::new();
        let made = visitor.visit_seq(Parts { tracer, shapes: &mut shapes, left: len, explore });
        shapes.resize(len, Shape::Unseen);
        *shape = Shape::Tuple(shapes);
        made
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let Self { tracer, shape, explore } = self;
        let run = |_: &mut Tracer, _: &mut Vec<Shape>, _| visitor.visit_unit();
        tracer.structure::<V, _>(name, shape, explore, run, |_| Content::Unit)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let Self { tracer, shape, explore } = self;
        let run = |tracer: &mut Tracer, parts: &mut Vec<Shape>, explore| {
            let mut content = Shape::Unseen;
            let made = visitor.visit_newtype_struct(Trace { tracer, shape: &mut content, explore });
            parts.push(content);
            made
        };
        tracer.structure::<V, _>(name, shape, explore, run, Content::Tuple)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let Self { tracer, shape, explore } = self;
        let run = |tracer: &mut Tracer, shapes: &mut Vec<Shape>, explore| {
            visitor.visit_seq(Parts { tracer, shapes, left: len, explore })
        };
        tracer.structure::<V, _>(name, shape, explore, run, |mut parts| {
            parts.resize(len, Shape::Unseen);
            Content::Tuple(parts)
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let Self { tracer, shape, explore } = self;
        let run = |tracer: &mut Tracer, shapes: &mut Vec<Shape>, explore| {
            visitor.visit_seq(Parts { tracer, shapes, left: fields.len(), explore })
        };
        tracer.structure::<V, _>(name, shape, explore, run, |parts| named(fields, parts))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let Self { tracer, shape, explore } = self;
        let place = tracer.place::<V>(name, || {
            let unseen = |&name| Variant { name, content: Content::Unseen, is_explored: false };
            Kind::Enum { variants: variants.iter().map(unseen).collect(), good: None, failed: 0 }
        });
        *shape = Shape::Named(name, place);
        let this = &tracer.types[place];
        if explore && !this.is_explored && !this.is_being_explored {
            tracer.explore_enum(place, visitor, shape)
        } else {
            tracer.make_enum(place, visitor, shape)
        }
    }
}

/// Fields under their names; those that were not reached are unseen.
fn named(fields: &'static [&'static str], mut parts: Vec<Shape>) -> Content {
    parts.resize(fields.len(), Shape::Unseen);
    Content::Fields(fields.iter().copied().zip(parts).collect())
}

/// The parts of a list, tuple or struct, one after the other.
struct Parts<'t> {
    tracer: &'t mut Tracer,
    shapes: &'t mut Vec<Shape>,
    left: usize,
    explore: bool,
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let mut shape = Shape::Unseen;
        let made = self.tracer.enter(seed, &mut shape, self.explore);
        self.shapes.push(shape);
        made.map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The entries of a map: the shapes of a key and of a value.
struct Entries<'t> {
    tracer: &'t mut Tracer,
    shapes: &'t mut [Shape],
    left: usize,
    explore: bool,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.tracer.enter(seed, &mut self.shapes[0], self.explore).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Refused> {
        self.tracer.enter(seed, &mut self.shapes[1], self.explore)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// One variant of an enum.
struct Choice<'t> {
    tracer: &'t mut Tracer,
    index: usize,
    content: &'t mut Content,
    explore: bool,
}

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Refused> {
        let number = u32::try_from(self.index).unwrap_or(u32::MAX);
        Ok((seed.deserialize(number.into_deserializer())?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        *self.content = Content::Unit;
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Refused> {
        let mut shape = Shape::Unseen;
        let made = self.tracer.enter(seed, &mut shape, self.explore);
        *self.content = Content::Tuple(vec![shape]);
        made
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        let Self { tracer, content, explore, .. } = self;
        let mut shapes = Vec::new();
        let made = visitor.visit_seq(Parts { tracer, shapes: &mut shapes, left: len, explore });
        shapes.resize(len, Shape::Unseen);
        *content = Content::Tuple(shapes);
        made
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let Self { tracer, content, explore, .. } = self;
        let mut shapes = Vec::new();
        let parts = Parts { tracer, shapes: &mut shapes, left: fields.len(), explore };
        let made = visitor.visit_seq(parts);
        *content = named(fields, shapes);
        made
    }
}
