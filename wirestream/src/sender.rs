mod all;

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_sink::Sink;
use serde::Serialize;
use wirestream_protocol::{Fault, Outbound, Payload, SendError as CoreSendError};

use crate::channel::Socket;
use crate::codec::{KEPT, encode, encoded, fault, owned};
use crate::error::{NoError, SendError, TrySendError};
use crate::link::{Core, Link};
use crate::waiters::Waiter;

/// Sends a stream of `T`, which may end with an error of type `E`.
///
/// Dropped before [`finish`](Self::finish) or [`fail`](Self::fail), the receiver sees the stream
/// cancelled, or failed if a panic dropped it: a stream that just stops never looks finished.
///
/// Several tasks may send at a time through a shared reference; each message is sent whole.
pub struct Sender<T, E = NoError> {
    target: OnceLock<(Arc<Link>, Outbound)>,
    socket: Option<Arc<Socket>>,
    ended: bool,
    of: PhantomData<fn(T, E)>,
}

impl<T, E> Sender<T, E> {
    /// A sender whose call is not open yet.
    pub(crate) fn waiting(socket: Arc<Socket>) -> Self {
        Self { target: OnceLock::new(), socket: Some(socket), ended: false, of: PhantomData }
    }

    /// A sender on a half.
    pub(crate) fn open(link: Arc<Link>, half: Outbound) -> Self {
        Self { target: OnceLock::from((link, half)), socket: None, ended: false, of: PhantomData }
    }

    /// Ends the stream in order: the receiver gets every message that was sent, then the end.
    pub fn finish(mut self) {
        self.end(Ok(()));
    }

    /// Ends the stream with an error: the receiver gets every message that was sent, then
    /// `StreamError::App` with this error. One that does not encode, or is larger than 4 KiB, arrives
    /// as `StreamError::Failed`.
    pub fn fail(mut self, error: E)
    where
        E: Serialize,
    {
        self.end(Err(fault(&error).unwrap_or(Fault::Failed)));
    }

    /// Ends the stream with a failure of which no detail is told.
    pub fn fail_untyped(mut self) {
        self.end(Err(Fault::Failed));
    }

    /// Ends the stream for all who share it; what they send from now on is stopped.
    pub(crate) fn end_shared(&self, end: Result<(), Fault>) {
        match (self.target.get(), &self.socket) {
            (Some((link, half)), _) => {
                // An end after the end, or on a stream that is over, changes nothing.
                let _ = link.with(|core| core.connection.finish(*half, end));
            }
            (None, Some(socket)) => socket.finish(end),
            (None, None) => {}
        }
    }

    pub(crate) fn end_with(mut self, end: Result<(), Fault>) {
        self.end(end);
    }

    /// Its end was sent otherwise.
    fn forget(mut self) {
        self.ended = true;
    }

    fn end(&mut self, end: Result<(), Fault>) {
        self.ended = true;
        self.end_shared(end);
    }

    /// Resolves when the receiver wants no more: it was dropped, the call is over, or there will
    /// be none. Cancel-safe.
    pub async fn closed(&self) {
        let mut waiter = Waiter::default();
        poll_fn(|cx| {
            let target = ready!(self.poll_target(&mut waiter, cx));
            let Ok((link, half)) = target else { return Poll::Ready(()) };
            let mut core = link.lock();
            if !core.connection.is_sendable(*half) {
                return Poll::Ready(());
            }
            let replaced = core.wait_writable(*half, &mut waiter, cx);
            drop(core);
            drop(replaced);
            Poll::Pending
        })
        .await;
    }

    #[inline]
    fn poll_target(
        &self,
        waiter: &mut Waiter,
        cx: &Context<'_>,
    ) -> Poll<Result<&(Arc<Link>, Outbound), SendError>> {
        if let Some(target) = self.target.get() {
            return Poll::Ready(Ok(target));
        }
        let Some(socket) = &self.socket else { return Poll::Ready(Err(SendError::Stopped)) };
        let target = ready!(socket.poll(waiter, cx))?;
        Poll::Ready(Ok(self.target.get_or_init(|| target)))
    }

