//! What an adapter brings: a transport for packets, a timer, a place to run futures, a way to dial.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use wirestream_protocol::{Time, Violation};

/// A two-way carrier of packets: one packet is the payload of one binary WebSocket message, whole
/// and in order.
///
/// One task owns it, its driver, and polls all of it; a task that sends a lot polls
/// [`poll_send`](Self::poll_send) too, never at the same time, and with the driver's waker in the
/// context. Each `poll_` method registers the context's waker when it answers `Pending`, as usual.
/// After an I/O error or the end it is only dropped; after a violation, what tells the peer so is
/// sent, and it is closed.
pub trait Transport: Send + Unpin + 'static {
    /// The next packet; `None` once the peer has ended in order.
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>>;

    /// Takes `packet`, leaving it empty, once there is room for it. Bytes may stay in a buffer
    /// until [`poll_flush`](Self::poll_flush).
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>>;

    /// Writes out what was taken.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>>;

    /// Writes out what was taken and ends in order.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>>;

    /// How many bytes were written out so far; only ever grows. It tells a line that is slow from
    /// one that takes nothing for [`Limits::stall`](crate::Limits::stall), and is given up. A
    /// transport that does not know says 0: then a packet or a flush that waits for so long counts
    /// as a stall.
    fn written(&self) -> u64 {
        0
    }
}

/// A clock with an alarm.
pub trait Timer: Send + Unpin + 'static {
    /// The time now, since an epoch of the timer's own. Never goes back.
    fn now(&self) -> Time;

    /// Ready once `deadline` has passed. Each poll may name another deadline; the last counts.
    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Time) -> Poll<()>;
}

/// A future that owns what it needs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where futures run, and where timers come from.
pub trait Runtime: Send + Sync + 'static {
    /// Runs a future to its end, beside the caller.
    fn spawn(&self, future: BoxFuture<()>);

    /// A new timer. All timers of a runtime share one epoch.
    fn timer(&self) -> Box<dyn Timer>;
}

/// How a client gets its transport. Bounded in time by itself.
pub trait Dial: Send + Sync + 'static {
    /// Makes one attempt to connect. Dropping the future gives it up.
    fn dial(&self) -> BoxFuture<Result<Box<dyn Transport>, ConnectError>>;
}

/// Why a transport ended other than in order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The peer broke a rule that only the transport sees.
    #[error(transparent)]
    Violation(Violation),
    /// The socket failed, or broke the rules of its own protocol.
    #[error("{detail}")]
    Io {
        /// The kind of failure.
        kind: io::ErrorKind,
        /// In words.
        detail: Arc<str>,
    },
}

impl From<io::Error> for TransportError {
    fn from(error: io::Error) -> Self {
        Self::Io { kind: error.kind(), detail: error.to_string().into() }
    }
}

/// Why a connection could not be made: what was tried, and what came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError {
    /// What was dialled, without credentials.
    pub target: Arc<str>,
    /// What kind of failure it was.
    pub kind: ConnectErrorKind,
    /// What came back, in words.
    pub detail: Arc<str>,
}

/// The kinds of [`ConnectError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The address cannot be used: not a `ws://` or `wss://` URL, or with credentials in it.
    Address,
    /// Nobody answered there: refused, unreachable, no such host.
    Unreachable,
    /// It took longer than the handshake may.
    TimedOut,
    /// The other end does not speak TLS, or one of the two is not who the other trusts: a
    /// certificate of another name, expired, of an unknown issuer, or missing.
    Tls,
    /// Somebody answered, but does not speak WebSocket, or not `wirestream.v1`.
    NotWirestream,
}

impl ConnectErrorKind {
    /// Whether another attempt may succeed without a change of configuration.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unreachable | Self::TimedOut)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ConnectErrorKind::Address => "cannot use the address",
            ConnectErrorKind::Unreachable => "cannot reach",
            ConnectErrorKind::TimedOut => "timed out connecting to",
            ConnectErrorKind::Tls => "no secure connection to",
            ConnectErrorKind::NotWirestream => "no Wirestream server at",
        };
        write!(f, "{what} {}: {}", self.target, self.detail)
    }
}

impl std::error::Error for ConnectError {}

impl Transport for Box<dyn Transport> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        (**self).poll_recv(cx)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        (**self).poll_send(cx, packet)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        (**self).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        (**self).poll_close(cx)
    }

    fn written(&self) -> u64 {
        (**self).written()
    }
}
