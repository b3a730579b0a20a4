//! Applications on both ends that do what a script says, and check everything they are told.

use core::hash::Hasher;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use bytes::Bytes;
use wirestream_protocol::wire::{Frame, MAX_FAULT};
use wirestream_protocol::{
    CallId, End, Event, Fault, Inbound, Limits, OpenError, Outbound, Outcome, Received, RejectCode,
    Role, Run, SendError, Taken, Violation,
};

use super::{Pair, Rng, number, packet, request};

/// What both applications may do. A pick chooses among the calls that its side knows of.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Open { parameters: u8, arguments: usize },
    Accept { pick: usize },
    Reject { pick: usize },
    Send { role: Role, pick: usize, half: u8, size: usize },
    Finish { role: Role, pick: usize, half: u8, fault: Option<usize> },
    Recv { role: Role, pick: usize, half: u8, count: usize },
    RecvRun { role: Role, pick: usize, half: u8 },
    Stop { role: Role, pick: usize, half: u8 },
    Release { role: Role, pick: usize },
    Close { role: Role },
    Shutdown { role: Role, seconds: u64 },
    Ping { from: Role, times: usize },
    Cut,
    CutAfter { role: Role, packets: usize },
    Stall { role: Role, stalled: bool },
    Pass { millis: u64 },
    Jump { seconds: u64 },
    Step { steps: usize },
    PollEvents { role: Role },
}

/// What messages are made of.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut rng = Rng::new(7);
    (0..(1 << 20)).map(|_| rng.next().to_le_bytes()[0]).collect::<Vec<u8>>().into()
});

/// The message of this place in its half: other places have other bytes.
pub(crate) fn message(call: u32, half: u8, place: usize, size: usize) -> Bytes {
    let place = u64::try_from(place).expect("small");
    let seed = u64::from(call) << 40 | u64::from(half) << 32 | place;
    let start = Rng::new(seed).below((NOISE.len() - size).try_into().expect("positive"));
    let start = usize::try_from(start).expect("small");
    NOISE.slice(start..start + size)
}

/// What is known of one half, on both of its sides.
#[derive(Debug, Default)]
struct HalfLog {
    /// The sizes of the messages that were taken.
    sent: Vec<usize>,
    /// How its sender ended it.
    finished: Option<Result<(), Fault>>,
    /// A `Blocked` that no event has answered yet.
    blocked: bool,
    /// How many messages have come.
    received: usize,
    end: Option<End>,
    /// Its receiver wants no more.
    stopped: bool,
    /// The same, once the call was over: what came before may be told or not.
    stopped_late: bool,
}

/// One side's application.
#[derive(Debug, Default)]
struct Application {
    calls: Vec<CallId>,
    released: BTreeSet<u32>,
    readable: BTreeSet<Inbound>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) pair: Pair,
    halves: BTreeMap<(u32, u8), HalfLog>,
    client: Application,
    server: Application,
    opened: BTreeSet<u32>,
    offered: BTreeSet<u32>,
}

impl World {
    pub(crate) fn new(client: Limits, server: Limits, delay: Duration) -> Self {
        let mut pair = Pair::new(client, server);
        pair.client.link.delay = delay;
        pair.server.link.delay = delay;
        Self {
            pair,
            halves: BTreeMap::new(),
            client: Application::default(),
            server: Application::default(),
            opened: BTreeSet::new(),
            offered: BTreeSet::new(),
        }
    }

