//! What an end tells its application of calls and messages, and when.

mod support;

use wirestream_protocol::wire::Frame;
use wirestream_protocol::{
    CloseReason, End, Event, Fault, Limits, Received, RejectCode, Rejection, Request, Role, Run,
    Taken, Violation,
};

use support::ends::{accept, caller, client, drain, end, feed, incoming, message, server};
use support::{Pair, packet, parsed, request};
use wirestream_protocol::Time;

#[test]
fn a_call_tells_whether_it_waits_for_its_answer() {
    let (mut client, id) = caller(Limits::default());
    assert!(client.call(id).expect("it is there").is_pending());
    assert_eq!(client.call(id).expect("it is there").rejection(), None);
    feed(&mut client, &[Frame::Accept { call: 1 }]);
    assert!(!client.call(id).expect("it is there").is_pending());
    client.handle_eof();
    assert!(!client.call(id).expect("it is there").is_pending());
}

#[test]
fn a_refused_call_tells_why() {
    let (mut client, id) = caller(Limits::default());
    let rejection = Rejection::new(RejectCode::Forbidden, "not for you");
    feed(&mut client, &[Frame::Reject { call: 1, rejection: rejection.clone() }]);
    let call = client.call(id).expect("it is not released");
    assert_eq!((call.is_pending(), call.rejection()), (false, Some(&rejection)));

    let (mut lost, id) = caller(Limits::default());
    lost.handle_eof();
    assert_eq!(lost.call(id).expect("it is not released").rejection(), None);
}

#[test]
fn the_arguments_come_as_they_were_sent_whatever_their_size() {
    for size in [0, 1, 500, 2_047, 2_048, 5_000, 15_000] {
        let mut pair = Pair::established();
        let arguments: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let request = Request { arguments: arguments.clone().into(), ..request(0) };
        pair.client.open(&request).expect("a first call");
        pair.drive();
        let incoming = pair.server.events().into_iter().find_map(|event| match event {
            Event::Incoming(id) => Some(id),
            _ => None,
        });
        let id = incoming.expect("the call comes in");
        let taken = pair.server.call(id).and_then(|mut call| call.take_request());
        assert_eq!(taken.expect("it has a request").arguments, arguments, "{size} bytes");
    }
}

/// R-MSG-4
#[test]
fn a_message_in_chunks_is_told_once_and_when_it_is_whole() {
    let (mut server, id) = server(Limits::default());
    let half = server.inbound(id, 1);
    let chunk = |payload| Frame::More { call: 1, half: 1, payload };
    feed(&mut server, &[Frame::Begin { call: 1, half: 1, total: 6, payload: b"ab" }]);
    feed(&mut server, &[chunk(b"cd")]);
    assert_eq!((server.events(), server.stats().messages_in), (vec![], 0));
    feed(&mut server, &[chunk(b"ef")]);
    assert_eq!((server.events(), server.stats().messages_in), (vec![Event::Readable(half)], 1));

    feed(&mut server, &[message(1, 1, b"g")]);
    feed(&mut server, &[Frame::Begin { call: 1, half: 1, total: 2, payload: b"h" }]);
    feed(&mut server, &[chunk(b"i")]);
    assert_eq!(server.events(), [Event::Readable(half)], "nobody has looked since the first");
    assert_eq!(drain(&mut server, half), 3);
}

/// R-CREDIT-2: all that is in a packet counts, of the half's credit.
#[test]
fn many_messages_in_a_packet_may_not_exceed_the_credit_of_their_half() {
    let limits = Limits { half_window: 4_096, ..Limits::default() };
    for (count, is_within) in [(4, true), (5, false)] {
        let (mut server, _) = server(limits.clone());
        let payload = [7; 1_024];
        let frames: Vec<_> = (0..count).map(|_| message(1, 1, &payload)).collect();
        server.handle_message(packet(&frames), Time::ZERO);
        let broken = CloseReason::Violation(Violation::HalfCredit);
        assert_eq!(server.closed(), (!is_within).then_some(&broken), "{count} messages");
    }
}

