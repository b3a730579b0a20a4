//! A queue that mostly holds one thing, and needs no memory of its own then.

#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;

/// A queue with more room than this is cut down as it empties.
const KEPT: usize = 8;

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct Queue<T> {
    /// None only if the queue is empty.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    pub(crate) fn push_back(&mut self, item: T) {
        match self.first {
            None => self.first = Some(item),
            Some(_) => self.rest.push_back(item),
        }
    }

    #[inline]
    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    #[inline]
    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        match self.rest.is_empty() {
            true => self.first.as_mut(),
            false => self.rest.back_mut(),
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let next = self.rest.pop_front();
        let room = self.rest.capacity();
        if room > KEPT && self.rest.len() < room / 4 {
            self.rest.shrink_to(room / 2);
        }
        core::mem::replace(&mut self.first, next)
    }

    /// What it takes on the heap itself, in bytes.
    #[cfg(feature = "testing")]
    pub(crate) fn footprint(&self) -> usize {
        self.rest.capacity() * size_of::<T>()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }
}
