//! What a peer may try, and mistakes of the application that a peer must not be blamed for.

use bytes::{Bytes, BytesMut};
use wirestream_protocol::wire::{Frame, Hello};
use wirestream_protocol::*;

fn hello(l: &Limits) -> Frame<'static> {
    Frame::Hello(Hello::V1 {
        minor: 0,
        limits: Announced {
            message: l.message,
            chunk: l.chunk,
            request: l.request,
            half_window: l.first_half_window(),
            connection_window: l.connection_window,
            calls: l.calls,
            parameters: l.parameters,
        },
        token: None,
    })
}

fn packet(frames: &[Frame<'_>]) -> Bytes {
    let mut out = BytesMut::new();
    frames.iter().for_each(|f| f.encode(&mut out));
    out.freeze()
}

fn request(parameters: u8, arguments: usize) -> Request {
    Request {
        method: "E.m".into(),
        parameters,
        arguments: vec![0; arguments].into(),
        ..Request::default()
    }
}

/// A peer grants credit that was taken for what is still queued here; then the application gives
/// the call up.
#[test]
fn a_grant_for_what_was_never_sent_is_worth_nothing() {
    let mut client = Connection::new(Role::Client, Config::default(), Time::ZERO).unwrap();
    client.handle_message(packet(&[hello(&Limits::default())]), Time::ZERO);
    let first = client.open(&request(0, 0)).unwrap();
    while client.poll_transmit(Time::ZERO).is_some() {}
    let second = client.open(&request(0, 1000)).unwrap(); // taken from the credit, not on the wire
    // 64 are on the wire, 1,000 and more are queued: the peer "gives back" all of it.
    let taken = Limits::default().connection_window as i64 - client.credit_books().0;
    client.handle_message(
        packet(&[Frame::Credit { call: 0, half: 0, amount: taken as u32 }]),
        Time::ZERO,
    );
    let _ = first;
    assert_eq!(client.closed(), None);
    client.release(second);
    let (available, ..) = client.credit_books();
    assert!(available <= Limits::default().connection_window as i64, "{available}");
}

/// As a1, with a message and a Stop from the peer: all of it the peer's doing.
#[test]
fn a_grant_for_what_is_dropped_next_is_worth_nothing() {
    let mut client = Connection::new(Role::Client, Config::default(), Time::ZERO).unwrap();
    client.handle_message(packet(&[hello(&Limits::default())]), Time::ZERO);
    let id = client.open(&request(1, 0)).unwrap();
    while client.poll_transmit(Time::ZERO).is_some() {}
    client.handle_message(packet(&[Frame::Accept { call: 1 }]), Time::ZERO);
    let half = client.call(id).unwrap().outbound(1).unwrap();
    client.send(half, &[0u8; 1000]).unwrap(); // not on the wire
    let taken = Limits::default().connection_window as i64 - client.credit_books().0;
    client.handle_message(
        packet(&[
            Frame::Credit { call: 0, half: 0, amount: taken as u32 },
            Frame::Stop { call: 1, half: 1 },
        ]),
        Time::ZERO,
    );
    assert_eq!(client.closed(), None);
}

/// Requests wait for the peer's Hello, which then takes only small ones: each refusal begins the
/// next within itself.
fn many_large_requests(calls: u32) {
    let limits = Limits { calls, ..Limits::default() };
    let config = Config { limits, token: None };
    let mut client = Connection::new(Role::Client, config, Time::ZERO).unwrap();
    let ids: Vec<_> = (0..calls).map(|_| client.open(&request(0, 5000)).unwrap()).collect();
    let small = Limits { request: 4096, message: 4096, chunk: 4096, ..Limits::default() };
    client.handle_message(packet(&[hello(&small)]), Time::ZERO);
    assert!(ids.iter().all(|&id| client.is_over(id)));
}

#[test]
fn a_hundred_refusals_follow_one_another() {
    many_large_requests(100);
}

#[test]
fn many_refusals_do_not_overflow_the_stack() {
    // on a thread of 2 MiB, as tokio's workers are
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(|| many_large_requests(10_000))
        .unwrap()
        .join()
        .unwrap();
}

/// A token that is too long for the wire is this side's mistake: the peer must not be the one who
/// finds it.
#[test]
fn a_token_that_is_too_long_is_refused_here() {
    let config = Config { token: Some(Token::new(vec![b'a'; 4097])), limits: Limits::default() };
    let Ok(mut client) = Connection::new(Role::Client, config, Time::ZERO) else { return };
    let mut server = Connection::new(Role::Server, Config::default(), Time::ZERO).unwrap();
    let first = client.poll_transmit(Time::ZERO).unwrap();
    server.handle_message(first, Time::ZERO);
    assert_eq!(server.closed(), None);
}
