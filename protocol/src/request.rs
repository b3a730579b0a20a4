use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::LimitsError;
use crate::wire::MAX_TOKEN;

/// A secret that says who the caller is. `Debug` shows nothing of it. One of no bytes stands for no
/// token (R-HELLO-7).
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Token(Bytes);

impl Token {
    /// A token of these bytes; at most 4 KiB travel (R-HELLO-7).
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn copy_from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }

    /// Stands for no token: what it is given for goes without any.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether it stands for no token.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that it may travel.
    ///
    /// # Errors
    /// It is longer than 4 KiB (R-HELLO-7).
    pub fn validate(&self) -> Result<(), LimitsError> {
        if self.0.len() > MAX_TOKEN { Err(LimitsError::TokenTooLong) } else { Ok(()) }
    }

    /// The secret itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a caller asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, as `Endpoint.method`; at most 255 bytes.
    pub method: String,
    /// How many parameter halves the call has.
    pub parameters: u8,
    /// The fingerprint of the contract that the caller was built with.
    pub fingerprint: Option<[u8; 8]>,
    /// A token for this call alone. A caller leaves it away to use the connection's, or gives
    /// [`Token::none`] to go without. A callee finds the one that is in force (R-TOKEN-1).
    pub token: Option<Token>,
    /// Notes beside the arguments, as headers are; at most 64 entries.
    pub metadata: Vec<(String, Bytes)>,
    /// The encoded arguments.
    pub arguments: Bytes,
}

/// A message's bytes, borrowed or shared. Made by `into()` from a slice or from `Bytes`.
///
/// A small message is copied into the outgoing buffer either way; a large one is kept as it is if
/// it is shared.
#[derive(Clone, Debug)]
pub enum Payload<'a> {
    /// Borrowed for the time of the call.
    Borrowed(&'a [u8]),
    /// Shared.
    Shared(Bytes),
}

impl Payload<'_> {
    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(slice) => slice,
            Self::Shared(bytes) => bytes,
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Borrowed(slice) => Bytes::copy_from_slice(slice),
            Self::Shared(bytes) => bytes,
        }
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(slice: &'a [u8]) -> Self {
        Self::Borrowed(slice)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Payload<'a> {
    fn from(array: &'a [u8; N]) -> Self {
        Self::Borrowed(array)
    }
}

impl From<Bytes> for Payload<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Shared(bytes)
    }
}
