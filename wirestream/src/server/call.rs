// An `async fn` keeps what it is given twice over, for as long as a call lives.
#![allow(clippy::manual_async_fn)]

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use pin_project_lite::pin_project;
use serde::Serialize;
use wirestream_protocol::{CallId, Fault, RejectCode, Rejection};

use super::access::{Admission, Running};
use super::endpoint::{Arguments, IntoFault, Parameters};
use crate::codec::decode;
use crate::contract::Fingerprint;
use crate::error::{NoError, SendError};
use crate::link::Link;
use crate::receiver::Receiver;
use crate::report;
use crate::sender::{Sender, Unsent};
use crate::session::{Session, Unclosed};
use crate::transport::BoxFuture;

/// A call that has come in and is not answered. Dropped unanswered, it is refused as
/// [`RejectCode::Failed`].
pub struct IncomingCall {
    pub(super) link: Arc<Link>,
    pub(super) id: CallId,
    pub(super) session: Session,
    pub(super) parameters: u8,
    pub(super) arguments: Bytes,
    pub(super) fingerprint: Option<[u8; 8]>,
}

impl IncomingCall {
    /// The call's session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// How many parameter streams the caller sends.
    pub fn parameters(&self) -> usize {
        self.parameters.into()
    }

    /// The encoded arguments.
    pub fn arguments(&self) -> &[u8] {
        &self.arguments
    }

    /// The fingerprint of the contract that the caller was built with, if it told.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint.map(Fingerprint::from_bytes)
    }

    /// Decodes the arguments, checks the number of parameter streams, and accepts the call; or
    /// refuses it as [`RejectCode::InvalidArguments`]. `None` if it was refused, or the caller gave
    /// it up.
    pub fn prepare<A: Arguments, P: Parameters>(self) -> Option<(Accepted, A, P)> {
        let (arguments, present) = match self.check::<A, P>() {
            Ok(checked) => checked,
            Err(rejection) => {
                self.reject(rejection);
                return None;
            }
        };
        let mut accepted = self.accept()?;
        let parameters = P::take(&mut accepted, present)?;
        Some((accepted, arguments, parameters))
    }

    /// The arguments (R-OPEN-11, R-DATA-2), and which of the optional parameters are present
    /// (R-OPEN-12).
    fn check<A: Arguments, P: Parameters>(&self) -> Result<(A, u16), Rejection> {
        let limits = self.link.decode_limits();
        let called = || described(&self.session);
        let decoded = match P::OPTIONAL {
            0 => decode(&self.arguments, limits).map(|arguments| (arguments, 0)),
            _ => decode::<(A, u16)>(&self.arguments, limits),
        };
        let (arguments, present) = decoded.map_err(|error| {
            invalid(format!("the arguments do not decode as those of {}: {error}", called()))
        })?;
        if present & !P::OPTIONAL != 0 {
            let detail = "was told of a parameter stream that is not optional";
            return Err(invalid(format!("{} {detail}", called())));
        }
        let sent = self.parameters();
        let absent = (P::OPTIONAL ^ present).count_ones() as usize;
        let wanted = P::COUNT.map_or(sent, |count| count - absent);
        if wanted != sent {
            let streams = if sent == 1 { "parameter stream" } else { "parameter streams" };
            let are = if wanted == 1 { "is" } else { "are" };
            let detail = format!("{sent} {streams}, where {wanted} {are} expected");
            return Err(invalid(format!("{} was sent {detail}", called())));
        }
        Ok((arguments, present))
    }

    /// The refusal of a caller whose contract is none of those that are `accepted`, the first of
    /// which is this side's own (R-OPEN-10).
    pub(super) fn differs_from(&self, accepted: Option<&[Fingerprint]>) -> Option<Rejection> {
        let (theirs, accepted) = self.fingerprint().zip(accepted)?;
        if accepted.contains(&theirs) {
            return None;
        }
        let ours = accepted.first()?;
        let (endpoint, method) = (self.session.endpoint(), self.session.method());
        let detail = format!(
            "the caller was built with contract {theirs} of method `{endpoint}.{method}`, the \
             server with {ours}"
        );
        Some(Rejection::new(RejectCode::ContractMismatch, detail))
    }

    /// Accepts the call. `None` if the caller gave it up.
    pub fn accept(self) -> Option<Accepted> {
        let accepted = self.link.with(|core| {
            let mut call = core.connection.call(self.id)?;
            call.accept().ok()
        });
        accepted?;
        Some(Accepted {
            link: self.link,
            id: self.id,
            session: self.session,
            parameters: self.parameters,
            next: 1,
            replied: false,
        })
    }

    /// Refuses the call.
    pub fn reject(self, rejection: impl Into<Rejection>) {
        let rejection = rejection.into();
        self.link.with(|core| {
            // Late if the caller gave it up.
            let _ = core.connection.call(self.id).map(|mut call| call.reject(rejection));
        });
    }
}

