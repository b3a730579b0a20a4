use wirestream::wire::SUBPROTOCOL;

use super::{Answer, MAX_HEAD, check_request};
use crate::{Origins, Refusal};

const UPGRADE: &[&str] = &[
    "Host: localhost",
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: wirestream.v1",
];

fn get(headers: &[&str]) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\n{}\r\n\r\n", headers.join("\r\n")).into_bytes()
}

/// The usual handshake with one header replaced, or left out.
fn but(name: &str, with: Option<&str>) -> Vec<u8> {
    let kept = UPGRADE.iter().copied().filter(|header| !header.starts_with(name));
    get(&kept.chain(with).collect::<Vec<_>>())
}

fn answer(request: &[u8]) -> Answer {
    super::answer(request, &Origins::default(), false)
}

fn accepted(request: &[u8]) -> String {
    match answer(request) {
        Answer::Accepted(response) => String::from_utf8(response).unwrap(),
        other @ (Answer::ReadOn | Answer::Refused(..)) => panic!("{other:?}"),
    }
}

fn refused(request: &[u8]) -> (Refusal, String) {
    match answer(request) {
        Answer::Refused(refusal, response) => (refusal, String::from_utf8(response).unwrap()),
        other @ (Answer::ReadOn | Answer::Accepted(_)) => panic!("{other:?}"),
    }
}

