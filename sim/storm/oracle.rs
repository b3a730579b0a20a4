//! What both sides of each stream did, and whether that is what they may.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wirestream::{LostReason, StreamError, Time};

/// A message, which says where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    stream: u64,
    place: u32,
    filling: Vec<u8>,
}

/// The error that ends a stream, behind so many messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct After(pub(crate) u32);

/// How a stream is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    Finish,
    Fail,
    /// Its sender goes without a word: it is dropped, or its method panics.
    Break,
    /// It does not: somebody else has to end it.
    Never,
}

/// What is known of one stream.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    /// Whether it is a call's reply. A parameter may outlive its call, at its reader.
    is_reply: bool,
    /// Messages that were handed to the sender, whether that took them or not.
    begun: u32,
    /// Those that it took.
    sent: u32,
    ending: Option<Ending>,
    /// When its receiver wanted no more of it.
    stopped: Option<Time>,
}

/// A stop has reached the sender after this time, where nothing stands in its way.
const STOP: Duration = Duration::from_secs(20);

/// What happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) runs: u64,
    pub(crate) steps: u64,
    pub(crate) trace: u64,
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    pub(crate) broken: u64,
    pub(crate) lost: u64,
    pub(crate) rejected: u64,
    pub(crate) given_up: u64,
    pub(crate) messages: u64,
    pub(crate) faults: u64,
    pub(crate) posts: u64,
    pub(crate) gaps: u64,
}

/// Sees all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    streams: BTreeMap<u64, Stream>,
    /// Methods and readers that have not ended.
    live: u64,
    /// Whether anything has happened for which calls may be lost.
    has_faults: bool,
    /// Whether nobody pauses, and nothing is slow.
    is_brisk: bool,
    /// The same as of faults, of messages.
    has_bus_faults: bool,
    /// Messages that the bus has, by their posters and numbers.
    confirmed: BTreeSet<(u64, u64)>,
    tally: Tally,
}

/// Something that lives until this is dropped.
pub(crate) struct Live(Oracle);

impl Item {
    pub(crate) fn new(stream: u64, place: u32) -> Self {
        Self { stream, place, filling: vec![place as u8; size(stream, place)] }
    }
}

