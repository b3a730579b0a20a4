//! A connection shared by its driver and its handles: the protocol's state behind one mutex, and
//! who waits for what.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tracing::Span;
use wirestream_protocol::{CallId, CloseReason, Connection, Event, Inbound, Outbound, Outcome};

use crate::codec::DecodeLimits;
use crate::line::Place;
use crate::report;
use crate::session::Session;
use crate::sync::{AtomicBool, Mutex, MutexGuard};
use crate::waiters::{Waiter, Waiters};

/// Shared by the driver and all handles of a connection.
///
/// The lock is held for short, O(1) sections, never across an await and never while user code
/// runs: values are encoded before it is taken and decoded after. Wakers are woken after it.
#[derive(Debug)]
pub(crate) struct Link {
    decode_limits: DecodeLimits,
    core: Mutex<Core>,
    pub(crate) line: Place,
    /// Whether the driver sleeps, for those who need not know for certain.
    driver_asleep: AtomicBool,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) connection: Connection,
    calls: Vec<CallWakers>,
    /// Calls that the peer opened and nobody has looked at.
    pub(crate) incoming: VecDeque<CallId>,
    /// The driver, if it sleeps.
    pub(crate) sleeping_driver: Option<Waker>,
    /// A shutdown that the driver is to begin, with the time that running calls get.
    pub(crate) shutdown: Option<Duration>,
    /// So many sends later, what there is is written at once; none if it is 0.
    pub(crate) patience: u32,
}

/// Who waits for something of one call.
#[derive(Debug, Default)]
struct CallWakers {
    /// By the half's number. Several may wait to send on one half.
    halves: Vec<Waiters>,
    /// The session whose handler runs, on the callee's side, until the call is over.
    session: Option<Session>,
    /// Until the call is over, if anybody listens to what is told of it.
    span: Option<Span>,
}

/// What is to be done once the lock is free: what to report, whom to wake, and which sessions to
/// let go of, as the last handle of one drops what is the user's.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    wakers: Vec<Waker>,
    sessions: Vec<Session>,
    ends: Vec<Ended>,
}

/// An end that is to be reported.
#[derive(Debug)]
enum Ended {
    Call(Span, Outcome),
    Connection(CloseReason),
}

impl Wakes {
    pub(crate) fn wake(&mut self, link: &Link) {
        if !self.ends.is_empty() {
            self.report(link);
        }
        self.wakers.drain(..).for_each(Waker::wake);
        self.sessions.clear();
    }

    #[cold]
    fn report(&mut self, link: &Link) {
        self.ends.drain(..).for_each(|ended| match ended {
            Ended::Call(span, outcome) => report::call_ended(&span, &outcome),
            Ended::Connection(reason) => report::connection_ended(&link.span, &reason),
        });
    }
}

impl Link {
    pub(crate) fn new(connection: Connection, span: Span) -> Arc<Self> {
        Arc::new(Self {
            span,
            decode_limits: connection.limits().into(),
            line: Place::default(),
            driver_asleep: AtomicBool::new(false),
            core: Mutex::new(Core {
                connection,
                calls: Vec::new(),
                incoming: VecDeque::new(),
                sleeping_driver: None,
                shutdown: None,
                patience: 0,
            }),
        })
    }

    /// How far what is received may go.
    pub(crate) fn decode_limits(&self) -> DecodeLimits {
        self.decode_limits
    }

    /// For the driver, which looks after events and transmission itself.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // Nothing in a locked section panics on its own account; should it, the state machine is
        // still whole enough to end the connection.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a verb of the application, then wakes whom it concerns, the driver included. What is
    /// enough for a write is written at once, if the transport takes it.
    pub(crate) fn with<R>(&self, verb: impl FnOnce(&mut Core) -> R) -> R {
        let mut core = self.lock();
        let result = verb(&mut core);
        let is_worth_writing = core.is_worth_writing(self);
        let driver = self.rouse(&mut core);
        let wakes = core.connection.has_event().then(|| {
            let mut wakes = Wakes::default();
            core.dispatch(&mut wakes);
            wakes
        });
        drop(core);
        if let Some(driver) = driver {
            driver.wake();
        }
        if let Some(mut wakes) = wakes {
            wakes.wake(self);
        }
        if is_worth_writing {
            self.line.write_early(self);
        }
        result
    }

    /// The driver goes to sleep, until it is woken for something new. What is returned is dropped
    /// once the lock is free.
    pub(crate) fn lull(&self, core: &mut Core, driver: &Waker) -> Option<Waker> {
        self.driver_asleep.store(true, Ordering::Relaxed);
        match &core.sleeping_driver {
            Some(waker) if waker.will_wake(driver) => None,
            _ => core.sleeping_driver.replace(driver.clone()),
        }
    }

    /// The driver, if it sleeps: it is to be woken once the lock is free.
    fn rouse(&self, core: &mut Core) -> Option<Waker> {
        self.driver_asleep.store(false, Ordering::Relaxed);
        core.sleeping_driver.take()
    }

    /// Whether nobody will look for something to transmit before the driver is woken. That may be so no
    /// more, or be so meanwhile: only for who looks again with the next message, and leaves nothing
    /// unsent when it waits. Who decides by it whether to wake must see it under the lock instead.
    pub(crate) fn is_driver_asleep(&self) -> bool {
        self.driver_asleep.load(Ordering::Relaxed)
    }

    /// Tells in its span that a call came in, and how it ends.
    pub(crate) fn watch(&self, call: CallId, span: &Span, session: Option<&Session>) {
        if span.is_disabled() {
            return;
        }
        report::call_begun(span, call, session);
        if let Some(outcome) = self.with(|core| core.watch(call, span)) {
            report::call_ended(span, &outcome);
        }
    }

