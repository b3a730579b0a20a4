use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

use crate::error::LostReason;

/// Changes that a listener may leave unread; beyond them the oldest are dropped.
const KEPT: usize = 64;

/// What a client's connection is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// There is none for new calls, and none is being made; why the last one ended, if there was
    /// one. Calls may still run on a connection that takes no new ones.
    Disconnected(Option<LostReason>),
    /// One is being made.
    Connecting,
    /// There is one.
    Connected,
    /// An attempt failed, and the next one is so far away.
    Waiting(Duration),
}

/// The changes of a status, a client's [`Status`] if nothing else is said, each once, from the
/// status at the time it was asked for. A `Stream` that ends when that which it tells of is gone.
///
/// One that is not read keeps the latest 64 changes. Its `next()` is cancel-safe.
#[derive(Debug)]
pub struct StatusChanges<S = Status> {
    queue: Arc<Mutex<Queue<S>>>,
}

#[derive(Debug)]
struct Queue<S> {
    changes: VecDeque<S>,
    waker: Option<Waker>,
    ended: bool,
}

impl<S> Stream for StatusChanges<S> {
    type Item = S;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S>> {
        let mut queue = lock(&self.queue);
        match queue.changes.pop_front() {
            Some(status) => Poll::Ready(Some(status)),
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Who listens, and what they were told last.
#[derive(Debug)]
pub(crate) struct Listeners<S> {
    now: S,
    queues: Vec<Weak<Mutex<Queue<S>>>>,
}

impl Default for Listeners<Status> {
    fn default() -> Self {
        Self::new(Status::Disconnected(None))
    }
}

impl<S> Listeners<S> {
    pub(crate) fn new(now: S) -> Self {
        Self { now, queues: Vec::new() }
    }

    fn tell(&mut self, what: impl Fn(&mut Queue<S>)) -> Vec<Waker> {
        let queues = self.queues.iter().filter_map(Weak::upgrade);
        let wakers = queues.filter_map(|queue| {
            let mut queue = lock(&queue);
            what(&mut queue);
            queue.waker.take()
        });
        wakers.collect()
    }
}

impl<S: Clone + PartialEq> Listeners<S> {
    pub(crate) fn now(&self) -> S {
        self.now.clone()
    }

    pub(crate) fn listen(&mut self) -> StatusChanges<S> {
        let changes = VecDeque::from([self.now.clone()]);
        let queue = Arc::new(Mutex::new(Queue { changes, waker: None, ended: false }));
        self.queues.retain(|queue| queue.strong_count() > 0);
        self.queues.push(Arc::downgrade(&queue));
        StatusChanges { queue }
    }

    /// Notes a change, and gives whom to wake once no lock is held.
    pub(crate) fn change(&mut self, status: &S) -> Vec<Waker> {
        if self.now == *status {
            return Vec::new();
        }
        self.now = status.clone();
        self.tell(|queue| {
            if queue.changes.len() == KEPT {
                queue.changes.pop_front();
            }
            queue.changes.push_back(status.clone());
        })
    }
}

impl<S> Drop for Listeners<S> {
    fn drop(&mut self) {
        self.tell(|queue| queue.ended = true).into_iter().for_each(Waker::wake);
    }
}

fn lock<S>(queue: &Mutex<Queue<S>>) -> MutexGuard<'_, Queue<S>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn told(changes: &mut StatusChanges) -> Vec<Status> {
        std::iter::from_fn(|| changes.next().now_or_never().flatten()).collect()
    }

    /// E12
    #[test]
    fn a_status_that_is_no_change_is_not_told() {
        let mut listeners = Listeners::default();
        let mut changes = listeners.listen();
        assert_eq!(told(&mut changes), [Status::Disconnected(None)]);
        for status in [Status::Disconnected(None), Status::Connecting, Status::Connecting] {
            drop(listeners.change(&status));
        }
        assert_eq!(told(&mut changes), [Status::Connecting]);
        assert_eq!(told(&mut listeners.listen()), [Status::Connecting]);
    }

    #[test]
    fn the_latest_changes_are_kept_for_one_who_does_not_read() {
        let mut listeners = Listeners::default();
        let mut changes = listeners.listen();
        let pauses = (0..100).map(|n| Status::Waiting(Duration::from_millis(n)));
        let pauses: Vec<_> = pauses.collect();
        pauses.iter().for_each(|status| drop(listeners.change(status)));
        assert_eq!(told(&mut changes), pauses[100 - KEPT..]);
    }
}
