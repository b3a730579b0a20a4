use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Connection, Control, Role, Waiter};
use crate::call::{CallRecord, Halves, InHalf, Opening, OutHalf};
use crate::limits::Announced;
use crate::outbox::QUANTUM;
use crate::state::{
    CallEvent, CallState, ReceiverEvent, ReceiverState, SenderEvent, SenderState, Step,
};
use crate::wire::{self, Frame, MAX_FAULT, MAX_PACKET, MAX_TEXT, MAX_TOKEN, cost};
use crate::{
    AnswerError, Batch, CallId, End, Fault, Inbound, LimitsError, OpenError, Outbound, Outcome,
    Payload, RejectCode, Rejection, Request, Run, SendError, Token,
};

/// What [`Connection::recv`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// The next message.
    Message(Bytes),
    /// There are no more; every later `recv` says so again.
    End(End),
}

/// What [`Connection::recv_run`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// At least one message; they are in the run.
    Messages,
    /// There are no more; every later call says so again.
    End(End),
    /// Nothing at this time: `Event::Readable` tells.
    Nothing,
}

impl Connection {
    /// Opens a call. The request leaves with the next packets, and messages may be sent on its
    /// parameter halves at once: nobody waits for an answer (R-OPEN-8).
    ///
    /// # Errors
    /// [`OpenError`]; nothing has changed then.
    pub fn open(&mut self, request: &Request) -> Result<CallId, OpenError> {
        if let Some(reason) = &self.closed {
            return Err(OpenError::Lost(reason.clone()));
        }
        if self.role == Role::Server {
            return Err(OpenError::Role); // R-OPEN-2
        }
        if self.away || self.peer_away {
            return Err(OpenError::GoingAway);
        }
        let wire_id = self.last_call.checked_add(1).ok_or(OpenError::Exhausted)?;
        if self.calls.len() >= self.config.limits.calls as usize {
            return Err(OpenError::Busy);
        }
        let parameters = self.peer.map_or(self.config.limits.parameters, |peer| peer.parameters);
        if request.parameters > parameters.min(self.config.limits.parameters) {
            return Err(OpenError::Parameters);
        }
        let opening = self.encode_request(wire_id, request)?;
        let half_window = self.peer_or_floor().half_window;
        let own_window = self.config.limits.first_half_window();
        self.windows += u64::from(own_window);
        self.last_call = wire_id;
        self.stats.calls_begun += 1;
        self.earn_idle_frames(request.parameters);
        let id = self.calls.insert(wire_id, |id| CallRecord {
            id,
            state: CallState::Pending,
            halves: Halves::Caller {
                reply: InHalf::new(own_window),
                parameters: (0..request.parameters).map(|_| OutHalf::new(half_window)).collect(),
            },
            opening: Some(opening),
            request: None,
            request_cost: 0,
            released: false,
        });
        self.deadlines.busy();
        self.waiters.push_back(Waiter::Open(id));
        self.begin_waiting();
        Ok(id)
    }

    /// Replaces the connection's token: from now on it is for requests without one of their own,
    /// also for those that are open and not on the wire yet (R-TOKEN-1). [`Token::none`] takes it
    /// away. A server's goes nowhere.
    ///
    /// # Errors
    /// The token is too long; the one before stays in force.
    pub fn set_token(&mut self, token: Token) -> Result<(), LimitsError> {
        token.validate()?;
        self.token_owed = self.role == Role::Client && !self.hello_owed && self.closed.is_none();
        self.config.token = Some(token);
        Ok(())
    }

