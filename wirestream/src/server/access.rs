//! Who may call what: the authenticator's answers, and the calls that end when a right is revoked.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::Shared;
use wirestream_protocol::{CallId, Fault, RejectCode, Rejection, Time, Token};

use super::Failed;
use super::call::{IncomingCall, described};
use crate::authentication::{Access, Authentication, Revocation};
use crate::link::Link;
use crate::report;
use crate::session::Session;
use crate::transport::BoxFuture;

/// What the application's authenticator is, whatever its type.
pub(super) type Authenticator =
    Arc<dyn Fn(Token) -> BoxFuture<Result<Option<Authentication>, Failed>> + Send + Sync>;

/// An authenticator's answer.
#[derive(Clone)]
enum Answer {
    Known(Authentication),
    Unknown,
    /// It failed or panicked.
    Failed,
}

fn look_up(authenticator: &Authenticator, token: Token) -> BoxFuture<Answer> {
    let authenticator = Arc::clone(authenticator);
    // Its own code, too, runs within the call's task, and may panic.
    let answer = AssertUnwindSafe(async move { authenticator(token).await }).catch_unwind();
    Box::pin(answer.map(|answer| match answer {
        Ok(Ok(Some(caller))) => Answer::Known(caller),
        Ok(Ok(None)) => Answer::Unknown,
        Ok(Err(failure)) => {
            report::authenticator_failed(&failure);
            Answer::Failed
        }
        Err(panic) => {
            report::authenticator_panicked(panic);
            Answer::Failed
        }
    }))
}

/// Who a connection's token belongs to: looked up once for all calls, those at the same time too.
#[derive(Default)]
pub(super) struct Caller(Mutex<Option<Known>>);

struct Known {
    token: Token,
    since: Time,
    answer: Shared<BoxFuture<Answer>>,
}

impl Caller {
    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&self, authenticator: &Authenticator, token: &Token, now: Time) -> Answer {
        let answer = {
            let mut known = self.known();
            let holds = known.as_ref().is_some_and(|known| known.holds(token, now));
            if !holds {
                let answer = look_up(authenticator, token.clone()).shared();
                *known = Some(Known { token: token.clone(), since: now, answer });
            }
            known.as_ref().map(|known| known.answer.clone())
        };
        match answer {
            Some(answer) => answer.await,
            None => Answer::Failed,
        }
    }

    /// Forgets who the caller is, whoever that was.
    pub(super) fn forget_whoever(&self) {
        let known = self.known().take();
        drop(known); // perhaps the authenticator's own future
    }

    /// Forgets who the caller is, if that is concerned or not known yet.
    fn forget(&self, revocation: &Revocation) {
        self.known().take_if(|known| match known.answer.peek() {
            Some(Answer::Known(caller)) => revocation.concerns(caller),
            Some(Answer::Unknown | Answer::Failed) | None => true,
        });
    }
}

impl Known {
    /// Whether it is the answer for this token, or will be: only who is known stays known.
    fn holds(&self, token: &Token, now: Time) -> bool {
        self.token == *token
            && match self.answer.peek() {
                None => true,
                Some(Answer::Unknown | Answer::Failed) => false,
                Some(Answer::Known(caller)) => {
                    caller.validity().is_none_or(|time| now < self.since + time)
                }
            }
    }
}

/// The protected calls of a server.
#[derive(Default)]
pub(super) struct Guard(Mutex<Calls>);

#[derive(Default)]
struct Calls {
    last: u64,
    running: BTreeMap<u64, Protected>,
    /// Calls whose caller is being looked up.
    entering: usize,
    /// What was revoked since `entering` was zero: it concerns them as well.
    revoked: Vec<Revocation>,
}

/// A call that ends when a right is revoked.
#[derive(Clone)]
struct Protected {
    link: Arc<Link>,
    id: CallId,
    session: Session,
    caller: Authentication,
    access: Arc<Access>,
}

/// What a call is asked on its way in.
pub(super) struct Admission {
    pub(super) guard: Arc<Guard>,
    pub(super) access: Arc<Access>,
    pub(super) authenticator: Option<Authenticator>,
    /// Whom the connection's token belongs to.
    pub(super) caller: Arc<Caller>,
}

