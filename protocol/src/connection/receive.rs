#![warn(clippy::arithmetic_side_effects)] // the numbers are the peer's

use alloc::boxed::Box;

use bytes::Bytes;

use super::{Connection, Control, Role};
use crate::call::{CallRecord, Halves, InHalf, OutHalf};
use crate::inbox::Inbox;
use crate::state::{CallEvent, CallState, ReceiverEvent, ReceiverState, SenderEvent, Step};
use crate::wire::{
    AwayCode, FaultCode, Frame, Hello, MAX_PACKET, MINIMUM_CHARGE, Open, RawFrame, RawFrames, cost,
    kind, varint_len,
};
use crate::{
    CloseReason, End, Event, Fault, Inbound, Outbound, Outcome, RejectCode, Rejection, Request,
    Time, Violation,
};

impl Connection {
    /// Takes one packet: the payload of one binary WebSocket message (R-PACKET-1). Never fails: a
    /// packet that breaks a rule ends the connection, with the rule as the reason.
    #[allow(clippy::needless_pass_by_value, reason = "the packet is this connection's from now on")]
    pub fn handle_message(&mut self, packet: Bytes, now: Time) {
        self.advance(now);
        if self.closed.is_some() {
            return;
        }
        let stats = &mut self.stats;
        stats.packets_in = stats.packets_in.saturating_add(1);
        stats.bytes_in = stats.bytes_in.saturating_add(packet.len() as u64);
        if let Err(violation) = self.receive(&packet) {
            self.handle_violation(violation);
        }
    }

    fn receive(&mut self, packet: &Bytes) -> Result<(), Violation> {
        if packet.len() > MAX_PACKET {
            return Err(Violation::PacketTooLarge); // R-PACKET-2
        }
        if packet.is_empty() {
            return Err(Violation::PacketEmpty); // R-PACKET-3
        }
        self.deadlines.heard(self.now); // R-ALIVE-1
        let mut frames = RawFrames::new(packet);
        while let Some(frame) = frames.next_frame()? {
            match frame.kind {
                kind::MESSAGE if self.peer.is_some() => {
                    self.messages(packet, frame, &mut frames)?;
                }
                kind::OPEN => {
                    // R-OPEN-3: before its fields are read.
                    if frame.body.len() > self.config.limits.request as usize {
                        return Err(Violation::RequestTooLarge);
                    }
                    self.frame(packet, frame)?;
                }
                _ => self.frame(packet, frame)?,
            }
            if self.closed.is_some() {
                return Ok(()); // R-AWAY-2: nothing that follows counts
            }
        }
        Ok(())
    }

    fn frame(&mut self, packet: &Bytes, raw: RawFrame<'_>) -> Result<(), Violation> {
        let frame = raw.parse()?;
        if self.peer.is_none() && !matches!(frame, Frame::Hello(_) | Frame::GoAway { .. }) {
            return Err(Violation::HelloMissing); // R-HELLO-1
        }
        match frame {
            Frame::Hello(hello) => self.hello(hello),
            Frame::Open(open) => self.incoming(packet, &open, raw.body.len()),
            Frame::Accept { call } => self.answered(call, None),
            Frame::Reject { call, rejection } => self.answered(call, Some(rejection)),
            Frame::Message { .. } => Err(Violation::HelloMissing),
            Frame::Begin { call, half, total, payload } => self.begin(call, half, total, payload),
            Frame::More { call, half, payload } => self.more(call, half, payload),
            Frame::Close { call, half } => self.ended(call, half, End::Finished, 0),
            Frame::Error { call, half, code, payload } => self.error(call, half, code, payload),
            Frame::Stop { call, half } => self.stopped(call, half),
            Frame::Credit { call: 0, half: 0, amount } => {
                self.send_credit.grant(amount)?;
                self.not_worth_it(amount)?;
                self.begin_waiting();
                Ok(())
            }
            Frame::Credit { call, half, amount } => self.granted(call, half, amount),
            Frame::Ping => {
                self.pong_owed = true; // R-ALIVE-4: one answer for many
                self.idle_frame()
            }
            Frame::Pong | Frame::Unknown { .. } => self.idle_frame(),
            Frame::GoAway { code, detail } => {
                self.told_to_go(code, &detail);
                Ok(())
            }
            Frame::Token { .. } if self.role == Role::Client => Err(Violation::TokenFromServer),
            Frame::Token { token } => {
                self.peer_token = Some(token).filter(|token| !token.is_none()); // R-TOKEN-1
                self.idle_frame()
            }
        }
    }

