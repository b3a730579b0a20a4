//! Getting to a server, or not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use wirestream_tokio::ServerTls;

use crate::server::Demo;
use crate::tool::run;

#[test]
fn an_address_that_cannot_be_used() {
    run(["call", "http://127.0.0.1:1", "Demo.echo"]).failed(2, "cannot use the address");
    run(["call", "127.0.0.1:8080", "Demo.echo"]).failed(2, "cannot use the address");
    let done = run(["call", "ws://user:canary@127.0.0.1:1", "Demo.echo"]);
    done.failed(2, "cannot use the address");
    assert!(!done.err.contains("canary"), "{}", done.err);
}

#[test]
fn nobody_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    drop(listener);
    run(["call", &url, "Demo.echo"]).failed(3, "refused");
}

#[test]
fn somebody_is_there_who_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    let began = Instant::now();
    let done = run(["call", &url, "Demo.echo", "--connect-timeout", "0.3"]);
    done.failed(3, "timed out connecting to");
    assert!(began.elapsed() >= Duration::from_millis(300));
}

/// A server that answers any request with these bytes.
fn answering(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    url
}

#[test]
fn another_kind_of_server() {
    let page = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    run(["call", &page, "Demo.echo"]).failed(3, "no Wirestream server at");
    let mail = answering(b"220 mail.example.com ESMTP\r\n");
    run(["call", &mail, "Demo.echo"]).failed(3, "no Wirestream server at");
}

#[test]
fn a_server_that_another_kind_of_answer_hides_commands_in() {
    let url = answering(b"HTTP/1.1 401 \x1b[2J\r\ncontent-length: 5\r\n\r\n\x1b[2J\x07");
    let done = run(["call", &url, "Demo.echo"]);
    done.failed(3, "no Wirestream server at");
    assert!(!done.err.contains(['\u{1b}', '\u{7}']), "{:?}", done.err);
}

#[test]
fn under_tls_a_server_is_trusted_by_its_authority() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".into()]).expect("a name");
    let tls = ServerTls::builder(cert.pem(), signing_key.serialize_pem()).build();
    let demo = Demo::over_tls(tls.expect("a certificate"));
    let ca = std::env::temp_dir().join(format!("wirestream-ca-{}.pem", std::process::id()));
    std::fs::write(&ca, cert.pem()).expect("a file");
    let ca_path = ca.to_str().expect("text");
    let add = ["1", "2", "--args", "(i64, i64)", "--out", "i64"];
    run(demo.call("Demo.add", &[&add[..], &["--ca", ca_path]].concat())).printed(&["3"]);
    run(demo.call("Demo.add", &add)).failed(3, "no secure connection to");
    let plain = demo.url.replace("wss://", "ws://");
    run(["call", &plain, "Demo.add"]).failed(3, "wss://");
    std::fs::remove_file(ca).expect("the file");
    let demo = Demo::start();
    let secure = demo.url.replace("ws://", "wss://");
    run(["call", &secure, "Demo.add"]).failed(3, "no secure connection to");
}