impl fmt::Debug for IncomingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IncomingCall").field(&self.session).finish()
    }
}

/// A call that was accepted: its parameter streams, in order, and its reply.
pub struct Accepted {
    link: Arc<Link>,
    id: CallId,
    session: Session,
    parameters: u8,
    next: u8,
    replied: bool,
}

impl Accepted {
    /// The call's session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The next parameter stream. `None` after the last.
    pub fn parameter<T, E>(&mut self) -> Option<Receiver<T, E>> {
        if self.next > self.parameters {
            return None;
        }
        let half = self.link.lock().connection.call(self.id)?.inbound(self.next)?;
        self.next += 1;
        Some(Receiver::parameter(Arc::clone(&self.link), half))
    }

    /// The reply. `None` if it was taken before, or the call is over.
    pub fn reply<T, E>(&mut self) -> Option<Sender<T, E>> {
        if std::mem::replace(&mut self.replied, true) {
            return None;
        }
        let half = self.link.lock().connection.call(self.id)?.outbound(0)?;
        Some(Sender::open(Arc::clone(&self.link), half))
    }

    /// Replies with what `stream` yields, until it ends, fails, or the caller wants no more. It
    /// may borrow from the session and from whatever else lives as long as this future.
    ///
    /// Dropping the future cancels the reply, behind what was sent; before its first poll, it fails
    /// the reply.
    pub fn reply_stream<T: Serialize, E: IntoFault>(
        mut self,
        stream: impl Stream<Item = Result<T, E>>,
    ) -> impl Future<Output = ()> {
        async move {
            let Some(reply) = self.reply::<T, E>() else { return };
            // Dropped behind the reply's end, which stands whatever happens then.
            let mut stream = pin!(stream);
            match reply.send_results(stream.as_mut()).await {
                Ok(Ok(())) => reply.end_with(Ok(())),
                Ok(Err(error)) => reply.end_with(Err(fault(&self.session, error))),
                Err(SendError::Stopped | SendError::Lost(_)) => {}
                // The message cannot be sent, and must not be missing silently.
                Err(
                    error @ (SendError::TooLarge { .. }
                    | SendError::Encode(_)
                    | SendError::NotReady),
                ) => {
                    report::reply_failed(&self.session, &error);
                    reply.end_with(Err(Fault::Failed));
                }
            }
        }
    }

    /// As [`reply_stream`](Self::reply_stream), with a stream that cannot fail.
    pub fn reply_items<T: Serialize>(
        self,
        stream: impl Stream<Item = T>,
    ) -> impl Future<Output = ()> {
        self.reply_stream(stream.map(Ok::<T, NoError>))
    }

