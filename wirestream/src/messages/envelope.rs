//! What travels on a bus: a message in its envelope (R-BUS-1).

use bytes::Bytes;

use crate::contract::Fingerprint;

/// The version of the envelope that this code writes and reads.
const VERSION: u8 = 1;

/// Bytes in front of the payload: the version, and the fingerprint of the message's type.
const HEADER: usize = 9;

pub(crate) fn seal(fingerprint: Fingerprint, payload: &[u8]) -> Bytes {
    let mut sealed = Vec::with_capacity(HEADER + payload.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&fingerprint.to_bytes());
    sealed.extend_from_slice(payload);
    sealed.into()
}

/// The fingerprint and the payload; `None` for what this code cannot read (R-BUS-2).
pub(crate) fn open(sealed: &[u8]) -> Option<(Fingerprint, &[u8])> {
    let (&version, rest) = sealed.split_first()?;
    let (fingerprint, payload) = rest.split_first_chunk()?;
    (version == VERSION).then(|| (Fingerprint::from_bytes(*fingerprint), payload))
}
