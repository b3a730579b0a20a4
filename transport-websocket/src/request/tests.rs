use tungstenite::error::{Error, ProtocolError};
use tungstenite::http::Response;
use wirestream::ConnectErrorKind;

use super::{HeaderError, Headers, check_response, handshake_failure, request};
use crate::Address;

fn address() -> Address {
    Address::parse("ws://localhost:8080/streams?room=1").unwrap()
}

/// R-WS-1, R-WS-3
#[test]
fn a_request_offers_the_subprotocol_and_no_extension() {
    let mut headers = Headers::default();
    headers.add("Origin", "https://example.com").unwrap();
    let request = request(&address(), &headers);
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("sec-websocket-protocol"), Some("wirestream.v1"));
    assert_eq!(header("sec-websocket-extensions"), None);
    assert_eq!(header("host"), Some("localhost:8080"));
    assert_eq!(header("origin"), Some("https://example.com"));
    assert_eq!(header("sec-websocket-key").map(str::len), Some(24));
    assert_eq!(request.uri().path_and_query().unwrap().as_str(), "/streams?room=1");
}

#[test]
fn headers_of_the_handshake_itself_cannot_be_added() {
    let mut headers = Headers::default();
    for name in ["Host", "connection", "UPGRADE", "Sec-WebSocket-Protocol", "sec-websocket-x"] {
        assert_eq!(headers.add(name, "x"), Err(HeaderError::Reserved(name.into())));
    }
    assert_eq!(headers.add("a b", "x"), Err(HeaderError::Name("a b".into())));
    assert_eq!(headers.add("a", "x\r\nb: y"), Err(HeaderError::Value("a".into())));
}

#[test]
fn the_values_of_headers_are_not_shown() {
    let mut headers = Headers::default();
    headers.add("Cookie", "canary").unwrap();
    assert_eq!(format!("{headers:?}"), r#"{"cookie"}"#);
}

/// R-WS-3
#[test]
fn an_answer_with_an_extension_is_refused() {
    let plain = Response::builder().status(101).body(None).unwrap();
    assert_eq!(check_response(&address(), &plain), Ok(()));
    let extended = Response::builder()
        .status(101)
        .header("Sec-WebSocket-Extensions", "permessage-deflate")
        .body(None)
        .unwrap();
    let error = check_response(&address(), &extended).unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::NotWirestream);
}

#[test]
fn a_status_is_told_with_the_first_line_of_its_reason() {
    for (status, body, kind, detail) in [
        (
            404,
            "no such\x1b page\nsecond",
            ConnectErrorKind::NotWirestream,
            "HTTP 404 Not Found: no such page",
        ),
        (200, "", ConnectErrorKind::NotWirestream, "HTTP 200 OK"),
        (429, "", ConnectErrorKind::Unreachable, "HTTP 429 Too Many Requests"),
        (502, "", ConnectErrorKind::Unreachable, "HTTP 502 Bad Gateway"),
        (503, "soon", ConnectErrorKind::Unreachable, "HTTP 503 Service Unavailable: soon"),
        (504, "", ConnectErrorKind::Unreachable, "HTTP 504 Gateway Timeout"),
    ] {
        let response = Response::builder().status(status).body(Some(body.into())).unwrap();
        let error = handshake_failure(&address(), &Error::Http(Box::new(response)));
        assert_eq!((error.kind, &*error.detail), (kind, detail));
        assert_eq!(&*error.target, "ws://localhost:8080/streams");
    }
}

#[test]
fn a_long_reason_is_cut() {
    let body = "é".repeat(10_000);
    let response = Response::builder().status(400).body(Some(body.into())).unwrap();
    let error = handshake_failure(&address(), &Error::Http(Box::new(response)));
    assert_eq!(error.detail.chars().filter(|c| *c == 'é').count(), 200);
}

#[test]
fn a_connection_closed_without_an_answer_may_be_tried_again() {
    let error = Error::Protocol(ProtocolError::HandshakeIncomplete);
    assert!(handshake_failure(&address(), &error).kind.is_retryable());
}
