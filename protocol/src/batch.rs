use alloc::vec::Vec;

use crate::outbox::QUANTUM;
use crate::wire::{MessageHeader, RawFrames, cost};
use crate::{Outbound, Payload};

/// Small messages of one half, to be sent together with
/// [`Connection::send_batch`](crate::Connection::send_batch): they are framed before the connection
/// is locked, and cost it one look at the half.
#[derive(Debug)]
pub struct Batch {
    half: Outbound,
    /// `Message` frames back to back, at most a turn's worth.
    frames: Vec<u8>,
    /// Up to where they were sent.
    sent: usize,
    /// What those cost that were not.
    cost: u32,
    count: u32,
}

impl Batch {
    /// A batch without messages.
    pub fn new(half: Outbound) -> Self {
        Self { half, frames: Vec::new(), sent: 0, cost: 0, count: 0 }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a message, if there is room for it. An empty batch has room for any of up to
    /// 4,000 bytes, which every peer takes.
    #[inline]
    pub fn push(&mut self, payload: &[u8]) -> bool {
        if self.frames.len() + MessageHeader::ROOM + payload.len() > QUANTUM {
            return false;
        }
        let (call, half) = (self.half.call.wire, self.half.half);
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        MessageHeader::new(call, half, len).put(&mut self.frames);
        self.frames.extend_from_slice(payload);
        self.cost += cost(payload.len());
        self.count += 1;
        true
    }

    pub(crate) fn half(&self) -> Outbound {
        self.half
    }

    /// What was not sent, how many messages that is, and what they cost.
    pub(crate) fn rest(&self) -> (&[u8], u32, u32) {
        (self.frames.get(self.sent..).unwrap_or_default(), self.count, self.cost)
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

    pub(crate) fn clear(&mut self) {
        self.frames.clear();
        self.sent = 0;
        self.cost = 0;
        self.count = 0;
    }
}
