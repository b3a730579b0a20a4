use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_core::{FusedStream, Stream};
use serde::de::DeserializeOwned;
use wirestream_protocol::{End, Inbound, Run, Taken};

use crate::codec::{CodecError, DecodeLimits, decode};
use crate::error::{NoError, StreamError};
use crate::link::Link;
use crate::waiters::Waiter;

/// Receives a stream of `T`, which may end with an error of type `E`.
///
/// A `Stream` of `Result<T, StreamError<E>>`: every message that was sent, in order, then nothing
/// if the stream was finished, or one error if it ended otherwise. Dropping it stops the stream;
/// dropping the reply of a call gives up the call.
///
/// Its `next()` is cancel-safe: dropped before it resolves, it has taken nothing.
///
/// Credit goes back to the sender as messages are taken, so a receiver that is not read holds at
/// most one window ([`Limits::half_window`](crate::Limits::half_window)).
#[must_use = "dropping it stops the stream, and gives up the call if it is a reply"]
pub struct Receiver<T, E = NoError> {
    half: Half,
    run: Run,
    limits: DecodeLimits,
    waiter: Waiter,
    of: PhantomData<fn() -> (T, E)>,
}

enum Half {
    /// The call is not open yet.
    Waiting(Arc<ReplySocket>),
    Open {
        link: Arc<Link>,
        half: Inbound,
        /// Whether this is the reply of a call made here, which ends with it.
        is_reply: bool,
    },
    Ended,
}

impl<T, E> Receiver<T, E> {
    pub(crate) fn waiting(socket: Arc<ReplySocket>) -> Self {
        Self::new(Half::Waiting(socket), DecodeLimits::default())
    }

    pub(crate) fn parameter(link: Arc<Link>, half: Inbound) -> Self {
        let limits = link.decode_limits();
        Self::new(Half::Open { link, half, is_reply: false }, limits)
    }

    fn new(half: Half, limits: DecodeLimits) -> Self {
        Self { half, run: Run::new(), limits, waiter: Waiter::default(), of: PhantomData }
    }

    /// The next message as it was encoded, or the end.
    fn poll_end_or<R>(
        &mut self,
        cx: &mut Context<'_>,
        message: impl FnOnce(&[u8], DecodeLimits) -> R,
    ) -> Poll<Result<R, Ended>> {
        loop {
            if let Some(bytes) = self.run.next_message() {
                return Poll::Ready(Ok(message(bytes, self.limits)));
            }
            let end = match &self.half {
                Half::Ended => return Poll::Ready(Err(Ended::Before)),
                Half::Waiting(socket) => match ready!(socket.poll(cx)) {
                    Ok((link, half)) => {
                        self.limits = link.decode_limits();
                        self.half = Half::Open { link, half, is_reply: true };
                        continue;
                    }
                    Err(failure) => Ended::Failure(failure),
                },
                Half::Open { link, half, .. } => {
                    let mut _replaced = None;
                    let taken = link.transmit_with(|core| {
                        let taken = core.connection.recv_run(*half, &mut self.run);
                        if taken == Taken::Nothing {
                            _replaced = core.wait_readable(*half, &mut self.waiter, cx);
                        }
                        taken
                    });
                    match taken {
                        Taken::Messages => continue,
                        Taken::Nothing => return Poll::Pending,
                        Taken::End(end) => Ended::Now(end),
                    }
                }
            };
            self.close();
            return Poll::Ready(Err(end));
        }
    }

    /// Wants no more; the call's slot is freed if this was its reply.
    fn close(&mut self) {
        match std::mem::replace(&mut self.half, Half::Ended) {
            Half::Ended => {}
            Half::Waiting(socket) => socket.abandon(),
            Half::Open { link, half, is_reply } => link.with(|core| match is_reply {
                true => core.connection.release(half.call()),
                false => core.connection.stop(half),
            }),
        }
    }
}

/// How a receiver found its stream ended.
enum Ended {
    Before,
    Now(End),
    Failure(StreamError<NoError>),
}

impl Ended {
    fn into_error<E: DeserializeOwned>(self, limits: DecodeLimits) -> Option<StreamError<E>> {
        match self {
            Self::Before => None,
            Self::Now(end) => StreamError::from_end(end, |payload| decode(payload, limits)),
            Self::Failure(failure) => Some(failure.map_app(|none| match none {})),
        }
    }
}

impl<T: DeserializeOwned, E: DeserializeOwned> Stream for Receiver<T, E> {
    type Item = Result<T, StreamError<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = match ready!(self.poll_end_or(cx, decode::<T>)) {
            Ok(Ok(message)) => Some(Ok(message)),
            Ok(Err(error)) => {
                // Later messages can be no better: this half ends here, and this half alone.
                self.close();
                self.run = Run::new();
                Some(Err(StreamError::Decode(error)))
            }
            Err(end) => end.into_error(self.limits).map(Err),
        };
        Poll::Ready(item)
    }
}

