//! Streaming endpoints: the older, manual way, with one stream of mixed messages in each direction.
//!
//! Look at methods with streams first, as in [the tour](crate::guide::tour): there the compiler
//! knows what goes where, each stream has an end of its own, and an error says which. A streaming
//! endpoint is for what has no such shape: everything that two sides have to say to each other goes
//! over one pair of streams as [`Value`]s, and handlers tell them apart. Apps that were written for
//! Serverpod's `StreamingConnection` find their way from there.
//!
//! A server implements [`StreamingEndpoint`] and adds it with
//! [`Endpoint::streaming`](crate::Endpoint::streaming). A client gets a [`StreamingConnection`],
//! which opens, sends, closes and opens again, and the [`StreamingMessages`] that come back, from
//! [`Client::streaming`](crate::Client::streaming).
//!
//! ```
//! use futures_util::StreamExt;
//! use wirestream::streaming::{StreamingEndpoint, StreamingError, StreamingSession};
//! use wirestream::{Client, Endpoint, Failed, Server, Value};
//!
//! struct Greeter;
//!
//! /// The user object.
//! struct Guest(u64);
//!
//! impl StreamingEndpoint for Greeter {
//!     async fn stream_opened(&self, session: &StreamingSession) -> Result<(), Failed> {
//!         session.set(Guest(session.id().to_string().len() as u64));
//!         Ok(())
//!     }
//!
//!     async fn handle_stream_message(
//!         &self,
//!         session: &StreamingSession,
//!         message: Value,
//!     ) -> Result<(), Failed> {
//!         if session.get::<Guest>().is_some() {
//!             session.send_stream_message(format!("Hello, {message}!")).await?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # fn server() -> Result<Server, wirestream::BuildError> {
//! let server = Server::builder().endpoint(Endpoint::new("Greeter").streaming(Greeter)).build()?;
//! # Ok(server)
//! # }
//! # async fn talk(client: Client) -> Result<(), wirestream::SendError> {
//! let (greeter, mut messages) = client.streaming("Greeter");
//! greeter.open();
//! greeter.send("Ann").await?;
//! while let Some(message) = messages.next().await {
//!     match message {
//!         Ok(message) => println!("{message}"),
//!         // And goes on.
//!         Err(StreamingError::HandlerFailed) => println!("a message was not handled"),
//!         Err(error) => println!("{error}: something may be missing here"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # How it is made
//!
//! A streaming endpoint is a method named `stream`, and its stream is one call of that: a parameter
//! stream of [`Value`]s, and a reply. So all that holds for calls holds here: many streams share a
//! connection without mixing, a sender waits for a receiver that is slow, the session closes when
//! the call ends, and [`access`](crate::Endpoint::access) says whom it is for.

mod connection;
mod endpoint;
mod session;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::error::{NoError, StreamError};
use crate::value::Value;

pub use connection::{StreamingConnection, StreamingMessages, StreamingStatus};
pub use endpoint::StreamingEndpoint;
pub use session::StreamingSession;

/// The method that a streaming endpoint is.
const METHOD: &str = "stream";

/// What both sides of it agree on.
static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    Contract::new().parameter::<Value, NoError>("messages").stream::<Reply, NoError>()
});

/// What comes back.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Reply {
    /// `stream_opened` is done.
    Opened,
    Message(Value),
    /// A message was not handled.
    HandlerFailed,
}

/// What a listener is told between messages. The listener goes on behind it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamingError {
    /// The endpoint failed to handle a message of this side's; no detail is told. The stream goes
    /// on.
    #[error("the endpoint failed to handle a message")]
    HandlerFailed,
    /// The stream ended, other than by [`StreamingConnection::close`]: what was on its way in either
    /// direction is lost. Whether it is opened again is told by the [`StreamingStatus`].
    #[error("the stream was interrupted: {0}")]
    Interrupted(StreamError),
}
