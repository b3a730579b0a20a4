//! A peer that sends faster than anybody can read does not hold the executor.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use smol::Executor;
use smol::future::{poll_fn, yield_now};
use smol::io::{AsyncRead, AsyncWrite};
use wirestream::wire::Frame;
use wirestream::{CloseReason, Limits, MemoryTransport, Server, Transport};
use wirestream_smol::{AcceptError, Origins, Refusal, Side, Smol, WebSocket, accept};

/// A burst, and one of frames so small that it has as many of them.
const BURST: usize = 30 << 20;
const OF_SMALL_FRAMES: usize = 3 << 20;
/// What a task reads in one go at most: sixteen reads of tungstenite's buffer, which may have grown
/// to twice its size.
const TURN: usize = 16 * 4 * 1024;

const FINAL: u8 = 0x80;
const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const PING: u8 = 9;

/// A stream on which all of a burst has come already, and which takes whatever is written.
struct Burst {
    /// What comes once.
    head: Vec<u8>,
    /// What comes again and again after it.
    piece: Vec<u8>,
    at: usize,
    size: usize,
    read: Arc<AtomicUsize>,
}

impl Burst {
    fn new(size: usize, head: Vec<u8>, piece: &[u8]) -> Self {
        // In runs, so that making it costs no more than a copy.
        let piece = piece.repeat((16 * 1024 / piece.len()).max(1));
        Self { head, piece, at: 0, size, read: Arc::default() }
    }
}

