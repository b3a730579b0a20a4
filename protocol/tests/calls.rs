//! Single behaviours of calls, halves and messages, each by its name.

mod support;

use bytes::Bytes;
use wirestream_protocol::state::CallState;
use wirestream_protocol::wire::{
    AwayCode, FaultCode, Frame, MAX_FAULT, MAX_PACKET, MINIMUM_CHARGE,
};
use wirestream_protocol::{
    AnswerError, CloseReason, End, Event, Fault, Inbound, Limits, OpenError, Outbound, Outcome,
    Received, RejectCode, Rejection, Request, Role, SendError, Time, Token, Violation,
};

use support::ends::{
    SECOND, accept, at, call, caller, client, drain, end, feed, incoming, message, open, received,
    server,
};
use support::{Endpoint, Pair, floor_limits, hello, parsed, request};

// Opening and answering.

/// R-OPEN-8, R-CALL-3, R-CALL-4: nobody waits for an answer.
#[test]
fn a_whole_call_takes_one_packet_each_way() {
    let mut pair = Pair::established();
    let (sent_before, answered_before) = (pair.client.link.taken, pair.server.link.taken);
    let id = pair.client.open(&request(1)).expect("a first call");
    let (out, reply) = (pair.client.outbound(id, 1), pair.client.inbound(id, 0));
    pair.client.send(out, b"question").expect("there is credit");
    pair.client.finish(out, Ok(())).expect("it is not ended");
    pair.drive();
    let events = pair.server.events();
    let [Event::Incoming(there), ..] = events[..] else { panic!("{events:?}") };
    let mut call = pair.server.call(there).expect("the call is there");
    assert_eq!(call.take_request(), Some(request(1)));
    assert_eq!(call.take_request(), None, "once");
    assert_eq!((call.state(), call.outbound(0), call.inbound(1)), (CallState::Pending, None, None));
    call.accept().expect("the call can be answered");
    assert_eq!(call.accept(), Err(AnswerError));
    assert_eq!(call.reject(RejectCode::Busy), Err(AnswerError));
    let (answer, asked) = (pair.server.outbound(there, 0), pair.server.inbound(there, 1));
    assert_eq!(pair.server.recv(asked), received(b"question"));
    assert_eq!(pair.server.recv(asked), Some(Received::End(End::Finished)));
    pair.server.send(answer, b"answer").expect("there is credit");
    pair.server.finish(answer, Ok(())).expect("it is not ended");
    pair.drive();
    assert_eq!(pair.client.recv(reply), received(b"answer"));
    for _ in 0..3 {
        assert_eq!(pair.client.recv(reply), Some(Received::End(End::Finished)));
    }
    assert_eq!(pair.client.link.taken - sent_before, 1);
    assert_eq!(pair.server.link.taken - answered_before, 1);
    pair.client.events();
    pair.server.events();
    assert_eq!(pair.client.ended[&1], Outcome::Finished);
    assert_eq!(pair.server.ended[&1], Outcome::Finished);
}

/// R-CALL-2, R-CREDIT-5: what was on its way to a call that was refused is dropped, and its
/// credit comes back.
#[test]
fn a_rejection_with_messages_in_flight_costs_nothing() {
    let limits =
        Limits { message: 16_384, request: 4_096, connection_window: 16_384, ..Limits::default() };
    let mut pair = Pair::new(Limits::default(), limits);
    pair.client.link.delay = SECOND / 10;
    pair.server.link.delay = SECOND / 10;
    pair.drive();
    for round in 1..=20 {
        let id = pair.client.open(&request(1)).expect("the last one is over");
        let out = pair.client.outbound(id, 1);
        for _ in 0..3 {
            pair.client.send(out, &[1; 1_300]).expect("there is credit");
        }
        pair.client.finish(out, Err(Fault::App(Bytes::from_static(&[1; 900])))).expect("open");
        pair.drive();
        let there = pair.server.events().into_iter().find_map(|event| match event {
            Event::Incoming(id) => Some(id),
            _ => None,
        });
        let there = there.expect("the call comes in");
        let mut call = pair.server.call(there).expect("the call is there");
        let rejection = Rejection::new(RejectCode::Forbidden, "not you");
        call.reject(rejection.clone()).expect("the call can be answered");
        pair.server.release(there);
        pair.drive();
        pair.client.events();
        assert_eq!(pair.client.ended[&round], Outcome::Rejected(rejection.clone()));
        assert_eq!(pair.client.send(out, b"late"), Err(SendError::Finished));
        let reply = pair.client.inbound(id, 0);
        assert_eq!(pair.client.recv(reply), Some(Received::End(End::Rejected(rejection))));
        pair.client.release(id);
    }
    let (available, _, _) = pair.client.credit_books();
    let (_, held, owed) = pair.server.credit_books();
    assert_eq!((available + i64::try_from(owed).expect("small"), held), (16_384, 0));
}

