//! Typed two-way streams between apps and Rust servers, many calls at once over one WebSocket:
//! Wirestream on [tokio](https://docs.rs/tokio).
//!
//! ```no_run
//! use futures_util::{Stream, StreamExt};
//! use wirestream_tokio::{Receiver, Server, Session, bind, channel, client, endpoint, serve};
//!
//! // What both sides agree on.
//! #[endpoint]
//! trait Example {
//!     /// Sends back whatever it receives, in capitals.
//!     fn shout(&self, session: &Session, words: Receiver<String>) -> impl Stream<Item = String>;
//! }
//!
//! struct Service;
//!
//! impl Example for Service {
//!     fn shout(&self, _: &Session, words: Receiver<String>) -> impl Stream<Item = String> {
//!         words.filter_map(async |word| word.ok()).map(|word| word.to_uppercase())
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // A server, until its process is told to stop.
//!     let server = Server::builder().endpoint(ExampleServer::new(Service)).build()?;
//!     let listener = bind("127.0.0.1:8080").await?;
//!     let told_to_stop = std::future::pending();
//!     tokio::spawn(serve(listener, server, told_to_stop));
//!
//!     // A client, which connects with its first call.
//!     let example = ExampleClient::new(client("ws://127.0.0.1:8080"));
//!     let (input, words) = channel();
//!     let mut replies = example.shout(words);
//!     input.send("hello".to_string()).await?;
//!     input.finish();
//!     while let Some(reply) = replies.next().await {
//!         println!("{}", reply?);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Beside this crate it takes `futures-util`, and `tokio` with `macros` and `rt-multi-thread`.
//!
//! [The tour](guide::tour) goes on from here: shapes of methods, errors, ends, limits. Who knows
//! [gRPC, Socket.IO or Serverpod](guide::from_other_systems) finds their words there. What this
//! crate adds to `wirestream`, all of which it exports:
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