impl AsyncRead for Burst {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.read.load(Ordering::Relaxed) >= self.size {
            return Poll::Ready(Ok(0));
        }
        let rest = if self.head.is_empty() { &self.piece } else { &self.head };
        let rest = &rest[self.at..];
        let read = rest.len().min(bytes.len());
        bytes[..read].copy_from_slice(&rest[..read]);
        if read == rest.len() {
            self.at = 0;
            self.head.clear();
        } else {
            self.at += read;
        }
        self.read.fetch_add(read, Ordering::Relaxed);
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for Burst {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A frame as a client sends it; its masking key is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    let length = if len < 126 { vec![0x80 | len] } else { vec![0x80 | 126, 0, len] };
    [&[first][..], &length, &[0; 4], payload].concat()
}

/// Runs `consume` on one thread beside a task that wants a turn as often as it can have one:
/// between two of its turns, no more than a few reads are taken from the burst.
fn check<F>(burst: Burst, consume: impl FnOnce(Burst) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (size, read) = (burst.size, Arc::clone(&burst.read));
    check_turns(consume(burst), size, &read, 2 * TURN);
}

/// Runs `consuming` beside that other task until it has counted `size`; between two turns of the
/// other task it counts `most` at most.
fn check_turns<F>(consuming: F, size: usize, read: &Arc<AtomicUsize>, most: usize)
where
    F: Future<Output = ()> + Send + 'static,
{
    let executor = Executor::new();
    let consuming = executor.spawn(consuming);
    let other = executor.spawn({
        let read = Arc::clone(read);
        async move {
            let mut longest = 0;
            let mut before = 0;
            while before < size {
                yield_now().await;
                let now = read.load(Ordering::Relaxed);
                longest = longest.max(now - before);
                before = now;
            }
            longest
        }
    });
    smol::block_on(executor.run(consuming));
    assert!(read.load(Ordering::Relaxed) >= size, "the burst was read");
    let longest = smol::block_on(executor.run(other));
    assert!(longest <= most, "{longest} were read while another task waited");
}

/// Takes packets until the end.
async fn drain(burst: Burst) {
    let mut socket = WebSocket::upgraded(burst, Side::Server);
    while let Some(Ok(_)) = poll_fn(|cx| socket.poll_recv(cx)).await {}
}

#[test]
fn a_burst_of_empty_pieces_of_one_packet() {
    check(Burst::new(OF_SMALL_FRAMES, frame(BINARY, b""), &frame(CONTINUATION, b"")), drain);
}

#[test]
fn a_burst_of_pings() {
    check(Burst::new(BURST, Vec::new(), &frame(FINAL | PING, &[0; 125])), drain);
}

#[test]
fn a_burst_of_small_packets() {
    check(Burst::new(OF_SMALL_FRAMES, Vec::new(), &frame(FINAL | BINARY, b"hello")), drain);
}

#[test]
fn a_burst_of_large_packets() {
    let mut packet = vec![FINAL | BINARY, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.resize(packet.len() + 0x1_0000, 7);
    check(Burst::new(BURST, Vec::new(), &packet), drain);
}

#[test]
fn a_burst_on_a_socket_that_closes() {
    for first in [FINAL | BINARY, FINAL | 3] {
        // The second kind breaks the protocol: the rest is read as bytes.
        check(Burst::new(OF_SMALL_FRAMES, Vec::new(), &frame(first, b"hello")), async |burst| {
            let mut socket = WebSocket::upgraded(burst, Side::Server);
            let _ = poll_fn(|cx| socket.poll_recv(cx)).await;
            let _ = poll_fn(|cx| socket.poll_close(cx)).await;
        });
    }
}

#[test]
fn a_burst_after_a_refused_handshake() {
    check(Burst::new(BURST, Vec::new(), b"HELO\r\n"), async |burst| {
        let refused = accept(burst, &Origins::default(), Duration::from_secs(60)).await;
        assert_eq!(refused.unwrap_err(), AcceptError::Refused(Refusal::NotHttp));
    });
}

/// What a server greets with, which will do for a client's greeting too.
fn hello(server: &Server) -> Bytes {
    let (mut here, there) = MemoryTransport::pair();
    let serving = server.serve_connection(Arc::new(Smol::global()), Box::new(there), None);
    let hello = smol::block_on(smol::future::or(poll_fn(|cx| here.poll_recv(cx)), async move {
        panic!("the connection ended: {:?}", serving.await)
    }));
    hello.expect("a packet").expect("a packet")
}

#[test]
fn a_burst_to_a_server() {
    let limits = Limits { idle_frames: u32::MAX, ..Limits::default() };
    let server = Server::builder().limits(limits).build().unwrap();
    let mut ping = Vec::new();
    Frame::Ping.encode(&mut ping);
    check(
        Burst::new(
            OF_SMALL_FRAMES,
            frame(FINAL | BINARY, &hello(&server)),
            &frame(FINAL | BINARY, &ping),
        ),
        async move |burst| {
            let socket = WebSocket::upgraded(burst, Side::Server);
            let reason =
                server.serve_connection(Arc::new(Smol::global()), Box::new(socket), None).await;
            assert_eq!(reason, CloseReason::Eof);
        },
    );
}

#[cfg(feature = "tls")]
mod under_tls {
    use std::io::Write;
    use std::task::Waker;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use wirestream_smol::rustls::ClientConnection;
    use wirestream_smol::rustls::pki_types::ServerName;
    use wirestream_smol::{ClientTls, ServerTls, accept_tls};

    use super::*;

    const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: wirestream.v1\r\n\r\n";
    const READS: usize = 100_000;

    /// A client whose records come a byte at a time once it has shaken hands, so that many reads
    /// make one that has something in it.
    struct Dribble {
        client: ClientConnection,
        reads: Arc<AtomicUsize>,
        waker: Option<Waker>,
        upgraded: bool,
    }

    impl AsyncRead for Dribble {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            mut bytes: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            if self.reads.load(Ordering::Relaxed) >= READS {
                return Poll::Ready(Ok(0));
            }
            if !self.client.is_handshaking() && !self.client.wants_write() {
                match std::mem::replace(&mut self.upgraded, true) {
                    false => self.client.writer().write_all(UPGRADE)?,
                    true => {
                        let packet = [&[FINAL | BINARY, 0x80 | 126, 0x20, 0][..], &[0; 0x2004]];
                        self.client.writer().write_all(&packet.concat())?;
                    }
                }
            }
            if !self.client.wants_write() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            if self.upgraded {
                bytes = &mut bytes[..1];
            }
            self.reads.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(self.client.write_tls(&mut bytes))
        }
    }

    impl AsyncWrite for Dribble {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            mut bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = self.client.read_tls(&mut bytes)?;
            self.client.process_new_packets().map_err(io::Error::other)?;
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn records_that_come_byte_by_byte() {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".into()]).unwrap();
        let trusting = ClientTls::builder().without_platform_roots().roots(cert.pem());
        let trusting = trusting.build().unwrap();
        let server = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::clone(trusting.config()), server).unwrap();
        let tls = ServerTls::builder(cert.pem(), signing_key.serialize_pem()).build().unwrap();

        let reads = Arc::<AtomicUsize>::default();
        let dribble = Dribble { client, reads: Arc::clone(&reads), waker: None, upgraded: false };
        let draining = async move {
            let within = Duration::from_secs(60);
            let origins = Origins::default();
            let accepting = accept_tls(dribble, &tls, &origins, within);
            let mut socket = accepting.await.unwrap();
            while let Some(Ok(_)) = poll_fn(|cx| socket.poll_recv(cx)).await {}
        };
        // A few turns; a record is thousands of reads.
        check_turns(draining, READS, &reads, 10 * 8);
    }
}
