//! The calls of a connection, and the halves of each.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hasher};
use core::slice;

use bytes::Bytes;
use hashbrown::HashMap;

use crate::credit::{ReceiveCredit, SendCredit};
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::state::{CallState, ReceiverEvent, ReceiverState, SenderState, Step};
use crate::wire::cost;
use crate::{CallId, End, Fault, Inbound, Outbound, Payload, Request};

/// The sender's side of a half.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct OutHalf {
    pub(crate) state: SenderState,
    pub(crate) credit: SendCredit,
    pub(crate) outbox: Outbox,
    /// A message that was taken and waits for the connection's credit.
    pub(crate) waiting: Option<Bytes>,
    /// The fault that the half ends with, if it does not end in order.
    pub(crate) fault: Option<Fault>,
    /// Whether the connection's credit was taken for that fault's payload.
    pub(crate) fault_paid: bool,
    /// Whether it stands in the ring of halves with something to transmit.
    pub(crate) in_ring: bool,
    /// Whether it stands in the queue for the connection's credit.
    pub(crate) in_waiters: bool,
    /// Whether it stands in the queue for room in the outgoing buffer.
    pub(crate) in_crowd: bool,
    /// Whether the application was told `Blocked` and is owed a `Writable`.
    pub(crate) blocked: bool,
}

impl OutHalf {
    pub(crate) fn new(window: u32) -> Self {
        Self {
            state: SenderState::Open,
            credit: SendCredit::half(window),
            outbox: Outbox::default(),
            waiting: None,
            fault: None,
            fault_paid: false,
            in_ring: false,
            in_waiters: false,
            in_crowd: false,
            blocked: false,
        }
    }

    /// What it needs of the connection's credit before it can go on.
    pub(crate) fn needs(&self) -> Option<u32> {
        match (&self.waiting, &self.fault) {
            (Some(message), _) => Some(cost(message.len())),
            (None, Some(Fault::App(payload))) if !self.fault_paid => Some(cost(payload.len())),
            (None, _) => None,
        }
    }

    /// Whether its end may go on the wire.
    pub(crate) fn end_is_due(&self) -> bool {
        self.state == SenderState::Finishing && self.outbox.is_empty() && self.needs().is_none()
    }

    /// Queues a message whose credit was taken, in one frame if it fits one (R-MSG-5); returns how
    /// many bytes that adds.
    pub(crate) fn push(&mut self, id: Outbound, payload: Payload<'_>, chunk: usize) -> usize {
        let slice = payload.as_slice();
        if slice.len() <= chunk {
            self.outbox.push_small(id.call.wire, id.half, slice)
        } else {
            self.outbox.push_large(payload.into_bytes())
        }
    }

    /// Whether it has a message that it has no credit for.
    pub(crate) fn is_stalled(&self) -> bool {
        self.waiting.is_some() || (self.blocked && self.credit.available() <= 0)
    }

    pub(crate) fn buffered(&self) -> usize {
        self.outbox.bytes() + self.without_credit()
    }

    pub(crate) fn without_credit(&self) -> usize {
        self.waiting.as_ref().map_or(0, Bytes::len)
    }

    /// Drops what was not transmitted; returns the connection's credit that was taken for it.
    pub(crate) fn discard(&mut self) -> u64 {
        self.waiting = None;
        let fault = match self.fault.take() {
            Some(Fault::App(payload)) if self.fault_paid => u64::from(cost(payload.len())),
            Some(Fault::App(_) | Fault::Failed | Fault::Cancelled | Fault::Revoked) | None => 0,
        };
        self.fault_paid = false;
        self.outbox.discard() + fault
    }
}

/// The receiver's side of a half.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct InHalf {
    pub(crate) state: ReceiverState,
    pub(crate) credit: ReceiveCredit,
    pub(crate) inbox: Inbox,
    /// What the run cost that the application is working through.
    pub(crate) taken: u64,
    /// How it ended, once it has.
    pub(crate) end: Option<End>,
    /// What the end's payload cost, until the application has taken the end.
    pub(crate) end_cost: u64,
    /// Whether a `Readable` is on its way to the application.
    pub(crate) announced: bool,
    /// Whether a grant stands in the control queue.
    pub(crate) granting: bool,
}

impl InHalf {
    pub(crate) fn new(window: u32) -> Self {
        Self {
            state: ReceiverState::Open,
            credit: ReceiveCredit::half(window),
            inbox: Inbox::default(),
            taken: 0,
            end: None,
            end_cost: 0,
            announced: false,
            granting: false,
        }
    }

    /// The call is over. What has come stays to be read if `keep`; a message in part does not.
    /// Returns what the dropped cost.
    pub(crate) fn close(&mut self, end: End, keep: bool) -> u64 {
        if let Step::To(state) = self.state.step(ReceiverEvent::CallOver) {
            let stopped = self.state == ReceiverState::Stopped; // whose end was told, and stays
            self.state = state;
            self.end = Some(if stopped { End::CallOver } else { end });
        }
        if keep {
            let dropped = self.inbox.drop_partial();
            self.credit.release(dropped);
            return dropped;
        }
        if !self.inbox.is_empty() {
            self.end = Some(End::CallOver); // what was dropped must not look like a clean end
        }
        self.discard()
    }

