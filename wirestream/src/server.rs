//! The server: which methods there are, and what happens to a call that comes in.

mod call;
mod endpoint;
#[cfg(test)]
mod tests;

pub use call::{Accepted, IncomingCall, NotImplemented};
pub use endpoint::{Arguments, Endpoint, Failed, IntoFault, Parameters};

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use wirestream_protocol::{
    CallId, CloseReason, Config, Connection, Limits, LimitsError, RejectCode, Rejection, Role, Time,
};

use crate::driver::Driver;
use crate::link::Link;
use crate::session::{Session, split_method};
use crate::transport::{Runtime, Transport};
use crate::waiters::{Waiter, Waiters};
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
    endpoints: HashMap<String, HashMap<String, Method>>,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    last: u64,
    links: BTreeMap<u64, Arc<Link>>,
    /// The server is shutting down; this is what running calls get.
    drain: Option<Duration>,
    waiting: Waiters,
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
    /// A contract was given to an endpoint before any method.
    #[error("a contract of endpoint `{0}` comes before any method that it could be of")]
    StrayContract(String),
}

/// Makes a [`Server`].
#[derive(Debug, Default)]
#[must_use = "a builder does nothing before `build`"]
pub struct ServerBuilder {
    limits: Limits,
    endpoints: Vec<Endpoint>,
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

    /// The server.
    ///
    /// # Errors
    /// [`BuildError`]: two things of one name, a contract without a method, or limits that do not
    /// agree.
    pub fn build(self) -> Result<Server, BuildError> {
        self.limits.validate().map_err(BuildError::Limits)?;
        let mut endpoints = HashMap::new();
        for endpoint in self.endpoints {
            if endpoint.stray_contract {
                return Err(BuildError::StrayContract(endpoint.name));
            }
            let mut methods = HashMap::new();
            for (name, method) in endpoint.methods {
                if methods.insert(name.clone(), method).is_some() {
                    let name = format!("{}.{name}", endpoint.name);
                    return Err(BuildError::DuplicateMethod(name));
                }
            }
            if endpoints.insert(endpoint.name.clone(), methods).is_some() {
                return Err(BuildError::DuplicateEndpoint(endpoint.name));
            }
        }
        let connections = Mutex::default();
        let shared = Shared { limits: self.limits, endpoints, connections };
        Ok(Server { shared: Arc::new(shared) })
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
        self.shared.connections().links.len()
    }

    /// Serves one connection to its end, each call in a task of its own, and says why it ended.
    ///
    /// The returned future does not borrow the server. Dropping it drops the connection: its
    /// calls are lost, their methods' futures dropped.
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
            let link = Link::new(connection);
            let _registered = server.register(&link, timer.now());
            let dispatch = {
                let server = server.clone();
                move |link: &Arc<Link>, id| server.dispatch(&runtime, link, id, peer)
            };
            Driver::new(link, transport, timer, Some(Box::new(dispatch))).await
        }
    }

    /// Shuts down: no connection takes new calls, running ones have `drain` to finish, then they
    /// are lost. Resolves when no connection is left. Calling it again may shorten the time.
    ///
    /// Cancel-safe: the shutdown goes on, whoever waits for it.
    pub async fn shutdown(&self, drain: Duration) {
        let links: Vec<_> = {
            let mut connections = self.shared.connections();
            connections.drain = Some(connections.drain.map_or(drain, |before| before.min(drain)));
            connections.links.values().cloned().collect()
        };
        let shorter = |before: Option<Duration>| before.map_or(drain, |before| before.min(drain));
        links.iter().for_each(|link| {
            link.with(|core| core.shutdown = Some(shorter(core.shutdown)));
        });
        let mut waiter = Waiter::default();
        poll_fn(|cx| {
            let mut connections = self.shared.connections();
            if connections.links.is_empty() {
                return Poll::Ready(());
            }
            let replaced = connections.waiting.add(&mut waiter, cx);
            drop(connections);
            drop(replaced);
            Poll::Pending
        })
        .await;
    }

    fn register(&self, link: &Arc<Link>, now: Time) -> Registered {
        let mut connections = self.shared.connections();
        connections.last += 1;
        let number = connections.last;
        connections.links.insert(number, Arc::clone(link));
        if let Some(drain) = connections.drain {
            link.lock().connection.shutdown(now + drain); // before the first packet is looked at
        }
        Registered { shared: Arc::clone(&self.shared), number }
    }

    /// A call has come in: refuses it at once, or runs its method.
    fn dispatch(
        &self,
        runtime: &Arc<dyn Runtime>,
        link: &Arc<Link>,
        id: CallId,
        peer: Option<SocketAddr>,
    ) {
        let (request, token) = link.with(|core| {
            let request = core.connection.call(id).and_then(|mut call| call.take_request());
            (request, core.connection.peer_token().cloned())
        });
        let Some(request) = request else {
            // It ended before anybody looked.
            return link.with(|core| core.connection.release(id));
        };
        let method = match self.find(&request.method) {
            Ok(method) => method,
            Err(detail) => {
                let rejection = Rejection::new(RejectCode::NotFound, detail);
                return link.with(|core| {
                    // Late if the caller gave it up.
                    let _ = core.connection.call(id).map(|mut call| call.reject(rejection));
                    core.connection.release(id);
                });
            }
        };
        let token = request.token.or(token);
        let session = Session::new(request.method, peer, token, request.metadata);
        let incoming = IncomingCall {
            link: Arc::clone(link),
            id,
            session: session.clone(),
            parameters: request.parameters,
            arguments: request.arguments,
            fingerprint: request.fingerprint,
        };
        let handler = method(incoming);
        runtime.spawn(Box::pin(call::run(Arc::clone(link), id, session, handler)));
    }

    fn find(&self, method: &str) -> Result<&Method, String> {
        let (endpoint, name) = split_method(method);
        let methods = self.shared.endpoints.get(endpoint);
        let methods = methods.ok_or_else(|| format!("no endpoint `{endpoint}`"))?;
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
        connections.links.remove(&self.number);
        let waiting: Vec<_> = match connections.links.is_empty() {
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
