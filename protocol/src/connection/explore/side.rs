//! One end: its connection, and what its application knows.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::time::Duration;

use bytes::Bytes;

use super::world::Plan;
use crate::connection::Connection;
use crate::credit::{ReceiveCredit, SendCredit};
use crate::limits::Announced;
use crate::{
    CallId, CloseReason, Config, End, Event, Fault, Inbound, Limits, Outbound, Outcome, RejectCode,
    Role, SendError, Time,
};

use Role::{Client, Server};

/// Bytes of credit of a half and of a connection, and how large messages and chunks are: in small
/// numbers, so that all of it is used up.
const HALF: u32 = 128;
const CONNECTION: u32 = 320;
const LARGE: usize = 100;
const CHUNK: u32 = 64;
/// Packets that a wire holds.
const WIRE: usize = 1;

pub(super) type Checked = Result<(), &'static str>;

/// Whether something was done.
pub(super) type Acted = Result<bool, &'static str>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    Clean,
    Fault,
}

/// What an application knows of a half that it sends on.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Sending {
    pub(super) taken: u8,
    /// It waits for `Writable`.
    pub(super) waits: bool,
    pub(super) stopped: bool,
    pub(super) ending: Option<Ending>,
}

/// What it knows of one that it receives on.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Receiving {
    pub(super) count: u8,
    /// It waits for `Readable`.
    pub(super) waits: bool,
    pub(super) stopped: bool,
    pub(super) end: Option<End>,
}

/// What it knows of a call.
#[derive(Clone, Debug, Hash)]
pub(super) struct Talk {
    pub(super) id: CallId,
    /// The callee has accepted it.
    pub(super) accepted: bool,
    pub(super) released: bool,
    pub(super) outcome: Option<Outcome>,
    pub(super) sending: Vec<Sending>,
    pub(super) receiving: Vec<Receiving>,
}

#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) connection: Connection,
    /// To the peer.
    pub(super) wire: VecDeque<Bytes>,
    pub(super) talks: Vec<Talk>,
    pub(super) shut: bool,
    pub(super) over: bool,
}

/// The number that a half has on the wire.
pub(super) fn half(sends: bool, role: Role, place: usize) -> u8 {
    let is_reply = sends == (role == Server);
    if is_reply { 0 } else { u8::try_from(place).expect("few") + 1 }
}

/// Small ones and chunked ones by turns. The first byte is the number.
pub(super) fn message(number: u8) -> Vec<u8> {
    let mut message = alloc::vec![0; if number.is_multiple_of(2) { LARGE } else { 1 }];
    message[0] = number;
    message
}

impl Side {
    pub(super) fn new(role: Role, plan: &Plan) -> Self {
        let calls = if role == Client { plan.calls } else { plan.at_a_time };
        let limits = Limits { calls: calls.into(), linger: Duration::MAX, ..limits() };
        let config = Config { limits, token: None };
        let connection = Connection::new(role, config, Time::ZERO).expect("they are valid");
        let (wire, talks) = Default::default();
        Self { connection, wire, talks, shut: false, over: false }
    }

    /// As if both had announced windows below the floor.
    pub(super) fn shrink(&mut self) {
        let limits = &mut self.connection.config.limits;
        (limits.half_window, limits.connection_window) = (HALF, CONNECTION);
        (limits.message, limits.request, limits.chunk) = (HALF, HALF, CHUNK);
        let peer: &mut Announced = self.connection.peer.as_mut().expect("it has said Hello");
        peer.half_window = limits.first_half_window();
        peer.connection_window = CONNECTION;
        (peer.message, peer.chunk) = (HALF, CHUNK);
        self.connection.send_credit = SendCredit::connection(CONNECTION);
        self.connection.receive_credit = ReceiveCredit::connection(CONNECTION, HALF);
    }

    fn talk(&mut self, id: CallId) -> Option<&mut Talk> {
        self.talks.iter_mut().find(|talk| talk.id == id)
    }

    pub(super) fn outbound(&mut self, call: usize, place: usize) -> Option<Outbound> {
        let (role, id) = (self.connection.role, self.talks.get(call)?.id);
        self.connection.call(id)?.outbound(half(true, role, place))
    }

