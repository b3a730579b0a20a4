//! Clients and servers under TLS: whom they trust, and what else may be at the other end.

use std::future::{Future, pending, poll_fn};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tungstenite::handshake::derive_accept_key;
use wirestream::{
    ClientConfig, ConnectError, ConnectErrorKind, Endpoint, LostReason, Receiver, Server, Session,
    StreamError, Transport, TransportError, channel,
};

use wirestream::wire::MAX_PACKET;

use super::certificates::*;
use super::peer::*;
use super::serve::until_told;
use crate::here::rustls::server::Acceptor;
use crate::here::rustls::{ServerConnection, StreamOwned};
use crate::here::{
    AcceptError, ClientTls, Dialer, Origins, Refusal, ServeConfig, ServerTls, accept_tls, adopt,
    bind, client, serve_with, soon,
};

const SHORT: Duration = Duration::from_millis(200);

fn listening(tls: &ServerTls) -> Listening {
    Listening::with(serving(tls))
}

fn serving(tls: &ServerTls) -> ServeConfig {
    ServeConfig { tls: Some(tls.clone()), ..ServeConfig::default() }
}

impl Listening {
    fn dialer(&self, tls: &ClientTls) -> Dialer {
        Dialer::new(&format!("wss://{}/", self.address)).tls(tls.clone())
    }

    fn failure(&self, tls: &ClientTls) -> ConnectError {
        soon(self.dialer(tls).connect()).unwrap_err()
    }

    fn assert_serves(&self, tls: &ClientTls) {
        let mut client = soon(self.dialer(tls).connect()).unwrap();
        send(&mut client, b"hi");
        assert_eq!(recv(&mut self.socket()), Some(Ok("hi".into())));
    }
}

#[track_caller]
fn assert_tls(error: &ConnectError, words: &str) {
    assert_eq!(error.kind, ConnectErrorKind::Tls, "{error}");
    assert!(error.detail.contains(words), "{error}");
    assert!(!error.kind.is_retryable());
}

#[track_caller]
fn assert_refused(error: &AcceptError, words: &str) {
    let AcceptError::Tls { detail } = error else { panic!("{error:?}") };
    assert!(detail.contains(words), "{error}");
}

/// What a server makes of a raw client at the other end of a Unix socket.
fn accepting(tls: &ServerTls, within: Duration) -> (Spawned<AcceptError>, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    there.set_read_timeout(Some(PATIENCE)).unwrap();
    let (here, tls) = (adopt(here), tls.clone());
    let error =
        async move { accept_tls(here, &tls, &Origins::default(), within).await.unwrap_err() };
    (spawn(error), there)
}

#[test]
fn a_client_that_trusts_the_root_is_served_by_name_and_by_address() {
    let authority = Authority::new("root");
    for host in ["localhost", "127.0.0.1"] {
        let server = listening(&authority.issue(host).server());
        let url = format!("wss://{host}:{}/path", server.address.port());
        let mut client = soon(Dialer::new(&url).tls(authority.trusted()).connect()).unwrap();
        let mut socket = server.socket();
        for socket in [&client, &socket] {
            assert!(socket.get_ref().get_ref().nodelay().unwrap());
        }
        assert_eq!(client.get_ref().peer_certificates().map(<[_]>::len), Some(1));
        assert_eq!(socket.get_ref().peer_certificates(), None);
        send(&mut client, b"to the server");
        assert_eq!(recv(&mut socket), Some(Ok("to the server".into())));
        send(&mut socket, b"to the client");
        assert_eq!(recv(&mut client), Some(Ok("to the client".into())));
    }
}

#[test]
fn roots_of_ones_own_are_trusted_beside_those_of_the_platform() {
    let (authority, tls) = local();
    let beside = ClientTls::builder().roots(Authority::new("another").root());
    listening(&tls).assert_serves(&beside.roots(authority.root()).build().unwrap());
}