    /// Replies with what `value` resolves to. It may borrow as [`reply_stream`](Self::reply_stream)
    /// says.
    ///
    /// Dropping the future cancels the reply, behind what was sent; before its first poll, it fails
    /// the reply.
    pub fn reply_value<T: Serialize, E: IntoFault>(
        mut self,
        value: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = ()> {
        async move {
            let Some(reply) = self.reply::<T, E>() else { return };
            let sent = match value.await {
                Err(error) => return reply.end_with(Err(fault(&self.session, error))),
                Ok(value) => reply.send_last(&value),
            };
            let sent = match sent {
                Ok(()) => Ok(()),
                Err(Unsent::For(error)) => Err(error),
                // Boxed, as it is rare.
                Err(Unsent::Yet(reply, message)) => {
                    Box::pin(reply.send_last_encoded(message)).await
                }
            };
            if let Err(error) = sent {
                report::reply_failed(&self.session, &error);
            }
        }
    }

    /// As [`reply_value`](Self::reply_value), with a future that cannot fail.
    pub fn reply_item<T: Serialize>(
        self,
        value: impl Future<Output = T>,
    ) -> impl Future<Output = ()> {
        self.reply_value(value.map(Ok::<T, NoError>))
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Accepted").field(&self.session).finish()
    }
}

/// What an optional method of an [`endpoint`](macro@crate::endpoint) returns where a service leaves
/// it out: neither a value nor an item nor an end. The endpoint has no such method then.
#[must_use = "it stands for a reply"]
pub struct NotImplemented<T>(PhantomData<fn() -> T>);

impl<T: 'static> NotImplemented<T> {
    /// What such a method returns.
    #[allow(clippy::new_without_default, reason = "nothing is made by default that never ends")]
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// Whether this is what `method` returns. It is not called.
    pub fn is_returned_by<S: 'static, A, P, R: 'static>(
        _method: fn(&'static S, &'static Session, A, P) -> R,
    ) -> bool {
        TypeId::of::<R>() == TypeId::of::<Self>()
    }
}

impl<T> Future for NotImplemented<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        Poll::Pending
    }
}

impl<T> Stream for NotImplemented<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Pending
    }
}

impl<T> fmt::Debug for NotImplemented<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NotImplemented")
    }
}

/// What a call passes before it comes to its method, if its caller matters.
pub(super) struct Entrance {
    pub(super) admission: Admission,
    /// The contracts that the caller may be built with, if that matters.
    pub(super) accepted: Option<Arc<[Fingerprint]>>,
}

impl Entrance {
    /// Lets a call in, which is given back, or refuses it.
    async fn admit(self: Box<Self>, call: IncomingCall) -> Option<(IncomingCall, Option<Running>)> {
        let Self { admission, accepted } = *self;
        let admitted = admission.admit(&call).await;
        let admitted = admitted.and_then(|running| match call.differs_from(accepted.as_deref()) {
            None => Ok(running),
            Some(rejection) => Err(rejection),
        });
        match admitted {
            Ok(running) => Some((call, running)),
            Err(rejection) => {
                call.reject(rejection);
                None
            }
        }
    }
}

/// What a call is let in with, and what keeps it among those that a revocation ends.
type Admitting = BoxFuture<Option<(IncomingCall, Option<Running>)>>;

