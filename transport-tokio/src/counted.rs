use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::{RestoreOnPending, poll_proceed};
use wirestream_websocket::ReadAhead;

use crate::MaybeTls;

/// A stream that is read ahead where much comes in, and counts what is written to it.
pub(crate) struct Counted<S> {
    stream: S,
    ahead: ReadAhead,
    written: Arc<AtomicU64>,
    /// Whether it adds to the count, which is the one of a stream below otherwise.
    counts: bool,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, ahead: ReadAhead::default(), written: Arc::default(), counts: true }
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    /// How many bytes the stream has taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl<S> Counted<MaybeTls<S>> {
    /// Counts below TLS, if there is TLS: what TLS has taken may still be in its buffer.
    pub(crate) fn below_tls(stream: MaybeTls<S>) -> Self {
        match stream.below_tls().map(|below| Arc::clone(&below.written)) {
            Some(written) => Self { written, counts: false, ..Self::new(stream) },
            None => Self::new(stream),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, ahead, .. } = &mut *self;
        // What is there already counts as a read all the same, for those who wait for their turn.
        let turn = if ahead.has_unread() { Some(ready!(poll_proceed(cx))) } else { None };
        let read = ready!(ahead.poll_read(bytes.initialize_unfilled(), |bytes| {
            let mut bytes = ReadBuf::new(bytes);
            ready!(Pin::new(stream).poll_read(cx, &mut bytes))?;
            Poll::Ready(Ok(bytes.filled().len()))
        }))?;
        turn.iter().for_each(RestoreOnPending::made_progress);
        bytes.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        if self.counts {
            self.written.fetch_add(written as u64, Ordering::Relaxed);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
