//! Two ends, a wire each way, and all that may happen.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::time::Duration;

use super::side::{Acted, Checked, Ending, Receiving, Side, Talk, message};
use crate::{End, Fault, OpenError, Outcome, Received, Request, Role, Time};

use Role::{Client, Server};

/// What there is in the world, and what may happen in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    /// How many calls are opened, and how many of them the server takes at a time.
    pub(super) calls: u8,
    pub(super) at_a_time: u8,
    pub(super) parameters: u8,
    /// How many messages a parameter and a reply have at most.
    pub(super) up: u8,
    pub(super) down: u8,
    /// Faults beside clean ends, refusals, stops, and calls that are let go of at any time.
    pub(super) unkind: bool,
    /// `GoAway`, and an end in order, of either side at any time.
    pub(super) away: bool,
    /// The transport may break at any time, on either side first.
    pub(super) breaks: bool,
}

/// What may happen next. Calls and halves by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Open,
    Accept(usize),
    Reject(usize),
    Send(Role, usize, usize),
    Finish(Role, usize, usize, Ending),
    Take(Role, usize, usize),
    Stop(Role, usize, usize),
    Release(Role, usize),
    Shutdown(Role),
    Close(Role),
    /// One packet leaves.
    Transmit(Role),
    /// One packet arrives.
    Deliver(Role),
    /// The peer has said its last, and the transport ends.
    Eof(Role),
    /// This end loses the transport; what is under way is gone.
    Break(Role),
}

impl Action {
    /// Whether it happens by itself.
    pub(super) fn is_network(self) -> bool {
        matches!(self, Self::Transmit(_) | Self::Deliver(_) | Self::Eof(_))
    }
}

#[derive(Clone, Debug)]
pub(super) struct World {
    plan: Plan,
    client: Side,
    server: Side,
    /// Nothing is carried any more.
    broken: bool,
}

fn other(role: Role) -> Role {
    match role {
        Client => Server,
        Server => Client,
    }
}

impl World {
    /// A connection that is established and has no call.
    pub(super) fn new(plan: Plan) -> Self {
        let (client, server) = (Side::new(Client, &plan), Side::new(Server, &plan));
        let mut world = Self { plan, client, server, broken: false };
        for role in [Client, Server] {
            assert_eq!(world.act(Action::Transmit(role)), Ok(true));
            assert_eq!(world.act(Action::Deliver(other(role))), Ok(true));
        }
        world.client.shrink();
        world.server.shrink();
        world
    }

    fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Client => &mut self.client,
            Server => &mut self.server,
        }
    }

    fn view(&self, role: Role) -> &Side {
        match role {
            Client => &self.client,
            Server => &self.server,
        }
    }

    /// Everything that may be worth a try.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let plan = &self.plan;
        for role in [Client, Server] {
            let network = [Action::Transmit(role), Action::Deliver(role), Action::Eof(role)];
            actions.extend(network);
            for (call, talk) in self.view(role).talks.iter().enumerate() {
                if role == Server && !talk.accepted {
                    actions.push(Action::Accept(call));
                    actions.extend(plan.unkind.then_some(Action::Reject(call)));
                }
                for place in 0..talk.sending.len() {
                    actions.push(Action::Send(role, call, place));
                    actions.push(Action::Finish(role, call, place, Ending::Clean));
                    let fault = Action::Finish(role, call, place, Ending::Fault);
                    actions.extend(plan.unkind.then_some(fault));
                }
                for place in 0..talk.receiving.len() {
                    actions.push(Action::Take(role, call, place));
                    actions.extend(plan.unkind.then_some(Action::Stop(role, call, place)));
                }
                if plan.unkind || talk.outcome.is_some() {
                    actions.push(Action::Release(role, call));
                }
            }
            if plan.away {
                actions.extend([Action::Shutdown(role), Action::Close(role)]);
            }
            actions.extend(plan.breaks.then_some(Action::Break(role)));
        }
        actions.push(Action::Open);
        actions
    }

    /// Does something, if it can be done here: otherwise nothing changes. Whether it was done, or
    /// what is wrong with what came of it.
    pub(super) fn act(&mut self, action: Action) -> Acted {
        if !self.try_act(action)? {
            return Ok(false);
        }
        let parameters = self.plan.parameters;
        self.client.hear(parameters)?;
        self.server.hear(parameters)?;
        self.conserves(Client)?;
        self.conserves(Server)?;
        Ok(true)
    }

    fn try_act(&mut self, action: Action) -> Acted {
        match action {
            Action::Open => self.open(),
            Action::Accept(call) => self.server.answer(call, true),
            Action::Reject(call) => self.server.answer(call, false),
            Action::Send(role, call, place) => {
                let most = if role == Client { self.plan.up } else { self.plan.down };
                self.side(role).send(call, place, most)
            }
            Action::Finish(role, call, place, ending) => {
                self.side(role).finish(call, place, ending)
            }
            Action::Take(role, call, place) => self.take(role, call, place),
            Action::Stop(role, call, place) => self.side(role).stop(call, place),
            Action::Release(role, call) => Ok(self.side(role).release(call)),
            Action::Shutdown(role) => {
                let side = self.side(role);
                let does = !side.shut && !side.over;
                if does {
                    side.shut = true;
                    side.connection.shutdown(Time::ZERO + Duration::from_secs(60));
                }
                Ok(does)
            }
            Action::Close(role) => {
                let does = !self.view(role).over;
                self.side(role).connection.close();
                Ok(does)
            }
            Action::Transmit(_) if self.broken => Ok(false),
            Action::Transmit(role) => self.side(role).transmit(),
            Action::Deliver(role) => {
                let packet = self.side(other(role)).wire.pop_front();
                let does = packet.is_some();
                if let Some(packet) = packet {
                    self.side(role).connection.handle_message(packet, Time::ZERO);
                }
                Ok(does)
            }
            Action::Eof(role) => {
                let does = !self.view(role).over && self.has_ended(other(role));
                if does {
                    self.side(role).connection.handle_eof();
                }
                Ok(does)
            }
            Action::Break(role) => {
                let does = !self.broken;
                if does {
                    self.broken = true;
                    self.client.wire.clear();
                    self.server.wire.clear();
                    self.side(role).connection.handle_eof();
                }
                Ok(does)
            }
        }
    }

    fn open(&mut self) -> Acted {
        let parameters = self.plan.parameters;
        if self.client.talks.len() == usize::from(self.plan.calls) {
            return Ok(false);
        }
        let request = Request { method: "m".into(), parameters, ..Request::default() };
        match self.client.connection.open(&request) {
            Ok(id) => self.client.talks.push(Talk::new(id, Client, parameters)),
            Err(OpenError::GoingAway | OpenError::Lost(_)) => return Ok(false),
            Err(_) => return Err("a call that may be opened is refused here"),
        }
        Ok(true)
    }

    fn take(&mut self, role: Role, call: usize, place: usize) -> Acted {
        let side = self.side(role);
        let talk = &side.talks[call];
        let Receiving { waits, end, .. } = &talk.receiving[place];
        if !talk.is_usable(role) || *waits || end.is_some() {
            return Ok(false);
        }
        let id = side.inbound(call, place).ok_or("a half is not there")?;
        let received = side.connection.recv(id);
        self.received(role, call, place, received)?;
        Ok(true)
    }

    /// Whether nothing more comes from an end.
    fn has_ended(&self, role: Role) -> bool {
        let side = self.view(role);
        self.broken || (side.over && side.wire.is_empty() && !side.connection.has_transmit())
    }

    /// R-MSG-4, R-HALF-3: an exact prefix, then an end that says what is true.
    fn received(
        &mut self,
        role: Role,
        call: usize,
        place: usize,
        received: Option<Received>,
    ) -> Checked {
        let id = self.view(role).talks[call].id;
        let peer = self.view(other(role)).talks.iter().find(|talk| talk.id.wire == id.wire);
        let sent = peer.map(|talk| talk.sending[place].clone()).unwrap_or_default();
        let was_let_go = peer.is_some_and(|talk| talk.released);
        let over = self.view(role).over;
        let talk = &mut self.side(role).talks[call];
        let receiving = &mut talk.receiving[place];
        let whole = receiving.count == sent.taken;
        match received {
            None => receiving.waits = true,
            Some(Received::Message(found)) => {
                if receiving.count >= sent.taken || *found != *message(receiving.count) {
                    return Err("not a prefix of what was sent");
                }
                receiving.count += 1;
            }
            Some(Received::End(end)) => {
                let true_to = match &end {
                    End::Finished => whole && sent.ending == Some(Ending::Clean),
                    End::Fault(Fault::App(_)) => whole && sent.ending == Some(Ending::Fault),
                    // One that let go of the call.
                    End::Fault(_) => whole && was_let_go,
                    End::Rejected(_) => matches!(talk.outcome, Some(Outcome::Rejected(_))),
                    End::CallOver => receiving.stopped || talk.outcome.is_some(),
                    End::Lost(_) => over,
                };
                if !true_to {
                    return Err("an end that is none");
                }
                receiving.end = Some(end);
            }
        }
        Ok(())
    }

    /// R-CREDIT-8: in the direction to this receiver, credit is neither made nor, where nothing is
    /// under way, lost.
    fn conserves(&self, receiver: Role) -> Checked {
        let (to, from) = (self.view(receiver), self.view(other(receiver)));
        if to.over || from.over || !to.connection.is_established() {
            return Ok(());
        }
        let (available, _, _) = from.connection.credit_books();
        let (_, held, owed) = to.connection.credit_books();
        let window = i64::from(to.connection.limits().connection_window);
        let sum = available + i64::try_from(held + owed).expect("small");
        let is_quiet =
            [to, from].iter().all(|side| side.wire.is_empty() && !side.connection.has_transmit());
        if sum > window || (is_quiet && !self.broken && sum < window) {
            return Err("the connection's credit is not conserved");
        }
        Ok(())
    }

    /// What holds where nothing happens any more by itself: both ends agree.
    pub(super) fn agrees(&self) -> Checked {
        if self.client.over || self.server.over || self.broken {
            return Ok(());
        }
        for talk in &self.client.talks {
            let there = self.server.talks.iter().find(|there| there.id.wire == talk.id.wire);
            let is_over = there.map(|there| there.outcome.is_some());
            let agree = match (&talk.outcome, there.and_then(|there| there.outcome.as_ref())) {
                (None, there) => there.is_none(),
                // It may have gone wrong for the callee, or right, before it heard of that.
                (Some(Outcome::Cancelled), _) => is_over != Some(false),
                // A callee may refuse a call without a word to its application.
                (Some(Outcome::Rejected(_)), None) => is_over.is_none(),
                (Some(here), Some(there)) => here == there,
                (Some(_), None) => false,
            };
            if !agree {
                return Err("the ends differ on how a call has ended");
            }
        }
        Ok(())
    }

    /// From here on both applications do no more than end well what there is, and both connections
    /// come to rest with nothing left.
    pub(super) fn settles(mut self, done: &mut Vec<Action>) -> Checked {
        for _ in 0..300 {
            let mut moved = false;
            for action in self.actions() {
                let is_kind = match action {
                    Action::Transmit(_)
                    | Action::Deliver(_)
                    | Action::Eof(_)
                    | Action::Accept(_)
                    | Action::Take(..)
                    | Action::Finish(_, _, _, Ending::Clean) => true,
                    Action::Release(role, call) => {
                        let talk = &self.view(role).talks[call];
                        let are_read = talk.receiving.iter().all(|half| half.end.is_some());
                        talk.outcome.is_some() && (are_read || !talk.is_usable(role))
                    }
                    Action::Open
                    | Action::Send(..)
                    | Action::Finish(_, _, _, Ending::Fault)
                    | Action::Reject(_)
                    | Action::Stop(..)
                    | Action::Shutdown(_)
                    | Action::Close(_)
                    | Action::Break(_) => false,
                };
                if is_kind && self.act(action)? {
                    done.push(action);
                    moved = true;
                }
            }
            if !moved {
                return self.is_clean();
            }
        }
        Err("it never comes to rest")
    }

    fn is_clean(&self) -> Checked {
        for side in [&self.client, &self.server] {
            let connection = &side.connection;
            if side.talks.iter().any(|talk| talk.outcome.is_none() || !talk.released) {
                return Err("a call never ends");
            }
            let left = connection.calls() + connection.buffered();
            if left > 0 || connection.held() > 0 || (connection.has_transmit() && !self.broken) {
                return Err("something is left");
            }
        }
        if self.client.over != self.server.over {
            return Err("one end is over, and the other is not");
        }
        Ok(())
    }

    /// Stands for all that can make a difference later.
    pub(super) fn hash(&self, state: &mut impl Hasher) {
        self.client.hash_into(state);
        self.server.hash_into(state);
        self.broken.hash(state);
    }
}