/// R-OPEN-6, R-CALL-6: the limit and one past it; a slot is free when its call is released, not
/// when it is over.
#[test]
fn a_call_too_many_is_busy_until_another_is_released() {
    let mut server = end(Role::Server, Limits { calls: 2, ..Limits::default() });
    let first = incoming(&mut server, 1, 0);
    incoming(&mut server, 2, 0);
    let busy = |call| Frame::Reject { call, rejection: RejectCode::Busy.into() };
    feed(&mut server, &[open(3, 0)]);
    assert_eq!(parsed(&server.transmit(Time::ZERO)), [busy(3)]);
    feed(&mut server, &[Frame::Stop { call: 1, half: 0 }, open(4, 0)]);
    assert_eq!(parsed(&server.transmit(Time::ZERO)), [busy(4)]);
    let events = server.events();
    assert_eq!(events.last(), Some(&Event::Ended(first, Outcome::Cancelled)));
    server.release(first);
    incoming(&mut server, 5, 0);
    assert_eq!(server.transmit(Time::ZERO), b""[..]);
    assert_eq!(server.closed(), None);
}

/// R-CALL-6: refusals of the application count until they are on the wire, so that a peer that
/// does not read them cannot make more of them.
#[test]
fn refusals_that_nobody_reads_do_not_pile_up() {
    let mut server = end(Role::Server, Limits { calls: 10, ..Limits::default() });
    let mut offered = 0;
    for call in 1..=1_000 {
        feed(&mut server, &[open(call, 0)]);
        for event in server.events() {
            if let Event::Incoming(id) = event {
                offered += 1;
                let mut view = server.call(id).expect("the call is there");
                view.take_request();
                view.reject(RejectCode::NotFound).expect("the call can be answered");
                server.release(id);
            }
        }
    }
    assert_eq!(offered, 10);
    let sent = server.transmit(Time::ZERO);
    let code = |code| {
        let is = move |frame: &&Frame<'_>| matches!(frame, Frame::Reject { rejection, .. } if rejection.code == code);
        parsed(&sent).iter().filter(is).count()
    };
    assert_eq!((code(RejectCode::NotFound), code(RejectCode::Busy)), (10, 990));
    incoming(&mut server, 1_001, 0);
}

/// R-OPEN-5: the limit and one past it.
#[test]
fn a_call_with_too_many_parameters_is_refused() {
    let mut server = end(Role::Server, Limits { parameters: 2, ..Limits::default() });
    incoming(&mut server, 1, 2);
    feed(&mut server, &[open(2, 3), open(3, 255)]);
    assert_eq!(server.events(), []);
    let sent = server.transmit(Time::ZERO);
    for (frame, number) in parsed(&sent).iter().zip(2..) {
        assert!(matches!(frame, Frame::Reject { call, rejection }
            if *call == number && rejection.code == RejectCode::InvalidArguments));
    }
    let (mut client, _) = client(Limits::default());
    assert_eq!(client.open(&request(17)), Err(OpenError::Parameters));
}

/// R-OPEN-7, R-AWAY-1.
#[test]
fn a_call_after_the_shutdown_is_unavailable() {
    let mut server = end(Role::Server, Limits::default());
    let first = incoming(&mut server, 1, 0);
    server.shutdown(at(30));
    let shutdown = Frame::GoAway { code: AwayCode::Shutdown, detail: "".into() };
    assert_eq!(parsed(&server.transmit(Time::ZERO)), [shutdown]);
    feed(&mut server, &[open(2, 0)]);
    let refusal = Frame::Reject { call: 2, rejection: RejectCode::Unavailable.into() };
    assert_eq!(parsed(&server.transmit(Time::ZERO)), [refusal]);
    assert!(RejectCode::Unavailable.is_retryable());
    accept(&mut server, first);
    assert_eq!(server.closed(), None, "the calls that run go on");
}

