//! Typed two-way streams between apps and Rust servers, many calls at once over one WebSocket:
//! Wirestream on [tokio](https://docs.rs/tokio).
//!
//! ```no_run
//! use wirestream_tokio::{
//!     Receiver, Server, Session, Stream, StreamExt,
//!     bind, channel, client, endpoint, serve, tokio,
//! };
//!
//! // What both sides agree on.
//! #[endpoint]
//! trait Example {
//!     /// Sends back whatever it receives, in capitals.
//!     fn shout(
//!         &self,
//!         session: &Session,
//!         words: Receiver<String>,
//!     ) -> impl Stream<Item = String>;
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
//! It depends on this crate alone, which exports `tokio`, and the traits of streams and sinks.
//!
//! [The tour](guide::tour) goes on from here: shapes of methods, errors, ends, limits. Who knows
//! [gRPC, Socket.IO or Serverpod](guide::from_other_systems) finds their words there. What can end a
//! stream, and what to do about each, is the table of [`StreamError`]. What this crate adds to `wirestream`, all of which it exports:
//!
//! | to | use |
//! |---|---|
//! | call a server | [`client`], or [`Dialer`] for a token, limits, headers of the handshake or TLS of its own |
//! | be a server | [`bind`] and [`serve`], or [`serve_with`] for other settings, TLS among them |
//! | accept connections in another way, on a Unix socket say | [`accept`], then [`Server::serve_connection`](wirestream::Server::serve_connection) with a [`Tokio`] |
//! | mount it in axum, or whatever else is built on hyper 1 | `upgrade`, with the feature `hyper` |
//! | mount it in another HTTP server | [`check_request`], whose answer that server sends; then [`WebSocket::upgraded`] |
//!
//! Whatever the other end does, the handshake has an absolute deadline
//! ([`Limits::handshake`](wirestream::Limits::handshake)), every buffer has a bound, and the accept
//! loop goes on.
//!
//! # Web pages
//!
//! A browser lets every page connect to every server. So a page is refused unless its origin is
//! allowed, in [`ServeConfig::origins`]: `Origins::default().same_host()` for the pages that come
//! from where the server is, [`Origins::allow`] for those from elsewhere. Clients that are no browsers are not
//! concerned.
//!
//! # In an HTTP server
//!
//! With the feature `hyper`, a server takes a path of axum's, or of whatever else is built on hyper 1.
//! The port, the layers and TLS are those of the HTTP server:
//!
//! ```no_run
//! # #[cfg(feature = "hyper")]
//! # async fn run(server: wirestream_tokio::Server) -> std::io::Result<()> {
//! use axum::{Router, extract::Request, routing::any};
//! use wirestream_tokio::{Origins, bind, upgrade};
//!
//! let mounted = server.clone();
//! let mount = async move |request: Request| {
//!     upgrade(request, &mounted, &Origins::default(), None)
//! };
//! let app: Router = Router::new().route("/rt", any(mount));
//! axum::serve(bind("127.0.0.1:8080").await?, app).await
//! # }
//! ```
//!
//! # TLS
//!
//! With the feature `tls`, a `wss://` URL works as a `ws://` URL does, where the platform trusts the
//! server's certificate; `Dialer::tls` is for other roots and for a certificate of the client's own.
//! A server gets its certificate in [`ServeConfig::tls`]:
//!
//! ```no_run
//! # #[cfg(feature = "tls")]
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use wirestream_tokio::{Pem, ServeConfig, Server, ServerTls, bind, serve_with};
//!
//! let tls = ServerTls::builder(Pem::file("chain.pem"), Pem::file("key.pem")).build()?;
//! let config = ServeConfig { tls: Some(tls), ..ServeConfig::default() };
//! let server = Server::builder().build()?;
//! # let told_to_stop = std::future::pending();
//! serve_with(bind("0.0.0.0:443").await?, server, config, told_to_stop).await?;
//! # Ok(())
//! # }
//! ```
//!
//! It is rustls, with *ring*, which takes a C compiler to build: so it is not on by default.

mod accept;
mod counted;
mod dial;
mod runtime;
mod serve;
mod socket;
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "hyper")]
mod upgrade;

pub use accept::accept;
pub use dial::{Dialer, client};
pub use runtime::Tokio;
pub use serve::{bind, listen, serve, serve_with};
pub use socket::WebSocket;
pub use stream::MaybeTls;
#[cfg(feature = "tls")]
pub use tls::accept_tls;
/// The runtime, for a program that depends on this crate alone. Its `main` and its threads come
/// with the feature `rt`, which is on by default.
pub use tokio;
#[cfg(feature = "hyper")]
pub use upgrade::upgrade;
pub use wirestream::*;
#[doc(inline)]
pub use wirestream_macros::endpoint_of_tokio as endpoint;
pub use wirestream_websocket::{
    AcceptError, HeaderError, OriginError, Origins, Refusal, ServeConfig, ServerTls, Side,
    check_request,
};
#[cfg(feature = "tls")]
pub use wirestream_websocket::{
    ClientTls, ClientTlsBuilder, Pem, ServerTlsBuilder, TlsError, rustls,
};
