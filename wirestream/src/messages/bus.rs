//! What carries messages from server to server: the trait that a bus implements, where it hands in
//! what arrives, and how it fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::transport::BoxFuture;

/// Carries messages between the servers of a cluster, each at most once, to the publisher's own
/// server too, if that has subscribed.
///
/// What a bus carries is opaque to it. A channel's name is a text that is not empty; those that
/// begin with `$` are Wirestream's own. A bus bounds each wait by itself, keeps its connection alive
/// by itself, and dropping it ends whatever it has begun.
///
/// - **Order.** What one server publishes on one channel arrives in the order of the calls, each at
///   most once.
/// - **Calls act at once.** [`publish`](Self::publish) and [`subscribe`](Self::subscribe) begin when
///   they are called; their futures only tell what has become of it. Whoever does not care drops
///   them.
/// - **What is wanted stays wanted.** From `subscribe` to [`unsubscribe`](Self::unsubscribe) a
///   channel is wanted, also if the future failed or was dropped. A bus that has lost its server
///   subscribes to all that is wanted once it is back, and then tells a [gap](BusInbox::gap).
/// - **Calls about one channel come one after the other**: a server calls `subscribe` for a channel
///   that is not wanted, or whose last `subscribe` failed, and `unsubscribe` for one that is.
///
/// No lock of Wirestream's is held while these are called, and they may hand in what arrives before
/// they return.
pub trait Bus: fmt::Debug + Send + Sync + 'static {
    /// Begins to carry: what arrives goes to `inbox`. Called once, when the server is built. Does
    /// not wait: a bus whose own server is not there tries on, and fails what it is asked to do
    /// meanwhile.
    fn start(&self, inbox: BusInbox);

    /// Publishes a message. The future resolves once the message was taken, or is not going to
    /// be; dropping it takes nothing back.
    fn publish(&self, channel: &str, message: Bytes) -> BoxFuture<Result<(), BusError>>;

    /// Subscribes to a channel. The future resolves once that is confirmed: what any server
    /// publishes from then on arrives.
    fn subscribe(&self, channel: &str) -> BoxFuture<Result<(), BusError>>;

    /// Wants a channel no more. Does not wait; what is on its way may still arrive.
    fn unsubscribe(&self, channel: &str);
}

/// Where a bus hands in what arrives. Clones are the same inbox. It may outlive its server, and
/// passes over what comes then.
#[derive(Clone)]
pub struct BusInbox(Arc<dyn Fn(Arrival<'_>) + Send + Sync>);

/// What a bus hands in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrival<'a> {
    /// A message.
    Message {
        /// The channel, as it was subscribed to.
        channel: &'a str,
        /// What was published.
        message: Bytes,
    },
    /// Something may have been missed.
    Gap {
        /// On this channel; on all, if it is none.
        channel: Option<&'a str>,
    },
}

impl BusInbox {
    /// An inbox that hands on what arrives: to try a bus without a server.
    ///
    /// `take` must neither block nor panic. It is called from wherever the bus runs.
    pub fn new(take: impl Fn(Arrival<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Hands in a message of a channel. Never blocks, never panics; what nobody has subscribed to
    /// is passed over.
    pub fn deliver(&self, channel: &str, message: Bytes) {
        (self.0)(Arrival::Message { channel, message });
    }

    /// Tells that messages may have been missed before those that arrive from now on: on a
    /// channel, or on all of them. Never blocks, never panics.
    pub fn gap(&self, channel: Option<&str>) {
        (self.0)(Arrival::Gap { channel });
    }
}

impl fmt::Debug for BusInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BusInbox")
    }
}

/// Why a bus did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The bus cannot be reached: nothing was sent.
    #[error("the bus cannot be reached: {detail}")]
    Unavailable {
        /// In words, without credentials.
        detail: Arc<str>,
    },
    /// No answer came within this time: what was sent may have arrived.
    #[error("the bus did not answer within {0:?}")]
    TimedOut(Duration),
    /// The connection was lost before the answer came: what was sent may have arrived.
    #[error("the connection to the bus was lost: {detail}")]
    Lost {
        /// In words, without credentials.
        detail: Arc<str>,
    },
    /// The other end refuses: the password, a permission, or that it is no such server.
    #[error("the bus refuses: {detail}")]
    Refused {
        /// In words, without credentials.
        detail: Arc<str>,
    },
    /// The bus takes no message of this size.
    #[error("a message of {size} bytes, where the bus takes at most {limit}")]
    TooLarge {
        /// The message's size, in bytes.
        size: usize,
        /// The largest size, in bytes.
        limit: usize,
    },
    /// More waits to be published than the bus holds: nothing was sent.
    #[error("too much waits for the bus")]
    Full,
    /// The bus was shut down.
    #[error("the bus is closed")]
    Closed,
}

impl BusError {
    /// Whether the message may have arrived all the same.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Lost { .. } => true,
            Self::Unavailable { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::Full
            | Self::Closed => false,
        }
    }

    /// Whether the same may work later without a change of configuration.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::TimedOut(_) | Self::Lost { .. } | Self::Full => true,
            Self::Refused { .. } | Self::TooLarge { .. } | Self::Closed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn an_inbox_hands_on_what_a_bus_hands_in() {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let inbox = {
            let seen = Arc::clone(&seen);
            BusInbox::new(move |arrival| seen.lock().unwrap().push(format!("{arrival:?}")))
        };
        inbox.deliver("news", Bytes::from_static(b"one"));
        inbox.clone().gap(Some("news"));
        inbox.gap(None);
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0], r#"Message { channel: "news", message: b"one" }"#);
        assert_eq!(seen[1..], [r#"Gap { channel: Some("news") }"#, "Gap { channel: None }"]);
    }
}
