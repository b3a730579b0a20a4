//! The protocol alone: messages of 64 bytes, as they are in games and chats.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use wirestream_protocol::wire::{Frame, frames};
use wirestream_protocol::{
    CallId, Config, Connection, Event, Inbound, Limits, Outbound, Received, Request, Role, Run,
    Taken, Time,
};

const PAYLOAD: &[u8] = &[7; 64];
/// Messages in a packet.
const BATCH: u32 = 200;

fn packet(call: u32, half: u8) -> Bytes {
    let mut packet = BytesMut::new();
    for _ in 0..BATCH {
        Frame::Message { call, half, payload: PAYLOAD }.encode(&mut packet);
    }
    packet.freeze()
}

pub(crate) fn encode(count: u32) {
    let mut packet = BytesMut::with_capacity(32 * 1024);
    for _ in 0..count / BATCH {
        for _ in 0..BATCH {
            Frame::Message { call: 1, half: 1, payload: black_box(PAYLOAD) }.encode(&mut packet);
        }
        black_box(&packet);
        packet.clear();
    }
}

pub(crate) fn decode(count: u32) {
    let packet = packet(1, 1);
    for _ in 0..count / BATCH {
        for frame in frames(black_box(&packet)) {
            let _ = black_box(frame);
        }
    }
}

/// A client and a server that know each other.
struct Pair {
    client: Connection,
    server: Connection,
}

impl Pair {
    /// With so many calls open that nothing happens on.
    fn beside(calls: u32) -> Self {
        let limits = Limits { calls: 1_000 + calls, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let end = |role| Connection::new(role, config.clone(), Time::ZERO).expect("valid limits");
        let mut pair = Self { client: end(Role::Client), server: end(Role::Server) };
        pair.exchange();
        for _ in 0..calls {
            pair.open();
        }
        pair.exchange();
        pair
    }

    /// Until neither has anything to say.
    fn exchange(&mut self) {
        loop {
            let there = carry(&mut self.client, &mut self.server);
            let back = carry(&mut self.server, &mut self.client);
            if !there && !back {
                return;
            }
        }
    }

    /// A call with one parameter, accepted: its id at each side.
    fn open(&mut self) -> (CallId, CallId) {
        let request = Request { method: "Path.walk".into(), parameters: 1, ..Request::default() };
        let here = self.client.open(&request).expect("a call can be opened");
        self.exchange();
        let mut events = std::iter::from_fn(|| self.server.poll_event());
        let there = events.find_map(|event| match event {
            Event::Incoming(id) => Some(id),
            _ => None,
        });
        let there = there.expect("the call comes in");
        let mut call = self.server.call(there).expect("it is there");
        call.take_request().expect("it has a request");
        call.accept().expect("it can be answered");
        (here, there)
    }
}

fn carry(from: &mut Connection, to: &mut Connection) -> bool {
    let mut carried = false;
    while let Some(packet) = from.poll_transmit(Time::ZERO) {
        to.handle_message(packet, Time::ZERO);
        carried = true;
    }
    carried
}

fn outbound(connection: &mut Connection, id: CallId, half: u8) -> Outbound {
    connection.call(id).and_then(|call| call.outbound(half)).expect("it has this half")
}

fn inbound(connection: &mut Connection, id: CallId, half: u8) -> Inbound {
    connection.call(id).and_then(|call| call.inbound(half)).expect("it has this half")
}

/// What the server grants for a batch.
fn grant(call: u32, half: u8) -> Bytes {
    let amount = BATCH * 64;
    let mut packet = BytesMut::new();
    Frame::Credit { call, half, amount }.encode(&mut packet);
    Frame::Credit { call: 0, half: 0, amount }.encode(&mut packet);
    packet.freeze()
}

pub(crate) fn send(count: u32, beside: u32) {
    let mut pair = Pair::beside(beside);
    let (id, _) = pair.open();
    pair.exchange();
    let half = outbound(&mut pair.client, id, 1);
    let grant = grant(1 + beside, 1);
    for _ in 0..count / BATCH {
        for _ in 0..BATCH {
            pair.client.send(half, black_box(PAYLOAD)).expect("there is credit");
        }
        while let Some(packet) = pair.client.poll_transmit(Time::ZERO) {
            black_box(packet);
        }
        pair.client.handle_message(grant.clone(), Time::ZERO);
        while pair.client.poll_event().is_some() {}
    }
}

pub(crate) fn receive(count: u32, beside: u32) {
    let mut pair = Pair::beside(beside);
    let (_, id) = pair.open();
    let half = inbound(&mut pair.server, id, 1);
    let packet = packet(1 + beside, 1);
    let mut run = Run::new();
    for _ in 0..count / BATCH {
        pair.server.handle_message(packet.clone(), Time::ZERO);
        while pair.server.poll_event().is_some() {}
        while pair.server.recv_run(half, &mut run) == Taken::Messages {
            while let Some(message) = run.next_message() {
                black_box(message);
            }
        }
        while let Some(packet) = pair.server.poll_transmit(Time::ZERO) {
            black_box(packet);
        }
    }
    assert_eq!(pair.server.closed(), None);
}

pub(crate) fn open_close(count: u32, beside: u32) {
    let mut pair = Pair::beside(beside);
    for _ in 0..count {
        let (here, there) = pair.open();
        let half = outbound(&mut pair.server, there, 0);
        pair.server.send(half, black_box(PAYLOAD)).expect("there is credit");
        pair.server.finish(half, Ok(())).expect("it was not finished");
        pair.server.release(there);
        pair.exchange();
        let half = inbound(&mut pair.client, here, 0);
        while let Some(Received::Message(message)) = pair.client.recv(half) {
            black_box(message);
        }
        pair.client.release(here);
        while pair.client.poll_event().is_some() {}
        while pair.server.poll_event().is_some() {}
    }
    let beside = beside as usize;
    assert_eq!((pair.client.calls(), pair.server.calls()), (beside, beside));
}
