//! A whole connection whose peer is the input.

use core::time::Duration;
use std::collections::BTreeSet;

use bytes::Bytes;
use wirestream_protocol::wire::MAX_PACKET;
use wirestream_protocol::{
    CallId, Event, Fault, Inbound, Limits, Outbound, Received, RejectCode, Role, Run, Taken, Time,
    Token, Violation,
};

use crate::input::Input;
use crate::support::{Endpoint, floor_limits, hello, number, packet, parsed, request};

/// The first byte says whose connection it is and with which limits, and whether the peer has said
/// `Hello`; then comes one step after the other: packets of the peer's, time, verbs of the
/// application's.
///
/// After each step the books of credit are in order and what is held is within the limits; at last
/// every call has ended once, the connection once and last, and nothing is left.
pub fn connection(data: &[u8]) {
    let mut input = Input::new(data);
    let mut run = Peerless::new(input.byte());
    while !input.is_empty() {
        run.step(&mut input);
        run.look();
    }
    run.finish();
}

/// The kinds of step, for those who write them.
pub(crate) mod step {
    pub(crate) const PACKET: u8 = 0;
    pub(crate) const TIME: u8 = 1;
    pub(crate) const TRANSMIT: u8 = 2;
    pub(crate) const EOF: u8 = 3;
    pub(crate) const CLOSE: u8 = 4;
    pub(crate) const SHUTDOWN: u8 = 5;
    pub(crate) const OPEN: u8 = 6;
    pub(crate) const ACCEPT: u8 = 7;
    pub(crate) const REJECT: u8 = 8;
    pub(crate) const SEND: u8 = 9;
    pub(crate) const FINISH: u8 = 10;
    pub(crate) const RECV: u8 = 11;
    pub(crate) const RECV_RUN: u8 = 12;
    pub(crate) const STOP: u8 = 13;
    pub(crate) const RELEASE: u8 = 14;
    pub(crate) const OTHER: u8 = 15;
    pub(crate) const KINDS: u8 = 16;
    /// In the first byte.
    pub(crate) const SERVER: u8 = 1;
    pub(crate) const FLOOR: u8 = 2;
    pub(crate) const GREETED: u8 = 4;
}

/// The largest message that is sent here.
const MOST: usize = 4 * u16::MAX as usize;

struct Peerless {
    end: Endpoint,
    now: Time,
    /// All calls that the application ever knew of.
    known: BTreeSet<u32>,
    calls: Vec<CallId>,
    /// How many bytes came in packets, and in messages.
    came: usize,
    received: usize,
}

