//! What stands around the tables: two endpoints, two wires, and credit in small numbers.
//!
//! It mirrors `src/connection`, a frame to a packet.

use std::mem::take;

use wirestream_protocol::state::{
    CallEvent, CallState, ReceiverEvent, ReceiverState, SenderEvent, SenderState, Step,
};

/// Units of credit: of a half, and of all that goes in one direction.
const HALF: i8 = 2;
const CONNECTION: i8 = 3;
/// A grant is due at this much. The largest message takes two units, so both windows give one.
const DUE: i8 = 1;
/// Requests, and errors with a payload.
const UNIT: i8 = 1;
/// Frames that a wire holds.
const WIRE: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Client,
    Server,
}

/// A frame. There is one half in each direction, so that the direction names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Frame {
    Open,
    Accept,
    Reject,
    /// The number of the message on its half.
    Message(i8),
    End(Ending),
    Stop,
    Credit(i8),
    ConnectionCredit(i8),
}

/// What the application ends a half with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    Clean,
    /// With a payload, which costs a unit.
    Fault,
}

/// What a receiver learns of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Finished,
    Fault,
    Rejected,
    CallOver,
    Lost,
}

/// Every kind of frame, in range and out of it, as a rogue peer sends them.
pub(crate) const ROGUE: [Frame; 12] = [
    Frame::Open,
    Frame::Accept,
    Frame::Reject,
    Frame::Message(0),
    Frame::Message(1),
    Frame::End(Ending::Clean),
    Frame::End(Ending::Fault),
    Frame::Stop,
    Frame::Credit(1),
    Frame::Credit(HALF + 1),
    Frame::ConnectionCredit(1),
    Frame::ConnectionCredit(CONNECTION + 1),
];

/// How an endpoint takes a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Taken,
    Late,
    Violation,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The callee's application takes the request and accepts it.
    Accept,
    Reject,
    Send(Role),
    Finish(Role, Ending),
    Stop(Role),
    Take(Role),
    /// One frame, if one is ready.
    Transmit(Role),
    Deliver(Role),
    Lose(Role),
}

use Role::{Client, Server};

pub(crate) const ACTIONS: [Action; 18] = [
    Action::Accept,
    Action::Reject,
    Action::Send(Client),
    Action::Send(Server),
    Action::Finish(Client, Ending::Clean),
    Action::Finish(Client, Ending::Fault),
    Action::Finish(Server, Ending::Clean),
    Action::Finish(Server, Ending::Fault),
    Action::Stop(Client),
    Action::Stop(Server),
    Action::Take(Client),
    Action::Take(Server),
    Action::Transmit(Client),
    Action::Transmit(Server),
    Action::Deliver(Client),
    Action::Deliver(Server),
    Action::Lose(Client),
    Action::Lose(Server),
];

impl Action {
    /// Whether it happens without the applications, and without loss.
    pub(crate) fn is_network(self) -> bool {
        match self {
            Self::Transmit(_) | Self::Deliver(_) => true,
            Self::Accept
            | Self::Reject
            | Self::Send(_)
            | Self::Finish(..)
            | Self::Stop(_)
            | Self::Take(_)
            | Self::Lose(_) => false,
        }
    }
}

/// The cells of the tables that were asked for. The model steps through here only.
#[derive(Default)]
pub(crate) struct Cells {
    pub(crate) sender: [[bool; SenderEvent::ALL.len()]; SenderState::ALL.len()],
    pub(crate) receiver: [[bool; ReceiverEvent::ALL.len()]; ReceiverState::ALL.len()],
    pub(crate) call: [[bool; CallEvent::ALL.len()]; CallState::ALL.len()],
}

impl Cells {
    fn sender(&mut self, state: SenderState, event: SenderEvent) -> Step<SenderState> {
        self.sender[state as usize][event as usize] = true;
        state.step(event)
    }

