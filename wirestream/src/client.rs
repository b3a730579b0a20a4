use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use serde::Serialize;
use wirestream_protocol::{
    CloseReason, Config, Connection, Limits, LimitsError, OpenError, RejectCode, Rejection,
    Request, Role, Token,
};

use crate::channel::{IntoParameter, Plug};
use crate::codec::encode;
use crate::driver::Driver;
use crate::error::{LostReason, NoError, SendError, StreamError};
use crate::link::Link;
use crate::receiver::{Receiver, ReplySocket, Unary};
use crate::transport::{Dial, Runtime, Transport};

/// How a client is set up.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// What a connection may cost this side.
    pub limits: Limits,
    /// A token that says who the caller is; it goes with the connection, never in its URL.
    pub token: Option<Token>,
}

/// Calls methods on a server, over one connection that makes and closes itself.
///
/// The first call connects; all calls share the connection, and calls that are made while it is
/// being made share the attempt. Once no call has been open for
/// [`Limits::linger`], the connection is closed. When it is lost, the calls on it end with
/// [`StreamError::Lost`], and the next call connects anew. Nothing is ever sent twice.
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
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Counts connections, so that one that was given up cannot become the current one.
    attempt: u64,
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
    /// Limits that do not agree with one another.
    pub fn new(
        runtime: Arc<dyn Runtime>,
        dial: Arc<dyn Dial>,
        config: ClientConfig,
    ) -> Result<Self, LimitsError> {
        config.limits.validate()?;
        let shared = Shared { runtime, dial, config, state: Mutex::default() };
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
            failure: None,
        }
    }

    /// Ends every call and closes the connection: their streams end with [`StreamError::Lost`] on
    /// both sides. A later call connects anew.
    pub fn disconnect(&self) {
        let mut state = self.shared.state();
        state.attempt += 1;
        let phase = std::mem::take(&mut state.phase);
        drop(state);
        match phase {
            Phase::Idle => {}
            Phase::Connected(link) => link.with(|core| core.connection.close()),
            Phase::Connecting(calls) => {
                let lost = LostReason::Closed(CloseReason::Local);
                calls.into_iter().for_each(|call| call.lose(&lost));
            }
        }
    }

    /// Whether there is a connection at this time.
    pub fn is_connected(&self) -> bool {
        match &self.shared.state().phase {
            Phase::Connected(link) => link.lock().connection.closed().is_none(),
            Phase::Idle | Phase::Connecting(_) => false,
        }
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
                    let attempt = state.attempt;
                    drop(state);
                    let shared = Arc::downgrade(&self.shared);
                    let dialled = self.shared.dial.dial();
                    let connect = async move {
                        let dialled = dialled.await;
                        if let Some(driver) = connected(&shared, attempt, dialled) {
                            driver.await;
                            ended(&shared, attempt);
                        }
                    };
                    return self.shared.runtime.spawn(Box::pin(connect));
                }
            };
            drop(state);
            let Some(back) = call.open(&link) else { return };
            // That connection takes no more calls: the next one will.
            call = back;
            let mut state = self.shared.state();
            if matches!(&state.phase, Phase::Connected(current) if Arc::ptr_eq(current, &link)) {
                state.phase = Phase::Idle;
            }
        }
    }
}

/// An attempt to connect has come to something: the calls that wait are opened, or lost.
fn connected(
    shared: &Weak<Shared>,
    attempt: u64,
    dialled: Result<Box<dyn Transport>, crate::transport::ConnectError>,
) -> Option<Driver> {
    let client = shared.upgrade()?;
    let timer = client.runtime.timer();
    let config = Config { limits: client.config.limits.clone(), token: client.config.token.clone() };
    let connection = Connection::new(Role::Client, config, timer.now());
    let mut state = client.state();
    if state.attempt != attempt {
        return None; // given up in the meantime
    }
    let calls = match std::mem::take(&mut state.phase) {
        Phase::Connecting(calls) => calls,
        Phase::Idle | Phase::Connected(_) => Vec::new(),
    };
    match (dialled, connection) {
        (Ok(transport), Ok(connection)) => {
            let link = Link::new(connection);
            state.phase = Phase::Connected(Arc::clone(&link));
            drop(state);
            for call in calls {
                if let Some(call) = call.open(&link) {
                    call.lose(&LostReason::Closed(CloseReason::Local));
                }
            }
            Some(Driver::new(link, transport, timer, None))
        }
        (Err(error), _) => {
            drop(state);
            calls.into_iter().for_each(|call| call.lose(&LostReason::Connect(error.clone())));
            None
        }
        // The limits were validated when the client was made.
        (Ok(_), Err(_)) => None,
    }
}