#[test]
fn a_client_names_the_host_unless_it_is_an_address_and_offers_http_1_1_alone() {
    for (host, name) in [("localhost", Some("localhost")), ("127.0.0.1", None)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://{host}:{}/", listener.local_addr().unwrap().port());
        let dialler = Dialer::new(&url).tls(Authority::new("root").trusted());
        let dialled = spawn(async move { dialler.connect().await.unwrap_err() });
        let mut raw = patient(listener.accept().unwrap().0);
        let mut acceptor = Acceptor::default();
        let accepted = loop {
            assert!(acceptor.read_tls(&mut raw).unwrap() > 0);
            if let Some(accepted) = acceptor.accept().map_err(|(error, _)| error).unwrap() {
                break accepted;
            }
        };
        let hello = accepted.client_hello();
        assert_eq!(hello.server_name(), name);
        let offered: Vec<_> = hello.alpn().unwrap().collect();
        assert_eq!(offered, [b"http/1.1"]);
        drop(raw);
        assert_eq!(dialled.wait().kind, ConnectErrorKind::Unreachable);
    }
}

#[test]
fn a_server_that_is_not_the_one_that_was_dialled_is_refused() {
    let authority = Authority::new("root");
    for (certificate, words) in [
        (authority.issue("example.com"), "not valid for name \"127.0.0.1\""),
        (authority.issue("127.0.0.2"), "not valid for name \"127.0.0.1\""),
        (authority.issue_between("127.0.0.1", 2000, 2001), "has expired"),
        (authority.issue_between("127.0.0.1", 2999, 3000), "not valid yet"),
        (Authority::new("other").issue("127.0.0.1"), "not among the trusted roots"),
        (Authority::new("root").issue("127.0.0.1"), "not signed by the trusted root"),
    ] {
        let server = listening(&certificate.server());
        assert_tls(&server.failure(&authority.trusted()), words);
    }
}

#[test]
fn a_server_learns_that_a_client_does_not_trust_it() {
    let (_authority, tls) = local();
    let (accepted, raw) = accepting(&tls, PATIENCE);
    let stranger = Authority::new("other").trusted();
    assert!(under_tls(raw, &stranger).write_all(b"x").is_err());
    assert_refused(&accepted.wait(), "the other end refused: UnknownCA");
}

#[test]
fn a_client_certificate_is_required_verified_and_shown_to_the_server() {
    let (authority, clients) = (Authority::new("root"), Authority::new("clients"));
    let server = listening(&authority.issue("127.0.0.1").server_for_clients_of(&clients));
    let known = authority.trusted_by(&clients.issue("client"));
    server.assert_serves(&known);

    // Under TLS 1.3 the client learns it behind its own part of the handshake.
    assert_tls(&server.failure(&authority.trusted()), "the server requires a certificate");
    let stranger = authority.trusted_by(&Authority::new("other").issue("client"));
    assert_tls(&server.failure(&stranger), "the other end refused: UnknownCA");
    let expired = authority.trusted_by(&clients.issue_between("client", 2000, 2001));
    assert_tls(&server.failure(&expired), "the other end refused: CertificateExpired");

    let client = soon(server.dialer(&known).connect()).unwrap();
    let socket = server.socket();
    assert_eq!(socket.get_ref().peer_certificates().map(<[_]>::len), Some(1));
    drop(client);
}

#[test]
fn a_client_without_the_required_certificate_is_told_apart() {
    let (authority, clients) = (Authority::new("root"), Authority::new("clients"));
    let tls = authority.issue("127.0.0.1").server_for_clients_of(&clients);
    let (accepted, raw) = accepting(&tls, PATIENCE);
    let mut raw = under_tls(raw, &authority.trusted());
    let _ = raw.write_all(UPGRADE.as_bytes());
    assert!(raw.read(&mut [0]).is_err());
    assert_refused(&accepted.wait(), "the client has no certificate, and one is required");
}

