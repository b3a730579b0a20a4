//! Two connections, a link between them and a clock, all virtual and all deterministic.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod ends;
pub(crate) mod script;

use core::hash::Hash;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::hash::DefaultHasher;

use bytes::{Bytes, BytesMut};
use wirestream_protocol::wire::{Frame, Hello, frames};
use wirestream_protocol::{
    Announced, CallId, CloseReason, Config, Connection, Event, Inbound, Limits, Outbound, Outcome,
    Request, Role, Time,
};

/// The connection's window that a sender may rely on before it has read its peer's `Hello`.
pub(crate) const CONNECTION_FLOOR: u32 = 16 * 1024;

/// A small generator of numbers (splitmix64): the same seed, the same numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

/// One direction of the transport: keeps the order, delays, stalls, breaks where it is told to.
#[derive(Debug, Default)]
pub(crate) struct Link {
    packets: VecDeque<(Time, Bytes)>,
    pub(crate) delay: Duration,
    /// It takes nothing more at this time; what is in it still arrives.
    pub(crate) stalled: bool,
    /// How many packets it still takes before the transport breaks.
    pub(crate) cut_after: Option<usize>,
    cut: bool,
    /// How many packets it has taken.
    pub(crate) taken: usize,
    /// All that it has taken, in short.
    pub(crate) digest: DefaultHasher,
}

impl Link {
    fn takes(&self) -> bool {
        !self.stalled && !self.cut
    }

    fn put(&mut self, packet: Bytes, now: Time) {
        self.taken += 1;
        packet.hash(&mut self.digest);
        self.packets.push_back((now + self.delay, packet));
        if let Some(left) = &mut self.cut_after {
            *left = left.saturating_sub(1);
            self.cut = *left == 0;
        }
    }

    fn due(&self) -> Option<Time> {
        self.packets.front().map(|&(due, _)| due)
    }

    fn get(&mut self, now: Time) -> Option<Bytes> {
        if self.due()? > now {
            return None;
        }
        self.packets.pop_front().map(|(_, packet)| packet)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

/// One end of the pair: a connection, the link that it sends on, and what its events have said.
#[derive(Debug)]
pub(crate) struct Endpoint {
    connection: Connection,
    pub(crate) link: Link,
    /// How each call ended, by the wire's number.
    pub(crate) ended: BTreeMap<u32, Outcome>,
    pub(crate) over: Option<CloseReason>,
    /// Events that were taken ahead of their time.
    ahead: VecDeque<Event>,
}

impl Deref for Endpoint {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Endpoint {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Endpoint {
    pub(crate) fn new(role: Role, limits: Limits) -> Self {
        let config = Config { limits, token: None };
        Self {
            connection: Connection::new(role, config, Time::ZERO).expect("the limits are valid"),
            link: Link::default(),
            ended: BTreeMap::new(),
            over: None,
            ahead: VecDeque::new(),
        }
    }

    /// Takes the events from the connection now, for whoever asks for them later.
    pub(crate) fn poll_ahead(&mut self) {
        self.ahead.extend(core::iter::from_fn(|| self.connection.poll_event()));
    }

    /// Takes the next event. Each call ends once, the connection once and last.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let event = self.ahead.pop_front().or_else(|| self.connection.poll_event())?;
        assert_eq!(self.over, None, "{event:?} came after the connection's end");
        if let Event::Ended(id, outcome) = &event {
            let before = self.ended.insert(number(*id), outcome.clone());
            assert_eq!(before, None, "call {id} ended twice");
        }
        if let Event::Closed(reason) = &event {
            assert_eq!(self.connection.closed(), Some(reason));
            self.over = Some(reason.clone());
        }
        Some(event)
    }

    /// Takes all events.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.next_event()).collect()
    }

    /// Takes all packets, as one; nobody gets them.
    pub(crate) fn transmit(&mut self, now: Time) -> Bytes {
        let packets = core::iter::from_fn(|| self.connection.poll_transmit(now));
        packets.flatten().collect()
    }

    pub(crate) fn outbound(&mut self, id: CallId, half: u8) -> Outbound {
        self.call(id).and_then(|call| call.outbound(half)).expect("the call has this half")
    }

    pub(crate) fn inbound(&mut self, id: CallId, half: u8) -> Inbound {
        self.call(id).and_then(|call| call.inbound(half)).expect("the call has this half")
    }

    /// What this end may have sent and the peer not yet taken, while it does not know better.
    fn window_of(&self, peer: &Connection) -> i64 {
        match self.is_established() {
            true => peer.limits().connection_window.into(),
            false => CONNECTION_FLOOR.into(),
        }
    }
}

/// A client and a server with a link between them.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) now: Time,
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
}

impl Pair {
    pub(crate) fn new(client: Limits, server: Limits) -> Self {
        Self {
            now: Time::ZERO,
            client: Endpoint::new(Role::Client, client),
            server: Endpoint::new(Role::Server, server),
        }
    }

