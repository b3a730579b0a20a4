//! Single behaviours of a connection and its calls, each by its name.

mod support;

use core::time::Duration;
use std::collections::BTreeSet;

use bytes::Bytes;
use wirestream_protocol::state::CallState;
use wirestream_protocol::wire::{
    AwayCode, FaultCode, Frame, Hello, MAX_PACKET, MINIMUM_CHARGE, Open,
};
use wirestream_protocol::{
    AnswerError, CallId, CloseReason, Config, Connection, End, Event, Fault, Inbound, Limits,
    LimitsError, OpenError, Outbound, Outcome, Received, RejectCode, Rejection, Request, Role,
    SendError, Time, Token, Violation,
};

use support::{Endpoint, Pair, announced, floor_limits, hello, packet, parsed, request};

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Time {
    Time::ZERO + SECOND * u32::try_from(seconds).expect("small")
}

fn open(call: u32, parameters: u8) -> Frame<'static> {
    open_with(call, parameters, b"")
}

fn open_with(call: u32, parameters: u8, arguments: &[u8]) -> Frame<'_> {
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
fn open_of(call: u32, body: usize, arguments: &mut Vec<u8>) -> Frame<'_> {
    arguments.resize(body - open(call, 0).body_len(), 7);
    open_with(call, 0, arguments)
}

/// An end whose peer is this test: it has said `Hello` with the default limits.
fn end(role: Role, limits: Limits) -> Endpoint {
    let mut end = Endpoint::new(role, limits);
    feed(&mut end, &[hello(&Limits::default())]);
    end.transmit(Time::ZERO);
    end
}

