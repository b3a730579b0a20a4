//! The cases are sound, and a server that does otherwise fails them.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;

use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, accept_hdr};
use wirestream_conformance::Suite;

/// A server that says one thing to whatever comes, and closes the WebSocket.
fn answering(packet: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            #[expect(clippy::result_large_err, reason = "the handshake's own type")]
            let choose = |_: &Request, mut response: Response| -> Result<_, ErrorResponse> {
                let name = HeaderValue::from_static("wirestream.v1");
                response.headers_mut().insert("Sec-WebSocket-Protocol", name);
                Ok(response)
            };
            let mut socket = accept_hdr(stream.expect("a client"), choose).expect("a WebSocket");
            let _ = socket.read();
            if !packet.is_empty() {
                let _ = socket.send(Message::Binary(packet.into()));
            }
            let _ = socket.close(Some(CloseFrame { code: 1000.into(), reason: "".into() }));
            while socket.read().is_ok() {}
        }
    });
    address
}

fn passed(packet: &'static [u8]) -> usize {
    let url = format!("ws://{}", answering(packet));
    Suite::new().cases().iter().filter(|case| case.run(&url).is_ok()).count()
}

#[test]
fn there_are_as_many_cases_as_are_promised_and_each_names_a_rule_of_the_specification() {
    let suite = Suite::new();
    assert!(suite.cases().len() >= 300, "{}", suite.cases().len());
    let names: BTreeSet<_> = suite.cases().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), suite.cases().len(), "a name stands for one case");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    let pages = ["wire.md", "calls.md"].map(|page| folder.join(page));
    let spec: String = pages.map(|page| std::fs::read_to_string(page).expect("a page")).concat();
    for case in suite.cases() {
        assert!(spec.contains(&format!("**{}** ", case.rule())), "{case}");
    }
}

#[test]
fn a_server_that_accuses_its_clients_of_something_else_passes_no_case() {
    assert_eq!(passed(b"\x0e\x0a\x02\x08R-NONE: "), 0);
}

#[test]
fn a_server_that_closes_at_once_passes_only_the_cases_that_want_that() {
    let ends = 2 * 14;
    assert!(passed(b"") <= ends, "more than the two frames that end a connection");
}

#[test]
fn a_server_that_is_not_there_passes_no_case() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let suite = Suite::new();
    let why = suite.cases()[0].run(&format!("ws://{gone}")).expect_err("there is no server");
    assert!(why.starts_with("cannot connect to ws://"), "{why}");
}
