use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};
use wirestream::{Transport, TransportError};
use wirestream_websocket::{Incoming, config, goodbye, incoming, read_failure, write_failure};

/// Messages without a packet, and rests of a connection that ends, that one poll reads at most.
/// What one message costs while it comes in pieces is bounded by tokio's own budget.
const SKIPPED_PER_POLL: usize = 32;

/// A WebSocket over any stream, as a [`Transport`] for packets.
pub struct WebSocket<S> {
    stream: WebSocketStream<S>,
    reading: Reading,
    goodbye_sent: bool,
}

/// Which end of a WebSocket this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that asked for it.
    Client,
    /// The end that accepted it.
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Open,
    /// The peer has ended in order.
    Ended,
    /// What comes in cannot be told apart any more.
    Failed,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// A stream on which the handshake is done, both ends having agreed on the subprotocol
    /// `wirestream.v1` and on no extension, and nothing has been read beyond it.
    pub fn upgraded(stream: S, side: Side) -> Self {
        let role = match side {
            Side::Client => Role::Client,
            Side::Server => Role::Server,
        };
        // A future by its signature alone: it waits for nothing.
        let stream = WebSocketStream::from_raw_socket(stream, role, Some(config())).now_or_never();
        Self::new(stream.expect("a WebSocket is made of a stream without waiting"))
    }

    pub(crate) fn new(stream: WebSocketStream<S>) -> Self {
        Self { stream, reading: Reading::Open, goodbye_sent: false }
    }

    /// The stream below.
    pub fn get_ref(&self) -> &S {
        self.stream.get_ref()
    }

    /// Reads and drops what still comes, until the peer ends too. A socket that is closed with
    /// unread bytes is reset, and a reset may overtake the last packet.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..SKIPPED_PER_POLL {
            if self.reading == Reading::Failed {
                let stream = self.stream.get_mut();
                if ready!(Pin::new(&mut *stream).poll_shutdown(cx)).is_err() {
                    return Poll::Ready(());
                }
                let mut bytes = [0; 2048];
                let mut bytes = ReadBuf::new(&mut bytes);
                let read = ready!(Pin::new(stream).poll_read(cx, &mut bytes));
                if read.is_err() || bytes.filled().is_empty() {
                    return Poll::Ready(());
                }
            } else if !matches!(ready!(self.stream.poll_next_unpin(cx)), Some(Ok(_))) {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for WebSocket<S> {
    /// Control frames are seen to on the way: a ping is answered, and the answer flushed, for as
    /// long as this is polled.
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        for _ in 0..SKIPPED_PER_POLL {
            if self.reading != Reading::Open {
                return Poll::Ready(None);
            }
            match ready!(self.stream.poll_next_unpin(cx)) {
                Some(Ok(message)) => match incoming(message) {
                    Incoming::Packet(packet) => return Poll::Ready(Some(Ok(packet))),
                    Incoming::Nothing => {}
                    Incoming::Violation(violation) => {
                        return Poll::Ready(Some(Err(TransportError::Violation(violation))));
                    }
                    Incoming::End => {
                        self.reading = Reading::Ended;
                        // Answers the peer's close frame if the socket takes it now; nobody has
                        // to poll an ended transport.
                        let _ = self.stream.poll_flush_unpin(cx);
                    }
                },
                Some(Err(error)) => match read_failure(error) {
                    Some(failure) => {
                        self.reading = Reading::Failed;
                        return Poll::Ready(Some(Err(failure)));
                    }
                    None => self.reading = Reading::Ended,
                },
                None => self.reading = Reading::Ended,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        ready!(self.stream.poll_ready_unpin(cx)).map_err(write_failure)?;
        let mut sent = self.stream.start_send_unpin(Message::Binary(packet.clone()));
        if matches!(sent, Err(Error::WriteBufferFull(_))) {
            // Answers to pings took the room.
            ready!(self.poll_flush(cx))?;
            sent = self.stream.start_send_unpin(Message::Binary(packet.clone()));
        }
        sent.map_err(write_failure)?;
        *packet = Bytes::new();
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.stream.poll_flush_unpin(cx).map_err(write_failure)
    }

    /// Sends the close frame with code 1000 (R-WS-2), then waits until the peer has ended too.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        if !self.goodbye_sent {
            // First make room, or the frame is lost.
            ready!(self.poll_flush(cx))?;
            self.goodbye_sent = true;
            match self.stream.start_send_unpin(goodbye()) {
                Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
                Err(error) => return Poll::Ready(Err(write_failure(error))),
            }
        }
        match ready!(self.stream.poll_flush_unpin(cx)) {
            Ok(()) | Err(Error::AlreadyClosed) => self.poll_rest(cx).map(Ok),
            Err(error) => Poll::Ready(Err(write_failure(error))),
        }
    }
}

impl<S> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("reading", &self.reading).finish_non_exhaustive()
    }
}
