//! The bytes: packets, frames, their fields. For the core, and for tools and tests that look at
//! packets; a driver needs none of it.
//!
//! ```
//! use wirestream_protocol::wire::{Frame, frames};
//!
//! let packet = [0x05, 0x04, 0x01, 0x00, b'h', b'i', 0x0c, 0x00];
//! let frames: Vec<Frame> = frames(&packet).collect::<Result<_, _>>()?;
//! assert_eq!(frames, [Frame::Message { call: 1, half: 0, payload: b"hi" }, Frame::Ping]);
//! # Ok::<(), wirestream_protocol::Violation>(())
//! ```

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use decode::{RawFrame, RawFrames};
pub(crate) use encode::{MessageHeader, varint_len};

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::limits::Announced;
use crate::{RejectCode, Rejection, Token, Violation};

/// The WebSocket subprotocol that a client offers and a server answers with.
pub const SUBPROTOCOL: &str = "wirestream.v1";
/// The major version spoken here.
pub const MAJOR: u64 = 1;
/// The minor version spoken here.
pub const MINOR: u64 = 0;
/// The largest packet, in bytes (R-PACKET-2).
pub const MAX_PACKET: usize = 128 * 1024;
/// A sender starts a new packet once this many bytes are in one (R-PACKET-5).
pub const FULL_PACKET: usize = 16 * 1024;
/// What every message, request or error payload costs at least, in bytes of credit (R-CREDIT-1).
pub const MINIMUM_CHARGE: u32 = 64;
/// The longest text field (method name, detail), in bytes (R-TEXT-1).
pub const MAX_TEXT: usize = 255;
/// The longest token, in bytes (R-HELLO-7).
pub const MAX_TOKEN: usize = 4 * 1024;
/// The longest payload of an error, in bytes (R-ERROR-2).
pub const MAX_FAULT: usize = 4 * 1024;
/// Most metadata entries of a request (R-OPEN-9).
pub(crate) const MAX_METADATA: usize = 64;
/// The largest number in any field: what JavaScript counts exactly (R-VARINT-2).
pub const MAX_NUMBER: u64 = (1 << 53) - 1;

/// The kinds of frame.
pub(crate) mod kind {
    pub(crate) const HELLO: u8 = 0x01;
    pub(crate) const OPEN: u8 = 0x02;
    pub(crate) const ACCEPT: u8 = 0x03;
    pub(crate) const REJECT: u8 = 0x04;
    pub(crate) const MESSAGE: u8 = 0x05;
    pub(crate) const BEGIN: u8 = 0x06;
    pub(crate) const MORE: u8 = 0x07;
    pub(crate) const CLOSE: u8 = 0x08;
    pub(crate) const ERROR: u8 = 0x09;
    pub(crate) const STOP: u8 = 0x0a;
    pub(crate) const CREDIT: u8 = 0x0b;
    pub(crate) const PING: u8 = 0x0c;
    pub(crate) const PONG: u8 = 0x0d;
    pub(crate) const GO_AWAY: u8 = 0x0e;
    pub(crate) const TOKEN: u8 = 0x0f;
    /// Kinds from here to `LAST_SKIPPED` belong to later minor versions (R-FRAME-4).
    pub(crate) const FIRST_SKIPPED: u8 = 0x10;
    pub(crate) const LAST_SKIPPED: u8 = 0x7f;
}

/// What a payload of this length costs, in bytes of credit (R-CREDIT-1).
pub fn cost(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).max(MINIMUM_CHARGE)
}