    fn hello(&mut self, hello: Hello) -> Result<(), Violation> {
        if self.peer.is_some() {
            return Err(Violation::HelloRepeated); // R-HELLO-2
        }
        let (minor, limits, token) = match hello {
            Hello::Other { major } => {
                self.refuse_version(major);
                return Ok(());
            }
            Hello::V1 { minor, limits, token } => (minor, limits, token),
        };
        limits.validate().map_err(|_| Violation::HelloLimits)?; // R-HELLO-5
        self.deadlines.hello_came();
        self.peer = Some(limits);
        self.peer_minor = minor;
        self.peer_token = token.filter(|token| !token.is_none());
        self.send_credit.raise(limits.connection_window);
        let role = self.role;
        for call in self.calls.iter_mut() {
            let id = call.id;
            for (place, half) in call.outgoing_mut().iter_mut().enumerate() {
                half.credit.raise(limits.half_window);
                if core::mem::take(&mut half.blocked) {
                    let number = crate::call::half_number(place, role == Role::Server);
                    self.events.push_back(Event::Writable(Outbound { call: id, half: number }));
                }
            }
        }
        self.begin_waiting();
        Ok(())
    }

    fn incoming(&mut self, packet: &Bytes, open: &Open<'_>, size: usize) -> Result<(), Violation> {
        if self.role == Role::Client {
            return Err(Violation::WrongRole); // R-OPEN-2
        }
        if open.call <= self.last_call {
            return Err(Violation::CallOrder); // R-OPEN-1
        }
        if self.resets.is_spent(self.now) {
            return Err(Violation::ResetFlood); // R-FLOOD-1
        }
        let price = cost(size);
        self.charge_connection(price)?; // R-OPEN-4
        self.last_call = open.call;
        self.stats.calls_begun = self.stats.calls_begun.saturating_add(1);
        self.earn_idle_frames(open.parameters);
        if let Some(rejection) = self.refusal(open) {
            self.stats.calls_rejected = self.stats.calls_rejected.saturating_add(1);
            self.resets.take(self.now);
            let refusal = Control::Reject { call: open.call, rejection, held: price };
            self.control.push_back(refusal);
            return Ok(());
        }
        let request = Request {
            method: open.method.into(),
            parameters: open.parameters,
            fingerprint: open.fingerprint,
            token: match &open.token {
                Some(own) => Some(own.clone()).filter(|token| !token.is_none()),
                None => self.peer_token.clone(), // R-TOKEN-1
            },
            metadata: open
                .metadata
                .iter()
                .map(|&(key, value)| (key.into(), Bytes::copy_from_slice(value)))
                .collect(),
            arguments: payload_bytes(packet, open.arguments),
        };
        let peer_window = self.peer_or_floor().half_window;
        let own_window = self.config.limits.first_half_window();
        let windows = u64::from(own_window).saturating_mul(open.parameters.into());
        self.windows = self.windows.saturating_add(windows);
        let id = self.calls.insert(open.call, |id| CallRecord {
            id,
            state: CallState::Pending,
            halves: Halves::Callee {
                reply: OutHalf::new(peer_window),
                parameters: (0..open.parameters).map(|_| InHalf::new(own_window)).collect(),
            },
            opening: None,
            request: Some(Box::new(request)),
            request_cost: price.into(),
            released: false,
        });
        self.events.push_back(Event::Incoming(id));
        Ok(())
    }

    /// Why a call is refused without asking the application.
    fn refusal(&self, open: &Open<'_>) -> Option<Rejection> {
        if self.away {
            return Some(RejectCode::Unavailable.into()); // R-OPEN-7
        }
        let taken = self.calls.len().saturating_add(self.refusing);
        if taken >= self.config.limits.calls as usize {
            return Some(RejectCode::Busy.into()); // R-OPEN-6
        }
        if open.parameters > self.config.limits.parameters {
            return Some(Rejection::new(RejectCode::InvalidArguments, "too many parameters")); // R-OPEN-5
        }
        None
    }