    fn application(&mut self, role: Role) -> &mut Application {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    fn pick(&mut self, role: Role, pick: usize) -> Option<CallId> {
        let calls = &self.application(role).calls;
        calls.get(pick.checked_rem(calls.len())?).copied()
    }

    fn pick_outbound(&mut self, role: Role, pick: usize, half: u8) -> Option<Outbound> {
        let id = self.pick(role, pick)?;
        let half = if role == Role::Client { half.max(1) } else { 0 };
        self.pair.end(role).call(id)?.outbound(half)
    }

    fn pick_inbound(&mut self, role: Role, pick: usize, half: u8) -> Option<Inbound> {
        let id = self.pick(role, pick)?;
        let half = if role == Role::Server { half.max(1) } else { 0 };
        self.pair.end(role).call(id)?.inbound(half)
    }

    fn log(&mut self, call: CallId, half: usize) -> &mut HalfLog {
        let half = u8::try_from(half).expect("halves are few");
        self.halves.entry((number(call), half)).or_default()
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        match *op {
            Op::Open { parameters, arguments } => self.open(parameters, arguments),
            Op::Accept { pick } => self.accept(pick),
            Op::Reject { pick } => self.reject(pick),
            Op::Send { role, pick, half, size } => {
                if let Some(half) = self.pick_outbound(role, pick, half) {
                    let _ = self.send(role, half, size);
                }
            }
            Op::Finish { role, pick, half, fault } => {
                if let Some(half) = self.pick_outbound(role, pick, half) {
                    self.finish(role, half, fault);
                }
            }
            Op::Recv { role, pick, half, count } => {
                if let Some(half) = self.pick_inbound(role, pick, half) {
                    for _ in 0..count {
                        self.recv(role, half);
                    }
                }
            }
            Op::RecvRun { role, pick, half } => {
                if let Some(half) = self.pick_inbound(role, pick, half) {
                    self.recv_run(role, half);
                }
            }
            Op::Stop { role, pick, half } => {
                if let Some(half) = self.pick_inbound(role, pick, half) {
                    self.stop(role, half);
                }
            }
            Op::Release { role, pick } => {
                if let Some(id) = self.pick(role, pick) {
                    self.release(role, id);
                }
            }
            Op::Close { role } => self.pair.end(role).close(),
            Op::Shutdown { role, seconds } => {
                let deadline = self.pair.now + Duration::from_secs(seconds);
                self.pair.end(role).shutdown(deadline);
            }
            Op::Ping { from, times } => self.ping(from, times),
            Op::Cut => self.pair.cut(),
            Op::CutAfter { role, packets } => {
                self.pair.end(role).link.cut_after.get_or_insert(packets);
            }
            Op::Stall { role, stalled } => self.pair.end(role).link.stalled = stalled,
            Op::Pass { millis } => self.pair.pass(Duration::from_millis(millis)),
            Op::Jump { seconds } => self.pair.jump(Duration::from_secs(seconds)),
            Op::Step { steps } => {
                self.pair.drive_bounded(steps);
            }
            Op::PollEvents { role } => self.poll_events(role),
        }
        self.pair.check();
    }

    fn open(&mut self, parameters: u8, arguments: usize) {
        let mut request = request(parameters);
        request.arguments = NOISE.slice(..arguments);
        match self.pair.client.open(&request) {
            Ok(id) => {
                self.client.calls.push(id);
                assert!(self.opened.insert(number(id)), "call {id} was opened before");
                assert_eq!(self.pair.client.call(id).and_then(|call| call.outbound(0)), None);
            }
            Err(OpenError::Lost(reason)) => {
                assert_eq!(self.pair.client.closed(), Some(&reason));
            }
            Err(OpenError::GoingAway) => assert!(self.pair.client.is_going_away()),
            Err(OpenError::Busy | OpenError::TooLarge { .. } | OpenError::Parameters) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn accept(&mut self, pick: usize) {
        self.poll_events(Role::Server);
        let Some(id) = self.pick(Role::Server, pick) else { return };
        let Some(mut call) = self.pair.server.call(id) else { return };
        call.take_request();
        let _ = call.accept(); // an error if it was answered before
    }

    fn reject(&mut self, pick: usize) {
        let Some(id) = self.pick(Role::Server, pick) else { return };
        let Some(mut call) = self.pair.server.call(id) else { return };
        let _ = call.reject(RejectCode::Forbidden); // an error if it was answered before
    }

    pub(crate) fn send(&mut self, role: Role, id: Outbound, size: usize) -> Result<(), SendError> {
        let place = self.log(id.call(), id.index()).sent.len();
        let half = u8::try_from(id.index()).expect("halves are few");
        let message = message(number(id.call()), half, place, size);
        let sent = match place % 2 {
            0 => self.pair.end(role).send(id, message),
            _ => self.pair.end(role).send(id, &message[..]),
        };
        let closed = self.pair.end(role).closed().cloned();
        let log = self.log(id.call(), id.index());
        match &sent {
            Ok(()) => {
                assert_eq!(log.finished, None, "{id} took a message after its end");
                log.sent.push(size);
            }
            Err(SendError::Blocked) => log.blocked = true,
            Err(SendError::Finished) => assert!(log.finished.is_some()),
            Err(SendError::Stopped | SendError::CallOver | SendError::TooLarge { .. }) => {}
            Err(SendError::Lost(reason)) => assert_eq!(closed.as_ref(), Some(reason)),
            Err(error) => panic!("{error}"),
        }
        sent
    }

    fn finish(&mut self, role: Role, id: Outbound, fault: Option<usize>) {
        let was_open = self.pair.end(role).is_sendable(id);
        let end = fault.map_or(Ok(()), |size| {
            Err(match size {
                0 => Fault::Failed,
                1 => Fault::Cancelled,
                2 => Fault::Revoked,
                _ => Fault::App(NOISE.slice(..size)),
            })
        });
        let finished = self.pair.end(role).finish(id, end.clone());
        let log = self.log(id.call(), id.index());
        if was_open {
            assert_eq!(finished, Ok(()));
            assert_eq!(log.finished, None);
            log.finished = Some(end);
            log.blocked = false;
        } else if finished.is_err() {
            assert_eq!(finished, Err(SendError::Finished));
            assert!(log.finished.is_some());
        }
    }

    fn got(&mut self, id: Inbound, bytes: &[u8]) {
        let half = u8::try_from(id.index()).expect("halves are few");
        let log = self.log(id.call(), id.index());
        assert!(!log.stopped, "{id} gave a message after it was stopped");
        assert_eq!(log.end, None, "{id} gave a message after its end");
        let place = log.received;
        let size = *log.sent.get(place).expect("what comes was sent");
        log.received += 1;
        assert_eq!(bytes.len(), size, "message {place} of {id}");
        assert!(bytes == message(number(id.call()), half, place, size), "message {place} of {id}");
    }

    fn stop(&mut self, role: Role, id: Inbound) {
        let was_over = self.pair.end(role).is_over(id.call());
        self.pair.end(role).stop(id);
        let log = self.log(id.call(), id.index());
        log.end = None; // of a half that is stopped nothing more is told
        match was_over {
            false => log.stopped = true,
            true => log.stopped_late = true,
        }
        self.recv(role, id);
    }

    /// Takes one message or the end. Whether there may be more.
    fn recv(&mut self, role: Role, id: Inbound) -> bool {
        match self.pair.end(role).recv(id) {
            Some(Received::Message(message)) => {
                self.got(id, &message);
                true
            }
            Some(Received::End(end)) => {
                self.ended(role, id, end);
                false
            }
            None => false,
        }
    }

    fn recv_run(&mut self, role: Role, id: Inbound) {
        let mut run = Run::new();
        match self.pair.end(role).recv_run(id, &mut run) {
            Taken::Messages => {
                while let Some(message) = run.next_message() {
                    let message = Bytes::copy_from_slice(message);
                    self.got(id, &message);
                }
            }
            Taken::End(end) => self.ended(role, id, end),
            Taken::Nothing => {}
        }
    }

    /// A half's end is true to what its sender did, and stays.
    fn ended(&mut self, role: Role, id: Inbound, end: End) {
        let closed = self.pair.end(role).closed().cloned();
        let over = self.pair.end(role).is_over(id.call());
        let log = self.log(id.call(), id.index());
        if let Some(before) = &log.end {
            assert_eq!(before, &end, "the end of {id} changed");
            return;
        }
        log.end = Some(end.clone());
        if log.stopped {
            assert_eq!(end, End::CallOver);
        }
        if log.stopped || log.stopped_late {
            return;
        }
        match end {
            End::Finished => {
                assert_eq!(log.finished, Some(Ok(())), "{id} finished by itself");
                assert_eq!(log.received, log.sent.len(), "{id} is not complete");
            }
            End::Fault(fault) => {
                let sent = match log.finished.clone().and_then(Result::err) {
                    Some(Fault::App(payload)) if payload.len() > MAX_FAULT => Some(Fault::Failed),
                    sent => sent,
                };
                assert_eq!(sent, Some(fault)); // R-ERROR-2
                assert_eq!(log.received, log.sent.len(), "{id} is not complete");
            }
            End::Rejected(_) | End::CallOver => assert!(over, "{id} ended ahead of its call"),
            End::Lost(reason) => assert_eq!(Some(reason), closed),
            end => panic!("{end:?}"),
        }
    }

    fn release(&mut self, role: Role, id: CallId) {
        let was_over = self.pair.end(role).is_over(id);
        let reply = match role {
            Role::Client => None,
            Role::Server => self.pair.server.call(id).and_then(|call| call.outbound(0)),
        };
        let reply = reply.filter(|&reply| self.pair.server.is_sendable(reply));
        self.pair.end(role).release(id);
        let application = self.application(role);
        application.calls.retain(|&call| call != id);
        application.readable.retain(|half| half.call() != id);
        application.released.insert(number(id));
        if let (false, Some(reply)) = (was_over, reply) {
            self.log(id, reply.index()).finished.get_or_insert(Err(Fault::Failed));
        }
        for half in 0..=u8::MAX {
            let Some(log) = self.halves.get_mut(&(number(id), half)) else { continue };
            let receives = (half == 0) == (role == Role::Client);
            log.stopped |= receives;
            log.blocked &= receives;
        }
    }

    /// Pings that the connection would not have sent by itself.
    fn ping(&mut self, from: Role, times: usize) {
        let now = self.pair.now;
        let to = match from {
            Role::Client => &mut self.pair.server,
            Role::Server => &mut self.pair.client,
        };
        if to.is_established() {
            to.handle_message(packet(&vec![Frame::Ping; times.max(1)]), now);
        }
    }

    pub(crate) fn poll_events(&mut self, role: Role) {
        while let Some(event) = self.pair.end(role).next_event() {
            match event {
                Event::Incoming(id) => {
                    assert!(self.offered.insert(number(id)), "call {id} came twice");
                    self.server.calls.push(id);
                }
                Event::Accepted(id) => assert!(self.opened.contains(&number(id))),
                Event::Readable(id) => {
                    if !self.application(role).released.contains(&number(id.call())) {
                        self.application(role).readable.insert(id);
                    }
                }
                Event::Writable(id) | Event::Stopped(id) => {
                    self.log(id.call(), id.index()).blocked = false;
                }
                Event::Ended(id, outcome) => self.call_ended(role, id, &outcome),
                Event::Closed(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    fn call_ended(&mut self, role: Role, id: CallId, outcome: &Outcome) {
        let closed = self.pair.end(role).closed().cloned();
        let reply = &self.log(id, 0).finished;
        match outcome {
            Outcome::Finished => assert_eq!(reply, &Some(Ok(()))),
            Outcome::Failed => assert!(matches!(reply, Some(Err(_)))),
            Outcome::Rejected(_) | Outcome::Cancelled => {}
            Outcome::Lost(reason) => assert_eq!(Some(reason), closed.as_ref()),
            outcome => panic!("{outcome:?}"),
        }
    }

    /// The faults stop, every call is accepted, everything is read, as the events say. Then
    /// everything that was taken has come, and nobody waits who was not told to go on.
    pub(crate) fn settle(&mut self) {
        for role in [Role::Client, Role::Server] {
            self.pair.end(role).link.stalled = false;
            for half in self.inbounds(role) {
                self.application(role).readable.insert(half);
            }
        }
        loop {
            self.pair.drive();
            for role in [Role::Client, Role::Server] {
                self.poll_events(role);
            }
            for pick in 0..self.server.calls.len() {
                self.accept(pick);
            }
            let mut read = false;
            for role in [Role::Client, Role::Server] {
                for half in core::mem::take(&mut self.application(role).readable) {
                    read = true;
                    while self.recv(role, half) {}
                }
            }
            if !read && self.pair.drive_bounded(1) {
                break;
            }
        }
        for role in [Role::Client, Role::Server] {
            for half in self.inbounds(role) {
                self.check_delivery(role, half);
            }
        }
        for (id, log) in &self.halves {
            assert!(!log.blocked, "half {id:?} was never told to go on");
        }
    }

    fn inbounds(&mut self, role: Role) -> Vec<Inbound> {
        let mut halves = Vec::new();
        for id in self.application(role).calls.clone() {
            let Some(call) = self.pair.end(role).call(id) else { continue };
            halves.extend((0..=u8::MAX).filter_map(|half| call.inbound(half)));
        }
        halves
    }

    fn check_delivery(&mut self, role: Role, half: Inbound) {
        let parts = self.pair.client.closed().is_some() || self.pair.server.closed().is_some();
        let outcome = self.pair.end(role).ended.get(&number(half.call())).cloned();
        let whole = match (role, outcome) {
            (_, None) => !parts,
            (Role::Client, Some(Outcome::Finished | Outcome::Failed)) => true,
            (_, Some(_)) => false,
        };
        let log = self.log(half.call(), half.index());
        if whole && !log.stopped && !log.stopped_late {
            assert_eq!(log.received, log.sent.len(), "{half} is not complete at rest");
            assert_eq!(log.end.is_some(), log.finished.is_some(), "the end of {half}");
        }
    }

    /// Everything is closed. Every call has ended exactly once on each side that knew of it, the
    /// connections exactly once and last, and nothing is left to do.
    pub(crate) fn finish_all(&mut self) {
        self.poll_events(Role::Server);
        for role in [Role::Client, Role::Server] {
            self.pair.end(role).link.stalled = false;
        }
        self.pair.client.close();
        self.pair.drive();
        for role in [Role::Client, Role::Server] {
            self.poll_events(role);
            for half in self.inbounds(role) {
                while self.recv(role, half) {}
                self.recv(role, half);
                assert!(self.log(half.call(), half.index()).end.is_some(), "{half} has no end");
            }
            self.check_errors(role);
            for id in self.application(role).calls.clone() {
                self.release(role, id);
            }
            self.poll_events(role);
            let now = self.pair.now;
            let end = self.pair.end(role);
            assert_eq!(end.over.as_ref(), end.closed());
            assert!(end.over.is_some(), "the {role:?} was never told of the end");
            assert_eq!(end.calls(), 0);
            assert_eq!(end.poll_timeout(), None);
            end.transmit(now); // the last packet, if the link did not take it
            assert_eq!(end.poll_transmit(now), None);
            assert!(!end.has_transmit(), "nothing is transmitted after the end");
            assert_eq!(end.buffered(), 0);
        }
        assert!(self.pair.client.ended.keys().eq(&self.opened), "each opened call ends once");
        assert!(self.pair.server.ended.keys().eq(&self.offered), "each offered call ends once");
        for (call, here) in &self.pair.client.ended {
            agree(here, self.pair.server.ended.get(call));
        }
    }

    /// The first reason stays, whatever happens later, and every verb answers as it did before.
    fn check_errors(&mut self, role: Role) {
        let later = self.pair.now + Duration::from_secs(1_000_000);
        let outs: Vec<Outbound> = {
            let ids = self.application(role).calls.clone();
            let end = self.pair.end(role);
            let halves = ids.into_iter().filter_map(|id| {
                let call = end.call(id)?;
                Some((0..=u8::MAX).filter_map(|half| call.outbound(half)).collect::<Vec<_>>())
            });
            halves.flatten().collect()
        };
        let end = self.pair.end(role);
        let reason = end.closed().cloned().expect("it is over");
        let answers: Vec<_> = outs.iter().map(|&half| end.send(half, b"x")).collect();
        assert!(answers.iter().all(Result::is_err));
        end.close();
        end.handle_eof();
        end.handle_stall();
        end.handle_violation(Violation::TextMessage);
        end.handle_message(packet(&[Frame::Ping]), later);
        end.handle_timeout(later);
        end.shutdown(later);
        assert_eq!(end.closed(), Some(&reason));
        let again: Vec<_> = outs.iter().map(|&half| end.send(half, b"x")).collect();
        assert_eq!(answers, again);
        assert_eq!(end.open(&request(0)), Err(OpenError::Lost(reason)));
    }

    /// All packets that both ends have sent, in short.
    pub(crate) fn digests(&self) -> [u64; 2] {
        [&self.pair.client, &self.pair.server].map(|end| end.link.digest.finish())
    }

    /// Polls that nobody asked for, and deadlines that are not due.
    pub(crate) fn poll_needlessly(&mut self, rng: &mut Rng) {
        let now = self.pair.now;
        for role in [Role::Client, Role::Server] {
            let end = self.pair.end(role);
            if rng.chance(2) {
                end.poll_ahead();
            }
            if rng.chance(2) && end.poll_timeout().is_some_and(|due| due > now) {
                end.handle_timeout(now);
            }
            if !end.has_transmit() {
                assert_eq!(end.poll_transmit(now), None);
            }
        }
    }
}

/// Caller and callee may differ only where they could not know.
fn agree(caller: &Outcome, callee: Option<&Outcome>) {
    use Outcome::{Cancelled, Failed, Finished, Lost, Rejected};
    let fine = matches!(
        (caller, callee),
        (Finished, Some(Finished))
            | (Failed, Some(Failed))
            | (Rejected(_), None | Some(Rejected(_)))
            | (Cancelled | Lost(_), _)
    );
    assert!(fine, "the caller saw {caller:?}, the callee {callee:?}");
}
