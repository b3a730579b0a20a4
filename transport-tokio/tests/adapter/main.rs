//! The tests that every WebSocket adapter has, on tokio.

mod here;
#[path = "../../../transport-websocket/tests/shared/mod.rs"]
mod shared;
