//! The server: which methods there are, and what happens to a call that comes in.

mod access;
mod call;
mod endpoint;
mod revocations;
#[cfg(test)]
mod tests;

pub use call::{Accepted, IncomingCall, NotImplemented};
pub use endpoint::{Arguments, Endpoint, Failed, IntoFault, Parameters};
pub use revocations::RevokeError;

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use wirestream_protocol::{
    CallId, CloseReason, Config, Connection, Limits, LimitsError, RejectCode, Rejection, Request,
    Role, Time, Token,
};

use crate::authentication::{Access, Authentication, Revocation};
use crate::driver::Driver;
use crate::link::Link;
use crate::messages::bus::Bus;
use crate::messages::{Hub, MessageConfig, Messages};
use crate::metrics::{Ledger, Metrics};
use crate::report;
use crate::session::{Session, split_method};
use crate::transport::{Runtime, Transport};
use crate::waiters::{Waiter, Waiters};
use access::{Admission, Authenticator, Caller, Guard};
use call::Entrance;
use endpoint::Method;

/// Answers calls. Clones are the same server.
///
/// An adapter accepts connections and hands each to
/// [`serve_connection`](Self::serve_connection).
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    endpoints: BTreeMap<String, BTreeMap<String, Method>>,
    authenticator: Option<Authenticator>,
    guard: Arc<Guard>,
    hub: Arc<Hub>,
    /// Tells this server's revocations from those of others.
    origin: u64,
    connections: Mutex<Connections>,
    ledger: Arc<Ledger>,
}

#[derive(Default)]
struct Connections {
    last: u64,
    open: BTreeMap<u64, Open>,
    /// The server is shutting down; this is what running calls get.
    drain: Option<Duration>,
    waiting: Waiters,
}

/// A connection that is open, and who is at its other end.
#[derive(Clone)]
struct Open {
    link: Arc<Link>,
    caller: Arc<Caller>,
}

/// Why a server could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The limits do not agree with one another.
    #[error(transparent)]
    Limits(LimitsError),
    /// Two endpoints of one name.
    #[error("two endpoints are named `{0}`")]
    DuplicateEndpoint(String),
    /// Two methods of one name.
    #[error("two methods are named `{0}`")]
    DuplicateMethod(String),
    /// A method is for callers who are signed in, and the server has no authenticator.
    #[error("method `{0}` is for callers who are signed in, and there is no authenticator")]
    NoAuthenticator(String),
    /// A contract or an access was given to an endpoint before any method.
    #[error(
        "a contract or an access of endpoint `{0}` comes before any method that it could be of"
    )]
    StrayContract(String),
    /// A setting of [`MessageConfig`] is too small.
    #[error("the message setting `{setting}` is too small")]
    MessageConfig {
        /// The setting's name.
        setting: &'static str,
    },
}

/// Makes a [`Server`].
#[derive(Default)]
#[must_use = "a builder does nothing before `build`"]
pub struct ServerBuilder {
    limits: Limits,
    endpoints: Vec<Endpoint>,
    authenticator: Option<Authenticator>,
    messages: MessageConfig,
    bus: Option<Arc<dyn Bus>>,
}

