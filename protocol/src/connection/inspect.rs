//! What rigs see of a connection, beside its books.

use alloc::collections::VecDeque;

use super::{Connection, Control};
use crate::call::CallRecord;
use crate::state::{CallState, ReceiverState, SenderState};

fn room<T>(queue: &VecDeque<T>) -> usize {
    queue.capacity() * size_of::<T>()
}

impl Connection {
    /// What it has on the heap, in bytes, as far as its buffers and queues tell: never more than
    /// [`Limits::worst_case_bytes`](crate::Limits::worst_case_bytes).
    #[doc(hidden)]
    pub fn footprint(&self) -> usize {
        let refusals = self.control.iter().map(|control| match control {
            Control::Reject { rejection, .. } => rejection.detail.len(),
            Control::Open(_) | Control::Accept(_) | Control::Stop { .. } | Control::Credit(_) => 0,
        });
        let queues = room(&self.control)
            + room(&self.waiters)
            + room(&self.crowd)
            + room(&self.ring)
            + room(&self.events);
        let buffers = self.packet.capacity() + self.spare.capacity();
        self.calls.footprint() + queues + refusals.sum::<usize>() + buffers
    }

    /// What may still be sent on the open halves of calls that are not over, and what the peer may
    /// believe to have on those that it sends on. Where nothing is under way, each is the other
    /// end's other.
    #[doc(hidden)]
    pub fn half_books(&self) -> (i64, i64) {
        let live = || self.calls.iter().filter(|call| call.state != CallState::Over);
        let outgoing = live().flat_map(CallRecord::outgoing);
        let incoming = live().flat_map(CallRecord::incoming);
        let sends = outgoing.filter(|half| half.state == SenderState::Open);
        let receives = incoming.filter(|half| half.state == ReceiverState::Open);
        (
            sends.map(|half| half.credit.available()).sum(),
            receives.map(|half| half.credit.available()).sum(),
        )
    }

    /// As [`half_books`](Self::half_books), of the connection's own credit.
    #[doc(hidden)]
    pub fn own_books(&self) -> (i64, i64) {
        (self.send_credit.available(), self.receive_credit.available())
    }
}
