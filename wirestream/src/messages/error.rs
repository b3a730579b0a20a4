//! What goes wrong with messages between sessions.

use super::bus::BusError;
use crate::codec::CodecError;
use crate::contract::Fingerprint;

/// A text is no name of a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// It is empty.
    #[error("a channel has a name")]
    Empty,
    /// It is longer than [`MessageConfig::channel`](crate::MessageConfig::channel) allows.
    #[error("a channel's name of {size} bytes, where at most {limit} are allowed")]
    TooLong {
        /// The name's size, in bytes.
        size: usize,
        /// The largest size, in bytes.
        limit: usize,
    },
    /// It begins with `$`, as the names do that Wirestream keeps for itself.
    #[error("a channel's name does not begin with `$`")]
    Reserved,
}

/// Why a message was not posted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// There is no such channel.
    #[error(transparent)]
    Channel(ChannelError),
    /// The message did not encode.
    #[error("a message does not encode: {0}")]
    Encode(CodecError),
    /// It is larger than [`MessageConfig::message`](crate::MessageConfig::message) allows.
    #[error("a message of {size} bytes, where at most {limit} are allowed")]
    TooLarge {
        /// The encoded message's size, in bytes.
        size: usize,
        /// The largest size, in bytes.
        limit: usize,
    },
    /// It was to go to all servers, and this one has no bus.
    #[error("the server has no bus")]
    NoBus,
    /// The bus failed.
    #[error(transparent)]
    Bus(BusError),
}

/// Why there is no subscription.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// There is no such channel.
    #[error(transparent)]
    Channel(ChannelError),
    /// It was to hear all servers, and this one has no bus.
    #[error("the server has no bus")]
    NoBus,
    /// The bus failed.
    #[error(transparent)]
    Bus(BusError),
    /// The session that it would be of is closed.
    #[error("the session is closed")]
    SessionClosed,
}

/// What a subscriber gets in the place of a message. The subscription lives on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// So many messages were missed here, as they came faster than they were read:
    /// [`MessageConfig::unread`](crate::MessageConfig::unread).
    #[error("{0} messages were missed")]
    Lagged(u64),
    /// Messages of other servers may have been missed here: the bus was away, and is back.
    #[error("messages may have been missed while the bus was away")]
    Gap,
    /// A message of another type than the subscription's.
    #[error("a message of another type ({found}, not {expected})")]
    OtherType {
        /// What stands for the subscription's type.
        expected: Fingerprint,
        /// What stands for the message's.
        found: Fingerprint,
    },
    /// A message did not decode.
    #[error("a message does not decode: {0}")]
    Decode(CodecError),
    /// A message of another server is larger than this one takes.
    #[error("a message of {size} bytes, where at most {limit} are taken")]
    TooLarge {
        /// The encoded message's size, in bytes.
        size: usize,
        /// The largest size, in bytes.
        limit: usize,
    },
}
