use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tungstenite::protocol::Role;
use tungstenite::{Error, Message};
use wirestream::TransportError;

use crate::message::{Incoming, accusation, goodbye, incoming, read_failure, write_failure};

/// Messages without a packet, and rests of a connection that ends, that one poll reads at most.
/// What one message costs while it comes in pieces is for the stream below to bound.
const SKIPPED_PER_POLL: usize = 32;

/// Which end of a WebSocket this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that asked for it.
    Client,
    /// The end that accepted it.
    Server,
}

impl From<Side> for Role {
    fn from(side: Side) -> Self {
        match side {
            Side::Client => Self::Client,
            Side::Server => Self::Server,
        }
    }
}

/// The packets in a WebSocket's messages: all that a [`Transport`](wirestream::Transport) does,
/// over the stream and sink of messages that a runtime's own tungstenite has.
pub struct Packets<M> {
    messages: M,
    reading: Reading,
    goodbye_sent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Open,
    /// The peer has ended in order.
    Ended,
    /// What comes in cannot be told apart any more.
    Failed,
}

impl<M> Packets<M> {
    /// The packets of a WebSocket whose handshake is done.
    pub fn new(messages: M) -> Self {
        Self { messages, reading: Reading::Open, goodbye_sent: false }
    }

    /// The stream of messages.
    pub fn get_ref(&self) -> &M {
        &self.messages
    }

    /// The stream of messages, to end what is below it.
    pub fn get_mut(&mut self) -> &mut M {
        &mut self.messages
    }
}

impl<M> Packets<M>
where
    M: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    /// As [`Transport::poll_recv`](wirestream::Transport::poll_recv). Control frames are seen to
    /// on the way: a ping is answered, and the answer flushed, for as long as this is polled.
    pub fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, TransportError>>> {
        for _ in 0..SKIPPED_PER_POLL {
            if self.reading != Reading::Open {
                return Poll::Ready(None);
            }
            match ready!(self.messages.poll_next_unpin(cx)) {
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
                        let _ = self.messages.poll_flush_unpin(cx);
                    }
                },
                Some(Err(error)) => {
                    if let Some(accusation) = accusation(&error) {
                        // As far as the socket takes it now: nobody polls what has failed.
                        let _ = self.messages.start_send_unpin(accusation);
                        let _ = self.messages.poll_flush_unpin(cx);
                        self.goodbye_sent = true;
                    }
                    match read_failure(error) {
                        Some(failure) => {
                            self.reading = Reading::Failed;
                            return Poll::Ready(Some(Err(failure)));
                        }
                        None => self.reading = Reading::Ended,
                    }
                }
                None => self.reading = Reading::Ended,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// As [`Transport::poll_send`](wirestream::Transport::poll_send).
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        ready!(self.messages.poll_ready_unpin(cx)).map_err(write_failure)?;
        let mut sent = self.messages.start_send_unpin(Message::Binary(packet.clone()));
        if matches!(sent, Err(Error::WriteBufferFull(_))) {
            // Answers to pings took the room.
            ready!(self.poll_flush(cx))?;
            sent = self.messages.start_send_unpin(Message::Binary(packet.clone()));
        }
        sent.map_err(write_failure)?;
        *packet = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// As [`Transport::poll_flush`](wirestream::Transport::poll_flush).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.messages.poll_flush_unpin(cx).map_err(write_failure)
    }

    /// As [`Transport::poll_close`](wirestream::Transport::poll_close): sends the close frame with
    /// code 1000 (R-WS-2), then waits until the peer has ended too.
    ///
    /// `drain` is for the stream below when what comes in makes no messages any more: it ends the
    /// writing, reads bytes to drop them, and says how many.
    pub fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        drain: impl FnMut(&mut M, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<Result<(), TransportError>> {
        if !self.goodbye_sent {
            // First make room, or the frame is lost.
            ready!(self.poll_flush(cx))?;
            self.goodbye_sent = true;
            match self.messages.start_send_unpin(goodbye()) {
                Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {}
                Err(error) => return Poll::Ready(Err(write_failure(error))),
            }
        }
        match ready!(self.messages.poll_flush_unpin(cx)) {
            Ok(()) | Err(Error::AlreadyClosed) => self.poll_rest(cx, drain).map(Ok),
            Err(error) => Poll::Ready(Err(write_failure(error))),
        }
    }

    /// Reads and drops what still comes, until the peer ends too. A socket that is closed with
    /// unread bytes is reset, and a reset may overtake the last packet.
    fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
        mut drain: impl FnMut(&mut M, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<()> {
        for _ in 0..SKIPPED_PER_POLL {
            let more = match self.reading {
                Reading::Failed => !matches!(ready!(drain(&mut self.messages, cx)), Ok(0) | Err(_)),
                Reading::Open | Reading::Ended => {
                    matches!(ready!(self.messages.poll_next_unpin(cx)), Some(Ok(_)))
                }
            };
            if !more {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Shows nothing of what was sent or received.
impl<M> fmt::Debug for Packets<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packets").field("reading", &self.reading).finish_non_exhaustive()
    }
}
