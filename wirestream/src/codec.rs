//! Values to bytes and back: what the payloads hold (R-DATA-1, R-DATA-3).

// The bytes are a peer's.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod bounded;

use std::cell::Cell;
use std::mem;

use bytes::Bytes;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wirestream_protocol::Fault;
use wirestream_protocol::wire::MAX_FAULT;

pub(crate) use bounded::DecodeLimits;

use bounded::Bounded;

#[cfg(test)]
mod tests;

/// A value did not encode, or bytes did not decode: in words, for a developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(Box<str>);

impl CodecError {
    pub(crate) fn new(detail: impl Into<Box<str>>) -> Self {
        Self(detail.into())
    }
}

/// A buffer larger than this is not kept for the next value.
pub(crate) const KEPT: usize = 16 * 1024;

/// Hands `use_it` an empty buffer of the thread's, which may be taken away. Whoever wants one within,
/// or after a panic, gets another.
#[inline]
pub(crate) fn with_buffer<R>(use_it: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let mut buffer = BUFFER.take();
    buffer.clear();
    let result = use_it(&mut buffer);
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    result
}

/// Encodes `value` into a buffer of the thread's and hands it to `use_it`, which may take it away.
///
/// User code runs only while encoding, never within `use_it`.
#[inline]
pub(crate) fn encoded<T: Serialize + ?Sized, R>(
    value: &T,
    use_it: impl FnOnce(&mut Vec<u8>) -> R,
) -> Result<R, CodecError> {
    with_buffer(|buffer| {
        append(value, buffer)?;
        Ok(use_it(buffer))
    })
}

/// Encodes `value` into as many bytes as it takes: the buffer that grows is the thread's.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    encoded(value, owned)
}

/// What is in the buffer, as bytes of its own. Much is not copied, as its buffer would not be kept.
pub(crate) fn owned(buffer: &mut Vec<u8>) -> Bytes {
    if buffer.len() > KEPT { mem::take(buffer).into() } else { Bytes::copy_from_slice(buffer) }
}

/// Encodes `value` behind what is in the buffer. After an error, a part of it may be there.
#[inline]
pub(crate) fn append<T: Serialize + ?Sized>(
    value: &T,
    buffer: &mut Vec<u8>,
) -> Result<(), CodecError> {
    Ok(postcard::serialize_with_flavor(value, Appended(buffer))?)
}

/// Where postcard puts what it encodes.
struct Appended<'a>(&'a mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// What a half ends with where the application ends it with `error`.
///
/// # Errors
/// It does not encode, or is larger than what may travel (R-ERROR-2).
pub(crate) fn fault<E: Serialize + ?Sized>(error: &E) -> Result<Fault, CodecError> {
    let payload = encode(error)?;
    match payload.len() {
        size if size > MAX_FAULT => Err(CodecError::new(format!(
            "an error of {size} bytes, of which {MAX_FAULT} may travel"
        ))),
        _ => Ok(Fault::App(payload)),
    }
}

/// Decodes all of `bytes`, within `limits` (R-DATA-4): nothing may trail (R-DATA-1).
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    limits: DecodeLimits,
) -> Result<T, CodecError> {
    let mut payload = Bounded::new(bytes, limits);
    let value = T::deserialize(&mut payload).map_err(|error| payload.in_words(error))?;
    match payload.rest()?.len() {
        0 => Ok(value),
        n => Err(CodecError::new(format!("{n} bytes after the value"))),
    }
}

impl From<postcard::Error> for CodecError {
    fn from(error: postcard::Error) -> Self {
        Self::new(error.to_string())
    }
}
