//! The life of a connection: `Hello`, time, and its end.

mod support;

use wirestream_protocol::wire::{AwayCode, Frame, Hello};
use wirestream_protocol::{
    CloseReason, Config, Connection, End, Event, Limits, LimitsError, OpenError, Outcome, Received,
    RejectCode, Request, Role, SendError, Time, Token,
};

use support::ends::{
    SECOND, accept, at, busy_client, busy_server, call, client, end, feed, incoming, message, open,
    received, server,
};
use support::{Endpoint, Pair, announced, floor_limits, hello, packet, parsed, request};

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

/// R-MSG-7: each message has its time, whatever else comes; and nobody waits for one that is whole.
#[test]
fn a_message_that_dribbles_in_is_given_up() {
    let begin = |half| Frame::Begin { call: 1, half, total: 9_000, payload: b"a" };
    let more = |half, payload| Frame::More { call: 1, half, payload };
    let minutes = |n: u64| at(60 * n);
    let live = || {
        let (mut server, id) = server(Limits { dead: 10 * 60 * SECOND, ..Limits::default() });
        server.handle_message(packet(&[begin(1)]), minutes(0));
        server.handle_message(packet(&[begin(2), more(2, b"b")]), minutes(2));
        (server, id)
    };
    let (mut server, _) = live();
    let last = at(299);
    server.handle_message(packet(&[more(1, b"c"), more(2, b"c")]), last);
    server.handle_timeout(last);
    assert_eq!((server.closed(), server.poll_timeout()), (None, Some(minutes(5))));
    server.handle_timeout(minutes(5));
    assert_eq!(server.closed(), Some(&CloseReason::MessageTimeout));
    let last = server.transmit(minutes(5));
    assert!(matches!(parsed(&last)[..], [.., Frame::GoAway { code: AwayCode::Timeout, .. }]));

    // The first one became whole in time: the second has its own.
    let (mut server, id) = live();
    server.handle_message(packet(&[more(1, &[0; 8_999])]), at(299));
    server.handle_timeout(minutes(5));
    assert_eq!(server.closed(), None);
    server.handle_message(packet(&[Frame::Pong]), at(419));
    assert_eq!(server.poll_timeout(), Some(minutes(7)));
    // One that nobody wants any more has no time.
    let half = server.inbound(id, 2);
    server.stop(half);
    server.handle_timeout(minutes(7));
    assert_eq!(server.closed(), None);
    server.handle_message(packet(&[Frame::Pong]), minutes(20));
    assert_eq!(server.poll_timeout(), Some(at(20 * 60 + 15)));
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
    assert_eq!(parsed(&client.transmit(at(16))), core::slice::from_ref(&done));

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
    let large = Limits { half_window: (1 << 30) + 1, ..Limits::default() };
    assert_eq!(large.validate(), Err(LimitsError::AboveCeiling("half_window")));
    assert_eq!(Limits { half_window: 1 << 30, ..Limits::default() }.validate(), Ok(()));
    let small = Limits { half_window: 4_095, ..Limits::default() };
    assert_eq!(small.validate(), Err(LimitsError::BelowFloor("half_window")));
    let outbound = Limits { outbound: 0, ..Limits::default() };
    assert_eq!(outbound.validate(), Err(LimitsError::BelowFloor("outbound")));
    let resets = Limits { resets: 0, ..Limits::default() };
    assert_eq!(resets.validate(), Err(LimitsError::BelowFloor("resets")));
    let idle_frames = Limits { idle_frames: 0, ..Limits::default() };
    assert_eq!(idle_frames.validate(), Err(LimitsError::BelowFloor("idle_frames")));
    assert_eq!(Limits { outbound: 1, ..Limits::default() }.validate(), Ok(()));
    assert_eq!(floor_limits().validate(), Ok(()));
}

/// R-CREDIT-5, R-OPEN-4
#[test]
fn behind_the_end_of_a_connection_nothing_is_held_for_a_refusal_that_never_left() {
    let mut server = end(Role::Server, Limits { calls: 1, ..Limits::default() });
    feed(&mut server, &[open(1, 0), open(2, 0)]);
    assert!(server.held() > 0);
    server.close();
    assert_eq!((server.held(), server.audit()), (0, Ok(())));
}

/// R-AWAY-5
#[test]
fn behind_a_violation_nothing_is_held_for_the_frame_that_was_one() {
    let mut server = end(Role::Server, Limits::default());
    let id = incoming(&mut server, 1, 1);
    accept(&mut server, id);
    let again = Frame::Begin { call: 1, half: 1, total: 2, payload: b"b" };
    feed(&mut server, &[again.clone(), again]);
    assert!(matches!(server.closed(), Some(CloseReason::Violation(_))));
    server.release(id);
    assert_eq!((server.held(), server.audit()), (0, Ok(())));
}