    fn encode_request(&self, call: u32, request: &Request) -> Result<Opening, OpenError> {
        let within = |size: usize, limit: usize| match size <= limit {
            true => Ok(()),
            false => Err(OpenError::TooLarge { size, limit }),
        };
        let texts = request.metadata.iter().map(|(key, _)| key).chain([&request.method]);
        texts.map(String::len).try_for_each(|len| within(len, MAX_TEXT))?;
        within(request.token.as_ref().map_or(0, |token| token.as_bytes().len()), MAX_TOKEN)?;
        within(request.metadata.len(), wire::MAX_METADATA)?;
        let frame = Frame::Open(wire::Open {
            call,
            parameters: request.parameters,
            method: &request.method,
            fingerprint: request.fingerprint,
            token: request.token.clone(),
            metadata: request.metadata.iter().map(|(key, value)| (&**key, &**value)).collect(),
            arguments: &request.arguments,
        });
        let size = frame.body_len();
        // Before the peer's Hello its limit is not known; the floor is what it must take
        // (R-HELLO-6), and a larger request waits for credit until Hello has come.
        let limit = self.peer.map_or(self.config.limits.request, |peer| peer.request);
        within(size, limit as usize)?;
        let mut bytes = Vec::with_capacity(size + 4);
        frame.encode(&mut bytes);
        Ok(Opening { frame: bytes, size, cost: cost(size), paid: false })
    }

