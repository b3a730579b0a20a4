//! The connection: what it holds, how it starts and how it ends.
//!
//! `application` has the verbs of the application, `receive` and `transmit` the two directions of
//! the wire, `deadlines` what time does. The tables that they follow are in `crate::state`.

mod application;
mod budget;
mod deadlines;
#[cfg(test)]
mod explore;
#[cfg(feature = "testing")]
mod inspect;
mod receive;
#[cfg(test)]
mod tests;
mod transmit;

pub use application::{Call, Received, Taken};

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use bytes::BytesMut;

use crate::call::{CallRecord, CallTable, InHalf, OutHalf};
use crate::credit::{ReceiveCredit, SendCredit};
use crate::limits::Announced;
use crate::state::{CallEvent, CallState, SenderEvent, Step};
use crate::wire::{AwayCode, MAJOR};
use crate::{
    CallId, CloseReason, End, Event, Inbound, Limits, LimitsError, Outbound, Outcome, RejectCode,
    Rejection, Stats, Time, Token, Violation,
};
use budget::Budget;
use deadlines::Deadlines;

/// A queue that had room for more than this is given back when it runs empty.
const KEPT_ENTRIES: usize = 64;

/// Frees what an empty queue has kept.
fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > KEPT_ENTRIES {
        *queue = VecDeque::new();
    }
}

/// Which side of the connection this endpoint is. Clients open calls, servers answer them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Opens calls.
    Client,
    /// Answers them.
    Server,
}

/// How a connection is set up.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What it may cost.
    pub limits: Limits,
    /// A token that goes with `Hello` (a client's).
    pub token: Option<Token>,
}

/// A frame that is owed, made only when it is transmitted.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
enum Control {
    Open(CallId),
    Accept(CallId),
    /// With the credit that the refused request holds until its refusal is on the wire: so a
    /// flood of requests stops at the window, not in memory (R-OPEN-4).
    Reject {
        call: u32,
        rejection: Rejection,
        held: u32,
    },
    Stop {
        call: CallId,
        half: u8,
    },
    Credit(Inbound),
}

/// Who waits for the connection's credit, first come, first served (R-CREDIT-7).
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(Hash))]
enum Waiter {
    Open(CallId),
    Half(Outbound),
}

/// One endpoint of a connection, as a state machine without any I/O.
///
/// The crate's front page teaches how to drive it. All methods are cheap, none blocks, and none
/// must be followed by another.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Connection {
    role: Role,
    config: Config,
    now: Time,
    deadlines: Deadlines,
    /// Calls that the peer gives up or has refused (R-FLOOD-1).
    resets: Budget,
    /// Frames that lead to nothing (R-FLOOD-2).
    idle_frames: Budget,
    /// Set once and kept: the connection is over.
    closed: Option<CloseReason>,

    calls: CallTable,
    /// The highest call number that was used.
    last_call: u32,
    /// The peer's limits, once its `Hello` has come.
    peer: Option<Announced>,
    peer_token: Option<Token>,
    peer_minor: u64,
    /// The peer takes no new calls.
    peer_away: bool,
    /// This endpoint takes no new calls.
    away: bool,

    /// What may still be sent on the connection as a whole.
    send_credit: SendCredit,
    /// What all inbound halves together hold.
    receive_credit: ReceiveCredit,
    /// What may come on all of them and be unread, one by one.
    windows: u64,
    waiters: VecDeque<Waiter>,
    /// Those who wait are being looked at: what that ends does not look at them again.
    beginning: bool,
    /// Blocked for want of room in the outgoing buffer.
    crowd: VecDeque<Outbound>,
    /// Halves with something to transmit, in the order of their turns (R-MSG-6).
    ring: VecDeque<Outbound>,
    control: VecDeque<Control>,
    /// Refusals of the application's in `control`: their calls count until they are on the wire
    /// (R-CALL-6).
    refusing: usize,
    /// How many entries the four queues have before those of calls that are over are looked for.
    sweep_at: usize,
    /// Bytes of messages that wait for the socket or for credit.
    buffered: usize,
    /// Those of them that wait for the connection's credit.
    without_credit: usize,

    hello_owed: bool,
    token_owed: bool,
    ping_owed: bool,
    pong_owed: bool,
    away_owed: bool,
    /// The last frame, once the connection is over: why.
    farewell: Option<(AwayCode, Box<str>)>,

    events: VecDeque<Event>,
    packet: BytesMut,
    /// The buffer of the last large message that was read, for the next, up to the size of a packet.
    spare: Vec<u8>,
    spare_since: Time,
    stats: Stats,
}

