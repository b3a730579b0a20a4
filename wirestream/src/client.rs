mod call;
mod retry;
pub(crate) mod status;
#[cfg(test)]
mod tests;
mod tokens;

pub use call::CallBuilder;
pub use retry::RetryPolicy;
pub use status::{Status, StatusChanges};
pub use tokens::{Provider, TokenProvider};

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use wirestream_protocol::{
    CloseReason, Config, Connection, Limits, LimitsError, Request, Role, Token,
};

use crate::driver::Driver;
use crate::error::LostReason;
use crate::link::Link;
use crate::metrics::{Entered, Ledger, Metrics};
use crate::report;
use crate::transport::{Dial, Runtime, Timer, Transport};
use call::PendingCall;
use status::Listeners;
use tokens::Tokens;

/// How a client is set up.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// What a connection may cost this side.
    pub limits: Limits,
    /// A token that says who the caller is, until [`Client::set_token`] changes it; it goes with the
    /// connection, never in its URL.
    pub token: Option<Token>,
    /// Where tokens come from instead, and new ones when the server refuses one.
    pub provider: Option<Provider>,
    /// Whether and when to try again when no connection could be made.
    pub retry: RetryPolicy,
}

/// Calls methods on a server, over one connection that makes and closes itself.
///
/// The first call connects; all calls share the connection, and calls that are made while it is
/// being made share the attempt. Once no call has been open for
/// [`Limits::linger`], the connection is closed. When it is lost, the calls on it end with
/// [`StreamError::Lost`](crate::StreamError::Lost), and the next call connects anew. Nothing is
/// ever sent twice.
///
/// Calls run at the same time, and may begin on the server in another order than they were made
/// in: where the order matters, await an answer of the first before the second.
///
/// Clones are the same client. Adapters make one from a URL.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Arc<dyn Runtime>,
    dial: Arc<dyn Dial>,
    config: ClientConfig,
    state: Mutex<State>,
    ledger: Arc<Ledger>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Counts connections, so that one that was given up cannot become the current one.
    attempt: u64,
    listeners: Listeners<Status>,
    tokens: Tokens,
    /// Connections that take no more calls, and may still have some.
    retired: Vec<Weak<Link>>,
}

#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    Connecting(Vec<PendingCall>),
    Connected(Arc<Link>),
}

impl Client {
    /// A client that dials with `dial` and runs on `runtime`. Does nothing until the first call.
    ///
    /// # Errors
    /// Limits that do not agree with one another, or a token that is too long.
    pub fn new(
        runtime: Arc<dyn Runtime>,
        dial: Arc<dyn Dial>,
        config: ClientConfig,
    ) -> Result<Self, LimitsError> {
        config.limits.validate()?;
        config.token.as_ref().map_or(Ok(()), Token::validate)?;
        let tokens = Tokens::new(config.token.clone());
        let state = Mutex::new(State { tokens, ..State::default() });
        let shared = Shared { runtime, dial, config, state, ledger: Arc::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Begins a call of `method`, named `Endpoint.method`. Nothing happens before the builder's
    /// last step.
    pub fn call(&self, method: impl Into<String>) -> CallBuilder<'_> {
        let method = method.into();
        CallBuilder {
            client: self,
            request: Request { method, ..Request::default() },
            plugs: Vec::new(),
            optional: None,
            failure: None,
        }
    }

    /// Ends every call and closes the connection: their streams end with
    /// [`StreamError::Lost`](crate::StreamError::Lost) on both sides. A later call connects anew.
    pub fn disconnect(&self) {
        let lost = LostReason::Closed(CloseReason::Local);
        let mut state = self.shared.state();
        let retired = std::mem::take(&mut state.retired);
        let phase = std::mem::take(&mut state.phase);
        if matches!(phase, Phase::Idle) {
            drop(state);
            return close_all(&retired);
        }
        state.attempt += 1;
        let wakers = state.listeners.change(&Status::Disconnected(Some(lost.clone())));
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        close_all(&retired);
        match phase {
            Phase::Idle => {}
            Phase::Connected(link) => link.with(|core| core.connection.close()),
            Phase::Connecting(calls) => calls.into_iter().for_each(|call| call.lose(&lost)),
        }
    }

    pub(crate) fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.shared.runtime
    }

    /// What the connection is doing.
    pub fn status(&self) -> Status {
        let state = self.shared.state();
        if let Phase::Connected(link) = &state.phase
            && let Some(reason) = link.lock().connection.closed()
        {
            // Its streams know, its listeners are about to.
            return Status::Disconnected(Some(LostReason::Closed(reason.clone())));
        }
        state.listeners.now()
    }

    /// What it does and has done, in numbers, over all its connections.
    pub fn metrics(&self) -> Metrics {
        self.shared.ledger.metrics()
    }

    /// Shows each connection that there is; for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn each_connection(&self, look: impl FnMut(&Connection)) {
        self.shared.ledger.each_open(look);
    }

    /// Replaces the token, on this connection and those to come: from now on calls are made with
    /// it. `None` signs out: what runs goes on, new calls are made without a token. A
    /// [provider](ClientConfig::provider) is asked again when the next connection is made.
    ///
    /// # Errors
    /// The token is longer than 4 KiB; the one before stays.
    pub fn set_token(&self, token: Option<Token>) -> Result<(), LimitsError> {
        token.as_ref().map_or(Ok(()), Token::validate)?;
        self.shared.set_token(token);
        Ok(())
    }

    /// What the connection is doing, and every change from now on.
    pub fn status_changes(&self) -> StatusChanges {
        self.shared.state().listeners.listen()
    }

    fn start(&self, mut call: PendingCall) {
        loop {
            let mut state = self.shared.state();
            let link = match &mut state.phase {
                Phase::Connected(link) => Arc::clone(link),
                Phase::Connecting(calls) => return calls.push(call),
                Phase::Idle => {
                    state.phase = Phase::Connecting(vec![call]);
                    state.attempt += 1;
                    let shared = Arc::clone(&self.shared);
                    let connect = connect(Attempt { shared, number: state.attempt });
                    let wakers = state.listeners.change(&Status::Connecting);
                    drop(state);
                    wakers.into_iter().for_each(Waker::wake);
                    return self.shared.runtime.spawn(Box::pin(connect));
                }
            };
            drop(state);
            let Some(back) = call.open(&self.shared, &link) else { return };
            // That connection takes no more calls: the next one will.
            call = back;
            let mut state = self.shared.state();
            if matches!(&state.phase, Phase::Connected(current) if Arc::ptr_eq(current, &link)) {
                state.phase = Phase::Idle;
                state.retired.retain(|link| link.strong_count() > 0);
                state.retired.push(Arc::downgrade(&link));
            }
        }
    }
}