    /// Sends an encoded message, or registers for the time when that is worth another try.
    fn poll_send(
        &self,
        waiter: &mut Waiter,
        cx: &Context<'_>,
        message: &Bytes,
    ) -> Poll<Result<(), SendError>> {
        let (link, half) = ready!(self.poll_target(waiter, cx))?;
        let mut _replaced = None;
        link.send_with(|core| match core.connection.send(*half, message.clone()) {
            Err(CoreSendError::Blocked) => {
                _replaced = core.wait_writable(*half, waiter, cx);
                Poll::Pending
            }
            sent => Poll::Ready(
                sent.map_err(|error| SendError::from_core(error).unwrap_or(SendError::Stopped)),
            ),
        })
    }
}

impl<T: Serialize, E> Sender<T, E> {
    /// Sends a message: resolves once it is taken, within the receiver's credit and this side's
    /// outgoing buffer. What was taken is delivered in order, unless the receiver stops, the call
    /// ends or the connection is lost.
    ///
    /// Cancel-safe: dropped before it resolves, the message was not sent.
    ///
    /// # Errors
    /// [`SendError`]; the stream goes on after `TooLarge` and `Encode`.
    pub async fn send(&self, message: T) -> Result<(), SendError> {
        let Some(kept) = self.feed(&message)? else { return Ok(()) };
        drop(message);
        // Boxed, as it is rare, and the future of the common case is small without it.
        Box::pin(self.send_encoded(&kept)).await
    }

    /// Sends a message if that is possible at once; its bytes otherwise. The common case encodes
    /// into a buffer of the thread's and needs no memory of its own.
    #[inline]
    fn feed(&self, message: &T) -> Result<Option<Bytes>, SendError> {
        let send = |message: &mut Vec<u8>| match self.target.get() {
            Some((link, half)) => send_now(link, *half, message),
            None => Some(owned(message)),
        };
        encoded(message, send).map_err(SendError::Encode)
    }

    async fn send_encoded(&self, message: &Bytes) -> Result<(), SendError> {
        let mut waiter = Waiter::default();
        poll_fn(|cx| self.poll_send(&mut waiter, cx, message)).await
    }

    /// Sends the one message of a reply and its end, together, if that is possible at once. A
    /// message that takes no bytes is not sent: the end says it all (R-CALL-8).
    ///
    /// # Errors
    /// One that cannot be sent, which fails the reply, or cannot yet. A receiver that wants no more
    /// is none.
    pub(crate) fn send_last(self, message: &T) -> Result<(), Unsent<T, E>> {
        let at_once = |bytes: &mut Vec<u8>| match self.target.get() {
            Some((link, half)) if bytes.len() <= KEPT => link
                .with(|core| send_and_finish(core, *half, &bytes[..]))
                .ok_or_else(|| owned(bytes)),
            _ => Err(owned(bytes)),
        };
        match encoded(message, at_once) {
            Ok(Ok(sent)) => {
                self.forget();
                sent.map_err(Unsent::For)
            }
            Ok(Err(message)) => Err(Unsent::Yet(self, message)),
            Err(error) => {
                self.end_with(Err(Fault::Failed));
                Err(Unsent::For(SendError::Encode(error)))
            }
        }
    }

    /// Sends what [`send_last`](Self::send_last) could not yet.
    pub(crate) async fn send_last_encoded(self, message: Bytes) -> Result<(), SendError> {
        let mut waiter = Waiter::default();
        let sent = poll_fn(|cx| {
            let target = ready!(self.poll_target(&mut waiter, cx));
            let Ok((link, half)) = target else { return Poll::Ready(Ok(())) };
            let mut _replaced = None;
            link.with(|core| match send_and_finish(core, *half, message.clone()) {
                Some(sent) => Poll::Ready(sent),
                None => {
                    _replaced = core.wait_writable(*half, &mut waiter, cx);
                    Poll::Pending
                }
            })
        })
        .await;
        self.forget();
        sent
    }

    /// Sends a message if that is possible at once.
    ///
    /// # Errors
    /// [`TrySendError::Full`] hands the message back; [`TrySendError::Closed`] says why it will
    /// not be sent.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let sent = encoded(&message, |bytes| {
            let (link, half) = match self.target.get() {
                Some(target) => target,
                None => match self.socket.as_ref().and_then(|socket| socket.look()) {
                    None => return Ok(false),
                    Some(found) => self.target.get_or_init({
                        let found = found?;
                        || found
                    }),
                },
            };
            match link.send_with(|core| core.connection.send(*half, &bytes[..])) {
                Ok(()) => Ok(true),
                Err(error) => SendError::from_core(error).map_or(Ok(false), Err),
            }
        });
        match sent {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(TrySendError::Full(message)),
            Ok(Err(error)) => Err(TrySendError::Closed(error)),
            Err(error) => Err(TrySendError::Closed(SendError::Encode(error))),
        }
    }

    /// This sender as a `Sink`. Closing the sink finishes the stream.
    pub fn into_sink(self) -> SenderSink<T, E> {
        SenderSink { sender: Some(self), message: None, waiter: Waiter::default() }
    }
}

