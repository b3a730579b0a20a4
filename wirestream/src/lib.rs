//! Wirestream.

mod transport;

pub use transport::{
    BoxFuture, ConnectError, ConnectErrorKind, Dial, Runtime, Timer, Transport, TransportError,
};
pub use wirestream_protocol::{
    CallId, CloseReason, Limits, LimitsError, RejectCode, Rejection, Request, Time, Token,
    Violation, wire,
};
