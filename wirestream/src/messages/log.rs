//! The messages of a channel that some subscriber has not read: kept once for all of them.
//!
//! Positions count the messages of the channel. Each entry knows how many readers have yet to take
//! it, so the last one takes it out, and what everybody has read is kept for nobody. Beyond the
//! bounds the oldest goes, and who has not read it finds out by its own position.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::mem::replace;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::config::MessageConfig;
use crate::contract::Fingerprint;

/// A message, for all who read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Message { fingerprint: Fingerprint, payload: Arc<[u8]> },
    TooLarge { size: usize },
}

/// What a reader finds next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Item(Item),
    Lagged(u64),
    Gap,
}

/// What has come of a message: whom to wake once no lock is held, and how many readers have missed
/// one for it, counted for each of the messages.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    pub(super) wakers: Vec<Waker>,
    pub(super) missed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    /// The position of the first entry.
    base: u64,
    /// Of all payloads.
    bytes: usize,
    /// By their keys; the places of those who left are free.
    readers: Vec<Option<Reader>>,
    free: Vec<usize>,
    /// How many read: those whose reading has not ended.
    reading: usize,
    /// The keys of those that sleep, in any order.
    sleeping: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    item: Item,
    /// How many readers have yet to take it. None before an entry that some have.
    unread: usize,
}

#[derive(Debug, Default)]
struct Reader {
    /// What it reads next.
    position: u64,
    /// Where it is to be told of gaps: ascending, each once, and one at most among what it missed.
    gaps: VecDeque<u64>,
    waker: Option<Waker>,
    /// Its place among those that sleep.
    asleep: Option<usize>,
    has_ended: bool,
}

impl Log {
    /// A new reader, of what is pushed from now on.
    pub(super) fn enter(&mut self) -> usize {
        let reader = Reader { position: self.head(), ..Reader::default() };
        self.reading += 1;
        match self.free.pop() {
            Some(key) => {
                self.readers[key] = Some(reader);
                key
            }
            None => {
                self.readers.push(Some(reader));
                self.readers.len() - 1
            }
        }
    }

    /// Whether nobody reads.
    pub(super) fn is_unread(&self) -> bool {
        self.reading == 0
    }

    /// Whether a reader's reading has ended.
    pub(super) fn has_ended(&self, key: usize) -> bool {
        self.readers[key].as_ref().is_none_or(|reader| reader.has_ended)
    }

    /// Ends a reader's reading: it finds nothing more. Gives back its waker, to be woken once no
    /// lock is held.
    pub(super) fn end(&mut self, key: usize) -> Option<Waker> {
        let reader = self.readers[key].as_mut()?;
        if replace(&mut reader.has_ended, true) {
            return None;
        }
        reader.gaps = VecDeque::new();
        let (position, waker, asleep) =
            (reader.position, reader.waker.take(), reader.asleep.take());
        self.reading -= 1;
        if let Some(place) = asleep {
            self.sleeping.swap_remove(place);
            if let Some(moved) =
                self.sleeping.get(place).and_then(|&key| self.readers[key].as_mut())
            {
                moved.asleep = Some(place);
            }
        }
        self.let_go(position);
        waker
    }

    /// Has a reader find only what is pushed from now on.
    pub(super) fn skip(&mut self, key: usize) {
        let head = self.head();
        let Some(reader) = self.readers[key].as_mut().filter(|reader| !reader.has_ended) else {
            return;
        };
        reader.gaps.clear();
        let position = replace(&mut reader.position, head);
        self.let_go(position);
    }

    /// Frees the place of a reader that has ended.
    pub(super) fn leave(&mut self, key: usize) {
        self.readers[key] = None;
        self.free.push(key);
    }

