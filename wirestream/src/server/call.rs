use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt;
use wirestream_protocol::{CallId, RejectCode, Rejection};

use crate::link::Link;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::session::Session;
use crate::transport::BoxFuture;

/// A call that has come in and is not answered. Dropped unanswered, it is refused as
/// [`RejectCode::Failed`].
pub struct IncomingCall {
    pub(super) link: Arc<Link>,
    pub(super) id: CallId,
    pub(super) session: Session,
    pub(super) parameters: u8,
    pub(super) arguments: Bytes,
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
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Accepted").field(&self.session).finish()
    }
}

/// Runs a method until it returns, panics, or its call is over; then frees the call's slot and
/// closes its session. In that order: the slot stays taken until the handler was dropped
/// (R-CALL-6).
pub(super) async fn run(link: Arc<Link>, id: CallId, session: Session, handler: BoxFuture<()>) {
    let slot = Slot { link, id };
    let ended_before = slot.link.with(|core| {
        core.attach(id, session.clone());
        core.connection.is_over(id)
    });
    let mut handler = AssertUnwindSafe(handler).catch_unwind();
    if !ended_before {
        poll_fn(|cx| {
            if session.poll_call_ended(cx).is_ready() {
                return Poll::Ready(());
            }
            // A panic was reported by the panic hook, and its reply failed as it was dropped.
            handler.poll_unpin(cx).map(drop)
        })
        .await;
    }
    let _ = catch_unwind(AssertUnwindSafe(|| drop(handler)));
    drop(slot);
    session.close().await;
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

/// The refusal of arguments that do not fit.
pub(super) fn invalid(detail: impl Into<Box<str>>) -> Rejection {
    Rejection::new(RejectCode::InvalidArguments, detail)
}
