//! The client's side: each way in which a connection can fail to be, against raw servers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tungstenite::handshake::derive_accept_key;
use wirestream::{ConnectError, ConnectErrorKind, Dial, TransportError};

use super::peer::*;
use crate::here::{Dialer, soon};

const SHORT: Duration = Duration::from_millis(200);

/// A server that does one thing with the first client.
fn server(with: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/path", listener.local_addr().unwrap());
    thread::spawn(move || with(patient(listener.accept().unwrap().0)));
    url
}

/// A server that answers each request with these bytes, then ends.
fn answering(answer: impl Into<Vec<u8>>) -> String {
    let answer = answer.into();
    server(move |mut raw| {
        let _ = head(&mut raw);
        raw.write_all(&answer).unwrap();
    })
}

/// The answer to this request that a server gives in order, with other header lines.
fn upgraded(request: &str, headers: &str) -> Vec<u8> {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
    )
    .into_bytes()
}

fn upgrading(headers: &'static str, then: &'static [u8]) -> String {
    server(move |mut raw| {
        let request = head(&mut raw);
        raw.write_all(&upgraded(&request, headers)).unwrap();
        raw.write_all(then).unwrap();
        let mut rest = Vec::new();
        let _ = raw.read_to_end(&mut rest);
    })
}

fn failure(url: &str) -> ConnectError {
    soon(Dialer::new(url).connect()).unwrap_err()
}

fn check(error: &ConnectError, url: &str, kind: ConnectErrorKind, words: &str) {
    assert_eq!((&*error.target, error.kind), (url, kind), "{error}");
    assert!(error.detail.contains(words), "{error}");
}

/// R-WS-1, R-WS-3
#[test]
fn a_client_offers_the_subprotocol_and_no_extension() {
    let (sender, request) = mpsc::channel();
    let url = server(move |mut raw| {
        let request = head(&mut raw);
        raw.write_all(&upgraded(&request, "Sec-WebSocket-Protocol: wirestream.v1\r\n")).unwrap();
        sender.send((request, raw)).unwrap();
    });
    let dialer = Dialer::new(&format!("{url}?room=1")).header("X-Note", "hello").unwrap();
    let mut socket = soon(dialer.connect()).unwrap();
    assert!(socket.get_ref().get_ref().nodelay().unwrap());
    let (request, mut raw) = request.recv().unwrap();
    assert!(request.starts_with("GET /path?room=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nSec-WebSocket-Protocol: wirestream.v1\r\n"), "{request}");
    assert!(request.contains("\r\nx-note: hello\r\n"), "{request}");
    assert!(!request.to_lowercase().contains("extensions"), "{request}");

    raw.write_all(&bare_frame(FINAL | BINARY, b"hi", None)).unwrap();
    assert_eq!(recv(&mut socket), Some(Ok("hi".into())));
    send(&mut socket, b"there");
    let mut frame = [0; 11];
    raw.read_exact(&mut frame).unwrap();
    assert_eq!(frame[..2], [FINAL | BINARY, 0x80 | 5], "a client masks");
    let unmasked: Vec<u8> = (0..5).map(|i| frame[6 + i] ^ frame[2 + i % 4]).collect();
    assert_eq!(unmasked, b"there");
}

#[test]
fn what_follows_the_answer_at_once_is_not_lost() {
    let url = upgrading("Sec-WebSocket-Protocol: wirestream.v1\r\n", b"\x82\x02hi");
    let mut transport = soon(Dialer::new(&url).dial()).unwrap();
    let received = recv(&mut transport);
    assert_eq!(received, Some(Ok("hi".into())));
}

#[test]
fn a_masked_frame_from_a_server_is_an_error() {
    let url = upgrading("Sec-WebSocket-Protocol: wirestream.v1\r\n", b"\x82\x82\0\0\0\0hi");
    let mut socket = soon(Dialer::new(&url).connect()).unwrap();
    assert!(matches!(recv(&mut socket), Some(Err(TransportError::Io { .. }))));
}

/// R-WS-2
#[test]
fn a_client_closes_with_code_1000_and_waits_for_the_server() {
    let url = server(|mut raw| {
        let request = head(&mut raw);
        let answer = upgraded(&request, "Sec-WebSocket-Protocol: wirestream.v1\r\n");
        raw.write_all(&answer).unwrap();
        let mut close = [0; 8];
        raw.read_exact(&mut close).unwrap();
        assert_eq!(close[..2], [FINAL | CLOSE, 0x80 | 2]);
        assert_eq!([close[6] ^ close[2], close[7] ^ close[3]], 1000_u16.to_be_bytes());
        raw.write_all(b"\x82\x04late\x88\x02\x03\xe8").unwrap();
    });
    let socket = soon(Dialer::new(&url).connect()).unwrap();
    assert_eq!(close(socket).wait(), Ok(()));
}

