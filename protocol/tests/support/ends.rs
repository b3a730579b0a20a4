//! One end whose peer is the test itself, and what both say.

use core::time::Duration;

use bytes::Bytes;
use wirestream_protocol::wire::{Frame, Open};
use wirestream_protocol::{CallId, Event, Inbound, Limits, Received, Role, Time};

use super::{Endpoint, Pair, hello, packet, request};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn at(seconds: u64) -> Time {
    Time::ZERO + SECOND * u32::try_from(seconds).expect("small")
}

pub(crate) fn open(call: u32, parameters: u8) -> Frame<'static> {
    open_with(call, parameters, b"")
}

pub(crate) fn open_with(call: u32, parameters: u8, arguments: &[u8]) -> Frame<'_> {
    Frame::Open(Open {
        call,
        parameters,
        method: "Test.method",
        fingerprint: None,
        token: None,
        metadata: Vec::new(),
        arguments,
    })
}

/// An `Open` whose body has this length.
pub(crate) fn open_of(call: u32, body: usize, arguments: &mut Vec<u8>) -> Frame<'_> {
    arguments.resize(body - open(call, 0).body_len(), 7);
    open_with(call, 0, arguments)
}

/// An end whose peer is this test: it has said `Hello` with the default limits.
pub(crate) fn end(role: Role, limits: Limits) -> Endpoint {
    let mut end = Endpoint::new(role, limits);
    feed(&mut end, &[hello(&Limits::default())]);
    end.transmit(Time::ZERO);
    end
}

pub(crate) fn feed(end: &mut Endpoint, frames: &[Frame<'_>]) {
    end.handle_message(packet(frames), Time::ZERO);
    assert_eq!(end.audit(), Ok(()));
}

/// A server with call 1, accepted, with two parameter halves.
pub(crate) fn server(limits: Limits) -> (Endpoint, CallId) {
    let mut server = end(Role::Server, limits);
    let id = incoming(&mut server, 1, 2);
    accept(&mut server, id);
    (server, id)
}

pub(crate) fn incoming(server: &mut Endpoint, call: u32, parameters: u8) -> CallId {
    feed(server, &[open(call, parameters)]);
    match server.events()[..] {
        [Event::Incoming(id)] => id,
        ref events => panic!("{events:?}"),
    }
}

pub(crate) fn accept(server: &mut Endpoint, id: CallId) {
    let mut call = server.call(id).expect("the call is there");
    call.take_request().expect("the request is there");
    call.accept().expect("the call can be answered");
    server.transmit(Time::ZERO);
}

/// A client with call 1, accepted, with two parameter halves.
pub(crate) fn client(limits: Limits) -> (Endpoint, CallId) {
    let (mut client, id) = caller(limits);
    feed(&mut client, &[Frame::Accept { call: 1 }]);
    assert_eq!(client.events(), [Event::Accepted(id)]);
    (client, id)
}

/// The same, not answered yet.
pub(crate) fn caller(limits: Limits) -> (Endpoint, CallId) {
    let mut client = end(Role::Client, limits);
    let id = client.open(&request(2)).expect("a first call");
    client.transmit(Time::ZERO);
    (client, id)
}

/// Two ends with one accepted call between them: its id at the client, and at the server.
pub(crate) fn call(pair: &mut Pair, parameters: u8) -> (CallId, CallId) {
    let here = pair.client.open(&request(parameters)).expect("a call can be opened");
    pair.drive();
    let incoming = pair.server.events().into_iter().find_map(|event| match event {
        Event::Incoming(id) => Some(id),
        _ => None,
    });
    let there = incoming.expect("the call comes in");
    let mut view = pair.server.call(there).expect("the call is there");
    view.take_request().expect("the request is there");
    view.accept().expect("the call can be answered");
    pair.drive();
    pair.client.events();
    (here, there)
}

pub(crate) fn message(call: u32, half: u8, payload: &[u8]) -> Frame<'_> {
    Frame::Message { call, half, payload }
}

pub(crate) fn received(bytes: &'static [u8]) -> Option<Received> {
    Some(Received::Message(Bytes::from_static(bytes)))
}

pub(crate) fn drain(end: &mut Endpoint, half: Inbound) -> usize {
    let mut count = 0;
    while let Some(Received::Message(_)) = end.recv(half) {
        count += 1;
    }
    count
}

pub(crate) fn new_server() -> Endpoint {
    end(Role::Server, Limits::default())
}

pub(crate) fn busy_server() -> Endpoint {
    server(Limits::default()).0
}

pub(crate) fn busy_client() -> Endpoint {
    client(Limits::default()).0
}
