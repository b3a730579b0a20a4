//! Wirestream on [tokio]: clients that dial, servers that listen.
//!
//! ```no_run
//! use wirestream::Server;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // A server, until its process is told to stop.
//! let listener = wirestream_tokio::bind("127.0.0.1:8080").await?;
//! let server = Server::builder().build()?;
//! # let told_to_stop = std::future::pending();
//! wirestream_tokio::serve(listener, server, told_to_stop).await?;
//!
//! // A client, which connects with its first call.
//! let client = wirestream_tokio::client("ws://127.0.0.1:8080");
//! let sum = client.call("Example.sum").arguments(&(1, 2)).unary::<i64>();
//! # drop(sum);
//! # Ok(())
//! # }
//! ```
//!
//! | to | use |
//! |---|---|
//! | call a server | [`client`], or [`Dialer`] for a token, limits or headers of the handshake |
//! | be a server | [`bind`] and [`serve`], or [`serve_with`] for other settings |
//! | accept connections in another way, over TLS or a Unix socket | [`accept`], then [`Server::serve_connection`](wirestream::Server::serve_connection) with a [`Tokio`] |
//! | mount it in an HTTP server | [`WebSocket::upgraded`], once that server has answered the handshake |
//!
//! Whatever the other end does, the handshake has an absolute deadline
//! ([`Limits::handshake`](wirestream::Limits::handshake)), every buffer has a bound, and the accept
//! loop goes on. TLS is not built in: put a proxy in front, or bring a stream of your own.

mod accept;
mod counted;
mod dial;
mod runtime;
mod serve;
mod socket;

pub use accept::accept;
pub use dial::{Dialer, client};
pub use runtime::Tokio;
pub use serve::{bind, listen, serve, serve_with};
pub use socket::WebSocket;
pub use wirestream::*;
#[doc(inline)]
pub use wirestream_macros::endpoint_of_tokio as endpoint;
pub use wirestream_websocket::{AcceptError, HeaderError, Refusal, ServeConfig, Side};