impl ServerBuilder {
    /// Adds an endpoint.
    pub fn endpoint(mut self, endpoint: impl Into<Endpoint>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// What each connection may cost.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How a token is turned into who the caller is; none, if it does not hold. What it fails
    /// with is not told to the caller, whose call is refused as
    /// [`RejectCode::Failed`](crate::RejectCode::Failed).
    ///
    /// It runs within the call's own task: a slow one delays that call alone. A connection's token
    /// is looked up once, for all its calls, until the [`Authentication`] is not
    /// [valid](Authentication::valid_for) any more or was revoked; the token of a single call is
    /// looked up for that call. A token that was refused is looked up anew each time.
    ///
    /// ```
    /// use wirestream::{Authentication, Server};
    ///
    /// let server = Server::builder().authenticator(async |token| {
    ///     let alice = Authentication::new("alice").scope("chat");
    ///     Ok((token.as_bytes() == b"secret of alice").then_some(alice))
    /// });
    /// # let _ = server;
    /// ```
    pub fn authenticator<F, Fut>(mut self, authenticator: F) -> Self
    where
        F: Fn(Token) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Authentication>, Failed>> + Send + 'static,
    {
        self.authenticator = Some(Arc::new(move |token| Box::pin(authenticator(token))));
        self
    }

    /// What messages between sessions may cost.
    pub fn messages(mut self, config: MessageConfig) -> Self {
        self.messages = config;
        self
    }

    /// What carries messages to other servers, and revocations. Without one, a server's messages
    /// stay within it.
    pub fn bus(mut self, bus: impl Bus) -> Self {
        self.bus = Some(Arc::new(bus));
        self
    }

    /// The server. Its bus starts.
    ///
    /// # Errors
    /// [`BuildError`]: two things of one name, a contract without a method, limits or settings that
    /// do not agree, or a protected method without an authenticator.
    pub fn build(self) -> Result<Server, BuildError> {
        self.limits.validate().map_err(BuildError::Limits)?;
        if let Some(setting) = self.messages.too_small() {
            return Err(BuildError::MessageConfig { setting });
        }
        let mut endpoints = BTreeMap::new();
        for endpoint in self.endpoints {
            if endpoint.stray_contract {
                return Err(BuildError::StrayContract(endpoint.name));
            }
            let mut methods = BTreeMap::new();
            for (name, method) in endpoint.methods {
                if method.access.is_protected() && self.authenticator.is_none() {
                    return Err(BuildError::NoAuthenticator(format!("{}.{name}", endpoint.name)));
                }
                if methods.insert(name.clone(), method).is_some() {
                    let name = format!("{}.{name}", endpoint.name);
                    return Err(BuildError::DuplicateMethod(name));
                }
            }
            if endpoints.insert(endpoint.name.clone(), methods).is_some() {
                return Err(BuildError::DuplicateEndpoint(endpoint.name));
            }
        }
        let hub = Hub::new(self.messages, &self.limits, self.bus);
        let shared = Shared {
            limits: self.limits,
            endpoints,
            authenticator: self.authenticator,
            guard: Arc::default(),
            hub,
            origin: fastrand::u64(..),
            connections: Mutex::default(),
            ledger: Arc::default(),
        };
        let server = Server { shared: Arc::new(shared) };
        server.join_cluster();
        Ok(server)
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("limits", &self.limits)
            .field("endpoints", &self.endpoints)
            .field("messages", &self.messages)
            .field("bus", &self.bus)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Begins a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// What each connection may cost.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.shared.connections().open.len()
    }

    /// Posts messages to sessions and subscribes to theirs, from outside of a session.
    pub fn messages(&self) -> Messages {
        Messages::new(Arc::clone(&self.shared.hub))
    }

    /// What it does and has done, in numbers. Its connections are those that are served: one whose
    /// calls are over may still tell its peer so.
    pub fn metrics(&self) -> Metrics {
        self.shared.ledger.metrics()
    }

    /// Shows each connection that there is; for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn each_connection(&self, look: impl FnMut(&Connection)) {
        self.shared.ledger.each_open(look);
    }

    /// For an adapter: counts a client whose handshake failed among
    /// [`Metrics::handshakes_failed`].
    pub fn handshake_failed(&self) {
        self.shared.ledger.handshake_failed();
    }