    fn receiver(&mut self, state: ReceiverState, event: ReceiverEvent) -> Step<ReceiverState> {
        self.receiver[state as usize][event as usize] = true;
        state.step(event)
    }

    fn call(&mut self, state: CallState, event: CallEvent) -> Step<CallState> {
        self.call[state as usize][event as usize] = true;
        state.step(event)
    }
}

/// The sender's side of a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outbound {
    pub(crate) state: SenderState,
    credit: i8,
    /// Messages that the application may still send, and those that were taken from it.
    left: i8,
    accepted: i8,
    /// Of those, the ones that are not on the wire yet.
    queued: i8,
    /// One more, which waits for the connection's credit.
    waiting: bool,
    ending: Option<Ending>,
    /// The ending's unit was taken.
    paid: bool,
}

impl Outbound {
    fn new(messages: i8) -> Self {
        Self {
            state: SenderState::Open,
            credit: HALF,
            left: messages,
            accepted: 0,
            queued: 0,
            waiting: false,
            ending: None,
            paid: false,
        }
    }

    /// The number of the first message that is not on the wire.
    fn next(&self) -> i8 {
        self.accepted - i8::from(self.waiting) - self.queued
    }

    fn queued_cost(&self) -> i8 {
        costs(self.next(), self.queued)
    }

    /// What it needs of the connection's credit to go on.
    fn needs(&self) -> Option<i8> {
        if self.waiting {
            Some(cost(self.accepted - 1))
        } else if self.state == SenderState::Finishing && self.ending == Some(Ending::Fault) {
            (!self.paid).then_some(UNIT)
        } else {
            None
        }
    }

    /// Drops what is not on the wire; returns the connection's credit that it had taken.
    fn discard(&mut self) -> i8 {
        let refund = self.queued_cost() + if self.paid { UNIT } else { 0 };
        (self.queued, self.waiting, self.paid) = (0, false, false);
        refund
    }
}

/// The receiver's side of a half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inbound {
    pub(crate) state: ReceiverState,
    /// Messages that the application took, and those that wait for it.
    taken: i8,
    inbox: i8,
    owed: i8,
    end: Option<End>,
    end_cost: i8,
    /// What the application was told.
    seen: Option<End>,
}

impl Inbound {
    fn new() -> Self {
        Self {
            state: ReceiverState::Open,
            taken: 0,
            inbox: 0,
            owed: 0,
            end: None,
            end_cost: 0,
            seen: None,
        }
    }

    fn inbox_cost(&self) -> i8 {
        costs(self.taken, self.inbox)
    }

    /// Drops what is held; returns what it cost.
    fn discard(&mut self) -> i8 {
        let held = self.inbox_cost() + self.end_cost;
        (self.inbox, self.end_cost) = (0, 0);
        held
    }
}

/// Messages take one unit and two by turns, so that a half's credit goes below zero too.
fn cost(message: i8) -> i8 {
    1 + message % 2
}

fn costs(first: i8, count: i8) -> i8 {
    (first..first + count).map(cost).sum()
}

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Side {
    pub(crate) role: Role,
    /// None where the call is not known yet.
    pub(crate) call: Option<CallState>,
    /// How often the call ended.
    ends: u8,
    /// The `Open` or the answer that is not on the wire yet.
    answer: Option<Frame>,
    stop_owed: bool,
    pub(crate) out: Outbound,
    pub(crate) inn: Inbound,
    /// The connection's credit: what it may send, what it owes, what the request holds.
    available: i8,
    pub(crate) owed: i8,
    request: i8,
    pub(crate) lost: bool,
}

impl Side {
    fn new(role: Role, messages: i8) -> Self {
        let (call, answer, available) = match role {
            Client => (Some(CallState::Pending), Some(Frame::Open), CONNECTION - UNIT),
            Server => (None, None, CONNECTION),
        };
        Self {
            role,
            call,
            ends: 0,
            answer,
            stop_owed: false,
            out: Outbound::new(messages),
            inn: Inbound::new(),
            available,
            owed: 0,
            request: 0,
            lost: false,
        }
    }

