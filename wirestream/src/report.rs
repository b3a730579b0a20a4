//! What is told to `tracing`: every span and every event of this crate. The guide's page
//! [Watching it run](crate::guide::watching) lists them.
//!
//! Nothing is told while a lock is held, nothing for each message, and nothing that a peer or a user
//! sends as a payload or a token. What the peer chooses, the names of methods say, is told as a string
//! value, which subscribers quote.

use std::any::Any;
use std::error::Error;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::field::Empty;
use tracing::{Span, debug, error, info, info_span, warn};
use wirestream_protocol::{CallId, CloseReason, Outcome, Role};

use crate::server::Failed;
use crate::session::{Session, split_method};
use crate::transport::ConnectError;

/// A panic that was caught.
type Panic = Box<dyn Any + Send>;

/// The span of a connection.
pub(crate) fn connection(role: Role, peer: Option<SocketAddr>) -> Span {
    let side = match role {
        Role::Client => "client",
        Role::Server => "server",
    };
    let peer = peer.map(tracing::field::display);
    info_span!(target: "wirestream::connection", parent: None, "connection", side, peer, end = Empty)
}

pub(crate) fn connection_begun(connection: &Span) {
    debug!(target: "wirestream::connection", parent: connection, "the connection has begun");
}

pub(crate) fn connection_ended(connection: &Span, reason: &CloseReason) {
    let text = reason.to_string();
    connection.record("end", &*text);
    match reason {
        CloseReason::Violation(violation) => warn!(
            target: "wirestream::connection", parent: connection,
            rule = violation.rule(), reason = text, "the peer broke a rule"
        ),
        CloseReason::Accused(_) => warn!(
            target: "wirestream::connection", parent: connection,
            reason = text, "the peer says that this side broke a rule"
        ),
        CloseReason::Version { .. } | CloseReason::VersionRefused(_) => warn!(
            target: "wirestream::connection", parent: connection,
            reason = text, "the peer speaks another version of the protocol"
        ),
        _ => debug!(
            target: "wirestream::connection", parent: connection,
            reason = text, "the connection has ended"
        ),
    }
}

pub(crate) fn attempt_failed(error: &ConnectError, retry_in: Option<std::time::Duration>) {
    let retry_in = retry_in.map(tracing::field::debug);
    debug!(
        target: "wirestream::connection",
        reason = error.to_string(), retry_in, "no connection could be made"
    );
}

/// The span of a call, within that of its connection.
pub(crate) fn call(connection: &Span, method: &str) -> Span {
    let (endpoint, method) = split_method(method);
    info_span!(
        target: "wirestream::call", parent: connection, "call",
        endpoint, method, call = Empty, session = Empty, end = Empty
    )
}

pub(crate) fn call_begun(call: &Span, id: CallId, session: Option<&Session>) {
    if call.is_disabled() {
        return;
    }
    call.record("call", tracing::field::display(id));
    if let Some(session) = session {
        call.record("session", tracing::field::display(session.id()));
    }
    debug!(target: "wirestream::call", parent: call, "the call has begun");
}

pub(crate) fn call_ended(call: &Span, outcome: &Outcome) {
    let (end, code) = match outcome {
        Outcome::Finished => ("finished", None),
        Outcome::Failed => ("failed", None),
        Outcome::Rejected(rejection) => ("rejected", Some(tracing::field::display(rejection.code))),
        Outcome::Cancelled => ("cancelled", None),
        Outcome::Lost(_) => ("lost", None),
        _ => ("other", None),
    };
    call.record("end", end);
    debug!(target: "wirestream::call", parent: call, end, code, "the call has ended");
}

/// A failure of which its caller learns no detail, told here and nowhere else.
pub(crate) fn method_failed(session: &Session, failure: &Failed) {
    warn!(
        target: "wirestream::call",
        endpoint = session.endpoint(), method = session.method(), session = %session.id(),
        error = failure.as_error(), "the method failed"
    );
}

/// What a method sent is not what its caller gets.
pub(crate) fn reply_failed(session: &Session, failure: &(dyn Error + 'static)) {
    warn!(
        target: "wirestream::call",
        endpoint = session.endpoint(), method = session.method(), session = %session.id(),
        error = failure, "the reply could not be sent"
    );
}

pub(crate) fn method_panicked(session: &Session, panic: Panic) {
    error!(
        target: "wirestream::call",
        endpoint = session.endpoint(), method = session.method(), session = %session.id(),
        panic = text(&*panic), "the method panicked"
    );
    forget(panic);
}

pub(crate) fn close_hook_panicked(session: &Session, panic: Panic) {
    error!(
        target: "wirestream::call",
        endpoint = session.endpoint(), method = session.method(), session = %session.id(),
        panic = text(&*panic), "a close hook panicked"
    );
    forget(panic);
}

pub(crate) fn listener_panicked(channel: &str, panic: Panic) {
    error!(target: "wirestream::call", channel, panic = text(&*panic), "a listener panicked");
    forget(panic);
}

pub(crate) fn authenticator_failed(failure: &Failed) {
    warn!(target: "wirestream::call", error = failure.as_error(), "the authenticator failed");
}

pub(crate) fn authenticator_panicked(panic: Panic) {
    error!(target: "wirestream::call", panic = text(&*panic), "the authenticator panicked");
    forget(panic);
}

pub(crate) fn parameter_panicked(panic: Panic) {
    error!(target: "wirestream::call", panic = text(&*panic), "a parameter stream panicked");
    forget(panic);
}

pub(crate) fn token_provider_panicked(panic: Panic) {
    error!(target: "wirestream::connection", panic = text(&*panic), "the token provider panicked");
    forget(panic);
}

pub(crate) fn token_too_long() {
    warn!(target: "wirestream::connection", "the token provider gave a token that is too long");
}

pub(crate) fn shutdown_begun(connections: usize, drain: std::time::Duration) {
    info!(target: "wirestream::connection", connections, ?drain, "the server shuts down");
}

pub(crate) fn shutdown_done() {
    info!(target: "wirestream::connection", "the server has shut down");
}

/// What is the user's panicked as it was dropped.
pub(crate) fn drop_panicked(panic: Panic) {
    error!(target: "wirestream::call", panic = text(&*panic), "a value panicked as it was dropped");
    forget(panic);
}

/// What a panic said.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// What somebody panicked with may panic when it is dropped.
fn forget(panic: Panic) {
    catch_unwind(AssertUnwindSafe(|| drop(panic))).unwrap_or_else(std::mem::forget);
}
