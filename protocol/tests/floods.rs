//! Floods of what costs a peer next to nothing: as much as the limit, and one beyond.

mod support;

use core::time::Duration;

use wirestream_protocol::wire::{FaultCode, Frame};
use wirestream_protocol::{
    CloseReason, Event, Limits, RejectCode, Role, SendError, Time, Token, Violation,
};

use support::ends::{SECOND, accept, caller, end, feed, incoming, new_server, open, server};
use support::{Endpoint, packet};

/// How many there may be at once, where there may be one a second.
const BURST: u32 = 10;

fn slow() -> Limits {
    Limits { resets: 1, idle_frames: 1, ..Limits::default() }
}

fn closed(end: &Endpoint) -> Option<Violation> {
    match end.closed()? {
        CloseReason::Violation(violation) => Some(*violation),
        reason => panic!("{reason:?}"),
    }
}

fn give_up(server: &mut Endpoint, call: u32, now: Time) {
    server.handle_message(packet(&[open(call, 0), Frame::Stop { call, half: 0 }]), now);
    let [Event::Incoming(id), ..] = server.events()[..] else { panic!("no call {call}") };
    server.release(id);
}

/// R-FLOOD-1
#[test]
fn calls_may_be_given_up_as_often_as_the_limit_says_and_once_more_is_a_violation() {
    let mut server = end(Role::Server, slow());
    (1..=BURST).for_each(|call| give_up(&mut server, call, Time::ZERO));
    assert_eq!(closed(&server), None);
    server.handle_message(packet(&[open(BURST + 1, 0)]), Time::ZERO);
    assert_eq!(closed(&server), Some(Violation::ResetFlood));
}

/// R-FLOOD-1: what the server refuses by itself, and what its application does.
#[test]
fn calls_that_are_refused_count_as_if_they_were_given_up() {
    let refuse = |server: &mut Endpoint, call| {
        let id = incoming(server, call, 0);
        server.call(id).unwrap().reject(RejectCode::NotFound).unwrap();
        server.transmit(Time::ZERO);
        server.release(id);
        server.events();
    };
    let overload = |server: &mut Endpoint, call| {
        feed(server, &[open(call, 200)]);
        server.transmit(Time::ZERO);
    };
    for refuse in [&refuse as &dyn Fn(&mut Endpoint, u32), &overload] {
        let mut server = end(Role::Server, slow());
        (1..=BURST).for_each(|call| refuse(&mut server, call));
        assert_eq!(closed(&server), None);
        server.handle_message(packet(&[open(BURST + 1, 0)]), Time::ZERO);
        assert_eq!(closed(&server), Some(Violation::ResetFlood));
    }
}

/// R-FLOOD-1
#[test]
fn calls_that_come_to_their_end_are_no_flood() {
    let mut server = end(Role::Server, slow());
    for call in 1..=1_000 {
        let id = incoming(&mut server, call, 0);
        accept(&mut server, id);
        let reply = server.outbound(id, 0);
        server.finish(reply, Ok(())).unwrap();
        server.transmit(Time::ZERO);
        // Late: the caller gave it up when it was over.
        feed(&mut server, &[Frame::Stop { call, half: 0 }]);
        server.release(id);
        server.events();
    }
    assert_eq!(closed(&server), None);
}

/// R-FLOOD-1
#[test]
fn with_time_more_calls_may_be_given_up() {
    let mut server = end(Role::Server, Limits { resets: 2, ..Limits::default() });
    let mut last = 0;
    let mut give_up_all = |server: &mut Endpoint, calls: u32, now| {
        (last + 1..=last + calls).for_each(|call| give_up(server, call, now));
        last += calls;
    };
    let at = |milliseconds| Time::ZERO + Duration::from_millis(milliseconds);
    give_up_all(&mut server, 2 * BURST, at(0));
    // Half a second earns one, and what is over is kept for the next.
    give_up_all(&mut server, 1, at(500));
    give_up_all(&mut server, 1, at(1_400));
    give_up_all(&mut server, 1, at(1_500));
    // A day earns no more than all.
    let day = Time::ZERO + SECOND * 24 * 60 * 60;
    give_up_all(&mut server, 2 * BURST, day);
    assert_eq!(closed(&server), None);
    server.handle_message(packet(&[open(1_000, 0)]), day);
    assert_eq!(closed(&server), Some(Violation::ResetFlood));
}