impl Connection {
    /// A connection whose transport is ready to carry packets.
    ///
    /// # Errors
    /// Limits that do not agree with one another ([`Limits::validate`]), or a token that is too long
    /// (R-HELLO-7).
    pub fn new(role: Role, config: Config, now: Time) -> Result<Self, LimitsError> {
        config.limits.validate()?;
        config.token.as_ref().map_or(Ok(()), Token::validate)?;
        let limits = &config.limits;
        let floor = Announced::FLOOR;
        Ok(Self {
            role,
            now,
            deadlines: Deadlines::new(role, limits, now),
            resets: Budget::new(limits.resets, now),
            idle_frames: Budget::new(limits.idle_frames, now),
            closed: None,
            calls: CallTable::default(),
            last_call: 0,
            peer: None,
            peer_token: None,
            peer_minor: 0,
            peer_away: false,
            away: false,
            send_credit: SendCredit::connection(floor.connection_window),
            receive_credit: ReceiveCredit::connection(
                limits.connection_window,
                limits.message.max(limits.request),
            ),
            windows: 0,
            waiters: VecDeque::new(),
            beginning: false,
            crowd: VecDeque::new(),
            ring: VecDeque::new(),
            control: VecDeque::new(),
            refusing: 0,
            sweep_at: KEPT_ENTRIES,
            buffered: 0,
            without_credit: 0,
            hello_owed: true,
            token_owed: false,
            ping_owed: false,
            pong_owed: false,
            away_owed: false,
            farewell: None,
            events: VecDeque::new(),
            packet: BytesMut::new(),
            spare: Vec::new(),
            spare_since: now,
            stats: Stats::default(),
            config,
        })
    }

    /// Which side this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The time that it was told last.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The limits that it keeps.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Whether the peer's `Hello` has come.
    pub fn is_established(&self) -> bool {
        self.peer.is_some()
    }

    /// The minor version in force: the lower of the two, once the peer's `Hello` has come
    /// (R-HELLO-4).
    pub fn minor_version(&self) -> Option<u64> {
        #[allow(clippy::unnecessary_min_or_max, reason = "it is, as long as this is version 0")]
        self.peer.map(|_| self.peer_minor.min(crate::wire::MINOR))
    }

    /// The token that the peer gave last for requests that have none of their own (R-TOKEN-1).
    pub fn peer_token(&self) -> Option<&Token> {
        self.peer_token.as_ref()
    }

    /// Why the connection is over, if it is.
    pub fn closed(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Whether new calls belong on a new connection: this one is over, is shutting down at either
    /// end, or has used up its call ids.
    pub fn is_going_away(&self) -> bool {
        self.closed.is_some() || self.away || self.peer_away || self.last_call == u32::MAX
    }

    /// As if the call ids up to `last` had been used.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn use_call_ids(&mut self, last: u32) {
        self.last_call = self.last_call.max(last);
    }

    /// How many calls are open or not yet released.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// How many bytes of messages wait for the socket or for credit.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// What the application's unread messages and requests hold of this endpoint's window, in
    /// bytes: each message counts as its credit does, at least 64.
    pub fn held(&self) -> u64 {
        self.receive_credit.held()
    }

    /// How many halves have a message to send, and wait for credit with it: their own, or the
    /// connection's. O(calls).
    pub fn stalled(&self) -> usize {
        self.calls.iter().flat_map(CallRecord::outgoing).filter(|half| half.is_stalled()).count()
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Whether `poll_event` has something to tell.
    #[inline]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next event, if something has happened. Events may be taken late, never too late.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Readable(half) = event
            && let Some(half) =
                self.calls.get_mut(half.call).and_then(|call| call.in_half(half.half))
        {
            half.announced = false;
        }
        give_back(&mut self.events);
        Some(event)
    }

    /// Ends the connection now: every call is lost, and the peer is told that nothing was wrong.
    /// Does nothing if it is over.
    pub fn close(&mut self) {
        self.end(CloseReason::Local, Some((AwayCode::Done, "".into())));
    }

