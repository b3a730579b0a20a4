//! Edges of the rules that nothing else looks at.

mod support;

use core::time::Duration;

use wirestream_protocol::wire::{FULL_PACKET, Frame};
use wirestream_protocol::{
    Batch, CloseReason, Config, Connection, End, Limits, Received, Role, Run, SendError, Taken,
    Time, Token, Violation,
};

use support::ends::{call, client, feed};
use support::{Endpoint, Pair, hello, packet, parsed, request};

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

/// A handle of another connection may name a call that is here too, and not its half.
#[test]
fn a_half_that_a_call_does_not_have_is_over() {
    let mut pair = Pair::established();
    let (here, there) = call(&mut pair, 1);
    let (parameter, reply) = (pair.client.outbound(here, 1), pair.client.inbound(here, 0));
    let server = &mut pair.server;
    assert!(!server.is_sendable(parameter));
    assert_eq!(server.send(parameter, b"x"), Err(SendError::CallOver));
    let mut batch = Batch::new(parameter);
    assert!(batch.push(b"x"));
    assert_eq!(server.send_batch(&mut batch), Err(SendError::CallOver));
    assert!(!batch.is_empty());
    assert_eq!(server.finish(parameter, Ok(())), Ok(()));
    assert_eq!(server.recv(reply), Some(Received::End(End::CallOver)));
    assert_eq!(server.recv_run(reply, &mut Run::new()), Taken::End(End::CallOver));
    server.stop(reply);

    // Nothing came of it: the call goes on.
    assert!(!server.has_transmit());
    pair.client.send(parameter, b"y").expect("the parameter is open");
    pair.drive();
    let half = pair.server.inbound(there, 1);
    assert_eq!(pair.server.recv(half), support::ends::received(b"y"));
}

/// R-TOKEN-1: a server's goes nowhere.
#[test]
fn a_server_s_token_is_not_sent() {
    let mut server = connection(Role::Server);
    sent(&mut server);
    server.set_token(Token::new("secret")).expect("it is short");
    assert!(!server.has_transmit());
    assert_eq!(sent(&mut server), b"");
}

#[test]
fn behind_the_end_of_a_connection_calls_belong_on_a_new_one() {
    let mut client = connection(Role::Client);
    assert!(!client.is_going_away());
    client.handle_eof();
    assert!(client.is_going_away());
}

#[test]
fn what_waits_for_nothing_but_the_socket_is_counted() {
    let (mut client, id) = client(Limits::default());
    assert_eq!(client.sendable(), 0);
    let [half, other] = [1, 2].map(|half| client.outbound(id, half));
    while client.send(half, &[1; 1_000][..]).is_ok() {}
    while client.send(other, &[2; 1_000][..]).is_ok() {}
    assert_eq!(client.sendable(), client.buffered());
    let full = client.sendable() / FULL_PACKET;
    assert!(full >= 2, "{full}");
    for left in (0..full).rev() {
        assert!(client.poll_transmit(Time::ZERO).is_some());
        assert!(client.sendable() / FULL_PACKET <= left);
    }
    sent(&mut client);
    assert_eq!((client.sendable(), client.buffered()), (0, 0));
}

/// R-CREDIT-7: who waits for the connection's credit is stalled, and nobody overtakes it, not even with
/// a batch that there is credit for.
#[test]
fn a_batch_does_not_overtake_a_message_that_waits_for_the_connection_s_credit() {
    let peer =
        Limits { connection_window: 20_000, message: 4_096, request: 4_096, ..Limits::default() };
    let mut client = Endpoint::new(Role::Client, Limits::default());
    feed(&mut client, &[hello(&peer)]);
    let id = client.open(&request(4)).expect("a first call");
    client.transmit(Time::ZERO);
    feed(&mut client, &[Frame::Accept { call: 1 }]);
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|half| client.outbound(id, half));
    for half in [first, second] {
        client.send(half, &[1; 4_096][..]).expect("it has credit");
        client.send(half, &[1; 4_096][..]).expect("it has credit");
    }
    assert_eq!(client.stalled(), 0);
    client.send(third, &[2; 4_096][..]).expect("the half has credit");
    assert_eq!(client.stalled(), 1);

    let mut batch = Batch::new(fourth);
    assert!(batch.push(b"a") && batch.push(b"b"));
    assert_eq!(client.send_batch(&mut batch), Err(SendError::Blocked));
    assert_eq!(client.stalled(), 2);
    client.transmit(Time::ZERO);
    feed(&mut client, &[Frame::Credit { call: 0, half: 0, amount: 8_000 }]);
    assert_eq!(client.stalled(), 0);
    client.send_batch(&mut batch).expect("nobody waits now");
    let sent = client.transmit(Time::ZERO);
    let sent: Vec<_> = parsed(&sent)
        .into_iter()
        .map(|frame| match frame {
            Frame::Message { half, payload, .. } => (half, payload.len()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sent, [(3, 4_096), (4, 1), (4, 1)]);
}