/// Most are small, some take several frames, and of some streams all do.
fn size(stream: u64, place: u32) -> usize {
    let mixed = (stream ^ u64::from(place) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    match mixed % 64 {
        _ if stream % 16 == 5 => 4_000 + (mixed % 8_000) as usize,
        0 => (mixed % 12_000) as usize,
        1..=8 => (mixed % 700) as usize,
        _ => (mixed % 24) as usize,
    }
}

impl Oracle {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().expect("no oracle has failed")
    }

    /// Names a stream.
    pub(crate) fn stream(&self, is_reply: bool) -> u64 {
        let mut books = self.books();
        let name = books.streams.len() as u64;
        books.streams.insert(name, Stream { is_reply, ..Stream::default() });
        name
    }

    fn change<T>(&self, stream: u64, change: impl FnOnce(&mut Stream) -> T) -> T {
        change(self.books().streams.get_mut(&stream).expect("it has a name"))
    }

    pub(crate) fn begun(&self, stream: u64) {
        self.change(stream, |stream| stream.begun += 1);
    }

    pub(crate) fn sent(&self, stream: u64, now: Time) {
        let stopped = self.change(stream, |stream| {
            stream.sent += 1;
            stream.stopped
        });
        let is_known = stopped.is_some_and(|stopped| now.since(stopped) > STOP);
        assert!(!is_known || self.books().has_faults, "{stream} is sent, which nobody wants");
    }

    /// Its receiver wants no more.
    pub(crate) fn stopped(&self, stream: u64, now: Time) {
        self.change(stream, |stream| stream.stopped = Some(now));
        self.books().tally.given_up += 1;
    }

    /// Its sender has ended it.
    pub(crate) fn ended(&self, stream: u64, ending: Ending) {
        self.change(stream, |stream| stream.ending = Some(ending));
    }

    /// A message came, in this place of what came.
    pub(crate) fn received(&self, stream: u64, place: u32, item: &Item) {
        assert_eq!(*item, Item::new(stream, place), "another message than was sent");
        let begun = self.change(stream, |stream| stream.begun);
        assert!(place < begun, "message {place} of {stream} was never sent");
        self.books().tally.messages += 1;
    }

    /// All that came of a stream, and how it ended for its receiver.
    pub(crate) fn complete(&self, stream: u64, count: u32, end: &Result<(), StreamError<After>>) {
        let known = self.change(stream, |stream| *stream);
        let what = format!("stream {stream}, {known:?}: {count} came, then {end:?}");
        match end {
            // A clean end is one that the sender made, behind all that it sent.
            Ok(()) => {
                assert_eq!(known.ending, Some(Ending::Finish), "{what}");
                assert_eq!(count, known.sent, "{what}");
                self.books().tally.finished += 1;
            }
            Err(StreamError::App(After(sent))) => {
                assert_eq!(known.ending, Some(Ending::Fail), "{what}");
                assert_eq!((count, *sent), (known.sent, known.sent), "{what}");
                self.books().tally.failed += 1;
            }
            Err(StreamError::Failed) => {
                assert_eq!(known.ending, Some(Ending::Break), "{what}");
                assert_eq!(count, known.sent, "{what}");
                self.books().tally.broken += 1;
            }
            Err(StreamError::Cancelled) => {
                assert!(known.sent >= count, "{what}");
                // A method does not end like that by itself: it panics, which is a failure.
                assert!(!known.is_reply || known.ending != Some(Ending::Break), "{what}");
                self.books().tally.broken += 1;
            }
            Err(StreamError::Rejected(rejection)) => {
                assert_eq!(count, 0, "{what}");
                assert!(rejection.code.is_retryable(), "{what}");
                self.books().tally.rejected += 1;
            }
            Err(StreamError::Lost(reason)) => {
                let mut books = self.books();
                assert!(
                    books.has_faults || !known.is_reply,
                    "nothing has happened, and yet: {what}"
                );
                assert!(count == 0 || !matches!(reason, LostReason::Connect(_)), "{what}");
                books.tally.lost += 1;
            }
            Err(error) => panic!("{error:?}: {what}"),
        }
    }

    pub(crate) fn given_up(&self) {
        self.books().tally.given_up += 1;
    }

    pub(crate) fn fault(&self) {
        let mut books = self.books();
        books.has_faults = true;
        books.tally.faults += 1;
    }

    pub(crate) fn brisk(&self) {
        self.books().is_brisk = true;
    }

    pub(crate) fn is_brisk(&self) -> bool {
        self.books().is_brisk
    }

    pub(crate) fn bus_fault(&self) {
        self.books().has_bus_faults = true;
    }

    /// A poster has posted its message of this number, and knows or not that the bus has it.
    pub(crate) fn posted(&self, poster: u64, number: u64, is_confirmed: bool) {
        let mut books = self.books();
        books.tally.posts += 1;
        if is_confirmed {
            books.confirmed.insert((poster, number));
        }
    }

    /// A listener did not get it, and was told of no gap.
    pub(crate) fn missed(&self, poster: u64, number: u64) {
        let books = self.books();
        let is_excused = books.has_bus_faults && !books.confirmed.contains(&(poster, number));
        assert!(is_excused, "{number} of {poster} is missing");
    }

    pub(crate) fn gap(&self) {
        self.books().tally.gaps += 1;
    }

    pub(crate) fn live(&self) -> Live {
        self.books().live += 1;
        Live(self.clone())
    }

    pub(crate) fn is_anything_live(&self) -> bool {
        self.books().live > 0
    }

    pub(crate) fn tally(&self) -> Tally {
        self.books().tally
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Also while a failed oracle unwinds.
        if let Ok(mut books) = self.0.0.lock() {
            books.live -= 1;
        }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, run: &Self) {
        self.runs += run.runs;
        self.steps += run.steps;
        self.trace ^= run.trace.rotate_left((self.runs % 64) as u32);
        self.finished += run.finished;
        self.failed += run.failed;
        self.broken += run.broken;
        self.lost += run.lost;
        self.rejected += run.rejected;
        self.given_up += run.given_up;
        self.messages += run.messages;
        self.faults += run.faults;
        self.posts += run.posts;
        self.gaps += run.gaps;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} runs, {} steps, trace {:016x}, {} messages; streams finished {}, failed {}, broken {}, lost {}, \
             rejected {}, given up {}; {} faults; {} posts, {} gaps",
            self.runs,
            self.steps,
            self.trace,
            self.messages,
            self.finished,
            self.failed,
            self.broken,
            self.lost,
            self.rejected,
            self.given_up,
            self.faults,
            self.posts,
            self.gaps
        )
    }
}
