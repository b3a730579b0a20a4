//! Every violation, from crafted bytes: at the limit, and one past it.

mod support;

use std::collections::BTreeSet;

use bytes::Bytes;
use wirestream_protocol::wire::{AwayCode, FaultCode, Frame, Hello, MAX_FAULT, MAX_PACKET};
use wirestream_protocol::{
    Announced, AnswerError, CloseReason, End, Event, Limits, OpenError, Received, RejectCode, Role,
    Time, Violation,
};

use support::ends::{
    busy_client, busy_server, caller, client, end, feed, message, new_server, open, open_of, server,
};
use support::{Endpoint, announced, floor_limits, hello, packet, parsed, request};

/// What is within the rules changes nothing about the peace; what is beyond them ends the
/// connection with the rule's name, delivers nothing, and stays.
fn check(make: impl Fn() -> Endpoint, within: &[u8], beyond: &[u8], violation: Violation) {
    let mut fine = make();
    fine.handle_message(Bytes::copy_from_slice(within), Time::ZERO);
    assert!(!matches!(fine.closed(), Some(CloseReason::Violation(_))), "{:?}", fine.closed());
    assert_eq!(fine.audit(), Ok(()));

    let mut end = make();
    end.events();
    end.handle_message(Bytes::copy_from_slice(beyond), Time::ZERO);
    let reason = CloseReason::Violation(violation);
    assert_eq!(end.closed(), Some(&reason));
    let events = end.events();
    let news = |event: &&Event| matches!(event, Event::Incoming(_) | Event::Accepted(_));
    assert_eq!(events.iter().find(news), None);
    for event in &events {
        if let Event::Readable(half) = event {
            assert_eq!(end.recv(*half), Some(Received::End(End::Lost(reason.clone()))));
        }
    }
    assert_eq!(events.last(), Some(&Event::Closed(reason.clone())));
    // R-AWAY-5
    let last = end.transmit(Time::ZERO);
    let [.., Frame::GoAway { code: AwayCode::Violation, detail }] = &parsed(&last)[..] else {
        panic!("{last:02x?}");
    };
    assert!(detail.starts_with(&format!("{}: ", violation.rule())), "{detail}");
    end.handle_message(packet(&[Frame::Ping]), Time::ZERO);
    assert_eq!(end.closed(), Some(&reason));
    assert_eq!(end.poll_transmit(Time::ZERO), None);
    assert_eq!(end.poll_event(), None);
}

