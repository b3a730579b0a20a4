//! Many messages, sent together: encoded one by one outside of the lock, and taken as a batch.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{FutureExt, StreamExt};
use serde::Serialize;
use wirestream_protocol::{Batch, Outbound, SendError as CoreSendError};

use super::Sender;
use crate::codec::{CodecError, append, with_buffer};
use crate::error::{NoError, SendError};
use crate::link::Link;
use crate::waiters::Waiter;

impl<T: Serialize, E> Sender<T, E> {
    /// Sends what a stream yields, until it ends: as with [`send`](Self::send) for each, at a part
    /// of the cost where many are ready at a time. None waits for others, or for anything but room,
    /// unless the connection is being written to already.
    ///
    /// Dropped before it resolves, what `messages` has yielded was sent as far as there was room.
    ///
    /// ```
    /// # use wirestream::{SendError, Sender};
    /// # async fn count(numbers: Sender<u64>) -> Result<(), SendError> {
    /// numbers.send_all(futures_util::stream::iter(1..=1_000)).await?;
    /// numbers.finish();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SendError`] of the first message that cannot be sent; those before it were.
    pub async fn send_all(&self, messages: impl Stream<Item = T>) -> Result<(), SendError> {
        let Ok(()) = self.send_results(messages.map(Ok::<T, NoError>)).await?;
        Ok(())
    }

    /// As [`send_all`](Self::send_all), until there is an error, which it resolves with.
    pub(crate) async fn send_results<R>(
        &self,
        results: impl Stream<Item = Result<T, R>>,
    ) -> Result<Result<(), R>, SendError> {
        let mut waiter = Waiter::default();
        let (link, half) = poll_fn(|cx| self.poll_target(&mut waiter, cx)).await?;
        let mut feed = Feed { link, half: *half, batch: Batch::new(*half) };
        let mut results = pin!(results);
        loop {
            let fill = AssertUnwindSafe(poll_fn(|cx| feed.poll_fill(results.as_mut(), cx)));
            let step = fill.catch_unwind().await.unwrap_or_else(Step::Panicked);
            poll_fn(|cx| feed.poll_flush(&mut waiter, cx)).await?;
            match step {
                Step::Flush(None) => {}
                Step::Flush(Some(message)) => self.send_encoded(&message).await?,
                Step::End => return Ok(Ok(())),
                Step::Failed(error) => return Ok(Err(error)),
                Step::Unsendable(error) => return Err(error),
                Step::Panicked(panic) => resume_unwind(panic),
            }
        }
    }
}

/// Why a feed stopped to take messages from its stream.
enum Step<R> {
    /// There is no room for its batch at this time, and then for this message.
    Flush(Option<Bytes>),
    End,
    Failed(R),
    Unsendable(SendError),
    /// The stream did; what it had yielded before is sent all the same.
    Panicked(Box<dyn Any + Send>),
}

/// What was taken from a stream and not sent. Dropped, it is sent as far as there is room.
struct Feed<'a> {
    link: &'a Arc<Link>,
    half: Outbound,
    batch: Batch,
}

impl Feed<'_> {
    /// Takes messages until one has to wait. Pending with nothing unsent. The buffer that they are
    /// encoded into is the thread's, as long as none has to wait.
    fn poll_fill<T: Serialize, R>(
        &mut self,
        results: Pin<&mut impl Stream<Item = Result<T, R>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Step<R>> {
        with_buffer(|buffer| {
            self.batch.swap_buffer(buffer);
            let filled = self.poll_take(results, cx);
            self.batch.swap_buffer(buffer);
            filled
        })
    }

    fn poll_take<T: Serialize, R>(
        &mut self,
        mut results: Pin<&mut impl Stream<Item = Result<T, R>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Step<R>> {
        Poll::Ready(loop {
            match results.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => match self.take(&message) {
                    Ok(Ok(())) => {}
                    Ok(Err(unsent)) => break Step::Flush(unsent),
                    Err(error) => break Step::Unsendable(SendError::Encode(error)),
                },
                Poll::Ready(Some(Err(error))) => break Step::Failed(error),
                Poll::Ready(None) => break Step::End,
                Poll::Pending if self.flush() => return Poll::Pending,
                Poll::Pending => break Step::Flush(None),
            }
        })
    }

    /// Takes a message, which leaves at once unless the driver is awake: it writes all the same.
    /// Within, an error if something has to wait for room, with the message if it was not taken.
    #[inline]
    fn take<T: Serialize>(&mut self, message: &T) -> Result<Result<(), Option<Bytes>>, CodecError> {
        let fits = self.batch.push_with(|buffer| append(message, buffer))?;
        if fits || self.flush() && self.batch.fit() {
            let goes_on = !self.link.is_driver_asleep() || self.flush();
            return Ok(if goes_on { Ok(()) } else { Err(None) });
        }
        let message = self.batch.take_unfit();
        if !self.batch.is_empty() {
            return Ok(Err(Some(message)));
        }
        let sent = self.link.send_with(|core| core.connection.send(self.half, message.clone()));
        Ok(sent.map_err(|_| Some(message)))
    }

    /// Whether all was taken.
    fn flush(&mut self) -> bool {
        self.batch.is_empty()
            || self.link.send_with(|core| core.connection.send_batch(&mut self.batch).is_ok())
    }

    fn poll_flush(&mut self, waiter: &mut Waiter, cx: &Context<'_>) -> Poll<Result<(), SendError>> {
        if self.batch.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut _replaced = None;
        self.link.send_with(|core| match core.connection.send_batch(&mut self.batch) {
            Err(CoreSendError::Blocked) => {
                _replaced = core.wait_writable(self.half, waiter, cx);
                Poll::Pending
            }
            sent => Poll::Ready(
                sent.map_err(|error| SendError::from_core(error).unwrap_or(SendError::Stopped)),
            ),
        })
    }
}

impl Drop for Feed<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