pin_project! {
    /// What is done with a call, in one piece of memory: an `async fn` would keep room for the call,
    /// and for what else it has moved on, for as long as the method runs.
    #[project = Stage]
    enum Handler<F, Fut> {
        Waiting { call: Option<(IncomingCall, Arc<F>)> },
        Admitting { admitting: Admitting, method: Arc<F> },
        Running { #[pin] method: Fut, running: Option<Running> },
        Done,
    }
}

impl<F: Fn(IncomingCall) -> Fut, Fut: Future<Output = ()>> Handler<F, Fut> {
    fn new(call: IncomingCall, entrance: Option<Box<Entrance>>, method: Arc<F>) -> Self {
        match entrance {
            None => Self::Waiting { call: Some((call, method)) },
            // Boxed, as a call takes its room for as long as it lives.
            Some(entrance) => Self::Admitting { admitting: Box::pin(entrance.admit(call)), method },
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let next = match self.as_mut().project() {
                Stage::Waiting { call } => call
                    .take()
                    .map(|(call, method)| Self::Running { method: method(call), running: None }),
                Stage::Admitting { admitting, method } => {
                    let admitted = ready!(admitting.as_mut().poll(cx));
                    admitted.map(|(call, running)| Self::Running { method: method(call), running })
                }
                Stage::Running { method, .. } => return method.poll(cx),
                Stage::Done => return Poll::Ready(()),
            };
            self.set(next.unwrap_or(Self::Done));
        }
    }
}

pin_project! {
    /// What runs a call: its method until that is done, panics, or the call is over. Then it frees
    /// the call's slot and closes its session. In that order: the slot stays taken until the
    /// handler was dropped (R-CALL-6).
    pub(super) struct Task<F, Fut> {
        #[pin]
        handler: Handler<F, Fut>,
        listeners: Listeners,
        slot: Option<Slot>,
        session: Option<Unclosed>,
        hooks: Option<BoxFuture<()>>,
    }
}

impl<F: Fn(IncomingCall) -> Fut, Fut: Future<Output = ()>> Task<F, Fut> {
    /// The call's session is told of its end from now on.
    pub(super) fn new(call: IncomingCall, entrance: Option<Box<Entrance>>, method: Arc<F>) -> Self {
        let session = call.session.clone();
        let slot = Slot { link: Arc::clone(&call.link), id: call.id };
        let is_live = slot.link.lock().attach(slot.id, session.clone());
        Self {
            handler: match is_live {
                true => Handler::new(call, entrance, method),
                false => Handler::Done,
            },
            listeners: Listeners::default(),
            slot: Some(slot),
            session: Some(Unclosed(session)),
            hooks: None,
        }
    }
}

impl<F: Fn(IncomingCall) -> Fut, Fut: Future<Output = ()>> Future for Task<F, Fut> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(Unclosed(session)) = this.session {
            let panicked = |panic| report::method_panicked(session, panic);
            if session.poll_call_ended(&mut this.listeners.new, cx).is_pending() {
                this.listeners.poll(cx);
                match catch_unwind(AssertUnwindSafe(|| this.handler.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(())) => {}
                    Err(panic) => panicked(panic), // its reply failed as that dropped it
                }
            }
            let dropped = catch_unwind(AssertUnwindSafe(|| this.handler.set(Handler::Done)));
            dropped.unwrap_or_else(panicked);
            *this.listeners = Listeners::default();
            *this.slot = None;
        }
        if let Some(session) = this.session.take() {
            *this.hooks = session.close();
        }
        this.hooks.as_mut().map_or(Poll::Ready(()), |hooks| hooks.as_mut().poll(cx))
    }
}

/// The listeners of a session, each run until it was removed. None of them panics.
#[derive(Default)]
struct Listeners {
    new: Vec<BoxFuture<()>>,
    running: Option<FuturesUnordered<BoxFuture<()>>>,
}

impl Listeners {
    fn poll(&mut self, cx: &mut Context<'_>) {
        if !self.new.is_empty() {
            self.running.get_or_insert_default().extend(self.new.drain(..));
        }
        let Some(running) = &mut self.running else { return };
        while let Poll::Ready(Some(())) = running.poll_next_unpin(cx) {}
    }
}

/// A call's slot on the callee's side. Freed when it is dropped, the call ended if it was not.
struct Slot {
    link: Arc<Link>,
    id: CallId,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.link.with(|core| core.connection.release(self.id));
    }
}

/// What a reply ends with for an error; what does not travel of it is told here.
fn fault(session: &Session, error: impl IntoFault) -> Fault {
    let (fault, untold) = error.into_fault();
    if let Some(failure) = untold {
        report::method_failed(session, &failure);
    }
    fault
}

/// The method that a session is of, as refusals name it.
pub(super) fn described(session: &Session) -> String {
    format!("`{}.{}`", session.endpoint(), session.method())
}

/// The refusal of arguments that do not fit.
pub(super) fn invalid(detail: impl Into<Box<str>>) -> Rejection {
    Rejection::new(RejectCode::InvalidArguments, detail)
}