    fn answered(&mut self, call: u32, rejection: Option<Rejection>) -> Result<(), Violation> {
        if self.role == Role::Server {
            return Err(Violation::WrongRole); // R-OPEN-2
        }
        let Some(record) = self.live(call)? else { return Ok(()) };
        let id = record.id;
        let event = match &rejection {
            None => CallEvent::Accept,
            Some(_) => CallEvent::Reject,
        };
        match (record.state.step(event), rejection) {
            (Step::Illegal, _) => return Err(Violation::AnswerOrder), // R-CALL-3
            (Step::Late, _) => {}
            (Step::To(state), None) => {
                record.state = state;
                self.events.push_back(Event::Accepted(id));
            }
            (Step::To(_), Some(rejection)) => {
                self.end_call(id, CallEvent::Reject, Outcome::Rejected(rejection));
            }
        }
        Ok(())
    }

    /// A `Message` frame, and all that follow it in the packet on the same half: they go to the
    /// half in one piece.
    #[allow(clippy::arithmetic_side_effects, reason = "all of it is within one packet")]
    fn messages(
        &mut self,
        packet: &Bytes,
        first: RawFrame<'_>,
        frames: &mut RawFrames<'_>,
    ) -> Result<(), Violation> {
        let (call, number, mut payload) = first.half()?;
        let chunk = self.config.limits.chunk.min(self.config.limits.message) as usize;
        let Some((id, half, credit)) = self.receiving(call, number)? else {
            check_size(payload.len(), chunk)?;
            return self.drop_late(cost(payload.len()));
        };
        match half.state.step(ReceiverEvent::Message) {
            Step::To(_) => {}
            Step::Illegal => return Err(Violation::AfterEnd), // R-HALF-2
            Step::Late => {
                check_size(payload.len(), chunk)?;
                return self.drop_late(cost(payload.len())); // R-HALF-4
            }
        }
        let frame_start = |frames: &RawFrames<'_>, frame: &RawFrame<'_>| {
            let end = packet.len() - frames.rest().len();
            end - frame.body.len() - header_len(frame.body.len())
        };
        // Those that follow it begin with the same call and half, in the same bytes.
        let whose = first.body.get(..first.body.len() - payload.len()).unwrap_or_default();
        let mut run = frame_start(frames, &first)..packet.len() - frames.rest().len();
        let mut run_cost = 0u64;
        let mut count = 0;
        let has_partial = half.inbox.has_partial();
        let (half_room, room) = (half.credit.available(), credit.available());
        let mut spent = 0i64;
        let outcome = loop {
            let price = cost(payload.len());
            let mut checked = check_size(payload.len(), chunk);
            if has_partial {
                checked = checked.and(Err(Violation::ChunkOrder)); // R-MSG-3
            }
            checked = checked.and_then(|()| check_credit(half_room - spent, room - spent, price));
            if let Err(violation) = checked {
                break Err(violation);
            }
            spent += i64::from(price);
            count += 1;
            if Inbox::slices(payload.len(), packet.len()) {
                if run_cost > 0 {
                    half.inbox.push_run(packet.get(run.clone()).unwrap_or_default(), run_cost);
                }
                half.inbox.push_whole(packet.slice_ref(payload));
                run_cost = 0;
                run.start = packet.len() - frames.rest().len();
            } else {
                run_cost += u64::from(price);
            }
            run.end = packet.len() - frames.rest().len();
            let mut ahead = *frames;
            let Ok(Some(next)) = ahead.next_frame() else { break Ok(()) };
            if next.kind != kind::MESSAGE {
                break Ok(());
            }
            let Some(next_payload) = next.body.strip_prefix(whose) else { break Ok(()) };
            *frames = ahead;
            payload = next_payload;
        };
        half.credit.charge(spent.unsigned_abs());
        credit.charge(spent.unsigned_abs());
        if run_cost > 0 {
            half.inbox.push_run(packet.get(run).unwrap_or_default(), run_cost);
        }
        if !half.announced {
            half.announced = true;
            self.events.push_back(Event::Readable(id));
        }
        self.stats.messages_in = self.stats.messages_in.saturating_add(count);
        self.grow(id);
        outcome
    }

