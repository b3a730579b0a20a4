//! Typed two-way streams between apps and Rust servers, many calls at once over one connection:
//! the layer that applications see, for any executor.
//!
//! An application takes an adapter, `wirestream-tokio` or `wirestream-smol`, which exports all of this.
//! [The tour](guide::tour) shows all of it in the order in which a program needs it; who knows
//! [gRPC, Socket.IO or Serverpod](guide::from_other_systems) may begin there. Pages of their own have
//! [sessions](guide::sessions), [authentication](guide::authentication), [messages](guide::messages) and
//! [clustering](guide::clustering). What an application meets:
//!
//! | name | what it is |
//! |---|---|
//! | [`endpoint`] | makes a typed client and the server's part from a trait |
//! | [`Server`], [`Endpoint`] | methods by name; each takes a [`Session`], plain arguments and streams, and returns a stream or a value |
//! | [`Contract`] | what both sides of a method agree on; a caller whose own differs is refused |
//! | [`Client`], [`CallBuilder`] | calls them; connects by itself, shares one connection, closes it when idle |
//! | [`channel`], [`Sender`], [`Parameter`] | a stream that is sent |
//! | [`Receiver`], [`Unary`] | a stream, or one value, that is received |
//! | [`StreamError`], [`SendError`] | how a stream ended, why a message was not sent, and what to do about each |
//! | [`Value`] | a message of any type |
//! | [`Messages`], [`Bus`] | what sessions post to each other, on one server or by a bus on all of them |
//! | [`streaming`] | the older, manual way: one stream of mixed messages in each direction |
//! | [`Limits`] | what a connection may cost |
//! | [`Metrics`] | what a server or a client does and has done, in numbers |
//!
//! # A call
//!
//! The server's method and the client's call are of the same shape,
//! whatever carries their packets.
//!
//! ```
//! use wirestream::{Receiver, Server, Session, Stream, StreamExt, channel, endpoint};
//!
//! #[endpoint]
//! trait Example {
//!     /// Adds up what it receives, and tells each sum.
//!     fn sums(
//!         &self,
//!         session: &Session,
//!         start: i64,
//!         numbers: Receiver<i64>,
//!     ) -> impl Stream<Item = i64>;
//! }
//!
//! struct Service;
//!
//! impl Example for Service {
//!     fn sums(
//!         &self,
//!         _: &Session,
//!         start: i64,
//!         numbers: Receiver<i64>,
//!     ) -> impl Stream<Item = i64> {
//!         numbers.filter_map(async |number| number.ok()).scan(start, |sum, number| {
//!             *sum += number;
//!             std::future::ready(Some(*sum))
//!         })
//!     }
//! }
//!
//! # fn server() -> Result<Server, wirestream::BuildError> {
//! let server = Server::builder().endpoint(ExampleServer::new(Service)).build()?;
//! # Ok(server)
//! # }
//! # async fn call(client: wirestream::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let (input, numbers) = channel();
//! let mut sums = ExampleClient::new(client).sums(100, numbers);
//! input.send(1).await?;
//! input.send(2).await?;
//! input.finish();
//! assert_eq!(sums.next().await, Some(Ok(101)));
//! assert_eq!(sums.next().await, Some(Ok(103)));
//! assert_eq!(sums.next().await, None);
//! # Ok(())
//! # }
//! ```
//!
//! [`Endpoint`] and [`Client::call`] do the same without a trait.
//!
//! # The rules of a call
//!
//! - A call lives until its method returns, fails, or the caller drops the returned stream; then its
//!   parameter streams are over too, its handler is dropped, and its [`Session`] closes.
//! - A parameter stream ends when its sender [finishes](Sender::finish) or [fails](Sender::fail) it,
//!   or when the method drops its [`Receiver`]; that leaves the others and the reply alone.
//! - A sender that is dropped unfinished cancels its stream: what just stops never looks finished.
//! - When the connection is lost, every stream on both sides ends with [`StreamError::Lost`].
//! - A failure inside one call (arguments that do not fit, a message that does not decode, a panic)
//!   ends that call, or that stream, alone.
//!
//! # Your own executor
//!
//! An adapter implements [`Transport`], [`Timer`] and [`Runtime`], and [`Dial`] for clients; see
//! `wirestream-tokio`. To leave async behind altogether, drive `wirestream-protocol` yourself.

// As the tests beside it name it, and what is shared with them.
#[cfg(test)]
extern crate self as wirestream;

mod authentication;
mod channel;
mod client;
mod codec;
mod contract;
mod driver;
mod error;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
pub mod guide;
mod line;
mod link;
mod memory;
mod messages;
mod metrics;
mod receiver;
mod report;
mod sender;
mod server;
mod session;
pub mod streaming;
mod sync;
mod transport;
mod value;
mod waiters;

pub use authentication::{Access, Authentication, Revocation};
pub use channel::{FailsWith, IntoParameter, Parameter, channel, channel_with_error};
pub use client::{
    CallBuilder, Client, ClientConfig, Provider, RetryPolicy, Status, StatusChanges, TokenProvider,
};
pub use codec::CodecError;
pub use contract::{Contract, Fingerprint, Message};
pub use error::{LostReason, NoError, SendError, StreamError, TrySendError};
pub use futures_util::{Sink, SinkExt, Stream, StreamExt, TryStreamExt};
pub use memory::MemoryTransport;
pub use messages::bus::{Arrival, Bus, BusError, BusInbox};
pub use messages::{
    ChannelError, Listener, MessageConfig, MessageCounters, MessageError, Messages, Outage, Post,
    PostError, Scope, SessionMessages, SubscribeError, Subscription,
};
pub use metrics::Metrics;
pub use receiver::{Receiver, Unary};
pub use sender::{Sender, SenderSink};
pub use server::{
    Accepted, Arguments, BuildError, Endpoint, Failed, IncomingCall, IntoFault, NotImplemented,
    Parameters, RevokeError, Server, ServerBuilder,
};
pub use session::{HookId, Session, SessionClosed, SessionId};
pub use transport::{
    BoxFuture, ConnectError, ConnectErrorKind, Dial, Runtime, Timer, Transport, TransportError,
};
pub use value::{Fields, Object, Value, ValueError};
pub use wirestream_macros::endpoint;
pub use wirestream_protocol::{
    CloseReason, Limits, LimitsError, RejectCode, Rejection, Time, Token, Violation, wire,
};
