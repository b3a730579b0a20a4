//! Bytes that end too early, and codes that nobody has given a meaning yet.

mod support;

use bytes::Bytes;
use wirestream_protocol::wire::{AwayCode, FaultCode, Frame, frames};
use wirestream_protocol::{CloseReason, End, Event, Limits, Received, RejectCode, Role, Time};
use wirestream_protocol::{Rejection, Violation};

use support::{Endpoint, ends, hello, packet};

/// What a client says of one call with two parameter halves, frame by frame.
fn transcript() -> Vec<Frame<'static>> {
    vec![
        hello(&Limits::default()),
        ends::open(1, 2),
        ends::message(1, 1, b"one"),
        ends::message(1, 1, b"two"),
        Frame::Begin { call: 1, half: 2, total: 9, payload: b"big " },
        ends::message(1, 1, b"three"),
        Frame::More { call: 1, half: 2, payload: b"thing" },
        Frame::Close { call: 1, half: 1 },
        Frame::Error { call: 1, half: 2, code: FaultCode::App, payload: b"why" },
    ]
}

/// R-FRAME-2, R-CALL-7: inside of a frame the cut is a violation, between two it is a loss. What had
/// come before it is there, and no half that was not ended looks as if it were.
#[test]
fn a_transcript_cut_at_every_byte_is_a_violation_or_a_loss() {
    let frames = transcript();
    let whole = packet(&frames);
    for cut in 1..=whole.len() {
        let complete = (0..=frames.len()).rev().find(|&n| packet(&frames[..n]).len() <= cut);
        let complete = complete.expect("at least none");
        let is_between = packet(&frames[..complete]).len() == cut;
        let mut server = Endpoint::new(Role::Server, Limits::default());
        server.handle_message(whole.slice(..cut), Time::ZERO);
        assert_eq!(server.audit(), Ok(()), "cut at {cut}");
        server.handle_eof();
        let reason = match is_between {
            true => CloseReason::Eof,
            false => CloseReason::Violation(Violation::FrameTruncated),
        };
        assert_eq!(server.closed(), Some(&reason), "cut at {cut}");
        let incoming = server.events().into_iter().find_map(|event| match event {
            Event::Incoming(id) => Some(id),
            _ => None,
        });
        assert_eq!(incoming.is_some(), complete >= 2, "cut at {cut}");
        let Some(id) = incoming else { continue };
        for half in [1, 2] {
            let inbound = server.inbound(id, half);
            let (messages, end) = drained(&mut server, inbound);
            assert_eq!(messages, said(&frames[..complete], half), "cut at {cut}");
            let closes = Frame::Close { call: 1, half };
            match end {
                End::Finished => assert!(frames[..complete].contains(&closes), "cut at {cut}"),
                End::Fault(_) => assert!(half == 2 && is_between, "cut at {cut}"),
                end => assert_eq!(end, End::Lost(reason.clone()), "cut at {cut}"),
            }
        }
    }
}

fn drained(end: &mut Endpoint, half: wirestream_protocol::Inbound) -> (Vec<Bytes>, End) {
    let mut messages = Vec::new();
    loop {
        match end.recv(half).expect("a half of a lost call has its end") {
            Received::Message(message) => messages.push(message),
            Received::End(end) => return (messages, end),
        }
    }
}

/// The messages of a half that these frames hold whole.
fn said(frames: &[Frame<'_>], of: u8) -> Vec<Bytes> {
    let mut begun = Vec::new();
    let mut messages: Vec<Bytes> = Vec::new();
    for frame in frames {
        match *frame {
            Frame::Message { half, payload, .. } if half == of => {
                messages.push(Bytes::copy_from_slice(payload));
            }
            Frame::Begin { half, payload, .. } if half == of => begun = payload.to_vec(),
            Frame::More { half, payload, .. } if half == of => {
                messages.push([&begun, payload].concat().into());
            }
            _ => {}
        }
    }
    messages
}

/// R-REJECT-1, R-ERROR-1, R-AWAY-3: those that are not known stand for the plainest one.
#[test]
fn all_256_codes_mean_one_thing() {
    use RejectCode::{
        Busy, ContractMismatch, Failed, Forbidden, InvalidArguments, NotFound, Unauthenticated,
        Unavailable,
    };
    let rejects = [
        Failed,
        NotFound,
        InvalidArguments,
        Unauthenticated,
        Forbidden,
        Busy,
        Unavailable,
        ContractMismatch,
    ];
    let faults = [FaultCode::Failed, FaultCode::App, FaultCode::Cancelled, FaultCode::Revoked];
    let aways = [
        AwayCode::Shutdown,
        AwayCode::Done,
        AwayCode::Violation,
        AwayCode::Version,
        AwayCode::Timeout,
        AwayCode::Expired,
    ];
    for number in 0..=u8::MAX {
        let place = usize::from(number);
        let reject = rejects.get(place).copied().unwrap_or(Failed);
        let rejection = Rejection::new(reject, "");
        assert_eq!(read(0x04, &[&[1], &code(number), &[0]]), Frame::Reject { call: 1, rejection });
        let code_of_error = faults.get(place).copied().unwrap_or(FaultCode::Failed);
        let error = Frame::Error { call: 1, half: 1, code: code_of_error, payload: b"" };
        assert_eq!(read(0x09, &[&[1, 1], &code(number)]), error);
        let code_of_away = aways.get(place).copied().unwrap_or(AwayCode::Done);
        let away = Frame::GoAway { code: code_of_away, detail: "".into() };
        assert_eq!(read(0x0e, &[&code(number), &[0]]), away);
    }
}

/// R-VARINT-1: in as few bytes as it needs.
fn code(number: u8) -> Vec<u8> {
    if number < 0x80 { vec![number] } else { vec![number, 1] }
}

fn read(kind: u8, parts: &[&[u8]]) -> Frame<'static> {
    let body = parts.concat();
    let len = u8::try_from(body.len()).expect("a short body");
    let packet: &'static [u8] = [&[kind, len], &body[..]].concat().leak();
    let mut frames = frames(packet);
    frames.next().expect("a frame").expect("one that decodes")
}
