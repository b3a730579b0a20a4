//! What the fuzz targets need and nobody else should use.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, CodecError};
use crate::{Fingerprint, Limits, messages};

/// Decodes a payload as a receiver with these limits does.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, CodecError> {
    codec::decode(bytes, limits.into())
}

/// Encodes a value as a sender does.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    codec::encode(value).map(Into::into)
}

/// Opens what a bus has carried.
pub fn open_envelope(sealed: &[u8]) -> Option<(Fingerprint, &[u8])> {
    messages::open_envelope(sealed)
}

/// Seals what a bus is to carry.
pub fn seal_envelope(fingerprint: Fingerprint, payload: &[u8]) -> Bytes {
    messages::seal_envelope(fingerprint, payload)
}