    /// As [`with`](Self::with), for verbs that only queue something to transmit: the driver is
    /// woken if there is something for it.
    #[inline]
    pub(crate) fn transmit_with<R>(&self, verb: impl FnOnce(&mut Core) -> R) -> R {
        self.transmit_and(verb, |_| false).0
    }

    /// As [`transmit_with`](Self::transmit_with), for what sends a message: what is enough for a write
    /// is written at once, if the transport takes it.
    #[inline]
    pub(crate) fn send_with<R>(&self, verb: impl FnOnce(&mut Core) -> R) -> R {
        let (result, is_worth_writing) =
            self.transmit_and(verb, |core| core.is_worth_writing(self));
        if is_worth_writing {
            self.line.write_early(self);
        }
        result
    }

    #[inline]
    fn transmit_and<R, S>(
        &self,
        verb: impl FnOnce(&mut Core) -> R,
        look: impl FnOnce(&mut Core) -> S,
    ) -> (R, S) {
        let mut core = self.lock();
        let result = verb(&mut core);
        let seen = look(&mut core);
        let driver = match core.sleeping_driver.is_some() && core.connection.has_transmit() {
            true => self.rouse(&mut core),
            false => None,
        };
        drop(core);
        if let Some(driver) = driver {
            driver.wake();
        }
        (result, seen)
    }
}

impl Core {
    /// Whether what was sent is enough for a write, or has been waited for long enough.
    #[inline]
    fn is_worth_writing(&mut self, link: &Link) -> bool {
        if !self.connection.has_transmit() {
            return false;
        }
        let patience = self.patience;
        self.patience = patience.saturating_sub(1);
        patience == 1 || self.connection.sendable() >= link.line.worth_writing()
    }

    /// Notes the events of the connection: who is to be woken, what has come in.
    pub(crate) fn dispatch(&mut self, wakes: &mut Wakes) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Incoming(id) => self.incoming.push_back(id),
                Event::Readable(half) => self.wake_half(half.call(), half.index(), wakes),
                Event::Writable(half) | Event::Stopped(half) => {
                    self.wake_half(half.call(), half.index(), wakes);
                }
                Event::Accepted(id) => self.wake_half(id, 0, wakes),
                // Who waits on its halves is told of each of them.
                Event::Ended(id, outcome) => self.end_call(id, outcome, wakes),
                Event::Closed(reason) => wakes.ends.push(Ended::Connection(reason)),
                _ => {}
            }
        }
    }

    fn wake_half(&mut self, call: CallId, half: usize, wakes: &mut Wakes) {
        let waiting = self.calls.get_mut(call.slot()).and_then(|call| call.halves.get_mut(half));
        if let Some(waiting) = waiting {
            wakes.wakers.extend(waiting.take());
        }
    }

    fn end_call(&mut self, id: CallId, outcome: Outcome, wakes: &mut Wakes) {
        let Some(call) = self.calls.get_mut(id.slot()) else { return };
        wakes.ends.extend(call.span.take().map(|span| Ended::Call(span, outcome)));
        if let Some(session) = call.session.take() {
            wakes.wakers.extend(session.call_ended());
            wakes.sessions.push(session);
        }
    }

    /// Whoever waits here is woken when there may be something to receive. What is returned is
    /// dropped once the lock is free.
    #[must_use = "a waker is dropped once the lock is free"]
    pub(crate) fn wait_readable(
        &mut self,
        half: Inbound,
        waiter: &mut Waiter,
        cx: &Context<'_>,
    ) -> Option<Waker> {
        self.waiters(half.call(), half.index()).add(waiter, cx)
    }

    /// As [`wait_readable`](Self::wait_readable), for room to send and for the half's end.
    #[must_use = "a waker is dropped once the lock is free"]
    pub(crate) fn wait_writable(
        &mut self,
        half: Outbound,
        waiter: &mut Waiter,
        cx: &Context<'_>,
    ) -> Option<Waker> {
        self.waiters(half.call(), half.index()).add(waiter, cx)
    }

    fn waiters(&mut self, call: CallId, half: usize) -> &mut Waiters {
        let call = self.call_wakers(call);
        if call.halves.len() <= half {
            call.halves.resize_with(half + 1, Waiters::default);
        }
        &mut call.halves[half]
    }

    /// Ties a session to a call, so that it learns of the call's end. Whether that is still to
    /// come: so each call takes its own session away again, before another can have its slot.
    pub(crate) fn attach(&mut self, call: CallId, session: Session) -> bool {
        let is_live = !self.connection.is_over(call);
        if is_live {
            self.call_wakers(call).session = Some(session);
        }
        is_live
    }

    /// Has it told in its span how a call ends. The end, if that has come.
    pub(crate) fn watch(&mut self, call: CallId, span: &Span) -> Option<Outcome> {
        if self.connection.is_over(call) {
            let closed = self.connection.closed().cloned();
            return Some(closed.map_or(Outcome::Cancelled, Outcome::Lost));
        }
        if !span.is_disabled() {
            self.call_wakers(call).span = Some(span.clone());
        }
        None
    }

    fn call_wakers(&mut self, call: CallId) -> &mut CallWakers {
        let slot = call.slot();
        if self.calls.len() <= slot {
            if slot == 0 {
                self.calls.reserve_exact(1); // many connections have one call and no more
            }
            self.calls.resize_with(slot + 1, CallWakers::default);
        }
        &mut self.calls[slot]
    }
}
