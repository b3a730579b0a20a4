//! Servers and clients whole: what listens, and what connects to it.

use std::future::{Future, pending};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, abortable};
use wirestream::{ClientConfig, ConnectErrorKind, Limits, LostReason, Server, StreamError, wire};

use super::peer::*;
use crate::here::{Dialer, ServeConfig, bind, client, listen, run, serve, soon};

/// A wait, and what ends it.
pub(crate) fn until_told() -> (impl Future<Output = ()> + Send, AbortHandle) {
    let (wait, end) = abortable(pending::<()>());
    (wait.map(|_told| ()), end)
}

/// How a call without arguments ends that cannot be made.
async fn failed_call(url: &str) -> StreamError {
    client(url).call("No.such").unary::<()>().await.unwrap_err()
}

#[test]
fn an_address_in_use_is_named() {
    let first = soon(bind("127.0.0.1:0")).unwrap();
    let address = first.local_addr().unwrap();
    let error = soon(bind(address)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&format!("cannot listen on {address}")), "{error}");
}

#[test]
fn clients_that_send_garbage_or_nothing_harm_nobody() {
    let server = Listening::new();
    let mut strangers = Vec::new();
    for bytes in [&b""[..], b"\0", b"GET / HT", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 100_000]] {
        let mut raw = connect(server.address);
        let _ = raw.write_all(bytes);
        strangers.push(raw);
    }
    let mut aborting = connect(server.address);
    aborting.write_all(b"\0").unwrap();
    reset(aborting);
    let (mut socket, mut raw) = server.pair();
    raw.write_all(&frame(FINAL | BINARY, b"hi")).unwrap();
    assert_eq!(recv(&mut socket), Some(Ok("hi".into())));
}

fn upgrades(mut raw: TcpStream) -> bool {
    let mut answer = Vec::new();
    let _ = raw.write_all(UPGRADE.as_bytes());
    let _ = raw.take(12).read_to_end(&mut answer);
    answer == b"HTTP/1.1 101"
}

#[test]
fn handshakes_of_one_address_beyond_its_bound_are_turned_away() {
    let handshake = PATIENCE;
    let config = ServeConfig { handshake, handshakes_per_address: 2, ..ServeConfig::default() };
    let server = Listening::with(config);
    let _first = connect(server.address);
    let second = connect(server.address);
    for _ in 0..3 {
        // Without a word, and perhaps by a reset.
        assert_eq!(connect(server.address).read(&mut [0]).unwrap_or(0), 0);
    }
    // One that is done has its place no longer, and one that is given up neither.
    assert!(upgrades(second));
    server.socket();
    drop(connect(server.address));
    let began = Instant::now();
    while !upgrades(connect(server.address)) {
        assert!(began.elapsed() < PATIENCE, "the place is not free again");
    }
}

#[test]
fn handshakes_beyond_the_bound_wait_for_those_before() {
    let handshake = Duration::from_millis(300);
    let server =
        Listening::with(ServeConfig { handshake, handshakes: 2, ..ServeConfig::default() });
    let began = Instant::now();
    let _first = connect(server.address);
    let _second = connect(server.address);
    let (_socket, _raw) = server.pair();
    assert!(began.elapsed() >= handshake);
}

#[test]
fn a_handshake_that_is_done_no_longer_counts() {
    let config = ServeConfig { handshakes: 1, handshake: PATIENCE, ..ServeConfig::default() };
    let server = Listening::with(config);
    let open: Vec<_> = (0..10).map(|_| server.pair()).collect();
    drop(open);
}

#[test]
fn a_handler_that_panics_takes_nothing_else_down() {
    let listener = soon(bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let handler = |_, _| async { panic!("on purpose") };
    let listening = spawn(listen(listener, ServeConfig::default(), handler, pending()));
    for _ in 0..3 {
        let mut raw = upgrade(address);
        assert_eq!(rest(&mut raw), "");
    }
    assert!(listening.is_running());
}

#[test]
fn a_shutdown_frees_the_port_and_gives_up_handshakes() {
    let listener = soon(bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (until_told, told) = until_told();
    let config = ServeConfig { handshake: Duration::from_secs(3600), ..ServeConfig::default() };
    let handler = |_, _| async { unreachable!("nobody gets through") };
    let listening = spawn(listen(listener, config, handler, until_told));
    let mut raw = connect(address);
    raw.write_all(b"HELO\r\n").unwrap();
    // The refusal is on its way, so the handshake is in progress.
    assert_eq!(read_byte(&mut raw), b'H');
    let mut silent = connect(address);
    told.abort();
    listening.wait().unwrap();
    soon(bind(address)).unwrap();
    assert!(matches!(silent.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_server_that_shuts_down_ends_its_connections_in_order() {
    let listener = soon(bind("127.0.0.1:0")).unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (until_told, told) = until_told();
    let server = Server::builder().build().unwrap();
    let serving = spawn(serve(listener, server.clone(), until_told));
    let refused = soon(failed_call(&url));
    assert!(matches!(refused, StreamError::Rejected(_)), "{refused:?}");
    assert_eq!(server.connections(), 1);
    told.abort();
    serving.wait().unwrap();
    assert_eq!(server.connections(), 0);

    let lost = soon(failed_call(&url));
    let StreamError::Lost(LostReason::Connect(error)) = lost else { panic!("{lost:?}") };
    assert_eq!(error.kind, ConnectErrorKind::Unreachable);
}

const BINARY_MESSAGE: u8 = FINAL | BINARY;

/// R-WS-2
#[test]
fn a_served_connection_ends_with_a_goodbye_and_code_1000() {
    let listener = soon(bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let server = Server::builder().limits(limits).build().unwrap();
    run(async { serve(listener, server, pending()).await.unwrap() });
    let mut raw = upgrade(address);
    let mut frames = Vec::new();
    while frames.last().is_none_or(|(first, _)| *first != FINAL | CLOSE) {
        frames.push(read_frame(&mut raw));
    }
    let [(BINARY_MESSAGE, _hello), (BINARY_MESSAGE, goodbye), (_, code)] = &frames[..] else {
        panic!("{frames:?}")
    };
    let away: Vec<_> = wire::frames(goodbye).collect::<Result<_, _>>().unwrap();
    assert!(matches!(away[..], [wire::Frame::GoAway { .. }]), "{away:?}");
    assert_eq!(code, b"\x03\xe8");
    raw.write_all(&frame(FINAL | CLOSE, b"\x03\xe8")).unwrap();
    assert_eq!(rest(&mut raw), "");
}

#[test]
fn a_call_to_nobody_ends_with_what_was_tried() {
    let nobody = Nobody::new();
    let address = nobody.address;
    let lost = soon(failed_call(&format!("ws://{address}/x")));
    let StreamError::Lost(LostReason::Connect(error)) = lost else { panic!("{lost:?}") };
    assert_eq!(&*error.target, format!("ws://{address}/x"));
    assert_eq!(error.kind, ConnectErrorKind::Unreachable);
}

#[test]
fn limits_that_do_not_agree_are_refused() {
    let mut config = ClientConfig::default();
    config.limits.message = 0;
    let limits_error = config.limits.validate().unwrap_err();
    let refused = soon(async { Dialer::new("ws://localhost").client(config).unwrap_err() });
    assert_eq!(refused, limits_error);
}
