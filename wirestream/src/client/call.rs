use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use serde::Serialize;
use wirestream_protocol::{Inbound, OpenError, Outbound, RejectCode, Rejection, Request, Token};

use super::tokens::{self, Attempt};
use super::{Client, Shared};
use crate::channel::{IntoParameter, Plug};
use crate::codec::encode;
use crate::contract::{Contract, Fingerprint};
use crate::error::{LostReason, NoError, SendError, StreamError};
use crate::link::Link;
use crate::receiver::{Receiver, ReplySocket, Unary};
use crate::report;

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
    pub(super) client: &'a Client,
    pub(super) request: Request,
    pub(super) plugs: Vec<Plug>,
    pub(super) optional: Option<Optional>,
    pub(super) failure: Option<StreamError>,
}

/// The optional parameters of a call in the making.
#[derive(Clone, Copy, Default)]
pub(super) struct Optional {
    /// How many were left away.
    absent: usize,
    /// Those that are present: a bit each, at its place among all parameters.
    present: u16,
}

impl CallBuilder<'_> {
    /// The plain arguments: a tuple of them, in order, of just the types that the method takes.
    /// What goes over the wire does not say its types: an `i32` literal where the method takes a
    /// `u64` would arrive as another number.
    pub fn arguments<A: Serialize + ?Sized>(mut self, arguments: &A) -> Self {
        match encode(arguments) {
            Ok(bytes) => self.request.arguments = bytes,
            Err(error) => self.failure = Some(StreamError::Encode(error)),
        }
        self
    }

    /// The next parameter stream: a [`Parameter`](crate::Parameter) or any `Stream` of items.
    pub fn parameter(mut self, parameter: impl IntoParameter) -> Self {
        self.plugs.push(parameter.into_plug(&self.client.shared.runtime));
        self
    }

    /// The next parameter stream, of a method that can do without it.
    pub fn optional_parameter(mut self, parameter: Option<impl IntoParameter>) -> Self {
        let optional = self.optional.get_or_insert_default();
        let place = self.plugs.len() + optional.absent;
        let Some(parameter) = parameter else {
            optional.absent += 1;
            return self;
        };
        // Past the sixteenth the call is refused anyway.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        optional.present |= 1_u16.checked_shl(place).unwrap_or(0);
        self.parameter(parameter)
    }

    /// The contract that this call is made by: a server that has another refuses the call.
    pub fn contract(self, contract: &Contract) -> Self {
        self.fingerprint(contract.fingerprint())
    }

    /// As [`contract`](Self::contract), by what stands for it.
    pub fn fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.request.fingerprint = Some(fingerprint.to_bytes());
        self
    }

    /// A token for this call alone, in place of the connection's. A refusal of it is the call's.
    pub fn token(mut self, token: Token) -> Self {
        self.request.token = Some(token);
        self
    }

    /// Makes the call without any token.
    pub fn anonymous(self) -> Self {
        self.token(Token::none())
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
        if let Some(optional) = self.optional {
            // Which of the optional parameters there are stands behind the arguments.
            let arguments = &self.request.arguments[..];
            match encode(&optional.present) {
                Ok(present) => self.request.arguments = [arguments, &present].concat().into(),
                Err(error) => self.failure = Some(StreamError::Encode(error)),
            }
        }
        let held = self.client.shared.config.provider.is_some() && self.request.token.is_none();
        let call = PendingCall { request: self.request, plugs: self.plugs, reply: socket, held };
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
pub(super) struct PendingCall {
    request: Request,
    plugs: Vec<Plug>,
    reply: Arc<ReplySocket>,
    /// Whether it may be made again with another token: its streams then wait for the answer.
    held: bool,
}

impl PendingCall {
    /// Whether somebody waits for its reply.
    pub(super) fn is_wanted(&self) -> bool {
        !self.reply.is_abandoned()
    }

    /// Opens the call. Gives it back if that connection takes no new calls.
    pub(super) fn open(self, client: &Arc<Shared>, link: &Arc<Link>) -> Option<Self> {
        if !self.is_wanted() {
            return None;
        }
        let generation = tokens::generation(client);
        let span = report::call(&link.span, &self.request.method);
        let opened = link.with(|core| {
            let id = core.connection.open(&self.request)?;
            core.watch(id, &span);
            let call = core.connection.call(id);
            let halves = call.and_then(|call| {
                let numbers = 1..=self.request.parameters;
                let parameters: Vec<_> = numbers.filter_map(|n| call.outbound(n)).collect();
                Some((id, parameters, call.inbound(0)?))
            });
            Ok(halves)
        });
        if let Ok(Some((id, ..))) = opened {
            report::call_begun(&span, id, None);
        }
        match opened {
            Err(OpenError::Lost(_) | OpenError::GoingAway | OpenError::Exhausted) => {
                return Some(self);
            }
            Err(error) => self.fail(refused(&error)),
            Ok(None) => self.fail(StreamError::Cancelled),
            Ok(Some((_, parameters, reply))) if !self.held => {
                self.connect(link, parameters, reply);
            }
            Ok(Some((id, parameters, reply))) => {
                let link = Arc::clone(link);
                let attempt = Attempt { call: self, link, id, parameters, reply, generation };
                client.runtime.spawn(Box::pin(attempt.run(Arc::clone(client))));
            }
        }
        None
    }

    /// Lets its streams begin.
    pub(super) fn connect(self, link: &Arc<Link>, parameters: Vec<Outbound>, reply: Inbound) {
        self.plugs.iter().zip(parameters).for_each(|(plug, half)| plug.open(link, half));
        self.reply.open(link, reply);
    }

    /// The same call, for the last time.
    pub(super) fn again(self) -> Self {
        Self { held: false, ..self }
    }

    pub(super) fn refused(self, rejection: Rejection) {
        self.fail(StreamError::Rejected(rejection));
    }

    /// Ready once nobody waits for its reply any more.
    pub(super) fn poll_abandoned(&self, cx: &Context<'_>) -> Poll<()> {
        self.reply.poll_abandoned(cx)
    }

    pub(super) fn lose(self, reason: &LostReason) {
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