    /// Adds a message, dropping the oldest beyond the bounds.
    pub(super) fn push(&mut self, item: &Item, bounds: &MessageConfig, pushed: &mut Pushed) {
        if self.reading == 0 {
            return;
        }
        self.bytes += item.size();
        self.entries.push_back(Entry { item: item.clone(), unread: self.reading });
        while self.entries.len() > bounds.unread || self.bytes > bounds.unread_bytes {
            pushed.missed += self.pop().map_or(0, |entry| entry.unread as u64);
        }
        self.wake(&mut pushed.wakers);
    }

    /// Tells all readers, behind what they have not read, that something may be missing.
    pub(super) fn gap(&mut self, pushed: &mut Pushed) {
        let (base, head) = (self.base, self.head());
        for reader in self.readers.iter_mut().flatten() {
            if !reader.has_ended && reader.gaps.back() != Some(&head) {
                reader.gaps.push_back(head);
                // Those among what it missed come together, so they need not be kept apart.
                while reader.gaps.get(1).is_some_and(|&gap| gap <= base) {
                    reader.gaps.pop_front();
                }
            }
        }
        self.wake(&mut pushed.wakers);
    }

    /// What a reader finds next, or `None` if its reading has ended; it sleeps if there is
    /// nothing. With its waker of before, to be dropped once no lock is held.
    pub(super) fn read(
        &mut self,
        key: usize,
        cx: &Context<'_>,
    ) -> (Poll<Option<Found>>, Option<Waker>) {
        let head = self.head();
        let Some(reader) = self.readers[key].as_mut().filter(|reader| !reader.has_ended) else {
            return (Poll::Ready(None), None);
        };
        if reader.position < self.base {
            let missed = self.base - reader.position;
            reader.catch_up(self.base);
            return (Poll::Ready(Some(Found::Lagged(missed))), None);
        }
        if reader.gaps.front() == Some(&reader.position) {
            reader.gaps.pop_front();
            return (Poll::Ready(Some(Found::Gap)), None);
        }
        if reader.position == head {
            let replaced = reader.sleep(cx);
            if reader.asleep.is_none() {
                reader.asleep = Some(self.sleeping.len());
                self.sleeping.push(key);
            }
            return (Poll::Pending, replaced);
        }
        let index = (reader.position - self.base) as usize;
        reader.position += 1;
        let entry = &mut self.entries[index];
        entry.unread -= 1;
        let item = match entry.unread {
            // None is left before it, either.
            0 => self.pop().map(|entry| entry.item),
            _ => Some(entry.item.clone()),
        };
        (Poll::Ready(item.map(Found::Item)), None)
    }

    /// The position of the next message.
    fn head(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.base += 1;
        self.bytes -= entry.item.size();
        Some(entry)
    }

    /// One who has read up to `position` reads nothing of what follows it.
    fn let_go(&mut self, position: u64) {
        let first = position.saturating_sub(self.base) as usize;
        self.entries.iter_mut().skip(first).for_each(|entry| entry.unread -= 1);
        while self.entries.front().is_some_and(|entry| entry.unread == 0) {
            self.pop();
        }
    }

    fn wake(&mut self, wakers: &mut Vec<Waker>) {
        wakers.reserve(self.sleeping.len());
        for key in self.sleeping.drain(..) {
            if let Some(reader) = &mut self.readers[key] {
                reader.asleep = None;
                wakers.extend(reader.waker.take());
            }
        }
    }
}

impl Reader {
    /// Goes on with what is there, and with one gap for those that lie before it.
    fn catch_up(&mut self, base: u64) {
        self.position = base;
        let before = self.gaps.partition_point(|&gap| gap < base);
        self.gaps.drain(..before);
        if before > 0 && self.gaps.front() != Some(&base) {
            self.gaps.push_front(base);
        }
    }

    fn sleep(&mut self, cx: &Context<'_>) -> Option<Waker> {
        match &mut self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            waker => waker.replace(cx.waker().clone()),
        }
    }
}

impl Item {
    fn size(&self) -> usize {
        match self {
            Self::Message { payload, .. } => payload.len(),
            Self::TooLarge { .. } => 0,
        }
    }
}
