//! The bus on real redis-servers, each of which a test starts, stops, kills, freezes or poisons.

#![allow(unreachable_pub, reason = "the server is shared with other tests")]

mod chaos;
mod cluster;
mod delivery;
mod faults;
mod node;
#[path = "../../../tests/chaos/proxy.rs"]
mod proxy;
mod refusals;
mod server;
#[cfg(feature = "tls")]
mod tls;