    pub(super) fn inbound(&mut self, call: usize, place: usize) -> Option<Inbound> {
        let (role, id) = (self.connection.role, self.talks.get(call)?.id);
        self.connection.call(id)?.inbound(half(false, role, place))
    }

    pub(super) fn answer(&mut self, call: usize, accepts: bool) -> Acted {
        let talk = &mut self.talks[call];
        if talk.accepted || talk.released || talk.outcome.is_some() {
            return Ok(false);
        }
        let mut view = self.connection.call(talk.id).ok_or("a pending call is not there")?;
        view.take_request().ok_or("a pending call without a request")?;
        let answered = if accepts { view.accept() } else { view.reject(RejectCode::NotFound) };
        answered.map_err(|_| "a pending call cannot be answered")?;
        talk.accepted = accepts;
        Ok(true)
    }

    pub(super) fn send(&mut self, call: usize, place: usize, most: u8) -> Acted {
        let talk = &self.talks[call];
        let Sending { taken, waits, .. } = talk.sending[place];
        if !talk.may_send(self.connection.role, place) || waits || taken == most {
            return Ok(false);
        }
        let id = self.outbound(call, place).ok_or("a half is not there")?;
        let sent = self.connection.send(id, &*message(taken));
        let sending = &mut self.talks[call].sending[place];
        match sent {
            Ok(()) => sending.taken += 1,
            Err(SendError::Blocked) => sending.waits = true,
            Err(_) => return Err("a message is refused for what nobody was told of"),
        }
        Ok(true)
    }

    pub(super) fn finish(&mut self, call: usize, place: usize, ending: Ending) -> Acted {
        if !self.talks[call].may_send(self.connection.role, place) {
            return Ok(false);
        }
        let id = self.outbound(call, place).ok_or("a half is not there")?;
        let end = match ending {
            Ending::Clean => Ok(()),
            Ending::Fault => Err(Fault::App(Bytes::from_static(b"fault"))),
        };
        self.connection.finish(id, end).map_err(|_| "it was not finished before")?;
        self.talks[call].sending[place].ending = Some(ending);
        Ok(true)
    }

    pub(super) fn stop(&mut self, call: usize, place: usize) -> Acted {
        let talk = &self.talks[call];
        let Receiving { stopped, end, .. } = &talk.receiving[place];
        let is_usable = talk.is_usable(self.connection.role) && talk.outcome.is_none();
        if !is_usable || *stopped || end.is_some() {
            return Ok(false);
        }
        let id = self.inbound(call, place).ok_or("a half is not there")?;
        self.connection.stop(id);
        let receiving = &mut self.talks[call].receiving[place];
        (receiving.stopped, receiving.waits) = (true, false);
        Ok(true)
    }

    pub(super) fn release(&mut self, call: usize) -> bool {
        let talk = &mut self.talks[call];
        let does = !talk.released;
        if does {
            talk.released = true;
            self.connection.release(talk.id);
        }
        does
    }

    pub(super) fn transmit(&mut self) -> Acted {
        if self.wire.len() == WIRE || !self.connection.has_transmit() {
            return Ok(false);
        }
        let packet = self.connection.poll_transmit(Time::ZERO);
        // What there was may be for nobody any more.
        if packet.is_none() && self.connection.has_transmit() {
            return Err("there is something to transmit that does not leave");
        }
        self.wire.extend(packet);
        Ok(true)
    }

