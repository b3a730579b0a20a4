//! What makes the calls of a streaming connection, one after the other.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::StreamExt;
use wirestream_protocol::CloseReason;

use super::super::{CONTRACT, Reply, StreamingError};
use super::{Item, Shared, State, StreamingStatus};
use crate::channel::Parameter;
use crate::error::{LostReason, StreamError};
use crate::value::Value;
use crate::waiters::Waiter;

/// Runs from when the stream is opened until it is closed.
pub(super) struct Task {
    shared: Arc<Shared>,
    messages: mpsc::Sender<Item>,
    waiter: Waiter,
    /// Calls in a row that did not come to be open.
    failures: u32,
}

/// No handle is left: nobody wants to know.
struct Gone;

/// What follows a call that is over.
enum Next {
    /// Another, after a pause.
    Retry(Duration),
    /// What the application wants: another, if it has opened the stream again, or none.
    AsWanted,
    /// None, until the application opens the stream again.
    Refused,
}

impl Task {
    pub(super) fn new(shared: Arc<Shared>, messages: mpsc::Sender<Item>) -> Self {
        Self { shared, messages, waiter: Waiter::default(), failures: 0 }
    }

    pub(super) async fn run(mut self) {
        while let Some(parameter) = self.next() {
            let Ok(end) = self.call(parameter).await else { return };
            let Ok(()) = self.ended(end).await else { return };
        }
    }

    /// The stream of the next call, if there is to be one. If not, this task is over, and the
    /// listener waits for another.
    fn next(&self) -> Option<Parameter<Value>> {
        let mut state = self.shared.state();
        let next = state.next.take();
        match next {
            Some(_) => change(state, &StreamingStatus::Opening),
            None => state.messages = Some(self.messages.clone()),
        }
        next
    }

    /// Makes a call and sees it to its end.
    async fn call(&mut self, parameter: Parameter<Value>) -> Result<Option<StreamError>, Gone> {
        let Shared { client, method, .. } = &*self.shared;
        let call = client.call(method.as_str()).contract(&CONTRACT).parameter(parameter);
        let mut reply = call.stream::<Reply>();
        loop {
            match self.unless_gone(reply.next()).await? {
                Some(Ok(Reply::Opened)) => {
                    self.failures = 0;
                    change(self.shared.state(), &StreamingStatus::Open);
                }
                Some(Ok(Reply::Message(message))) => self.tell(Ok(message)).await?,
                Some(Ok(Reply::HandlerFailed)) => {
                    self.tell(Err(StreamingError::HandlerFailed)).await?;
                }
                Some(Err(error)) => return Ok(Some(error)),
                None => return Ok(None),
            }
        }
    }

    /// A call is over: tells of it, and prepares the next if there is to be one.
    async fn ended(&mut self, end: Option<StreamError>) -> Result<(), Gone> {
        let next = self.follow(end.as_ref());
        // Where there was no connection, nothing was lost with it.
        let is_told = |error: &StreamError| {
            matches!(next, Next::Refused)
                || !matches!(error, StreamError::Lost(LostReason::Connect(_)))
        };
        if let Some(error) = end.filter(is_told) {
            self.tell(Err(StreamingError::Interrupted(error))).await?;
        }
        if let Next::Retry(pause) = next {
            self.pause(pause).await?;
            self.prepare();
        }
        Ok(())
    }

    /// Decides what follows, and says so.
    fn follow(&mut self, end: Option<&StreamError>) -> Next {
        let mut state = self.shared.state();
        let is_closing = !state.wanted || state.next.is_some();
        let (next, status) = match end {
            _ if is_closing => (Next::AsWanted, StreamingStatus::Closed(end.cloned())),
            None => (Next::Refused, StreamingStatus::Closed(None)),
            Some(error) => {
                self.failures = self.failures.saturating_add(1);
                let pause = self.shared.retry.pause(self.failures, fastrand::f64());
                match pause.filter(|_| is_worth_another(error)) {
                    Some(pause) => (Next::Retry(pause), StreamingStatus::Waiting(pause)),
                    None => (Next::Refused, StreamingStatus::Closed(Some(error.clone()))),
                }
            }
        };
        if matches!(next, Next::Refused) {
            state.wanted = false;
        }
        change(state, &status);
        next
    }

    /// After a pause: the next call, unless the application has decided otherwise meanwhile.
    fn prepare(&self) {
        let mut state = self.shared.state();
        let mut before = None;
        if !state.wanted {
            change(state, &StreamingStatus::Closed(None));
        } else if state.next.is_none() {
            before = state.prepare();
            drop(state);
        }
        drop(before);
    }

    /// To the listener, as soon as there is room.
    async fn tell(&mut self, item: Item) -> Result<(), Gone> {
        let mut item = Some(item);
        poll_fn(|cx| {
            if self.poll_state(cx, |state| state.gone).is_ready() {
                return Poll::Ready(Err(Gone));
            }
            self.messages.poll_ready(cx).map(|ready| {
                // Where there is no listener, nobody misses it.
                if let (Ok(()), Some(item)) = (ready, item.take()) {
                    let _ = self.messages.start_send(item);
                }
                Ok(())
            })
        })
        .await
    }

    /// Waits, until the application decides otherwise.
    async fn pause(&mut self, pause: Duration) -> Result<(), Gone> {
        let mut timer = self.shared.client.runtime().timer();
        let deadline = timer.now() + pause;
        let decided = |state: &State| state.gone || !state.wanted || state.next.is_some();
        poll_fn(|cx| match self.poll_state(cx, decided) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => timer.poll_until(cx, deadline),
        })
        .await;
        if self.shared.state().gone { Err(Gone) } else { Ok(()) }
    }

    async fn unless_gone<F: Future>(&mut self, future: F) -> Result<F::Output, Gone> {
        let mut future = pin!(future);
        poll_fn(|cx| match self.poll_state(cx, |state| state.gone) {
            Poll::Ready(()) => Poll::Ready(Err(Gone)),
            Poll::Pending => future.as_mut().poll(cx).map(Ok),
        })
        .await
    }

    /// Ready once the application has decided something.
    fn poll_state(&mut self, cx: &Context<'_>, decided: impl Fn(&State) -> bool) -> Poll<()> {
        let mut state = self.shared.state();
        if decided(&state) {
            return Poll::Ready(());
        }
        let replaced = state.waiting.add(&mut self.waiter, cx);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

fn change(mut state: MutexGuard<'_, State>, status: &StreamingStatus) {
    let wakers = state.status.change(status);
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

/// Whether another call may succeed: not where this side ended the connection itself.
fn is_worth_another(error: &StreamError) -> bool {
    error.is_retryable()
        && !matches!(error, StreamError::Lost(LostReason::Closed(CloseReason::Local)))
}