    /// With the default limits, and both `Hello`s exchanged.
    pub(crate) fn established() -> Self {
        let mut pair = Self::new(Limits::default(), Limits::default());
        pair.drive();
        pair
    }

    pub(crate) fn end(&mut self, role: Role) -> &mut Endpoint {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// At most one packet leaves each end, and at most one arrives there. Whether any did.
    pub(crate) fn step(&mut self) -> bool {
        let mut moved = false;
        for role in [Role::Client, Role::Server] {
            moved |= self.transmit(role);
        }
        for role in [Role::Client, Role::Server] {
            moved |= self.deliver(role);
        }
        self.check();
        moved
    }

    /// Until nothing moves, letting the links' delays pass, but no deadline of the connections.
    pub(crate) fn drive(&mut self) {
        assert!(self.drive_bounded(100_000), "the two ends never come to rest");
    }

    /// The same for so many steps. Whether it came to rest.
    pub(crate) fn drive_bounded(&mut self, steps: usize) -> bool {
        for _ in 0..steps {
            if !self.step() {
                let Some(arrival) = self.next_arrival() else { return true };
                self.now = self.now.max(arrival);
            }
        }
        false
    }

    /// Lets time pass, with all that happens by itself in it.
    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            while self.step() {}
            let next = self.next_arrival().into_iter().chain(self.next_deadline()).min();
            let Some(next) = next.filter(|&next| next <= until) else { break };
            self.now = self.now.max(next);
            self.handle_timeouts();
        }
        self.now = self.now.max(until);
    }

    /// Time jumps, and nobody was there to see it pass.
    pub(crate) fn jump(&mut self, span: Duration) {
        self.now = self.now + span;
        self.handle_timeouts();
    }

    /// The transport breaks, and what was on its way is lost.
    pub(crate) fn cut(&mut self) {
        for end in [&mut self.client, &mut self.server] {
            end.link.packets.clear();
            end.link.cut = true;
            end.handle_eof();
        }
    }

    /// What holds at every moment: the books of credit, the bounds, the peace.
    pub(crate) fn check(&self) {
        for end in [&self.client, &self.server] {
            assert_eq!(end.audit(), Ok(()));
            let (_, held, owed) = end.credit_books();
            let window = u64::from(end.limits().connection_window);
            assert!(held + owed <= window, "{held} held and {owed} owed of {window}");
            if let Some(reason @ (CloseReason::Violation(_) | CloseReason::Accused(_))) =
                end.closed()
            {
                panic!("an honest {:?} was accused: {reason}", end.role());
            }
        }
        self.conserves(&self.client, &self.server);
        self.conserves(&self.server, &self.client);
    }