/// A client keeps to its own limit of calls; the server's is the server's to keep.
#[test]
fn a_client_opens_no_more_calls_than_its_limit() {
    let mut client = end(Role::Client, Limits { calls: 2, ..Limits::default() });
    let first = client.open(&request(0)).expect("the first");
    client.open(&request(0)).expect("the second");
    assert_eq!(client.open(&request(0)), Err(OpenError::Busy));
    client.release(first);
    client.open(&request(0)).expect("there is room again");
}

/// R-OPEN-9, R-TEXT-1, R-HELLO-7: at the limit and one past it, here and on the wire.
#[test]
fn the_parts_of_a_request_have_largest_sizes() {
    let entry = || ("key".to_owned(), Bytes::new());
    let cases: [(Request, Request); 4] = [
        (
            Request { method: "m".repeat(255), ..request(0) },
            Request { method: "m".repeat(256), ..request(0) },
        ),
        (
            Request { token: Some(Token::new(vec![1; 4_096])), ..request(0) },
            Request { token: Some(Token::new(vec![1; 4_097])), ..request(0) },
        ),
        (
            Request { metadata: vec![entry(); 64], ..request(0) },
            Request { metadata: vec![entry(); 65], ..request(0) },
        ),
        (
            Request { metadata: vec![("k".repeat(255), Bytes::new())], ..request(0) },
            Request { metadata: vec![("k".repeat(256), Bytes::new())], ..request(0) },
        ),
    ];
    for (within, beyond) in cases {
        let mut pair = Pair::established();
        pair.client.open(&within).expect("it is at the limit");
        assert!(matches!(pair.client.open(&beyond), Err(OpenError::TooLarge { .. })));
        pair.drive();
        let events = pair.server.events();
        let [Event::Incoming(id)] = events[..] else { panic!("{events:?}") };
        let request = pair.server.call(id).and_then(|mut call| call.take_request());
        assert_eq!(request, Some(within));
    }
}

/// R-REJECT-1, R-ERROR-1, R-AWAY-3.
#[test]
fn codes_that_are_not_known_have_a_plain_meaning() {
    let (mut client, id) = caller(Limits::default());
    client.handle_message(Bytes::from_static(&[0x04, 5, 1, 77, 2, b'n', b'o']), Time::ZERO);
    let rejection = Rejection::new(RejectCode::Failed, "no");
    let events = client.events();
    assert_eq!(events.last(), Some(&Event::Ended(id, Outcome::Rejected(rejection))));

    let (mut client, id) = self::client(Limits::default());
    let reply = client.inbound(id, 0);
    client.handle_message(Bytes::from_static(&[0x09, 3, 1, 0, 77]), Time::ZERO);
    assert_eq!(client.recv(reply), Some(Received::End(End::Fault(Fault::Failed))));
    let events = client.events();
    assert_eq!(events.last(), Some(&Event::Ended(id, Outcome::Failed)));

    let (mut client, id) = self::client(Limits::default());
    client.handle_message(Bytes::from_static(&[0x0e, 2, 77, 0]), Time::ZERO);
    assert_eq!(client.closed(), Some(&CloseReason::Peer));
    client.events();
    assert_eq!(client.ended[&support::number(id)], Outcome::Lost(CloseReason::Peer));
}

// Ends.

/// R-CALL-5: at each stage of the opening.
#[test]
fn a_call_may_be_given_up_before_it_was_accepted() {
    // Before its request has left: nobody learns of it.
    let mut client = end(Role::Client, Limits::default());
    let id = client.open(&request(1)).expect("a first call");
    let out = client.outbound(id, 1);
    client.send(out, b"never sent").expect("there is credit");
    let reply = client.inbound(id, 0);
    client.stop(reply);
    assert_eq!(client.transmit(Time::ZERO), b""[..]);
    assert_eq!(client.credit_books().0, 2 * 1024 * 1024, "nothing was used");
    assert_eq!(client.events().last(), Some(&Event::Ended(id, Outcome::Cancelled)));

    // On its way: the callee learns of both at once, and its answer comes too late.
    let mut pair = Pair::established();
    let id = pair.client.open(&request(1)).expect("a first call");
    pair.drive();
    let events = pair.server.events();
    let [Event::Incoming(there)] = events[..] else { panic!("{events:?}") };
    pair.client.release(id);
    pair.server.call(there).expect("it is there").accept().expect("it can be answered");
    pair.drive();
    pair.client.events();
    pair.server.events();
    assert_eq!(pair.client.ended[&1], Outcome::Cancelled);
    assert_eq!(pair.server.ended[&1], Outcome::Cancelled);
    assert_eq!(pair.server.call(there).map(|mut call| call.accept()), Some(Err(AnswerError)));
    pair.server.release(there);
    assert_eq!((pair.client.calls(), pair.server.calls()), (0, 0));
}