    /// Takes no new calls, lets the running ones finish until `deadline`, then ends (R-AWAY-1,
    /// R-AWAY-4). A client ends as soon as it has no call; a server leaves that to its client, so
    /// that a call on its way is refused and not lost.
    pub fn shutdown(&mut self, deadline: Time) {
        if self.closed.is_some() {
            return;
        }
        self.away_owed |= !self.away && self.role == Role::Server;
        self.away = true;
        self.deadlines.drain(deadline);
        self.settle();
    }

    /// The transport ended. Does nothing if the connection is over.
    pub fn handle_eof(&mut self) {
        let reason = match self.is_drained() {
            true => CloseReason::Drained,
            false => CloseReason::Eof,
        };
        self.end(reason, None);
    }

    /// The socket took nothing for [`Limits::stall`], as only the driver can see. Does nothing if
    /// the connection is over.
    pub fn handle_stall(&mut self) {
        self.end(CloseReason::Stalled, None);
    }

    /// The peer broke a rule that only the driver can see (a text message, say). Does nothing if
    /// the connection is over.
    pub fn handle_violation(&mut self, violation: Violation) {
        // R-AWAY-5
        let rule = violation.rule();
        let detail = format!("{rule}: {violation}");
        self.end(CloseReason::Violation(violation), Some((AwayCode::Violation, detail.into())));
    }

