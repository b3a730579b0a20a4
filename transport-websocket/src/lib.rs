//! What the Wirestream adapters for [tungstenite] share, whatever runtime they are for: its
//! configuration, what its messages and errors mean to a connection, and both sides of the
//! handshake. No I/O, no clock, no executor.
//!
//! This crate is for adapters; an app uses one of those. It alone has tungstenite's types in its
//! signatures, so that an adapter need not.
//!
//! | an adapter needs | and finds |
//! |---|---|
//! | a configuration that relies on none of tungstenite's defaults | [`config`] |
//! | to turn what was read into a packet, an end or a failure | [`incoming`], [`read_failure`], [`write_failure`] |
//! | to end in order | [`goodbye`] |
//! | to answer a client's handshake | [`answer`] |
//! | to read a `ws://` URL | [`Address`] |
//! | to make a handshake and to judge what came back | [`request`], [`check_response`], [`handshake_failure`] |
//!
//! ```
//! use wirestream_websocket::{Answer, answer};
//!
//! let browser = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";
//! let Answer::Refused(refusal, _response) = answer(browser) else { panic!("not an upgrade") };
//! println!("{refusal}");
//! ```

mod address;
mod answer;
mod config;
mod message;
mod request;

pub use address::Address;
pub use answer::{Answer, MAX_HEAD, Refusal, answer};
pub use config::config;
pub use message::{Incoming, goodbye, incoming, read_failure, write_failure};
pub use request::{HeaderError, Headers, check_response, handshake_failure, request};
