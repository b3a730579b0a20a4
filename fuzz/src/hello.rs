//! `Hello`.

use bytes::{BufMut, Bytes, BytesMut};
use wirestream_protocol::wire::{Frame, Hello, MAX_PACKET, cost, frames};
use wirestream_protocol::{
    Announced, CloseReason, Event, Limits, OpenError, Role, Time, Violation,
};

use crate::input::Input;
use crate::support::{Endpoint, parsed, request};

/// The first byte says whose connection it is, the others are the body of the peer's `Hello`.
///
/// The connection is established or over in order, and one that is established keeps to whatever
/// the peer has announced (R-HELLO-3 to R-HELLO-8).
pub fn hello(data: &[u8]) {
    let mut input = Input::new(data);
    let role = if input.below(2) == 0 { Role::Client } else { Role::Server };
    let body = input.rest();
    if body.len() > MAX_PACKET - 4 {
        return;
    }
    let packet = hello_of(body);
    let mut end = Endpoint::new(role, Limits::default());
    end.handle_message(packet.clone(), Time::ZERO);
    assert_eq!(end.audit(), Ok(()));
    assert_eq!(end.is_established(), end.closed().is_none());
    match (frames(&packet).next().expect("one frame"), end.closed().cloned()) {
        (Ok(Frame::Hello(Hello::V1 { limits, token, .. })), closed) => {
            comes_back(&packet);
            match closed {
                None => {
                    let given = token.filter(|token| !token.is_none()); // R-HELLO-7
                    assert_eq!(end.peer_token(), given.as_ref());
                    assert!(are_in_range(&limits), "{limits:?} were taken");
                    keeps_to(&mut end, &limits);
                }
                Some(reason) => {
                    let violation = CloseReason::Violation(Violation::HelloLimits);
                    assert!(reason == violation && !are_in_range(&limits), "{limits:?}: {reason}");
                }
            }
        }
        (Ok(Frame::Hello(Hello::Other { major })), Some(CloseReason::Version { peer, .. })) => {
            assert_eq!(peer, major);
        }
        (Err(violation), Some(CloseReason::Violation(named))) => assert_eq!(named, violation),
        (frame, closed) => panic!("{frame:?} ended with {closed:?}"),
    }
    end.handle_eof();
    let closed = end.closed().cloned().map(Event::Closed);
    assert_eq!(end.events().last().cloned(), closed);
}

fn hello_of(body: &[u8]) -> Bytes {
    let mut packet = BytesMut::new();
    packet.put_u8(0x01);
    let mut len = body.len();
    while len >= 0x80 {
        packet.put_u8((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    packet.put_u8(len as u8);
    packet.put_slice(body);
    packet.freeze()
}

/// Written again it means the same, and is the same up to the extensions.
fn comes_back(packet: &[u8]) {
    let Some(Ok(frame)) = frames(packet).next() else { panic!("it was read before") };
    let mut again = BytesMut::new();
    frame.encode(&mut again);
    assert_eq!(frames(&again).collect::<Vec<_>>(), [Ok(frame)]);
    let fields = |packet: &[u8]| {
        let header = packet.iter().skip(1).take_while(|&&byte| byte >= 0x80).count() + 2;
        packet[header..].to_vec()
    };
    let (read, mut written) = (fields(packet), fields(&again));
    assert_eq!(written.pop(), Some(0), "no extension is written");
    assert!(read.starts_with(&written));
}

/// R-HELLO-5, in numbers of its own.
fn are_in_range(limits: &Announced) -> bool {
    let &Announced { message, chunk, request, half_window, connection_window, .. } = limits;
    (4096..=1 << 30).contains(&message)
        && (4096..=65_536).contains(&chunk)
        && (4096..=65_536).contains(&request)
        && (4096..=1 << 30).contains(&half_window)
        && (16_384..=1 << 30).contains(&connection_window)
        && (1..=1 << 20).contains(&limits.calls)
        && (1..=64).contains(&limits.parameters)
        && connection_window >= message.max(request)
}

/// The application tries to send more than was announced; what leaves is within it.
fn keeps_to(end: &mut Endpoint, limits: &Announced) {
    if end.role() == Role::Server {
        let refused = end.open(&request(0));
        assert_eq!(refused, Err(OpenError::Role));
        return;
    }
    for parameters in [1, 16, 0] {
        let mut request = request(parameters);
        request.arguments = vec![7; limits.request as usize - 1_000].into();
        let Ok(id) = end.open(&request) else { continue };
        for half in 1..=parameters {
            let Some(outbound) = end.call(id).and_then(|call| call.outbound(half)) else {
                continue;
            };
            for size in [limits.message.min(200_000), 10] {
                let _ = end.send(outbound, &vec![7; size as usize][..]); // as far as there is room
            }
        }
    }
    let packets: Vec<Bytes> = std::iter::from_fn(|| end.poll_transmit(Time::ZERO)).collect();
    let mut charged = 0_u64;
    for packet in &packets {
        assert!(packet.len() <= MAX_PACKET);
        for frame in parsed(packet) {
            match frame {
                Frame::Open(open) => {
                    let size = Frame::Open(open.clone()).body_len();
                    assert!(size <= limits.request as usize, "a request of {size}");
                    assert!(open.parameters <= limits.parameters);
                    charged += u64::from(cost(size));
                }
                Frame::Message { payload, .. } => {
                    assert!(payload.len() <= limits.chunk.min(limits.message) as usize);
                    charged += u64::from(cost(payload.len()));
                }
                Frame::Begin { total, payload, .. } => {
                    assert!(total <= limits.message && payload.len() <= limits.chunk as usize);
                    charged += u64::from(cost(total as usize));
                }
                Frame::More { payload, .. } => assert!(payload.len() <= limits.chunk as usize),
                _ => {}
            }
        }
    }
    assert!(charged <= limits.connection_window.into(), "{charged} charged");
    assert_eq!(end.audit(), Ok(()));
}
