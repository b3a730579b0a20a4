use core::time::Duration;

use crate::Role;

/// What a connection may cost this endpoint. The defaults are safe on the open internet.
///
/// The first seven are announced in `Hello`, so that the peer keeps to them; what is beyond is a
/// violation or a refused call, as the specification says for each.
///
/// ```
/// use wirestream_protocol::Limits;
///
/// let limits = Limits { calls: 1_000, ..Limits::default() };
/// assert!(limits.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message that is received, in bytes. 256 KiB.
    pub message: u32,
    /// Largest payload of one frame, in bytes; a larger message comes in chunks. 16 KiB.
    pub chunk: u32,
    /// Largest request (method, arguments, metadata, token), in bytes. 64 KiB.
    pub request: u32,
    /// What one inbound half may have unread, in bytes of credit. 256 KiB. A half begins with
    /// less ([`first_half_window`](Self::first_half_window)), and has more once that is used
    /// up, as far as all halves together leave room (R-CREDIT-9).
    pub half_window: u32,
    /// What all inbound halves together may have unread, in bytes of credit. 2 MiB. At least one
    /// largest message and one largest request, so that what has begun can always end.
    ///
    /// While unread messages fill it, nothing more comes in on any half. The first ones that nobody
    /// reads may use up three quarters of it, as far as they have that much to say; of the rest
    /// each later one has its first window, by default 32 of 16 KiB. Each may go beyond its window
    /// by one message: an application that leaves large messages unread on many halves, or many
    /// halves unread, makes the window larger.
    pub connection_window: u32,
    /// Calls at a time. 100. A call counts until it is released.
    pub calls: u32,
    /// Parameter halves of one call. 16.
    pub parameters: u8,
    /// Outgoing bytes that may wait for the socket before senders wait, in bytes. 64 KiB. One
    /// message of any size is taken whenever less than this is waiting, and one of at most 4 KiB of
    /// each half whatever is waiting.
    pub outbound: u32,
    /// How deep a received value may nest: each struct, enum, list, map, tuple and option in
    /// another counts. 128. This and the next two are kept where payloads are decoded, which the
    /// protocol does not do; what goes beyond them does not decode (R-DATA-4).
    pub decode_depth: u32,
    /// How many elements (of lists and maps) a received value may have beyond one for each of its
    /// bytes. 16,384. Only elements that take no bytes need this.
    pub decode_elements: u32,
    /// How many times its bytes a received value may take in memory, as far as the sizes of its
    /// types tell. 64. One that takes less than 1 MiB may, whatever its bytes.
    pub decode_growth: u32,
    /// How many calls a second the peer may give up or have refused, on average, and ten times as
    /// many at once. 1,000. What goes beyond ends the connection (R-FLOOD-1): each costs a few bytes
    /// to open and give up, and this endpoint a handler.
    pub resets: u32,
    /// How many frames a second that lead to nothing may come, on average, and ten times as many at
    /// once. 1,000. What goes beyond ends the connection (R-FLOOD-2). Those that are natural behind
    /// the end of a call are allowed for.
    pub idle_frames: u32,
    /// How long the peer may take to say `Hello`. 5 s.
    pub handshake: Duration,
    /// After how long a silence the peer is pinged. 15 s.
    pub ping: Duration,
    /// How long after that ping a still silent peer is given up. 20 s.
    pub dead: Duration,
    /// How long a socket may take no bytes at all before the connection is given up. 20 s. Kept by
    /// the driver, which alone sees the socket.
    pub stall: Duration,
    /// How long a message in chunks may take to come, from its first to its last. 5 min: one that
    /// dribbles in does not hold its room for ever (R-MSG-7).
    pub assembly: Duration,
    /// How long a client keeps a connection without calls. 5 s.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 256 * 1024,
            chunk: 16 * 1024,
            request: 64 * 1024,
            half_window: 256 * 1024,
            connection_window: 2 * 1024 * 1024,
            calls: 100,
            parameters: 16,
            outbound: 64 * 1024,
            decode_depth: 128,
            decode_elements: 16 * 1024,
            decode_growth: 64,
            resets: 1_000,
            idle_frames: 1_000,
            handshake: Duration::from_secs(5),
            ping: Duration::from_secs(15),
            dead: Duration::from_secs(20),
            stall: Duration::from_secs(20),
            assembly: Duration::from_secs(5 * 60),
            linger: Duration::from_secs(5),
        }
    }
}