/// R-CALL-5: the callee sends nothing more on a call that was given up, not even its answer.
#[test]
fn nothing_is_said_on_a_call_that_was_given_up() {
    let mut server = end(Role::Server, Limits::default());
    let id = incoming(&mut server, 1, 1);
    let mut call = server.call(id).expect("the call is there");
    call.accept().expect("it can be answered");
    let (answer, asked) = (server.outbound(id, 0), server.inbound(id, 1));
    server.send(answer, b"reply").expect("there is credit");
    server.stop(asked);
    feed(&mut server, &[Frame::Stop { call: 1, half: 0 }]);
    assert_eq!(server.transmit(Time::ZERO), b""[..]);
    assert_eq!(server.credit_books().0, 2 * 1024 * 1024);
    assert_eq!(server.send(answer, b"more"), Err(SendError::CallOver));
}

/// R-CALL-2, R-CREDIT-5: every kind of frame, and the credit comes back at once.
#[test]
fn frames_for_a_call_that_is_over_are_late_and_give_their_credit_back() {
    let (mut server, id) = server(Limits::default());
    feed(&mut server, &[Frame::Stop { call: 1, half: 0 }, open(9, 0)]);
    server.release(id);
    server.events();
    for call in [1, 5] {
        // Call 5 is in a gap, and counts as over.
        let (_, held, owed) = server.credit_books();
        let late = [
            (message(call, 1, &[1; 100]), 100),
            (message(call, 1, b""), u64::from(MINIMUM_CHARGE)),
            (Frame::Begin { call, half: 1, total: 1_000, payload: b"x" }, 1_000),
            (Frame::More { call, half: 1, payload: b"x" }, 0),
            (Frame::Error { call, half: 2, code: FaultCode::App, payload: b"x" }, 64),
            (Frame::Error { call, half: 2, code: FaultCode::Failed, payload: b"" }, 0),
            (Frame::Close { call, half: 1 }, 0),
            (Frame::Stop { call, half: 0 }, 0),
            (Frame::Credit { call, half: 0, amount: 5 }, 0),
        ];
        let mut expected = owed;
        for (frame, charge) in late {
            feed(&mut server, &[frame]);
            expected += charge;
            assert_eq!(server.credit_books().1, held);
            assert_eq!(server.credit_books().2, expected);
        }
    }
    assert_eq!(server.closed(), None);
    assert_eq!(server.events(), []);
}

/// R-HALF-3, R-HALF-4, R-CREDIT-5.
#[test]
fn a_stopped_half_drops_what_still_comes_and_tells_its_sender() {
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 2);
    let (out, other) = (pair.client.outbound(here, 1), pair.client.outbound(here, 2));
    let asked = pair.server.inbound(there, 1);
    pair.client.send(out, &[1; 300]).expect("there is credit");
    pair.drive();
    pair.client.send(out, &[2; 300]).expect("there is credit");
    pair.server.stop(asked);
    assert_eq!(pair.server.recv(asked), Some(Received::End(End::CallOver)));
    pair.drive();
    assert!(pair.client.events().contains(&Event::Stopped(out)));
    assert_eq!(pair.client.send(out, b"more"), Err(SendError::Stopped));
    assert_eq!(pair.client.finish(out, Ok(())), Ok(()), "harmless");
    assert!(!pair.client.is_sendable(out) && pair.client.is_sendable(other));
    pair.client.send(other, b"goes on").expect("the other half lives");
    pair.drive();
    let asked = pair.server.inbound(there, 2);
    assert_eq!(pair.server.recv(asked), received(b"goes on"));
    assert_eq!(pair.server.credit_books().1, 0, "nothing is held");
}