/// R-WS-1
#[test]
fn a_handshake_is_answered_with_the_subprotocol() {
    let response = accepted(&get(UPGRADE));
    assert!(response.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{response}");
    assert!(response.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(response.contains(&format!("sec-websocket-protocol: {SUBPROTOCOL}\r\n")));
    assert!(response.ends_with("\r\n\r\n"));
}

/// R-WS-1
#[test]
fn the_subprotocol_is_found_among_others() {
    for offer in [
        "Sec-WebSocket-Protocol: chat, wirestream.v1",
        "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: wirestream.v1,x",
    ] {
        let response = accepted(&but("Sec-WebSocket-Protocol", Some(offer)));
        assert!(response.contains("sec-websocket-protocol: wirestream.v1\r\n"), "{response}");
    }
}

/// R-WS-1
#[test]
fn a_client_without_the_subprotocol_is_told_what_to_offer() {
    for offer in [
        None,
        Some("Sec-WebSocket-Protocol: chat"),
        Some("Sec-WebSocket-Protocol: wirestream.v11"),
        Some("Sec-WebSocket-Protocol: WIRESTREAM.V1"),
    ] {
        let (refusal, response) = refused(&but("Sec-WebSocket-Protocol", offer));
        assert_eq!(refusal, Refusal::Subprotocol);
        assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
        assert!(response.ends_with(
            "\r\n\r\noffer the WebSocket subprotocol wirestream.v1 in Sec-WebSocket-Protocol\n"
        ));
    }
}

/// R-WS-4
#[test]
fn every_path_will_do() {
    for target in ["/", "/streams", "/a/b/c?d=e&f", "*"] {
        let request = String::from_utf8(get(UPGRADE)).unwrap();
        accepted(request.replacen("GET / ", &format!("GET {target} "), 1).as_bytes());
    }
}

/// R-WS-3
#[test]
fn no_extension_is_selected_whatever_is_offered() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
    let response = accepted(&but("none", Some(offer)));
    assert!(!response.to_lowercase().contains("extensions"), "{response}");
}

/// R-WS-6
#[test]
fn every_other_request_is_refused_with_a_status_and_a_reason() {
    let post = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi".to_vec();
    let many = ["X: y"; 200];
    for (request, refusal, status) in [
        (get(&["Host: localhost"]), Refusal::NotUpgrade, "426 Upgrade Required"),
        (but("Upgrade", None), Refusal::NotUpgrade, "426 Upgrade Required"),
        (but("Connection", None), Refusal::NotUpgrade, "426 Upgrade Required"),
        (
            but("Sec-WebSocket-Version", Some("Sec-WebSocket-Version: 8")),
            Refusal::Version,
            "426 Upgrade Required",
        ),
        (but("Sec-WebSocket-Key", None), Refusal::Key, "400 Bad Request"),
        (but("Sec-WebSocket-Key", Some("Sec-WebSocket-Key: x")), Refusal::Key, "400 Bad Request"),
        (post, Refusal::Method, "405 Method Not Allowed"),
        (b"GET / HTTP/1.0\r\n\r\n".to_vec(), Refusal::NotHttp, "400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\x00".to_vec(), Refusal::Tls, "400 Bad Request"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Refusal::NotHttp, "400 Bad Request"),
        (get(&many), Refusal::TooLarge, "431 Request Header Fields Too Large"),
    ] {
        let (found, response) = refused(&request);
        assert_eq!(found, refusal, "{}", String::from_utf8_lossy(&request));
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{response}");
        assert!(head.contains("\r\nconnection: close\r\n"), "{response}");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{response}");
        assert_eq!(body, format!("{refusal}\n"));
    }
}

/// R-WS-5
#[test]
fn bytes_after_the_request_are_refused() {
    let mut request = get(UPGRADE);
    request.push(0x82);
    assert_eq!(refused(&request).0, Refusal::Trailing);
}

#[test]
fn an_unfinished_request_is_read_on_at_every_byte() {
    let request = get(UPGRADE);
    for end in 0..request.len() {
        assert_eq!(answer(&request[..end]), Answer::ReadOn, "{end}");
    }
}

#[test]
fn a_request_ends_within_its_largest_size() {
    let mut request = b"GET / HTTP/1.1\r\nX: ".to_vec();
    request.resize(MAX_HEAD - 1, b'x');
    assert_eq!(answer(&request), Answer::ReadOn);
    request.push(b'x');
    assert_eq!(refused(&request).0, Refusal::TooLarge);
}

/// R-WS-6, R-WS-7
#[test]
fn a_page_that_may_not_connect_is_forbidden_before_the_upgrade() {
    let page = |origin: &str| [UPGRADE, &[&format!("Origin: {origin}")]].concat().join("\r\n");
    let page = |origin| format!("GET / HTTP/1.1\r\n{}\r\n\r\n", page(origin)).into_bytes();
    let ours = Origins::default().allow("https://app.example.com").unwrap();
    let found = super::answer(&page("https://app.example.com"), &ours, false);
    assert!(matches!(found, Answer::Accepted(_)), "{found:?}");
    for origin in ["https://evil.example", "null", "http://localhost"] {
        let Answer::Refused(refusal, response) = super::answer(&page(origin), &ours, false) else {
            panic!("{origin}")
        };
        assert_eq!(refusal, Refusal::Origin);
        let response = String::from_utf8(response).unwrap();
        assert!(response.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{response}");
        assert!(
            response.ends_with("\r\n\r\npages of this Origin may not connect to this server\n")
        );
    }

    let same_host = Origins::default().same_host();
    let page = page("http://localhost");
    assert!(matches!(super::answer(&page, &same_host, false), Answer::Accepted(_)));
    let under_tls = super::answer(&page, &same_host, true);
    assert!(matches!(under_tls, Answer::Refused(Refusal::Origin, _)), "{under_tls:?}");
}

/// R-WS-5
#[test]
fn a_request_with_a_body_is_refused_before_the_body_comes() {
    for header in ["Content-Length: 1", "Content-Length: x", "Transfer-Encoding: chunked"] {
        assert_eq!(refused(&but("none", Some(header))).0, Refusal::Trailing, "{header}");
    }
    accepted(&but("none", Some("Content-Length: 0")));
}

/// What an HTTP server has read gets the same answer as what this crate has read itself.
#[test]
fn a_request_of_an_http_server_gets_the_same_answer() {
    use tungstenite::handshake::machine::TryParse;
    use tungstenite::handshake::server::Request;

    for request in [
        get(UPGRADE),
        get(&["Host: localhost"]),
        but("Sec-WebSocket-Version", Some("Sec-WebSocket-Version: 8")),
        but("Sec-WebSocket-Key", None),
        but("Sec-WebSocket-Protocol", None),
        but("none", Some("Origin: https://evil.example")),
        but("none", Some("Content-Length: 1")),
    ] {
        let (_, parsed) = Request::try_parse(&request).unwrap().unwrap();
        let theirs = check_request(&parsed.map(|()| "a body"), &Origins::default());
        match (theirs, answer(&request)) {
            (Ok(response), Answer::Accepted(ours)) => {
                assert_eq!(super::bytes(&response), ours);
                assert_eq!(response.status(), 101);
            }
            (Err(refusal), Answer::Refused(ours, bytes)) => {
                assert_eq!(refusal, ours);
                let response = refusal.response();
                let bytes = String::from_utf8(bytes).unwrap();
                assert!(bytes.starts_with(&format!("HTTP/1.1 {}\r\n", response.status())));
                assert!(bytes.ends_with(&format!("\r\n\r\n{}", response.body())));
                assert!(
                    response.headers().get("connection").is_none_or(|value| value == "upgrade")
                );
            }
            (theirs, ours) => panic!("{theirs:?}, {ours:?}"),
        }
    }
}

/// R-WS-6
#[test]
fn a_request_of_an_http_server_is_refused_for_its_method_and_version() {
    use http::{Method, Version};
    let mut request = http::Request::new(());
    *request.method_mut() = Method::HEAD;
    let refused =
        |request: &http::Request<()>| check_request(request, &Origins::default()).unwrap_err();
    assert_eq!(refused(&request), Refusal::Method);
    assert_eq!(refused(&request).response().headers()["allow"], "GET");
    *request.method_mut() = Method::GET;
    *request.version_mut() = Version::HTTP_10;
    assert_eq!(refused(&request), Refusal::NotHttp);
    *request.version_mut() = Version::HTTP_2;
    assert_eq!(refused(&request), Refusal::NotUpgrade);
}