fn feed(end: &mut Endpoint, frames: &[Frame<'_>]) {
    end.handle_message(packet(frames), Time::ZERO);
    assert_eq!(end.audit(), Ok(()));
}

/// A server with call 1, accepted, with two parameter halves.
fn server(limits: Limits) -> (Endpoint, CallId) {
    let mut server = end(Role::Server, limits);
    let id = incoming(&mut server, 1, 2);
    accept(&mut server, id);
    (server, id)
}

fn incoming(server: &mut Endpoint, call: u32, parameters: u8) -> CallId {
    feed(server, &[open(call, parameters)]);
    match server.events()[..] {
        [Event::Incoming(id)] => id,
        ref events => panic!("{events:?}"),
    }
}

fn accept(server: &mut Endpoint, id: CallId) {
    let mut call = server.call(id).expect("the call is there");
    call.take_request().expect("the request is there");
    call.accept().expect("the call can be answered");
    server.transmit(Time::ZERO);
}

/// A client with call 1, accepted, with two parameter halves.
fn client(limits: Limits) -> (Endpoint, CallId) {
    let (mut client, id) = caller(limits);
    feed(&mut client, &[Frame::Accept { call: 1 }]);
    assert_eq!(client.events(), [Event::Accepted(id)]);
    (client, id)
}

/// The same, not answered yet.
fn caller(limits: Limits) -> (Endpoint, CallId) {
    let mut client = end(Role::Client, limits);
    let id = client.open(&request(2)).expect("a first call");
    client.transmit(Time::ZERO);
    (client, id)
}

/// Two ends with one accepted call between them: its id at the client, and at the server.
fn call(pair: &mut Pair, parameters: u8) -> (CallId, CallId) {
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

fn message(call: u32, half: u8, payload: &[u8]) -> Frame<'_> {
    Frame::Message { call, half, payload }
}

fn received(bytes: &'static [u8]) -> Option<Received> {
    Some(Received::Message(Bytes::from_static(bytes)))
}

fn drain(end: &mut Endpoint, half: Inbound) -> usize {
    let mut count = 0;
    while let Some(Received::Message(_)) = end.recv(half) {
        count += 1;
    }
    count
}

// Violations: at the limit, and one past it.

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

fn new_server() -> Endpoint {
    end(Role::Server, Limits::default())
}

fn busy_server() -> Endpoint {
    server(Limits::default()).0
}

fn busy_client() -> Endpoint {
    client(Limits::default()).0
}

/// R-PACKET-2, R-PACKET-3.
#[test]
fn a_packet_has_a_frame_and_a_largest_size() {
    let largest = packet(&vec![Frame::Ping; MAX_PACKET / 2]);
    assert_eq!(largest.len(), MAX_PACKET);
    let larger = [&largest[..], &[0x0c]].concat();
    check(new_server, &largest, &larger, Violation::PacketTooLarge);
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
            0x01..=0x0e => assert!(
                matches!(closed, Some(CloseReason::Violation(violation))
                    if violation != Violation::FrameKind(kind)),
                "{kind:#04x}: {closed:?}"
            ),
            0x0f..=0x7f => {
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
    type Set = fn(&mut Limits, u32);
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
            let base = Limits {
                connection_window: if edge == ceiling { 1 << 30 } else { 16_384 },
                ..floor_limits()
            };
            let [mut within, mut outside] = [base.clone(), base];
            set(&mut within, edge);
            set(&mut outside, beyond);
            let violation = Violation::HelloLimits;
            check_frames(silent, &[hello(&within)], &[hello(&outside)], violation);
            assert_eq!(within.validate(), Ok(()));
            assert!(outside.validate().is_err());
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

/// R-MSG-1, R-MSG-2, R-ERROR-2: on late frames too.
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
    let error = |payload| Frame::Error { call: 1, half: 1, code: FaultCode::App, payload };
    let begin = |total, payload| Frame::Begin { call: 1, half: 1, total, payload };
    let large = Violation::ChunkTooLarge;
    check_frames(live, &[message(1, 1, &within)], &[message(1, 1, &beyond)], large);
    check_frames(late, &[message(1, 1, &within)], &[message(1, 1, &beyond)], large);
    check_frames(live, &[error(&within)], &[error(&beyond)], large);
    check_frames(late, &[error(&within)], &[error(&beyond)], large);
    check_frames(live, &[begin(9_000, &within)], &[begin(9_000, &beyond)], large);
    let total = Violation::MessageTooLarge;
    check_frames(live, &[begin(9_000, &within)], &[begin(9_001, &within)], total);
    check_frames(late, &[begin(9_000, &within)], &[begin(9_001, &within)], total);
    // Where the chunk is the larger of the two, one frame still holds no more than a message.
    let small = Limits { message: 4_096, ..Limits::default() };
    let live = || server(small.clone()).0;
    let (within, beyond) = (vec![1; 4_096], vec![1; 4_097]);
    check_frames(live, &[message(1, 1, &within)], &[message(1, 1, &beyond)], large);
    check_frames(live, &[error(&within)], &[error(&beyond)], large);
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
fn a_grant_gives_back_no_more_than_was_used() {
    let half = |amount| Frame::Credit { call: 1, half: 1, amount };
    let connection = |amount| Frame::Credit { call: 0, half: 0, amount };
    let sent = || {
        let (mut client, id) = client(Limits::default());
        let out = client.outbound(id, 1);
        client.send(out, &[1; 100]).expect("there is credit");
        client.transmit(Time::ZERO);
        client
    };
    check_frames(sent, &[half(100)], &[half(101)], Violation::Grant);
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

// Hello.

/// R-HELLO-3: both ways.
#[test]
fn an_unknown_major_version_is_a_clear_refusal() {
    let mut server = Endpoint::new(Role::Server, Limits::default());
    feed(&mut server, &[Frame::Hello(Hello::Other { major: 2 })]);
    assert_eq!(server.closed(), Some(&CloseReason::Version { peer: 2, ours: 1 }));
    let last = server.transmit(Time::ZERO);
    let refusal = Frame::GoAway { code: AwayCode::Version, detail: "supported: 1".into() };
    assert_eq!(parsed(&last), [hello(&Limits::default()), refusal.clone()]);

    let mut client = Endpoint::new(Role::Client, Limits::default());
    feed(&mut client, &[refusal]);
    assert_eq!(client.closed(), Some(&CloseReason::VersionRefused("supported: 1".into())));
    assert_eq!(client.poll_transmit(Time::ZERO), None, "R-AWAY-2: nothing more is sent");
    assert!(!client.has_transmit());
}

/// R-HELLO-4, R-HELLO-7.
#[test]
fn hello_brings_the_token_and_the_minor_version() {
    let token = Token::new(&b"secret"[..]);
    let config = Config { limits: Limits::default(), token: Some(token.clone()) };
    let mut client = Connection::new(Role::Client, config, Time::ZERO).expect("valid limits");
    let first = client.poll_transmit(Time::ZERO).expect("Hello is sent at once");
    let mut server = Endpoint::new(Role::Server, Limits::default());
    assert_eq!((server.peer_token(), server.minor_version()), (None, None));
    server.handle_message(first, Time::ZERO);
    assert_eq!(server.peer_token(), Some(&token));
    assert_eq!(server.minor_version(), Some(0));
    assert!(!format!("{server:?}").contains("secret"));

    let mut server = Endpoint::new(Role::Server, Limits::default());
    let limits = announced(&Limits::default());
    feed(&mut server, &[Frame::Hello(Hello::V1 { minor: 7, limits, token: None })]);
    assert_eq!(server.minor_version(), Some(0), "the lower of the two");
}

/// R-HELLO-6: windows, a request and a message at the floor go at once, one byte more waits for
/// the peer's `Hello`, and goes then.
#[test]
fn the_first_flight_keeps_to_the_floors() {
    let mut client = Endpoint::new(Role::Client, Limits::default());
    let id = client.open(&request(2)).expect("a first call");
    let (first, second) = (client.outbound(id, 1), client.outbound(id, 2));
    assert_eq!(client.send(first, &[1; 4_097]), Err(SendError::Blocked));
    assert_eq!(client.send(first, &[1; 4_096]), Ok(()));
    assert_eq!(client.send(first, &[1; 1]), Err(SendError::Blocked), "the half is used up");
    assert_eq!(client.send(second, &[1; 4_096]), Ok(()));

    let base = request(0);
    let overhead = {
        let mut probe = Endpoint::new(Role::Client, Limits::default());
        probe.transmit(Time::ZERO);
        probe.open(&base).expect("a first call");
        let sent = probe.transmit(Time::ZERO);
        match &parsed(&sent)[..] {
            [frame @ Frame::Open(_)] => frame.body_len(),
            frames => panic!("{frames:?}"),
        }
    };
    let sized =
        |body: usize| Request { arguments: vec![1; body - overhead].into(), ..base.clone() };
    client.open(&sized(4_096)).expect("a second call");
    client.open(&sized(4_097)).expect("a third call");
    client.open(&sized(70)).expect("a fourth call");
    let sent = client.transmit(Time::ZERO);
    let opens = |packet: &[u8]| -> Vec<u32> {
        let call = |frame: &Frame<'_>| match frame {
            Frame::Open(open) => Some(open.call),
            _ => None,
        };
        parsed(packet).iter().filter_map(call).collect()
    };
    assert_eq!(opens(&sent), [1, 2], "the third waits, and the fourth behind it");
    let used = 16_384 - client.credit_books().0;
    assert!(used <= 16_384);

    feed(&mut client, &[hello(&Limits::default())]);
    let events = client.events();
    assert!(events.contains(&Event::Writable(first)), "{events:?}");
    assert_eq!(client.send(first, &[1; 4_097]), Ok(()));
    let sent = client.transmit(Time::ZERO);
    assert_eq!(opens(&sent), [3, 4]);
}

/// R-HELLO-6, R-OPEN-3: what the peer turns out not to take is refused here, and never sent.
#[test]
fn a_request_too_large_for_the_peer_is_refused_by_the_caller() {
    let mut client = Endpoint::new(Role::Client, Limits::default());
    let large = Request { arguments: vec![1; 10_000].into(), ..request(0) };
    let id = client.open(&large).expect("the limit is not known yet");
    feed(&mut client, &[hello(&floor_limits())]);
    let events = client.events();
    let rejected = |event: &Event| {
        matches!(event, Event::Ended(ended, Outcome::Rejected(rejection))
            if *ended == id && rejection.code == RejectCode::InvalidArguments)
    };
    assert!(events.iter().any(rejected), "{events:?}");
    assert_eq!(parsed(&client.transmit(Time::ZERO)), [hello(&Limits::default())]);
    let size = match client.open(&large) {
        Err(OpenError::TooLarge { size, limit: 4_096 }) => size,
        other => panic!("{other:?}"),
    };
    assert!(size > 10_000);
}

/// R-HELLO-9.
#[test]
fn a_peer_that_does_not_say_hello_in_time_is_given_up() {
    for role in [Role::Client, Role::Server] {
        let mut end = Endpoint::new(role, Limits::default());
        assert_eq!(end.poll_timeout(), Some(at(5)));
        end.handle_timeout(at(4));
        assert_eq!(end.closed(), None);
        end.handle_timeout(at(5));
        assert_eq!(end.closed(), Some(&CloseReason::HandshakeTimeout));
        let last = end.transmit(at(5));
        let away = &parsed(&last)[1];
        assert!(matches!(away, Frame::GoAway { code: AwayCode::Timeout, .. }), "{away:?}");
    }
}

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
            pair.client.send(out, &[1; 4_000]).expect("there is credit");
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
        pair.server.send(answer, &[9; 40_000]).expect("there is credit");
        pair.server.send(answer, b"last").expect("there is credit");
        let end = fault.clone().map_or(Ok(()), Err);
        pair.server.finish(answer, end.clone()).expect("it is not ended");
        assert_eq!(pair.server.finish(answer, end), Err(SendError::Finished));
        assert_eq!(pair.server.send(answer, b"more"), Err(SendError::Finished));
        pair.drive();
        assert_eq!(pair.server.recv(asked), Some(Received::End(End::CallOver)));
        assert_eq!(pair.client.send(out, b"more"), Err(SendError::CallOver));
        assert_eq!(pair.client.recv(reply), Some(Received::Message(vec![9; 40_000].into())));
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

/// R-ERROR-2: at the limit and one past it.
#[test]
fn an_error_too_large_for_the_peer_goes_without_its_payload() {
    for (size, whole) in [(4_096, true), (4_097, false)] {
        let mut pair = Pair::new(floor_limits(), Limits::default());
        pair.drive();
        let (here, there) = call(&mut pair, 0);
        let answer = pair.server.outbound(there, 0);
        let fault = Fault::App(vec![1; size].into());
        pair.server.finish(answer, Err(fault.clone())).expect("it is not ended");
        pair.drive();
        let reply = pair.client.inbound(here, 0);
        let expected = if whole { fault } else { Fault::Failed };
        assert_eq!(pair.client.recv(reply), Some(Received::End(End::Fault(expected))));
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
        let fault = Fault::App(vec![3; 65_536].into());
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

// Time.

/// R-ALIVE-1, R-ALIVE-2, R-ALIVE-3.
#[test]
fn a_silent_peer_is_pinged_then_given_up() {
    let (mut server, _) = server(Limits::default());
    assert_eq!(server.poll_timeout(), Some(at(15)));
    server.handle_timeout(at(14));
    assert_eq!(server.poll_transmit(at(14)), None);
    server.handle_timeout(at(15));
    assert_eq!(parsed(&server.transmit(at(15))), [Frame::Ping]);
    assert_eq!(server.poll_timeout(), Some(at(35)));
    server.handle_timeout(at(34));
    assert_eq!(server.closed(), None);
    server.handle_timeout(at(35));
    assert_eq!(server.closed(), Some(&CloseReason::Timeout));
    let last = server.transmit(at(35));
    assert!(matches!(parsed(&last)[..], [Frame::GoAway { code: AwayCode::Timeout, .. }]));
}

/// R-ALIVE-1: a kind that is skipped is a sign of life as well as any.
#[test]
fn any_packet_is_a_sign_of_life() {
    for frame in [Frame::Pong, Frame::Ping, Frame::Unknown { kind: 0x55 }, message(1, 1, b"x")] {
        let (mut server, _) = server(Limits::default());
        server.handle_timeout(at(15));
        server.handle_message(packet(&[frame]), at(34));
        assert_eq!(server.poll_timeout(), Some(at(49)));
        server.handle_timeout(at(35));
        assert_eq!(server.closed(), None);
    }
}

/// R-ALIVE-4: a stalled or unread call delays no ping.
#[test]
fn pings_are_answered_whatever_the_application_does() {
    let mut pair = Pair::established();
    let (here, _) = call(&mut pair, 1);
    let out = pair.client.outbound(here, 1);
    while pair.client.send(out, &[1; 1_000]).is_ok() {
        pair.drive();
    }
    pair.pass(SECOND * 3_600);
    assert_eq!((pair.client.closed(), pair.server.closed()), (None, None));
}

/// R-ALIVE-2: whoever slept does not blame the peer.
#[test]
fn a_jump_of_a_day_pings_first() {
    let (mut server, _) = server(Limits::default());
    let day = 86_400;
    server.handle_timeout(at(day));
    assert_eq!(server.closed(), None);
    assert_eq!(parsed(&server.transmit(at(day))), [Frame::Ping]);
    server.handle_message(packet(&[Frame::Pong]), at(day + 1));
    assert_eq!(server.poll_timeout(), Some(at(day + 16)));
}

/// Time that goes back is taken as standing still.
#[test]
fn time_that_goes_back_stands_still() {
    let (mut server, _) = server(Limits::default());
    server.handle_message(packet(&[Frame::Ping]), at(100));
    server.handle_message(packet(&[Frame::Ping]), at(3));
    assert_eq!(server.poll_timeout(), Some(at(115)));
    server.handle_timeout(at(50));
    assert_eq!(parsed(&server.transmit(at(1))), [Frame::Pong]);
    assert_eq!(server.poll_timeout(), Some(at(115)));
    server.handle_timeout(at(115));
    assert_eq!(parsed(&server.transmit(at(0))), [Frame::Ping]);
}

/// A driver that sleeps until the deadline and handles it never spins.
#[test]
fn the_next_deadline_is_always_later() {
    for role in [Role::Client, Role::Server] {
        let mut end = end(role, Limits::default());
        let mut now = Time::ZERO;
        let mut deadlines = 0;
        while let Some(next) = end.poll_timeout() {
            assert!(deadlines == 0 || next > now, "{next} at {now}");
            now = next;
            end.handle_timeout(now);
            deadlines += 1;
        }
        assert!(end.closed().is_some());
        assert!(deadlines <= 3);
    }
}

/// R-LINGER-1: the client keeps a connection without calls for a while; the server for ever.
#[test]
fn a_client_without_calls_lingers_then_leaves() {
    let mut client = end(Role::Client, Limits::default());
    assert_eq!(client.poll_timeout(), Some(at(5)));
    client.handle_timeout(at(4));
    let id = client.open(&request(0)).expect("a first call");
    assert_eq!(client.poll_timeout(), Some(at(15)), "with a call it stays");
    client.handle_timeout(at(10));
    client.release(id);
    // The application's verbs do not know the time: the next one that does starts the linger.
    assert_eq!(client.poll_timeout(), Some(at(10)));
    client.handle_timeout(at(11));
    assert_eq!(client.poll_timeout(), Some(at(15)), "the ping");
    client.handle_message(packet(&[Frame::Pong]), at(12));
    assert_eq!(client.poll_timeout(), Some(at(16)));
    client.handle_timeout(at(16));
    assert_eq!(client.closed(), Some(&CloseReason::Idle));
    let done = Frame::GoAway { code: AwayCode::Done, detail: "".into() };
    assert_eq!(parsed(&client.transmit(at(16))), [done.clone()]);

    let (mut server, id) = server(Limits::default());
    server.release(id);
    server.transmit(Time::ZERO);
    for second in (0..10_000).step_by(10) {
        server.handle_message(packet(&[Frame::Pong]), at(second));
        server.handle_timeout(at(second));
    }
    assert_eq!(server.closed(), None);
    feed(&mut server, &[done]);
    assert_eq!(server.closed(), Some(&CloseReason::Peer));
}

// The end of a connection.

/// R-AWAY-1: with no call running, the client leaves at once.
#[test]
fn a_server_that_shuts_down_without_calls_is_left_at_once() {
    let mut pair = Pair::established();
    pair.server.shutdown(at(30));
    pair.server.shutdown(at(40));
    pair.drive();
    assert_eq!(pair.client.closed(), Some(&CloseReason::Drained));
    assert_eq!(pair.server.closed(), Some(&CloseReason::Drained));
    assert_eq!(pair.client.open(&request(0)), Err(OpenError::Lost(CloseReason::Drained)));
}

/// R-AWAY-1, R-AWAY-4: with calls running, they end first.
#[test]
fn a_server_that_shuts_down_lets_its_calls_end() {
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 0);
    pair.server.shutdown(at(30));
    pair.drive();
    assert!(pair.client.is_going_away() && pair.server.is_going_away());
    assert_eq!(pair.client.open(&request(0)), Err(OpenError::GoingAway));
    pair.pass(SECOND * 20);
    let answer = pair.server.outbound(there, 0);
    pair.server.send(answer, b"done").expect("the call goes on");
    pair.server.finish(answer, Ok(())).expect("it is not ended");
    pair.server.release(there);
    pair.drive();
    assert_eq!(pair.client.closed(), None, "the reply is not read yet");
    let reply = pair.client.inbound(here, 0);
    assert_eq!(pair.client.recv(reply), received(b"done"));
    assert_eq!(pair.client.recv(reply), Some(Received::End(End::Finished)));
    pair.client.release(here);
    pair.drive();
    assert_eq!(pair.client.closed(), Some(&CloseReason::Drained));
    assert_eq!(pair.server.closed(), Some(&CloseReason::Drained));
}

/// R-AWAY-4, R-CALL-7.
#[test]
fn calls_that_outlive_the_drain_are_lost() {
    let mut pair = Pair::established();
    call(&mut pair, 0);
    pair.server.shutdown(at(30));
    pair.pass(SECOND * 29);
    assert_eq!(pair.server.closed(), None);
    pair.pass(SECOND);
    for end in [&mut pair.server, &mut pair.client] {
        assert_eq!(end.closed(), Some(&CloseReason::DrainExpired));
        end.events();
        assert_eq!(end.ended[&1], Outcome::Lost(CloseReason::DrainExpired));
    }
}

/// R-AWAY-4: at the deadline, without calls, it ends with `Done`.
#[test]
fn a_drained_server_ends_at_the_deadline_if_the_client_stays() {
    let mut server = end(Role::Server, Limits::default());
    server.shutdown(at(3));
    server.handle_timeout(at(3));
    assert_eq!(server.closed(), Some(&CloseReason::Drained));
    let sent = server.transmit(at(3));
    assert!(matches!(parsed(&sent)[..], [Frame::GoAway { code: AwayCode::Done, .. }]));
}

/// A client that shuts down waits for its own calls, and says nothing of it.
#[test]
fn a_client_that_shuts_down_lets_its_calls_end() {
    let (mut client, id) = client(Limits::default());
    client.shutdown(at(30));
    assert_eq!(client.transmit(Time::ZERO), b""[..]);
    assert_eq!(client.open(&request(0)), Err(OpenError::GoingAway));
    feed(&mut client, &[Frame::Close { call: 1, half: 0 }]);
    client.release(id);
    assert_eq!(client.closed(), Some(&CloseReason::Drained));
}

/// R-AWAY-1: a shutdown is a server's to announce.
#[test]
fn a_server_ignores_the_shutdown_of_a_client() {
    let mut server = end(Role::Server, Limits::default());
    feed(&mut server, &[Frame::GoAway { code: AwayCode::Shutdown, detail: "".into() }]);
    assert_eq!(server.closed(), None);
    incoming(&mut server, 1, 0);
}

/// R-AWAY-2, R-AWAY-3: every other code is final, in any state, and what follows does not count.
#[test]
fn a_final_goaway_ends_the_connection_and_is_not_answered() {
    let detail: Box<str> = "why".into();
    let cases = [
        (AwayCode::Done, CloseReason::Peer),
        (AwayCode::Violation, CloseReason::Accused(detail.clone())),
        (AwayCode::Version, CloseReason::VersionRefused(detail.clone())),
        (AwayCode::Timeout, CloseReason::PeerTimeout(detail.clone())),
        (AwayCode::Expired, CloseReason::DrainExpired),
    ];
    for (code, reason) in cases {
        for mut end in
            [busy_server(), busy_client(), Endpoint::new(Role::Client, Limits::default())]
        {
            let away = Frame::GoAway { code, detail: detail.clone() };
            end.handle_message(packet(&[away, Frame::Unknown { kind: 0xff }]), Time::ZERO);
            assert_eq!(end.closed(), Some(&reason));
            assert_eq!(end.poll_transmit(Time::ZERO), None);
            assert_eq!(end.events().last(), Some(&Event::Closed(reason.clone())));
        }
    }
}

// Limits of its own.

#[test]
fn limits_that_do_not_agree_are_refused() {
    let window = Limits { message: 3 * 1024 * 1024, ..Limits::default() };
    assert_eq!(window.validate(), Err(LimitsError::WindowBelowMessage));
    let config = Config { limits: window, token: None };
    let refused = Connection::new(Role::Client, config, Time::ZERO).err();
    assert_eq!(refused, Some(LimitsError::WindowBelowMessage));
    let outbound = Limits { outbound: 0, ..Limits::default() };
    assert_eq!(outbound.validate(), Err(LimitsError::BelowFloor("outbound")));
    assert_eq!(Limits { outbound: 1, ..Limits::default() }.validate(), Ok(()));
    assert_eq!(floor_limits().validate(), Ok(()));
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