#[test]
fn a_client_that_goes_on_sending_still_learns_why_it_is_refused() {
    let (authority, clients) = (Authority::new("root"), Authority::new("clients"));
    let server = listening(&authority.issue("127.0.0.1").server_for_clients_of(&clients));
    let mut raw = under_tls(connect(server.address), &authority.trusted());
    while raw.conn.is_handshaking() {
        raw.conn.complete_io(&mut raw.sock).unwrap();
    }
    raw.flush().unwrap();
    assert_eq!(raw.sock.peek(&mut [0]).unwrap(), 1);
    for _ in 0..100 {
        raw.sock.write_all(&[b'x'; 10_000]).unwrap();
    }
    let error = raw.read(&mut [0]).unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
}

#[test]
fn a_client_may_have_a_certificate_that_nobody_asks_for() {
    let (authority, tls) = local();
    let known = authority.trusted_by(&Authority::new("clients").issue("client"));
    listening(&tls).assert_serves(&known);
}

#[test]
fn a_plain_text_client_of_a_tls_server_is_told_to_use_tls() {
    let (authority, tls) = local();
    let server = listening(&tls);
    let url = format!("ws://{}/", server.address);
    let error = soon(Dialer::new(&url).tls(authority.trusted()).connect()).unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::NotWirestream);
    let words = "HTTP 400 Bad Request: this server speaks TLS: connect with wss://";
    assert_eq!(&*error.detail, words);
    server.assert_serves(&authority.trusted());

    let (accepted, mut raw) = accepting(&tls, PATIENCE);
    raw.write_all(UPGRADE.as_bytes()).unwrap();
    assert!(rest(&mut raw).starts_with("HTTP/1.1 400 "));
    drop(raw);
    assert_eq!(accepted.wait(), AcceptError::Refused(Refusal::PlainText));
}

#[test]
fn a_tls_client_of_a_plain_text_server_learns_that_there_is_no_tls() {
    let authority = Authority::new("root");
    let server = Listening::new();
    assert_tls(&server.failure(&authority.trusted()), "the other end does not speak TLS");
    let _next = server.pair();

    let (here, there) = UnixStream::pair().unwrap();
    let accepted = spawn(accept(here, PATIENCE));
    assert!(under_tls(there, &authority.trusted()).write_all(b"x").is_err());
    assert_eq!(accepted.wait().unwrap_err(), AcceptError::Refused(Refusal::Tls));
}

#[test]
fn what_looks_like_tls_and_is_not_is_refused() {
    let (_authority, tls) = local();
    let too_long = b"\x16\x03\x01\xff\xff";
    for garbage in [&b"\x16\x16\x16\x16\x16\x16"[..], too_long, &[0x16; 100_000]] {
        let (accepted, mut raw) = accepting(&tls, PATIENCE);
        let _ = raw.write_all(garbage);
        // An alert, and no answer of HTTP.
        assert_eq!(read_byte(&mut raw), 0x15);
        drop(raw);
        assert_refused(&accepted.wait(), "");
    }
}

#[test]
fn clients_of_every_bad_kind_harm_nobody() {
    let (authority, tls) = local();
    let server = listening(&tls);
    let mut strangers = Vec::new();
    for bytes in [&b""[..], b"\x16", b"\x16\x03\x01\x02", b"\0", b"GET /", &[0x16; 100_000]] {
        let mut raw = connect(server.address);
        let _ = raw.write_all(bytes);
        strangers.push(raw);
    }
    let gone = connect(server.address);
    drop(gone);
    assert_tls(&server.failure(&Authority::new("other").trusted()), "trusted roots");
    server.assert_serves(&authority.trusted());
}

