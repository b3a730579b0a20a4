//! The transport, against raw sockets.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::task::Poll;
use std::thread;

use bytes::Bytes;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Error, Message};
use wirestream::wire::MAX_PACKET;
use wirestream::{Transport, TransportError, Violation};

use super::peer::*;
use crate::here::{READ_PER_POLL, Side, WebSocket, adopt, soon};

fn io_kind(received: Option<Result<Bytes, TransportError>>) -> io::ErrorKind {
    match received {
        Some(Err(TransportError::Io { kind, .. })) => kind,
        other => panic!("{other:?}"),
    }
}

/// A client that is not ours.
fn tungstenite(address: SocketAddr) -> tungstenite::WebSocket<TcpStream> {
    let mut request = format!("ws://{address}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "wirestream.v1".parse().unwrap());
    tungstenite::client(request, connect(address)).unwrap().0
}

#[test]
fn binary_messages_are_packets_both_ways() {
    let server = Listening::new();
    let mut client = tungstenite(server.address);
    let mut socket = server.socket();

    client.write(Message::binary("one")).unwrap();
    client.send(Message::binary("two")).unwrap();
    assert_eq!(recv(&mut socket), Some(Ok("one".into())));
    assert_eq!(recv(&mut socket), Some(Ok("two".into())));

    send(&mut socket, b"three");
    assert_eq!(client.read().unwrap(), Message::binary("three"));
}

/// R-PACKET-4
#[test]
fn a_text_message_is_a_violation() {
    let (mut socket, mut raw) = Listening::new().pair();
    raw.write_all(&frame(FINAL | TEXT, b"hello")).unwrap();
    let violation = TransportError::Violation(Violation::TextMessage);
    assert_eq!(recv(&mut socket), Some(Err(violation)));
}

/// R-PACKET-2
#[test]
fn a_packet_of_the_largest_size_is_taken() {
    let (mut socket, mut raw) = Listening::new().pair();
    let largest = vec![7; MAX_PACKET];
    let packet = frame(FINAL | BINARY, &largest);
    let writing = thread::spawn(move || raw.write_all(&packet));
    assert_eq!(recv(&mut socket), Some(Ok(largest.into())));
    writing.join().unwrap().unwrap();
}

/// R-PACKET-2
#[test]
fn a_length_beyond_the_largest_size_is_refused_before_a_byte_of_it_has_come() {
    for len in [MAX_PACKET as u64 + 1, 1 << 32, (1 << 63) - 1] {
        let (mut socket, mut raw) = Listening::new().pair();
        raw.write_all(&[FINAL | BINARY, 0xff]).unwrap();
        raw.write_all(&len.to_be_bytes()).unwrap();
        raw.write_all(&[0; 4]).unwrap();
        let violation = TransportError::Violation(Violation::PacketTooLarge);
        assert_eq!(recv(&mut socket), Some(Err(violation)), "{len}");
    }
}

/// R-PACKET-2, and R-WS-2 although the peer goes on.
#[test]
fn a_packet_beyond_the_largest_size_is_a_violation_that_the_peer_is_told_of() {
    let half = vec![7; MAX_PACKET / 2];
    let one_frame = frame(FINAL | BINARY, &vec![7; MAX_PACKET + 1]);
    let in_pieces = [
        frame(BINARY, &half),
        frame(CONTINUATION, &half),
        frame(CONTINUATION, b"1"),
        frame(FINAL | CONTINUATION, &half),
    ]
    .concat();
    for message in [one_frame, in_pieces] {
        let (mut socket, mut raw) = Listening::new().pair();
        let mut to_socket = raw.try_clone().unwrap();
        let writing = thread::spawn(move || {
            let _ = to_socket.write_all(&message);
        });
        let violation = TransportError::Violation(Violation::PacketTooLarge);
        assert_eq!(recv(&mut socket), Some(Err(violation)));
        send(&mut socket, b"why");
        let closing = close(socket);
        let mut last = Vec::new();
        raw.read_to_end(&mut last).unwrap();
        assert_eq!(last, b"\x82\x03why\x88\x02\x03\xe8");
        writing.join().unwrap();
        drop(raw);
        assert_eq!(closing.wait(), Ok(()));
    }
}

/// R-WS-3
#[test]
fn a_frame_with_reserved_bits_is_an_error() {
    for bit in [0x40, 0x20, 0x10] {
        let (mut socket, mut raw) = Listening::new().pair();
        raw.write_all(&frame(FINAL | bit | BINARY, b"x")).unwrap();
        assert_eq!(io_kind(recv(&mut socket)), io::ErrorKind::InvalidData);
        assert_eq!(recv(&mut socket), None);
    }
}

/// R-WS-8
#[test]
fn frames_that_break_the_websocket_protocol_are_errors_and_the_peer_is_told() {
    let protocol_error = b"\x88\x02\x03\xea";
    let invalid_data = b"\x88\x02\x03\xef";
    for bytes in [
        bare_frame(FINAL | BINARY, b"unmasked", None),
        frame(FINAL | CONTINUATION, b"nothing to continue"),
        [frame(BINARY, b"begun"), frame(FINAL | BINARY, b"again")].concat(),
        frame(FINAL | 3, b"no such data frame"),
        frame(FINAL | 11, b"no such control frame"),
        frame(PING, b"in pieces"),
        frame(FINAL | PING, &[0; 126]),
        frame(FINAL | CLOSE, b"1"),
        frame(FINAL | TEXT, b"\xff"),
    ] {
        let (mut socket, mut raw) = Listening::new().pair();
        raw.write_all(&bytes).unwrap();
        assert_eq!(io_kind(recv(&mut socket)), io::ErrorKind::InvalidData, "{bytes:?}");
        drop(socket);
        let mut told = Vec::new();
        raw.read_to_end(&mut told).unwrap();
        let code = if bytes[0] == FINAL | TEXT { invalid_data } else { protocol_error };
        assert_eq!(told, code, "{bytes:?}");
    }
}

#[test]
fn a_packet_in_pieces_with_a_ping_between_is_one_packet() {
    let (mut socket, mut raw) = Listening::new().pair();
    for bytes in [
        frame(BINARY, b"a"),
        frame(CONTINUATION, b""),
        frame(FINAL | PING, b"?"),
        frame(CONTINUATION, b"bc"),
        frame(FINAL | PONG, b"unasked"),
        frame(FINAL | CONTINUATION, b"d"),
    ] {
        raw.write_all(&bytes).unwrap();
    }
    assert_eq!(recv(&mut socket), Some(Ok("abcd".into())));
    assert_eq!(read_frame(&mut raw), (FINAL | PONG, b"?".to_vec()));
}

#[test]
fn a_ping_is_answered_while_the_socket_is_only_read() {
    let (mut socket, mut raw) = Listening::new().pair();
    let reading = spawn(async move { poll_fn(|cx| socket.poll_recv(cx)).await });
    for payload in [&b""[..], b"alive?", &[0xff; 125]] {
        raw.write_all(&frame(FINAL | PING, payload)).unwrap();
        assert_eq!(read_frame(&mut raw), (FINAL | PONG, payload.to_vec()));
    }
    assert!(reading.is_running());
}

/// Polls until a packet comes and counts the polls.
fn polls_until_packet(socket: &mut Socket) -> usize {
    let mut polls = 0;
    let received = soon(poll_fn(|cx| {
        polls += 1;
        socket.poll_recv(cx)
    }));
    assert_eq!(received, Some(Ok("end".into())));
    polls
}

#[test]
fn a_flood_of_pings_does_not_hold_the_task() {
    let (mut socket, mut raw) = Listening::new().pair();
    let mut to_socket = raw.try_clone().unwrap();
    let mut flood = frame(FINAL | PING, b"").repeat(10_000);
    flood.extend(frame(FINAL | BINARY, b"end"));
    let writing = thread::spawn(move || to_socket.write_all(&flood));
    let pongs = thread::spawn(move || {
        let mut pongs = Vec::new();
        raw.read_to_end(&mut pongs).map(|_| pongs)
    });
    assert!(polls_until_packet(&mut socket) >= 10_000 / 32);
    writing.join().unwrap().unwrap();
    drop(socket);
    let pongs = pongs.join().unwrap().unwrap();
    assert!(pongs.len() >= 2 && pongs.chunks(2).all(|pong| pong == [FINAL | PONG, 0]));
}

#[test]
fn a_flood_of_empty_pieces_does_not_hold_the_task() {
    let (mut socket, mut raw) = Listening::new().pair();
    let mut flood = frame(BINARY, b"");
    flood.extend(frame(CONTINUATION, b"").repeat(500_000));
    flood.extend(frame(FINAL | CONTINUATION, b"end"));
    let size = flood.len();
    let writing = thread::spawn(move || raw.write_all(&flood).map(|()| raw));
    let polls = polls_until_packet(&mut socket);
    assert!(polls >= size / READ_PER_POLL, "{polls}");
    writing.join().unwrap().unwrap();
}

#[test]
fn a_close_frame_is_the_end_and_is_answered() {
    for payload in [&b""[..], b"\x03\xe8", b"\x03\xe9going away"] {
        let (mut socket, mut raw) = Listening::new().pair();
        raw.write_all(&frame(FINAL | BINARY, b"last")).unwrap();
        raw.write_all(&frame(FINAL | CLOSE, payload)).unwrap();
        assert_eq!(recv(&mut socket), Some(Ok("last".into())));
        assert_eq!(recv(&mut socket), None);
        assert_eq!(recv(&mut socket), None);
        assert_eq!(read_frame(&mut raw), (FINAL | CLOSE, payload.to_vec()));
        assert_eq!(close(socket).wait(), Ok(()));
        assert_eq!(rest(&mut raw), "");
    }
}

#[test]
fn an_end_without_a_close_frame_is_an_error() {
    for cut in [&b""[..], b"\x82", b"\x82\x85\0\0\0\0hel"] {
        let (mut socket, mut raw) = Listening::new().pair();
        raw.write_all(cut).unwrap();
        drop(raw);
        assert_eq!(io_kind(recv(&mut socket)), io::ErrorKind::ConnectionReset, "{cut:?}");
    }
}

#[test]
fn a_reset_is_an_error() {
    let (mut socket, raw) = Listening::new().pair();
    send(&mut socket, b"unread");
    reset(raw);
    assert_eq!(io_kind(recv(&mut socket)), io::ErrorKind::ConnectionReset);
}

/// R-WS-2
#[test]
fn closing_sends_code_1000_after_the_last_packet_and_waits_for_the_peer() {
    let (mut socket, mut raw) = Listening::new().pair();
    let mut packet = Bytes::from_static(b"last");
    soon(poll_fn(|cx| socket.poll_send(cx, &mut packet))).unwrap();
    let closing = close(socket);
    assert_eq!(read_frame(&mut raw), (FINAL | BINARY, b"last".to_vec()));
    assert_eq!(read_frame(&mut raw), (FINAL | CLOSE, b"\x03\xe8".to_vec()));
    assert!(closing.is_running());
    // What was on its way is read and dropped.
    raw.write_all(&frame(FINAL | BINARY, &[1; 100_000])).unwrap();
    raw.write_all(&frame(FINAL | PING, b"")).unwrap();
    assert!(closing.is_running());
    raw.write_all(&frame(FINAL | CLOSE, b"\x03\xe8")).unwrap();
    assert_eq!(closing.wait(), Ok(()));
    assert_eq!(rest(&mut raw), "");
}

/// R-WS-2
#[test]
fn a_client_sees_an_ordinary_close() {
    let server = Listening::new();
    let mut client = tungstenite(server.address);
    let closing = close(server.socket());
    let last = client.read().unwrap();
    let Message::Close(Some(frame)) = last else { panic!("{last:?}") };
    assert_eq!(u16::from(frame.code), 1000);
    assert!(matches!(client.read(), Err(Error::ConnectionClosed)));
    assert_eq!(closing.wait(), Ok(()));
}

#[test]
fn a_peer_that_never_reads_makes_the_sender_wait() {
    let (mut socket, _raw) = Listening::new().pair();
    let packet = Bytes::from(vec![1; 16 * 1024]);
    let mut taken = 0;
    loop {
        let mut packet = packet.clone();
        match soon(poll_fn(|cx| Poll::Ready(socket.poll_send(cx, &mut packet)))) {
            Poll::Ready(sent) => sent.unwrap(),
            Poll::Pending => break,
        }
        taken += 16 * 1024;
        assert!(taken < 256 << 20, "the buffer has no bound");
    }
}

#[test]
fn what_a_slow_line_takes_is_counted_before_all_is_flushed() {
    let (here, mut raw) = UnixStream::pair().unwrap();
    let mut socket = WebSocket::upgraded(adopt(here), Side::Server);
    send(&mut socket, b"first"); // from here on the runtime knows what the system does
    let mut packet = Bytes::new();
    while packet.is_empty() {
        packet = vec![1; MAX_PACKET].into();
        let _ =
            soon(poll_fn(|cx| Poll::Ready(socket.poll_send(cx, &mut packet)))).map(Result::unwrap);
    }
    let taken = socket.written();
    assert!(taken > 1024, "{taken}");
    let flushed = soon(poll_fn(|cx| Poll::Ready(socket.poll_flush(cx))));
    assert_eq!((flushed, socket.written()), (Poll::Pending, taken), "nothing moves");

    let reading = thread::spawn(move || io::copy(&mut raw, &mut io::sink()));
    soon(poll_fn(|cx| socket.poll_flush(cx))).unwrap();
    let all = socket.written();
    assert!(all > taken, "some of it had to wait");
    drop(socket);
    assert_eq!(reading.join().unwrap().unwrap(), all);
}

#[test]
fn answers_to_pings_that_nobody_reads_are_bounded_and_never_fail_a_send() {
    /// What the system keeps between two Unix sockets, and more.
    const BETWEEN: usize = 1 << 20;
    let (here, mut raw) = UnixStream::pair().unwrap();
    let mut socket = WebSocket::upgraded(adopt(here), Side::Server);
    let mut to_socket = raw.try_clone().unwrap();
    let writing = thread::spawn(move || {
        let pings = frame(FINAL | PING, &[9; 125]).repeat(30_000);
        to_socket.write_all(&pings).unwrap();
        to_socket.write_all(&frame(FINAL | BINARY, b"end")).unwrap();
    });
    assert_eq!(recv(&mut socket), Some(Ok("end".into())));
    writing.join().unwrap();

    let packet = vec![1; MAX_PACKET];
    let mut waiting = Bytes::from(packet.clone());
    let sent = soon(poll_fn(|cx| Poll::Ready(socket.poll_send(cx, &mut waiting))));
    assert_eq!(sent, Poll::Pending);
    assert_eq!(waiting, packet, "a packet that waits is whole");

    let reading = thread::spawn(move || {
        let mut all = Vec::new();
        raw.read_to_end(&mut all).map(|_| all)
    });
    soon(poll_fn(|cx| socket.poll_send(cx, &mut waiting))).unwrap();
    soon(poll_fn(|cx| socket.poll_flush(cx))).unwrap();
    drop(socket);
    let all = reading.join().unwrap().unwrap();
    // The last answer may have waited for room too.
    let pong = bare_frame(FINAL | PONG, &[9; 125], None);
    assert!(all.strip_suffix(&pong[..]).unwrap_or(&all).ends_with(&packet));
    assert!(all.len() < BETWEEN + 2 * MAX_PACKET + 32 * 1024, "{} bytes were kept", all.len());
}