    /// Drops what is held; returns what it cost.
    pub(crate) fn discard(&mut self) -> u64 {
        let held = self.inbox.discard() + core::mem::take(&mut self.taken);
        self.credit.release(held);
        held + core::mem::take(&mut self.end_cost)
    }

    /// What may come on it and be unread.
    pub(crate) fn window(&self) -> u64 {
        match self.state {
            ReceiverState::Open => self.credit.window().into(),
            ReceiverState::Ended
            | ReceiverState::Stopped
            | ReceiverState::Done
            | ReceiverState::Over => 0,
        }
    }

    /// What of the connection's credit it holds.
    pub(crate) fn held(&self) -> u64 {
        self.inbox.cost() + self.taken + self.end_cost
    }
}

/// The caller's request on its way out.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct Opening {
    /// The whole `Open` frame.
    pub(crate) frame: Vec<u8>,
    /// The length of its body.
    pub(crate) size: usize,
    pub(crate) cost: u32,
    /// Whether the connection's credit was taken for it.
    pub(crate) paid: bool,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct CallRecord {
    pub(crate) id: CallId,
    pub(crate) state: CallState,
    pub(crate) halves: Halves,
    /// The caller's request, until it is on the wire.
    pub(crate) opening: Option<Opening>,
    /// The callee's copy of the request, until the application took it. Boxed: the record stays
    /// small for as long as the call lives.
    pub(crate) request: Option<Box<Request>>,
    /// What that copy cost.
    pub(crate) request_cost: u64,
    /// The application is done with it.
    pub(crate) released: bool,
}

/// The halves of a call, as one of its sides has them.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) enum Halves {
    Caller { reply: InHalf, parameters: Vec<OutHalf> },
    Callee { reply: OutHalf, parameters: Vec<InHalf> },
}

/// The number of a half as the wire counts, for the place it has in its list: the reply is
/// half 0, the parameters come after it.
pub(crate) fn half_number(place: usize, sends_reply: bool) -> u8 {
    let first = u8::from(!sends_reply);
    u8::try_from(place).unwrap_or(u8::MAX).saturating_add(first)
}

/// The other way about.
fn place(half: u8, is_reply_list: bool) -> Option<usize> {
    match (is_reply_list, half) {
        (true, 0) => Some(0),
        (true, 1..) | (false, 0) => None,
        (false, 1..) => Some(usize::from(half) - 1),
    }
}

impl CallRecord {
    /// The halves that this side sends on, in the order of their numbers.
    #[inline]
    pub(crate) fn outgoing(&self) -> &[OutHalf] {
        match &self.halves {
            Halves::Caller { parameters, .. } => parameters,
            Halves::Callee { reply, .. } => slice::from_ref(reply),
        }
    }

    #[inline]
    pub(crate) fn outgoing_mut(&mut self) -> &mut [OutHalf] {
        match &mut self.halves {
            Halves::Caller { parameters, .. } => parameters,
            Halves::Callee { reply, .. } => slice::from_mut(reply),
        }
    }

    /// The halves that this side receives on, in the order of their numbers.
    #[inline]
    pub(crate) fn incoming(&self) -> &[InHalf] {
        match &self.halves {
            Halves::Caller { reply, .. } => slice::from_ref(reply),
            Halves::Callee { parameters, .. } => parameters,
        }
    }

    #[inline]
    pub(crate) fn incoming_mut(&mut self) -> &mut [InHalf] {
        match &mut self.halves {
            Halves::Caller { reply, .. } => slice::from_mut(reply),
            Halves::Callee { parameters, .. } => parameters,
        }
    }

    #[inline]
    pub(crate) fn out_half(&mut self, half: u8) -> Option<&mut OutHalf> {
        match &mut self.halves {
            Halves::Caller { parameters, .. } => parameters.get_mut(place(half, false)?),
            Halves::Callee { reply, .. } => (half == 0).then_some(reply),
        }
    }

    pub(crate) fn out_half_ref(&self, half: u8) -> Option<&OutHalf> {
        match &self.halves {
            Halves::Caller { parameters, .. } => parameters.get(place(half, false)?),
            Halves::Callee { reply, .. } => (half == 0).then_some(reply),
        }
    }

    #[inline]
    pub(crate) fn in_half(&mut self, half: u8) -> Option<&mut InHalf> {
        match &mut self.halves {
            Halves::Caller { reply, .. } => (half == 0).then_some(reply),
            Halves::Callee { parameters, .. } => parameters.get_mut(place(half, false)?),
        }
    }

    #[inline]
    pub(crate) fn outbound(&self, half: u8) -> Option<Outbound> {
        let is_reply = matches!(self.halves, Halves::Callee { .. });
        self.outgoing().get(place(half, is_reply)?)?;
        Some(Outbound { call: self.id, half })
    }

