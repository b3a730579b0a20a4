//! Thousands of calls end: each costs what it costs among few.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use wirestream_protocol::wire::{AwayCode, Frame, Hello, Open};
use wirestream_protocol::{
    Announced, CallId, Config, Connection, Event, Limits, Request, Role, Time,
};

const FEW: u32 = 1_000;
const MANY: u32 = 10 * FEW;

fn limits() -> Limits {
    let busy = 10 * MANY;
    Limits { calls: MANY, resets: busy, idle_frames: busy, ..Limits::default() }
}

fn packet(frames: &[Frame<'_>]) -> Bytes {
    let mut packet = BytesMut::new();
    frames.iter().for_each(|frame| frame.encode(&mut packet));
    packet.freeze()
}

fn hello() -> Frame<'static> {
    let limits = limits();
    Frame::Hello(Hello::V1 {
        minor: 0,
        limits: Announced {
            message: limits.message,
            chunk: limits.chunk,
            request: limits.request,
            half_window: limits.first_half_window(),
            connection_window: limits.connection_window,
            calls: limits.calls,
            parameters: limits.parameters,
        },
        token: None,
    })
}

fn end(role: Role) -> Connection {
    let config = Config { limits: limits(), token: None };
    let mut end = Connection::new(role, config, Time::ZERO).expect("limits that agree");
    end.handle_message(packet(&[hello()]), Time::ZERO);
    end
}

fn open(call: u32) -> Frame<'static> {
    Frame::Open(Open {
        call,
        parameters: 1,
        method: "E.m",
        fingerprint: None,
        token: None,
        metadata: Vec::new(),
        arguments: &[],
    })
}

/// A server with so many calls: each has a message that nobody has read, and one that waits to be
/// sent; every other one is accepted.
fn server(calls: u32) -> (Connection, Vec<CallId>) {
    let mut server = end(Role::Server);
    let mut ids = Vec::new();
    for call in 1..=calls {
        let message = Frame::Message { call, half: 1, payload: b"unread" };
        server.handle_message(packet(&[open(call), message]), Time::ZERO);
        let events = std::iter::from_fn(|| server.poll_event());
        let incoming = events.filter_map(|event| match event {
            Event::Incoming(id) => Some(id),
            _ => None,
        });
        let id = incoming.last().unwrap_or_else(|| panic!("no call {call}: {:?}", server.closed()));
        if call % 2 == 0 {
            let mut call = server.call(id).expect("the call");
            call.accept().expect("a first answer");
            let reply = call.outbound(0).expect("a reply");
            let _ = server.send(reply, b"unsent");
        }
        ids.push(id);
    }
    (server, ids)
}

/// A client with so many calls, of which none is answered.
fn client(calls: u32) -> (Connection, Vec<CallId>) {
    let mut client = end(Role::Client);
    let request = Request { method: "E.m".into(), parameters: 1, ..Request::default() };
    let ids = (0..calls).map(|_| client.open(&request).expect("a call")).collect();
    while client.poll_transmit(Time::ZERO).is_some() {}
    (client, ids)
}

type Begin = fn(u32) -> (Connection, Vec<CallId>);
type End = fn(&mut Connection, &[CallId]);

/// How long it takes to end so many calls.
fn takes(calls: u32, begin: Begin, end: End) -> Duration {
    let (mut connection, ids) = begin(calls);
    let begun = worked();
    end(&mut connection, &ids);
    while connection.poll_transmit(Time::ZERO).is_some() {}
    while connection.poll_event().is_some() {}
    ids.iter().for_each(|&id| connection.release(id));
    let took = worked() - begun;
    assert!(ids.iter().all(|&id| connection.is_over(id)));
    assert_eq!((connection.calls(), connection.held(), connection.buffered()), (0, 0, 0));
    took
}

/// How long this thread has run: where the system tells, without the time that others had.
fn worked() -> Duration {
    // What has run since its last switch may not be counted yet.
    std::thread::sleep(Duration::from_nanos(1));
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse().ok());
    let elapsed = || BEGUN.get_or_init(Instant::now).elapsed();
    nanos.map_or_else(elapsed, Duration::from_nanos)
}

/// Ten times as many take ten times as long. It would be a hundred times, if each looked at all the
/// others. What disturbs a measurement does not disturb each of some.
fn is_linear(begin: Begin, end: End) {
    let mut measured = (0..10).map(|_| [FEW, MANY].map(|calls| takes(calls, begin, end)));
    let told: Vec<_> = measured.by_ref().take_while(|[few, many]| *many > *few * 30).collect();
    assert!(told.len() < 10, "{FEW} and {MANY} calls took {told:?}");
}

fn lose(connection: &mut Connection, _: &[CallId]) {
    connection.handle_eof();
}

fn close(connection: &mut Connection, _: &[CallId]) {
    connection.close();
}

fn release(connection: &mut Connection, ids: &[CallId]) {
    ids.iter().for_each(|&id| connection.release(id));
}

fn release_from_the_last(connection: &mut Connection, ids: &[CallId]) {
    ids.iter().rev().for_each(|&id| connection.release(id));
}

fn expire(connection: &mut Connection, _: &[CallId]) {
    connection.shutdown(Time::ZERO + Duration::from_secs(1));
    while connection.poll_transmit(Time::ZERO).is_some() {}
    connection.handle_timeout(Time::ZERO + Duration::from_secs(1));
}

fn give_up(connection: &mut Connection, ids: &[CallId]) {
    let calls: Vec<_> = (1..=ids.len() as u32).collect();
    for calls in calls.chunks(500) {
        let stops: Vec<_> = calls.iter().map(|&call| Frame::Stop { call, half: 0 }).collect();
        connection.handle_message(packet(&stops), Time::ZERO);
    }
}

fn leave(connection: &mut Connection, _: &[CallId]) {
    let away = Frame::GoAway { code: AwayCode::Done, detail: "".into() };
    connection.handle_message(packet(&[away]), Time::ZERO);
    connection.handle_eof();
}

#[test]
fn the_end_of_a_connection_with_thousands_of_calls_is_linear() {
    for begin in [server, client] {
        for end in [lose, close, leave] {
            is_linear(begin, end);
        }
    }
    is_linear(server, expire);
}

#[test]
fn thousands_of_calls_that_are_given_up_cost_each_the_same() {
    for begin in [server, client] {
        for end in [release, release_from_the_last] {
            is_linear(begin, end);
        }
    }
    is_linear(server, give_up);
}
