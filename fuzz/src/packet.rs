//! One packet to a connection that stands.

use bytes::Bytes;
use wirestream_protocol::wire::{Frame, MAX_PACKET};
use wirestream_protocol::{CallId, CloseReason, Event, Inbound, Limits, Received, Time};

use crate::frames::split;
use crate::input::Input;
use crate::support::{Endpoint, ends, parsed};

/// The first byte says whose connection it is and what stands on it; the others are the packet.
///
/// The books of credit are in order after it, the connection still stands or is over in order, and
/// all is as if each frame had come in a packet of its own (R-PACKET-1).
pub fn packet(data: &[u8]) {
    let mut input = Input::new(data);
    let state = input.below(5);
    let packet = input.rest();
    if packet.is_empty() || packet.len() > MAX_PACKET {
        return; // wrong as a packet, right in pieces
    }
    let whole = outcome(state, [packet].into_iter());
    let pieces = outcome(state, pieces(packet));
    assert_eq!(whole, pieces);
}

/// Each frame, and at last what is none.
fn pieces(packet: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = packet;
    std::iter::from_fn(move || {
        let (frame, behind) = split(rest).unwrap_or((rest, &[]));
        rest = behind;
        Some(frame).filter(|frame| !frame.is_empty())
    })
}

/// All that can be seen of a connection.
#[derive(Debug, PartialEq)]
struct Seen {
    closed: Option<CloseReason>,
    books: (i64, u64, u64),
    events: Vec<Event>,
    received: Vec<(Inbound, Received)>,
    books_at_last: (i64, u64, u64),
    sent: Vec<String>,
}

fn outcome<'a>(state: u8, packets: impl Iterator<Item = &'a [u8]>) -> Seen {
    let (mut end, mut calls) = begin(state);
    for packet in packets {
        end.handle_message(Bytes::copy_from_slice(packet), Time::ZERO);
        check(&end);
    }
    let books = end.credit_books();
    let events = end.events();
    calls.extend(events.iter().filter_map(|event| match event {
        Event::Incoming(id) => Some(*id),
        _ => None,
    }));
    let received = receive(&mut end, &calls);
    check(&end);
    let books_at_last = end.credit_books();
    let closed = end.closed().cloned();
    let sent = match &closed {
        Some(reason) => check_end(&mut end, reason, &events),
        None => end.transmit(Time::ZERO),
    };
    Seen { closed, books, events, received, books_at_last, sent: said(&sent) }
}

fn begin(state: u8) -> (Endpoint, Vec<CallId>) {
    let limits = Limits::default();
    let (end, id) = match state {
        0 => return (ends::new_server(), Vec::new()),
        1 => ends::server(limits),
        2 => ends::client(limits),
        3 => ends::caller(limits),
        _ => {
            let mut server = ends::new_server();
            let id = ends::incoming(&mut server, 1, 2);
            (server, id)
        }
    };
    (end, vec![id])
}

fn check(end: &Endpoint) {
    assert_eq!(end.audit(), Ok(()));
    let (available, held, owed) = end.credit_books();
    let window = u64::from(end.limits().connection_window);
    assert!(held + owed <= window, "{held} held and {owed} owed of {window}");
    assert!(available <= i64::from(Limits::default().connection_window), "credit was made");
    assert!(end.calls() <= 100, "{} calls", end.calls());
}

/// What is sent, but for the grants of halves: how much a window grows is looked at after each run of
/// messages (R-CREDIT-9).
fn said(packets: &[u8]) -> Vec<String> {
    let frames = parsed(packets).into_iter();
    let frames = frames.filter(|frame| !matches!(frame, Frame::Credit { call: 1.., .. }));
    frames.map(|frame| format!("{frame:?}")).collect()
}

/// A peer that breaks a rule learns which; every call ends, and the connection after them.
fn check_end(end: &mut Endpoint, reason: &CloseReason, events: &[Event]) -> Bytes {
    assert_eq!(events.last(), Some(&Event::Closed(reason.clone())));
    assert_eq!(end.poll_timeout(), None);
    let farewell = end.poll_transmit(Time::ZERO).unwrap_or_default();
    assert_eq!(end.poll_transmit(Time::ZERO), None, "a packet after the last");
    if let CloseReason::Violation(violation) = reason {
        let rule = violation.rule().as_bytes();
        let names = farewell.windows(rule.len()).any(|bytes| bytes == rule);
        assert!(names, "the peer is not told of {violation}");
    }
    farewell
}

/// Takes all that has come, on every half of these calls.
fn receive(end: &mut Endpoint, calls: &[CallId]) -> Vec<(Inbound, Received)> {
    let mut received = Vec::new();
    for &id in calls {
        let Some(call) = end.call(id) else { continue };
        let halves: Vec<_> = (0..=u8::MAX).filter_map(|half| call.inbound(half)).collect();
        for half in halves {
            while let Some(what) = end.recv(half) {
                let is_end = matches!(what, Received::End(_));
                received.push((half, what));
                if is_end {
                    break;
                }
            }
        }
    }
    received
}