fn check_frames(
    make: impl Fn() -> Endpoint,
    within: &[Frame<'_>],
    beyond: &[Frame<'_>],
    violation: Violation,
) {
    check(make, &packet(within), &packet(beyond), violation);
}

/// R-PACKET-2, R-PACKET-3.
#[test]
fn a_packet_has_a_frame_and_a_largest_size() {
    let largest = packet(&vec![Frame::Ping; MAX_PACKET / 2]);
    assert_eq!(largest.len(), MAX_PACKET);
    let larger = [&largest[..], &[0x0c]].concat();
    let patient = Limits { idle_frames: u32::MAX, ..Limits::default() };
    check(|| end(Role::Server, patient.clone()), &largest, &larger, Violation::PacketTooLarge);
    check(new_server, &packet(&[Frame::Ping]), b"", Violation::PacketEmpty);
}

/// R-PACKET-4: only the driver sees that a message is text.
#[test]
fn a_text_message_is_refused_by_the_driver() {
    let mut server = new_server();
    server.handle_violation(Violation::TextMessage);
    assert_eq!(server.closed(), Some(&CloseReason::Violation(Violation::TextMessage)));
    let last = server.transmit(Time::ZERO);
    let [Frame::GoAway { code: AwayCode::Violation, detail }] = &parsed(&last)[..] else {
        panic!("{last:02x?}");
    };
    assert!(detail.starts_with("R-PACKET-4: "));
}

/// R-FRAME-1, R-FRAME-2, R-FRAME-3, R-PACKET-1.
#[test]
fn a_frame_lies_within_its_packet_and_fills_its_body() {
    check(new_server, &[0x0f, 1, 0], &[0x0f, 2, 0], Violation::FrameTruncated);
    check(new_server, &[0x0c, 0], &[0x0c], Violation::FrameTruncated);
    check(busy_server, &[0x08, 2, 1, 1], &[0x08, 3, 1, 1, 0], Violation::FrameMalformed);
    check(busy_server, &[0x08, 2, 1, 1], &[0x08, 1, 1], Violation::FrameMalformed);
}

/// R-VARINT-1, R-VARINT-2.
#[test]
fn a_number_is_short_and_within_its_range() {
    let overlong = [0x08, 3, 0x81, 0x00, 1];
    check(busy_server, &[0x08, 2, 1, 1], &overlong, Violation::VarintOverlong);
    // A code of 2^53 - 1, and of one more, in a `Reject` of call 1.
    let largest = [0x04, 10, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let larger = [0x04, 10, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0];
    check(|| caller(Limits::default()).0, &largest, &larger, Violation::VarintRange);
    // A half is a byte.
    check(busy_server, &[0x08, 2, 1, 2], &[0x08, 3, 1, 0x80, 2], Violation::VarintRange);
}

/// R-FRAME-4, R-FRAME-5: all 256 kinds.
#[test]
fn every_kind_is_known_or_skipped_or_never_valid() {
    for kind in 0..=u8::MAX {
        let mut server = busy_server();
        // Eight bytes that fit no frame.
        let body = [0xff; 8];
        let bytes = [&[kind, 8], &body[..], &packet(&[Frame::Ping])].concat();
        server.handle_message(bytes.into(), Time::ZERO);
        let closed = server.closed().cloned();
        match kind {
            0x01..=0x0f => assert!(
                matches!(closed, Some(CloseReason::Violation(violation))
                    if violation != Violation::FrameKind(kind)),
                "{kind:#04x}: {closed:?}"
            ),
            0x10..=0x7f => {
                assert_eq!(closed, None, "{kind:#04x}");
                let answer = server.transmit(Time::ZERO);
                assert_eq!(parsed(&answer), [Frame::Pong], "what follows it counts");
            }
            0x00 | 0x80..=0xff => {
                let violation = Violation::FrameKind(kind);
                assert_eq!(closed, Some(CloseReason::Violation(violation)));
            }
        }
    }
}

/// R-HELLO-1, R-HELLO-2.
#[test]
fn hello_comes_first_and_once() {
    let silent = || Endpoint::new(Role::Server, Limits::default());
    let hello = hello(&Limits::default());
    let frames = [hello.clone(), Frame::Ping];
    check_frames(silent, &frames, &[Frame::Ping], Violation::HelloMissing);
    for early in [message(1, 1, b"x"), open(1, 0), Frame::Unknown { kind: 0x20 }] {
        check_frames(silent, &frames, &[early], Violation::HelloMissing);
    }
    check_frames(new_server, &[Frame::Ping], &[hello], Violation::HelloRepeated);
}

/// R-HELLO-5: each limit at its edges and one past them.
#[test]
fn hello_announces_limits_within_their_range() {
    type Set = fn(&mut Announced, u32);
    let hello_of = |limits| Frame::Hello(Hello::V1 { minor: 0, limits, token: None });
    let sets: [(Set, u32, u32); 6] = [
        (|limits, n| limits.message = n, 4_096, 1 << 30),
        (|limits, n| limits.chunk = n, 4_096, 65_536),
        (|limits, n| limits.request = n, 4_096, 65_536),
        (|limits, n| limits.half_window = n, 4_096, 1 << 30),
        (|limits, n| limits.connection_window = n, 16_384, 1 << 30),
        (|limits, n| limits.calls = n, 1, 1 << 20),
    ];
    let silent = || Endpoint::new(Role::Server, Limits::default());
    for (set, floor, ceiling) in sets {
        for (edge, beyond) in [(floor, floor - 1), (ceiling, ceiling + 1)] {
            let connection_window = if edge == ceiling { 1 << 30 } else { 16_384 };
            let base = announced(&Limits { connection_window, ..floor_limits() });
            let [mut within, mut outside] = [base, base];
            set(&mut within, edge);
            set(&mut outside, beyond);
            let violation = Violation::HelloLimits;
            check_frames(silent, &[hello_of(within)], &[hello_of(outside)], violation);
        }
    }
    let parameters = |parameters| hello(&Limits { parameters, ..Limits::default() });
    check_frames(silent, &[parameters(64)], &[parameters(65)], Violation::HelloLimits);
    check_frames(silent, &[parameters(1)], &[parameters(0)], Violation::HelloLimits);
    let window =
        |connection_window| hello(&Limits { message: 20_000, connection_window, ..floor_limits() });
    check_frames(silent, &[window(20_000)], &[window(19_999)], Violation::HelloLimits);
}

/// R-OPEN-1.
#[test]
fn call_ids_rise_and_may_leave_gaps() {
    for (within, beyond) in [(2, 1), (9, 1), (u32::MAX, 0)] {
        let violation = Violation::CallOrder;
        check_frames(busy_server, &[open(within, 0)], &[open(beyond, 0)], violation);
    }
    // An id is not used again when its call is over either.
    let mut server = busy_server();
    feed(&mut server, &[Frame::Stop { call: 1, half: 0 }, open(1, 0)]);
    assert_eq!(server.closed(), Some(&CloseReason::Violation(Violation::CallOrder)));
}

/// R-OPEN-2.
#[test]
fn clients_open_and_servers_answer() {
    check_frames(busy_client, &[Frame::Ping], &[open(2, 0)], Violation::WrongRole);
    let reject = Frame::Reject { call: 1, rejection: RejectCode::Busy.into() };
    for answer in [Frame::Accept { call: 1 }, reject] {
        check_frames(busy_server, &[Frame::Ping], &[answer], Violation::WrongRole);
    }
    let mut server = busy_server();
    assert_eq!(server.open(&request(0)), Err(OpenError::Role));
    let (mut client, id) = caller(Limits::default());
    assert_eq!(client.call(id).map(|mut call| call.accept()), Some(Err(AnswerError)));
}

/// R-OPEN-3: also where the body is no request at all.
#[test]
fn a_request_has_a_largest_size() {
    let limits = Limits { request: 5_000, ..Limits::default() };
    let make = || end(Role::Server, limits.clone());
    let (mut within, mut beyond) = (Vec::new(), Vec::new());
    let frames = ([open_of(1, 5_000, &mut within)], [open_of(1, 5_001, &mut beyond)]);
    check_frames(make, &frames.0, &frames.1, Violation::RequestTooLarge);
    let nonsense = [&[0x02, 0x89, 0x27][..], &[0xff; 5_001]].concat();
    check(make, &packet(&frames.0), &nonsense, Violation::RequestTooLarge);
}

/// R-CALL-1.
#[test]
fn a_frame_names_a_call_that_was_opened() {
    for (within, beyond) in [(1, 2), (1, 0)] {
        let kinds = [
            |call| message(call, 1, b"x"),
            |call| Frame::Begin { call, half: 1, total: 2, payload: b"x" },
            |call| Frame::Close { call, half: 1 },
            |call| Frame::Error { call, half: 1, code: FaultCode::App, payload: b"x" },
            |call| Frame::Stop { call, half: 0 },
        ];
        for frame in kinds {
            let violation = Violation::UnknownCall;
            check_frames(busy_server, &[frame(within)], &[frame(beyond)], violation);
        }
    }
    // A client that has not sent its request yet knows that nobody can know of it.
    let early = || {
        let mut client = end(Role::Client, Limits::default());
        client.open(&request(0)).expect("a first call");
        client
    };
    check_frames(early, &[Frame::Ping], &[Frame::Accept { call: 1 }], Violation::UnknownCall);
}

/// R-CALL-3.
#[test]
fn a_call_is_answered_once_and_first() {
    let waiting = || caller(Limits::default()).0;
    let accept = || Frame::Accept { call: 1 };
    let early = [
        message(1, 0, b"x"),
        Frame::Begin { call: 1, half: 0, total: 2, payload: b"x" },
        Frame::Close { call: 1, half: 0 },
        Frame::Error { call: 1, half: 0, code: FaultCode::App, payload: b"x" },
        Frame::Stop { call: 1, half: 1 },
        Frame::Credit { call: 1, half: 1, amount: 1 },
    ];
    for frame in early {
        check_frames(waiting, &[accept()], &[frame], Violation::AnswerOrder);
    }
    let reject = || Frame::Reject { call: 1, rejection: RejectCode::Busy.into() };
    check_frames(busy_client, &[Frame::Ping], &[accept()], Violation::AnswerOrder);
    check_frames(busy_client, &[Frame::Ping], &[reject()], Violation::AnswerOrder);
    // Late, not wrong, once the call is over.
    let mut client = waiting();
    feed(&mut client, &[reject(), reject(), accept()]);
    assert_eq!(client.closed(), None);
}

/// R-HALF-1.
#[test]
fn a_frame_names_a_half_of_its_direction() {
    let at_server = [message(1, 0, b"x"), message(1, 3, b"x"), Frame::Close { call: 1, half: 3 }];
    for beyond in at_server {
        check_frames(busy_server, &[message(1, 2, b"x")], &[beyond], Violation::WrongHalf);
    }
    let stop = |half| Frame::Stop { call: 1, half };
    check_frames(busy_server, &[stop(0)], &[stop(1)], Violation::WrongHalf);
    check_frames(busy_client, &[stop(2)], &[stop(3)], Violation::WrongHalf);
    check_frames(busy_client, &[stop(1)], &[stop(0)], Violation::WrongHalf);
    let violation = Violation::WrongHalf;
    check_frames(busy_client, &[message(1, 0, b"x")], &[message(1, 1, b"x")], violation);
}

/// R-HALF-2.
#[test]
fn nothing_comes_after_the_end_of_a_half() {
    let ended = || {
        let mut server = busy_server();
        feed(&mut server, &[Frame::Close { call: 1, half: 1 }]);
        let half = server.events();
        assert!(matches!(half[..], [Event::Readable(_)]));
        server
    };
    let beyond = [
        message(1, 1, b"x"),
        Frame::Begin { call: 1, half: 1, total: 2, payload: b"x" },
        Frame::More { call: 1, half: 1, payload: b"x" },
        Frame::Close { call: 1, half: 1 },
        Frame::Error { call: 1, half: 1, code: FaultCode::Failed, payload: b"" },
    ];
    for frame in beyond {
        let mut server = ended();
        feed(&mut server, &[message(1, 2, b"x")]);
        assert_eq!(server.closed(), None, "the other half lives");
        feed(&mut server, &[frame]);
        assert_eq!(server.closed(), Some(&CloseReason::Violation(Violation::AfterEnd)));
    }
}

/// R-MSG-1, R-MSG-2: on late frames too.
#[test]
fn a_payload_and_a_message_have_largest_sizes() {
    let limits = Limits { chunk: 5_000, message: 9_000, ..Limits::default() };
    let live = || server(limits.clone()).0;
    let late = || {
        let (mut server, id) = server(limits.clone());
        feed(&mut server, &[Frame::Stop { call: 1, half: 0 }]);
        server.release(id);
        server
    };
    let (within, beyond) = (vec![1; 5_000], vec![1; 5_001]);
    let begin = |total, payload| Frame::Begin { call: 1, half: 1, total, payload };
    let large = Violation::ChunkTooLarge;
    check_frames(live, &[message(1, 1, &within)], &[message(1, 1, &beyond)], large);
    check_frames(late, &[message(1, 1, &within)], &[message(1, 1, &beyond)], large);
    check_frames(live, &[begin(9_000, &within)], &[begin(9_000, &beyond)], large);
    let more = |payload| Frame::More { call: 1, half: 1, payload };
    check_frames(late, &[more(&within)], &[more(&beyond)], large);
    let total = Violation::MessageTooLarge;
    check_frames(live, &[begin(9_000, &within)], &[begin(9_001, &within)], total);
    check_frames(late, &[begin(9_000, &within)], &[begin(9_001, &within)], total);
    for (payload, violation) in [(&within, None), (&beyond, Some(CloseReason::Violation(large)))] {
        for frame in [message(1, 1, payload), begin(9_000, payload), more(payload)] {
            let (mut server, id) = server(limits.clone());
            let half = server.inbound(id, 1);
            server.stop(half);
            feed(&mut server, &[frame]);
            assert_eq!(server.closed(), violation.as_ref(), "on a half that was stopped");
        }
    }
    // Where the chunk is the larger of the two, one frame still holds no more than a message.
    let small = Limits { message: 4_096, ..Limits::default() };
    let live = || server(small.clone()).0;
    let (within, beyond) = (vec![1; 4_096], vec![1; 4_097]);
    check_frames(live, &[message(1, 1, &within)], &[message(1, 1, &beyond)], large);
}

/// R-ERROR-2: whatever the limits are, on late frames too.
#[test]
fn an_error_has_a_largest_size() {
    let (within, beyond) = (vec![1; MAX_FAULT], vec![1; MAX_FAULT + 1]);
    let error = |payload| Frame::Error { call: 1, half: 1, code: FaultCode::App, payload };
    let small = Limits { chunk: 4_096, message: 4_096, ..Limits::default() };
    let large = Limits { chunk: 65_536, ..Limits::default() };
    for limits in [small, large] {
        let live = || server(limits.clone()).0;
        let late = || {
            let (mut server, id) = server(limits.clone());
            feed(&mut server, &[Frame::Stop { call: 1, half: 0 }]);
            server.release(id);
            server
        };
        let malformed = Violation::FrameMalformed;
        check_frames(live, &[error(&within)], &[error(&beyond)], malformed);
        check_frames(late, &[error(&within)], &[error(&beyond)], malformed);
    }
}

/// R-MSG-3.
#[test]
fn chunks_make_up_their_message_exactly() {
    let begin = |total, payload| Frame::Begin { call: 1, half: 1, total, payload };
    let more = |payload| Frame::More { call: 1, half: 1, payload };
    let violation = Violation::ChunkOrder;
    check_frames(busy_server, &[begin(2, b"x")], &[begin(2, b"")], violation);
    check_frames(busy_server, &[begin(2, b"x")], &[begin(1, b"x")], violation);
    check_frames(busy_server, &[begin(2, b"x")], &[more(b"x")], violation);
    let begun = || {
        let mut server = busy_server();
        feed(&mut server, &[begin(3, b"x")]);
        server
    };
    let beyond = [
        more(b""),
        more(b"yyy"),
        begin(3, b"x"),
        message(1, 1, b"x"),
        Frame::Close { call: 1, half: 1 },
        Frame::Error { call: 1, half: 1, code: FaultCode::App, payload: b"" },
    ];
    for frame in beyond {
        check_frames(begun, &[more(b"yy")], &[frame], violation);
    }
    check_frames(begun, &[more(b"y"), more(b"y")], &[more(b"y"), more(b"yy")], violation);
}

/// R-CREDIT-1, R-CREDIT-2: an empty message costs 64 bytes; the last byte of credit is enough for
/// a message of any size, and none is not.
#[test]
fn a_half_is_used_within_its_credit() {
    let limits = Limits { half_window: 4_097, ..Limits::default() };
    let used = || {
        let mut server = server(limits.clone()).0;
        feed(&mut server, &vec![message(1, 1, b""); 64]);
        assert_eq!(server.closed(), None);
        server
    };
    let large = vec![1; 16_384];
    let within = [message(1, 1, &large)];
    let beyond = [message(1, 1, b"")];
    for (last, fine) in [(&within[..], true), (&[message(1, 1, b""), beyond[0].clone()], false)] {
        let mut server = used();
        feed(&mut server, last);
        assert_eq!(server.closed().is_none(), fine);
    }
    let overdrawn = || {
        let mut server = used();
        feed(&mut server, &within);
        server.events();
        server
    };
    for frame in [beyond[0].clone(), Frame::Begin { call: 1, half: 1, total: 2, payload: b"x" }] {
        let mut server = overdrawn();
        feed(&mut server, &[message(1, 2, b"fine")]);
        assert_eq!(server.closed(), None, "the other half has credit of its own");
        feed(&mut server, &[frame]);
        assert_eq!(server.closed(), Some(&CloseReason::Violation(Violation::HalfCredit)));
    }
}

/// R-CREDIT-3, R-ERROR-3, R-OPEN-4: messages, whole messages in chunks, errors and requests, on
/// live and on late halves.
#[test]
fn the_connection_is_used_within_its_credit() {
    let limits = Limits {
        connection_window: 16_384,
        message: 16_384,
        request: 4_096,
        half_window: 16_384,
        ..Limits::default()
    };
    let used = || {
        let (mut server, id) = server(limits.clone());
        server.transmit(Time::ZERO);
        let (_, held, owed) = server.credit_books();
        let left = 16_384 - held - owed;
        let rest = vec![1; usize::try_from(left - 100).expect("small")];
        feed(&mut server, &[message(1, 1, &rest)]);
        assert!(server.inbound(id, 1).index() == 1);
        server
    };
    let (hundred, more) = (&[1; 100][..], &[1; 101][..]);
    let error = |payload| Frame::Error { call: 1, half: 2, code: FaultCode::App, payload };
    let begin = |total| Frame::Begin { call: 1, half: 2, total, payload: b"x" };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let cases = [
        (message(1, 2, hundred), message(1, 2, more)),
        (begin(100), begin(101)),
        (error(hundred), error(more)),
        (open_of(2, 100, &mut a), open_of(2, 101, &mut b)),
    ];
    for (within, beyond) in cases {
        for (frame, fine) in [(&within, true), (&beyond, false)] {
            let mut server = used();
            feed(&mut server, core::slice::from_ref(frame));
            let violation = CloseReason::Violation(Violation::ConnectionCredit);
            assert_eq!(server.closed(), (!fine).then_some(&violation), "{frame:?}");
        }
    }
}

/// R-CREDIT-4.
#[test]
fn a_grant_is_of_something_and_not_of_too_much() {
    let half = |amount| Frame::Credit { call: 1, half: 1, amount };
    let connection = |amount| Frame::Credit { call: 0, half: 0, amount };
    let sent = || {
        let (mut client, id) = client(Limits::default());
        let out = client.outbound(id, 1);
        client.send(out, &[1; 100]).expect("there is credit");
        client.transmit(Time::ZERO);
        client
    };
    // A half's window may grow (R-CREDIT-9).
    let most = (1 << 30) - Limits::default().first_half_window() + 100;
    check_frames(sent, &[half(most)], &[half(most + 1)], Violation::Grant);
    check_frames(sent, &[half(1)], &[half(0)], Violation::Grant);
    check_frames(sent, &[half(99), half(1)], &[half(u32::MAX)], Violation::Grant);
    // The request was charged to the connection as well.
    let (mut probe, _) = caller(Limits::default());
    let used = 2 * 1024 * 1024 - probe.credit_books().0 + 100;
    let used = u32::try_from(used).expect("small");
    check_frames(sent, &[connection(used)], &[connection(used + 1)], Violation::Grant);
    check_frames(sent, &[connection(1)], &[connection(0)], Violation::Grant);
    assert_eq!(probe.poll_event(), None);
}

/// Each violation names a rule of its own.
#[test]
fn violations_name_their_rules() {
    use Violation as V;
    let all = [
        V::PacketTooLarge,
        V::PacketEmpty,
        V::TextMessage,
        V::FrameTruncated,
        V::FrameMalformed,
        V::FrameKind(0),
        V::VarintOverlong,
        V::VarintRange,
        V::HelloMissing,
        V::HelloRepeated,
        V::HelloLimits,
        V::CallOrder,
        V::WrongRole,
        V::RequestTooLarge,
        V::TokenFromServer,
        V::UnknownCall,
        V::AnswerOrder,
        V::WrongHalf,
        V::AfterEnd,
        V::ChunkTooLarge,
        V::MessageTooLarge,
        V::ChunkOrder,
        V::HalfCredit,
        V::ConnectionCredit,
        V::Grant,
    ];
    let rules: BTreeSet<&str> = all.iter().map(|violation| violation.rule()).collect();
    assert_eq!(rules.len(), all.len());
    assert!(rules.iter().all(|rule| rule.starts_with("R-")));
}
