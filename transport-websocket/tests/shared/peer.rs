//! The other end: raw sockets, and frames made by hand.

use std::future::{Future, pending, poll_fn};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use wirestream::{Transport, TransportError};

use crate::here::{
    self, AcceptError, MaybeTls, Origins, ServeConfig, WebSocket, adopt, bind, listen, run, soon,
};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a future beside the test.
pub(crate) fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Spawned<T> {
    let (sender, receiver) = mpsc::channel();
    run(async move {
        let _ = sender.send(future.await);
    });
    Spawned(receiver)
}

/// What a future will come to.
pub(crate) struct Spawned<T>(mpsc::Receiver<T>);

impl<T> Spawned<T> {
    pub(crate) fn wait(self) -> T {
        self.0.recv_timeout(PATIENCE).expect("it takes too long, or panicked")
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.0.try_recv(), Err(mpsc::TryRecvError::Empty))
    }
}

pub(crate) type Socket = WebSocket<MaybeTls<here::TcpStream>>;

/// A server whose connections the test has in its hands.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    sockets: mpsc::Receiver<Socket>,
}

impl Listening {
    pub(crate) fn new() -> Self {
        Self::with(ServeConfig::default())
    }

    pub(crate) fn with(config: ServeConfig) -> Self {
        let listener = soon(bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, sockets) = mpsc::channel();
        let handler = move |socket, _| {
            let _ = sender.send(socket);
            async {}
        };
        run(async move { listen(listener, config, handler, pending()).await.unwrap() });
        Self { address, sockets }
    }

    /// The next connection that got through its handshake.
    pub(crate) fn socket(&self) -> Socket {
        self.sockets.recv_timeout(PATIENCE).expect("a connection")
    }

    /// A connection and the raw socket at its other end.
    pub(crate) fn pair(&self) -> (Socket, TcpStream) {
        let raw = upgrade(self.address);
        (self.socket(), raw)
    }
}

/// What a server makes of what is at the other end of a Unix socket.
pub(crate) async fn accept(stream: UnixStream, within: Duration) -> Result<(), AcceptError> {
    here::accept(adopt(stream), &Origins::default(), within).await.map(drop)
}

/// A raw client.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(address).unwrap())
}

pub(crate) fn patient(raw: TcpStream) -> TcpStream {
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    raw.set_write_timeout(Some(PATIENCE)).unwrap();
    raw
}

/// An address at which nobody listens, nor can as long as this is there: a connection that was
/// accepted on it still uses it.
pub(crate) struct Nobody {
    pub(crate) address: SocketAddr,
    _connection: (TcpStream, TcpStream),
}

impl Nobody {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let there = connect(address);
        let (here, _) = listener.accept().unwrap();
        Self { address, _connection: (here, there) }
    }
}

/// The handshake of a client in order.
pub(crate) const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: wirestream.v1\r\n\r\n";

/// A raw client that has shaken hands.
pub(crate) fn upgrade(address: SocketAddr) -> TcpStream {
    let mut raw = connect(address);
    raw.write_all(UPGRADE.as_bytes()).unwrap();
    let head = head(&mut raw);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    raw
}

/// What comes up to the blank line.
pub(crate) fn head(raw: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(read_byte(raw));
    }
    String::from_utf8(head).unwrap()
}

pub(crate) fn read_byte(raw: &mut impl Read) -> u8 {
    let mut byte = [0];
    raw.read_exact(&mut byte).unwrap();
    byte[0]
}

/// All that still comes, up to the end.
pub(crate) fn rest(raw: &mut impl Read) -> String {
    let mut rest = Vec::new();
    raw.read_to_end(&mut rest).unwrap();
    String::from_utf8(rest).unwrap()
}

/// Ends a connection by a reset: that is what closing does to a socket with unread bytes, for
/// which this waits.
pub(crate) fn reset(raw: TcpStream) {
    assert_eq!(raw.peek(&mut [0]).unwrap(), 1);
    drop(raw);
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
pub(crate) fn read_frame(raw: &mut impl Read) -> (u8, Vec<u8>) {
    let first = read_byte(raw);
    let second = read_byte(raw);
    assert_eq!(second & 0x80, 0, "a server masks nothing");
    let extended = match second {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut len = [0; 8];
    raw.read_exact(&mut len[8 - extended..]).unwrap();
    let len = if extended == 0 { usize::from(second) } else { u64::from_be_bytes(len) as usize };
    let mut payload = vec![0; len];
    raw.read_exact(&mut payload).unwrap();
    (first, payload)
}

pub(crate) fn recv(socket: &mut impl Transport) -> Option<Result<Bytes, TransportError>> {
    soon(poll_fn(|cx| socket.poll_recv(cx)))
}

pub(crate) fn send(socket: &mut impl Transport, packet: &[u8]) {
    let mut packet = Bytes::copy_from_slice(packet);
    soon(poll_fn(|cx| socket.poll_send(cx, &mut packet))).unwrap();
    assert!(packet.is_empty());
    soon(poll_fn(|cx| socket.poll_flush(cx))).unwrap();
}

/// Closes a socket, beside the test.
pub(crate) fn close(mut socket: impl Transport) -> Spawned<Result<(), TransportError>> {
    spawn(async move { poll_fn(|cx| socket.poll_close(cx)).await })
}
