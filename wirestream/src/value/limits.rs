//! How much of a value's depth and size is left while it is walked.

use std::cell::Cell;

use super::{Fields, Value, ValueError};

/// What is left at one place of a value: its own depth, and the elements it shares with all other
/// places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits<'a> {
    depth_left: usize,
    elements_left: &'a Cell<usize>,
}

impl Limits<'_> {
    /// Runs `walk` with the limits of a whole value.
    pub(super) fn of_a_value<R>(walk: impl FnOnce(Limits<'_>) -> R) -> R {
        walk(Limits {
            depth_left: Value::MAX_DEPTH,
            elements_left: &Cell::new(Value::MAX_ELEMENTS),
        })
    }

    /// The limits within one more container. (R-VALUE-3)
    pub(super) fn nested(self) -> Result<Self, ValueError> {
        let depth_left = self.depth_left.checked_sub(1).ok_or(ValueError::TooDeep)?;
        Ok(Self { depth_left, ..self })
    }

    /// Takes one element: a list item, a map entry, an object field or the content of a `Some`.
    /// (R-VALUE-4)
    pub(super) fn take_element(self) -> Result<(), ValueError> {
        let left = self.elements_left.get().checked_sub(1).ok_or(ValueError::TooManyElements)?;
        self.elements_left.set(left);
        Ok(())
    }

    /// Takes all that a finished value has. Walks no deeper than the limit.
    pub(super) fn take_value(self, value: &Value) -> Result<(), ValueError> {
        match value {
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::F32(_)
            | Value::F64(_)
            | Value::Text(_)
            | Value::Bytes(_) => Ok(()),
            Value::List(items) => self.nested()?.take_elements(items),
            Value::Map(entries) => {
                let nested = self.nested()?;
                entries.iter().try_for_each(|(key, _)| nested.take_value(key))?;
                nested.take_elements(entries.iter().map(|(_, value)| value))
            }
            Value::Object(object) => {
                let nested = self.nested()?;
                match &object.fields {
                    Fields::Unit => Ok(()),
                    Fields::Tuple(items) => nested.take_elements(items),
                    Fields::Named(fields) => {
                        nested.take_elements(fields.iter().map(|(_, value)| value))
                    }
                }
            }
            Value::Some(content) => self.nested()?.take_elements([&**content]),
        }
    }

    fn take_elements<'v>(
        self,
        elements: impl IntoIterator<Item = &'v Value>,
    ) -> Result<(), ValueError> {
        elements.into_iter().try_for_each(|element| {
            self.take_element()?;
            self.take_value(element)
        })
    }
}
