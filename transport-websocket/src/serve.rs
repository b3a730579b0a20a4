use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tracing::{debug, error, warn};
use wirestream::Limits;

use crate::{AcceptError, Origins, ServerTls};

#[cfg(test)]
mod tests;

/// How a server takes connections in.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// How long a client may take for its handshakes, of TLS and of the WebSocket together,
    /// whatever it does. `serve` takes it from the server's limits. 5 s.
    pub handshake: Duration,
    /// Handshakes at a time; clients beyond them wait in the listener's queue. 1,024.
    pub handshakes: usize,
    /// Handshakes at a time of clients that come from the same address (of IPv6: the same network
    /// of 64 bits); one beyond is turned away. At least one. Where a proxy stands before the
    /// server, all clients come from its address. 256.
    pub handshakes_per_address: usize,
    /// How long running calls may take to finish once the server shuts down. 30 s.
    pub drain: Duration,
    /// Which web pages may connect, beside clients that are no browsers. None.
    pub origins: Origins,
    /// Serves `wss://` instead of `ws://`, with this certificate; needs the feature `tls`. None.
    pub tls: Option<ServerTls>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            handshake: Limits::default().handshake,
            handshakes: 1024,
            handshakes_per_address: 256,
            drain: Duration::from_secs(30),
            origins: Origins::default(),
            tls: None,
        }
    }
}

/// Tells `tracing` of a client whose handshake failed.
pub fn report_failed_handshake(peer: Option<SocketAddr>, error: &AcceptError) {
    let (peer, reason) = (peer.map(tracing::field::display), error.to_string());
    debug!(target: "wirestream::accept", peer, reason, "a handshake failed");
}

/// How long to wait after failures to accept, one after the other. A success begins a new one.
#[derive(Debug)]
pub struct Patience {
    pause: Duration,
}

/// When to accept again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Now,
    /// After a pause.
    In(Duration),
    /// The listener is of no use.
    Never,
}

impl Default for Patience {
    fn default() -> Self {
        Self { pause: Self::SHORTEST }
    }
}

impl Patience {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_secs(1);

    /// What to do after this failure, of which `tracing` is told.
    pub fn after(&mut self, error: &io::Error) -> Next {
        let next = self.next(error);
        let reason = error.to_string();
        match next {
            Next::Now => {
                debug!(target: "wirestream::accept", reason, "a client was gone before it was accepted");
            }
            Next::In(pause) => warn!(
                target: "wirestream::accept",
                reason, ?pause, "no client can be accepted at this time"
            ),
            Next::Never => {
                error!(target: "wirestream::accept", reason, "the listener is of no use");
            }
        }
        next
    }

    fn next(&mut self, error: &io::Error) -> Next {
        use io::ErrorKind as Kind;
        let of_one_client =
            [Kind::ConnectionAborted, Kind::ConnectionReset, Kind::Interrupted, Kind::TimedOut];
        if of_one_client.contains(&error.kind()) {
            return Next::Now;
        }
        // Not a listening socket, or none at all.
        if [Kind::InvalidInput, Kind::Unsupported].contains(&error.kind()) {
            return Next::Never;
        }
        // Out of descriptors or memory, most likely: it passes, but not by asking again at once.
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(Self::LONGEST);
        Next::In(pause)
    }
}