impl Admission {
    /// Finds out who calls and whether that may be. What is returned keeps the call among those
    /// that a revocation ends.
    pub(super) async fn admit(self, call: &IncomingCall) -> Result<Option<Running>, Rejection> {
        let Self { guard, access, authenticator, caller } = &self;
        let session = &call.session;
        let (Some(token), Some(authenticator)) = (session.token(), authenticator) else {
            return match access.is_protected() {
                true => Err(unauthenticated(session, "needs a caller who is signed in")),
                false => Ok(None),
            };
        };
        let entry = Entry::new(guard);
        let (own, now) = {
            let core = call.link.lock();
            (core.connection.peer_token() != Some(token), core.connection.now())
        };
        let answer = match own {
            true => look_up(authenticator, token.clone()).await,
            false => caller.look_up(authenticator, token, now).await,
        };
        match answer {
            Answer::Known(caller) => entry.finish(call, access, caller),
            Answer::Unknown if access.is_protected() => {
                Err(unauthenticated(session, "needs a caller whose token is known"))
            }
            Answer::Unknown => Ok(None),
            Answer::Failed => Err(RejectCode::Failed.into()),
        }
    }
}

impl Guard {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what is concerned. How many calls those were.
    pub(super) fn revoke<'a>(
        &self,
        revocation: &Revocation,
        callers: impl Iterator<Item = &'a Caller>,
    ) -> usize {
        // First: who comes in from now on is looked up anew, who is on the way in is told below.
        callers.for_each(|caller| caller.forget(revocation));
        let concerned: Vec<_> = {
            let mut calls = self.calls();
            if calls.entering > 0 {
                calls.revoked.push(revocation.clone());
            }
            let running = calls.running.values();
            running.filter(|call| call.is_closed_by(revocation)).cloned().collect()
        };
        concerned.iter().filter(|call| call.end()).count()
    }
}

/// A call on its way in. While there is one, revocations are remembered.
struct Entry {
    guard: Arc<Guard>,
    /// Those before are none of its concern.
    since: usize,
}

impl Entry {
    fn new(guard: &Arc<Guard>) -> Self {
        let mut calls = guard.calls();
        calls.entering += 1;
        let since = calls.revoked.len();
        drop(calls);
        Self { guard: Arc::clone(guard), since }
    }

    /// Lets the caller in, unless it lacks a right or lost it meanwhile.
    fn finish(
        self,
        call: &IncomingCall,
        access: &Arc<Access>,
        caller: Authentication,
    ) -> Result<Option<Running>, Rejection> {
        let session = &call.session;
        if let Some(scope) = access.missing(&caller) {
            return Err(forbidden(session, &format!("needs the scope `{scope}`")));
        }
        session.authenticated(caller.clone());
        if !access.is_protected() {
            return Ok(None);
        }
        let mut calls = self.guard.calls();
        let revoked = calls.revoked.get(self.since..).unwrap_or_default();
        if let Some(revocation) = revoked.iter().find(|revoked| revoked.closes(&caller, access)) {
            return Err(match revocation {
                Revocation::Scope { .. } => forbidden(session, "needs a scope that was revoked"),
                Revocation::User(_) | Revocation::Token { .. } => {
                    unauthenticated(session, "needs a caller whose rights were not revoked")
                }
            });
        }
        calls.last += 1;
        let number = calls.last;
        let (link, access) = (Arc::clone(&call.link), Arc::clone(access));
        let protected = Protected { link, id: call.id, session: session.clone(), caller, access };
        calls.running.insert(number, protected);
        Ok(Some(Running { guard: Arc::clone(&self.guard), number }))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut calls = self.guard.calls();
        calls.entering -= 1;
        if calls.entering == 0 {
            calls.revoked = Vec::new();
        }
    }
}

/// A protected call's place among those that run, given up when it is dropped.
pub(super) struct Running {
    guard: Arc<Guard>,
    number: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        let removed = self.guard.calls().running.remove(&self.number);
        drop(removed); // perhaps the session's last handle: outside the lock
    }
}

impl Protected {
    fn is_closed_by(&self, revocation: &Revocation) -> bool {
        revocation.closes(&self.caller, &self.access)
    }

    /// Tells the caller, and drops the handler. Whether that ended it: not if it was over before, or
    /// its reply was ending by itself.
    fn end(&self) -> bool {
        let has_ended = self.link.with(|core| {
            if core.connection.is_over(self.id) {
                return false; // its handler is about to be dropped
            }
            let Some(mut call) = core.connection.call(self.id) else { return false };
            match call.outbound(0) {
                Some(reply) => core.connection.finish(reply, Err(Fault::Revoked)).is_ok(),
                None => call.reject(RejectCode::Forbidden).is_ok(),
            }
        });
        if let Some(handler) = self.session.call_ended() {
            handler.wake();
        }
        has_ended
    }
}

fn unauthenticated(session: &Session, detail: &str) -> Rejection {
    Rejection::new(RejectCode::Unauthenticated, format!("{} {detail}", described(session)))
}

fn forbidden(session: &Session, detail: &str) -> Rejection {
    Rejection::new(RejectCode::Forbidden, format!("{} {detail}", described(session)))
}