/// A half that was stopped says so for ever, however its call ends.
#[test]
fn the_end_of_a_stopped_half_does_not_change_when_the_connection_is_lost() {
    let (mut server, id) = server(Limits::default());
    let asked = server.inbound(id, 1);
    server.stop(asked);
    assert_eq!(server.recv(asked), Some(Received::End(End::CallOver)));
    server.handle_eof();
    assert_eq!(server.recv(asked), Some(Received::End(End::CallOver)));
}

/// R-CALL-4, R-HALF-5, R-ERROR-1.
#[test]
fn the_end_of_the_reply_ends_the_call_behind_every_message() {
    for fault in [None, Some(Fault::App(Bytes::from_static(b"why"))), Some(Fault::Revoked)] {
        let mut pair = Pair::established();
        let (here, there) = call(&mut pair, 1);
        let (answer, asked) = (pair.server.outbound(there, 0), pair.server.inbound(there, 1));
        let (out, reply) = (pair.client.outbound(here, 1), pair.client.inbound(here, 0));
        pair.client.send(out, b"unread").expect("there is credit");
        pair.drive();
        pair.server.send(answer, &[9; 16_000]).expect("there is credit");
        pair.server.send(answer, b"last").expect("there is credit");
        let end = fault.clone().map_or(Ok(()), Err);
        pair.server.finish(answer, end.clone()).expect("it is not ended");
        assert_eq!(pair.server.finish(answer, end), Err(SendError::Finished));
        assert_eq!(pair.server.send(answer, b"more"), Err(SendError::Finished));
        pair.drive();
        assert_eq!(pair.server.recv(asked), Some(Received::End(End::CallOver)));
        assert_eq!(pair.client.send(out, b"more"), Err(SendError::CallOver));
        assert_eq!(pair.client.recv(reply), Some(Received::Message(vec![9; 16_000].into())));
        assert_eq!(pair.client.recv(reply), received(b"last"));
        let end = fault.map_or(End::Finished, End::Fault);
        assert_eq!(pair.client.recv(reply), Some(Received::End(end)));
        assert_eq!(pair.server.credit_books().1, 0);
    }
}

/// R-HALF-5: a parameter's end leaves the others and the reply alone.
#[test]
fn the_end_of_a_parameter_ends_that_half_alone() {
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 2);
    let out = pair.client.outbound(here, 1);
    pair.client.finish(out, Err(Fault::Cancelled)).expect("it is not ended");
    pair.drive();
    let asked = pair.server.inbound(there, 1);
    assert_eq!(pair.server.recv(asked), Some(Received::End(End::Fault(Fault::Cancelled))));
    let (other, answer) = (pair.client.outbound(here, 2), pair.server.outbound(there, 0));
    pair.client.send(other, b"x").expect("it lives");
    pair.server.send(answer, b"y").expect("it lives");
    pair.drive();
    let (asked, reply) = (pair.server.inbound(there, 2), pair.client.inbound(here, 0));
    assert_eq!(pair.server.recv(asked), received(b"x"));
    assert_eq!(pair.client.recv(reply), received(b"y"));
}

/// R-ERROR-2: at the limit and one past it, before the peer's `Hello` and behind it.
#[test]
fn an_error_that_is_too_large_goes_without_its_payload() {
    for (size, whole) in [(4_096, true), (4_097, false)] {
        let mut pair = Pair::new(floor_limits(), Limits::default());
        pair.drive();
        let (here, there) = call(&mut pair, 0);
        let answer = pair.server.outbound(there, 0);
        let fault = Fault::App(vec![1; size].into());
        pair.server.finish(answer, Err(fault.clone())).expect("it is not ended");
        pair.drive();
        let reply = pair.client.inbound(here, 0);
        let expected = if whole { fault.clone() } else { Fault::Failed };
        let end = Some(Received::End(End::Fault(expected)));
        assert_eq!(pair.client.recv(reply), end);

        let mut pair = Pair::new(Limits::default(), floor_limits());
        let id = pair.client.open(&request(1)).expect("a first call");
        let out = pair.client.outbound(id, 1);
        pair.client.finish(out, Err(fault)).expect("it is not ended");
        pair.drive();
        let events = pair.server.events();
        let [Event::Incoming(there), ..] = events[..] else { panic!("{events:?}") };
        accept(&mut pair.server, there);
        let asked = pair.server.inbound(there, 1);
        assert_eq!(pair.server.recv(asked), end);
        assert_eq!(pair.server.recv(asked), end, "it stays");
    }
}

