//! What the Wirestream adapters for [tungstenite](https://docs.rs/tungstenite) share, whatever runtime they are for: its
//! configuration, the packets in its messages, what its errors mean to a connection, and both
//! sides of the handshake. No I/O, no clock, no executor.
//!
//! This crate is for adapters; an app uses one of those. It alone has tungstenite's types in its
//! signatures, so that an adapter need not.
//!
//! | an adapter needs | and finds |
//! |---|---|
//! | a configuration that relies on none of tungstenite's defaults | [`config`] |
//! | a transport over a stream and sink of messages | [`Packets`] |
//! | to read more at once where much comes in | [`ReadAhead`] |
//! | to answer a client's handshake | [`answer`], [`check_for_tls`], [`AcceptError`], [`FAREWELL`] |
//! | to answer one that an HTTP server has read | [`check_request`], [`Refusal::response`] |
//! | to know which web pages may connect | [`Origins`] |
//! | to go on accepting, whatever fails | [`Patience`], [`ServeConfig`], [`report_failed_handshake`] |
//! | to read a `ws://` or `wss://` URL, and to connect to where it leads | [`Address`], [`connect_to_one_of`], [`Stage`] |
//! | to make a handshake and to judge what came back | [`request`], [`check_response`], [`handshake_failure`] |
//!
//! With the feature `tls` there are also the settings for `wss://`, `ClientTls` and `ServerTls`,
//! which adapters export: through rustls with *ring*, so that building it takes a C compiler.
//!
//! ```
//! use wirestream_websocket::{Answer, Origins, answer};
//!
//! let browser = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";
//! let answer = answer(browser, &Origins::default(), false);
//! let Answer::Refused(refusal, _response) = answer else { panic!("not an upgrade") };
//! println!("{refusal}");
//! ```

// What is read here comes from the network.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod address;
mod ahead;
mod answer;
mod config;
mod connect;
mod guests;
mod message;
mod origin;
mod packets;
mod refusal;
mod request;
mod serve;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;

pub use address::Address;
pub use ahead::ReadAhead;
pub use answer::{AcceptError, Answer, FAREWELL, MAX_HEAD, answer, check_for_tls, check_request};
pub use config::config;
pub use connect::{Stage, connect_to_one_of};
pub use guests::{Guests, Place};
pub use origin::{OriginError, Origins};
pub use packets::{Packets, Side};
pub use refusal::Refusal;
pub use request::{HeaderError, Headers, check_response, handshake_failure, request};
#[cfg(feature = "tls")]
pub use rustls;
pub use serve::{Next, Patience, ServeConfig, report_failed_handshake};
pub use tls::ServerTls;
#[cfg(feature = "tls")]
pub use tls::{ClientTls, ClientTlsBuilder, Pem, ServerTlsBuilder, TlsError};