    /// Hears all that there is to hear. Each call ends once, the connection once and last.
    pub(super) fn hear(&mut self, parameters: u8) -> Checked {
        while let Some(event) = self.connection.poll_event() {
            if self.over {
                return Err("an event behind the last one");
            }
            match event {
                Event::Incoming(id) => self.talks.push(Talk::new(id, Server, parameters)),
                Event::Accepted(id) => {
                    if let Some(talk) = self.talk(id) {
                        talk.accepted = true;
                    }
                }
                Event::Readable(half) => {
                    let place = half.index().saturating_sub(1);
                    if let Some(talk) = self.talk(half.call()) {
                        talk.receiving[place].waits = false;
                    }
                }
                Event::Writable(half) => {
                    let place = half.index().saturating_sub(1);
                    if let Some(talk) = self.talk(half.call()) {
                        talk.sending[place].waits = false;
                    }
                }
                Event::Stopped(half) => {
                    let place = half.index().saturating_sub(1);
                    if let Some(talk) = self.talk(half.call()) {
                        talk.sending[place].stopped = true;
                    }
                }
                Event::Ended(id, outcome) => {
                    let Some(talk) = self.talk(id) else { return Err("an unknown call ended") };
                    if talk.outcome.replace(outcome).is_some() {
                        return Err("a call ended twice"); // R-CALL-4
                    }
                }
                Event::Closed(reason) => {
                    if matches!(reason, CloseReason::Violation(_) | CloseReason::Accused(_)) {
                        return Err("an honest peer is accused");
                    }
                    self.over = true;
                }
            }
        }
        if self.over && self.talks.iter().any(|talk| talk.outcome.is_none()) {
            return Err("a call outlived its connection"); // R-CALL-7
        }
        self.connection.audit()
    }
}

impl Talk {
    pub(super) fn new(id: CallId, role: Role, parameters: u8) -> Self {
        let (sending, receiving) = match role {
            Client => (parameters.into(), 1),
            Server => (1, parameters.into()),
        };
        Self {
            id,
            accepted: false,
            released: false,
            outcome: None,
            sending: alloc::vec![Sending::default(); sending],
            receiving: alloc::vec![Receiving::default(); receiving],
        }
    }

    /// Whether more can be sent on a half, or its end.
    fn may_send(&self, role: Role, place: usize) -> bool {
        let half = &self.sending[place];
        let is_open = !half.stopped && half.ending.is_none();
        self.is_usable(role) && self.outcome.is_none() && is_open
    }

    /// Whether its halves can be used on this side.
    pub(super) fn is_usable(&self, role: Role) -> bool {
        !self.released && (self.accepted || role == Client)
    }
}

/// The floor, which every peer takes; see [`Side::shrink`].
pub(super) fn limits() -> Limits {
    let floor = 4 * 1024;
    Limits {
        message: floor,
        chunk: floor,
        request: floor,
        half_window: floor,
        connection_window: 4 * floor,
        parameters: 2,
        outbound: 150,
        ..Limits::default()
    }
}

impl Side {
    pub(super) fn hash_into(&self, state: &mut impl Hasher) {
        let Self { connection, wire, talks, shut, over } = self;
        connection.hash_into(state);
        (wire, talks, shut, over).hash(state);
    }
}

impl Connection {
    /// Of what is left out, the configuration and time do not change here, the books of floods are
    /// not used up, and the rest is counted for people or kept for speed.
    fn hash_into(&self, state: &mut impl Hasher) {
        let Self {
            role: _,
            config: _,
            now: _,
            deadlines: _,
            resets: _,
            idle_frames: _,
            closed,
            calls,
            last_call,
            peer: _,
            peer_token: _,
            peer_minor: _,
            peer_away,
            away,
            send_credit,
            receive_credit,
            windows,
            waiters,
            beginning,
            crowd,
            ring,
            control,
            refusing,
            sweep_at: _,
            buffered,
            without_credit,
            hello_owed,
            token_owed,
            ping_owed,
            pong_owed,
            away_owed,
            farewell,
            events,
            packet: _,
            spare: _,
            spare_since: _,
            stats: _,
        } = self;
        assert!(events.is_empty(), "they were heard");
        (closed, last_call, peer_away, away, send_credit, receive_credit, windows).hash(state);
        (waiters, beginning, crowd, ring, control, refusing, buffered).hash(state);
        (without_credit, hello_owed, token_owed, ping_owed, pong_owed, away_owed).hash(state);
        farewell.is_some().hash(state);
        for call in calls.iter() {
            (call.id, call.state, &call.halves, &call.opening).hash(state);
            (call.request.is_some(), call.request_cost, call.released).hash(state);
        }
    }
}