/// R-FLOOD-1: what the limits say is enough for a game.
#[test]
fn by_default_a_thousand_calls_a_second_may_be_opened_and_half_of_them_given_up() {
    let mut server = new_server();
    for call in 1..=60_000 {
        let now = Time::ZERO + SECOND * call / 1_000;
        server.handle_message(packet(&[open(call, 0)]), now);
        let [Event::Incoming(id)] = server.events()[..] else { panic!("no call {call}") };
        if call % 2 == 0 {
            server.handle_message(packet(&[Frame::Stop { call, half: 0 }]), now);
        }
        server.release(id);
        server.events();
        server.transmit(Time::ZERO);
    }
    assert_eq!(server.closed(), None);
}

fn frames_that_lead_to_nothing(server: &mut Endpoint) -> Vec<Frame<'static>> {
    // A call that is over, and one that is not.
    let over = incoming(server, 2, 1);
    feed(server, &[Frame::Stop { call: 2, half: 0 }]);
    server.release(over);
    vec![
        Frame::Ping,
        Frame::Pong,
        Frame::Token { token: Token::none() },
        Frame::Unknown { kind: 0x60 },
        Frame::Credit { call: 1, half: 0, amount: 63 },
        Frame::Credit { call: 2, half: 0, amount: 64 },
        Frame::Stop { call: 2, half: 0 },
        Frame::Close { call: 2, half: 1 },
        Frame::Error { call: 2, half: 1, code: FaultCode::Failed, payload: b"" },
    ]
}

/// R-FLOOD-2
#[test]
fn frames_that_lead_to_nothing_may_come_as_often_as_the_limit_says_and_no_more() {
    for kind in 0.. {
        let (mut server, _) = server(slow());
        let frames = frames_that_lead_to_nothing(&mut server);
        let Some(frame) = frames.get(kind) else { break };
        for _ in 0..BURST {
            server.handle_message(packet(std::slice::from_ref(frame)), Time::ZERO);
            assert_eq!(closed(&server), None, "{frame:?}");
        }
        server.handle_message(packet(std::slice::from_ref(frame)), Time::ZERO);
        assert_eq!(closed(&server), Some(Violation::IdleFlood), "{frame:?}");
    }
}

/// R-FLOOD-2
#[test]
fn with_time_and_with_calls_more_frames_may_lead_to_nothing() {
    let (mut server, _) = server(slow());
    feed(&mut server, &[const { Frame::Ping }; BURST as usize]);
    server.handle_message(packet(&[Frame::Ping]), Time::ZERO + SECOND);
    // Four for the reply, and four for the parameter.
    incoming(&mut server, 2, 1);
    feed(&mut server, &[const { Frame::Ping }; 8]);
    assert_eq!(closed(&server), None);
    server.handle_message(packet(&[Frame::Ping]), Time::ZERO + SECOND);
    assert_eq!(closed(&server), Some(Violation::IdleFlood));
}

/// R-FLOOD-2: a client bounds its server too, and a `Stop` that says the same again is idle.
#[test]
fn a_client_bounds_what_its_server_repeats() {
    let (mut client, id) = caller(slow());
    feed(&mut client, &[Frame::Accept { call: 1 }]);
    let stop = Frame::Stop { call: 1, half: 1 };
    feed(&mut client, std::slice::from_ref(&stop));
    let out = client.outbound(id, 1);
    assert_eq!(client.send(out, b"x"), Err(SendError::Stopped));
    for _ in 0..BURST {
        feed(&mut client, std::slice::from_ref(&stop));
    }
    assert_eq!(closed(&client), None);
    client.handle_message(packet(&[stop]), Time::ZERO);
    assert_eq!(closed(&client), Some(Violation::IdleFlood));
}

/// R-FLOOD-2: grants that a message can begin with, messages and their ends lead to something.
#[test]
fn what_leads_to_something_is_no_flood() {
    let (mut server, id) = server(slow());
    let half = server.inbound(id, 1);
    for _ in 0..1_000 {
        let useful = [
            Frame::Message { call: 1, half: 1, payload: b"" },
            Frame::Credit { call: 1, half: 0, amount: 64 },
        ];
        feed(&mut server, &useful);
        while server.recv(half).is_some() {}
        server.transmit(Time::ZERO);
    }
    assert_eq!(closed(&server), None);
}