    /// A view of a call that is not released: its request, its answer, its halves.
    pub fn call(&mut self, id: CallId) -> Option<Call<'_>> {
        self.calls.get(id)?;
        Some(Call { connection: self, id })
    }

    /// Whether a call is over or was released.
    pub fn is_over(&self, id: CallId) -> bool {
        self.calls.get(id).is_none_or(|call| call.state == CallState::Over)
    }

    /// Sends a message: takes it whole, or not at all. What was taken goes to the peer in order,
    /// unless the receiver stops the half, the call ends, or the connection is lost.
    ///
    /// A message is taken while the half has credit, no earlier message of the half waits for the
    /// connection's, and less than [`Limits::outbound`](crate::Limits::outbound) waits for the
    /// socket; one of at most 4 KiB, whatever waits, while none of the same half does.
    ///
    /// # Errors
    /// [`SendError`]; nothing was taken then. After [`SendError::Blocked`] an
    /// [`Event::Writable`](crate::Event::Writable) comes, or an
    /// [`Event::Stopped`](crate::Event::Stopped).
    pub fn send<'a>(
        &mut self,
        id: Outbound,
        payload: impl Into<Payload<'a>>,
    ) -> Result<(), SendError> {
        let payload = payload.into();
        let len = payload.as_slice().len();
        let peer = self.peer.as_ref().unwrap_or(&Announced::FLOOR);
        let limit = peer.message as usize;
        let chunk = peer.chunk.min(self.config.limits.chunk) as usize;
        let Some(call) = self.calls.get_mut(id.call) else { return Err(self.over()) };
        let Some(half) = call.out_half(id.half) else { return Err(self.over()) };
        match (half.state.step(SenderEvent::Send), half.state) {
            (Step::To(_), _) => {}
            (Step::Late | Step::Illegal, SenderState::Stopped) => return Err(SendError::Stopped),
            (Step::Late | Step::Illegal, SenderState::Over) => return Err(self.over()),
            (
                Step::Late | Step::Illegal,
                SenderState::Open | SenderState::Finishing | SenderState::Finished,
            ) => return Err(SendError::Finished),
        }
        if len > limit && self.peer.is_some() {
            return Err(SendError::TooLarge { size: len, limit });
        }
        // A message above the floor waits for the peer's Hello (R-HELLO-6).
        if half.credit.available() <= 0 || half.waiting.is_some() || len > limit {
            half.blocked = true;
            return Err(SendError::Blocked);
        }
        // R-MSG-6: where large messages fill the buffer, a half that holds nothing still gets a
        // small one in, and its turn with it.
        let small = half.outbox.is_empty() && len <= QUANTUM;
        if self.buffered >= self.config.limits.outbound as usize && !small {
            half.blocked = true;
            if !half.in_crowd {
                half.in_crowd = true;
                self.crowd.push_back(id);
            }
            return Err(SendError::Blocked);
        }
        let price = cost(len);
        half.credit.take(price);
        self.stats.messages_out += 1;
        if self.waiters.is_empty() && self.send_credit.covers(price) {
            self.send_credit.take(price);
            self.buffered += half.push(id, payload, chunk);
            // Nobody waits, so its call has begun.
            if !half.in_ring {
                half.in_ring = true;
                self.ring.push_back(id);
            }
        } else {
            // R-CREDIT-7: whoever came first goes first.
            self.buffered += len;
            self.without_credit += len;
            half.waiting = Some(payload.into_bytes());
            half.in_waiters = true;
            self.waiters.push_back(Waiter::Half(id));
        }
        Ok(())
    }

    /// Sends the messages of a batch, in their order, each as with [`send`](Self::send). Those that
    /// were taken are not in the batch any more.
    ///
    /// # Errors
    /// [`SendError`], of the first message that was not taken.
    pub fn send_batch(&mut self, batch: &mut Batch) -> Result<(), SendError> {
        if batch.is_empty() {
            return Ok(());
        }
        let id = batch.half();
        let (frames, count, price) = batch.rest();
        let half = self.calls.get_mut(id.call).and_then(|call| call.out_half(id.half));
        // Whether it takes them all, whatever their sizes.
        let at_once = half.filter(|half| {
            half.state == SenderState::Open
                && half.waiting.is_none()
                && half.credit.available() >= price.into()
                && self.buffered + frames.len() <= self.config.limits.outbound as usize
                && self.waiters.is_empty()
                && self.send_credit.covers(price)
        });
        if let Some(half) = at_once {
            half.credit.take(price);
            self.send_credit.take(price);
            self.stats.messages_out += u64::from(count);
            self.buffered += half.outbox.push_batch(frames);
            if !half.in_ring {
                half.in_ring = true;
                self.ring.push_back(id);
            }
            batch.clear();
            return Ok(());
        }
        while let Some((payload, size)) = batch.first() {
            let price = cost(payload.as_slice().len());
            self.send(id, payload)?;
            batch.advance(size, price);
        }
        Ok(())
    }

    /// Whether the receiver of a half still wants messages: it is not ended, stopped or over.
    pub fn is_sendable(&self, id: Outbound) -> bool {
        let half = self.calls.get(id.call).and_then(|call| call.out_half_ref(id.half));
        half.is_some_and(|half| half.state == SenderState::Open)
    }

    /// Ends a half: in order, or with a fault. The end follows every message that was taken.
    ///
    /// A fault whose payload is larger than 4 KiB goes as [`Fault::Failed`]. Ending the reply ends
    /// the call, once the end is on the wire.
    ///
    /// # Errors
    /// [`SendError::Finished`] if it was ended before; nothing has changed then. Ending a half
    /// that is stopped or over is harmless.
    pub fn finish(&mut self, id: Outbound, end: Result<(), Fault>) -> Result<(), SendError> {
        let Some(call) = self.calls.get_mut(id.call) else { return Ok(()) };
        let Some(half) = call.out_half(id.half) else { return Ok(()) };
        match half.state.step(SenderEvent::Finish) {
            Step::Illegal => return Err(SendError::Finished),
            Step::Late => return Ok(()),
            Step::To(state) => half.state = state,
        }
        half.fault = end.err().map(|fault| match fault {
            Fault::App(payload) if payload.len() > MAX_FAULT => Fault::Failed, // R-ERROR-2
            Fault::App(_) | Fault::Failed | Fault::Cancelled | Fault::Revoked => fault,
        });
        if half.needs().is_some() && !half.in_waiters {
            half.in_waiters = true;
            self.waiters.push_back(Waiter::Half(id)); // R-ERROR-3
            self.begin_waiting();
        }
        self.ready(id);
        Ok(())
    }

    /// Takes the next message of a half, if there is one. Taking it grants its credit back
    /// (R-CREDIT-5).
    ///
    /// The end comes after every message that came before it. On a half that was stopped here, or
    /// of a call that was released, it is [`End::CallOver`].
    pub fn recv(&mut self, id: Inbound) -> Option<Received> {
        self.take_run_back(id);
        let Some(half) = self.calls.get_mut(id.call).and_then(|call| call.in_half(id.half)) else {
            return Some(Received::End(self.inbound_over()));
        };
        if half.state.step(ReceiverEvent::Take) == Step::Late {
            return Some(Received::End(End::CallOver));
        }
        if let Some((message, paid)) = half.inbox.pop() {
            self.give_back(id, paid);
            return Some(Received::Message(message));
        }
        self.take_end(id).map(Received::End)
    }

    /// Takes several messages of a half at once, as many as came together. Their credit is
    /// granted back when the next run is asked for, so that a run is not free to keep.
    ///
    /// The buffer of `run` is replaced.
    pub fn recv_run(&mut self, id: Inbound, run: &mut Run) -> Taken {
        self.take_run_back(id);
        if run.last_size() > self.config.limits.chunk as usize {
            let spare = Some(run.take_spare()).filter(|spare| spare.capacity() <= MAX_PACKET);
            self.spare = spare.unwrap_or_default();
            self.spare_since = self.now;
        }
        let Some(half) = self.calls.get_mut(id.call).and_then(|call| call.in_half(id.half)) else {
            return Taken::End(self.inbound_over());
        };
        if half.state.step(ReceiverEvent::Take) == Step::Late {
            return Taken::End(End::CallOver);
        }
        if let Some(paid) = half.inbox.pop_run(run) {
            half.taken = paid;
            return Taken::Messages;
        }
        self.take_end(id).map_or(Taken::Nothing, Taken::End)
    }

    /// Wants no more of a half: what is there and what still comes is dropped, its credit
    /// returned. Stopping the reply gives up the call (R-CALL-5). Harmless on a half that is over.
    pub fn stop(&mut self, id: Inbound) {
        let role = self.role;
        let Some(call) = self.calls.get_mut(id.call) else { return };
        let Some(half) = call.in_half(id.half) else { return };
        let Step::To(state) = half.state.step(ReceiverEvent::Stop) else { return };
        let window = half.window();
        half.state = state;
        self.windows -= window - half.window();
        let freed = half.discard();
        self.receive_credit.release(freed);
        if role == Role::Client {
            return self.cancel(id.call);
        }
        if state == ReceiverState::Stopped {
            self.control.push_back(Control::Stop { call: id.call, half: id.half });
        }
    }

    /// Is done with a call: frees its slot, and ends first what has not ended. Harmless if it was
    /// released before.
    ///
    /// A caller gives the call up. A callee that has not answered refuses it, one that has not
    /// ended the reply fails it; what it has sent still goes out, and the slot is free when the
    /// end is on the wire (R-CALL-6).
    pub fn release(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        call.released = true;
        match (call.state, self.role) {
            (CallState::Over, _) => self.remove_call(id),
            (CallState::Pending | CallState::Active, Role::Client) => self.cancel(id),
            (CallState::Pending, Role::Server) => {
                self.refuse(id, RejectCode::Failed.into());
            }
            (CallState::Active, Role::Server) => {
                for half in 1..=u8::try_from(call.incoming().len()).unwrap_or(u8::MAX) {
                    self.stop(Inbound { call: id, half });
                }
                // Late if the reply is ending by itself.
                let _ = self.finish(Outbound { call: id, half: 0 }, Err(Fault::Failed));
            }
        }
    }

    /// R-CALL-5: the caller gives a call up. Unless its `Open` is still here, the callee is told.
    fn cancel(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        if call.state != CallState::Over && call.opening.is_none() {
            self.control.push_back(Control::Stop { call: id, half: 0 });
        }
        self.end_call(id, CallEvent::Cancel, Outcome::Cancelled);
    }

    fn refuse(&mut self, id: CallId, rejection: Rejection) {
        self.refusing += 1;
        self.resets.take(self.now);
        self.control.push_back(Control::Reject {
            call: id.wire,
            rejection: rejection.clone(),
            held: 0,
        });
        self.end_call(id, CallEvent::Reject, Outcome::Rejected(rejection));
    }

    /// The credit of the run that the application has worked through.
    fn take_run_back(&mut self, id: Inbound) {
        let half = self.calls.get_mut(id.call).and_then(|call| call.in_half(id.half));
        if let Some(paid) = half.map(|half| core::mem::take(&mut half.taken)).filter(|&n| n > 0) {
            self.give_back(id, paid);
        }
    }

    /// Returns credit to the half and the connection (R-CREDIT-5); a grant is owed once it is
    /// worth a frame (R-CREDIT-6).
    pub(super) fn give_back(&mut self, id: Inbound, paid: u64) {
        self.receive_credit.release(paid);
        let Some(half) = self.calls.get_mut(id.call).and_then(|call| call.in_half(id.half)) else {
            return;
        };
        half.credit.release(paid);
        if half.state == ReceiverState::Open && half.credit.is_due() && !half.granting {
            half.granting = true;
            self.control.push_back(Control::Credit(id));
        }
    }

    fn take_end(&mut self, id: Inbound) -> Option<End> {
        let half = self.calls.get_mut(id.call)?.in_half(id.half)?;
        let end = half.end.clone()?;
        let paid = core::mem::take(&mut half.end_cost);
        self.receive_credit.release(paid);
        Some(end)
    }

    fn over(&self) -> SendError {
        self.closed.clone().map_or(SendError::CallOver, SendError::Lost)
    }

    fn inbound_over(&self) -> End {
        self.closed.clone().map_or(End::CallOver, End::Lost)
    }
}