/// R-PACKET-2, R-PACKET-5: the largest message and the largest error of a half do not share a
/// packet that would be larger than any may be.
#[test]
fn the_largest_frames_fit_their_packets() {
    let limits = Limits { chunk: 65_536, ..Limits::default() };
    for size in [65_536, 100_000, 131_072] {
        let mut pair = Pair::new(limits.clone(), limits.clone());
        pair.drive();
        let (here, there) = call(&mut pair, 2);
        let (answer, reply) = (pair.server.outbound(there, 0), pair.client.inbound(here, 0));
        pair.server.send(answer, vec![1; 4_000].as_slice()).expect("there is credit");
        pair.server.send(answer, vec![2; size].as_slice()).expect("there is credit");
        let fault = Fault::App(vec![3; MAX_FAULT].into());
        pair.server.finish(answer, Err(fault.clone())).expect("it is not ended");
        while let Some(packet) = pair.server.poll_transmit(Time::ZERO) {
            assert!(packet.len() <= MAX_PACKET, "{} bytes", packet.len());
            pair.client.handle_message(packet, Time::ZERO);
        }
        assert_eq!(drain(&mut pair.client, reply), 2);
        assert_eq!(pair.client.recv(reply), Some(Received::End(End::Fault(fault))));
    }
}

/// R-CALL-6, R-CALL-3, R-CALL-5: what each side does with a call that its application drops.
#[test]
fn a_call_is_released_in_every_state() {
    let outcomes = |pair: &mut Pair| {
        pair.drive();
        pair.client.events();
        pair.server.events();
        let client = pair.client.ended.get(&1).cloned();
        (client, pair.server.ended.get(&1).cloned())
    };
    let rejected = || Some(Outcome::Rejected(RejectCode::Failed.into()));

    // Pending: the callee refuses it, the caller gives it up.
    let mut pair = Pair::established();
    let here = pair.client.open(&request(1)).expect("a first call");
    pair.drive();
    let events = pair.server.events();
    let [Event::Incoming(there)] = events[..] else { panic!("{events:?}") };
    pair.server.release(there);
    assert_eq!(pair.server.calls(), 0);
    assert_eq!(outcomes(&mut pair), (rejected(), rejected()));
    pair.client.release(here);
    pair.client.release(here);
    assert_eq!(pair.client.calls(), 0);

    // Active: the callee fails it, and its slot is free when that is on the wire.
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 1);
    let (answer, reply) = (pair.server.outbound(there, 0), pair.client.inbound(here, 0));
    pair.server.send(answer, b"sent").expect("there is credit");
    pair.server.release(there);
    pair.server.release(there);
    assert_eq!(pair.server.calls(), 1);
    assert_eq!(outcomes(&mut pair), (Some(Outcome::Failed), Some(Outcome::Failed)));
    assert_eq!(pair.server.calls(), 0);
    assert_eq!(pair.client.recv(reply), received(b"sent"));
    assert_eq!(pair.client.recv(reply), Some(Received::End(End::Fault(Fault::Failed))));

    // Active, its end on the way: that end stays.
    let mut pair = Pair::established();
    let (_, there) = call(&mut pair, 1);
    let answer = pair.server.outbound(there, 0);
    pair.server.finish(answer, Ok(())).expect("it is not ended");
    pair.server.release(there);
    assert_eq!(outcomes(&mut pair), (Some(Outcome::Finished), Some(Outcome::Finished)));
    assert_eq!(pair.server.calls(), 0);

    // Active: the caller gives it up.
    let mut pair = Pair::established();
    let (here, _) = call(&mut pair, 1);
    pair.client.release(here);
    assert_eq!(pair.client.calls(), 0);
    assert_eq!(outcomes(&mut pair), (Some(Outcome::Cancelled), Some(Outcome::Cancelled)));

    // Over, with messages unread: their credit comes back.
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 1);
    let answer = pair.server.outbound(there, 0);
    pair.server.send(answer, &[1; 500]).expect("there is credit");
    pair.server.finish(answer, Ok(())).expect("it is not ended");
    pair.drive();
    assert_eq!(pair.client.credit_books().1, 500);
    pair.client.release(here);
    assert_eq!(pair.client.credit_books().1, 0);
}