    #[inline]
    pub(crate) fn inbound(&self, half: u8) -> Option<Inbound> {
        let is_reply = matches!(self.halves, Halves::Caller { .. });
        self.incoming().get(place(half, is_reply)?)?;
        Some(Inbound { call: self.id, half })
    }

    /// What it has on the heap, in bytes.
    #[cfg(feature = "testing")]
    fn footprint(&self) -> usize {
        let fault = |fault: Option<&Fault>| match fault {
            Some(Fault::App(payload)) => payload.len(),
            Some(Fault::Failed | Fault::Cancelled | Fault::Revoked) | None => 0,
        };
        let outgoing = self.outgoing().iter().map(|half| {
            let waiting = half.waiting.as_ref().map_or(0, Bytes::len);
            size_of_val(half) + half.outbox.footprint() + waiting + fault(half.fault.as_ref())
        });
        let incoming = self.incoming().iter().map(|half| {
            let end = match &half.end {
                Some(End::Fault(end)) => fault(Some(end)),
                Some(End::Rejected(rejection)) => rejection.detail.len(),
                Some(End::Finished | End::CallOver | End::Lost(_)) | None => 0,
            };
            size_of_val(half) + half.inbox.footprint() + end
        });
        let request = self.request.as_ref().map_or(0, |request| {
            let notes = request.metadata.iter().map(|(name, value)| name.len() + value.len());
            request.method.len() + request.arguments.len() + notes.sum::<usize>()
        });
        let opening = self.opening.as_ref().map_or(0, |opening| opening.frame.capacity());
        outgoing.sum::<usize>() + incoming.sum::<usize>() + request + opening
    }

    /// Whether its frames may go on the wire, after the `Open` that precedes them.
    pub(crate) fn is_begun(&self) -> bool {
        self.opening.as_ref().is_none_or(|opening| opening.paid)
    }
}

/// A table that had more slots than this is given back when its last call is gone.
const KEPT_SLOTS: usize = 8;

/// The calls, by slot and by the wire's number.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct CallTable {
    slots: Vec<Option<CallRecord>>,
    free: Vec<u32>,
    slot_of: HashMap<u32, u32, BuildNumberHasher>,
}

impl CallTable {
    pub(crate) fn len(&self) -> usize {
        self.slot_of.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slot_of.is_empty()
    }

    /// Inserts the record that `make` builds for the id it is given.
    pub(crate) fn insert(&mut self, wire: u32, make: impl FnOnce(CallId) -> CallRecord) -> CallId {
        let next = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let slot = self.free.pop().unwrap_or(next);
        let id = CallId { wire, slot };
        let record = Some(make(id));
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = record,
            None => {
                if self.slots.is_empty() {
                    self.slots.reserve_exact(1); // many connections have one call and no more
                }
                self.slots.push(record);
            }
        }
        self.slot_of.insert(wire, slot);
        id
    }

    pub(crate) fn remove(&mut self, id: CallId) -> Option<CallRecord> {
        let place = self.slots.get_mut(id.slot as usize)?;
        let record = place.take_if(|record| record.id == id)?;
        self.slot_of.remove(&id.wire);
        self.free.push(id.slot);
        if self.slot_of.is_empty() {
            if self.slots.len() > KEPT_SLOTS {
                *self = Self::default(); // a burst of calls leaves no memory behind
            }
            // A slot is as large as a call.
            self.slots = Vec::new();
            self.free.clear();
        }
        Some(record)
    }

    #[inline]
    pub(crate) fn get(&self, id: CallId) -> Option<&CallRecord> {
        self.slots.get(id.slot as usize)?.as_ref().filter(|record| record.id == id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: CallId) -> Option<&mut CallRecord> {
        self.slots.get_mut(id.slot as usize)?.as_mut().filter(|record| record.id == id)
    }

    #[inline]
    pub(crate) fn by_wire(&mut self, wire: u32) -> Option<&mut CallRecord> {
        let slot = *self.slot_of.get(&wire)?;
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// In the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CallRecord> {
        self.slots.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut CallRecord> {
        self.slots.iter_mut().flatten()
    }

    /// What it has on the heap, calls included, in bytes.
    #[cfg(feature = "testing")]
    pub(crate) fn footprint(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<Option<CallRecord>>();
        let numbers = 4 * self.free.capacity() + self.slot_of.allocation_size();
        slots + numbers + self.iter().map(CallRecord::footprint).sum::<usize>()
    }

    pub(crate) fn ids(&self) -> Vec<CallId> {
        self.iter().map(|record| record.id).collect()
    }
}

/// Spreads call numbers over the table. The peer chooses them only upwards, and only as many live
/// at a time as the limit allows, so there is nothing to gain from collisions.
#[derive(Clone, Copy, Debug, Default)]
struct BuildNumberHasher;

#[derive(Debug, Default)]
struct NumberHasher(u64);

impl BuildHasher for BuildNumberHasher {
    type Hasher = NumberHasher;

    fn build_hasher(&self) -> NumberHasher {
        NumberHasher::default()
    }
}

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}
