//! The caller's side: one call at a time, made again after a loss, and a listener that outlives it.

mod task;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_channel::mpsc;
use futures_core::Stream;

use super::{METHOD, StreamingError};
use crate::channel::{Parameter, channel};
use crate::client::status::{Listeners, StatusChanges};
use crate::client::{Client, RetryPolicy};
use crate::error::{SendError, StreamError};
use crate::sender::Sender;
use crate::value::Value;
use crate::waiters::Waiters;
use task::Task;

/// Messages that wait for the listener, beside those in the call's own window.
const WAITING: usize = 16;

impl Client {
    /// A stream to a [streaming endpoint](crate::streaming), not opened yet, and what comes back
    /// over it. After a loss it is opened again for as long as it takes, at most ten seconds
    /// between two attempts.
    ///
    /// For a new program, methods with streams are the better way; see there.
    pub fn streaming(
        &self,
        endpoint: impl fmt::Display,
    ) -> (StreamingConnection, StreamingMessages) {
        self.streaming_with(endpoint, RetryPolicy { attempts: u32::MAX, ..RetryPolicy::default() })
    }

    /// As [`streaming`](Self::streaming), with a policy of one's own: how often in a row it is tried
    /// to open the stream again, and the pauses, which have full jitter.
    pub fn streaming_with(
        &self,
        endpoint: impl fmt::Display,
        retry: RetryPolicy,
    ) -> (StreamingConnection, StreamingMessages) {
        let (messages, queue) = mpsc::channel(WAITING);
        let state = Mutex::new(State {
            wanted: false,
            gone: false,
            input: None,
            next: None,
            messages: Some(messages),
            status: Listeners::new(StreamingStatus::Closed(None)),
            waiting: Waiters::default(),
        });
        let method = format!("{endpoint}.{METHOD}");
        let shared = Arc::new(Shared { client: self.clone(), method, retry, state });
        (StreamingConnection(Arc::new(Handle(shared))), StreamingMessages { queue })
    }
}

/// What a [`StreamingConnection`] is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamingStatus {
    /// It is not open, and will not be before [`open`](StreamingConnection::open); the reason, if it
    /// ended other than in order.
    Closed(Option<StreamError>),
    /// It is being opened.
    Opening,
    /// The endpoint has opened it.
    Open,
    /// It was lost, or could not be opened, and will be opened again after so long.
    Waiting(Duration),
}

/// The caller's side of a streaming endpoint: opened, closed and opened again as the app likes, and
/// by itself after a loss. The connection below it is the client's, shared with all other calls.
///
/// Clones are the same. When the last is dropped, the stream is given up, and the
/// [`StreamingMessages`] end.
#[derive(Clone)]
pub struct StreamingConnection(Arc<Handle>);

impl StreamingConnection {
    /// Opens the stream; returns at once. Does nothing if it is open or on the way.
    ///
    /// A stream that is lost, or cannot be opened for now, is opened again, by the policy that it
    /// was made with. It stays closed where that could not help: the endpoint refused it, a right
    /// was revoked, or [`Client::disconnect`] ended it.
    pub fn open(&self) {
        self.shared().open();
    }

    /// Closes the stream in order; returns at once. What was sent before is handled, and what the
    /// endpoint sends until then still comes to the listener, which stays for the next
    /// [`open`](Self::open). The status tells when it is [`Closed`](StreamingStatus::Closed).
    pub fn close(&self) {
        self.shared().close();
    }

    /// Sends a message: resolves once it is taken, within what the endpoint has room for. Waits
    /// while the stream is being opened. What was taken is handled in order, unless the listener is
    /// told [`Interrupted`](StreamingError::Interrupted).
    ///
    /// Cancel-safe: dropped before it resolves, the message was not sent.
    ///
    /// # Errors
    /// [`SendError::Lost`] while the stream is lost, until it is being opened again, and
    /// [`SendError::Stopped`] while it is closed or was refused: the message is not sent, now or
    /// later. Others as of [`Sender::send`].
    pub async fn send(&self, message: impl Into<Value>) -> Result<(), SendError> {
        let message = message.into();
        let input = self.shared().state().input.clone();
        input.ok_or(SendError::Stopped)?.send(message).await
    }