/// R-WS-1
#[test]
fn a_server_without_the_subprotocol_is_refused() {
    for headers in ["", "Sec-WebSocket-Protocol: chat\r\n"] {
        let url = upgrading(headers, b"");
        let error = failure(&url);
        check(&error, &url, ConnectErrorKind::NotWirestream, "wirestream.v1");
    }
}

/// R-WS-3
#[test]
fn a_server_that_selects_an_extension_is_refused() {
    let headers = "Sec-WebSocket-Protocol: wirestream.v1\r\n\
                   Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let url = upgrading(headers, b"");
    check(&failure(&url), &url, ConnectErrorKind::NotWirestream, "extension");
}

#[test]
fn no_server_is_told_with_the_address_that_refused() {
    let nobody = Nobody::new();
    let address = nobody.address;
    let url = format!("ws://{address}/");
    let error = failure(&url);
    check(&error, &url, ConnectErrorKind::Unreachable, &address.to_string());
    assert!(error.detail.contains("refused"), "{error}");
    assert!(error.kind.is_retryable());
}

#[test]
fn a_name_with_several_addresses_is_tried_at_each() {
    let nobody = Nobody::new();
    let port = nobody.address.port();
    let url = format!("ws://localhost:{port}/");
    let error = failure(&url);
    check(&error, &url, ConnectErrorKind::Unreachable, &format!("127.0.0.1:{port}"));
}

#[test]
fn a_name_that_does_not_resolve_is_told() {
    // Too long for a label: refused by the resolver itself, without a question to anybody.
    let url = format!("ws://{}.invalid/", "x".repeat(64));
    check(&failure(&url), &url, ConnectErrorKind::Unreachable, "no such host");
}

#[test]
fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let began = Instant::now();
    let error = soon(Dialer::new(&url).within(SHORT).connect()).unwrap_err();
    check(&error, &url, ConnectErrorKind::TimedOut, "connected, but no answer to the handshake");
    assert!(began.elapsed() >= SHORT);
    assert!(error.kind.is_retryable());
}

#[test]
fn a_server_that_answers_slowly_is_given_up_at_the_deadline() {
    let url = server(|mut raw| {
        raw.write_all(b"HTTP/1.1 101 Switching Protocols\r\nX: ").unwrap();
        while raw.write_all(b"x").is_ok() {
            thread::sleep(SHORT / 20);
        }
    });
    let error = soon(Dialer::new(&url).within(SHORT).connect()).unwrap_err();
    check(&error, &url, ConnectErrorKind::TimedOut, "handshake");
}

#[test]
fn an_endless_answer_is_cut() {
    let url = server(|mut raw| {
        let _ = raw.write_all(b"HTTP/1.1 101 Switching Protocols\r\n");
        while raw.write_all(b"X-Filler: more and more and more\r\n").is_ok() {}
    });
    let error = failure(&url);
    assert_eq!(error.kind, ConnectErrorKind::NotWirestream, "{error}");
}

#[test]
fn a_server_that_hangs_up_may_be_tried_again() {
    let url = server(|mut raw| drop(head(&mut raw)));
    check(&failure(&url), &url, ConnectErrorKind::Unreachable, "without an answer");
}

#[test]
fn a_page_is_not_a_wirestream_server() {
    let page = "HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\nno such page\n";
    let url = answering(page);
    let error = failure(&url);
    check(&error, &url, ConnectErrorKind::NotWirestream, "HTTP 404 Not Found: no such page");
    assert!(!error.kind.is_retryable());
}

#[test]
fn a_gateway_whose_server_is_away_may_be_tried_again() {
    let url = answering("HTTP/1.1 503 Service Unavailable\r\n\r\n");
    check(&failure(&url), &url, ConnectErrorKind::Unreachable, "HTTP 503");
}

#[test]
fn what_does_not_speak_http_is_told_as_such() {
    for bytes in
        [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"\x15\x03\x01\0\x02\x02\x16\r\n\r\n", b"-ERR\r\n"]
    {
        let url = answering(bytes);
        check(&failure(&url), &url, ConnectErrorKind::NotWirestream, "not HTTP");
    }
}

#[test]
fn an_unusable_url_is_told_when_it_is_dialled() {
    for (url, words) in [
        #[cfg(not(feature = "tls"))]
        ("wss://localhost", "wss:// needs the feature `tls`, which is missing"),
        ("ws://user:canary@localhost", "credentials do not belong in a URL"),
        ("localhost:8080", "ws://"),
    ] {
        let error = failure(url);
        assert_eq!(error.kind, ConnectErrorKind::Address);
        assert!(error.detail.contains(words), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert!(!format!("{:?}", Dialer::new(url)).contains("canary"));
    }
}