/// R-CREDIT-3: and of the connection's, of which 64 are still owed for the request.
#[test]
fn many_messages_in_a_packet_may_not_exceed_the_credit_of_the_connection() {
    let limits = Limits {
        connection_window: 20_000,
        half_window: 5_000,
        message: 4_096,
        request: 4_096,
        ..Limits::default()
    };
    for (count, is_within) in [(3, true), (4, false)] {
        let mut server = end(Role::Server, limits.clone());
        let id = incoming(&mut server, 1, 5);
        accept(&mut server, id);
        let payload = [7; 1_000];
        for half in 1..=4 {
            feed(&mut server, &vec![message(1, half, &payload); 4]);
        }
        assert_eq!(server.held(), 16_000);
        let frames = vec![message(1, 5, &payload); count];
        server.handle_message(packet(&frames), Time::ZERO);
        let broken = CloseReason::Violation(Violation::ConnectionCredit);
        assert_eq!(server.closed(), (!is_within).then_some(&broken), "{count} messages");
    }
}

/// R-CREDIT-9: at half of it, and not before.
#[test]
fn a_window_grows_when_half_of_it_is_used_up() {
    let window = Limits::default().first_half_window();
    for (used, grows) in [(window / 2 - 1, false), (window / 2, true)] {
        let (mut server, _) = server(Limits::default());
        let payload = vec![7; used as usize];
        feed(&mut server, &[message(1, 1, &payload)]);
        let sent = server.transmit(Time::ZERO);
        let granted = parsed(&sent)
            .into_iter()
            .any(|frame| matches!(frame, Frame::Credit { call: 1, half: 1, .. }));
        assert_eq!(granted, grows, "{used} of {window}");
    }
}

/// R-ERROR-3: it stands in line for the connection's credit once, with its message and with its error.
#[test]
fn an_error_behind_a_message_that_waits_for_credit_waits_with_it() {
    let limits =
        Limits { connection_window: 20_000, message: 4_096, request: 4_096, ..Limits::default() };
    let mut pair = Pair::new(Limits::default(), limits);
    let (here, there) = support::ends::call(&mut pair, 5);
    let halves: Vec<_> = (1..=5).map(|half| pair.client.outbound(here, half)).collect();
    for &half in &halves {
        for _ in 0..2 {
            let _ = pair.client.send(half, &[1; 4_000][..]);
        }
    }
    assert!(pair.client.stalled() > 0, "somebody waits for the connection's credit");
    for &half in &halves {
        pair.client.finish(half, Err(Fault::App(vec![2; 4_000].into()))).expect("it is open");
    }
    for round in 0..100 {
        pair.drive();
        assert_eq!((pair.client.audit(), pair.server.audit()), (Ok(()), Ok(())), "{round}");
        for half in 1..=5 {
            let half = pair.server.inbound(there, half);
            drain(&mut pair.server, half);
        }
    }
    for half in 1..=5 {
        let half = pair.server.inbound(there, half);
        let fault = Fault::App(vec![2; 4_000].into());
        assert_eq!(pair.server.recv(half), Some(Received::End(End::Fault(fault))));
    }
    assert_eq!((pair.client.stalled(), pair.client.buffered()), (0, 0));
}

/// The books are looked at behind every step.
#[test]
fn a_half_that_is_stopped_takes_no_room_among_the_windows() {
    let (mut client, id) = client(Limits::default());
    let reply = client.inbound(id, 0);
    client.stop(reply);
    assert_eq!(client.audit(), Ok(()));

    let (mut server, id) = server(Limits::default());
    for half in [1, 2] {
        let half = server.inbound(id, half);
        server.stop(half);
        assert_eq!(server.audit(), Ok(()));
        assert_eq!(server.recv_run(half, &mut Run::new()), Taken::End(End::CallOver));
    }
}
