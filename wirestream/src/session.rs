mod objects;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::mem::take;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::FutureExt;
use wirestream_protocol::Token;

use crate::authentication::Authentication;
use crate::messages::{Hub, Seat, SessionMessages};
use crate::report;
use crate::transport::BoxFuture;
use crate::waiters::{Waiter, Waiters};
use objects::Objects;

/// One call, as its method sees it: who calls what, and what is to happen when the call ends.
///
/// Each call has a session of its own, which is closed once, when the call ends, whatever ended
/// it. Clones are the same session. [Sessions](crate::guide::sessions) tells all of it.
///
/// ```
/// # async fn method(session: wirestream::Session) -> Result<(), wirestream::SessionClosed> {
/// let method = session.method().to_owned();
/// session.on_close(async move || println!("{method} is over"))?;
/// # Ok(())
/// # }
/// ```
///
/// # Objects
///
/// A session keeps objects of the application's own, one of each type: [`set`](Self::set) and
/// [`get`](Self::get). They live in the session itself, and are dropped with it.
///
/// ```
/// use std::sync::Mutex;
/// use wirestream::Session;
///
/// struct Player {
///     name: String,
///     score: Mutex<u32>,
/// }
///
/// fn score(session: &Session) {
///     if let Some(player) = session.get::<Player>() {
///         *player.score.lock().unwrap() += 1;
///     }
/// }
///
/// # fn method(session: &Session) {
/// session.set(Player { name: "Ann".into(), score: Mutex::new(0) });
/// score(session);
/// # }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    id: SessionId,
    method: String,
    peer: Option<SocketAddr>,
    token: Option<Token>,
    authentication: OnceLock<Authentication>,
    metadata: Vec<(String, Bytes)>,
    hub: Arc<Hub>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The call is over; the handler is to be dropped.
    call_ended: bool,
    handler: Option<Waker>,
    waiting_for_close: Waiters,
    closed: bool,
    last_hook: u64,
    hooks: Vec<(HookId, Hook)>,
    objects: Objects,
    /// The hooks have run: nothing is kept any more.
    over: bool,
    /// Made when it first subscribes.
    tied: Option<Box<Tied>>,
}

/// What ends with a session.
#[derive(Default)]
struct Tied {
    /// What its listeners do, until the task that runs the handler takes them over.
    listeners: Vec<BoxFuture<()>>,
    /// Its subscriptions, some of which are over.
    seats: Vec<Weak<Seat>>,
}

type Hook = Box<dyn FnOnce() -> BoxFuture<()> + Send>;

/// Names a session within this process. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names a close hook, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HookId(u64);

/// The session was closed before: the hook was not added, and will not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is closed")]
pub struct SessionClosed;

impl Session {
    pub(crate) fn new(
        method: String,
        peer: Option<SocketAddr>,
        token: Option<Token>,
        metadata: Vec<(String, Bytes)>,
        hub: Arc<Hub>,
    ) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = SessionId(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        let authentication = OnceLock::new();
        let state = Mutex::default();
        Self(Arc::new(Inner { id, method, peer, token, authentication, metadata, hub, state }))
    }

    /// This session's name within the process.
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// The endpoint that was called.
    pub fn endpoint(&self) -> &str {
        split_method(&self.0.method).0
    }

    /// The method that was called, without its endpoint.
    pub fn method(&self) -> &str {
        split_method(&self.0.method).1
    }

    /// The peer's address, where the transport has one.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Who calls: there for every method that is for those who are signed in, and for others if
    /// the caller sent a token that the server's authenticator knows.
    pub fn authentication(&self) -> Option<&Authentication> {
        self.0.authentication.get()
    }

    /// The caller was found, once.
    pub(crate) fn authenticated(&self, caller: Authentication) {
        self.0.authentication.get_or_init(|| caller);
    }

    /// The token that came with the call, or else with the connection. None if the method is for
    /// callers without.
    pub fn token(&self) -> Option<&Token> {
        self.0.token.as_ref()
    }