    /// Forgets what no longer counts, so that states that cannot differ any more are one.
    fn forget(&mut self) {
        if !matches!(self.out.state, SenderState::Open | SenderState::Finishing) {
            self.out.credit = 0;
        }
        if self.out.state != SenderState::Open {
            self.out.left = 0;
        }
        if self.lost {
            (self.available, self.owed) = (0, 0);
        }
    }

    fn is_over(&self) -> bool {
        self.call == Some(CallState::Over)
    }

    fn held(&self) -> i8 {
        self.request + self.inn.inbox_cost() + self.inn.end_cost
    }

    /// Whether the application has the call's halves in its hands.
    fn is_usable(&self) -> bool {
        match (self.role, self.call) {
            (_, None) | (Server, Some(CallState::Pending)) => false,
            (Client, Some(_)) | (Server, Some(CallState::Active | CallState::Over)) => true,
        }
    }

    // What the application does.

    fn answer(&mut self, event: CallEvent, cells: &mut Cells) {
        let Some(call) = self.call else { return };
        match (cells.call(call, event), event) {
            (Step::To(state), CallEvent::Accept) => {
                self.call = Some(state);
                self.answer = Some(Frame::Accept);
                self.owed += take(&mut self.request);
            }
            (Step::To(_), _) => {
                self.answer = Some(Frame::Reject);
                self.end_call(event, End::Rejected, false, cells);
            }
            (Step::Late | Step::Illegal, _) => {}
        }
    }

    fn send(&mut self, cells: &mut Cells) {
        let Step::To(_) = cells.sender(self.out.state, SenderEvent::Send) else { return };
        if self.out.left == 0 || self.out.credit <= 0 || self.out.waiting {
            return;
        }
        let price = cost(self.out.accepted);
        self.out.credit -= price;
        self.out.left -= 1;
        self.out.accepted += 1;
        if self.available >= price {
            self.available -= price;
            self.out.queued += 1;
        } else {
            self.out.waiting = true;
        }
    }

    fn finish(&mut self, ending: Ending, cells: &mut Cells) {
        let Step::To(state) = cells.sender(self.out.state, SenderEvent::Finish) else { return };
        self.out.state = state;
        self.out.ending = Some(ending);
        self.begin_waiting();
    }

    fn stop(&mut self, cells: &mut Cells) {
        let Step::To(state) = cells.receiver(self.inn.state, ReceiverEvent::Stop) else { return };
        self.inn.state = state;
        self.inn.owed = 0;
        self.owed += self.inn.discard();
        match self.role {
            Server => self.stop_owed |= state == ReceiverState::Stopped,
            Client => {
                self.stop_owed |= !self.is_over() && self.answer.is_none();
                self.end_call(CallEvent::Cancel, End::CallOver, false, cells);
            }
        }
    }