/// Why [`Limits::validate`] refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// A size is under the floor that a peer relies on before it has read our `Hello`.
    #[error("the limit `{0}` is below the floor that every endpoint must offer")]
    BelowFloor(&'static str),
    /// A size is over what the wire allows.
    #[error("the limit `{0}` is above what the wire allows")]
    AboveCeiling(&'static str),
    /// The connection's window does not hold one largest message and one largest request.
    #[error("the connection window is smaller than the largest message or request")]
    WindowBelowMessage,
    /// The token of the connection is longer than 4 KiB.
    #[error("the token is longer than the wire allows")]
    TokenTooLong,
}

/// What a peer may rely on before it has read our `Hello` (R-HELLO-6).
pub(crate) const FLOOR: u32 = 4 * 1024;
/// The same, for the connection's window.
pub(crate) const CONNECTION_FLOOR: u32 = 16 * 1024;
/// What a half begins with, where that is no more than a quarter of the connection's window.
const FIRST_HALF_WINDOW: u32 = 16 * 1024;
/// The largest `chunk` and `request` (R-HELLO-5), so that a packet has a largest size.
pub(crate) const FRAME_CEILING: u32 = 64 * 1024;
/// The largest window and message: far below 2^53, and sums of them fit an `i64`.
pub(crate) const WINDOW_CEILING: u32 = 1 << 30;
/// The largest `calls` that is announced or kept.
pub(crate) const CALLS_CEILING: u32 = 1 << 20;
/// The most parameter halves that any endpoint may allow.
pub(crate) const PARAMETERS_CEILING: u8 = 64;

impl Limits {
    /// Checks that the limits agree with one another and with what every peer may rely on.
    ///
    /// # Errors
    /// The first limit that is out of range (R-HELLO-5).
    pub fn validate(&self) -> Result<(), LimitsError> {
        if self.outbound == 0 {
            return Err(LimitsError::BelowFloor("outbound")); // nothing could be sent
        }
        // A peer that does what it may must not be taken for a flood.
        for (name, rate) in [("resets", self.resets), ("idle_frames", self.idle_frames)] {
            if rate == 0 {
                return Err(LimitsError::BelowFloor(name));
            }
        }
        if self.half_window > WINDOW_CEILING {
            return Err(LimitsError::AboveCeiling("half_window")); // what is announced may be less
        }
        self.announced().validate()
    }

    /// An upper bound, in bytes, on what one connection of this endpoint holds on the heap,
    /// whatever the peer does and whatever the application sends; handles of the application's own
    /// (a run taken, a message taken) are not in it.
    ///
    /// What is counted: what came and is unread, requests included (the connection's window, twice
    /// for buffers that grow by doubling, and once more for the short messages' headers, which the
    /// minimum charge pays for), a buffer for the next large message, the outgoing buffers (the bound and one message, twice), packets on
    /// their way, and for each call a record and its halves. A half may end with an error, which
    /// stays until the call is released; one that sends may have a small message beyond the outgoing
    /// bound; a client's call has its request.
    ///
    /// ```
    /// use wirestream_protocol::{Limits, Role};
    ///
    /// let limits = Limits::default();
    /// assert!(limits.worst_case_bytes(Role::Server) < 16 << 20);
    /// assert!(limits.worst_case_bytes(Role::Client) < 28 << 20);
    /// ```
    pub fn worst_case_bytes(&self, role: Role) -> usize {
        let size = |n: u32| n as usize;
        let inbound = 3 * size(self.connection_window);
        let outbound = 2 * (size(self.outbound) + size(self.message));
        let packets = 2 * crate::wire::MAX_PACKET;
        let spare = crate::wire::MAX_PACKET;
        let parameters = usize::from(self.parameters);
        let (sending, receiving, request) = match role {
            Role::Client => (parameters, 1, size(self.request)),
            Role::Server => (1, parameters, 0),
        };
        let half = HALF_BYTES + crate::wire::MAX_FAULT;
        let small = sending * crate::outbox::QUANTUM;
        let call = CALL_BYTES + request + (sending + receiving) * half + small;
        inbound + outbound + packets + spare + size(self.calls) * call + CONNECTION_BYTES
    }

    /// What each half begins with, in bytes of credit: 16 KiB, or a quarter of a small connection's
    /// window, or a 128th part of a large one's; and no more than `half_window`. See R-CREDIT-9.
    ///
    /// ```
    /// # use wirestream_protocol::Limits;
    /// assert_eq!(Limits::default().first_half_window(), 16 * 1024);
    /// ```
    pub fn first_half_window(&self) -> u32 {
        let share = self.connection_window / 4;
        self.half_window.min((self.connection_window / 128).max(share.min(FIRST_HALF_WINDOW)))
    }

    /// How much larger a half's window becomes when it is used up, where that much of the
    /// connection's is `taken`: it doubles, within half of what is free of three quarters of the
    /// connection's (R-CREDIT-9).
    pub(crate) fn growth(&self, window: u32, taken: u64) -> u32 {
        let free = (u64::from(self.connection_window) / 4 * 3).saturating_sub(taken) / 2;
        let wanted = self.half_window.saturating_sub(window).min(window);
        wanted.min(u32::try_from(free).unwrap_or(u32::MAX))
    }

    pub(crate) fn announced(&self) -> Announced {
        Announced {
            message: self.message,
            chunk: self.chunk,
            request: self.request,
            half_window: self.first_half_window(),
            connection_window: self.connection_window,
            calls: self.calls,
            parameters: self.parameters,
        }
    }
}

/// A call's record without its halves: table, index, state, control frames and events owed.
const CALL_BYTES: usize = 1024;
/// One half: state, queue headers, buffers' minimum capacities, facts and events owed.
const HALF_BYTES: usize = 1024;
/// The connection itself, its queues at rest.
const CONNECTION_BYTES: usize = 16 * 1024;

/// The limits that `Hello` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// See [`Limits::message`].
    pub message: u32,
    /// See [`Limits::chunk`].
    pub chunk: u32,
    /// See [`Limits::request`].
    pub request: u32,
    /// See [`Limits::half_window`].
    pub half_window: u32,
    /// See [`Limits::connection_window`].
    pub connection_window: u32,
    /// See [`Limits::calls`].
    pub calls: u32,
    /// See [`Limits::parameters`].
    pub parameters: u8,
}

