use alloc::vec::Vec;

use bytes::Bytes;

use crate::outbox::QUANTUM;
use crate::wire::{MessageHeader, RawFrames, cost};
use crate::{Outbound, Payload};

/// Small messages of one half, to be sent together with
/// [`Connection::send_batch`](crate::Connection::send_batch): they are framed before the connection
/// is locked, and cost it one look at the half.
#[derive(Debug)]
pub struct Batch {
    half: Outbound,
    /// `Message` frames back to back, at most a turn's worth; then the message that did not fit,
    /// behind a gap for its header.
    frames: Vec<u8>,
    /// Up to where they were sent, and where they end.
    sent: usize,
    end: usize,
    /// How long the header of the message before was, most likely that of the next: a header has a
    /// length, so that a message of no bytes is more than none.
    gap: usize,
    /// What those cost that were not sent.
    cost: u32,
    count: u32,
}

impl Batch {
    /// A batch without messages.
    pub fn new(half: Outbound) -> Self {
        let gap = header(half, 0).len();
        Self { half, frames: Vec::new(), sent: 0, end: 0, gap, cost: 0, count: 0 }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a message, if there is room for it. An empty batch has room for any of up to
    /// 4,000 bytes, which every peer takes.
    #[inline]
    pub fn push(&mut self, payload: &[u8]) -> bool {
        self.frames.truncate(self.end);
        let header = header(self.half, payload.len());
        if self.end + header.len() + payload.len() > QUANTUM {
            return false;
        }
        header.put(&mut self.frames);
        self.frames.extend_from_slice(payload);
        self.count_in(payload.len());
        true
    }

    /// Appends the message that `encode` appends to the buffer it is given, as [`push`](Self::push)
    /// does. What does not fit is kept beside the batch, for [`fit`](Self::fit) or
    /// [`take_unfit`](Self::take_unfit).
    ///
    /// # Errors
    /// Those of `encode`; nothing has changed then.
    #[inline]
    pub fn push_with<E>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<bool, E> {
        // A message before may have been left here in part, by a panic.
        self.frames.truncate(self.end);
        self.frames.extend_from_slice(&[0; MessageHeader::ROOM]);
        self.frames.truncate(self.end + self.gap);
        if let Err(error) = encode(&mut self.frames) {
            self.frames.truncate(self.end);
            return Err(error);
        }
        Ok(self.fit())
    }

    /// Takes the message in that did not fit, if there is room for it by now. Whether there is none
    /// beside the batch any more.
    #[inline]
    pub fn fit(&mut self) -> bool {
        let Some(len) = self.frames.len().checked_sub(self.end + self.gap) else { return true };
        let header = header(self.half, len);
        if self.end + header.len() + len > QUANTUM {
            return false;
        }
        if header.len() != self.gap {
            self.move_unfit(header.len());
        }
        let place = self.end..self.end + self.gap;
        if let Some(place) = self.frames.get_mut(place) {
            header.copy_to(place);
        }
        self.count_in(len);
        true
    }

    /// The message that did not fit, out of here. It takes no more than twice its size.
    pub fn take_unfit(&mut self) -> Bytes {
        let start = self.end + self.gap;
        let len = self.frames.len().saturating_sub(start);
        if self.end > 0 || 2 * len < self.frames.capacity() {
            let payload = Bytes::copy_from_slice(self.frames.get(start..).unwrap_or_default());
            self.frames.truncate(self.end);
            return payload;
        }
        let frames = Bytes::from(core::mem::take(&mut self.frames));
        frames.slice(start.min(frames.len())..)
    }

    /// Exchanges the buffer, if the batch is empty: one buffer may serve many batches.
    pub fn swap_buffer(&mut self, buffer: &mut Vec<u8>) {
        if self.is_empty() && self.frames.is_empty() {
            buffer.clear();
            core::mem::swap(&mut self.frames, buffer);
        }
    }

    #[inline]
    fn count_in(&mut self, payload_len: usize) {
        self.end = self.frames.len();
        self.cost += cost(payload_len);
        self.count += 1;
    }

    /// Moves the message that did not fit behind a gap of another size.
    #[cold]
    fn move_unfit(&mut self, gap: usize) {
        let (from, to) = (self.end + self.gap, self.end + gap);
        let len = self.frames.len() - from;
        self.frames.resize(self.frames.len().max(to + len), 0);
        self.frames.copy_within(from..from + len, to);
        self.frames.truncate(to + len);
        self.gap = gap;
    }

    pub(crate) fn half(&self) -> Outbound {
        self.half
    }

    /// What was not sent, how many messages that is, and what they cost.
    pub(crate) fn rest(&self) -> (&[u8], u32, u32) {
        (self.frames.get(self.sent..self.end).unwrap_or_default(), self.count, self.cost)
    }

    /// The first message that was not sent, and how long it is with what stands before it.
    pub(crate) fn first(&self) -> Option<(Payload<'_>, usize)> {
        let (rest, ..) = self.rest();
        let mut frames = RawFrames::new(rest);
        let frame = frames.next_frame().ok()??;
        let (_, _, payload) = frame.half().ok()?;
        Some((payload.into(), rest.len() - frames.rest().len()))
    }

    /// The first was sent.
    pub(crate) fn advance(&mut self, size: usize, cost: u32) {
        self.sent += size;
        self.cost -= cost;
        self.count -= 1;
        if self.count == 0 {
            self.clear();
        }
    }

    /// All were sent.
    pub(crate) fn clear(&mut self) {
        self.frames.drain(..self.end);
        self.sent = 0;
        self.end = 0;
        self.cost = 0;
        self.count = 0;
    }
}

#[inline]
fn header(half: Outbound, payload_len: usize) -> MessageHeader {
    let len = u32::try_from(payload_len).unwrap_or(u32::MAX);
    MessageHeader::new(half.call.wire, half.half, len)
}
