//! What a connection counts.

mod support;

use wirestream_protocol::{Fault, Limits, Received, RejectCode, SendError, Stats};

use support::ends::call;
use support::{Pair, request};

fn outcomes(stats: Stats) -> [u64; 5] {
    [
        stats.calls_finished,
        stats.calls_failed,
        stats.calls_rejected,
        stats.calls_cancelled,
        stats.calls_lost,
    ]
}

/// Both ends agree about every call, and a call is in one place at a time.
fn check(pair: &Pair, open: u64, ended: [u64; 5]) {
    for stats in [pair.client.stats(), pair.server.stats()] {
        assert_eq!((stats.calls_open(), outcomes(stats)), (open, ended));
        assert_eq!(stats.calls_begun, open + ended.iter().sum::<u64>());
    }
}

#[test]
fn each_call_is_counted_by_how_it_ended() {
    let limits = Limits { calls: 5, ..Limits::default() };
    let mut pair = Pair::new(Limits::default(), limits);
    pair.drive();
    let calls: Vec<_> = (0..5).map(|_| call(&mut pair, 1)).collect();
    check(&pair, 5, [0; 5]);
    let [(_, finished), (_, failed), (cancelled, _), ..] = calls[..] else { unreachable!() };
    let extra = pair.client.open(&request(0)).expect("a call");
    pair.drive();
    pair.client.release(extra);
    check(&pair, 5, [0, 0, 1, 0, 0]);
    let reply = pair.server.outbound(finished, 0);
    pair.server.finish(reply, Ok(())).expect("open");
    let reply = pair.server.outbound(failed, 0);
    pair.server.finish(reply, Err(Fault::Failed)).expect("open");
    pair.client.release(cancelled);
    pair.drive();
    check(&pair, 2, [1, 1, 1, 1, 0]);
    pair.server.release(finished);
    let refused = pair.client.open(&request(0)).expect("a call");
    pair.drive();
    let incoming = pair.server.events().into_iter().rev().find_map(|event| match event {
        wirestream_protocol::Event::Incoming(id) => Some(id),
        _ => None,
    });
    let mut view = pair.server.call(incoming.expect("a call")).expect("it is there");
    view.reject(RejectCode::Busy).expect("unanswered");
    pair.drive();
    pair.client.release(refused);
    check(&pair, 2, [1, 1, 2, 1, 0]);
    pair.cut();
    check(&pair, 0, [1, 1, 2, 1, 2]);
}

#[test]
fn what_one_end_sends_the_other_has_received() {
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 1);
    let (out, half) = (pair.client.outbound(here, 1), pair.server.inbound(there, 1));
    let before = pair.server.stats().messages_in;
    for size in [0, 1, 4_000, 16_384, 16_385, 100_000] {
        loop {
            match pair.client.send(out, vec![1; size].as_slice()) {
                Ok(()) => break,
                Err(SendError::Blocked) => pair.drive(),
                Err(error) => panic!("{error}"),
            }
        }
        pair.drive();
        while let Some(Received::Message(_)) = pair.server.recv(half) {}
        pair.drive();
    }
    let (client, server) = (pair.client.stats(), pair.server.stats());
    assert_eq!(server.messages_in - before, 6);
    assert_eq!((client.messages_out, client.messages_in), (6, 0));
    let out = |stats: Stats| (stats.packets_out, stats.bytes_out);
    let in_ = |stats: Stats| (stats.packets_in, stats.bytes_in);
    assert_eq!((out(client), out(server)), (in_(server), in_(client)));
    assert!(client.bytes_out > 136_770, "{client:?}");
    assert_eq!((pair.client.buffered(), pair.server.held()), (0, 0));
}

/// A half is stalled as long as it has something to say and no credit for it, be it its own or
/// the connection's.
#[test]
fn a_half_without_credit_is_stalled_until_it_has_some() {
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 1);
    let (out, half) = (pair.client.outbound(here, 1), pair.server.inbound(there, 1));
    assert_eq!(pair.client.stalled(), 0);
    let mut sent = 0;
    for _ in 0..10_000 {
        if pair.client.send(out, [7; 1_000].as_slice()).is_ok() {
            sent += 1;
        }
        pair.drive();
    }
    assert_eq!((pair.client.stalled(), pair.server.stalled()), (1, 0));
    assert!(pair.server.held() >= sent * 1_000, "{} held", pair.server.held());
    while let Some(Received::Message(_)) = pair.server.recv(half) {}
    pair.drive();
    assert_eq!((pair.client.stalled(), pair.server.held()), (0, 0));
    assert_eq!(pair.client.stats().messages_out, sent);
}

#[test]
fn a_connection_that_is_over_holds_and_counts_nothing_more() {
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 1);
    let (out, half) = (pair.client.outbound(here, 1), pair.server.inbound(there, 1));
    for _ in 0..10_000 {
        let _ = pair.client.send(out, [7; 1_000].as_slice());
    }
    pair.drive();
    pair.cut();
    while let Some(Received::Message(_)) = pair.server.recv(half) {}
    let stats = [pair.client.stats(), pair.server.stats()];
    pair.client.send(out, [7; 10].as_slice()).expect_err("it is lost");
    pair.drive();
    assert_eq!([pair.client.stats(), pair.server.stats()], stats);
    assert_eq!((pair.client.stalled(), pair.client.buffered()), (0, 0));
    pair.server.release(there);
    assert_eq!(pair.server.held(), 0);
}