    /// One message, or the end. What was told once stays so, unless the application stopped.
    fn take(&mut self, cells: &mut Cells) -> Result<(), &'static str> {
        let told = if cells.receiver(self.inn.state, ReceiverEvent::Take) == Step::Late {
            Some(End::CallOver)
        } else if self.inn.inbox > 0 {
            if self.inn.seen.is_some() {
                return Err("a message came behind the end");
            }
            let price = cost(self.inn.taken);
            self.inn.taken += 1;
            self.inn.inbox -= 1;
            self.owed += price;
            if self.inn.state == ReceiverState::Open {
                self.inn.owed += price;
            }
            return Ok(());
        } else {
            self.owed += take(&mut self.inn.end_cost);
            self.inn.end
        };
        let stopped = matches!(self.inn.state, ReceiverState::Stopped | ReceiverState::Done);
        if !stopped && self.inn.seen.is_some() && self.inn.seen != told {
            return Err("a half ended twice");
        }
        self.inn.seen = told;
        Ok(())
    }

    fn lose(&mut self, cells: &mut Cells) {
        self.lost = true;
        self.answer = None;
        self.stop_owed = false;
        self.end_call(CallEvent::Lost, End::Lost, true, cells);
    }

    // What follows by itself.

    /// Ends the call, if it is not over: the halves with it. What has come is kept to be read if
    /// `keep`.
    fn end_call(&mut self, event: CallEvent, end: End, keep: bool, cells: &mut Cells) {
        let Some(call) = self.call else { return };
        let out = cells.sender(self.out.state, SenderEvent::CallOver);
        let inn = cells.receiver(self.inn.state, ReceiverEvent::CallOver);
        let Step::To(state) = cells.call(call, event) else {
            assert_eq!((out, inn), (Step::Late, Step::Late), "a half outlived its call");
            return;
        };
        self.call = Some(state);
        self.ends += 1;
        if self.answer == Some(Frame::Open) {
            self.answer = None;
            self.available += UNIT;
        }
        if let Step::To(state) = out {
            self.out.state = state;
        }
        self.available += self.out.discard();
        if let Step::To(state) = inn {
            let stopped = self.inn.state == ReceiverState::Stopped;
            self.inn.state = state;
            self.inn.owed = 0;
            self.inn.end = Some(if stopped { End::CallOver } else { end });
        }
        self.owed += take(&mut self.request);
        if !keep {
            if self.inn.inbox > 0 {
                self.inn.end = Some(End::CallOver);
            }
            self.owed += self.inn.discard();
        }
    }

    /// What waits for the connection's credit begins, as far as it goes.
    fn begin_waiting(&mut self) {
        while let Some(price) = self.out.needs().filter(|&price| price <= self.available) {
            self.available -= price;
            if self.out.waiting {
                self.out.waiting = false;
                self.out.queued += 1;
            } else {
                self.out.paid = true;
            }
        }
    }

    // What leaves.

    /// The next frame, if one is ready: facts first, then what the call owes, then the half.
    fn transmit(&mut self, cells: &mut Cells) -> Option<Frame> {
        if self.owed >= DUE {
            return Some(Frame::ConnectionCredit(take(&mut self.owed)));
        }
        if let Some(answer) = self.answer.take() {
            let given_up = answer == Frame::Accept && self.is_over();
            return (!given_up).then_some(answer); // R-CALL-5: not even an answer
        }
        if take(&mut self.stop_owed) {
            let given_up = self.role == Server && self.is_over();
            return (!given_up).then_some(Frame::Stop);
        }
        if self.inn.state == ReceiverState::Open && self.inn.owed >= DUE {
            return Some(Frame::Credit(take(&mut self.inn.owed)));
        }
        self.call.and_then(|_| self.transmit_half(cells))
    }

    fn transmit_half(&mut self, cells: &mut Cells) -> Option<Frame> {
        if self.out.queued > 0 {
            let frame = Frame::Message(self.out.next());
            self.out.queued -= 1;
            return Some(frame);
        }
        if self.out.needs().is_some() {
            return None;
        }
        let Step::To(state) = cells.sender(self.out.state, SenderEvent::Drained) else {
            return None;
        };
        self.out.state = state;
        if state != SenderState::Finished {
            return None;
        }
        self.out.paid = false;
        if self.role == Server {
            self.end_call(CallEvent::ReplyEnd, End::CallOver, false, cells);
        }
        self.out.ending.map(Frame::End)
    }

    // What arrives.

    /// A violation leaves everything as it was.
    pub(crate) fn receive(&mut self, frame: Frame, cells: &mut Cells) -> Verdict {
        let before = *self;
        let verdict = match frame {
            Frame::Open => self.open(),
            Frame::Accept => self.answered(CallEvent::Accept, cells),
            Frame::Reject => self.answered(CallEvent::Reject, cells),
            Frame::Message(number) => self.message(cost(number), cells),
            Frame::End(ending) => self.ended(ending, cells),
            Frame::Stop => self.stopped(cells),
            Frame::Credit(amount) => self.granted(amount, cells),
            Frame::ConnectionCredit(amount) if self.available + amount <= CONNECTION => {
                self.available += amount;
                self.begin_waiting();
                Verdict::Taken
            }
            Frame::ConnectionCredit(_) => Verdict::Violation, // R-CREDIT-4
        };
        if verdict == Verdict::Violation {
            assert_eq!(*self, before, "what is illegal changes nothing");
        }
        verdict
    }

    fn covers(&self, price: i8) -> bool {
        self.held() + self.owed + price <= CONNECTION
    }

    fn open(&mut self) -> Verdict {
        if self.role == Client || self.call.is_some() || !self.covers(UNIT) {
            return Verdict::Violation; // R-OPEN-1, R-OPEN-2, R-CREDIT-3
        }
        self.call = Some(CallState::Pending);
        self.request = UNIT;
        Verdict::Taken
    }

    /// The call as a frame from the peer finds it; none if the peer cannot know of it (R-CALL-1).
    fn known(&self) -> Option<CallState> {
        self.call.filter(|_| self.answer != Some(Frame::Open))
    }

    fn answered(&mut self, event: CallEvent, cells: &mut Cells) -> Verdict {
        let Some(call) = self.known().filter(|_| self.role == Client) else {
            return Verdict::Violation; // R-OPEN-2
        };
        match (cells.call(call, event), event) {
            (Step::Illegal, _) => Verdict::Violation, // R-CALL-3
            (Step::Late, _) => Verdict::Late,
            (Step::To(state), CallEvent::Accept) => {
                self.call = Some(state);
                Verdict::Taken
            }
            (Step::To(_), _) => {
                self.end_call(event, End::Rejected, false, cells);
                Verdict::Taken
            }
        }
    }

    fn message(&mut self, price: i8, cells: &mut Cells) -> Verdict {
        let late = match (self.known(), self.role) {
            (None, _) | (Some(CallState::Pending), Client) => return Verdict::Violation,
            (Some(CallState::Over), _) => {
                if self.inn.state == ReceiverState::Over {
                    let asked = cells.receiver(self.inn.state, ReceiverEvent::Message);
                    assert_eq!(asked, Step::Late);
                }
                true
            }
            (Some(CallState::Pending | CallState::Active), _) => {
                match cells.receiver(self.inn.state, ReceiverEvent::Message) {
                    Step::Illegal => return Verdict::Violation, // R-HALF-2
                    Step::Late => true,
                    Step::To(_) => false,
                }
            }
        };
        if !self.covers(price) {
            return Verdict::Violation; // R-CREDIT-3, on late messages too
        }
        if late {
            self.owed += price;
            return Verdict::Late;
        }
        if self.inn.inbox_cost() + self.inn.owed >= HALF {
            return Verdict::Violation; // R-CREDIT-2
        }
        self.inn.inbox += 1;
        Verdict::Taken
    }

    fn ended(&mut self, ending: Ending, cells: &mut Cells) -> Verdict {
        let price = if ending == Ending::Fault { UNIT } else { 0 };
        let Some(call) = self.known() else { return Verdict::Violation };
        let reply = match self.role {
            Client => cells.call(call, CallEvent::ReplyEnd),
            Server if self.is_over() => Step::Late,
            Server => Step::To(call),
        };
        match reply {
            Step::Illegal => return Verdict::Violation, // R-CALL-3
            _ if !self.covers(price) => return Verdict::Violation, // R-CREDIT-3
            Step::Late => {
                if self.inn.state == ReceiverState::Over {
                    let asked = cells.receiver(self.inn.state, ReceiverEvent::End);
                    assert_eq!(asked, Step::Late);
                }
                self.owed += price;
                return Verdict::Late;
            }
            Step::To(_) => {}
        }
        match cells.receiver(self.inn.state, ReceiverEvent::End) {
            Step::Illegal => return Verdict::Violation, // R-HALF-2
            Step::Late => {
                self.owed += price;
                return Verdict::Late;
            }
            Step::To(state) => self.inn.state = state,
        }
        self.inn.owed = 0;
        self.inn.end = Some(match ending {
            Ending::Clean => End::Finished,
            Ending::Fault => End::Fault,
        });
        if self.inn.state == ReceiverState::Done {
            self.owed += price; // R-HALF-4
        } else {
            self.inn.end_cost = price;
        }
        if self.role == Client {
            self.end_call(CallEvent::ReplyEnd, End::CallOver, true, cells);
        }
        Verdict::Taken
    }

    fn stopped(&mut self, cells: &mut Cells) -> Verdict {
        match (self.known(), self.role) {
            (None, _) | (Some(CallState::Pending), Client) => return Verdict::Violation,
            (Some(CallState::Over), _) => return self.late(SenderEvent::Stop, cells),
            (Some(_), Server) => self.end_call(CallEvent::Cancel, End::CallOver, false, cells),
            (Some(CallState::Active), Client) => {
                let Step::To(state) = cells.sender(self.out.state, SenderEvent::Stop) else {
                    return Verdict::Late;
                };
                self.out.state = state;
                self.available += self.out.discard();
            }
        }
        Verdict::Taken
    }

    fn granted(&mut self, amount: i8, cells: &mut Cells) -> Verdict {
        match (self.known(), self.role) {
            (None, _) | (Some(CallState::Pending), Client) => return Verdict::Violation,
            (Some(CallState::Over), _) => return self.late(SenderEvent::Credit, cells),
            (Some(_), _) => {}
        }
        match cells.sender(self.out.state, SenderEvent::Credit) {
            Step::Late | Step::Illegal => Verdict::Late,
            Step::To(_) if self.out.credit + amount > HALF => Verdict::Violation, // R-CREDIT-4
            Step::To(_) => {
                self.out.credit += amount;
                Verdict::Taken
            }
        }
    }

    /// A receiver's frame for a call that is over.
    fn late(&self, event: SenderEvent, cells: &mut Cells) -> Verdict {
        assert_eq!(cells.sender(self.out.state, event), Step::Late, "R-CALL-2");
        Verdict::Late
    }
}

