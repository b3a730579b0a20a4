//! The server's side of the handshake, against raw clients.

mod peer;

use std::time::{Duration, Instant};

use peer::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wirestream_tokio::{AcceptError, Refusal, ServeConfig, accept};

const SHORT: Duration = Duration::from_millis(200);

/// Sends bytes to a listening server and reads its answer to the end.
async fn answer_to(request: &[u8]) -> String {
    let server = Listening::new().await;
    let mut raw = TcpStream::connect(server.address).await.unwrap();
    raw.write_all(request).await.unwrap();
    rest(&mut raw).await
}

/// R-WS-1
#[tokio::test]
async fn a_handshake_selects_the_subprotocol() {
    let mut server = Listening::new().await;
    let mut raw = TcpStream::connect(server.address).await.unwrap();
    for piece in UPGRADE.as_bytes().chunks(100) {
        raw.write_all(piece).await.unwrap();
    }
    let head = head(&mut raw).await;
    assert!(head.contains("\r\nsec-websocket-protocol: wirestream.v1\r\n"), "{head}");
    let socket = server.socket().await;
    assert!(socket.get_ref().nodelay().unwrap());
}

/// R-WS-1
#[tokio::test]
async fn a_client_without_the_subprotocol_is_refused() {
    for offer in ["", "Sec-WebSocket-Protocol: chat\r\n"] {
        let request = UPGRADE.replace("Sec-WebSocket-Protocol: wirestream.v1\r\n", offer);
        let answer = answer_to(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("subprotocol wirestream.v1"), "{answer}");
    }
}

/// R-WS-3
#[tokio::test]
async fn compression_is_not_negotiated() {
    let server = Listening::new().await;
    let mut raw = TcpStream::connect(server.address).await.unwrap();
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    raw.write_all(UPGRADE.replace("\r\n\r\n", offer).as_bytes()).await.unwrap();
    let head = head(&mut raw).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(!head.to_lowercase().contains("extensions"), "{head}");
}

#[tokio::test]
async fn a_request_for_a_page_is_told_what_this_is() {
    let answer = answer_to(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(
        answer.ends_with("this is a Wirestream server: connect with a WebSocket\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_is_refused_may_finish_what_it_sends() {
    let (here, mut there) = tokio::io::duplex(1024);
    let accepting = tokio::spawn(accept(here, PATIENCE));
    there.write_all(b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
    soon(there.write_all(&[b'x'; 100_000])).await.unwrap();
    there.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(there.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let error = soon(accepting).await.unwrap().unwrap_err();
    assert_eq!(error, AcceptError::Refused(Refusal::Method));
}

#[tokio::test]
async fn garbage_is_refused() {
    for garbage in [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], b"\0\0\0\0", b"HELO x\r\n"] {
        let answer = answer_to(garbage).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[tokio::test]
async fn an_endless_request_is_cut_at_its_largest_size() {
    let server = Listening::new().await;
    let (mut reading, mut writing) = TcpStream::connect(server.address).await.unwrap().into_split();
    let endless = tokio::spawn(async move {
        let _ = writing.write_all(b"GET / HTTP/1.1\r\n").await;
        while writing.write_all(b"X-Filler: more and more and more\r\n").await.is_ok() {}
    });
    let mut answer = Vec::new();
    let _reset_in_the_end = soon(reading.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    drop(reading);
    soon(endless).await.unwrap();
}

#[tokio::test]
async fn a_silent_client_is_cut_at_the_deadline() {
    let began = Instant::now();
    let (here, mut there) = tokio::io::duplex(1024);
    let result = soon(accept(here, SHORT)).await;
    assert_eq!(result.unwrap_err(), AcceptError::TimedOut);
    assert!(began.elapsed() >= SHORT);
    assert_eq!(there.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_slow_client_is_cut_at_the_deadline_although_it_makes_progress() {
    let server = Listening::with(ServeConfig { handshake: SHORT, ..ServeConfig::default() }).await;
    let began = Instant::now();
    let mut raw = TcpStream::connect(server.address).await.unwrap();
    raw.set_nodelay(true).unwrap();
    raw.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    soon(async {
        while raw.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 50).await;
        }
    })
    .await;
    assert!(began.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_client_that_is_refused_and_stays_is_cut() {
    let began = Instant::now();
    let (here, mut there) = tokio::io::duplex(1024);
    there.write_all(b"HELO\r\n").await.unwrap();
    let result = soon(accept(here, Duration::from_secs(60))).await;
    assert_eq!(result.unwrap_err(), AcceptError::Refused(Refusal::NotHttp));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_an_error() {
    let (here, mut there) = tokio::io::duplex(1024);
    there.write_all(&UPGRADE.as_bytes()[..50]).await.unwrap();
    drop(there);
    let error = soon(accept(here, PATIENCE)).await.unwrap_err();
    assert!(
        matches!(error, AcceptError::Io { kind: std::io::ErrorKind::UnexpectedEof, .. }),
        "{error:?}"
    );
}
