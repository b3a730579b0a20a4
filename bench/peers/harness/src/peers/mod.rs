//! One file per peer. To add one: write the file, declare it, list it.
use crate::harness::Peer;

pub mod grpc;
mod jsonrpc;
mod ours;
mod raw_fast;
mod raw_tcp;
mod raw_ws;
mod remoc_;
mod rsocket;
mod sketch;
mod socketio;
mod tarpc_;
mod yamux_;

pub fn all() -> Vec<&'static dyn Peer> {
    let mut v: Vec<&'static dyn Peer> = vec![];
    v.extend(ours::PEERS);
    v.extend(raw_tcp::PEERS);
    v.extend(raw_ws::PEERS);
    v.extend(raw_fast::PEERS);
    v.extend(yamux_::PEERS);
    v.extend(grpc::PEERS);
    v.extend(jsonrpc::PEERS);
    v.extend(tarpc_::PEERS);
    v.extend(remoc_::PEERS);
    v.extend(rsocket::PEERS);
    v.extend(socketio::PEERS);
    v.extend(sketch::PEERS);
    v
}
