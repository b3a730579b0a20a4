use bytes::Bytes;
use wirestream_protocol::wire::{Frame, Open};
use wirestream_protocol::{Config, Limits, Role, Time};

use super::*;
use crate::messages::{Hub, MessageConfig};

/// A server's link, and a peer that says what a test likes.
struct Served(Arc<Link>);

impl Served {
    fn new() -> Self {
        let [client, server] = [Role::Client, Role::Server].map(|role| {
            Connection::new(role, Config::default(), Time::ZERO).expect("valid limits")
        });
        let served = Self(Link::new(server, Span::none()));
        served.hear_packet({ client }.poll_transmit(Time::ZERO).expect("a Hello"));
        served
    }

    fn hear(&self, frames: &[Frame<'_>]) {
        let mut packet = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut packet));
        self.hear_packet(packet.into());
    }

    fn hear_packet(&self, packet: Bytes) {
        self.0.with(|core| core.connection.handle_message(packet, Time::ZERO));
    }

    fn incoming(&self) -> CallId {
        self.0.lock().incoming.pop_front().expect("a call")
    }
}

fn open(call: u32) -> Frame<'static> {
    Frame::Open(Open {
        call,
        parameters: 0,
        method: "E.m",
        fingerprint: None,
        token: None,
        metadata: Vec::new(),
        arguments: &[],
    })
}

fn session() -> Session {
    let hub = Hub::new(MessageConfig::default(), &Limits::default(), None);
    Session::new("E.m".into(), None, None, Vec::new(), hub)
}

fn has_ended(session: &Session) -> bool {
    session.poll_call_ended(&mut Vec::new(), &Context::from_waker(Waker::noop())).is_ready()
}

/// R-CALL-6
#[test]
fn a_call_that_takes_the_slot_of_another_has_a_session_of_its_own() {
    let served = Served::new();
    let sessions = [session(), session()];
    served.hear(&[open(1)]);
    let first = served.incoming();
    assert!(served.0.with(|core| core.attach(first, sessions[0].clone())));
    served.0.with(|core| {
        core.connection.call(first).expect("the call").accept().expect("a first answer");
        core.connection.release(first);
    });
    assert!(!has_ended(&sessions[0]), "its end is not on the wire");
    // The end of the first and the beginning of the second, in one packet.
    served.hear(&[Frame::Stop { call: 1, half: 0 }, open(2)]);
    assert!(has_ended(&sessions[0]));
    let second = served.incoming();
    assert_eq!(first.slot(), second.slot());
    assert!(served.0.with(|core| core.attach(second, sessions[1].clone())));
    served.hear(&[Frame::Stop { call: 1, half: 0 }]);
    assert!(!has_ended(&sessions[1]));
    served.hear(&[Frame::Stop { call: 2, half: 0 }]);
    assert!(has_ended(&sessions[1]));
}

/// The slot may stay as it is for as long as the connection lives.
#[test]
fn a_call_that_is_over_before_it_has_a_session_keeps_none() {
    let served = Served::new();
    served.hear(&[open(1), Frame::Stop { call: 1, half: 0 }]);
    let call = served.incoming();
    assert!(!served.0.with(|core| core.attach(call, session())));
    assert!(served.0.lock().calls.iter().all(|call| call.session.is_none()));
}

#[test]
fn a_session_is_let_go_of_when_its_call_ends() {
    let served = Served::new();
    served.hear(&[open(1)]);
    let call = served.incoming();
    served.0.with(|core| core.attach(call, session()));
    assert!(served.0.lock().calls.iter().any(|call| call.session.is_some()));
    served.hear(&[Frame::Stop { call: 1, half: 0 }]);
    assert!(served.0.lock().calls.iter().all(|call| call.session.is_none()));
}