/// A view of one call.
#[derive(Debug)]
pub struct Call<'a> {
    connection: &'a mut Connection,
    id: CallId,
}

impl Call<'_> {
    /// Where it stands.
    pub fn state(&self) -> CallState {
        self.connection.calls.get(self.id).map_or(CallState::Over, |call| call.state)
    }

    /// Whether it is not answered yet, and not over.
    pub fn is_pending(&self) -> bool {
        self.state() == CallState::Pending
    }

    /// Why it was refused, as its caller learns.
    pub fn rejection(&self) -> Option<&Rejection> {
        let reply = self.connection.calls.get(self.id)?.incoming().first()?;
        match reply.end.as_ref()? {
            End::Rejected(rejection) => Some(rejection),
            End::Finished | End::Fault(_) | End::CallOver | End::Lost(_) => None,
        }
    }

    /// The caller's request: a callee takes it, once. That returns its credit.
    pub fn take_request(&mut self) -> Option<Request> {
        let call = self.connection.calls.get_mut(self.id)?;
        let paid = core::mem::take(&mut call.request_cost);
        let request = call.request.take();
        self.connection.receive_credit.release(paid);
        request.map(|request| *request)
    }

    /// Accepts the call, as its callee. The acceptance goes out before any message of the reply.
    ///
    /// # Errors
    /// If it was answered before or is over, or this is the caller.
    pub fn accept(&mut self) -> Result<(), AnswerError> {
        let call = self.answerable()?;
        let Step::To(state) = call.state.step(CallEvent::Accept) else { return Err(AnswerError) };
        call.state = state;
        let halves = u8::try_from(call.incoming().len()).unwrap_or(u8::MAX);
        self.connection.control.push_back(Control::Accept(self.id));
        for half in 1..=halves {
            self.connection.grow(Inbound { call: self.id, half });
        }
        Ok(())
    }

    /// Refuses the call, as its callee. That ends it.
    ///
    /// # Errors
    /// If it was answered before or is over, or this is the caller.
    pub fn reject(&mut self, rejection: impl Into<Rejection>) -> Result<(), AnswerError> {
        let call = self.answerable()?;
        let Step::To(_) = call.state.step(CallEvent::Reject) else { return Err(AnswerError) };
        self.connection.refuse(self.id, rejection.into());
        Ok(())
    }

    /// The half to send on: a callee's reply is 0, a caller's parameters are 1 and up. `None` if
    /// the call has no such half in this direction, or a callee has not accepted it yet (R-CALL-3).
    pub fn outbound(&self, half: u8) -> Option<Outbound> {
        self.usable()?.outbound(half)
    }

    /// The half to receive on: a caller's reply is 0, a callee's parameters are 1 and up. `None`
    /// if the call has no such half in this direction, or a callee has not accepted it yet.
    pub fn inbound(&self, half: u8) -> Option<Inbound> {
        self.usable()?.inbound(half)
    }

    fn usable(&self) -> Option<&CallRecord> {
        let call = self.connection.calls.get(self.id)?;
        let unanswered = call.state == CallState::Pending && self.connection.role == Role::Server;
        (!unanswered).then_some(call)
    }

    fn answerable(&mut self) -> Result<&mut CallRecord, AnswerError> {
        match self.connection.role {
            Role::Client => Err(AnswerError),
            Role::Server => self.connection.calls.get_mut(self.id).ok_or(AnswerError),
        }
    }
}