fn ended(shared: &Weak<Shared>, attempt: u64) {
    let Some(client) = shared.upgrade() else { return };
    let mut state = client.state();
    if state.attempt == attempt && matches!(state.phase, Phase::Connected(_)) {
        state.phase = Phase::Idle;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}

/// A call in the making: its arguments, its parameter streams in order, and last what it returns.
///
/// ```
/// # fn call(client: wirestream::Client) {
/// let (numbers, parameter) = wirestream::channel::<i64>();
/// let sum = client.call("Example.sum").parameter(parameter).unary::<i64>();
/// # let _ = (numbers, sum);
/// # }
/// ```
#[must_use = "nothing is called before `stream` or `unary`"]
pub struct CallBuilder<'a> {
    client: &'a Client,
    request: Request,
    plugs: Vec<Plug>,
    failure: Option<StreamError>,
}

impl CallBuilder<'_> {
    /// The plain arguments: a tuple of them, in order.
    pub fn arguments<A: Serialize + ?Sized>(mut self, arguments: &A) -> Self {
        match encode(arguments) {
            Ok(bytes) => self.request.arguments = bytes.into(),
            Err(error) => self.failure = Some(StreamError::Encode(error)),
        }
        self
    }

    /// The next parameter stream: a [`Parameter`](crate::Parameter) or any `Stream` of items.
    pub fn parameter(mut self, parameter: impl IntoParameter) -> Self {
        self.plugs.push(parameter.into_plug(&self.client.shared.runtime));
        self
    }

    /// A token for this call alone, in place of the connection's.
    pub fn token(mut self, token: Token) -> Self {
        self.request.token = Some(token);
        self
    }

    /// A note beside the arguments, as a header is; at most 64 of them.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.request.metadata.push((key.into(), value.into()));
        self
    }

    /// Calls a method that returns a stream. Returns at once; whatever goes wrong is an item of
    /// the stream.
    pub fn stream<T>(self) -> Receiver<T> {
        self.stream_with_error()
    }

    /// As [`stream`](Self::stream), for a method with a typed error.
    pub fn stream_with_error<T, E>(mut self) -> Receiver<T, E> {
        let socket = Arc::new(ReplySocket::default());
        let reply = Receiver::waiting(Arc::clone(&socket));
        match u8::try_from(self.plugs.len()) {
            Ok(parameters) => self.request.parameters = parameters,
            Err(_) => self.failure = Some(refused(&OpenError::Parameters)),
        }
        let call = PendingCall { request: self.request, plugs: self.plugs, reply: socket };
        match self.failure {
            None => self.client.start(call),
            Some(failure) => call.fail(failure),
        }
        reply
    }

    /// Calls a method that returns one value, and is done once it has.
    pub fn unary<T>(self) -> Unary<T> {
        Unary::new(self.stream())
    }

    /// As [`unary`](Self::unary), for a method with a typed error.
    pub fn unary_with_error<T, E>(self) -> Unary<T, E> {
        Unary::new(self.stream_with_error())
    }
}

impl fmt::Debug for CallBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallBuilder").field("request", &self.request).finish_non_exhaustive()
    }
}

/// A call that waits for a connection.
struct PendingCall {
    request: Request,
    plugs: Vec<Plug>,
    reply: Arc<ReplySocket>,
}

impl PendingCall {
    /// Opens the call. Gives it back if that connection takes no new calls.
    fn open(self, link: &Arc<Link>) -> Option<Self> {
        if self.reply.is_abandoned() {
            return None;
        }
        let opened = link.with(|core| {
            let id = core.connection.open(&self.request)?;
            let call = core.connection.call(id);
            let halves = call.and_then(|call| {
                let numbers = 1..=self.request.parameters;
                let parameters: Vec<_> = numbers.filter_map(|n| call.outbound(n)).collect();
                Some((parameters, call.inbound(0)?))
            });
            Ok(halves)
        });
        match opened {
            Err(OpenError::Lost(_) | OpenError::GoingAway | OpenError::Exhausted) => {
                return Some(self);
            }
            Err(error) => self.fail(refused(&error)),
            Ok(None) => self.fail(StreamError::Cancelled),
            Ok(Some((parameters, reply))) => {
                self.plugs.iter().zip(parameters).for_each(|(plug, half)| plug.open(link, half));
                self.reply.open(link, reply);
            }
        }
        None
    }

    fn lose(self, reason: &LostReason) {
        self.plugs.iter().for_each(|plug| plug.fail(SendError::Lost(reason.clone())));
        self.reply.fail(StreamError::Lost(reason.clone()));
    }

    fn fail(self, failure: StreamError<NoError>) {
        self.reply.fail(failure);
    }
}

/// A call that this side refuses to make, in the words in which the other would.
fn refused(error: &OpenError) -> StreamError<NoError> {
    let code = match error {
        OpenError::Busy => RejectCode::Busy,
        _ => RejectCode::InvalidArguments,
    };
    StreamError::Rejected(Rejection::new(code, error.to_string()))
}
