//! The server's side of the handshake, against raw clients.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::peer::*;
use crate::here::{AcceptError, Origins, Refusal, ServeConfig, soon};

const SHORT: Duration = Duration::from_millis(200);

/// Sends bytes to a listening server and reads its answer to the end.
fn answer_to(request: &[u8]) -> String {
    let server = Listening::new();
    let mut raw = connect(server.address);
    raw.write_all(request).unwrap();
    rest(&mut raw)
}

/// R-WS-1
#[test]
fn a_handshake_selects_the_subprotocol() {
    let server = Listening::new();
    let mut raw = connect(server.address);
    for piece in UPGRADE.as_bytes().chunks(100) {
        raw.write_all(piece).unwrap();
    }
    let head = head(&mut raw);
    assert!(head.contains("\r\nsec-websocket-protocol: wirestream.v1\r\n"), "{head}");
    let socket = server.socket();
    assert!(socket.get_ref().get_ref().nodelay().unwrap());
}

/// R-WS-1
#[test]
fn a_client_without_the_subprotocol_is_refused() {
    for offer in ["", "Sec-WebSocket-Protocol: chat\r\n"] {
        let request = UPGRADE.replace("Sec-WebSocket-Protocol: wirestream.v1\r\n", offer);
        let answer = answer_to(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("subprotocol wirestream.v1"), "{answer}");
    }
}

/// The handshake of a page in a browser.
fn page(origins: &[&str]) -> String {
    let origins: String = origins.iter().map(|origin| format!("Origin: {origin}\r\n")).collect();
    UPGRADE.replace("\r\n\r\n", &format!("\r\n{origins}\r\n"))
}

/// Whether a server lets such a client in.
fn admits(server: &Listening, request: &str) -> bool {
    let mut raw = connect(server.address);
    raw.write_all(request.as_bytes()).unwrap();
    let head = head(&mut raw);
    assert!(head.starts_with("HTTP/1.1 101 ") || head.starts_with("HTTP/1.1 403 "), "{head}");
    head.starts_with("HTTP/1.1 101 ")
}

/// R-WS-7
#[test]
fn g12_pages_are_refused_unless_their_origin_is_listed() {
    let listed = Origins::default().allow("https://app.example.com").unwrap();
    let listed = listed.allow("http://[::1]:3000").unwrap();
    let server = Listening::with(ServeConfig { origins: listed, ..ServeConfig::default() });
    for (origin, admitted) in [
        ("https://app.example.com", true),
        ("https://app.example.com:443", true),
        ("HTTPS://APP.example.com", true),
        ("http://[::1]:3000", true),
        ("null", false),
        ("", false),
        ("https://app.example.com:8443", false),
        ("http://app.example.com", false),
        ("https://app.example.com.evil.com", false),
        ("https://evilapp.example.com", false),
        ("https://app.example.com@evil.com", false),
        ("http://[::1]", false),
        ("http://localhost:3000", false),
    ] {
        assert_eq!(admits(&server, &page(&[origin])), admitted, "{origin}");
    }
    assert!(admits(&server, UPGRADE), "no page");
    let twice = ["https://app.example.com", "https://app.example.com"];
    assert!(!admits(&server, &page(&twice)));
}

/// R-WS-7
#[test]
fn g12_without_a_setting_no_page_may_connect() {
    let server = Listening::new();
    assert!(admits(&server, UPGRADE), "no page");
    for origin in ["http://localhost", "null", "https://evil.example"] {
        assert!(!admits(&server, &page(&[origin])), "{origin}");
    }
    let answer = answer_to(page(&["https://evil.example"]).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.ends_with("pages of this Origin may not connect to this server\n"), "{answer}");
}

/// R-WS-7
#[test]
fn g12_pages_of_the_same_host_may_connect_where_that_is_set() {
    let origins = Origins::default().same_host();
    let server = Listening::with(ServeConfig { origins, ..ServeConfig::default() });
    let host = format!("Host: {}", server.address);
    let from = |origin: &str| page(&[origin]).replace("Host: localhost", &host);
    assert!(admits(&server, &from(&format!("http://{}", server.address))));
    for origin in ["http://127.0.0.1", "http://localhost", "http://127.0.0.1:1", "null"] {
        assert!(!admits(&server, &from(origin)), "{origin}");
    }
}

