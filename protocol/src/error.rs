use alloc::boxed::Box;
use bytes::Bytes;

/// How the peer broke the rules. Ends the connection; names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// R-PACKET-2
    #[error("a packet is larger than the wire allows")]
    PacketTooLarge,
    /// R-PACKET-3
    #[error("a packet has no frame")]
    PacketEmpty,
    /// R-PACKET-4
    #[error("a text message came where only binary ones are allowed")]
    TextMessage,
    /// R-FRAME-2
    #[error("a frame reaches past the end of its packet")]
    FrameTruncated,
    /// R-FRAME-3
    #[error("a frame's fields do not decode")]
    FrameMalformed,
    /// R-FRAME-5
    #[error("frame kind {0:#04x} is never valid")]
    FrameKind(u8),
    /// R-VARINT-1
    #[error("a number is written longer than it need be")]
    VarintOverlong,
    /// R-VARINT-2
    #[error("a number is larger than its field allows")]
    VarintRange,
    /// R-HELLO-1
    #[error("the first frame is not Hello")]
    HelloMissing,
    /// R-HELLO-2
    #[error("Hello came twice")]
    HelloRepeated,
    /// R-HELLO-5
    #[error("Hello announces limits that are out of range")]
    HelloLimits,
    /// R-OPEN-1
    #[error("a call id is not above the ones before")]
    CallOrder,
    /// R-OPEN-2
    #[error("a server tried to open a call, or a client to answer one")]
    WrongRole,
    /// R-TOKEN-2
    #[error("a server sent a token")]
    TokenFromServer,
    /// R-OPEN-3
    #[error("a request is larger than announced")]
    RequestTooLarge,
    /// R-CALL-1
    #[error("a frame names a call that was never opened")]
    UnknownCall,
    /// R-CALL-3
    #[error("a call was answered twice, or used before its answer")]
    AnswerOrder,
    /// R-HALF-1
    #[error("a frame names a half that the call does not have in this direction")]
    WrongHalf,
    /// R-HALF-2
    #[error("a frame came on a half after its end")]
    AfterEnd,
    /// R-MSG-1
    #[error("a frame's payload is larger than announced")]
    ChunkTooLarge,
    /// R-MSG-2
    #[error("a message is larger than announced")]
    MessageTooLarge,
    /// R-MSG-3
    #[error("a chunk is empty, too many, or out of place")]
    ChunkOrder,
    /// R-CREDIT-2
    #[error("a half was used without credit")]
    HalfCredit,
    /// R-CREDIT-3
    #[error("the connection was used beyond its credit")]
    ConnectionCredit,
    /// R-CREDIT-4
    #[error("a grant of nothing, or beyond the window")]
    Grant,
    /// R-FLOOD-1
    #[error("too many calls were given up or had to be refused")]
    ResetFlood,
    /// R-FLOOD-2
    #[error("too many frames led to nothing")]
    IdleFlood,
}

impl Violation {
    /// The id of the rule that was broken, as in the specification.
    pub fn rule(self) -> &'static str {
        match self {
            Self::PacketTooLarge => "R-PACKET-2",
            Self::PacketEmpty => "R-PACKET-3",
            Self::TextMessage => "R-PACKET-4",
            Self::FrameTruncated => "R-FRAME-2",
            Self::FrameMalformed => "R-FRAME-3",
            Self::FrameKind(_) => "R-FRAME-5",
            Self::VarintOverlong => "R-VARINT-1",
            Self::VarintRange => "R-VARINT-2",
            Self::HelloMissing => "R-HELLO-1",
            Self::HelloRepeated => "R-HELLO-2",
            Self::HelloLimits => "R-HELLO-5",
            Self::CallOrder => "R-OPEN-1",
            Self::WrongRole => "R-OPEN-2",
            Self::TokenFromServer => "R-TOKEN-2",
            Self::RequestTooLarge => "R-OPEN-3",
            Self::UnknownCall => "R-CALL-1",
            Self::AnswerOrder => "R-CALL-3",
            Self::WrongHalf => "R-HALF-1",
            Self::AfterEnd => "R-HALF-2",
            Self::ChunkTooLarge => "R-MSG-1",
            Self::MessageTooLarge => "R-MSG-2",
            Self::ChunkOrder => "R-MSG-3",
            Self::HalfCredit => "R-CREDIT-2",
            Self::ConnectionCredit => "R-CREDIT-3",
            Self::Grant => "R-CREDIT-4",
            Self::ResetFlood => "R-FLOOD-1",
            Self::IdleFlood => "R-FLOOD-2",
        }
    }
}

