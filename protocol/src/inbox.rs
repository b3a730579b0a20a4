//! What a receiver's half holds for the application: small messages copied out of their packets
//! in runs, large ones sliced or assembled from chunks.

#![warn(clippy::arithmetic_side_effects)] // the numbers are the peer's

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::queue::Queue;
use crate::wire::{RawFrames, cost};
use crate::{Time, Violation};

/// A run that has grown to this many bytes is followed by another.
const FULL_RUN: usize = 16 * 1024;
/// Smaller payloads than this are copied even if they are most of their packet.
const WORTH_SLICING: usize = 2 * 1024;
/// A drained buffer larger than this is given back.
const KEPT: usize = 4 * 1024;
/// A run is cut down to what is unread once at least this much, and half of it, was read.
const WORTH_CUTTING: usize = 256;

/// A message that has begun and not ended: nobody sees it before it is whole (R-MSG-4).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
struct Partial {
    assembled: Vec<u8>,
    total: usize,
    since: Time,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
enum Piece {
    /// Whole `Message` frames back to back, read up to `read`.
    Run {
        frames: Vec<u8>,
        read: usize,
        cost: u64,
    },
    Whole(Bytes),
}

#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct Inbox {
    pieces: Queue<Piece>,
    /// Boxed: few messages are so large.
    partial: Option<Box<Partial>>,
    /// What everything here has cost.
    cost: u64,
}

impl Inbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn has_partial(&self) -> bool {
        self.partial.is_some()
    }

    /// When the message began that is not whole yet.
    pub(crate) fn partial_since(&self) -> Option<Time> {
        self.partial.as_ref().map(|partial| partial.since)
    }

    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    /// Whether a payload of this size is sliced rather than copied: only where that pins no more
    /// than twice its size.
    pub(crate) fn slices(payload: usize, packet: usize) -> bool {
        payload >= WORTH_SLICING && payload.saturating_mul(2) >= packet
    }

    /// Appends `Message` frames of this half that stood back to back in a packet.
    pub(crate) fn push_run(&mut self, run: &[u8], run_cost: u64) {
        self.cost = self.cost.saturating_add(run_cost);
        match self.pieces.back_mut() {
            Some(Piece::Run { frames, cost, .. })
                if frames.len().saturating_add(run.len()) <= FULL_RUN =>
            {
                frames.extend_from_slice(run);
                *cost = cost.saturating_add(run_cost);
            }
            Some(Piece::Run { .. } | Piece::Whole(_)) | None => {
                let frames = run.to_vec();
                self.pieces.push_back(Piece::Run { frames, read: 0, cost: run_cost });
            }
        }
    }

    pub(crate) fn push_whole(&mut self, payload: Bytes) {
        self.cost = self.cost.saturating_add(cost(payload.len()).into());
        self.pieces.push_back(Piece::Whole(payload));
    }

    /// R-MSG-3. The chunk is not empty, and not the whole.
    pub(crate) fn begin(
        &mut self,
        total: u32,
        chunk: &[u8],
        since: Time,
        spare: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        let total_len = total as usize;
        if self.partial.is_some() {
            return Err(Violation::ChunkOrder);
        }
        self.cost = self.cost.saturating_add(cost(total_len).into());
        let mut assembled = match spare.capacity() {
            1.. if spare.capacity() / 2 <= total_len => core::mem::take(spare),
            _ => Vec::with_capacity(room(chunk.len(), total_len)),
        };
        assembled.extend_from_slice(chunk);
        self.partial = Some(Box::new(Partial { assembled, total: total_len, since }));
        Ok(())
    }

    /// R-MSG-3. Whether that completed the message.
    pub(crate) fn more(&mut self, chunk: &[u8]) -> Result<bool, Violation> {
        let Some(partial) = &mut self.partial else { return Err(Violation::ChunkOrder) };
        let len = partial.assembled.len().saturating_add(chunk.len());
        if chunk.is_empty() || len > partial.total {
            return Err(Violation::ChunkOrder);
        }
        if partial.assembled.capacity() < len {
            let more = room(len, partial.total).saturating_sub(partial.assembled.len());
            partial.assembled.reserve_exact(more);
        }
        partial.assembled.extend_from_slice(chunk);
        if len < partial.total {
            return Ok(false);
        }
        if let Some(whole) = self.partial.take() {
            self.pieces.push_back(Piece::Whole(whole.assembled.into()));
        }
        Ok(true)
    }

    /// Drops the message that has begun and not ended; returns what it cost.
    pub(crate) fn drop_partial(&mut self) -> u64 {
        let dropped = self.partial.take().map_or(0, |partial| cost(partial.total).into());
        self.cost = self.cost.saturating_sub(dropped);
        dropped
    }

    /// What it has on the heap, in bytes. What is sliced may pin twice its size.
    #[cfg(feature = "testing")]
    pub(crate) fn footprint(&self) -> usize {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Run { frames, .. } => frames.capacity(),
            Piece::Whole(payload) => payload.len().saturating_mul(2),
        });
        let partial = self.partial.as_ref().map_or(0, |partial| partial.assembled.capacity());
        pieces.sum::<usize>().saturating_add(self.pieces.footprint()).saturating_add(partial)
    }

    /// Takes the next message and what it cost.
    pub(crate) fn pop(&mut self) -> Option<(Bytes, u64)> {
        let (payload, paid) = match self.pieces.front_mut()? {
            Piece::Whole(payload) => {
                let payload = core::mem::take(payload);
                self.pieces.pop_front();
                let paid = u64::from(cost(payload.len()));
                (payload, paid)
            }
            Piece::Run { frames, read, cost: run_cost } => {
                let payload = Bytes::copy_from_slice(next_payload(frames, read)?);
                let paid = u64::from(cost(payload.len()));
                *run_cost = run_cost.saturating_sub(paid);
                if *read == frames.len() {
                    self.pieces.pop_front();
                } else if *read >= WORTH_CUTTING && read.saturating_mul(2) >= frames.len() {
                    *frames = frames.split_off(core::mem::take(read));
                }
                (payload, paid)
            }
        };
        self.cost = self.cost.saturating_sub(paid);
        Some((payload, paid))
    }

    /// Swaps the next run into `run`, and returns what it cost.
    pub(crate) fn pop_run(&mut self, run: &mut Run) -> Option<u64> {
        run.clear();
        let paid = match self.pieces.pop_front()? {
            Piece::Whole(payload) => {
                let paid = cost(payload.len()).into();
                run.whole = Some(payload);
                paid
            }
            Piece::Run { frames, read, cost } => {
                run.frames = frames;
                run.read = read;
                cost
            }
        };
        self.cost = self.cost.saturating_sub(paid);
        Some(paid)
    }

    /// Drops everything; returns what it cost.
    pub(crate) fn discard(&mut self) -> u64 {
        core::mem::take(self).cost
    }
}