    /// The notes that the caller sent beside the arguments.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.metadata.iter().map(|(key, value)| (key.as_str(), &value[..]))
    }

    /// Posts messages to other sessions, and hears theirs, as long as the session is open.
    pub fn messages(&self) -> SessionMessages {
        SessionMessages::new(Arc::clone(&self.0.hub), self.clone())
    }

    /// Has a subscription end with the session.
    pub(crate) fn ends(&self, seat: &Arc<Seat>) -> Result<(), SessionClosed> {
        let mut state = self.state();
        if state.closed {
            return Err(SessionClosed);
        }
        let seats = &mut state.tied.get_or_insert_default().seats;
        if seats.len() == seats.capacity() {
            seats.retain(|seat| seat.strong_count() > 0); // before more room is made for more
        }
        seats.push(Arc::downgrade(seat));
        Ok(())
    }

    /// Has a listener run beside the handler. It does not panic.
    pub(crate) fn runs(&self, listener: BoxFuture<()>) -> Result<(), SessionClosed> {
        let mut state = self.state();
        if state.closed {
            return Err(SessionClosed);
        }
        state.tied.get_or_insert_default().listeners.push(listener);
        let handler = state.handler.take();
        drop(state);
        handler.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Adds a hook that runs once when the session closes: after the method's future was dropped,
    /// in the order in which hooks were added, one after the other, also if the method failed or
    /// panicked. A hook that panics or takes long delays only the hooks behind it.
    ///
    /// # Errors
    /// If the session is closed; the hook does not run then. It is not while its method runs.
    pub fn on_close<F, Fut>(&self, hook: F) -> Result<HookId, SessionClosed>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.state();
        if state.closed {
            return Err(SessionClosed);
        }
        state.last_hook += 1;
        let id = HookId(state.last_hook);
        state.hooks.push((id, Box::new(move || Box::pin(hook()))));
        Ok(id)
    }

    /// Removes a hook, if it has not begun to run. Whether that was so.
    pub fn remove_on_close(&self, id: HookId) -> bool {
        let mut state = self.state();
        let before = state.hooks.len();
        let removed: Vec<_> = state.hooks.extract_if(.., |(hook, _)| *hook == id).collect();
        let after = state.hooks.len();
        drop(state);
        drop(removed); // the user's Drop code, outside the lock
        after < before
    }

    /// Keeps an object with the session, in the place of the one of the same type, which is
    /// returned. There is one of each type, so that parts of an application do not get in each
    /// other's way; for several of one type, keep a list, or give each a type of its own.
    ///
    /// It is dropped with the session: once that is closed and its hooks have run, unless somebody
    /// still holds what [`get`](Self::get) gave. What is set after that is dropped at once.
    pub fn set<T: Any + Send + Sync>(&self, object: T) -> Option<Arc<T>> {
        let object = Arc::new(object);
        let mut state = self.state();
        match state.over {
            false => state.objects.set(object),
            true => {
                drop(state);
                drop(object); // what is the user's, outside the lock
                None
            }
        }
    }

    /// The object of this type, if one is kept.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.state().objects.get()
    }

    /// Keeps the object of this type no longer, and returns it.
    pub fn remove<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.state().objects.remove()
    }

    /// Whether the session is closed.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Resolves when the session is closed: the call is over and the method's future was dropped.
    /// Close hooks begin at the same time. Cancel-safe.
    pub async fn closed(&self) {
        let mut waiter = Waiter::default();
        std::future::poll_fn(|cx| {
            let mut state = self.state();
            if state.closed {
                return Poll::Ready(());
            }
            let replaced = state.waiting_for_close.add(&mut waiter, cx);
            drop(state);
            drop(replaced);
            Poll::Pending
        })
        .await;
    }

    /// The call is over: who runs the handler is to be woken.
    pub(crate) fn call_ended(&self) -> Option<Waker> {
        let mut state = self.state();
        state.call_ended = true;
        state.handler.take()
    }

    /// Ready once the call is over; for the task that runs the handler. Hands over the listeners
    /// that have come in.
    pub(crate) fn poll_call_ended(
        &self,
        listeners: &mut Vec<BoxFuture<()>>,
        cx: &Context<'_>,
    ) -> Poll<()> {
        let mut state = self.state();
        if state.call_ended {
            return Poll::Ready(());
        }
        if let Some(tied) = &mut state.tied {
            listeners.append(&mut tied.listeners);
        }
        match &mut state.handler {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            handler => *handler = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Ends what the session hears, and wakes who waits for it to be closed, from now on at once.
    fn begin_close(&self) {
        let mut state = self.state();
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        let waiting: Vec<_> = state.waiting_for_close.take().collect();
        let Tied { listeners, seats } = state.tied.take().map(|tied| *tied).unwrap_or_default();
        drop(state);
        drop(listeners); // what is the user's, outside the lock
        seats.iter().filter_map(Weak::upgrade).for_each(|seat| seat.end());
        waiting.into_iter().for_each(Waker::wake);
    }

    fn next_hook(&self) -> Option<Hook> {
        let mut state = self.state();
        (!state.hooks.is_empty()).then(|| state.hooks.remove(0).1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.0.id).field("method", &self.0.method).finish()
    }
}

/// A session that is still to be closed. Dropped before it was, with its runtime, say, its hooks do
/// not run, and leave nothing behind either: they often hold the session, which holds them.
#[derive(Debug)]
pub(crate) struct Unclosed(pub(crate) Session);

impl Unclosed {
    /// Closes the session, once: wakes who waits for it, runs the hooks in order, which is the
    /// future's to do if there are any, and drops what it keeps.
    pub(crate) fn close(self) -> Option<BoxFuture<()>> {
        self.0.begin_close();
        let first = self.0.next_hook()?;
        Some(Box::pin(self.run_hooks(first)))
    }

    async fn run_hooks(self, first: Hook) {
        let mut next = Some(first);
        while let Some(hook) = next {
            let run = AssertUnwindSafe(async move { hook().await });
            // The next one runs all the same.
            let done = run.catch_unwind().await;
            done.unwrap_or_else(|panic| report::close_hook_panicked(&self.0, panic));
            next = self.0.next_hook();
        }
    }
}

impl Drop for Unclosed {
    fn drop(&mut self) {
        self.0.begin_close();
        let (hooks, objects) = {
            let mut state = self.0.state();
            state.over = true;
            (take(&mut state.hooks), state.objects.take())
        };
        // All of it is the user's: outside the lock, and one that panics keeps no other.
        hooks.into_iter().for_each(|(_, hook)| drop_quietly(hook));
        objects.for_each(drop_quietly);
    }
}

/// Drops what is the user's, and may panic at that.
pub(crate) fn drop_quietly<T>(value: T) {
    catch_unwind(AssertUnwindSafe(|| drop(value))).unwrap_or_else(report::drop_panicked);
}

/// Endpoint and method, parted at the last dot.
pub(crate) fn split_method(method: &str) -> (&str, &str) {
    method.rsplit_once('.').unwrap_or((method, ""))
}
