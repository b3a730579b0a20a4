//! Edges of the rules that nothing else looks at.

mod support;

use core::time::Duration;

use wirestream_protocol::wire::Frame;
use wirestream_protocol::{
    CloseReason, Config, Connection, Limits, Received, Role, Time, Violation,
};

use support::{hello, packet, parsed, request};

fn at(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

fn connection(role: Role) -> Connection {
    let mut connection =
        Connection::new(role, Config::default(), Time::ZERO).expect("valid limits");
    connection.handle_message(packet(&[hello(&Limits::default())]), Time::ZERO);
    connection
}

fn sent(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(packet) = connection.poll_transmit(Time::ZERO) {
        bytes.extend_from_slice(&packet);
    }
    bytes
}

/// R-AWAY-4: calling `shutdown` again may shorten the time, and never prolongs it.
#[test]
fn a_later_shutdown_never_prolongs_the_first() {
    let mut server = connection(Role::Server);
    let open = support::ends::open(1, 0);
    server.handle_message(packet(&[open]), Time::ZERO);
    server.shutdown(at(10));
    server.shutdown(at(20));
    assert_eq!(server.poll_timeout(), Some(at(10)));
    server.shutdown(at(5));
    assert_eq!(server.poll_timeout(), Some(at(5)));
    server.handle_timeout(at(5));
    assert_eq!(server.closed(), Some(&CloseReason::DrainExpired));
}

/// R-CALL-1: what a peer sends on a call that it cannot know of is no answer out of order.
#[test]
fn a_message_on_a_call_whose_open_is_not_sent_names_an_unknown_call() {
    let mut client = connection(Role::Client);
    let _ = client.poll_transmit(Time::ZERO);
    client.open(&request(0)).expect("an open connection");
    client
        .handle_message(packet(&[Frame::Message { call: 1, half: 0, payload: b"x" }]), Time::ZERO);
    assert_eq!(client.closed(), Some(&CloseReason::Violation(Violation::UnknownCall)));
}

/// R-CREDIT-6: a grant that is owed when the half's end comes is not sent.
#[test]
fn a_half_that_ended_is_granted_nothing() {
    let mut server = connection(Role::Server);
    server.handle_message(packet(&[support::ends::open(1, 1)]), Time::ZERO);
    let Some(wirestream_protocol::Event::Incoming(id)) = server.poll_event() else { panic!() };
    server.call(id).expect("a call").accept().expect("not answered");
    sent(&mut server);
    let half = server.call(id).expect("a call").inbound(1).expect("a parameter");
    let payload = vec![0; 16 * 1024];
    for _ in 0..8 {
        let message = Frame::Message { call: 1, half: 1, payload: &payload };
        server.handle_message(packet(&[message]), Time::ZERO);
    }
    while let Some(Received::Message(_)) = server.recv(half) {}
    server.handle_message(packet(&[Frame::Close { call: 1, half: 1 }]), Time::ZERO);
    let sent = sent(&mut server);
    let frames = parsed(&sent);
    assert!(
        !frames.iter().any(|frame| matches!(frame, Frame::Credit { call: 1, .. })),
        "{frames:?}"
    );
}

/// R-MSG-3, on a half that was stopped: a `Begin` that holds its whole message is no late frame.
#[test]
fn a_begin_holds_less_than_its_message_on_a_stopped_half_too() {
    let mut server = connection(Role::Server);
    server.handle_message(packet(&[support::ends::open(1, 1)]), Time::ZERO);
    let Some(wirestream_protocol::Event::Incoming(id)) = server.poll_event() else { panic!() };
    server.call(id).expect("a call").accept().expect("not answered");
    let half = server.call(id).expect("a call").inbound(1).expect("a parameter");
    server.stop(half);
    let begin = Frame::Begin { call: 1, half: 1, total: 2, payload: b"ab" };
    server.handle_message(packet(&[begin]), Time::ZERO);
    assert_eq!(server.closed(), Some(&CloseReason::Violation(Violation::ChunkOrder)));
}
