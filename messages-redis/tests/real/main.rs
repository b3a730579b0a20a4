//! The bus on real redis-servers, each of which a test starts, stops, kills, freezes or poisons.

#![allow(unreachable_pub, reason = "the server is shared with other tests")]

mod cluster;
mod delivery;
mod faults;
mod node;
mod refusals;
mod server;
#[cfg(feature = "tls")]
mod tls;