    /// Grows the window of a half that has used up half of it, as far as there is room
    /// (R-CREDIT-9).
    pub(super) fn grow(&mut self, id: Inbound) {
        // R-CALL-3: nothing is granted before the answer.
        let active = self.calls.get_mut(id.call).filter(|call| call.state == CallState::Active);
        let Some(half) = active.and_then(|call| call.in_half(id.half)) else { return };
        let window = half.credit.window();
        if half.state != ReceiverState::Open || half.credit.available() > i64::from(window / 2) {
            return;
        }
        let taken = self.windows.max(self.receive_credit.held());
        let growth = self.config.limits.growth(window, taken);
        if growth == 0 {
            return;
        }
        half.credit.grow(growth);
        self.windows = self.windows.saturating_add(growth.into());
        if !half.granting {
            half.granting = true;
            self.control.push_back(Control::Credit(id));
        }
    }

    fn begin(&mut self, call: u32, number: u8, total: u32, chunk: &[u8]) -> Result<(), Violation> {
        let limits = &self.config.limits;
        check_size(chunk.len(), limits.chunk as usize)?;
        if total > limits.message {
            return Err(Violation::MessageTooLarge); // R-MSG-2
        }
        if chunk.is_empty() || chunk.len() >= total as usize {
            return Err(Violation::ChunkOrder); // R-MSG-3
        }
        let price = cost(total as usize);
        let now = self.now;
        let mut spare = core::mem::take(&mut self.spare);
        let Some((id, half, credit)) = self.receiving(call, number)? else {
            return self.drop_late(price);
        };
        match half.state.step(ReceiverEvent::Message) {
            Step::Illegal => Err(Violation::AfterEnd), // R-HALF-2
            Step::Late => self.drop_late(price),       // R-HALF-4
            Step::To(_) => {
                check_credit(half.credit.available(), credit.available(), price)?;
                half.inbox.begin(total, chunk, now, &mut spare)?;
                half.credit.charge(price.into());
                credit.charge(price.into());
                self.deadlines.message_began(now);
                self.spare = spare;
                self.grow(id);
                Ok(())
            }
        }
    }

    fn more(&mut self, call: u32, number: u8, chunk: &[u8]) -> Result<(), Violation> {
        check_size(chunk.len(), self.config.limits.chunk as usize)?;
        let Some((id, half, _)) = self.receiving(call, number)? else { return Ok(()) };
        match half.state.step(ReceiverEvent::Message) {
            Step::Illegal => Err(Violation::AfterEnd), // R-HALF-2
            Step::Late => Ok(()), // R-HALF-4: its message was charged and given back before
            Step::To(_) => {
                let complete = half.inbox.more(chunk)?;
                if complete && !half.announced {
                    half.announced = true;
                    self.events.push_back(Event::Readable(id));
                }
                let messages = &mut self.stats.messages_in;
                *messages = messages.saturating_add(complete.into());
                Ok(())
            }
        }
    }

    fn error(
        &mut self,
        call: u32,
        half: u8,
        code: FaultCode,
        payload: &[u8],
    ) -> Result<(), Violation> {
        let fault = match code {
            FaultCode::Failed => Fault::Failed,
            FaultCode::Cancelled => Fault::Cancelled,
            FaultCode::Revoked => Fault::Revoked,
            FaultCode::App => {
                let price = cost(payload.len());
                self.charge_connection(price)?; // R-ERROR-3
                // Copied: an end stays with its half for long, and must not pin its packet.
                let fault = Fault::App(Bytes::copy_from_slice(payload));
                return self.ended(call, half, End::Fault(fault), price);
            }
        };
        self.ended(call, half, End::Fault(fault), 0)
    }

