//! Where a client's tokens come from, and what happens when one is refused.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, MutexGuard};
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::Shared as SharedFuture;
use wirestream_protocol::{CallId, Inbound, Outbound, RejectCode, Rejection, Token};

use super::call::PendingCall;
use super::{Client, Phase, Shared, State};
use crate::link::Link;
use crate::report;
use crate::transport::BoxFuture;
use crate::waiters::Waiter;

/// Where a client's tokens come from: a sign-in, a file, another server.
///
/// A client with a provider keeps what a call's parameter streams send until the server has
/// accepted the call, so that the call can be made again with a new token and nothing is lost.
///
/// ```
/// use wirestream::{BoxFuture, ClientConfig, Provider, Token, TokenProvider};
///
/// struct SignIn;
///
/// impl TokenProvider for SignIn {
///     fn token(&self) -> BoxFuture<Option<Token>> {
///         Box::pin(async { Some(Token::new("from the last time")) })
///     }
///
///     fn refresh(&self) -> Option<BoxFuture<Option<Token>>> {
///         Some(Box::pin(async { Some(Token::new("a new one")) }))
///     }
/// }
///
/// let config = ClientConfig { provider: Some(Provider::new(SignIn)), ..ClientConfig::default() };
/// ```
pub trait TokenProvider: Send + Sync + 'static {
    /// The token for a connection that is about to be made; none, to go without.
    fn token(&self) -> BoxFuture<Option<Token>>;

    /// A new token, because the server refused the last one. Asked once at a time, whatever number
    /// of calls were refused; each of them is made again once. `None` if there is no way to get
    /// one; a future of `None` if it did not work out.
    fn refresh(&self) -> Option<BoxFuture<Option<Token>>> {
        None
    }
}

/// A [`TokenProvider`]. Clones are the same.
#[derive(Clone)]
pub struct Provider(Arc<dyn TokenProvider>);

impl Provider {
    /// This one.
    pub fn new(provider: impl TokenProvider) -> Self {
        Self(Arc::new(provider))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider(..)")
    }
}

/// The token in force, and how it changes.
#[derive(Default)]
pub(super) struct Tokens {
    current: Option<Token>,
    /// Counts changes, so that a refusal of an older token is known for one.
    generation: u64,
    refreshing: Option<SharedFuture<BoxFuture<bool>>>,
}

impl Tokens {
    pub(super) fn new(token: Option<Token>) -> Self {
        Self { current: token, ..Self::default() }
    }

    pub(super) fn current(&self) -> Option<Token> {
        self.current.clone()
    }
}

impl Shared {
    pub(super) fn set_token(&self, token: Option<Token>) {
        self.replace_token(self.state(), token);
    }

    fn replace_token(&self, mut state: MutexGuard<'_, State>, token: Option<Token>) {
        state.tokens.generation += 1;
        state.tokens.current.clone_from(&token);
        let link = match &state.phase {
            Phase::Connected(link) => Some(Arc::clone(link)),
            Phase::Idle | Phase::Connecting(_) => None,
        };
        let Some(link) = link else { return };
        // Under the lock, so that of two the connection has the last, too. Its length was checked.
        let _ = link.lock().connection.set_token(token.unwrap_or_default());
        drop(state);
        link.with(|_| ()); // wakes the driver
    }

    /// Asks the provider, if there is one, for the token of the next connection. One that the
    /// application has set meanwhile goes before it.
    pub(super) async fn provide(&self) {
        let Some(Provider(provider)) = &self.config.provider else { return };
        let generation = generation(self);
        let token = provided(async { provider.token().await }).await;
        let state = self.state();
        if state.tokens.generation == generation && state.tokens.current != token {
            self.replace_token(state, token);
        }
    }

    /// Gets a new token, together with all who want one now. Whether there is one that is newer
    /// than `generation`.
    async fn refresh(self: &Arc<Self>, generation: u64) -> bool {
        let refreshing = {
            let mut state = self.state();
            if state.tokens.generation != generation {
                return true;
            }
            let begin = || {
                let client = Arc::downgrade(self); // which holds the future
                let refresh: BoxFuture<bool> = Box::pin(async move {
                    let Some(client) = client.upgrade() else { return false };
                    client.refresh_once(generation).await
                });
                refresh.shared()
            };
            state.tokens.refreshing.get_or_insert_with(begin).clone()
        };
        refreshing.await
    }

    /// A token that the application has set meanwhile, or none as it signed out, goes before what
    /// the provider gives.
    async fn refresh_once(&self, generation: u64) -> bool {
        let token = async {
            let Provider(provider) = self.config.provider.as_ref()?;
            provider.refresh()?.await
        };
        let token = provided(token).await;
        let mut state = self.state();
        state.tokens.refreshing = None;
        if state.tokens.generation != generation {
            return true;
        }
        let found = token.is_some();
        if found {
            self.replace_token(state, token);
        }
        found
    }
}

/// What a provider gives. One that panics, or gives what does not fit, gives none.
async fn provided(token: impl Future<Output = Option<Token>>) -> Option<Token> {
    let token = AssertUnwindSafe(token).catch_unwind().await.unwrap_or_else(|panic| {
        report::token_provider_panicked(panic);
        None
    })?;
    if token.validate().is_err() {
        report::token_too_long();
        return None;
    }
    Some(token)
}

/// A call on its way, whose token may be refused.
pub(super) struct Attempt {
    pub(super) call: PendingCall,
    pub(super) link: Arc<Link>,
    pub(super) id: CallId,
    pub(super) parameters: Vec<Outbound>,
    pub(super) reply: Inbound,
    /// Of the token that it was made with, at the latest.
    pub(super) generation: u64,
}

/// How a call was answered.
enum Answer {
    /// It was accepted, or is over for another reason than its token.
    Settled,
    Unauthenticated(Rejection),
    /// Nobody waits for it any more.
    Abandoned,
}

impl Attempt {
    /// Waits for the answer, then lets the streams begin; or gets a new token and makes the call
    /// again, once.
    pub(super) async fn run(self, client: Arc<Shared>) {
        let mut waiter = Waiter::default();
        let answer = std::future::poll_fn(|cx| {
            if self.call.poll_abandoned(cx).is_ready() {
                return Poll::Ready(Answer::Abandoned);
            }
            let _replaced; // a waker is dropped behind the lock
            let mut core = self.link.lock();
            let Some(call) = core.connection.call(self.id) else {
                return Poll::Ready(Answer::Settled);
            };
            match call.rejection() {
                Some(refused) if refused.code == RejectCode::Unauthenticated => {
                    Poll::Ready(Answer::Unauthenticated(refused.clone()))
                }
                None if call.is_pending() => {
                    _replaced = core.wait_readable(self.reply, &mut waiter, cx);
                    Poll::Pending
                }
                Some(_) | None => Poll::Ready(Answer::Settled),
            }
        });
        match answer.await {
            Answer::Settled => self.call.connect(&self.link, self.parameters, self.reply),
            Answer::Abandoned => self.link.with(|core| core.connection.release(self.id)),
            Answer::Unauthenticated(refused) => {
                self.link.with(|core| core.connection.release(self.id));
                if client.refresh(self.generation).await {
                    Client { shared: client }.start(self.call.again());
                } else {
                    self.call.refused(refused);
                }
            }
        }
    }
}

/// The generation of the token that is in force.
pub(super) fn generation(client: &Shared) -> u64 {
    client.state().tokens.generation
}