#[test]
fn one_deadline_is_for_both_handshakes() {
    let (authority, tls) = local();
    let began = Instant::now();
    let (silent, mut raw) = accepting(&tls, SHORT);
    assert_eq!(silent.wait(), AcceptError::TimedOut);
    assert!(began.elapsed() >= SHORT);
    assert_eq!(raw.read(&mut [0]).unwrap(), 0);

    let (half, mut raw) = accepting(&tls, SHORT);
    let mut hello = Vec::new();
    under_tls(raw.try_clone().unwrap(), &authority.trusted()).conn.write_tls(&mut hello).unwrap();
    raw.write_all(&hello[..hello.len() / 2]).unwrap();
    assert_eq!(half.wait(), AcceptError::TimedOut);

    // One whose TLS is in order, and who begins its request.
    let began = Instant::now();
    let (slow, raw) = accepting(&tls, SHORT);
    let mut raw = under_tls(raw, &authority.trusted());
    while raw.write_all(b"GET / HTTP/1.1\r\nX: y\r\n").and_then(|()| raw.flush()).is_ok() {
        thread::sleep(SHORT / 50);
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(slow.wait(), AcceptError::TimedOut);
    assert!(began.elapsed() >= SHORT);
}

#[test]
fn tls_handshakes_beyond_the_bound_wait_for_those_before() {
    let (authority, tls) = local();
    let handshake = Duration::from_millis(300);
    let server = Listening::with(ServeConfig { handshake, handshakes: 1, ..serving(&tls) });
    let began = Instant::now();
    let mut silent = connect(server.address);
    silent.write_all(b"\x16\x03").unwrap();
    server.assert_serves(&authority.trusted());
    assert!(began.elapsed() >= handshake);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_tls_is_an_error() {
    let (_authority, tls) = local();
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\0\x01"] {
        let (accepted, mut raw) = accepting(&tls, PATIENCE);
        raw.write_all(begun).unwrap();
        drop(raw);
        let error = accepted.wait();
        let AcceptError::Io { kind: io::ErrorKind::UnexpectedEof, .. } = error else {
            panic!("{error:?}")
        };
    }
}

#[test]
fn a_server_that_is_silent_or_leaves_in_the_middle_of_tls_may_be_tried_again() {
    let tls = Authority::new("root").trusted();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let dialer = Dialer::new(&url).tls(tls);
    let error = soon(dialer.clone().within(SHORT).connect()).unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::TimedOut);
    assert!(error.detail.contains("the TLS handshake did not end"), "{error}");
    drop(listener.accept());

    thread::spawn(move || {
        let (mut raw, _) = listener.accept().unwrap();
        read_byte(&mut raw);
    });
    let error = soon(dialer.connect()).unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::Unreachable, "{error}");
}

/// A raw client of `server` that has shaken hands.
fn upgraded(
    server: &Listening,
    tls: &ClientTls,
) -> StreamOwned<crate::here::rustls::ClientConnection, TcpStream> {
    let mut raw = under_tls(connect(server.address), tls);
    raw.write_all(UPGRADE.as_bytes()).unwrap();
    let head = head(&mut raw);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    raw
}