impl<T: DeserializeOwned, E: DeserializeOwned> FusedStream for Receiver<T, E> {
    fn is_terminated(&self) -> bool {
        matches!(self.half, Half::Ended)
    }
}

impl<T, E> Unpin for Receiver<T, E> {}

impl<T, E> Drop for Receiver<T, E> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T, E> fmt::Debug for Receiver<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver(..)")
    }
}

/// The reply of a method that returns one value: a future of it. Dropping it gives up the call.
///
/// Cancel-safe by reference: awaiting `&mut` of it, in a `select!` say, may be dropped and begun
/// again.
#[must_use = "dropping it gives up the call"]
pub struct Unary<T, E = NoError> {
    reply: Receiver<T, E>,
    value: Option<T>,
}

impl<T, E> Unary<T, E> {
    pub(crate) fn new(reply: Receiver<T, E>) -> Self {
        Self { reply, value: None }
    }
}

impl<T: DeserializeOwned, E: DeserializeOwned> Future for Unary<T, E> {
    type Output = Result<T, StreamError<E>>;

    /// Resolves when the value and the end of the reply are there (R-CALL-8).
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match ready!(Pin::new(&mut this.reply).poll_next(cx)) {
                Some(Ok(value)) if this.value.is_none() => this.value = Some(value),
                Some(Ok(_)) => {
                    this.reply.close();
                    let error = CodecError::new("a second value in a reply of one");
                    return Poll::Ready(Err(StreamError::Decode(error)));
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                // A value that takes no bytes is not sent.
                None => {
                    let value = this.value.take();
                    let nothing = || decode(&[], DecodeLimits::default());
                    let value = value.map_or_else(|| nothing().map_err(StreamError::Decode), Ok);
                    return Poll::Ready(value);
                }
            }
        }
    }
}

impl<T, E> Unpin for Unary<T, E> {}

impl<T, E> fmt::Debug for Unary<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unary(..)")
    }
}

/// What a receiver finds in its socket.
type Found = Result<(Arc<Link>, Inbound), StreamError<NoError>>;

/// Where a reply waits for its call to be open.
#[derive(Debug, Default)]
pub(crate) struct ReplySocket {
    reply: Mutex<Reply>,
    /// Who makes the call, and is to know when nobody wants it any more.
    caller: Mutex<Option<Waker>>,
}

#[derive(Debug, Default)]
enum Reply {
    #[default]
    Untouched,
    Waiting(Waker),
    Open(Arc<Link>, Inbound),
    Failed(StreamError<NoError>),
    /// Nobody wants it.
    Abandoned,
}

impl ReplySocket {
    fn state(&self) -> MutexGuard<'_, Reply> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn caller(&self) -> MutexGuard<'_, Option<Waker>> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Found> {
        let mut state = self.state();
        match &mut *state {
            Reply::Open(link, half) => Poll::Ready(Ok((Arc::clone(link), *half))),
            Reply::Failed(failure) => Poll::Ready(Err(failure.clone())),
            Reply::Waiting(waker) => {
                waker.clone_from(cx.waker());
                Poll::Pending
            }
            Reply::Untouched | Reply::Abandoned => {
                *state = Reply::Waiting(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(*self.state(), Reply::Abandoned)
    }

    /// Ready once it is abandoned.
    pub(crate) fn poll_abandoned(&self, cx: &Context<'_>) -> Poll<()> {
        *self.caller() = Some(cx.waker().clone());
        if self.is_abandoned() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn abandon(&self) {
        let state = std::mem::replace(&mut *self.state(), Reply::Abandoned);
        if let Some(caller) = self.caller().take() {
            caller.wake();
        }
        if let Reply::Open(link, half) = state {
            link.with(|core| core.connection.release(half.call()));
        }
    }

    /// The call is open; given up at once if nobody wants it any more.
    pub(crate) fn open(&self, link: &Arc<Link>, half: Inbound) {
        if !self.resolve(Reply::Open(Arc::clone(link), half)) {
            link.with(|core| core.connection.release(half.call()));
        }
    }

    pub(crate) fn fail(&self, failure: StreamError<NoError>) {
        self.resolve(Reply::Failed(failure));
    }

    fn resolve(&self, reply: Reply) -> bool {
        let mut state = self.state();
        if matches!(*state, Reply::Abandoned) {
            return false;
        }
        let before = std::mem::replace(&mut *state, reply);
        drop(state);
        if let Reply::Waiting(waker) = before {
            waker.wake();
        }
        true
    }
}