impl Announced {
    /// What may be assumed of a peer whose `Hello` has not come yet (R-HELLO-6).
    pub(crate) const FLOOR: Self = Self {
        message: FLOOR,
        chunk: FLOOR,
        request: FLOOR,
        half_window: FLOOR,
        connection_window: CONNECTION_FLOOR,
        calls: 1,
        parameters: 1,
    };

    /// R-HELLO-5.
    pub(crate) fn validate(&self) -> Result<(), LimitsError> {
        for (name, value, floor, ceiling) in [
            ("message", self.message, FLOOR, WINDOW_CEILING),
            ("chunk", self.chunk, FLOOR, FRAME_CEILING),
            ("request", self.request, FLOOR, FRAME_CEILING),
            ("half_window", self.half_window, FLOOR, WINDOW_CEILING),
            ("connection_window", self.connection_window, CONNECTION_FLOOR, WINDOW_CEILING),
            ("calls", self.calls, 1, CALLS_CEILING),
            ("parameters", self.parameters.into(), 1, PARAMETERS_CEILING.into()),
        ] {
            if value < floor {
                return Err(LimitsError::BelowFloor(name));
            }
            if value > ceiling {
                return Err(LimitsError::AboveCeiling(name));
            }
        }
        if self.connection_window < self.message.max(self.request) {
            return Err(LimitsError::WindowBelowMessage);
        }
        Ok(())
    }
}