/// Frames on their way, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Wire([Option<Frame>; WIRE]);

impl Wire {
    fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }

    fn push(&mut self, frame: Frame) -> bool {
        let place = self.0.iter_mut().find(|place| place.is_none());
        place.map(|place| *place = Some(frame)).is_some()
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.0[0].take();
        self.0.rotate_left(1);
        frame
    }

    fn sum(&self, units: impl Fn(Frame) -> i8) -> i8 {
        self.0.iter().flatten().map(|&frame| units(frame)).sum()
    }
}

/// Both endpoints, and the wires to the server and to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    client: Side,
    server: Side,
    up: Wire,
    down: Wire,
}

impl World {
    /// A call that was opened a moment ago, with so many messages to send on its halves.
    pub(crate) fn new(parameter: i8, reply: i8) -> Self {
        Self {
            client: Side::new(Client, parameter),
            server: Side::new(Server, reply),
            up: Wire::default(),
            down: Wire::default(),
        }
    }

    pub(crate) fn side(&self, role: Role) -> &Side {
        match role {
            Client => &self.client,
            Server => &self.server,
        }
    }

    /// An endpoint, its peer, the wire that it writes and the one that it reads.
    fn parts(&mut self, role: Role) -> (&mut Side, &Side, &mut Wire, &mut Wire) {
        match role {
            Client => (&mut self.client, &self.server, &mut self.up, &mut self.down),
            Server => (&mut self.server, &self.client, &mut self.down, &mut self.up),
        }
    }

