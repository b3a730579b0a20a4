//! Wirestream's messages across a cluster, through Redis (or Valkey): what a session posts on one server
//! reaches the sessions that have subscribed on any other.
//!
//! A [`RedisBus`] is a [`Bus`](wirestream::Bus), which a server is given when it is built:
//!
//! ```no_run
//! use wirestream::Server;
//! use wirestream_redis::RedisBus;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let bus = RedisBus::new("redis://:password@redis.example.com/0")?;
//! bus.ready().await?; // optional: fails here, in words, if Redis is not there
//! let server = Server::builder().bus(bus).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! | to | use |
//! |---|---|
//! | keep applications on one Redis apart, or change a time or a limit | [`RedisConfig`] |
//! | log in | the URL: `redis://user:password@host` |
//! | use TLS | a `rediss://` URL and the feature `tls`; `RedisConfig::tls` for roots and a certificate of one's own |
//! | use a Unix socket | a `unix:///path` URL |
//! | refuse to start without Redis | [`RedisBus::ready`] |
//! | know later how it stands | [`RedisBus::status`], kept before the server gets the bus |
//! | spare a cluster the messages that only some of its nodes need | [`RedisConfig::sharded`] |
//!
//! # What is promised
//!
//! - **At most once.** Redis keeps no message: one arrives at each server that is subscribed when it is
//!   published, once, the publisher's own server among them. Nothing is ever sent a second time.
//! - **In order.** What one server publishes on a channel arrives in the order of the calls.
//! - **A confirmed subscription hears.** `subscribe` resolves once Redis has confirmed it: what is published
//!   from then on, on any server, arrives.
//! - **A gap is never silent.** Where a connection was lost, Redis restarted, or a message was passed over
//!   because it is too large, the subscriber is told of a gap, once Redis has confirmed the subscription
//!   anew, and ahead of the next message: who then reads again what it may have missed misses nothing.
//! - **Redis being down touches nothing else.** The bus has a thread and two connections of its own. Each
//!   call is answered within [`RedisConfig::within`]: at once while Redis is known to be down, by
//!   [`BusError::TimedOut`](wirestream::BusError::TimedOut) if it hangs. Connections that are silent are asked for signs of
//!   life. Attempts to connect come with full jitter and go on for ever; then all that is wanted is
//!   subscribed to again.
//! - **Everything is bounded**: what waits to be published by [`RedisConfig::queue`], a message by
//!   [`RedisConfig::message`]. What arrives does not queue here at all: it goes straight to the bounded
//!   queues of the subscribers. A message that somebody else publishes past the limit is read as a whole
//!   before it is passed over; Redis's `client-output-buffer-limit` (32 MiB for subscribers) is the bound of
//!   that.
//! - **No password is shown**, neither by `Debug` nor by an error.
//!
//! What is not: an answer of [`Lost`](wirestream::BusError::Lost) or `TimedOut` does not say whether the message
//! arrived; order between channels or between publishers; messages for those who come later. For these take a queue or a
//! stream, which Redis has too.
//!
//! # What it takes
//!
//! Redis 6 or later (for RESP3), or Valkey; Redis 7 for sharded channels. The user needs the commands `HELLO`,
//! `PING`, `PUBLISH`, `SUBSCRIBE` and `UNSUBSCRIBE` (or the sharded three), and the channels of the
//! namespace: `ACL SETUSER app >password +@connection +publish +subscribe +unsubscribe &wirestream:*`.
//!
//! It runs beside any executor: its thread has a small tokio runtime inside, of which nothing is seen outside. That
//! keeps the delays of a busy server away from the signs of life, and those of Redis away from the
//! server; the price is a hop from thread to thread, which messages that come together share.

mod address;
mod backoff;
mod book;
mod bus;
mod cluster;
mod config;
mod connect;
mod error;
mod life;
mod names;
mod publisher;
mod state;
mod subscriber;
#[cfg(feature = "tls")]
mod tls;

pub use bus::RedisBus;
pub use config::RedisConfig;
pub use error::{ConfigError, RedisError, RedisErrorKind};
pub use state::RedisStatus;
#[cfg(feature = "tls")]
pub use wirestream_websocket::{ClientTls, ClientTlsBuilder, Pem, TlsError, rustls};
