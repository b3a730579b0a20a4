//! What a `Stop` sets free, for its half and for those who wait behind it; and who waits for room.

mod support;

use wirestream_protocol::wire::{FaultCode, Frame};
use wirestream_protocol::{CallId, Event, Fault, Limits, Role, SendError, Time};

use support::ends::{end, feed, incoming, message, server};
use support::{Endpoint, hello, parsed, request};

/// A client with call 1, accepted, of three parameters, whose server takes messages of 32,768 bytes,
/// as much on the connection, and 4,096 at first on each half.
fn narrow(limits: Limits) -> (Endpoint, CallId) {
    let mut client = Endpoint::new(Role::Client, limits);
    let window = 32_768;
    let peer = Limits {
        message: window,
        chunk: 4_096,
        request: 4_096,
        half_window: 4_096,
        connection_window: window,
        ..Limits::default()
    };
    feed(&mut client, &[hello(&peer)]);
    let id = client.open(&request(3)).expect("a first call");
    client.transmit(Time::ZERO);
    feed(&mut client, &[Frame::Accept { call: 1 }, credit(0, 64)]);
    client.events();
    assert_eq!(client.credit_books().0, i64::from(window));
    (client, id)
}

fn credit(half: u8, amount: u32) -> Frame<'static> {
    let call = u32::from(half > 0);
    Frame::Credit { call, half, amount }
}

fn stop(half: u8) -> Frame<'static> {
    Frame::Stop { call: 1, half }
}

/// R-HALF-3: what was not sent has cost nothing; what has begun has cost all of it.
#[test]
fn a_stopped_sender_takes_back_what_it_has_not_sent() {
    let (mut client, id) = narrow(Limits::default());
    let out = client.outbound(id, 1);
    client.send(out, &[1; 1_000]).expect("there is credit");
    client.send(out, &[2; 2_000]).expect("there is credit");
    client.finish(out, Err(Fault::App(vec![3; 3_000].into()))).expect("it is not ended");
    assert_eq!(client.credit_books().0, 32_768 - 6_000);
    feed(&mut client, &[stop(1)]);
    assert_eq!(client.credit_books().0, 32_768);
    assert_eq!(client.poll_transmit(Time::ZERO), None);

    // One that waits for the connection's credit had taken none of it.
    let (waits, fills) = (client.outbound(id, 2), client.outbound(id, 3));
    client.send(fills, &[1; 32_000]).expect("there is credit");
    client.send(waits, &[2; 1_000]).expect("it waits");
    feed(&mut client, &[stop(2)]);
    assert_eq!((client.credit_books().0, client.buffered()), (768, 32_000));
    // A part of it leaves; the rest was charged with that.
    let first = client.poll_transmit(Time::ZERO).expect("a packet");
    assert!(client.buffered() > 0 && first.len() < 32_000);
    feed(&mut client, &[stop(3)]);
    assert_eq!((client.credit_books().0, client.buffered()), (768, 0));
}

/// R-CREDIT-7: whoever waits behind it goes on, with nothing else to come.
#[test]
fn a_stop_lets_those_go_on_who_wait_behind() {
    let (mut client, id) = narrow(Limits::default());
    let [first, second, third] = [1, 2, 3].map(|half| client.outbound(id, half));
    client.send(first, &[1; 20_000]).expect("there is credit");
    client.send(second, &[2; 16_000]).expect("it waits");
    client.send(third, b"small").expect("it waits behind the large one");
    client.transmit(Time::ZERO);
    assert!(!client.has_transmit());
    feed(&mut client, &[stop(2)]);
    assert_eq!(parsed(&client.transmit(Time::ZERO)), [message(1, 3, b"small")]);
}

/// What was to leave makes room in the outgoing buffer, at once.
#[test]
fn a_stop_makes_room_for_those_who_wait_for_the_buffer() {
    let (mut client, id) = narrow(Limits { outbound: 6_000, ..Limits::default() });
    let (fills, waits) = (client.outbound(id, 1), client.outbound(id, 2));
    client.send(fills, &[1; 7_000]).expect("there is room");
    assert_eq!(client.send(waits, &[2; 5_000]), Err(SendError::Blocked));
    feed(&mut client, &[stop(1)]);
    assert_eq!(client.events(), [Event::Stopped(fills), Event::Writable(waits)]);
    client.send(waits, &[2; 5_000]).expect("there is room");
}