fn close_all(links: &[Weak<Link>]) {
    for link in links.iter().filter_map(Weak::upgrade) {
        link.with(|core| core.connection.close());
    }
}

/// Makes a connection, again if the policy says so, and drives it to its end.
async fn connect(attempt: Attempt) {
    let mut failures = 0;
    let transport = loop {
        attempt.shared.provide().await;
        let error = match attempt.shared.dial.dial().await {
            Ok(transport) => break transport,
            Err(error) => error,
        };
        failures += 1;
        attempt.shared.ledger.handshake_failed();
        let pause = attempt.shared.config.retry.pause(failures, fastrand::f64());
        let pause = pause.filter(|_| error.kind.is_retryable() && attempt.is_wanted());
        report::attempt_failed(&error, pause);
        let Some(pause) = pause else { return attempt.fail(&LostReason::Connect(error)) };
        if !attempt.change(&Status::Waiting(pause)) {
            return;
        }
        wait(&mut *attempt.shared.runtime.timer(), pause).await;
        if !attempt.change(&Status::Connecting) {
            return;
        }
    };
    // From here on the connection outlives its client only as long as it has calls.
    let (number, shared) = (attempt.number, Arc::downgrade(&attempt.shared));
    let Some((driver, entered)) = attempt.connected(transport) else { return };
    drop(attempt);
    let reason = driver.await;
    drop(entered);
    if let Some(shared) = shared.upgrade() {
        Attempt { shared, number }.ended(reason);
    }
}

async fn wait(timer: &mut dyn Timer, pause: Duration) {
    let deadline = timer.now() + pause;
    poll_fn(|cx| timer.poll_until(cx, deadline)).await;
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection of a client, from the first attempt to make it to its end. Does nothing any more
/// once it is not the current one.
struct Attempt {
    shared: Arc<Shared>,
    number: u64,
}

impl Attempt {
    /// The client's state, if this is its current connection.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.shared.state()).filter(|state| state.attempt == self.number)
    }

    /// Whether a call waits for it. Those that were given up are dropped.
    fn is_wanted(&self) -> bool {
        let Some(mut state) = self.state() else { return false };
        let Phase::Connecting(calls) = &mut state.phase else { return false };
        let given_up: Vec<_> = calls.extract_if(.., |call| !call.is_wanted()).collect();
        let is_wanted = !calls.is_empty();
        drop(state);
        drop(given_up); // what is the user's, outside the lock
        is_wanted
    }

    /// Notes a change. Whether this is the current connection.
    fn change(&self, status: &Status) -> bool {
        let Some(mut state) = self.state() else { return false };
        let wakers = state.listeners.change(status);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        true
    }

    /// There is a transport: the calls that wait are opened.
    fn connected(&self, transport: Box<dyn Transport>) -> Option<(Driver, Entered)> {
        let client = &self.shared;
        let timer = client.runtime.timer();
        let limits = client.config.limits.clone();
        let span = report::connection(Role::Client, None);
        let mut state = self.state()?;
        let config = Config { limits, token: state.tokens.current() };
        // The limits were validated when the client was made, the token when it came.
        let link = Link::new(Connection::new(Role::Client, config, timer.now()).ok()?, span);
        let before = std::mem::replace(&mut state.phase, Phase::Connected(Arc::clone(&link)));
        let wakers = state.listeners.change(&Status::Connected);
        let entered = client.ledger.enter(&link);
        drop(state);
        report::connection_begun(&link.span);
        wakers.into_iter().for_each(Waker::wake);
        if let Phase::Connecting(calls) = before {
            for call in calls {
                if let Some(call) = call.open(client, &link) {
                    call.lose(&LostReason::Closed(CloseReason::Local));
                }
            }
        }
        Some((Driver::new(link, transport, timer, None), entered))
    }

    /// It could not be made: the calls that wait are lost.
    fn fail(&self, reason: &LostReason) {
        let Some(mut state) = self.state() else { return };
        let phase = std::mem::take(&mut state.phase);
        let wakers = state.listeners.change(&Status::Disconnected(Some(reason.clone())));
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        if let Phase::Connecting(calls) = phase {
            calls.into_iter().for_each(|call| call.lose(reason));
        }
    }

    /// It is over.
    fn ended(&self, reason: CloseReason) {
        let Some(mut state) = self.state() else { return };
        state.phase = Phase::Idle;
        let status = Status::Disconnected(Some(LostReason::Closed(reason)));
        let wakers = state.listeners.change(&status);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Attempt {
    /// An attempt that is dropped half-way, with its runtime, say, leaves no call waiting.
    fn drop(&mut self) {
        let connecting =
            self.state().is_some_and(|state| matches!(state.phase, Phase::Connecting(_)));
        if connecting {
            self.fail(&LostReason::Closed(CloseReason::Local));
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}
