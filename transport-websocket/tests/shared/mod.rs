//! What every WebSocket adapter is tested for. Its other end is a plain blocking socket.
//!
//! An adapter's test includes this module beside one named `here`, which has its crate's names,
//! its `TcpStream`, and `soon`, `run`, `adopt` and `READ_PER_POLL`.

mod accept;
mod cancel;
#[cfg(feature = "tls")]
mod certificates;
mod descriptors;
mod dial;
mod peer;
mod serve;
mod socket;
#[cfg(feature = "tls")]
mod tls;

pub(crate) use peer::PATIENCE;