/// R-CREDIT-2: credit that a message drew below zero is worth nothing before it is above.
#[test]
fn a_grant_up_to_zero_lets_nobody_send() {
    let (mut client, id) = narrow(Limits::default());
    let out = client.outbound(id, 1);
    client.send(out, &[1; 5_000]).expect("there is credit");
    assert_eq!(client.send(out, b"x"), Err(SendError::Blocked));
    feed(&mut client, &[credit(1, 904)]);
    assert_eq!(client.events(), []);
    assert_eq!(client.send(out, b"x"), Err(SendError::Blocked));
    feed(&mut client, &[credit(1, 1)]);
    assert_eq!(client.events(), [Event::Writable(out)]);
    client.send(out, b"x").expect("there is credit");
}

/// R-HALF-4, R-CALL-2: a `Begin` by its total, a `More` not again, an `Error` by its payload; all
/// of it given back at once.
#[test]
fn what_comes_on_a_stopped_half_is_charged_and_given_back() {
    let (mut server, id) = server(Limits::default());
    let half = server.inbound(id, 1);
    server.stop(half);
    server.transmit(Time::ZERO);
    let (_, held, before) = server.credit_books();
    assert_eq!(held, 0);
    let begin = Frame::Begin { call: 1, half: 1, total: 9_000, payload: b"a" };
    let code = FaultCode::App;
    for (frame, owed_then) in [
        (message(1, 1, b""), 64),
        (begin, 9_064),
        (Frame::More { call: 1, half: 1, payload: &[1; 8_999] }, 9_064),
        (Frame::Error { call: 1, half: 1, code, payload: &[1; 100] }, 9_164),
    ] {
        feed(&mut server, &[frame]);
        let (_, held, owed) = server.credit_books();
        assert_eq!((held, owed - before), (0, owed_then));
    }
    assert_eq!(server.closed(), None);
}

/// R-HALF-3: a half that has ended is not stopped on the wire.
#[test]
fn a_half_that_has_ended_is_stopped_in_silence() {
    let (mut server, id) = server(Limits::default());
    feed(&mut server, &[message(1, 1, b"x"), Frame::Close { call: 1, half: 1 }]);
    let half = server.inbound(id, 1);
    server.stop(half);
    assert_eq!(server.poll_transmit(Time::ZERO), None);
    let half = server.inbound(id, 2);
    server.stop(half);
    assert_eq!(parsed(&server.transmit(Time::ZERO)), [stop(2)]);
}

/// Whoever waits for the buffer may go on once half of it is free, and not only when it is empty.
#[test]
fn half_a_buffer_is_room_enough() {
    let (mut client, id) = narrow(Limits { outbound: 20_000, ..Limits::default() });
    let (fills, waits) = (client.outbound(id, 1), client.outbound(id, 2));
    client.send(fills, &[1; 20_000]).expect("there is room");
    assert_eq!(client.send(waits, &[2; 5_000]), Err(SendError::Blocked));
    client.poll_transmit(Time::ZERO).expect("a packet");
    assert!((1..10_000).contains(&client.buffered()), "{}", client.buffered());
    assert_eq!(client.events(), [Event::Writable(waits)]);
}

/// R-MSG-6: about 4 KiB of small messages at a turn.
#[test]
fn small_messages_take_small_turns() {
    let (mut client, id) = narrow(Limits::default());
    for half in [1, 2] {
        let out = client.outbound(id, half);
        for _ in 0..8 {
            client.send(out, &[half; 1_000]).expect("there is credit");
            feed(&mut client, &[credit(half, 1_000)]);
        }
    }
    let sent = client.transmit(Time::ZERO);
    let halves = parsed(&sent).into_iter().map(|frame| match frame {
        Frame::Message { half, .. } => half,
        frame => panic!("{frame:?}"),
    });
    let halves: Vec<u8> = halves.collect();
    let turns: Vec<usize> = halves.chunk_by(|a, b| a == b).map(<[u8]>::len).collect();
    assert!(turns.iter().all(|&turn| turn <= 5), "{turns:?}");
}

/// R-CREDIT-9, R-CALL-3: what was used up before the answer lets the window grow with it.
#[test]
fn an_acceptance_brings_the_credit_that_was_used_up_before_it() {
    let mut server = end(Role::Server, Limits::default());
    let id = incoming(&mut server, 1, 1);
    feed(&mut server, &[message(1, 1, &[1; 9_000])]);
    assert_eq!(server.poll_transmit(Time::ZERO), None);
    server.call(id).expect("the call is there").accept().expect("the call can be answered");
    let answer = [Frame::Accept { call: 1 }, credit(1, 16_384)];
    assert_eq!(parsed(&server.transmit(Time::ZERO)), answer);
}
