use core::time::Duration;

use super::{Connection, Role};
use crate::wire::AwayCode;
use crate::{CloseReason, Limits, Time};

/// When something is to happen by itself.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Deadlines {
    hello: Option<Time>,
    life: Life,
    drain: Option<Time>,
    /// When to look for messages that do not become whole; none of those that have begun is due
    /// before.
    whole: Option<Time>,
    linger: Linger,
    ping: Duration,
    dead: Duration,
    assembly: Duration,
    keep: Duration,
}

/// When the peer was last known to live.
#[derive(Clone, Copy, Debug)]
enum Life {
    Heard(Time),
    Pinged(Time),
}

/// How long a client has had no call.
#[derive(Clone, Copy, Debug)]
enum Linger {
    Busy,
    /// From now on; the application's verbs do not know the time, so the next call that does
    /// sets it.
    Unset,
    Since(Time),
}

impl Deadlines {
    pub(super) fn new(role: Role, limits: &Limits, now: Time) -> Self {
        Self {
            hello: Some(now + limits.handshake),
            life: Life::Heard(now),
            drain: None,
            whole: None,
            linger: match role {
                Role::Client => Linger::Since(now),
                Role::Server => Linger::Busy,
            },
            ping: limits.ping,
            dead: limits.dead,
            assembly: limits.assembly,
            keep: limits.linger,
        }
    }

    pub(super) fn hello_came(&mut self) {
        self.hello = None;
    }

    /// R-ALIVE-1.
    pub(super) fn heard(&mut self, now: Time) {
        self.life = Life::Heard(now);
    }

    pub(super) fn drain(&mut self, deadline: Time) {
        self.drain = Some(self.drain.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    pub(super) fn message_began(&mut self, now: Time) {
        self.whole.get_or_insert(now + self.assembly);
    }

    pub(super) fn idle(&mut self) {
        self.linger = Linger::Unset;
    }

    pub(super) fn busy(&mut self) {
        self.linger = Linger::Busy;
    }

    fn life_deadline(&self) -> Time {
        match self.life {
            Life::Heard(at) => at + self.ping,
            Life::Pinged(at) => at + self.dead,
        }
    }
}

impl Connection {
    /// When [`handle_timeout`](Self::handle_timeout) wants to be called. `None` once the
    /// connection is over. Changes with every other call, so ask again after each.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.closed.is_some() {
            return None;
        }
        let linger = match self.deadlines.linger {
            Linger::Busy => None,
            Linger::Unset => Some(self.now),
            Linger::Since(since) => Some(since + self.deadlines.keep),
        };
        let life = self.deadlines.life_deadline();
        [self.deadlines.hello, self.deadlines.drain, self.deadlines.whole, linger]
            .into_iter()
            .flatten()
            .chain([life])
            .min()
    }

    /// Does what is due at this time. Calling it needlessly is harmless.
    pub fn handle_timeout(&mut self, now: Time) {
        self.advance(now);
        if self.closed.is_some() {
            return;
        }
        let now = self.now;
        let passed = |deadline: Option<Time>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.deadlines.hello) {
            // R-HELLO-9
            let farewell = (AwayCode::Timeout, "no Hello in time".into());
            return self.end(CloseReason::HandshakeTimeout, Some(farewell));
        }
        if passed(self.deadlines.drain) {
            // R-AWAY-4
            return match self.is_drained() {
                true => self.end(CloseReason::Drained, Some((AwayCode::Done, "".into()))),
                false => self.end(CloseReason::DrainExpired, Some((AwayCode::Expired, "".into()))),
            };
        }
        if passed(self.deadlines.whole) {
            let halves = self.calls.iter().flat_map(super::super::call::CallRecord::incoming);
            let oldest = halves.filter_map(|half| half.inbox.partial_since()).min();
            self.deadlines.whole = oldest.map(|since| since + self.deadlines.assembly);
            if passed(self.deadlines.whole) {
                // R-MSG-7
                let farewell = (AwayCode::Timeout, "a message took too long".into());
                return self.end(CloseReason::MessageTimeout, Some(farewell));
            }
        }
        match self.deadlines.linger {
            Linger::Busy => {}
            Linger::Unset => self.deadlines.linger = Linger::Since(now),
            Linger::Since(since) if since + self.deadlines.keep <= now => {
                // R-LINGER-1
                return self.end(CloseReason::Idle, Some((AwayCode::Done, "".into())));
            }
            Linger::Since(_) => {}
        }
        if self.deadlines.life_deadline() <= now {
            match self.deadlines.life {
                Life::Heard(_) => {
                    // R-ALIVE-2
                    self.ping_owed = true;
                    self.deadlines.life = Life::Pinged(now);
                }
                Life::Pinged(_) => {
                    // R-ALIVE-3
                    let farewell = (AwayCode::Timeout, "silent for too long".into());
                    self.end(CloseReason::Timeout, Some(farewell));
                }
            }
        }
    }
}