    /// What the stream is doing.
    pub fn status(&self) -> StreamingStatus {
        self.shared().state().status.now()
    }

    /// What the stream is doing, and every change from now on.
    pub fn status_changes(&self) -> StatusChanges<StreamingStatus> {
        self.shared().state().status.listen()
    }

    fn shared(&self) -> &Arc<Shared> {
        let Handle(shared) = &*self.0;
        shared
    }
}

impl fmt::Debug for StreamingConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { method, .. } = &**self.shared();
        f.debug_struct("StreamingConnection").field("method", method).finish_non_exhaustive()
    }
}

/// The messages of a streaming endpoint: a `Stream` that outlives losses, `close` and the next
/// `open`, and ends when its [`StreamingConnection`] is dropped. An error is an item among others,
/// at its place among the messages.
///
/// Messages that are not read hold up the endpoint's sending, and after a loss the next opening;
/// dropped, it lets all pass. Its `next()` is cancel-safe.
pub struct StreamingMessages {
    queue: mpsc::Receiver<Item>,
}

/// What a listener gets.
type Item = Result<Value, StreamingError>;

impl Stream for StreamingMessages {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        Pin::new(&mut self.queue).poll_next(cx)
    }
}

impl fmt::Debug for StreamingMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamingMessages(..)")
    }
}

/// Held by the application's handles, and by nobody else.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// Held by the task too, while there is one.
struct Shared {
    client: Client,
    method: String,
    retry: RetryPolicy,
    state: Mutex<State>,
}

struct State {
    /// The application wants it to be open.
    wanted: bool,
    /// No handle is left.
    gone: bool,
    /// Of the latest call; on one that is over, it says so.
    input: Option<Arc<Sender<Value>>>,
    /// The other end of it, until the task makes the call.
    next: Option<Parameter<Value>>,
    /// To the listener; the task has it, while there is one.
    messages: Option<mpsc::Sender<Item>>,
    status: Listeners<StreamingStatus>,
    /// The task, which learns that it is closed or given up.
    waiting: Waiters,
}

impl State {
    /// The next call's stream.
    fn prepare(&mut self) -> Option<Arc<Sender<Value>>> {
        let (input, parameter) = channel();
        self.next = Some(parameter);
        self.input.replace(Arc::new(input))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(self: &Arc<Self>) {
        let mut state = self.state();
        if std::mem::replace(&mut state.wanted, true) {
            return;
        }
        let before = state.prepare();
        let Some(messages) = state.messages.take() else {
            // The task that sees to the stream before goes on with this one.
            let waiting: Vec<_> = state.waiting.take().collect();
            drop(state);
            drop(before);
            return waiting.into_iter().for_each(Waker::wake);
        };
        let wakers = state.status.change(&StreamingStatus::Opening);
        drop(state);
        drop(before);
        wakers.into_iter().for_each(Waker::wake);
        let task = Task::new(Arc::clone(self), messages);
        self.client.runtime().spawn(Box::pin(task.run()));
    }

    fn close(&self) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.wanted, false) {
            return;
        }
        let (input, next) = (state.input.take(), state.next.take());
        let waiting: Vec<_> = state.waiting.take().collect();
        drop(state);
        if let Some(input) = input {
            input.end_shared(Ok(()));
        }
        drop(next);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn give_up(&self) {
        let mut state = self.state();
        state.gone = true;
        let left = (state.input.take(), state.next.take(), state.messages.take());
        let waiting: Vec<_> = state.waiting.take().collect();
        drop(state);
        drop(left);
        waiting.into_iter().for_each(Waker::wake);
    }
}