/// A frame, its payload borrowed from the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub enum Frame<'a> {
    Hello(Hello),
    Open(Open<'a>),
    Accept {
        call: u32,
    },
    Reject {
        call: u32,
        rejection: Rejection,
    },
    Message {
        call: u32,
        half: u8,
        payload: &'a [u8],
    },
    Begin {
        call: u32,
        half: u8,
        total: u32,
        payload: &'a [u8],
    },
    More {
        call: u32,
        half: u8,
        payload: &'a [u8],
    },
    Close {
        call: u32,
        half: u8,
    },
    Error {
        call: u32,
        half: u8,
        code: FaultCode,
        payload: &'a [u8],
    },
    Stop {
        call: u32,
        half: u8,
    },
    /// `call` and `half` are both 0 for the connection's credit.
    Credit {
        call: u32,
        half: u8,
        amount: u32,
    },
    Ping,
    Pong,
    GoAway {
        code: AwayCode,
        detail: Box<str>,
    },
    Token {
        token: Token,
    },
    /// A kind of a later minor version, skipped (R-FRAME-4).
    Unknown {
        kind: u8,
    },
}

/// The first frame in each direction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub enum Hello {
    /// The major version is known: the rest could be read.
    V1 { minor: u64, limits: Announced, token: Option<Token> },
    /// Another major version, of which only the number is read (R-HELLO-3).
    Other { major: u64 },
}

/// The request that opens a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the specification's")]
pub struct Open<'a> {
    pub call: u32,
    pub parameters: u8,
    pub method: &'a str,
    pub fingerprint: Option<[u8; 8]>,
    pub token: Option<Token>,
    pub metadata: Vec<(&'a str, &'a [u8])>,
    pub arguments: &'a [u8],
}

/// What an `Error` frame says (R-ERROR-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the codes are the specification's")]
pub enum FaultCode {
    Failed,
    App,
    Cancelled,
    Revoked,
}

impl FaultCode {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Failed => 0,
            Self::App => 1,
            Self::Cancelled => 2,
            Self::Revoked => 3,
        }
    }

    /// An unknown code is a generic failure (R-ERROR-1).
    fn from_number(number: u64) -> Self {
        match number {
            1 => Self::App,
            2 => Self::Cancelled,
            3 => Self::Revoked,
            _ => Self::Failed,
        }
    }
}

/// What a `GoAway` frame says (R-AWAY-1 to R-AWAY-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the codes are the specification's")]
pub enum AwayCode {
    Shutdown,
    Done,
    Violation,
    Version,
    Timeout,
    Expired,
}

impl AwayCode {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Shutdown => 0,
            Self::Done => 1,
            Self::Violation => 2,
            Self::Version => 3,
            Self::Timeout => 4,
            Self::Expired => 5,
        }
    }

    /// An unknown code ends the connection in order (R-AWAY-3).
    fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Shutdown,
            2 => Self::Violation,
            3 => Self::Version,
            4 => Self::Timeout,
            5 => Self::Expired,
            _ => Self::Done,
        }
    }
}

impl RejectCode {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Failed => 0,
            Self::NotFound => 1,
            Self::InvalidArguments => 2,
            Self::Unauthenticated => 3,
            Self::Forbidden => 4,
            Self::Busy => 5,
            Self::Unavailable => 6,
            Self::ContractMismatch => 7,
        }
    }

    /// An unknown code is `Failed` (R-REJECT-1).
    fn from_number(number: u64) -> Self {
        match number {
            1 => Self::NotFound,
            2 => Self::InvalidArguments,
            3 => Self::Unauthenticated,
            4 => Self::Forbidden,
            5 => Self::Busy,
            6 => Self::Unavailable,
            7 => Self::ContractMismatch,
            _ => Self::Failed,
        }
    }
}

/// The frames of a packet, one after the other, until the first violation.
pub fn frames(packet: &[u8]) -> impl Iterator<Item = Result<Frame<'_>, Violation>> {
    let mut raw = RawFrames::new(packet);
    let mut failed = false;
    core::iter::from_fn(move || {
        if failed {
            return None;
        }
        let frame = raw.next_frame().transpose()?.and_then(RawFrame::parse);
        failed = frame.is_err();
        Some(frame)
    })
}

/// Cuts a text to what a text field holds, at a character's boundary (R-TEXT-1).
pub(crate) fn cut_text(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}