/// R-WS-3
#[test]
fn compression_is_not_negotiated() {
    let server = Listening::new();
    let mut raw = connect(server.address);
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    raw.write_all(UPGRADE.replace("\r\n\r\n", offer).as_bytes()).unwrap();
    let head = head(&mut raw);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(!head.to_lowercase().contains("extensions"), "{head}");
}

#[test]
fn a_request_for_a_page_is_told_what_this_is() {
    let answer = answer_to(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(
        answer.ends_with("this is a Wirestream server: connect with a WebSocket\n"),
        "{answer}"
    );
}

#[test]
fn a_client_that_is_refused_may_finish_what_it_sends() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let accepting = spawn(accept(here, PATIENCE));
    there.write_all(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    there.write_all(&[b'x'; 1_000_000]).unwrap();
    there.shutdown(Shutdown::Write).unwrap();
    let answer = rest(&mut there);
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert_eq!(accepting.wait().unwrap_err(), AcceptError::Refused(Refusal::Method));
}

#[test]
fn garbage_is_refused() {
    for garbage in [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], b"\0\0\0\0", b"HELO x\r\n"] {
        let answer = answer_to(garbage);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[test]
fn an_endless_request_is_cut_at_its_largest_size() {
    let server = Listening::new();
    let mut reading = connect(server.address);
    let mut writing = reading.try_clone().unwrap();
    let endless = thread::spawn(move || {
        let _ = writing.write_all(b"GET / HTTP/1.1\r\n");
        while writing.write_all(b"X-Filler: more and more and more\r\n").is_ok() {}
    });
    let mut answer = Vec::new();
    let _reset_in_the_end = reading.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    endless.join().unwrap();
}

#[test]
fn a_silent_client_is_cut_at_the_deadline() {
    let began = Instant::now();
    let (here, mut there) = UnixStream::pair().unwrap();
    let result = soon(accept(here, SHORT));
    assert_eq!(result.unwrap_err(), AcceptError::TimedOut);
    assert!(began.elapsed() >= SHORT);
    assert_eq!(there.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_slow_client_is_cut_at_the_deadline_although_it_makes_progress() {
    let server = Listening::with(ServeConfig { handshake: SHORT, ..ServeConfig::default() });
    let began = Instant::now();
    let mut raw = connect(server.address);
    raw.set_nodelay(true).unwrap();
    raw.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    while raw.write_all(b"x").is_ok() {
        thread::sleep(SHORT / 50);
        assert!(began.elapsed() < PATIENCE);
    }
    assert!(began.elapsed() >= SHORT);
}

#[test]
fn a_client_that_is_refused_and_stays_is_cut() {
    let began = Instant::now();
    let (here, mut there) = UnixStream::pair().unwrap();
    there.write_all(b"HELO\r\n").unwrap();
    let result = soon(accept(here, Duration::from_secs(60)));
    assert_eq!(result.unwrap_err(), AcceptError::Refused(Refusal::NotHttp));
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn a_client_that_is_refused_and_goes_on_sending_is_cut() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let endless = thread::spawn(move || {
        there.write_all(b"HELO\r\n").unwrap();
        while there.write_all(&[b'x'; 10_000]).is_ok() {}
    });
    let result = soon(accept(here, Duration::from_secs(60)));
    assert_eq!(result.unwrap_err(), AcceptError::Refused(Refusal::NotHttp));
    endless.join().unwrap();
}

#[test]
fn a_client_that_leaves_in_the_middle_is_an_error() {
    let (here, mut there) = UnixStream::pair().unwrap();
    there.write_all(&UPGRADE.as_bytes()[..50]).unwrap();
    drop(there);
    let error = soon(accept(here, PATIENCE)).unwrap_err();
    assert!(matches!(error, AcceptError::Io { kind: ErrorKind::UnexpectedEof, .. }), "{error:?}");
}
