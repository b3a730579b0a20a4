use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::AcceptError;

#[cfg(test)]
mod tests;

/// The clients that are in their handshakes, by where they come from, so that no one takes all the
/// room there is. Clones are the same.
///
/// An address of IPv6 stands for its network of 64 bits, of which one client usually has all.
#[derive(Clone, Debug)]
pub struct Guests(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// A client's place among the [`Guests`], until it is dropped.
#[derive(Debug)]
pub struct Place {
    guests: Guests,
    network: IpAddr,
}

impl Guests {
    /// For so many handshakes of one address at a time; at least one.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared { most: most.max(1), counts: Mutex::default() }))
    }

    /// A place for a client.
    ///
    /// # Errors
    /// [`AcceptError::TooMany`]: it is to be turned away.
    pub fn admit(&self, peer: SocketAddr) -> Result<Place, AcceptError> {
        let network = network(peer.ip());
        let mut counts = self.counts();
        let count = counts.entry(network).or_default();
        if *count >= self.0.most {
            return Err(AcceptError::TooMany { address: peer.ip() });
        }
        *count = count.saturating_add(1);
        Ok(Place { guests: self.clone(), network })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.guests.counts();
        if let Some(count) = counts.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}