/// What was released answers every verb without harm.
#[test]
fn ids_of_a_released_call_are_harmless() {
    let (mut client, id) = client(Limits::default());
    let (out, reply) = (client.outbound(id, 1), client.inbound(id, 0));
    client.release(id);
    client.transmit(Time::ZERO);
    // Another call takes the slot.
    let next = client.open(&request(2)).expect("a second call");
    assert_eq!((id.slot(), id == next), (next.slot(), false));
    assert!(client.call(id).is_none() && client.is_over(id));
    assert_eq!(client.send(out, b"x"), Err(SendError::CallOver));
    assert_eq!(client.finish(out, Ok(())), Ok(()));
    assert_eq!(client.recv(reply), Some(Received::End(End::CallOver)));
    client.stop(reply);
    client.release(id);
    assert!(!client.is_over(next));
    assert_eq!((out.call(), out.index(), reply.index()), (id, 1, 0));
}

/// R-CALL-7: a lost half never looks like one that has ended; what came before is still there.
#[test]
fn everything_is_lost_with_the_connection() {
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 2);
    let (out, answer) = (pair.client.outbound(here, 1), pair.server.outbound(there, 0));
    let (asked, reply) = (pair.server.inbound(there, 1), pair.client.inbound(here, 0));
    let open = pair.client.outbound(here, 2);
    pair.client.send(out, b"came").expect("there is credit");
    pair.client.finish(out, Ok(())).expect("it is not ended");
    pair.server.send(answer, b"came too").expect("there is credit");
    pair.drive();
    pair.server.send(answer, b"did not come").expect("there is credit");
    pair.server.finish(answer, Ok(())).expect("it is not ended");
    pair.cut();
    assert_eq!(pair.client.closed(), Some(&CloseReason::Eof));
    let lost = Some(Received::End(End::Lost(CloseReason::Eof)));
    assert_eq!(pair.client.recv(reply), received(b"came too"));
    assert_eq!(pair.client.recv(reply), lost);
    assert_eq!(pair.server.recv(asked), received(b"came"));
    assert_eq!(pair.server.recv(asked), Some(Received::End(End::Finished)), "it had ended before");
    assert_eq!(pair.client.send(open, b"x"), Err(SendError::Lost(CloseReason::Eof)));
    assert_eq!(pair.client.open(&request(0)), Err(OpenError::Lost(CloseReason::Eof)));
    for end in [&mut pair.client, &mut pair.server] {
        assert_eq!(end.events().last(), Some(&Event::Closed(CloseReason::Eof)));
        assert_eq!(end.ended[&1], Outcome::Lost(CloseReason::Eof));
        // The first reason stays.
        end.close();
        end.handle_stall();
        end.handle_violation(Violation::TextMessage);
        end.handle_timeout(at(1_000_000));
        end.shutdown(Time::ZERO);
        assert_eq!(end.closed(), Some(&CloseReason::Eof));
        assert_eq!(end.events(), []);
    }
}

/// A connection that is over has nothing to transmit but its last packet.
#[test]
fn a_connection_that_is_over_comes_to_rest() {
    for role in [Role::Client, Role::Server] {
        let mut end = Endpoint::new(role, Limits::default());
        end.handle_eof();
        assert!(!end.has_transmit(), "Hello is owed no more");
        assert_eq!((end.poll_transmit(Time::ZERO), end.poll_timeout()), (None, None));

        let mut end = Endpoint::new(role, Limits::default());
        end.close();
        assert!(end.has_transmit());
        let done = Frame::GoAway { code: AwayCode::Done, detail: "".into() };
        let last = end.transmit(Time::ZERO);
        assert_eq!(parsed(&last), [hello(&Limits::default()), done]);
        assert!(!end.has_transmit());
    }
}

// Messages.