    /// What is missing from the books of the connection's credit, in words; for tests.
    #[doc(hidden)]
    pub fn audit(&self) -> Result<(), &'static str> {
        let refused = self.control.iter().map(|control| match control {
            Control::Reject { held, .. } => u64::from(*held),
            Control::Open(_) | Control::Accept(_) | Control::Stop { .. } | Control::Credit(_) => 0,
        });
        if self.held_by_calls() + refused.sum::<u64>() != self.receive_credit.held() {
            return Err("the connection holds other than its halves, requests and refusals do");
        }
        for call in self.calls.iter() {
            for half in call.incoming() {
                if half.credit.held() != half.inbox.cost() + half.taken {
                    return Err("a half holds other than its messages cost");
                }
            }
        }
        let live = self.calls.iter().filter(|call| call.state != CallState::Over).count();
        if self.stats.calls_open() != live as u64 {
            return Err("other calls are counted as open than are");
        }
        let incoming = self.calls.iter().flat_map(CallRecord::incoming);
        if self.windows != incoming.map(InHalf::window).sum::<u64>() {
            return Err("the windows of the halves are other than was counted");
        }
        let out: usize =
            self.calls.iter().flat_map(CallRecord::outgoing).map(OutHalf::buffered).sum();
        if out != self.buffered {
            return Err("the outgoing buffers hold other than was counted");
        }
        let outgoing = self.calls.iter().flat_map(CallRecord::outgoing);
        if self.without_credit != outgoing.map(OutHalf::without_credit).sum::<usize>() {
            return Err("other messages wait for the connection's credit than was counted");
        }
        Ok(())
    }

    /// What unread messages and requests hold of the connection's window.
    fn held_by_calls(&self) -> u64 {
        let requests = self.calls.iter().map(|call| call.request_cost);
        let halves = self.calls.iter().flat_map(CallRecord::incoming).map(InHalf::held);
        requests.chain(halves).sum()
    }

    /// The connection's send credit, receive credit held, and receive credit owed; for tests.
    #[doc(hidden)]
    pub fn credit_books(&self) -> (i64, u64, u64) {
        (self.send_credit.available(), self.receive_credit.held(), self.receive_credit.owed())
    }

    fn peer_or_floor(&self) -> Announced {
        self.peer.unwrap_or(Announced::FLOOR)
    }

    /// The largest payload of a frame to the peer.
    fn chunk(&self) -> usize {
        self.peer_or_floor().chunk.min(self.config.limits.chunk) as usize
    }

    /// A request that turned out to be larger than the peer takes, once its `Hello` had come.
    fn refuse_here(&mut self, id: CallId, size: usize, limit: u32) {
        let detail = format!("a request of {size} bytes, where the callee takes {limit}");
        let rejection = Rejection::new(RejectCode::InvalidArguments, detail);
        self.end_call(id, CallEvent::Reject, Outcome::Rejected(rejection));
    }

    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    fn is_drained(&self) -> bool {
        self.away && self.calls.is_empty()
    }

    /// Ends the connection: once, with the first reason. Every call ends `Lost` (R-CALL-7), then
    /// the connection.
    fn end(&mut self, reason: CloseReason, farewell: Option<(AwayCode, Box<str>)>) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason.clone());
        self.farewell = farewell;
        for id in self.calls.ids() {
            self.end_call(id, CallEvent::Lost, Outcome::Lost(reason.clone()));
        }
        // Refusals that never left, and what was charged for the frame that broke a rule.
        let unheld = self.receive_credit.held().saturating_sub(self.held_by_calls());
        self.receive_credit.release(unheld);
        self.control = VecDeque::new();
        self.ring = VecDeque::new();
        self.waiters = VecDeque::new();
        self.crowd = VecDeque::new();
        self.packet = BytesMut::new();
        self.spare = Vec::new();
        self.events.push_back(Event::Closed(reason));
    }

    /// Ends a call, if it is not over: its halves with it (R-CALL-4), what it held given back
    /// (R-CREDIT-5).
    fn end_call(&mut self, id: CallId, event: CallEvent, outcome: Outcome) {
        let role = self.role;
        let Some(call) = self.calls.get_mut(id) else { return };
        let Step::To(state) = call.state.step(event) else { return };
        call.state = state;
        let mut refund = match call.opening.take() {
            Some(opening) if opening.paid => opening.cost.into(),
            Some(_) | None => 0,
        };
        for (place, half) in call.outgoing_mut().iter_mut().enumerate() {
            if let Step::To(state) = half.state.step(SenderEvent::CallOver) {
                half.state = state;
                let number = crate::call::half_number(place, role == Role::Server);
                self.events.push_back(Event::Stopped(Outbound { call: id, half: number }));
            }
            self.buffered -= half.buffered();
            self.without_credit -= half.without_credit();
            refund += half.discard();
        }
        let mut freed = core::mem::take(&mut call.request_cost);
        call.request = None;
        let end = match &outcome {
            Outcome::Lost(reason) => End::Lost(reason.clone()),
            Outcome::Rejected(rejection) => End::Rejected(rejection.clone()),
            Outcome::Finished | Outcome::Failed | Outcome::Cancelled => End::CallOver,
        };
        let keep = match &outcome {
            Outcome::Lost(_) => true,
            Outcome::Finished | Outcome::Failed => role == Role::Client,
            Outcome::Rejected(_) | Outcome::Cancelled => false,
        };
        for (place, half) in call.incoming_mut().iter_mut().enumerate() {
            let window = half.window();
            freed += half.close(end.clone(), keep);
            self.windows -= window - half.window();
            if !half.announced {
                half.announced = true;
                let number = crate::call::half_number(place, role == Role::Client);
                self.events.push_back(Event::Readable(Inbound { call: id, half: number }));
            }
        }
        let released = call.released;
        self.stats.ended(&outcome);
        self.receive_credit.release(freed);
        self.send_credit.refund(refund);
        self.events.push_back(Event::Ended(id, outcome));
        if released {
            self.remove_call(id);
        }
        self.begin_waiting();
        self.uncrowd();
        self.sweep();
    }

    /// Drops what the queues hold for calls that are over, now and then: where nothing can be
    /// transmitted, calls that come and go must not make them grow.
    fn sweep(&mut self) {
        let queued =
            |all: &Self| all.control.len() + all.ring.len() + all.waiters.len() + all.crowd.len();
        if queued(self) < self.sweep_at {
            return;
        }
        let calls = &self.calls;
        let lives = |id: CallId| calls.get(id).is_some_and(|call| call.state != CallState::Over);
        self.control.retain(|control| match *control {
            Control::Reject { .. } | Control::Stop { half: 0, .. } => true,
            Control::Open(call) | Control::Accept(call) | Control::Stop { call, half: 1.. } => {
                lives(call)
            }
            Control::Credit(half) => lives(half.call),
        });
        self.waiters.retain(|waiter| match *waiter {
            Waiter::Open(call) => lives(call),
            Waiter::Half(half) => lives(half.call),
        });
        self.ring.retain(|half| lives(half.call));
        self.crowd.retain(|half| lives(half.call));
        self.sweep_at = (2 * queued(self)).max(KEPT_ENTRIES);
    }

    /// Frees the call's slot.
    fn remove_call(&mut self, id: CallId) {
        let mut call = self.calls.remove(id);
        let halves = call.iter_mut().flat_map(CallRecord::incoming_mut);
        self.receive_credit.release(halves.map(InHalf::discard).sum());
        self.settle();
    }

    /// A client without calls lingers, or leaves if either side is going away (R-LINGER-1).
    fn settle(&mut self) {
        if self.role != Role::Client || !self.calls.is_empty() || self.closed.is_some() {
            return;
        }
        if self.away || self.peer_away {
            self.end(CloseReason::Drained, Some((AwayCode::Done, "".into())));
        } else {
            self.deadlines.idle();
        }
    }

    /// R-HELLO-3.
    fn refuse_version(&mut self, peer: u64) {
        let detail = format!("supported: {MAJOR}");
        self.end(
            CloseReason::Version { peer, ours: MAJOR },
            Some((AwayCode::Version, detail.into())),
        );
    }

    /// Puts a half into the ring, if it has something to transmit and its call has begun.
    fn ready(&mut self, id: Outbound) {
        let begun = self.calls.get_mut(id.call).filter(|call| call.is_begun());
        let Some(half) = begun.and_then(|call| call.out_half(id.half)) else { return };
        if !half.in_ring && (!half.outbox.is_empty() || half.end_is_due()) {
            half.in_ring = true;
            self.ring.push_back(id);
        }
    }

    /// Lets those begin who wait for the connection's credit, in order, as far as it goes
    /// (R-CREDIT-7).
    fn begin_waiting(&mut self) {
        if !core::mem::replace(&mut self.beginning, true) {
            self.begin_all();
            self.beginning = false;
        }
    }

    fn begin_all(&mut self) {
        let chunk = self.chunk();
        while let Some(&waiter) = self.waiters.front() {
            match waiter {
                Waiter::Open(id) => {
                    let opening = self.calls.get_mut(id).and_then(|call| call.opening.as_mut());
                    if let Some(opening) = opening {
                        let (size, price) = (opening.size, opening.cost);
                        match self.peer {
                            // R-HELLO-6
                            None if price > Announced::FLOOR.request => return,
                            Some(peer) if size > peer.request as usize => {
                                self.waiters.pop_front();
                                self.refuse_here(id, size, peer.request);
                                continue;
                            }
                            None | Some(_) => {}
                        }
                        if !self.send_credit.covers(price) {
                            return;
                        }
                        self.send_credit.take(price);
                        opening.paid = true;
                        self.control.push_back(Control::Open(id));
                        self.waiters.pop_front();
                        self.ready_all(id);
                    } else {
                        self.waiters.pop_front();
                    }
                }
                Waiter::Half(id) => {
                    let half = self.calls.get_mut(id.call).and_then(|c| c.out_half(id.half));
                    let needs = half.as_ref().and_then(|half| half.needs());
                    let Some((half, price)) = half.zip(needs) else {
                        self.waiters.pop_front();
                        continue;
                    };
                    if !self.send_credit.covers(price) {
                        return; // R-CREDIT-3
                    }
                    self.send_credit.take(price);
                    self.waiters.pop_front();
                    half.in_waiters = false;
                    match half.waiting.take() {
                        Some(message) => {
                            self.buffered -= message.len();
                            self.without_credit -= message.len();
                            self.buffered += half.push(id, message.into(), chunk);
                            if core::mem::take(&mut half.blocked) {
                                self.events.push_back(Event::Writable(id));
                            }
                        }
                        None => half.fault_paid = true,
                    }
                    if half.needs().is_some() {
                        half.in_waiters = true;
                        self.waiters.push_back(waiter);
                    }
                    self.ready(id);
                }
            }
        }
    }

    /// Puts all halves of a call that has just begun into the ring.
    fn ready_all(&mut self, id: CallId) {
        let role = self.role;
        let halves = self.calls.get(id).map_or(0, |call| call.outgoing().len());
        for place in 0..halves {
            let half = crate::call::half_number(place, role == Role::Server);
            self.ready(Outbound { call: id, half });
        }
    }

    /// Tells those who wait for room in the outgoing buffer, once half of it is free.
    fn uncrowd(&mut self) {
        if self.buffered > self.config.limits.outbound as usize / 2 {
            return;
        }
        while let Some(id) = self.crowd.pop_front() {
            let half = self.calls.get_mut(id.call).and_then(|call| call.out_half(id.half));
            let Some(half) = half else { continue };
            half.in_crowd = false;
            if core::mem::take(&mut half.blocked) {
                self.events.push_back(Event::Writable(id));
            }
        }
    }
}
