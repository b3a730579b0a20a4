//! What a sender's half has ready for the wire: whole small messages, already framed, in one
//! buffer; large ones beside them, cut into chunks as they leave.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

use crate::queue::Queue;
use crate::wire::{Frame, MessageHeader, RawFrames, cost};

/// What one half puts into a packet before it is another's turn, in bytes (R-MSG-6).
pub(crate) const QUANTUM: usize = 4 * 1024;
/// A run that has grown to this many bytes is followed by another: what has left it is freed.
const FULL_RUN: usize = 16 * 1024;
/// The largest buffer that is kept while there is more to send, and while there is not.
const KEPT_BUSY: usize = 2 * FULL_RUN;
const KEPT_IDLE: usize = 256;

#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct Outbox {
    segments: Queue<Segment>,
    bytes: usize,
    /// The last run's buffer, for the next.
    spare: Vec<u8>,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
enum Segment {
    /// Framed messages back to back.
    Run { frames: Vec<u8>, sent: usize, marks: Marks },
    /// A message that leaves in chunks.
    Large { payload: Bytes, sent: usize },
}

/// Where a run may be cut, about a quantum apart. Few runs are long enough for one.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, Hash))]
#[allow(clippy::box_collection, reason = "most runs have none, and are the smaller for it")]
struct Marks(Option<Box<VecDeque<u32>>>);

impl Marks {
    fn push(&mut self, place: usize) {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.0.get_or_insert_default().push_back(place);
    }

    fn first(&self) -> Option<usize> {
        Some(*self.0.as_ref()?.front()? as usize)
    }

    fn last(&self) -> Option<usize> {
        Some(*self.0.as_ref()?.back()? as usize)
    }

    fn drop_first(&mut self) {
        self.0.as_mut().and_then(|marks| marks.pop_front());
    }
}

impl Outbox {
    /// How many bytes wait here.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Appends framed messages of its half, at most a turn's worth; returns how many bytes that
    /// adds.
    pub(crate) fn push_batch(&mut self, batch: &[u8]) -> usize {
        let Some((frames, sent, marks)) = self.run(batch.len()) else { return 0 };
        let marked = marks.last().unwrap_or(*sent);
        if frames.len() > marked && frames.len() - marked + batch.len() > QUANTUM {
            marks.push(frames.len());
        }
        frames.extend_from_slice(batch);
        self.bytes += batch.len();
        batch.len()
    }

    /// The run that takes the next messages, of so many bytes if that is known, what of it was
    /// sent, and where it may be cut.
    fn run(&mut self, size: usize) -> Option<(&mut Vec<u8>, &mut usize, &mut Marks)> {
        let room = |frames: &Vec<u8>| frames.len() + size.saturating_sub(1) < FULL_RUN;
        if !matches!(self.segments.back_mut(), Some(Segment::Run { frames, .. }) if room(frames)) {
            let frames = core::mem::take(&mut self.spare);
            self.segments.push_back(Segment::Run { frames, sent: 0, marks: Marks::default() });
        }
        match self.segments.back_mut() {
            Some(Segment::Run { frames, sent, marks }) => Some((frames, sent, marks)),
            Some(Segment::Large { .. }) | None => None,
        }
    }

    /// Appends a message that fits a chunk; returns how many bytes that adds.
    pub(crate) fn push_small(&mut self, call: u32, half: u8, payload: &[u8]) -> usize {
        let Some((frames, sent, marks)) = self.run(0) else { return 0 };
        let before = frames.len();
        frames.reserve(MessageHeader::ROOM + payload.len());
        let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        MessageHeader::new(call, half, payload_len).put(frames);
        frames.extend_from_slice(payload);
        let added = frames.len() - before;
        if frames.len() - marks.last().unwrap_or(*sent) >= QUANTUM {
            marks.push(frames.len());
        }
        self.bytes += added;
        added
    }

    /// Appends a message that leaves in chunks; returns how many bytes that adds.
    pub(crate) fn push_large(&mut self, payload: Bytes) -> usize {
        let added = payload.len();
        self.bytes += added;
        self.segments.push_back(Segment::Large { payload, sent: 0 });
        added
    }

    /// Moves one turn's worth into the packet: a quantum of small messages (as many as `room`
    /// allows, if `alone`), or one chunk. Returns how many bytes left.
    pub(crate) fn transmit(
        &mut self,
        call: u32,
        half: u8,
        chunk: usize,
        alone_room: Option<usize>,
        packet: &mut BytesMut,
    ) -> usize {
        let left = match self.segments.front_mut() {
            None => 0,
            Some(Segment::Run { frames, sent, marks }) => {
                let room = alone_room.unwrap_or(QUANTUM);
                let mut end = *sent;
                while let Some(mark) = marks.first() {
                    if end > *sent && mark - *sent > room {
                        break;
                    }
                    end = mark;
                    marks.drop_first();
                }
                if marks.first().is_none() && (end == *sent || frames.len() - *sent <= room) {
                    end = frames.len();
                }
                let part = frames.get(*sent..end).unwrap_or_default();
                packet.extend_from_slice(part);
                let left = part.len();
                *sent = end;
                left
            }
            Some(Segment::Large { payload, sent }) => {
                let end = payload.len().min(*sent + chunk);
                let part = payload.get(*sent..end).unwrap_or_default();
                let frame = if *sent == 0 {
                    let total = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                    Frame::Begin { call, half, total, payload: part }
                } else {
                    Frame::More { call, half, payload: part }
                };
                frame.encode(packet);
                let left = part.len();
                *sent = end;
                left
            }
        };
        self.bytes -= left;
        self.drop_sent();
        left
    }

    fn drop_sent(&mut self) {
        match self.segments.front_mut() {
            Some(Segment::Run { frames, sent, .. }) if *sent == frames.len() => {
                let mut frames = core::mem::take(frames);
                frames.clear();
                self.segments.pop_front();
                let kept = if self.segments.is_empty() { KEPT_IDLE } else { KEPT_BUSY };
                self.spare = if frames.capacity() <= kept { frames } else { Vec::new() };
            }
            Some(Segment::Large { payload, sent }) if *sent == payload.len() => {
                self.segments.pop_front();
            }
            Some(Segment::Run { .. } | Segment::Large { .. }) | None => {}
        }
    }

    /// What it has on the heap, in bytes.
    #[cfg(feature = "testing")]
    pub(crate) fn footprint(&self) -> usize {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Run { frames, marks, .. } => {
                frames.capacity() + marks.0.as_ref().map_or(0, |marks| 4 * marks.capacity())
            }
            Segment::Large { payload, .. } => payload.len(),
        });
        segments.sum::<usize>() + self.segments.footprint() + self.spare.capacity()
    }

    /// Drops everything; returns what its messages cost that never reached the wire, not even in
    /// part: nobody else will give that credit back.
    pub(crate) fn discard(&mut self) -> u64 {
        let unsent = self.segments.iter().map(Segment::unsent_cost).sum();
        *self = Self::default();
        unsent
    }
}

impl Segment {
    fn unsent_cost(&self) -> u64 {
        match self {
            Self::Large { payload, sent: 0 } => cost(payload.len()).into(),
            Self::Large { .. } => 0,
            Self::Run { frames, sent, .. } => {
                let mut rest = RawFrames::new(frames.get(*sent..).unwrap_or_default());
                let mut sum = 0;
                while let Ok(Some(frame)) = rest.next_frame() {
                    sum += frame.half().map_or(0, |(_, _, payload)| u64::from(cost(payload.len())));
                }
                sum
            }
        }
    }
}
