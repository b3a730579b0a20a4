use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wirestream_protocol::{CloseReason, Stats};

use crate::link::Link;

/// What a [`Server`](crate::Server) or a [`Client`](crate::Client) does and has done: plain numbers at
/// one time, to be given to whatever collects them.
///
/// Those that say so are a level, which goes up and down. All others count from the start, over the
/// connections that there are and those that are over, and never go down. Sizes are in bytes.
///
/// Taking a snapshot looks at each open call of each open connection, and keeps each connection
/// waiting as long as that takes: every few seconds is cheap, every millisecond is not. Counting
/// costs no lock and no atomic of its own.
///
/// # For Prometheus
///
/// ```
/// use std::fmt::Write;
///
/// fn prometheus(server: &wirestream::Server) -> String {
///     let now = server.metrics();
///     let mut text = String::new();
///     for (name, kind, value) in [
///         ("connections_open", "gauge", now.connections_open),
///         ("calls_open", "gauge", now.calls_open),
///         ("calls_failed_total", "counter", now.calls_failed),
///         ("messages_in_total", "counter", now.messages_in),
///         ("stalled_halves", "gauge", now.stalled_halves),
///     ] {
///         let _ = writeln!(text, "# TYPE wirestream_{name} {kind}\nwirestream_{name} {value}");
///     }
///     text
/// }
/// # let server = wirestream::Server::builder().build()?;
/// assert!(prometheus(&server).contains("\nwirestream_calls_open 0\n"));
/// # Ok::<(), wirestream::BuildError>(())
/// ```
///
/// # For the `metrics` crate
///
/// A task that wakes every few seconds says `gauge!("wirestream_calls_open").set(now.calls_open as
/// f64)` for a level and `counter!("wirestream_calls_failed").absolute(now.calls_failed)` for a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// A level: connections that there are.
    pub connections_open: u64,
    /// Connections that were made or taken in.
    pub connections_begun: u64,
    /// Connections that ended because one side wanted it: idle, shut down, closed.
    pub connections_closed: u64,
    /// Connections whose transport ended without a word.
    pub connections_lost: u64,
    /// Connections that were given up by either side: silent for too long, no `Hello` in time, a
    /// socket that took nothing.
    pub connections_timed_out: u64,
    /// Connections that ended for a broken rule of the protocol, or another version of it.
    pub connections_violated: u64,
    /// A client's attempts to connect that failed; a server's handshakes that its adapter refused
    /// or gave up.
    pub handshakes_failed: u64,

    /// A level: calls that are not over.
    pub calls_open: u64,
    /// Calls that were opened or came in, those that were refused too. The sum of the open ones
    /// and of the five that follow.
    pub calls_begun: u64,
    /// Calls whose reply came to its end in order.
    pub calls_finished: u64,
    /// Calls whose reply ended with an error, typed or not, a panic, or a revocation.
    pub calls_failed: u64,
    /// Calls that the server refused.
    pub calls_rejected: u64,
    /// Calls that the caller gave up.
    pub calls_cancelled: u64,
    /// Calls that ended with their connection.
    pub calls_lost: u64,

    /// Messages of streams that came whole.
    pub messages_in: u64,
    /// Messages of streams that were taken to be sent.
    pub messages_out: u64,
    /// Packets, which hold many messages each, that came.
    pub packets_in: u64,
    /// Packets that were given to the transport.
    pub packets_out: u64,
    /// Bytes of the packets that came, without what WebSocket and TLS add.
    pub bytes_in: u64,
    /// Bytes of the packets that were given to the transport.
    pub bytes_out: u64,

    /// A level: streams with a message to send that wait until their receiver reads on.
    pub stalled_halves: u64,
    /// A level: bytes of messages that wait for the socket, or for the receiver to read on.
    pub buffered_out: u64,
    /// A level: bytes of messages that have come and were not taken, as credit counts them: at
    /// least 64 for each.
    pub buffered_in: u64,
}

impl Metrics {
    fn add(&mut self, stats: &Stats) {
        self.calls_open += stats.calls_open();
        self.calls_begun += stats.calls_begun;
        self.calls_finished += stats.calls_finished;
        self.calls_failed += stats.calls_failed;
        self.calls_rejected += stats.calls_rejected;
        self.calls_cancelled += stats.calls_cancelled;
        self.calls_lost += stats.calls_lost;
        self.messages_in += stats.messages_in;
        self.messages_out += stats.messages_out;
        self.packets_in += stats.packets_in;
        self.packets_out += stats.packets_out;
        self.bytes_in += stats.bytes_in;
        self.bytes_out += stats.bytes_out;
    }

    fn add_open(&mut self, link: &Link) {
        let core = link.lock();
        let connection = &core.connection;
        self.add(&connection.stats());
        self.stalled_halves += connection.stalled() as u64;
        self.buffered_out += connection.buffered() as u64;
        self.buffered_in += connection.held();
    }

    fn ended(&mut self, reason: &CloseReason) {
        let counter = match reason {
            CloseReason::Local
            | CloseReason::Peer
            | CloseReason::Idle
            | CloseReason::Drained
            | CloseReason::DrainExpired => &mut self.connections_closed,
            CloseReason::HandshakeTimeout
            | CloseReason::Timeout
            | CloseReason::PeerTimeout(_)
            | CloseReason::Stalled => &mut self.connections_timed_out,
            CloseReason::Violation(_)
            | CloseReason::Accused(_)
            | CloseReason::Version { .. }
            | CloseReason::VersionRefused(_) => &mut self.connections_violated,
            // `Eof`, and whatever is added.
            _ => &mut self.connections_lost,
        };
        *counter += 1;
    }
}

/// The connections that there are, and the sums of those that are over.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    open: BTreeMap<u64, Arc<Link>>,
    over: Metrics,
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection for as long as what is returned is kept, and remembers it then.
    pub(crate) fn enter(self: &Arc<Self>, link: &Arc<Link>) -> Entered {
        let mut books = self.books();
        books.over.connections_begun += 1;
        let number = books.over.connections_begun;
        books.open.insert(number, Arc::clone(link));
        Entered { ledger: Arc::clone(self), number }
    }

    /// One that was never made.
    pub(crate) fn handshake_failed(&self) {
        self.books().over.handshakes_failed += 1;
    }

    #[cfg(feature = "testing")]
    pub(crate) fn each_open(&self, mut look: impl FnMut(&wirestream_protocol::Connection)) {
        let open: Vec<_> = self.books().open.values().cloned().collect();
        open.iter().for_each(|link| look(&link.lock().connection));
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let (mut sum, open) = {
            let books = self.books();
            (books.over, books.open.values().cloned().collect::<Vec<_>>())
        };
        // One that ends from here on is counted here, and only here.
        sum.connections_open = open.len() as u64;
        open.iter().for_each(|link| sum.add_open(link));
        sum
    }
}

/// A connection's place in a ledger.
#[derive(Debug)]
pub(crate) struct Entered {
    ledger: Arc<Ledger>,
    number: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut books = self.ledger.books();
        let Some(link) = books.open.remove(&self.number) else { return };
        let core = link.lock();
        books.over.add(&core.connection.stats());
        books.over.ended(core.connection.closed().unwrap_or(&CloseReason::Eof));
        drop(core);
        drop(books);
        drop(link); // perhaps the last handle of what is the user's
    }
}