    /// A half's end, whose payload was charged at this price.
    fn ended(&mut self, call: u32, number: u8, end: End, price: u32) -> Result<(), Violation> {
        let Some((id, half, credit)) = self.receiving(call, number)? else {
            self.receive_credit.release(price.into()); // R-CALL-2
            return self.idle_frame();
        };
        let window = half.window();
        match half.state.step(ReceiverEvent::End) {
            Step::Illegal => return Err(Violation::AfterEnd), // R-HALF-2
            Step::Late => {
                credit.release(price.into());
                return Ok(());
            }
            Step::To(_) if half.inbox.has_partial() => return Err(Violation::ChunkOrder),
            Step::To(state) => half.state = state,
        }
        let outcome = match &end {
            End::Fault(_) => Outcome::Failed,
            End::Finished | End::Rejected(_) | End::CallOver | End::Lost(_) => Outcome::Finished,
        };
        let closed = window.saturating_sub(half.window());
        half.end = Some(end);
        half.end_cost = price.into();
        if half.state == ReceiverState::Done {
            half.end_cost = 0;
            credit.release(price.into()); // R-HALF-4
        } else if !half.announced {
            half.announced = true;
            self.events.push_back(Event::Readable(id));
        }
        self.windows = self.windows.saturating_sub(closed);
        if self.role == Role::Client {
            self.end_call(id.call, CallEvent::ReplyEnd, outcome); // R-CALL-4
        }
        Ok(())
    }

    fn stopped(&mut self, call: u32, number: u8) -> Result<(), Violation> {
        let Some(id) = self.sending(call, number)? else { return self.idle_frame() };
        if self.role == Role::Server {
            self.resets.take(self.now);
            self.end_call(id.call, CallEvent::Cancel, Outcome::Cancelled); // R-CALL-5
            return Ok(());
        }
        let Some(half) = self.calls.get_mut(id.call).and_then(|call| call.out_half(number)) else {
            return Ok(());
        };
        let Step::To(state) = half.state.step(SenderEvent::Stop) else { return self.idle_frame() };
        half.state = state; // R-HALF-3
        self.buffered = self.buffered.saturating_sub(half.buffered());
        self.without_credit = self.without_credit.saturating_sub(half.without_credit());
        let refund = half.discard();
        half.blocked = false;
        self.send_credit.refund(refund);
        self.events.push_back(Event::Stopped(id));
        self.begin_waiting();
        self.uncrowd();
        Ok(())
    }

    fn granted(&mut self, call: u32, number: u8, amount: u32) -> Result<(), Violation> {
        let Some(id) = self.sending(call, number)? else { return self.idle_frame() };
        let Some(half) = self.calls.get_mut(id.call).and_then(|call| call.out_half(number)) else {
            return Ok(());
        };
        match half.state.step(SenderEvent::Credit) {
            Step::Late | Step::Illegal => return self.idle_frame(),
            Step::To(_) => half.credit.grant(amount)?,
        }
        if half.credit.available() > 0 && core::mem::take(&mut half.blocked) {
            self.events.push_back(Event::Writable(id));
        }
        self.not_worth_it(amount)
    }

    /// A grant that no message can begin with by itself is one too many.
    fn not_worth_it(&mut self, amount: u32) -> Result<(), Violation> {
        if amount < MINIMUM_CHARGE { self.idle_frame() } else { Ok(()) }
    }

    /// A frame that leads to nothing.
    fn idle_frame(&mut self) -> Result<(), Violation> {
        if self.idle_frames.take(self.now) { Ok(()) } else { Err(Violation::IdleFlood) } // R-FLOOD-2
    }

    /// Of a call that is over, a few frames may be under way on each half.
    pub(super) fn earn_idle_frames(&mut self, parameters: u8) {
        let halves = u32::from(parameters).saturating_add(1);
        self.idle_frames.add(halves.saturating_mul(4));
    }

    fn told_to_go(&mut self, code: AwayCode, detail: &str) {
        let reason = match code {
            AwayCode::Shutdown => {
                self.peer_away = true; // R-AWAY-1
                return self.settle();
            }
            AwayCode::Done if self.is_drained() => CloseReason::Drained,
            AwayCode::Done => CloseReason::Peer,
            AwayCode::Violation => CloseReason::Accused(detail.into()),
            AwayCode::Version => CloseReason::VersionRefused(detail.into()),
            AwayCode::Timeout => CloseReason::PeerTimeout(detail.into()),
            AwayCode::Expired => CloseReason::DrainExpired,
        };
        self.end(reason, None);
    }

