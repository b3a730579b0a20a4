use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use smol::io::{AsyncRead, AsyncWrite};
use wirestream_websocket::ReadAhead;

use crate::MaybeTls;

/// Reads that may follow one another before the task has to wait. A read is one of tungstenite's
/// read buffer, 2 KiB, which holds some 350 of the smallest frames; a larger one counts for several.
pub(crate) const READS_PER_TURN: u8 = 16;
const READ: usize = 2 * 1024;

/// A stream that makes its reader wait now and then, so that other tasks get their turn although
/// the peer sends faster than one can read. smol itself has no such budget.
///
/// Writing needs none: it ends with a buffer that has a bound. What is written is counted.
pub(crate) struct Paced<S> {
    stream: S,
    ahead: ReadAhead,
    reads: u8,
    written: Arc<AtomicU64>,
    /// Whether it adds to the count, which is the one of a stream below otherwise.
    counts: bool,
}

impl<S> Paced<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            ahead: ReadAhead::default(),
            reads: 0,
            written: Arc::default(),
            counts: true,
        }
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    /// How many bytes the stream has taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl<S> Paced<MaybeTls<S>> {
    /// Counts below TLS, if there is TLS: what TLS has taken may still be in its buffer.
    pub(crate) fn below_tls(stream: MaybeTls<S>) -> Self {
        match stream.below_tls().map(|below| Arc::clone(&below.written)) {
            Some(written) => Self { written, counts: false, ..Self::new(stream) },
            None => Self::new(stream),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let reads = std::mem::take(&mut self.reads);
        if reads >= READS_PER_TURN {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Self { stream, ahead, .. } = &mut *self;
        let read = ready!(ahead.poll_read(bytes, |bytes| Pin::new(stream).poll_read(cx, bytes)));
        let size = read.as_ref().map_or(0, |&count| count.div_ceil(READ));
        self.reads = reads.saturating_add(u8::try_from(size.max(1)).unwrap_or(u8::MAX));
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
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

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