/// Why a connection is over. The connection ends once, with one of these, and keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This endpoint closed it.
    #[error("closed here")]
    Local,
    /// The peer closed it in order.
    #[error("closed by the peer")]
    Peer,
    /// A client kept it for the linger without a call (R-LINGER-1).
    #[error("closed after the linger, without calls")]
    Idle,
    /// The shutdown is complete: no call was left.
    #[error("shut down, all calls done")]
    Drained,
    /// The shutdown's deadline passed with calls still running (R-AWAY-4).
    #[error("shut down at the deadline, with calls still running")]
    DrainExpired,
    /// The peer broke a rule.
    #[error("the peer broke {}: {_0}", _0.rule())]
    Violation(Violation),
    /// The peer says that this endpoint broke a rule.
    #[error("the peer ended the connection: {0}")]
    Accused(Box<str>),
    /// The peer speaks another major version.
    #[error("the peer speaks version {peer} of the protocol, this endpoint speaks {ours}")]
    Version {
        /// The peer's major version.
        peer: u64,
        /// This endpoint's major version.
        ours: u64,
    },
    /// The peer does not speak this endpoint's major version, and says which it does.
    #[error("the peer refused this endpoint's protocol version: {0}")]
    VersionRefused(Box<str>),
    /// The peer did not say `Hello` in time (R-HELLO-9).
    #[error("the peer did not say Hello in time")]
    HandshakeTimeout,
    /// The peer was silent for too long (R-ALIVE-3).
    #[error("the peer was silent for too long")]
    Timeout,
    /// A message in chunks was not whole in time (R-MSG-7).
    #[error("a message took too long to come whole")]
    MessageTimeout,
    /// The peer gave this endpoint up for being silent or late.
    #[error("the peer gave up waiting: {0}")]
    PeerTimeout(Box<str>),
    /// The socket took nothing for too long.
    #[error("the socket took nothing for too long")]
    Stalled,
    /// The transport ended without a word.
    #[error("the transport ended")]
    Eof,
}

/// Why a callee refused a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{code}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct Rejection {
    /// The kind of refusal.
    pub code: RejectCode,
    /// Words for a developer; at most 255 bytes travel.
    pub detail: Box<str>,
}

impl Rejection {
    /// A refusal with words for a developer.
    pub fn new(code: RejectCode, detail: impl Into<Box<str>>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl From<RejectCode> for Rejection {
    fn from(code: RejectCode) -> Self {
        Self { code, detail: "".into() }
    }
}

/// The kinds of refusal (R-REJECT-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RejectCode {
    /// No such endpoint or method.
    #[error("not found")]
    NotFound,
    /// The arguments or parameters do not fit the method.
    #[error("invalid arguments")]
    InvalidArguments,
    /// The method needs a caller who is signed in.
    #[error("unauthenticated")]
    Unauthenticated,
    /// The caller may not do this.
    #[error("forbidden")]
    Forbidden,
    /// Too many calls at a time; worth another try.
    #[error("busy")]
    Busy,
    /// The callee is shutting down; worth another try, on a new connection.
    #[error("unavailable")]
    Unavailable,
    /// The two sides' contracts differ.
    #[error("contract mismatch")]
    ContractMismatch,
    /// The callee could not decide, for a reason of its own. Also any code that is not known here.
    #[error("failed")]
    Failed,
}

impl RejectCode {
    /// Whether the same call may succeed a moment later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable)
    }
}

/// What a sender ends its half with, other than in order (R-ERROR-1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// An error of the application's own, encoded. At most 4 KiB (R-ERROR-2).
    App(Bytes),
    /// Something failed, and no detail is told. Also any code that is not known here.
    Failed,
    /// The sender was dropped before it finished.
    Cancelled,
    /// The right to this stream was taken back.
    Revoked,
}

/// How a half ended, as its receiver learns it. Stays once reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// The sender finished: nothing is missing.
    Finished,
    /// The sender ended it with a fault, after every message it had sent.
    Fault(Fault),
    /// The callee refused the call.
    Rejected(Rejection),
    /// The call was over before this half ended.
    CallOver,
    /// The connection was lost: something may be missing.
    Lost(CloseReason),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The reply finished.
    Finished,
    /// The reply ended with a fault.
    Failed,
    /// The callee refused it.
    Rejected(Rejection),
    /// The caller gave it up.
    Cancelled,
    /// The connection was lost.
    Lost(CloseReason),
}

/// Why a message was not taken. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No credit or no room; `Event::Writable` tells when to try again.
    #[error("no room at this time")]
    Blocked,
    /// The receiver wants no more.
    #[error("the receiver stopped the stream")]
    Stopped,
    /// This half was finished before.
    #[error("the stream was finished before")]
    Finished,
    /// The call is over.
    #[error("the call is over")]
    CallOver,
    /// The connection is over.
    #[error("the connection is lost: {0}")]
    Lost(CloseReason),
    /// The peer takes no message of this size.
    #[error("a message of {size} bytes, where the receiver takes at most {limit}")]
    TooLarge {
        /// The message's size in bytes.
        size: usize,
        /// The largest size in bytes.
        limit: usize,
    },
}

/// Why a call could not be opened. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Only a client opens calls.
    #[error("only a client opens calls")]
    Role,
    /// As many calls as this endpoint's own limit are open.
    #[error("too many calls at a time")]
    Busy,
    /// The peer is shutting down: open a new connection.
    #[error("the peer is shutting down")]
    GoingAway,
    /// All call ids of this connection are used up: open a new one.
    #[error("all call ids of this connection are used up")]
    Exhausted,
    /// The request is larger than the peer takes, or one of its parts than the wire allows.
    #[error("a request of {size} bytes, where at most {limit} are taken")]
    TooLarge {
        /// The size in bytes.
        size: usize,
        /// The largest size in bytes.
        limit: usize,
    },
    /// More parameter halves than this endpoint or its peer allows.
    #[error("too many parameter streams")]
    Parameters,
    /// The connection is over.
    #[error("the connection is lost: {0}")]
    Lost(CloseReason),
}

/// The call is not in a state in which it can be answered. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call was answered before, or is over")]
pub struct AnswerError;