/// R-MSG-4, R-MSG-5, R-MSG-6: a large message on one half does not hold up small ones on another
/// by more than a packet each, neither on the wire nor for want of room in the outgoing buffer.
#[test]
fn a_large_message_does_not_delay_a_small_one() {
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 2);
    let (large, small) = (pair.client.outbound(here, 1), pair.client.outbound(here, 2));
    let (whole, asked) = (pair.server.inbound(there, 1), pair.server.inbound(there, 2));
    let body: Bytes = (0..=255u8).cycle().take(256 * 1024).collect();
    pair.client.send(large, body.clone()).expect("there is credit");
    let first = pair.client.poll_transmit(Time::ZERO).expect("the first chunk");
    assert!(first.len() <= 16 * 1024 + 32, "one chunk at a turn: {}", first.len());
    pair.server.handle_message(first, Time::ZERO);
    for _ in 0..5 {
        pair.client.send(small, b"small").expect("a small one is taken");
        assert_eq!(pair.client.send(small, b"small"), Err(SendError::Blocked));
        let mut packets = 0;
        while pair.server.recv(asked).is_none() {
            packets += 1;
            let packet = pair.client.poll_transmit(Time::ZERO).expect("there is more");
            pair.server.handle_message(packet, Time::ZERO);
        }
        assert!(packets <= 2, "{packets} packets");
        assert!(pair.client.events().contains(&Event::Writable(small)));
    }
    assert_eq!(pair.server.recv(whole), None, "the large one is still on its way");
    pair.drive();
    assert_eq!(pair.server.recv(whole), Some(Received::Message(body)));
}

/// R-MSG-6: halves take turns, and the chunks of several large messages interleave.
#[test]
fn halves_take_turns() {
    let mut pair = Pair::established();
    let (here, _) = call(&mut pair, 3);
    for half in 1..=3 {
        let out = pair.client.outbound(here, half);
        pair.client.send(out, vec![half; 60_000].as_slice()).ok();
    }
    let third = pair.client.outbound(here, 3);
    let turns: Vec<u8> = core::iter::from_fn(|| pair.client.poll_transmit(Time::ZERO))
        .flat_map(|packet| {
            let half = |frame: &Frame<'_>| match frame {
                Frame::Begin { half, .. } | Frame::More { half, .. } => Some(*half),
                _ => None,
            };
            parsed(&packet).iter().filter_map(half).collect::<Vec<_>>()
        })
        .collect();
    // The outgoing buffer took two of them, and a third waits for room.
    assert_eq!(turns, [1, 2, 1, 2, 1, 2, 1, 2]);
    assert!(pair.client.events().contains(&Event::Writable(third)));
}

/// R-CREDIT-6: one grant for many messages, at half a window at the latest.
#[test]
fn a_blocked_sender_goes_on_when_its_receiver_reads() {
    let server = Limits { half_window: 8_192, ..Limits::default() };
    let mut pair = Pair::new(Limits::default(), server);
    pair.drive();
    let (here, there) = call(&mut pair, 1);
    let (out, asked) = (pair.client.outbound(here, 1), pair.server.inbound(there, 1));
    let mut sent = 0;
    while pair.client.send(out, &[1; 64]).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 128);
    pair.drive();
    for _ in 0..63 {
        assert!(matches!(pair.server.recv(asked), Some(Received::Message(_))));
    }
    pair.drive();
    assert_eq!(pair.client.events(), [], "less than half a window is owed");
    assert!(matches!(pair.server.recv(asked), Some(Received::Message(_))));
    let grants = pair.server.transmit(Time::ZERO);
    assert_eq!(parsed(&grants), [Frame::Credit { call: 1, half: 1, amount: 4_096 }]);
    pair.client.handle_message(grants, Time::ZERO);
    assert_eq!(pair.client.events(), [Event::Writable(out)]);
    assert_eq!(pair.client.send(out, &[1; 64]), Ok(()));
}

/// R-MSG-2: a message of the largest size is taken, one byte more is not, and nothing changed.
#[test]
fn a_message_too_large_for_the_peer_is_not_taken() {
    let mut pair = Pair::new(Limits::default(), Limits { message: 5_000, ..Limits::default() });
    pair.drive();
    let (here, there) = call(&mut pair, 1);
    let (out, asked) = (pair.client.outbound(here, 1), pair.server.inbound(there, 1));
    let too_large = Err(SendError::TooLarge { size: 5_001, limit: 5_000 });
    assert_eq!(pair.client.send(out, &[1; 5_001]), too_large);
    assert_eq!(pair.client.send(out, &[1; 5_000]), Ok(()));
    pair.drive();
    assert_eq!(drain(&mut pair.server, asked), 1);
}

/// `Outbound` and `Inbound` say what they are.
#[test]
fn ids_display_what_the_wire_carries() {
    let (mut client, id) = client(Limits::default());
    let (out, reply): (Outbound, Inbound) = (client.outbound(id, 2), client.inbound(id, 0));
    assert_eq!(
        (id.to_string(), out.to_string(), reply.to_string()),
        ("1".into(), "1.2".into(), "1.0".into())
    );
}