/// The last message of a half was not sent.
pub(crate) enum Unsent<T, E> {
    /// It cannot be.
    For(SendError),
    /// There is no room at this time.
    Yet(Sender<T, E>, Bytes),
}

/// Sends the last message of a half and its end. `None` if there is no room at this time.
fn send_and_finish<'a>(
    core: &mut Core,
    half: Outbound,
    message: impl Into<Payload<'a>>,
) -> Option<Result<(), SendError>> {
    let message = message.into();
    let sent = match message.as_slice().is_empty() {
        true => Ok(()),
        false => core.connection.send(half, message),
    };
    if sent == Err(CoreSendError::Blocked) {
        return None;
    }
    // Late if the caller gave the call up.
    let _ = core.connection.finish(half, if sent.is_ok() { Ok(()) } else { Err(Fault::Failed) });
    Some(match sent {
        Err(CoreSendError::TooLarge { size, limit }) => Err(SendError::TooLarge { size, limit }),
        _ => Ok(()),
    })
}

/// Sends an encoded message, if that is possible at once; gives it back otherwise. What else there
/// is to say of it, an error say, comes of another try: it would take long to carry about.
#[inline]
fn send_now(link: &Link, half: Outbound, message: &mut Vec<u8>) -> Option<Bytes> {
    if message.len() > KEPT {
        let message = owned(message);
        let is_sent = link.send_with(|core| core.connection.send(half, message.clone()).is_ok());
        return if is_sent { None } else { Some(message) };
    }
    let is_sent = link.send_with(|core| core.connection.send(half, &message[..]).is_ok());
    if is_sent { None } else { Some(owned(message)) }
}

impl<T, E> Drop for Sender<T, E> {
    fn drop(&mut self) {
        if !self.ended {
            let panicking = std::thread::panicking();
            self.end(Err(if panicking { Fault::Failed } else { Fault::Cancelled }));
        }
    }
}

impl<T, E> fmt::Debug for Sender<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender(..)")
    }
}

/// A [`Sender`] as a `Sink`: it holds the one message that a sink must take before it knows
/// whether there is room.
///
/// A message is taken only when the sink is ready, as a `Sink` wants it: one that is given while
/// another is held is refused with [`SendError::NotReady`], and the other is sent all the same.
/// Closed, it takes no more. Dropped before it is closed, the stream is cancelled as with
/// [`Sender`], and the message that is held is not sent.
///
/// Its polls are cancel-safe: a message that the sink took stays in it until it is sent. The future
/// of `SinkExt::send` is not: dropped, it does not tell whether the sink took its message.
pub struct SenderSink<T, E = NoError> {
    sender: Option<Sender<T, E>>,
    /// Taken, and not yet sent.
    message: Option<Bytes>,
    waiter: Waiter,
}

impl<T, E> fmt::Debug for SenderSink<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SenderSink(..)")
    }
}

impl<T: Serialize, E> Sink<T> for SenderSink<T, E> {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_flush(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: T) -> Result<(), SendError> {
        if self.sender.is_none() {
            return Err(SendError::Stopped);
        }
        if self.message.is_some() {
            return Err(SendError::NotReady);
        }
        self.message = Some(encode(&message).map_err(SendError::Encode)?);
        Ok(())
    }

    /// Ready once every message is taken, as after [`Sender::send`].
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let this = &mut *self;
        let Some(sender) = &this.sender else { return Poll::Ready(Err(SendError::Stopped)) };
        if let Some(message) = &this.message {
            let sent = ready!(sender.poll_send(&mut this.waiter, cx, message));
            this.message = None;
            sent?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.sender.is_some() {
            ready!(self.as_mut().poll_flush(cx))?;
        }
        if let Some(sender) = self.sender.take() {
            sender.finish();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T, E> Unpin for SenderSink<T, E> {}