    /// The call that a frame names: `None` if it has ended (R-CALL-2), a violation if it was never
    /// opened (R-CALL-1).
    fn live(&mut self, call: u32) -> Result<Option<&mut CallRecord>, Violation> {
        if call == 0 || call > self.last_call {
            return Err(Violation::UnknownCall);
        }
        let Some(record) = self.calls.by_wire(call) else { return Ok(None) };
        if record.opening.is_some() {
            return Err(Violation::UnknownCall); // the peer can't know of it
        }
        Ok(Some(record).filter(|record| record.state != CallState::Over))
    }

    /// The half that a sender's frame names, if its call is not over, and the connection's credit.
    #[inline]
    fn receiving(
        &mut self,
        call: u32,
        number: u8,
    ) -> Result<Option<(Inbound, &mut InHalf, &mut crate::credit::ReceiveCredit)>, Violation> {
        if call == 0 || call > self.last_call {
            return Err(Violation::UnknownCall); // R-CALL-1
        }
        let role = self.role;
        let Some(record) = self.calls.by_wire(call) else { return Ok(None) };
        match (record.state, role) {
            (CallState::Over, _) => return Ok(None),
            (CallState::Pending, Role::Client) if record.opening.is_some() => {
                return Err(Violation::UnknownCall);
            }
            (CallState::Pending, Role::Client) => return Err(Violation::AnswerOrder), // R-CALL-3
            (CallState::Pending, Role::Server) | (CallState::Active, _) => {}
        }
        let id = Inbound { call: record.id, half: number };
        let half = record.in_half(number).ok_or(Violation::WrongHalf)?; // R-HALF-1
        Ok(Some((id, half, &mut self.receive_credit)))
    }

    /// The half that a receiver's frame names, if its call is not over.
    fn sending(&mut self, call: u32, number: u8) -> Result<Option<Outbound>, Violation> {
        let role = self.role;
        let Some(record) = self.live(call)? else { return Ok(None) };
        let id = record.outbound(number).ok_or(Violation::WrongHalf)?; // R-HALF-1
        if role == Role::Client && record.state == CallState::Pending {
            return Err(Violation::AnswerOrder); // R-CALL-3
        }
        Ok(Some(id))
    }

    fn charge_connection(&mut self, price: u32) -> Result<(), Violation> {
        if self.receive_credit.available() < price.into() {
            return Err(Violation::ConnectionCredit); // R-CREDIT-3
        }
        self.receive_credit.charge(price.into());
        Ok(())
    }

    /// A message for what is over: charged and given back at once (R-CALL-2).
    fn drop_late(&mut self, price: u32) -> Result<(), Violation> {
        self.charge_connection(price)?;
        self.receive_credit.release(price.into());
        Ok(())
    }
}

/// R-MSG-1.
#[inline]
fn check_size(payload: usize, chunk: usize) -> Result<(), Violation> {
    if payload > chunk { Err(Violation::ChunkTooLarge) } else { Ok(()) }
}

/// Where so much is available of the half's credit and of the connection's.
#[inline]
fn check_credit(half: i64, connection: i64, price: u32) -> Result<(), Violation> {
    if half <= 0 {
        return Err(Violation::HalfCredit); // R-CREDIT-2
    }
    if connection < price.into() {
        return Err(Violation::ConnectionCredit); // R-CREDIT-3
    }
    Ok(())
}

/// The kind and the length that stand before a body.
fn header_len(body: usize) -> usize {
    varint_len(body as u64).saturating_add(1)
}

/// A payload on its own: copied if it is a small part of its packet, which a slice would pin.
fn payload_bytes(packet: &Bytes, payload: &[u8]) -> Bytes {
    if Inbox::slices(payload.len(), packet.len()) {
        packet.slice_ref(payload)
    } else {
        Bytes::copy_from_slice(payload)
    }
}
