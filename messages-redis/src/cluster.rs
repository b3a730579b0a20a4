//! Where a cluster keeps what we ask for.

use redis::ServerError;

use crate::address::{Address, Place};

/// Where a node of a cluster says that a channel is. A node that does not know its own name means the host
/// that it was reached at.
pub(crate) fn redirect(error: &ServerError, at: &Address) -> Option<(Box<str>, u16)> {
    if error.code() != "MOVED" {
        return None;
    }
    let (_slot, place) = error.details()?.split_once(' ')?;
    let (host, port) = place.rsplit_once(':')?;
    let port = port.parse().ok()?;
    match (host, &at.place) {
        ("" | "?", Place::Tcp(host, _)) => Some((host.clone(), port)),
        #[cfg(unix)]
        ("" | "?", Place::Unix(_)) => None,
        (host, _) => Some((host.trim_matches(['[', ']']).into(), port)),
    }
}
