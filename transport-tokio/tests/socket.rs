//! The transport, against raw sockets.

mod peer;

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use peer::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use wirestream::wire::MAX_PACKET;
use wirestream::{Transport, TransportError, Violation};
use wirestream_tokio::{Side, WebSocket};

fn io_kind(received: Option<Result<Bytes, TransportError>>) -> io::ErrorKind {
    match received {
        Some(Err(TransportError::Io { kind, .. })) => kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn binary_messages_are_packets_both_ways() {
    let mut server = Listening::new().await;
    let mut request = format!("ws://{}", server.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "wirestream.v1".parse().unwrap());
    let (mut client, _) = soon(tokio_tungstenite::connect_async(request)).await.unwrap();
    let mut socket = server.socket().await;

    client.feed(Message::binary("one")).await.unwrap();
    client.send(Message::binary("two")).await.unwrap();
    assert_eq!(recv(&mut socket).await, Some(Ok("one".into())));
    assert_eq!(recv(&mut socket).await, Some(Ok("two".into())));

    send(&mut socket, b"three").await;
    assert_eq!(soon(client.next()).await.unwrap().unwrap(), Message::binary("three"));
}

/// R-PACKET-4
#[tokio::test]
async fn a_text_message_is_a_violation() {
    let (mut socket, mut raw) = Listening::new().await.pair().await;
    raw.write_all(&frame(FINAL | TEXT, b"hello")).await.unwrap();
    let violation = TransportError::Violation(Violation::TextMessage);
    assert_eq!(recv(&mut socket).await, Some(Err(violation)));
}

/// R-PACKET-2
#[tokio::test]
async fn a_packet_of_the_largest_size_is_taken() {
    let (mut socket, mut raw) = Listening::new().await.pair().await;
    let largest = vec![7; MAX_PACKET];
    let (sent, received) = tokio::join!(
        async { raw.write_all(&frame(FINAL | BINARY, &largest)).await },
        recv(&mut socket)
    );
    sent.unwrap();
    assert_eq!(received, Some(Ok(largest.into())));
}

/// R-PACKET-2
#[tokio::test]
async fn a_length_beyond_the_largest_size_is_refused_before_a_byte_of_it_has_come() {
    for len in [MAX_PACKET as u64 + 1, 1 << 32, (1 << 63) - 1] {
        let (mut socket, mut raw) = Listening::new().await.pair().await;
        raw.write_all(&[FINAL | BINARY, 0xff]).await.unwrap();
        raw.write_all(&len.to_be_bytes()).await.unwrap();
        raw.write_all(&[0; 4]).await.unwrap();
        let violation = TransportError::Violation(Violation::PacketTooLarge);
        assert_eq!(recv(&mut socket).await, Some(Err(violation)), "{len}");
    }
}

/// R-PACKET-2, and R-WS-2 although the peer goes on.
#[tokio::test]
async fn a_packet_beyond_the_largest_size_is_a_violation_that_the_peer_is_told_of() {
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
        let (mut socket, raw) = Listening::new().await.pair().await;
        let (mut from_socket, mut to_socket) = raw.into_split();
        let writing = tokio::spawn(async move {
            let _ = to_socket.write_all(&message).await;
            to_socket
        });
        let violation = TransportError::Violation(Violation::PacketTooLarge);
        assert_eq!(recv(&mut socket).await, Some(Err(violation)));
        send(&mut socket, b"why").await;
        let closing = tokio::spawn(async move { close(&mut socket).await });
        let mut last = Vec::new();
        soon(from_socket.read_to_end(&mut last)).await.unwrap();
        assert_eq!(last, b"\x82\x03why\x88\x02\x03\xe8");
        drop(soon(writing).await.unwrap());
        assert_eq!(closing.await.unwrap(), Ok(()));
    }
}

/// R-WS-3
#[tokio::test]
async fn a_frame_with_reserved_bits_is_an_error() {
    for bit in [0x40, 0x20, 0x10] {
        let (mut socket, mut raw) = Listening::new().await.pair().await;
        raw.write_all(&frame(FINAL | bit | BINARY, b"x")).await.unwrap();
        assert_eq!(io_kind(recv(&mut socket).await), io::ErrorKind::InvalidData);
        assert_eq!(recv(&mut socket).await, None);
    }
}

#[tokio::test]
async fn frames_that_break_the_websocket_protocol_are_errors() {
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
        let (mut socket, mut raw) = Listening::new().await.pair().await;
        raw.write_all(&bytes).await.unwrap();
        assert_eq!(io_kind(recv(&mut socket).await), io::ErrorKind::InvalidData, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_packet_in_pieces_with_a_ping_between_is_one_packet() {
    let (mut socket, mut raw) = Listening::new().await.pair().await;
    for bytes in [
        frame(BINARY, b"a"),
        frame(CONTINUATION, b""),
        frame(FINAL | PING, b"?"),
        frame(CONTINUATION, b"bc"),
        frame(FINAL | PONG, b"unasked"),
        frame(FINAL | CONTINUATION, b"d"),
    ] {
        raw.write_all(&bytes).await.unwrap();
    }
    assert_eq!(recv(&mut socket).await, Some(Ok("abcd".into())));
    assert_eq!(read_frame(&mut raw).await, (FINAL | PONG, b"?".to_vec()));
}

#[tokio::test]
async fn a_ping_is_answered_while_the_socket_is_only_read() {
    let (mut socket, mut raw) = Listening::new().await.pair().await;
    let reading = tokio::spawn(async move { poll_fn(|cx| socket.poll_recv(cx)).await });
    for payload in [&b""[..], b"alive?", &[0xff; 125]] {
        raw.write_all(&frame(FINAL | PING, payload)).await.unwrap();
        assert_eq!(read_frame(&mut raw).await, (FINAL | PONG, payload.to_vec()));
    }
    reading.abort();
}

/// Polls until a packet comes and counts the polls.
async fn polls_until_packet(socket: &mut Socket) -> usize {
    let mut polls = 0;
    let received = soon(poll_fn(|cx| {
        polls += 1;
        socket.poll_recv(cx)
    }));
    assert_eq!(received.await, Some(Ok("end".into())));
    polls
}

#[tokio::test]
async fn a_flood_of_pings_does_not_hold_the_task() {
    let (mut socket, raw) = Listening::new().await.pair().await;
    let (mut from_socket, mut to_socket) = raw.into_split();
    let mut flood = frame(FINAL | PING, b"").repeat(10_000);
    flood.extend(frame(FINAL | BINARY, b"end"));
    let writing = tokio::spawn(async move { to_socket.write_all(&flood).await });
    let pongs = tokio::spawn(async move {
        let mut pongs = Vec::new();
        from_socket.read_to_end(&mut pongs).await.map(|_| pongs)
    });
    assert!(polls_until_packet(&mut socket).await >= 10_000 / 32);
    soon(writing).await.unwrap().unwrap();
    drop(socket);
    let pongs = soon(pongs).await.unwrap().unwrap();
    assert!(pongs.len() >= 2 && pongs.chunks(2).all(|pong| pong == [FINAL | PONG, 0]));
}

#[tokio::test]
async fn a_flood_of_empty_pieces_does_not_hold_the_task() {
    let (mut socket, mut raw) = Listening::new().await.pair().await;
    let mut flood = frame(BINARY, b"");
    flood.extend(frame(CONTINUATION, b"").repeat(500_000));
    flood.extend(frame(FINAL | CONTINUATION, b"end"));
    let size = flood.len();
    let writing = tokio::spawn(async move { raw.write_all(&flood).await.map(|()| raw) });
    let polls = polls_until_packet(&mut socket).await;
    // One poll reads no more than tokio's budget of 128 times the read buffer.
    assert!(polls >= size / (128 * 8 * 1024), "{polls}");
    soon(writing).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_close_frame_is_the_end_and_is_answered() {
    for payload in [&b""[..], b"\x03\xe8", b"\x03\xe9going away"] {
        let (mut socket, mut raw) = Listening::new().await.pair().await;
        raw.write_all(&frame(FINAL | BINARY, b"last")).await.unwrap();
        raw.write_all(&frame(FINAL | CLOSE, payload)).await.unwrap();
        assert_eq!(recv(&mut socket).await, Some(Ok("last".into())));
        assert_eq!(recv(&mut socket).await, None);
        assert_eq!(recv(&mut socket).await, None);
        assert_eq!(read_frame(&mut raw).await, (FINAL | CLOSE, payload.to_vec()));
        assert_eq!(close(&mut socket).await, Ok(()));
        drop(socket);
        assert_eq!(rest(&mut raw).await, "");
    }
}

#[tokio::test]
async fn an_end_without_a_close_frame_is_an_error() {
    for cut in [&b""[..], b"\x82", b"\x82\x85\0\0\0\0hel"] {
        let (mut socket, mut raw) = Listening::new().await.pair().await;
        raw.write_all(cut).await.unwrap();
        drop(raw);
        assert_eq!(io_kind(recv(&mut socket).await), io::ErrorKind::ConnectionReset, "{cut:?}");
    }
}

#[tokio::test]
async fn a_reset_is_an_error() {
    let (mut socket, raw) = Listening::new().await.pair().await;
    raw.set_zero_linger().unwrap();
    drop(raw);
    assert_eq!(io_kind(recv(&mut socket).await), io::ErrorKind::ConnectionReset);
}

/// R-WS-2
#[tokio::test]
async fn closing_sends_code_1000_after_the_last_packet_and_waits_for_the_peer() {
    let (mut socket, mut raw) = Listening::new().await.pair().await;
    let mut packet = Bytes::from_static(b"last");
    soon(poll_fn(|cx| socket.poll_send(cx, &mut packet))).await.unwrap();
    let closing = tokio::spawn(async move { close(&mut socket).await });
    assert_eq!(read_frame(&mut raw).await, (FINAL | BINARY, b"last".to_vec()));
    assert_eq!(read_frame(&mut raw).await, (FINAL | CLOSE, b"\x03\xe8".to_vec()));
    assert!(!closing.is_finished());
    // What was on its way is read and dropped.
    raw.write_all(&frame(FINAL | BINARY, &[1; 100_000])).await.unwrap();
    raw.write_all(&frame(FINAL | PING, b"")).await.unwrap();
    assert!(!closing.is_finished());
    raw.write_all(&frame(FINAL | CLOSE, b"\x03\xe8")).await.unwrap();
    assert_eq!(soon(closing).await.unwrap(), Ok(()));
    assert_eq!(rest(&mut raw).await, "");
}

/// R-WS-2
#[tokio::test]
async fn a_client_sees_an_ordinary_close() {
    let mut server = Listening::new().await;
    let mut request = format!("ws://{}", server.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "wirestream.v1".parse().unwrap());
    let (mut client, _) = soon(tokio_tungstenite::connect_async(request)).await.unwrap();
    let mut socket = server.socket().await;
    let closing = tokio::spawn(async move { close(&mut socket).await });
    let last = soon(client.next()).await.unwrap().unwrap();
    let Message::Close(Some(frame)) = last else { panic!("{last:?}") };
    assert_eq!(u16::from(frame.code), 1000);
    assert!(matches!(soon(client.next()).await, None | Some(Err(Error::ConnectionClosed))));
    assert_eq!(soon(closing).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_peer_that_never_reads_makes_the_sender_wait() {
    let (mut socket, raw) = Listening::new().await.pair().await;
    let packet = Bytes::from(vec![1; 16 * 1024]);
    let mut taken = 0;
    while poll_fn(|cx| {
        let mut packet = packet.clone();
        Poll::Ready(socket.poll_send(cx, &mut packet).map(Result::unwrap).is_ready())
    })
    .await
    {
        taken += packet.len();
        assert!(taken < 256 << 20, "the buffer has no bound");
        tokio::task::consume_budget().await;
    }
    drop(raw);
}

#[tokio::test]
async fn answers_to_pings_that_nobody_reads_are_bounded_and_never_fail_a_send() {
    const PIPE: usize = 1024;
    let (here, there) = tokio::io::duplex(PIPE);
    let mut socket = WebSocket::upgraded(here, Side::Server);
    let (mut from_socket, mut to_socket) = tokio::io::split(there);
    let writing = tokio::spawn(async move {
        let pings = frame(FINAL | PING, &[9; 125]).repeat(5_000);
        to_socket.write_all(&pings).await.unwrap();
        to_socket.write_all(&frame(FINAL | BINARY, b"end")).await.unwrap();
        to_socket
    });
    let received = soon(poll_fn(|cx| socket.poll_recv(cx))).await;
    assert_eq!(received, Some(Ok("end".into())));
    let to_socket = soon(writing).await.unwrap();

    let packet = vec![1; MAX_PACKET];
    let mut waiting = Bytes::from(packet.clone());
    let send = poll_fn(|cx| Poll::Ready(socket.poll_send(cx, &mut waiting)));
    assert_eq!(send.await, Poll::Pending);
    assert_eq!(waiting, packet, "a packet that waits is whole");

    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        from_socket.read_to_end(&mut all).await.map(|_| all)
    });
    soon(poll_fn(|cx| socket.poll_send(cx, &mut waiting))).await.unwrap();
    soon(poll_fn(|cx| socket.poll_flush(cx))).await.unwrap();
    drop((socket, to_socket));
    let all = soon(reading).await.unwrap().unwrap();
    assert!(all.ends_with(&packet));
    assert!(all.len() < PIPE + 2 * MAX_PACKET + 32 * 1024, "{} bytes were kept", all.len());
}
