//! Servers and clients whole: what listens, and what connects to it.

mod peer;

use std::future::pending;
use std::io;
use std::time::{Duration, Instant};

use peer::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use wirestream::{ConnectErrorKind, Limits, LostReason, Server, StreamError, wire};
use wirestream_tokio::{Dialer, ServeConfig, bind, client, listen, serve};

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    let error = bind(address).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&format!("cannot listen on {address}")), "{error}");
}

#[tokio::test]
async fn clients_that_send_garbage_or_nothing_harm_nobody() {
    let mut server = Listening::new().await;
    let mut strangers = Vec::new();
    for bytes in [&b""[..], b"\0", b"GET / HT", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 100_000]] {
        let mut raw = TcpStream::connect(server.address).await.unwrap();
        let _ = raw.write_all(bytes).await;
        strangers.push(raw);
    }
    let aborted = TcpStream::connect(server.address).await.unwrap();
    aborted.set_zero_linger().unwrap();
    drop(aborted);
    let (mut socket, mut raw) = server.pair().await;
    raw.write_all(&frame(FINAL | BINARY, b"hi")).await.unwrap();
    assert_eq!(recv(&mut socket).await, Some(Ok("hi".into())));
}

#[tokio::test]
async fn handshakes_beyond_the_bound_wait_for_those_before() {
    let config = ServeConfig {
        handshake: Duration::from_millis(300),
        handshakes: 2,
        ..ServeConfig::default()
    };
    let mut server = Listening::with(config).await;
    let began = Instant::now();
    let first = TcpStream::connect(server.address).await.unwrap();
    let second = TcpStream::connect(server.address).await.unwrap();
    let (_socket, _raw) = server.pair().await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    drop((first, second));
}

#[tokio::test]
async fn a_handshake_that_is_done_no_longer_counts() {
    let config = ServeConfig { handshakes: 1, handshake: PATIENCE, ..ServeConfig::default() };
    let mut server = Listening::with(config).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(server.pair().await);
    }
}

#[tokio::test]
async fn a_handler_that_panics_takes_nothing_else_down() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = |_, _| async { panic!("on purpose") };
    let listening = tokio::spawn(listen(listener, ServeConfig::default(), handler, pending()));
    for _ in 0..3 {
        let mut raw = upgrade(address).await;
        assert_eq!(rest(&mut raw).await, "");
    }
    assert!(!listening.is_finished());
}

#[tokio::test]
async fn a_shutdown_frees_the_port_and_gives_up_handshakes() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let config = ServeConfig { handshake: Duration::from_secs(3600), ..ServeConfig::default() };
    let handler = |_, _| async { unreachable!("nobody gets through") };
    let listening = tokio::spawn(listen(listener, config, handler, async {
        let _ = stopped.await;
    }));
    let mut raw = TcpStream::connect(address).await.unwrap();
    raw.write_all(b"HELO\r\n").await.unwrap();
    let answered = soon(raw.read_u8()).await.unwrap();
    assert_eq!(answered, b'H', "the refusal is on its way, so the handshake is in progress");
    let mut silent = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    soon(listening).await.unwrap().unwrap();
    bind(address).await.unwrap();
    let mut byte = [0];
    assert!(matches!(soon(silent.read(&mut byte)).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_server_that_shuts_down_ends_its_connections_in_order() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder().build().unwrap();
    let serving = tokio::spawn(serve(listener, server.clone(), async {
        let _ = stopped.await;
    }));
    let client = client(&format!("ws://{address}"));
    let refused = soon(client.call("No.such").unary::<()>()).await.unwrap_err();
    assert!(matches!(refused, StreamError::Rejected(_)), "{refused:?}");
    assert_eq!(server.connections(), 1);
    stop.send(()).unwrap();
    soon(serving).await.unwrap().unwrap();
    assert_eq!(server.connections(), 0);

    let lost = soon(client.call("No.such").unary::<()>()).await.unwrap_err();
    let StreamError::Lost(LostReason::Connect(error)) = lost else { panic!("{lost:?}") };
    assert_eq!(error.kind, ConnectErrorKind::Unreachable);
}

/// R-WS-2
#[tokio::test]
async fn a_served_connection_ends_with_a_goodbye_and_code_1000() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let server = Server::builder().limits(limits).build().unwrap();
    tokio::spawn(serve(listener, server, pending()));
    let mut raw = upgrade(address).await;
    let mut frames = Vec::new();
    while frames.last().is_none_or(|(first, _)| *first != FINAL | CLOSE) {
        frames.push(read_frame(&mut raw).await);
    }
    let [(BINARY_MESSAGE, _hello), (BINARY_MESSAGE, goodbye), (_, code)] = &frames[..] else {
        panic!("{frames:?}")
    };
    let away: Vec<_> = wire::frames(goodbye).collect::<Result<_, _>>().unwrap();
    assert!(matches!(away[..], [wire::Frame::GoAway { .. }]), "{away:?}");
    assert_eq!(code, b"\x03\xe8");
    raw.write_all(&frame(FINAL | CLOSE, b"\x03\xe8")).await.unwrap();
    assert_eq!(rest(&mut raw).await, "");
}

const BINARY_MESSAGE: u8 = FINAL | BINARY;

#[tokio::test]
async fn a_call_to_nobody_ends_with_what_was_tried() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client(&format!("ws://{address}/x"));
    let lost = soon(client.call("Any.method").unary::<()>()).await.unwrap_err();
    let StreamError::Lost(LostReason::Connect(error)) = lost else { panic!("{lost:?}") };
    assert_eq!(&*error.target, format!("ws://{address}/x"));
    assert_eq!(error.kind, ConnectErrorKind::Unreachable);
}

#[tokio::test]
async fn limits_that_do_not_agree_are_refused() {
    let mut config = wirestream::ClientConfig::default();
    config.limits.message = 0;
    let limits_error = config.limits.validate().unwrap_err();
    let refused = Dialer::new("ws://localhost").client(config).unwrap_err();
    assert_eq!(refused, limits_error);
}
