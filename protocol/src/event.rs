use crate::{CallId, CloseReason, Inbound, Outbound, Outcome};

/// What the application should look at. Readiness, not data: events may be merged, and an event
/// may come for something that has changed again since.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer opened a call: look at it with `Connection::call`, then accept or reject it.
    Incoming(CallId),
    /// The callee accepted the call.
    Accepted(CallId),
    /// `recv` has something: a message or the end.
    Readable(Inbound),
    /// A blocked `send` is worth another try.
    Writable(Outbound),
    /// The receiver wants no more of this half.
    Stopped(Outbound),
    /// The call is over: once for each call. Its slot stays taken until `Connection::release`.
    Ended(CallId, Outcome),
    /// The connection is over: once, and the last event.
    Closed(CloseReason),
}
