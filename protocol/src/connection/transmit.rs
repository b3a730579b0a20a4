use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Connection, Control, Role, give_back};
use crate::state::{CallEvent, CallState, ReceiverState, SenderEvent, Step};
use crate::wire::{AwayCode, FULL_PACKET, FaultCode, Frame, Hello, MINOR};
use crate::{Event, Fault, Inbound, Outbound, Outcome, Time};

/// How long a buffer waits for the next large message. A connection without traffic is looked at
/// with its next ping.
const SPARE_KEPT: Duration = Duration::from_secs(1);
/// Room for a packet's facts beside its messages.
const FACTS: usize = 256;

impl Connection {
    /// The next packet to send as one binary WebSocket message, holding as many frames as are
    /// ready, up to a size (R-PACKET-5). `None` if nothing is: O(1) then.
    ///
    /// After the connection is over it gives the last packet, which tells the peer why, and then
    /// `None` for ever.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Bytes> {
        self.advance(now);
        let packet = match self.closed {
            Some(_) => self.last_packet(),
            None => self.next_packet(),
        }?;
        self.stats.packets_out += 1;
        self.stats.bytes_out += packet.len() as u64;
        Some(packet)
    }

    fn next_packet(&mut self) -> Option<Bytes> {
        if !self.has_transmit() {
            self.rest();
            return None;
        }
        let estimate = self.buffered.min(FULL_PACKET) + FACTS;
        self.packet.reserve(estimate);
        self.facts();
        self.answers();
        self.halves();
        let packet = self.packet.split().freeze();
        self.begin_waiting();
        self.uncrowd();
        if packet.is_empty() {
            self.rest();
            return None;
        }
        Some(packet)
    }

    /// An idle connection keeps no buffer, and no queue that was long once.
    fn rest(&mut self) {
        self.packet = BytesMut::new();
        give_back(&mut self.control);
        give_back(&mut self.ring);
        if self.calls.is_empty() {
            self.waiters.clear();
            self.crowd.clear();
        }
        give_back(&mut self.waiters);
        give_back(&mut self.crowd);
        if self.calls.is_empty() || self.now >= self.spare_since + SPARE_KEPT {
            self.spare = Vec::new();
        }
    }

    /// Whether `poll_transmit` has something to do.
    pub fn has_transmit(&self) -> bool {
        if self.closed.is_some() {
            return self.farewell.is_some();
        }
        !self.ring.is_empty()
            || !self.control.is_empty()
            || self.hello_owed
            || self.token_owed
            || self.ping_owed
            || self.pong_owed
            || self.away_owed
            || self.receive_credit.is_due()
    }

    /// How many bytes of messages `poll_transmit` has to give: they wait for nothing but the socket.
    #[inline]
    pub fn sendable(&self) -> usize {
        if self.ring.is_empty() { 0 } else { self.buffered - self.without_credit }
    }

    fn last_packet(&mut self) -> Option<Bytes> {
        let (code, detail) = self.farewell.take()?;
        let mut packet = BytesMut::new();
        if self.hello_owed {
            self.hello_owed = false;
            self.own_hello().encode(&mut packet);
        }
        Frame::GoAway { code, detail }.encode(&mut packet);
        Some(packet.freeze())
    }

    fn own_hello(&self) -> Frame<'static> {
        Frame::Hello(Hello::V1 {
            minor: MINOR,
            limits: self.config.limits.announced(),
            token: self.config.token.clone(),
        })
    }

    /// What is owed once, however often it was asked for.
    fn facts(&mut self) {
        if core::mem::take(&mut self.hello_owed) {
            self.own_hello().encode(&mut self.packet); // R-HELLO-1
        }
        if core::mem::take(&mut self.token_owed) {
            let token = self.config.token.clone().unwrap_or_default();
            Frame::Token { token }.encode(&mut self.packet); // R-TOKEN-1
        }
        if core::mem::take(&mut self.away_owed) {
            let away = Frame::GoAway { code: AwayCode::Shutdown, detail: "".into() };
            away.encode(&mut self.packet); // R-AWAY-1
        }
        if core::mem::take(&mut self.ping_owed) {
            Frame::Ping.encode(&mut self.packet);
        }
        if core::mem::take(&mut self.pong_owed) {
            Frame::Pong.encode(&mut self.packet); // R-ALIVE-4
        }
        self.grant_connection();
    }

    fn grant_connection(&mut self) {
        if self.receive_credit.is_due() {
            let amount = self.receive_credit.take_grant();
            Frame::Credit { call: 0, half: 0, amount }.encode(&mut self.packet); // R-CREDIT-6
        }
    }

    /// Requests, answers, stops and grants, in the order in which they came about.
    fn answers(&mut self) {
        while self.packet.len() < FULL_PACKET {
            let Some(control) = self.control.pop_front() else { break };
            match control {
                Control::Open(id) => {
                    let call = self.calls.get_mut(id);
                    if let Some(opening) = call.and_then(|call| call.opening.take()) {
                        self.packet.extend_from_slice(&opening.frame);
                    }
                }
                // R-CALL-5: nothing more is said of a call that was given up.
                Control::Accept(id) | Control::Stop { call: id, half: 1.. } if self.is_over(id) => {
                }
                Control::Accept(id) => Frame::Accept { call: id.wire }.encode(&mut self.packet),
                Control::Reject { call, rejection, held } => {
                    Frame::Reject { call, rejection }.encode(&mut self.packet);
                    self.receive_credit.release(held.into()); // R-OPEN-4
                    self.refusing -= usize::from(held == 0);
                }
                Control::Stop { call, half } => {
                    Frame::Stop { call: call.wire, half }.encode(&mut self.packet);
                }
                Control::Credit(id) => self.grant_half(id),
            }
        }
    }

    fn grant_half(&mut self, id: Inbound) {
        let half = self.calls.get_mut(id.call).and_then(|call| call.in_half(id.half));
        let Some(half) = half else { return };
        half.granting = false;
        if half.state == ReceiverState::Open && half.credit.owed() > 0 {
            let amount = half.credit.take_grant();
            let grant = Frame::Credit { call: id.call.wire, half: id.half, amount };
            grant.encode(&mut self.packet); // R-CREDIT-6
        }
    }

    /// The halves take turns (R-MSG-6). They never overtake what is said of their calls: as long as
    /// some of that waits, the packet is full.
    fn halves(&mut self) {
        while self.packet.len() < FULL_PACKET {
            let Some(id) = self.ring.pop_front() else { break };
            self.half(id);
        }
    }

    /// One half's turn.
    fn half(&mut self, id: Outbound) {
        let chunk = self.chunk();
        let alone = self.ring.is_empty().then(|| FULL_PACKET.saturating_sub(self.packet.len()));
        let half = self.calls.get_mut(id.call).and_then(|call| call.out_half(id.half));
        let Some(half) = half else { return };
        half.in_ring = false;
        let before = half.outbox.bytes();
        half.outbox.transmit(id.call.wire, id.half, chunk, alone, &mut self.packet);
        self.buffered -= before - half.outbox.bytes();
        if half.outbox.is_empty() && half.in_crowd && core::mem::take(&mut half.blocked) {
            self.events.push_back(Event::Writable(id)); // a small message would be taken
        }
        let full = self.packet.len() >= FULL_PACKET && before > 0; // R-PACKET-2
        if !half.outbox.is_empty() || (full && half.end_is_due()) {
            half.in_ring = true;
            self.ring.push_back(id);
        } else if half.end_is_due() {
            self.end_of_half(id);
        }
    }

    /// Puts a half's end on the wire, behind all its messages (R-HALF-5).
    fn end_of_half(&mut self, id: Outbound) {
        let role = self.role;
        let (number, call_number) = (id.half, id.call.wire);
        let Some(call) = self.calls.get_mut(id.call) else { return };
        let answered = call.state == CallState::Active;
        let Some(half) = call.out_half(number) else { return };
        let Step::To(state) = half.state.step(SenderEvent::Drained) else { return };
        half.state = state;
        let fault = half.fault.take();
        let (code, payload) = match &fault {
            None => (None, Bytes::new()),
            Some(Fault::App(payload)) => (Some(FaultCode::App), payload.clone()),
            Some(Fault::Failed) => (Some(FaultCode::Failed), Bytes::new()),
            Some(Fault::Cancelled) => (Some(FaultCode::Cancelled), Bytes::new()),
            Some(Fault::Revoked) => (Some(FaultCode::Revoked), Bytes::new()),
        };
        let frame = match code {
            None => Frame::Close { call: call_number, half: number },
            Some(code) => Frame::Error { call: call_number, half: number, code, payload: &payload },
        };
        frame.encode(&mut self.packet);
        if role == Role::Server {
            debug_assert!(answered, "a reply ends only after the answer");
            let outcome = match fault {
                None => Outcome::Finished,
                Some(_) => Outcome::Failed,
            };
            self.end_call(id.call, CallEvent::ReplyEnd, outcome); // R-CALL-4
        }
    }
}
