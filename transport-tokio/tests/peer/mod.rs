//! The other end: raw sockets, and frames made by hand.
#![allow(dead_code, reason = "each test file uses its part")]

use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wirestream::{Transport, TransportError};
use wirestream_tokio::{ServeConfig, WebSocket, bind, listen};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

pub(crate) type Socket = WebSocket<TcpStream>;

/// A server whose connections the test has in its hands.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    sockets: mpsc::UnboundedReceiver<Socket>,
}

impl Listening {
    pub(crate) async fn new() -> Self {
        Self::with(ServeConfig::default()).await
    }

    pub(crate) async fn with(config: ServeConfig) -> Self {
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, sockets) = mpsc::unbounded_channel();
        let handler = move |socket, _| {
            let _ = sender.send(socket);
            async {}
        };
        tokio::spawn(listen(listener, config, handler, pending()));
        Self { address, sockets }
    }

    /// The next connection that got through its handshake.
    pub(crate) async fn socket(&mut self) -> Socket {
        soon(self.sockets.recv()).await.unwrap()
    }

    /// A connection and the raw socket at its other end.
    pub(crate) async fn pair(&mut self) -> (Socket, TcpStream) {
        let raw = upgrade(self.address).await;
        (self.socket().await, raw)
    }
}

/// The handshake of a client in order.
pub(crate) const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: wirestream.v1\r\n\r\n";

/// A raw client that has shaken hands.
pub(crate) async fn upgrade(address: SocketAddr) -> TcpStream {
    let mut raw = soon(TcpStream::connect(address)).await.unwrap();
    raw.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = head(&mut raw).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    raw
}

/// What comes up to the blank line.
pub(crate) async fn head(raw: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(raw.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// All that still comes, up to the end.
pub(crate) async fn rest(raw: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    soon(raw.read_to_end(&mut rest)).await.unwrap();
    String::from_utf8(rest).unwrap()
}

pub(crate) const FINAL: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A frame as a client sends it; its masking key is zero, so that it shows as it is.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    bare_frame(first, payload, Some([0; 4]))
}

pub(crate) fn bare_frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if key.is_some() { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(masked | len as u8),
        len @ 126..65_536 => {
            frame.push(masked | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(masked | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(key.into_iter().flatten());
    frame.extend(payload);
    frame
}

/// Reads a frame as a server sends it: its first byte and its payload.
pub(crate) async fn read_frame(raw: &mut TcpStream) -> (u8, Vec<u8>) {
    soon(async {
        let first = raw.read_u8().await.unwrap();
        let second = raw.read_u8().await.unwrap();
        assert_eq!(second & 0x80, 0, "a server masks nothing");
        let len = match second {
            126 => usize::from(raw.read_u16().await.unwrap()),
            127 => raw.read_u64().await.unwrap() as usize,
            len => usize::from(len),
        };
        let mut payload = vec![0; len];
        raw.read_exact(&mut payload).await.unwrap();
        (first, payload)
    })
    .await
}

pub(crate) async fn recv(socket: &mut Socket) -> Option<Result<Bytes, TransportError>> {
    soon(poll_fn(|cx| socket.poll_recv(cx))).await
}

pub(crate) async fn send(socket: &mut Socket, packet: &[u8]) {
    let mut packet = Bytes::copy_from_slice(packet);
    soon(poll_fn(|cx| socket.poll_send(cx, &mut packet))).await.unwrap();
    assert!(packet.is_empty());
    soon(poll_fn(|cx| socket.poll_flush(cx))).await.unwrap();
}

pub(crate) async fn close(socket: &mut Socket) -> Result<(), TransportError> {
    soon(poll_fn(|cx| socket.poll_close(cx))).await
}