/// Room for a message that comes in chunks: it grows with what has come, and is never more than four
/// times that.
fn room(come: usize, total: usize) -> usize {
    come.saturating_mul(4).min(total)
}

/// A few messages of one half, taken together with `Connection::recv_run`.
#[derive(Debug, Default)]
pub struct Run {
    frames: Vec<u8>,
    read: usize,
    /// How long what stands before each payload is, beside the kind and the length; 0 before the
    /// first.
    whose: usize,
    whole: Option<Bytes>,
    last: Bytes,
}

impl Run {
    /// A run without messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next message. It is `None` when all have been seen.
    #[inline]
    pub fn next_message(&mut self) -> Option<&[u8]> {
        if let Some(whole) = self.whole.take() {
            self.last = whole;
            return Some(&self.last);
        }
        if self.whose == 0 {
            let first = RawFrames::new(&self.frames).next_frame().ok()??;
            let (_, _, payload) = first.half().ok()?;
            self.whose = first.body.len().saturating_sub(payload.len());
        }
        let mut rest = RawFrames::new(self.frames.get(self.read..)?);
        let frame = rest.next_frame().ok()??;
        self.read = self.frames.len().saturating_sub(rest.rest().len());
        frame.body.get(self.whose..)
    }

    /// The buffer of a message that was read and had come in chunks: nobody else has it.
    pub(crate) fn take_spare(&mut self) -> Vec<u8> {
        let mut spare = Vec::from(core::mem::take(&mut self.last));
        spare.clear();
        spare
    }

    /// How long the message is that was read last, if it was a large one.
    pub(crate) fn last_size(&self) -> usize {
        self.last.len()
    }

    fn clear(&mut self) {
        if self.frames.capacity() > KEPT {
            self.frames = Vec::new();
        }
        self.frames.clear();
        self.read = 0;
        self.whose = 0;
        self.whole = None;
        self.last = Bytes::new();
    }
}

/// The payload of the frame at `read`, which is moved behind it.
fn next_payload<'a>(frames: &'a [u8], read: &mut usize) -> Option<&'a [u8]> {
    let mut rest = RawFrames::new(frames.get(*read..)?);
    let frame = rest.next_frame().ok()??;
    *read = frames.len().saturating_sub(rest.rest().len());
    let (_, _, payload) = frame.half().ok()?;
    Some(payload)
}
