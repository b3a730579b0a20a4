//! A parameter stream before its call: the sender is here, the call may not be open yet.

use std::fmt;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use serde::Serialize;
use wirestream_protocol::{Fault, Outbound};

use crate::error::{NoError, SendError};
use crate::link::Link;
use crate::report;
use crate::sender::Sender;
use crate::transport::Runtime;
use crate::waiters::{Waiter, Waiters};

/// A sender, and the parameter to call a method with: what is sent goes to that method.
///
/// Sending waits until the call is open, for ever if the parameter is kept and no call is made. A
/// parameter that is dropped without a call, or whose call cannot be opened, stops its sender.
///
/// ```
/// let (input, messages) = wirestream::channel::<String>();
/// # let _: (wirestream::Sender<String>, wirestream::Parameter<String>) = (input, messages);
/// ```
pub fn channel<T>() -> (Sender<T>, Parameter<T>) {
    channel_with_error()
}

/// As [`channel`], for a stream that may end with an error of type `E`: with
/// [`Sender::fail`](crate::Sender::fail) the method gets that error, behind everything that was sent
/// before.
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Unreadable {
///     line: u32,
/// }
///
/// # async fn upload(client: wirestream::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let (input, lines) = wirestream::channel_with_error::<String, Unreadable>();
/// let imported = client.call("Import.lines").parameter(lines).unary::<u32>();
/// input.send("first".to_string()).await?;
/// // The method's `Receiver<String, Unreadable>` yields "first", then `StreamError::App`.
/// input.fail(Unreadable { line: 2 });
/// println!("{} lines were imported", imported.await?);
/// # Ok(())
/// # }
/// ```
pub fn channel_with_error<T, E>() -> (Sender<T, E>, Parameter<T, E>) {
    let socket = Arc::new(Socket::default());
    (Sender::waiting(Arc::clone(&socket)), Parameter { plug: Plug(socket), of: PhantomData })
}

/// The end of a [`channel`] that a call takes.
pub struct Parameter<T, E = NoError> {
    plug: Plug,
    of: PhantomData<fn() -> (T, E)>,
}

impl<T, E> fmt::Debug for Parameter<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parameter(..)")
    }
}

/// What a call takes for a parameter stream: a [`Parameter`] from a [`channel`], or any `Stream` of
/// items, which a task forwards for as long as the method wants more.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stream to call a method with",
    label = "needs a `Parameter` of a `channel`, or a `Stream`",
    note = "a `Stream` of what serde writes, `Send` and `'static`: of a list, `futures_util::stream::iter(list)`"
)]
pub trait IntoParameter {
    /// What the stream carries.
    type Item;

    #[doc(hidden)]
    fn into_plug(self, runtime: &Arc<dyn Runtime>) -> Plug;
}

impl<T, E> IntoParameter for Parameter<T, E> {
    type Item = T;

    fn into_plug(self, _: &Arc<dyn Runtime>) -> Plug {
        self.plug
    }
}

#[diagnostic::do_not_recommend]
impl<S> IntoParameter for S
where
    S: Stream + Send + 'static,
    S::Item: Serialize + Send + 'static,
{
    type Item = S::Item;

    fn into_plug(self, runtime: &Arc<dyn Runtime>) -> Plug {
        let (sender, parameter) = channel::<S::Item>();
        let forward = AssertUnwindSafe(forward(self, sender)).catch_unwind();
        // A panic dropped the sender unfinished, so that the method sees the stream failed.
        let forward = forward.map(|done| done.unwrap_or_else(report::parameter_panicked));
        runtime.spawn(Box::pin(forward));
        parameter.plug
    }
}

/// A parameter stream that fails, if at all, with an error of type `E`: a [`Parameter`] of that
/// error, or any `Stream`, which never fails.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a stream that fails with `{E}`")]
pub trait FailsWith<E> {}

impl<T, E> FailsWith<E> for Parameter<T, E> {}

#[diagnostic::do_not_recommend]
impl<S, E> FailsWith<E> for S
where
    S: Stream + Send + 'static,
    S::Item: Serialize + Send + 'static,
{
}

/// Sends the items of a stream until it ends or nobody wants more.
async fn forward<T: Serialize, E>(stream: impl Stream<Item = T>, sender: Sender<T, E>) {
    let is_done = {
        let (sent, closed) = (pin!(sender.send_all(stream)), pin!(sender.closed()));
        matches!(select(sent, closed).await, Either::Left((Ok(()), _)))
    };
    if is_done {
        sender.finish();
    }
}

/// Where a sender waits for the half that it is to send on.
#[derive(Debug, Default)]
pub(crate) struct Socket(Mutex<State>);

#[derive(Debug)]
enum State {
    Waiting {
        senders: Waiters,
        /// The sender is gone already; this is how its stream ends.
        end: Option<Result<(), Fault>>,
    },
    Open(Arc<Link>, Outbound),
    Gone(SendError),
}

impl Default for State {
    fn default() -> Self {
        Self::Waiting { senders: Waiters::default(), end: None }
    }
}

/// What a sender finds in its socket.
pub(crate) type Found = Result<(Arc<Link>, Outbound), SendError>;

impl Socket {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn poll(&self, waiter: &mut Waiter, cx: &Context<'_>) -> Poll<Found> {
        let mut state = self.state();
        match &mut *state {
            State::Open(link, half) => Poll::Ready(Ok((Arc::clone(link), *half))),
            State::Gone(error) => Poll::Ready(Err(error.clone())),
            State::Waiting { senders, .. } => {
                let replaced = senders.add(waiter, cx);
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    /// What there is now, if anything.
    pub(crate) fn look(&self) -> Option<Found> {
        match &*self.state() {
            State::Open(link, half) => Some(Ok((Arc::clone(link), *half))),
            State::Gone(error) => Some(Err(error.clone())),
            State::Waiting { .. } => None,
        }
    }

    /// The sender ends its stream: now, or as soon as there is a half.
    pub(crate) fn finish(&self, end: Result<(), Fault>) {
        let mut state = self.state();
        match &mut *state {
            // The first end counts.
            State::Waiting { end: recorded, .. } => drop(recorded.get_or_insert(end)),
            State::Gone(_) => {}
            State::Open(link, half) => {
                let (link, half) = (Arc::clone(link), *half);
                drop(state);
                link.with(|core| core.connection.finish(half, end)).ok();
            }
        }
    }
}

/// The other side of a [`Socket`]. Dropped unused, it tells the sender that nobody takes its
/// stream.
#[doc(hidden)]
#[derive(Debug)]
pub struct Plug(Arc<Socket>);

impl Plug {
    /// The call is open: the sender may send.
    pub(crate) fn open(&self, link: &Arc<Link>, half: Outbound) {
        let Some(end) = self.replace(State::Open(Arc::clone(link), half)) else { return };
        if let Some(end) = end {
            link.with(|core| core.connection.finish(half, end)).ok();
        }
    }

    /// There will be no call.
    pub(crate) fn fail(&self, error: SendError) {
        self.replace(State::Gone(error));
    }

    /// Replaces the state if it waits, wakes the sender, and returns the end that it recorded.
    fn replace(&self, next: State) -> Option<Option<Result<(), Fault>>> {
        let mut state = self.0.state();
        let State::Waiting { senders, end } = &mut *state else { return None };
        let (wakers, end) = (senders.take().collect::<Vec<_>>(), end.take());
        *state = next;
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Some(end)
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.fail(SendError::Stopped);
    }
}
