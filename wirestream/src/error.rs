use std::fmt;

use wirestream_protocol::{CloseReason, End, Fault, Rejection, SendError as CoreSendError};

use crate::codec::CodecError;
use crate::transport::ConnectError;

/// The error type of a stream that has no typed error: there is no value of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum NoError {}

impl fmt::Display for NoError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for NoError {}

/// How a stream ended, other than in order. It comes after every message that was sent before it.
///
/// It is an `Error`, for `?`, where `E` has `Display` and `Debug`.
///
/// | variant | what happened | what to do |
/// |---|---|---|
/// | `App` | the sender's own, typed error | whatever it means |
/// | `Failed` | the sender failed, and tells no detail: an untyped error or a panic | report it; only the other side knows more |
/// | `Rejected` | the callee refused the call | see the [code](crate::RejectCode); `Busy` and `Unavailable` are worth another try |
/// | `Lost` | no connection, or it was lost: something may be missing | call again, if the call may run twice |
/// | `Cancelled` | the sender was dropped before it finished, or the call was over first | nothing, or treat what came as incomplete |
/// | `Revoked` | the right to the stream was taken back | sign in again |
/// | `Decode` | what came is not of the type: the two sides differ | update one of them |
/// | `Encode` | the arguments did not encode | mend the type |
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError<E = NoError> {
    /// The sender's own error.
    #[error("{0}")]
    App(E),
    /// The sender failed; no detail is told.
    #[error("the other side failed")]
    Failed,
    /// The callee refused the call.
    #[error("the call was rejected: {0}")]
    Rejected(Rejection),
    /// The connection was lost, or could not be made.
    #[error("{0}")]
    Lost(LostReason),
    /// The sender was dropped before it finished, or the call was over first.
    #[error("the stream was cancelled")]
    Cancelled,
    /// The right to the stream was taken back.
    #[error("the right to the stream was revoked")]
    Revoked,
    /// A message or an error is not of the type that is expected here.
    #[error("a message does not decode: {0}")]
    Decode(CodecError),
    /// The arguments of the call did not encode.
    #[error("the arguments do not encode: {0}")]
    Encode(CodecError),
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LostReason {
    /// It could not be made.
    #[error("{0}")]
    Connect(ConnectError),
    /// It was there and is over.
    #[error("the connection was lost: {0}")]
    Closed(CloseReason),
}

impl<E> StreamError<E> {
    /// Whether the same call may succeed when it is made again. That says nothing about whether
    /// the first one had an effect.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected(rejection) => rejection.code.is_retryable(),
            Self::Lost(LostReason::Connect(error)) => error.kind.is_retryable(),
            Self::Lost(LostReason::Closed(reason)) => {
                // They would come about again.
                !matches!(
                    reason,
                    CloseReason::Version { .. }
                        | CloseReason::VersionRefused(_)
                        | CloseReason::Violation(_)
                        | CloseReason::Accused(_)
                )
            }
            Self::App(_)
            | Self::Failed
            | Self::Cancelled
            | Self::Revoked
            | Self::Decode(_)
            | Self::Encode(_) => false,
        }
    }

    /// Changes the type of the application's error, keeping all else.
    pub fn map_app<F>(self, change: impl FnOnce(E) -> F) -> StreamError<F> {
        match self {
            Self::App(error) => StreamError::App(change(error)),
            Self::Failed => StreamError::Failed,
            Self::Rejected(rejection) => StreamError::Rejected(rejection),
            Self::Lost(reason) => StreamError::Lost(reason),
            Self::Cancelled => StreamError::Cancelled,
            Self::Revoked => StreamError::Revoked,
            Self::Decode(error) => StreamError::Decode(error),
            Self::Encode(error) => StreamError::Encode(error),
        }
    }

    /// The error that a half's end is, if it is one, with the application's error decoded by
    /// `decode`.
    pub(crate) fn from_end(
        end: End,
        decode: impl FnOnce(&[u8]) -> Result<E, CodecError>,
    ) -> Option<Self> {
        Some(match end {
            End::Finished => return None,
            End::Fault(Fault::App(payload)) => match decode(&payload) {
                Ok(error) => Self::App(error),
                Err(error) => Self::Decode(error),
            },
            End::Fault(Fault::Cancelled) | End::CallOver => Self::Cancelled,
            End::Fault(Fault::Revoked) => Self::Revoked,
            End::Rejected(rejection) => Self::Rejected(rejection),
            End::Lost(reason) => Self::Lost(LostReason::Closed(reason)),
            // `Failed`, and whatever a later minor version adds.
            _ => Self::Failed,
        })
    }
}

/// Why a message was not sent. What was sent before is not affected.
///
/// | variant | what happened | what to do |
/// |---|---|---|
/// | `Stopped` | the receiver was dropped, or the call is over | stop sending; how the call ended is told by its reply |
/// | `Lost` | no connection, or it was lost | as for [`StreamError::Lost`] |
/// | `TooLarge` | the receiver takes no message of this size | send less at a time, or raise [`Limits::message`](crate::Limits::message) there; the stream goes on |
/// | `Encode` | the message did not encode | mend the type; the stream goes on |
/// | `NotReady` | a [`SenderSink`](crate::SenderSink) was given a message that it had not said it would take | poll `poll_ready` first, or use `SinkExt::send` |
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The receiver wants no more of this stream, or the call is over.
    #[error("the receiver stopped the stream")]
    Stopped,
    /// The connection was lost, or could not be made.
    #[error("{0}")]
    Lost(LostReason),
    /// The receiver takes no message of this size.
    #[error("a message of {size} bytes, where the receiver takes at most {limit}")]
    TooLarge {
        /// The encoded message's size, in bytes.
        size: usize,
        /// The largest size, in bytes.
        limit: usize,
    },
    /// The message did not encode.
    #[error("a message does not encode: {0}")]
    Encode(CodecError),
    /// A [`SenderSink`](crate::SenderSink) was given a message while it held another, without a
    /// `poll_ready` in between that found it ready.
    #[error("the sink was not ready for another message")]
    NotReady,
}

impl SendError {
    /// `None` if it is worth waiting.
    pub(crate) fn from_core(error: CoreSendError) -> Option<Self> {
        Some(match error {
            CoreSendError::Blocked => return None,
            CoreSendError::Lost(reason) => Self::Lost(LostReason::Closed(reason)),
            CoreSendError::TooLarge { size, limit } => Self::TooLarge { size, limit },
            // Stopped, over, or finished by another handle: nobody takes it any more.
            _ => Self::Stopped,
        })
    }
}

/// Why [`Sender::try_send`](crate::Sender::try_send) did not send; the message is handed back
/// where it may be worth another try.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError<T> {
    /// No room at this time.
    Full(T),
    /// It will not be sent.
    Closed(SendError),
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Closed(error) => f.debug_tuple("Closed").field(error).finish(),
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("no room at this time"),
            Self::Closed(error) => error.fmt(f),
        }
    }
}

impl<T> std::error::Error for TrySendError<T> {}
