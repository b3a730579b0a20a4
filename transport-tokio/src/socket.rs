use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use wirestream::{Transport, TransportError};
use wirestream_websocket::{Packets, Side, config};

use crate::counted::Counted;

/// A WebSocket over any stream, as a [`Transport`] for packets.
///
/// What one poll does is bounded by its own count of messages, and within a message that comes in
/// many pieces by tokio's budget.
pub struct WebSocket<S> {
    packets: Packets<WebSocketStream<Counted<S>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// A stream on which the handshake is done, both ends having agreed on the subprotocol
    /// `wirestream.v1` and on no extension, and nothing has been read beyond it.
    pub fn upgraded(stream: S, side: Side) -> Self {
        Self::over(Counted::new(stream), side)
    }

    pub(crate) fn over(stream: Counted<S>, side: Side) -> Self {
        // A future by its signature alone: it waits for nothing.
        let made = WebSocketStream::from_raw_socket(stream, side.into(), Some(config()));
        Self::new(made.now_or_never().expect("a WebSocket is made of a stream without waiting"))
    }

    pub(crate) fn new(stream: WebSocketStream<Counted<S>>) -> Self {
        Self { packets: Packets::new(stream) }
    }

    /// The stream below.
    pub fn get_ref(&self) -> &S {
        self.packets.get_ref().get_ref().get_ref()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for WebSocket<S> {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.packets.poll_recv(cx)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        self.packets.poll_send(cx, packet)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.packets.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let closed = self.packets.poll_close(cx, |socket, cx| {
            let stream = socket.get_mut();
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
            let mut bytes = [0; 2048];
            let mut bytes = ReadBuf::new(&mut bytes);
            ready!(Pin::new(stream).poll_read(cx, &mut bytes))?;
            Poll::Ready(Ok(bytes.filled().len()))
        });
        ready!(closed)?;
        // TLS says goodbye too. The peer has heard the WebSocket's and may be gone.
        let _ = ready!(Pin::new(self.packets.get_mut().get_mut()).poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }

    fn written(&self) -> u64 {
        self.packets.get_ref().get_ref().written()
    }
}

impl<S> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebSocket").field(&self.packets).finish()
    }
}