impl Peerless {
    fn new(flags: u8) -> Self {
        let role = if flags & step::SERVER == 0 { Role::Client } else { Role::Server };
        let limits = match flags & step::FLOOR {
            0 => Limits::default(),
            _ => floor_limits(),
        };
        let mut end = Endpoint::new(role, limits);
        if flags & step::GREETED != 0 {
            end.handle_message(packet(&[hello(&Limits::default())]), Time::ZERO);
        }
        let (known, calls) = (BTreeSet::new(), Vec::new());
        Self { end, now: Time::ZERO, known, calls, came: 0, received: 0 }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.below(step::KINDS) {
            step::PACKET => {
                let len = input.u16().into();
                let bytes = input.take(len);
                self.came += bytes.len();
                self.end.handle_message(Bytes::copy_from_slice(bytes), now);
            }
            step::TIME => {
                self.now = now + Duration::from_millis(u64::from(input.byte()) * 200);
                self.end.handle_timeout(self.now);
                let next = self.end.poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "{next:?} stays due");
            }
            step::TRANSMIT => self.transmit(),
            step::EOF => self.end.handle_eof(),
            step::CLOSE => self.end.close(),
            step::SHUTDOWN => self.end.shutdown(now + Duration::from_secs(input.byte().into())),
            step::OPEN => {
                let mut request = request(input.below(4));
                request.arguments = vec![7; input.u16().into()].into();
                if let Ok(id) = self.end.open(&request) {
                    assert!(self.known.insert(number(id)), "call {id} was opened before");
                    self.calls.push(id);
                }
            }
            step::ACCEPT => {
                let Some(id) = self.pick(input) else { return };
                let Some(mut call) = self.end.call(id) else { return };
                call.take_request();
                let _ = call.accept(); // an error if it was answered before
            }
            step::REJECT => {
                let Some(id) = self.pick(input) else { return };
                let Some(mut call) = self.end.call(id) else { return };
                let _ = call.reject(RejectCode::Busy); // likewise
            }
            step::SEND => {
                let half = self.outbound(input);
                let message = vec![7; usize::from(input.u16()) * 4];
                let Some(half) = half else { return };
                let could = self.end.is_sendable(half);
                let sent = self.end.send(half, &message[..]);
                assert!(could || sent.is_err(), "{half} took a message after its end");
            }
            step::FINISH => {
                let half = self.outbound(input);
                let fault = match input.below(4) {
                    0 => Ok(()),
                    1 => Err(Fault::Failed),
                    2 => Err(Fault::Cancelled),
                    _ => Err(Fault::App(Bytes::from_static(b"why"))),
                };
                let Some(half) = half else { return };
                let _ = self.end.finish(half, fault); // an error if it was over
                assert!(!self.end.is_sendable(half));
            }
            step::RECV => {
                let half = self.inbound(input);
                let count = input.below(32);
                let Some(half) = half else { return };
                self.recv(half, count.into());
            }
            step::RECV_RUN => {
                let Some(half) = self.inbound(input) else { return };
                let mut run = Run::new();
                if self.end.recv_run(half, &mut run) == Taken::Messages {
                    while let Some(message) = run.next_message() {
                        self.received += message.len();
                    }
                }
            }
            step::STOP => {
                let Some(half) = self.inbound(input) else { return };
                let was_over = self.end.is_over(half.call());
                self.end.stop(half);
                // What had come before the call's end may still be taken.
                assert!(was_over || !matches!(self.end.recv(half), Some(Received::Message(_))));
            }
            step::RELEASE => {
                let Some(id) = self.pick(input) else { return };
                self.end.release(id);
                self.calls.retain(|&call| call != id);
            }
            _ => match input.below(3) {
                0 => self.end.handle_stall(),
                1 => self.end.handle_violation(Violation::TextMessage),
                _ => {
                    let _ = self.end.set_token(Token::new(vec![b't'; input.byte().into()]));
                }
            },
        }
    }

    fn pick(&mut self, input: &mut Input<'_>) -> Option<CallId> {
        let pick = usize::from(input.byte());
        self.calls.get(pick.checked_rem(self.calls.len())?).copied()
    }

    fn outbound(&mut self, input: &mut Input<'_>) -> Option<Outbound> {
        let id = self.pick(input);
        let half = input.below(4);
        self.end.call(id?)?.outbound(half)
    }

    fn inbound(&mut self, input: &mut Input<'_>) -> Option<Inbound> {
        let id = self.pick(input);
        let half = input.below(4);
        self.end.call(id?)?.inbound(half)
    }

    /// Takes so many messages. Whether the end came.
    fn recv(&mut self, half: Inbound, count: usize) -> bool {
        for _ in 0..count {
            match self.end.recv(half) {
                Some(Received::Message(message)) => self.received += message.len(),
                Some(Received::End(end)) => {
                    assert_eq!(self.end.recv(half), Some(Received::End(end)), "it stays");
                    return true;
                }
                None => return false,
            }
        }
        false
    }

    fn transmit(&mut self) {
        while let Some(packet) = self.end.poll_transmit(self.now) {
            assert!(packet.len() <= MAX_PACKET);
            assert!(!parsed(&packet).is_empty(), "R-PACKET-3");
        }
        assert!(!self.end.has_transmit());
    }

    /// Takes the events, and looks at everything that must hold at any time.
    fn look(&mut self) {
        for event in self.end.events() {
            match event {
                Event::Incoming(id) => {
                    assert_eq!(self.end.role(), Role::Server);
                    assert!(self.known.insert(number(id)), "call {id} came twice");
                    self.calls.push(id);
                }
                Event::Accepted(id) | Event::Ended(id, _) => {
                    assert!(self.known.contains(&number(id)), "call {id} is not known");
                }
                _ => {}
            }
        }
        assert_eq!(self.end.audit(), Ok(()));
        assert_eq!(self.end.over.as_ref(), self.end.closed());
        let limits = self.end.limits();
        let (_, held, owed) = self.end.credit_books();
        assert!(held + owed <= limits.connection_window.into(), "{held} held, {owed} owed");
        assert!(self.end.calls() <= limits.calls as usize, "{} calls", self.end.calls());
        let small = 4 * self.end.calls() * (4096 + 16);
        let most = limits.outbound as usize + MOST + small;
        assert!(self.end.buffered() <= most, "{} buffered", self.end.buffered());
        assert!(self.received <= self.came, "more was received than came");
    }

    fn finish(mut self) {
        self.end.handle_eof();
        self.look();
        assert!(self.end.ended.keys().eq(&self.known), "each call ends once");
        for id in self.calls.clone() {
            let halves: Vec<_> = (0..=u8::MAX)
                .filter_map(|half| self.end.call(id).and_then(|call| call.inbound(half)))
                .collect();
            for half in halves {
                assert!(self.recv(half, usize::MAX), "{half} has no end");
            }
            self.end.release(id);
        }
        self.look();
        self.transmit();
        assert_eq!(self.end.calls(), 0);
        assert_eq!(self.end.buffered(), 0);
        assert_eq!(self.end.poll_timeout(), None);
    }
}
