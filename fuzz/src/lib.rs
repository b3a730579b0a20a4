//! What is tried with bytes that nobody honest wrote: one function for each reader of them.
//!
//! A target takes any bytes and panics where a promise is broken; that it does not panic by itself
//! is the least of them. `tests/replay.rs` runs all of them on the committed corpus, the programs of
//! `fuzz_targets/` under libFuzzer. See the README for both.

mod address;
mod connection;
mod endpoints;
mod envelope;
mod frames;
mod handshake;
mod hello;
mod input;
mod origin;
mod packet;
mod payload;
mod seeds;
#[path = "../../protocol/tests/support/mod.rs"]
mod support;
mod value;

pub use address::address;
pub use connection::connection;
pub use endpoints::endpoints;
pub use envelope::envelope;
pub use frames::frames;
pub use handshake::handshake;
pub use hello::hello;
pub use origin::origin;
pub use packet::packet;
pub use payload::payload;
pub use value::value;

/// One of the targets.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the function, of the program, and of its folder in `corpus/`.
    pub name: &'static str,
    /// Tries these bytes.
    pub run: fn(&[u8]),
    /// What a campaign begins with, most of it from `spec/vectors`.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "address", run: address, seeds: seeds::addresses },
    Target { name: "connection", run: connection, seeds: seeds::connections },
    Target { name: "endpoints", run: endpoints, seeds: seeds::scripts },
    Target { name: "envelope", run: envelope, seeds: seeds::envelopes },
    Target { name: "frames", run: frames, seeds: seeds::frames },
    Target { name: "handshake", run: handshake, seeds: seeds::handshakes },
    Target { name: "hello", run: hello, seeds: seeds::hellos },
    Target { name: "origin", run: origin, seeds: seeds::origins },
    Target { name: "packet", run: packet, seeds: seeds::packets },
    Target { name: "payload", run: payload, seeds: seeds::payloads },
    Target { name: "value", run: value, seeds: seeds::values },
];