fn io_kind(socket: &mut Socket) -> io::ErrorKind {
    match recv(socket) {
        Some(Err(TransportError::Io { kind, .. })) => kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cut_without_the_goodbye_of_tls_is_a_loss_on_the_server() {
    let (authority, tls) = local();
    let server = listening(&tls);
    let mut raw = upgraded(&server, &authority.trusted());
    let mut socket = server.socket();
    raw.write_all(&frame(FINAL | BINARY, b"last")).unwrap();
    raw.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(recv(&mut socket), Some(Ok("last".into())));
    assert_eq!(io_kind(&mut socket), io::ErrorKind::UnexpectedEof);

    // In the middle of a record.
    let mut raw = upgraded(&server, &authority.trusted());
    let mut socket = server.socket();
    raw.conn.writer().write_all(&frame(FINAL | BINARY, b"cut")).unwrap();
    let mut record = Vec::new();
    raw.conn.write_tls(&mut record).unwrap();
    raw.sock.write_all(&record[..record.len() - 1]).unwrap();
    raw.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(io_kind(&mut socket), io::ErrorKind::UnexpectedEof);

    // The goodbye of TLS is none of the WebSocket's.
    let mut raw = upgraded(&server, &authority.trusted());
    let mut socket = server.socket();
    raw.conn.send_close_notify();
    raw.flush().unwrap();
    assert_eq!(io_kind(&mut socket), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_cut_without_the_goodbye_of_tls_is_a_loss_on_the_client() {
    let (authority, tls) = local();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let raw = patient(listener.accept().unwrap().0);
        let connection = ServerConnection::new(Arc::clone(tls.config())).unwrap();
        let mut raw = StreamOwned::new(connection, raw);
        let request = head(&mut raw);
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = derive_accept_key(key.unwrap().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: wirestream.v1\r\n\r\n"
        );
        raw.write_all(answer.as_bytes()).unwrap();
        raw.write_all(&bare_frame(FINAL | BINARY, b"last", None)).unwrap();
        raw.sock.shutdown(Shutdown::Write).unwrap();
        let _ = raw.sock.read_to_end(&mut Vec::new());
    });
    let mut socket = soon(Dialer::new(&url).tls(authority.trusted()).connect()).unwrap();
    assert_eq!(recv(&mut socket), Some(Ok("last".into())));
    assert_eq!(io_kind(&mut socket), io::ErrorKind::UnexpectedEof);
}

/// R-WS-2
#[test]
fn closing_says_goodbye_in_the_websocket_and_then_in_tls() {
    let (authority, tls) = local();
    let server = listening(&tls);
    let mut raw = upgraded(&server, &authority.trusted());
    let closing = close(server.socket());
    assert_eq!(read_frame(&mut raw), (FINAL | CLOSE, b"\x03\xe8".to_vec()));
    assert!(closing.is_running());
    raw.write_all(&frame(FINAL | CLOSE, b"\x03\xe8")).unwrap();
    // Without the goodbye of TLS this is an error.
    assert_eq!(rest(&mut raw), "");
    assert_eq!(closing.wait(), Ok(()));
}

#[test]
fn what_is_counted_as_written_is_on_the_line_and_not_in_the_buffer_of_tls() {
    let (authority, tls) = local();
    let (here, mut raw) = UnixStream::pair().unwrap();
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    let here = adopt(here);
    let accepting =
        spawn(async move { accept_tls(here, &tls, &Origins::default(), PATIENCE).await.unwrap() });
    let mut client = under_tls(raw.try_clone().unwrap(), &authority.trusted());
    client.write_all(UPGRADE.as_bytes()).unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 101 "));
    let mut socket = accepting.wait();
    send(&mut socket, b"first"); // from here on the runtime knows what the system does
    let before = socket.written();
    let mut packet = Bytes::new();
    while packet.is_empty() {
        packet = vec![1; MAX_PACKET].into();
        let _ =
            soon(poll_fn(|cx| Poll::Ready(socket.poll_send(cx, &mut packet)))).map(Result::unwrap);
    }
    let written = socket.written() - before;
    assert!(written > 1024, "{written}");
    raw.set_nonblocking(true).unwrap();
    let mut on_the_line = 0;
    let mut bytes = [0; 4096];
    while let Ok(read) = raw.read(&mut bytes) {
        on_the_line += read as u64;
    }
    assert!(written <= on_the_line, "{written} written, {on_the_line} on the line");
}

fn echo(
    _: Session,
    (): (),
    (messages,): (Receiver<Vec<u8>>,),
) -> impl Stream<Item = Result<Vec<u8>, wirestream::NoError>> {
    messages.map(|message| Ok(message.expect("a message")))
}

/// Sends messages of a size through a server and back, and counts what came.
async fn through(client: &wirestream::Client, messages: usize, size: usize) -> usize {
    let (input, parameter) = channel();
    let call = client.call("Example.echo").parameter(parameter);
    let replies = call.stream::<Vec<u8>>();
    let sending = async {
        for at in 0..messages {
            input.send(vec![at as u8; size]).await.unwrap();
        }
        input.finish();
    };
    let receiving = replies.enumerate().fold(0, async |sum, (at, reply)| {
        let reply = reply.unwrap();
        assert!(reply.len() == size && reply.iter().all(|byte| *byte == at as u8), "{at}");
        sum + 1
    });
    futures_util::future::join(sending, receiving).await.1
}

#[test]
fn streams_of_many_and_of_large_messages_cross_tls_both_ways_at_once() {
    let (authority, tls) = local();
    let listener = soon(bind("127.0.0.1:0")).unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let server = Server::builder().endpoint(Endpoint::new("Example").stream("echo", echo));
    let server = server.build().unwrap();
    let _serving = spawn(serve_with(listener, server, serving(&tls), pending()));
    soon(async {
        let dialer = Dialer::new(&url).tls(authority.trusted());
        let client = dialer.client(ClientConfig::default()).unwrap();
        let streams = futures_util::future::join3(
            through(&client, 20, 200 * 1024),
            through(&client, 20_000, 10),
            through(&client, 2_000, 1_000),
        );
        assert_eq!(streams.await, (20, 20_000, 2_000));
    });
}

/// E17
#[test]
fn a_server_under_tls_that_shuts_down_ends_its_connections_in_order() {
    let (authority, tls) = local();
    let listener = soon(bind("127.0.0.1:0")).unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let (until_told, told) = until_told();
    let server = Server::builder().build().unwrap();
    let serving = spawn(serve_with(listener, server.clone(), serving(&tls), until_told));
    let client = soon(async {
        Dialer::new(&url).tls(authority.trusted()).client(ClientConfig::default()).unwrap()
    });
    let refused = soon(failed_call(&client));
    assert!(matches!(refused, StreamError::Rejected(_)), "{refused:?}");
    assert_eq!(server.connections(), 1);
    told.abort();
    serving.wait().unwrap();
    assert_eq!(server.connections(), 0);
    let StreamError::Lost(LostReason::Connect(error)) = soon(failed_call(&client)) else {
        panic!("somebody still serves")
    };
    assert_eq!(error.kind, ConnectErrorKind::Unreachable);
}

fn failed_call(client: &wirestream::Client) -> impl Future<Output = StreamError> {
    let call = client.call("No.such").unary::<()>();
    async { call.await.unwrap_err() }
}

const IN_CHILD: &str = "WIRESTREAM_TEST_TLS_IN_CHILD";

/// In children, which are told by their environment what the platform's roots are.
#[test]
#[cfg(target_os = "linux")]
fn a_client_trusts_the_roots_of_the_platform_unless_told_otherwise() {
    if let Some(url) = std::env::var_os(IN_CHILD) {
        let url = url.into_string().unwrap();
        match soon(async { failed_call(&client(&url)).await }) {
            StreamError::Lost(LostReason::Connect(error)) => println!("\nplatform: {error}"),
            error => println!("\nplatform: served, {error}"),
        }
        let other = || ClientTls::builder().roots(Authority::new("another").root());
        let beside = other().build().unwrap();
        let alone = other().without_platform_roots().build().unwrap();
        for (name, tls) in [("beside", beside), ("alone", alone)] {
            match soon(Dialer::new(&url).tls(tls).connect()) {
                Ok(_) => println!("{name}: served"),
                Err(error) => println!("{name}: {error}"),
            }
        }
        return;
    }
    let (authority, tls) = local();
    let listener = soon(bind("127.0.0.1:0")).unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let server = Server::builder().build().unwrap();
    let _serving = spawn(serve_with(listener, server, serving(&tls), pending()));
    let unknown = "the issuer of the certificate is not among the trusted roots";
    for (name, roots, platform, beside) in [
        ("ours", authority.root(), "served, the call was rejected", "served"),
        ("other", Authority::new("other").root(), unknown, unknown),
        ("none", String::new(), "the platform has no root certificates", unknown),
    ] {
        let file = TemporaryFile::new(name, &roots);
        let (_, module) = module_path!().split_once("::").unwrap();
        let name =
            format!("{module}::a_client_trusts_the_roots_of_the_platform_unless_told_otherwise");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(IN_CHILD, &url)
            .env("SSL_CERT_FILE", &file.0)
            .env("SSL_CERT_DIR", "")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{output}");
        for (trusting, words) in [("platform", platform), ("beside", beside), ("alone", unknown)] {
            let mut lines = output.lines();
            let line = lines.find_map(|line| line.strip_prefix(&format!("{trusting}: ")));
            assert!(line.is_some_and(|line| line.contains(words)), "{name}, {trusting}: {output}");
        }
    }
}

struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("wirestream-{}-{name}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