    /// R-CREDIT-8: nothing of the window is lost or made. With everything transmitted and nothing
    /// on its way, what the sender has and the receiver holds and owes is the window.
    fn conserves(&self, sender: &Endpoint, receiver: &Endpoint) {
        if sender.closed().is_some() || receiver.closed().is_some() {
            return;
        }
        let (available, _, _) = sender.credit_books();
        let (_, held, owed) = receiver.credit_books();
        let sum = available + i64::try_from(held + owed).expect("far below");
        let window = sender.window_of(receiver);
        assert!(sum <= window, "credit was made: {available} + {held} + {owed} > {window}");
        let quiet = sender.link.is_empty() && receiver.link.is_empty() && !sender.has_transmit();
        if quiet {
            assert_eq!(sum, window, "credit was lost: {available} + {held} + {owed}");
        }
    }

    /// When the next packet arrives.
    fn next_arrival(&self) -> Option<Time> {
        [self.client.link.due(), self.server.link.due()].into_iter().flatten().min()
    }

    /// When the next deadline of an end passes.
    fn next_deadline(&self) -> Option<Time> {
        [self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min()
    }

    fn handle_timeouts(&mut self) {
        let now = self.now;
        for end in [&mut self.client, &mut self.server] {
            end.handle_timeout(now);
            let next = end.poll_timeout();
            assert!(
                next.is_none_or(|next| next > now),
                "a deadline at {next:?} stays due at {now}"
            );
        }
        self.check();
    }

    fn transmit(&mut self, role: Role) -> bool {
        let now = self.now;
        let end = self.end(role);
        if !end.link.takes() {
            return false;
        }
        let busy = end.has_transmit();
        let packet = end.poll_transmit(now);
        assert!(busy || packet.is_none(), "a packet from an end that has nothing to transmit");
        let last = end.closed().is_some();
        if let Some(packet) = &packet {
            end.link.put(packet.clone(), now);
        }
        end.link.cut |= last; // the last packet, then the transport's end
        packet.is_some()
    }

    fn deliver(&mut self, to: Role) -> bool {
        let now = self.now;
        let from = match to {
            Role::Client => &mut self.server,
            Role::Server => &mut self.client,
        };
        if let Some(packet) = from.link.get(now) {
            self.end(to).handle_message(packet, now);
            return true;
        }
        let broken = from.link.cut && from.link.is_empty();
        let end = self.end(to);
        if broken && end.closed().is_none() {
            end.handle_eof();
            end.link.cut = true;
            return true;
        }
        false
    }
}

/// The number that the wire carries for a call.
pub(crate) fn number(id: CallId) -> u32 {
    id.to_string().parse().expect("a call id displays its number")
}

/// The packet of these frames.
pub(crate) fn packet(frames: &[Frame<'_>]) -> Bytes {
    let mut packet = BytesMut::new();
    for frame in frames {
        frame.encode(&mut packet);
    }
    packet.freeze()
}

/// The frames of a packet that an honest endpoint made.
pub(crate) fn parsed(packet: &[u8]) -> Vec<Frame<'_>> {
    frames(packet).collect::<Result<_, _>>().expect("an honest packet")
}

pub(crate) fn announced(limits: &Limits) -> Announced {
    Announced {
        message: limits.message,
        chunk: limits.chunk,
        request: limits.request,
        half_window: limits.first_half_window(),
        connection_window: limits.connection_window,
        calls: limits.calls,
        parameters: limits.parameters,
    }
}

pub(crate) fn hello(limits: &Limits) -> Frame<'static> {
    Frame::Hello(Hello::V1 { minor: 0, limits: announced(limits), token: None })
}

/// A request with so many parameter halves.
pub(crate) fn request(parameters: u8) -> Request {
    Request { method: "Test.method".into(), parameters, ..Request::default() }
}

/// Every limit that has a floor at its floor.
pub(crate) fn floor_limits() -> Limits {
    Limits {
        message: 4096,
        chunk: 4096,
        request: 4096,
        half_window: 4096,
        connection_window: CONNECTION_FLOOR,
        calls: 1,
        parameters: 1,
        outbound: 1,
        ..Limits::default()
    }
}