    /// Serves one connection to its end, each call in a task of its own, and says why it ended.
    ///
    /// The returned future does not borrow the server. It is not cancel-safe: dropping it drops
    /// the connection, its calls are lost on both sides, their methods' futures dropped.
    pub fn serve_connection(
        &self,
        runtime: Arc<dyn Runtime>,
        transport: Box<dyn Transport>,
        peer: Option<SocketAddr>,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<> {
        let server = self.clone();
        async move {
            let timer = runtime.timer();
            let config = Config { limits: server.shared.limits.clone(), token: None };
            // The limits were validated when the server was built.
            let Ok(connection) = Connection::new(Role::Server, config, timer.now()) else {
                return CloseReason::Local;
            };
            let span = report::connection(Role::Server, peer);
            report::connection_begun(&span);
            let link = Link::new(connection, span);
            let open = Open { link: Arc::clone(&link), caller: Arc::default() };
            let _registered = server.register(&open, timer.now());
            let _entered = server.shared.ledger.enter(&link);
            let dispatch = {
                let server = server.clone();
                move |_: &Arc<Link>, id, request| {
                    server.dispatch(&runtime, &open, id, request, peer);
                }
            };
            Driver::new(link, transport, timer, Some(Box::new(dispatch))).await
        }
    }

    /// Shuts down: no connection takes new calls, running ones have `drain` to finish, then they
    /// are lost. Resolves when no connection is left. Calling it again may shorten the time.
    ///
    /// Cancel-safe: the shutdown goes on, whoever waits for it. It begins when the future is first
    /// polled.
    pub async fn shutdown(&self, drain: Duration) {
        let links: Vec<_> = {
            let mut connections = self.shared.connections();
            connections.drain = Some(connections.drain.map_or(drain, |before| before.min(drain)));
            connections.open.values().map(|open| Arc::clone(&open.link)).collect()
        };
        let shorter = |before: Option<Duration>| before.map_or(drain, |before| before.min(drain));
        links.iter().for_each(|link| {
            link.with(|core| core.shutdown = Some(shorter(core.shutdown)));
        });
        report::shutdown_begun(links.len(), drain);
        drop(links);
        let mut waiter = Waiter::default();
        poll_fn(|cx| {
            let mut connections = self.shared.connections();
            if connections.open.is_empty() {
                return Poll::Ready(());
            }
            let replaced = connections.waiting.add(&mut waiter, cx);
            drop(connections);
            drop(replaced);
            Poll::Pending
        })
        .await;
        report::shutdown_done();
    }

    /// Takes a right back, on this server alone, where [`revoke_everywhere`](Self::revoke_everywhere)
    /// does so on all of a cluster: calls to methods that require it end with
    /// [`StreamError::Revoked`](crate::StreamError::Revoked), their handlers are dropped, and calls
    /// that are just being let in are refused. Others of the same user go on. How many calls were
    /// ended.
    ///
    /// Further calls are let in if the authenticator says so: it must know of the revocation before
    /// this is called.
    pub fn revoke(&self, revocation: &Revocation) -> usize {
        let callers = self.callers();
        self.shared.guard.revoke(revocation, callers.iter().map(|caller| &**caller))
    }

    /// Who is at the other ends of all connections.
    fn callers(&self) -> Vec<Arc<Caller>> {
        let connections = self.shared.connections();
        connections.open.values().map(|open| Arc::clone(&open.caller)).collect()
    }

    fn register(&self, open: &Open, now: Time) -> Registered {
        let mut connections = self.shared.connections();
        connections.last += 1;
        let number = connections.last;
        connections.open.insert(number, open.clone());
        if let Some(drain) = connections.drain {
            open.link.lock().connection.shutdown(now + drain); // before the first packet is looked at
        }
        Registered { shared: Arc::clone(&self.shared), number }
    }

    /// A call has come in: refuses it at once, or runs its method.
    fn dispatch(
        &self,
        runtime: &Arc<dyn Runtime>,
        open: &Open,
        id: CallId,
        request: Request,
        peer: Option<SocketAddr>,
    ) {
        let link = &open.link;
        let span = report::call(&link.span, &request.method);
        let method = match self.find(&request.method) {
            Ok(method) => method,
            Err(detail) => {
                link.watch(id, &span, None);
                let rejection = Rejection::new(RejectCode::NotFound, detail);
                return link.with(|core| {
                    // Late if the caller gave it up.
                    let _ = core.connection.call(id).map(|mut call| call.reject(rejection));
                    core.connection.release(id);
                });
            }
        };
        let token = request.token.filter(|_| *method.access != Access::Anonymous);
        let hub = Arc::clone(&self.shared.hub);
        let session = Session::new(request.method, peer, token, request.metadata, hub);
        link.watch(id, &span, Some(&session));
        let call = IncomingCall {
            link: Arc::clone(link),
            id,
            session,
            parameters: request.parameters,
            arguments: request.arguments,
            fingerprint: request.fingerprint,
        };
        let known = call.session.token().is_some() && self.shared.authenticator.is_some();
        let entrance = (known || method.access.is_protected()).then(|| {
            let admission = Admission {
                guard: Arc::clone(&self.shared.guard),
                access: Arc::clone(&method.access),
                authenticator: self.shared.authenticator.clone(),
                caller: Arc::clone(&open.caller),
            };
            Box::new(Entrance { admission, accepted: method.accepted.clone() })
        });
        if entrance.is_none()
            && let Some(rejection) = call.differs_from(method.accepted.as_deref())
        {
            call.reject(rejection);
            return link.with(|core| core.connection.release(id));
        }
        runtime.spawn((method.run)(call, entrance, span));
    }

    fn find(&self, method: &str) -> Result<&Method, String> {
        let (endpoint, name) = split_method(method);
        let methods = self.shared.endpoints.get(endpoint);
        let methods =
            methods.ok_or_else(|| format!("no endpoint `{endpoint}` for method `{name}`"))?;
        methods.get(name).ok_or_else(|| format!("no method `{name}` in endpoint `{endpoint}`"))
    }
}

/// A connection's place among those of the server, given up when it is dropped.
struct Registered {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut connections = self.shared.connections();
        let _closed = connections.open.remove(&self.number);
        let waiting: Vec<_> = match connections.open.is_empty() {
            true => connections.waiting.take().collect(),
            false => Vec::new(),
        };
        drop(connections);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("endpoints", &self.shared.endpoints.keys())
            .finish_non_exhaustive()
    }
}