    /// What comes of an action; the same world if nothing does.
    pub(crate) fn act(mut self, action: Action, cells: &mut Cells) -> Result<Self, &'static str> {
        match action {
            Action::Accept => self.server.answer(CallEvent::Accept, cells),
            Action::Reject => self.server.answer(CallEvent::Reject, cells),
            Action::Send(role) => self.verb(role, |side| side.send(cells)),
            Action::Finish(role, ending) => self.verb(role, |side| side.finish(ending, cells)),
            Action::Stop(role) => self.verb(role, |side| side.stop(cells)),
            Action::Take(role) if self.side(role).is_usable() => {
                self.parts(role).0.take(cells)?;
                self.check_what_was_seen(role)?;
            }
            Action::Take(_) => {}
            Action::Transmit(role) => {
                let before = self;
                let (side, peer, wire, _) = self.parts(role);
                if peer.lost || side.lost {
                    return Ok(before);
                }
                if let Some(frame) = side.transmit(cells)
                    && !wire.push(frame)
                {
                    return Ok(before); // no room on the wire
                }
            }
            Action::Deliver(role) => {
                let (side, _, _, wire) = self.parts(role);
                let Some(frame) = wire.pop() else { return Ok(self) };
                let expected = Frame::Message(side.inn.taken + side.inn.inbox);
                let verdict = side.receive(frame, cells);
                if verdict == Verdict::Violation {
                    return Err("an honest peer is accused");
                }
                let is_message = matches!(frame, Frame::Message(_));
                if is_message && verdict == Verdict::Taken && frame != expected {
                    return Err("not a prefix of what was sent"); // R-MSG-4
                }
            }
            Action::Lose(role) => {
                // What was on its way is gone: had it come, it would have come before.
                self.parts(role).0.lose(cells);
                (self.up, self.down) = (Wire::default(), Wire::default());
            }
        }
        self.client.forget();
        self.server.forget();
        Ok(self)
    }

    /// The application does something with its half, if it has it.
    fn verb(&mut self, role: Role, verb: impl FnOnce(&mut Side)) {
        let side = self.parts(role).0;
        if side.is_usable() {
            verb(side);
        }
    }

    /// An end is clean only if the sender finished in order and everything was taken.
    fn check_what_was_seen(&self, role: Role) -> Result<(), &'static str> {
        let (inn, out) = self.half(role);
        let complete = out.state == SenderState::Finished
            && out.ending == Some(Ending::Clean)
            && out.accepted == inn.taken;
        match inn.seen {
            Some(End::Finished) if !complete => Err("an end looks clean and is not"),
            Some(End::Fault) if out.ending != Some(Ending::Fault) => Err("a fault out of nowhere"),
            Some(End::Fault) if out.accepted != inn.taken => Err("a fault overtook a message"),
            Some(End::Lost) if !self.side(role).lost => Err("lost without loss"),
            Some(_) | None => Ok(()),
        }
    }

    /// The half that this side receives.
    fn half(&self, receiver: Role) -> (&Inbound, &Outbound) {
        match receiver {
            Client => (&self.client.inn, &self.server.out),
            Server => (&self.server.inn, &self.client.out),
        }
    }

    pub(crate) fn both_saw_clean_ends(&self) -> bool {
        let clean = |role| {
            let (inn, _) = self.half(role);
            inn.seen == Some(End::Finished) && inn.taken > 0
        };
        clean(Client) && clean(Server)
    }

    /// What holds in every state.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        for side in [&self.client, &self.server] {
            if side.ends != u8::from(side.is_over()) {
                return Err("a call does not end exactly once"); // R-CALL-4
            }
            if side.lost && side.call.is_some() && !side.is_over() {
                return Err("a call outlived its connection"); // R-CALL-7
            }
            let live = matches!(side.out.state, SenderState::Open | SenderState::Finishing)
                || matches!(side.inn.state, ReceiverState::Open | ReceiverState::Stopped);
            if side.is_over() && live {
                return Err("a half outlived its call"); // R-CALL-4
            }
            if side.available < 0 || side.held() + side.owed > CONNECTION {
                return Err("the connection holds more than its window"); // R-CREDIT-3
            }
        }
        self.check_books(Server)?;
        self.check_books(Client)
    }

    /// R-CREDIT-8, in the direction to this receiver.
    fn check_books(&self, receiver: Role) -> Result<(), &'static str> {
        let (from, to, there, back) = match receiver {
            Server => (&self.client, &self.server, &self.up, &self.down),
            Client => (&self.server, &self.client, &self.down, &self.up),
        };
        if from.lost || to.lost {
            return Ok(());
        }
        let (out, inn) = (&from.out, &to.inn);
        let messages = |frame| match frame {
            Frame::Message(number) => cost(number),
            Frame::Open
            | Frame::Accept
            | Frame::Reject
            | Frame::End(_)
            | Frame::Stop
            | Frame::Credit(_)
            | Frame::ConnectionCredit(_) => 0,
        };
        let charged = |frame| match frame {
            Frame::Open | Frame::End(Ending::Fault) => UNIT,
            other => messages(other),
        };
        let granted = |frame| if let Frame::ConnectionCredit(n) = frame { n } else { 0 };
        let taken = out.queued_cost()
            + if from.answer == Some(Frame::Open) { UNIT } else { 0 }
            + if out.paid { UNIT } else { 0 };
        let on_the_way = there.sum(charged) + back.sum(granted);
        if from.available + taken + on_the_way + to.held() + to.owed != CONNECTION {
            return Err("the connection's credit is not conserved");
        }
        let live = matches!(out.state, SenderState::Open | SenderState::Finishing)
            && inn.state == ReceiverState::Open;
        let granted = |frame| if let Frame::Credit(n) = frame { n } else { 0 };
        let waiting = if out.waiting { cost(out.accepted - 1) } else { 0 };
        let on_the_way = there.sum(messages) + back.sum(granted);
        let half = out.credit + waiting + out.queued_cost() + on_the_way;
        if live && half + inn.inbox_cost() + inn.owed != HALF {
            return Err("a half's credit is not conserved");
        }
        Ok(())
    }

    /// What holds when nothing can move any more but by an application: both ends agree.
    pub(crate) fn check_at_rest(&self) -> Result<(), &'static str> {
        if !self.up.is_empty() || !self.down.is_empty() {
            return Err("a frame is stuck");
        }
        if self.client.lost || self.server.lost {
            return Ok(()); // the other side loses it too, when its transport says so
        }
        let server_over = self.server.call.is_none_or(|state| state == CallState::Over);
        if self.client.is_over() != server_over {
            return Err("the ends differ on whether the call is over");
        }
        if server_over {
            return Ok(());
        }
        if self.client.call != self.server.call {
            return Err("the ends differ on whether the call was answered");
        }
        for (receiver, peer) in [(&self.client, &self.server), (&self.server, &self.client)] {
            let (inn, out) = (&receiver.inn, &peer.out);
            let agree = match out.state {
                SenderState::Open | SenderState::Finishing => inn.state == ReceiverState::Open,
                SenderState::Stopped => inn.state == ReceiverState::Stopped,
                SenderState::Finished => {
                    matches!(inn.state, ReceiverState::Ended | ReceiverState::Done)
                }
                SenderState::Over => false,
            };
            if !agree {
                return Err("the ends differ on whether a half has ended");
            }
            let blocked = out.needs().is_some()
                || (out.state == SenderState::Open && out.left > 0 && out.credit <= 0);
            if blocked && receiver.held() == 0 {
                return Err("a sender waits, and there is nothing to take"); // R-CREDIT-6
            }
        }
        Ok(())
    }
}
