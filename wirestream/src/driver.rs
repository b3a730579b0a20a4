//! The future that owns a transport and moves packets between it and the connection's state. Tasks
//! that send a lot borrow the transport between its turns (see [`crate::line`]).

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use wirestream_protocol::{CallId, CloseReason, Request, Time};

use crate::line::Line;
use crate::link::{Link, Wakes};
use crate::transport::{Timer, Transport, TransportError};

/// Packets taken from the transport in one turn, at most: so few that what was taken is read, and
/// its credit on its way back, before a window is used up.
const RECEIVED_PER_TURN: usize = 4;
/// Packets given to the transport in one turn, at most.
const SENT_PER_TURN: usize = 32;
/// So many sends, requests and answers are written at once where the other side seems to wait for
/// them: it works on them while this one goes on.
const AWAITED: u32 = 64;
/// How long the transport may take to end in order.
const CLOSING: Duration = Duration::from_secs(1);

/// What happens to a call that the peer opened.
pub(crate) type Incoming = Box<dyn FnMut(&Arc<Link>, CallId, Request) + Send>;

/// Drives one connection until it is over, and says why it ended.
///
/// Each turn receives, sees to deadlines, transmits and flushes once, all of it within bounds;
/// a turn that hits a bound lets others run before the next. Reading never waits for writing.
pub(crate) struct Driver {
    link: Arc<Link>,
    timer: Box<dyn Timer>,
    incoming: Option<Incoming>,
    /// Set while the transport takes nothing.
    stall: Option<Stall>,
    stall_after: Duration,
    receive_ended: bool,
    /// What the turn did.
    has_received: bool,
    has_sent: bool,
    /// The transport failed: nothing more can be told through it.
    broken: bool,
    closing: Option<Time>,
    wakes: Wakes,
}

/// A transport that takes nothing any more.
struct Stall {
    /// What it had written out by then.
    written: u64,
    /// When it is given up.
    deadline: Time,
}

/// Whether a turn left something undone that needs no wake-up from outside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Done,
    More,
}

impl Driver {
    pub(crate) fn new(
        link: Arc<Link>,
        transport: Box<dyn Transport>,
        timer: Box<dyn Timer>,
        incoming: Option<Incoming>,
    ) -> Self {
        let stall_after = link.lock().connection.limits().stall;
        link.line.put(Line::new(transport));
        Self {
            link,
            timer,
            incoming,
            stall: None,
            stall_after,
            receive_ended: false,
            has_received: false,
            has_sent: false,
            broken: false,
            closing: None,
            wakes: Wakes::default(),
        }
    }

    fn receive(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Turn {
        if self.receive_ended {
            return Turn::Done;
        }
        for _ in 0..RECEIVED_PER_TURN {
            let Poll::Ready(received) = line.transport.poll_recv(cx) else { return Turn::Done };
            self.has_received = true;
            let now = self.timer.now();
            let mut core = self.link.lock();
            match received {
                Some(Ok(packet)) => core.connection.handle_message(packet, now),
                Some(Err(TransportError::Violation(violation))) => {
                    core.connection.handle_violation(violation);
                    self.receive_ended = true;
                }
                Some(Err(TransportError::Io { .. })) | None => {
                    self.broken = true;
                    core.connection.handle_eof();
                    self.receive_ended = true;
                }
            }
            core.dispatch(&mut self.wakes);
            drop(core);
            self.wakes.wake(&self.link);
            self.dispatch_incoming();
            if self.receive_ended {
                return Turn::Done;
            }
        }
        Turn::More
    }

    fn dispatch_incoming(&mut self) {
        let Some(incoming) = &mut self.incoming else { return };
        loop {
            let mut core = self.link.lock();
            let Some(id) = core.incoming.pop_front() else { return };
            let request = core.connection.call(id).and_then(|mut call| call.take_request());
            match request {
                Some(request) => {
                    drop(core);
                    incoming(&self.link, id, request);
                }
                None => core.connection.release(id), // it ended before anybody looked
            }
        }
    }

    fn see_to_deadlines(&mut self, now: Time) {
        let mut core = self.link.lock();
        if let Some(drain) = core.shutdown.take() {
            core.connection.shutdown(now + drain);
        }
        if core.connection.poll_timeout().is_some_and(|deadline| deadline <= now) {
            core.connection.handle_timeout(now);
        }
        core.dispatch(&mut self.wakes);
        drop(core);
        self.wakes.wake(&self.link);
    }

    fn transmit(
        &mut self,
        line: &mut Line,
        cx: &mut Context<'_>,
        now: Time,
    ) -> Result<Turn, TransportError> {
        for _ in 0..SENT_PER_TURN {
            let sent = line.poll_send(cx, || {
                let mut core = self.link.lock();
                let packet = core.connection.poll_transmit(now);
                core.dispatch(&mut self.wakes);
                packet
            });
            self.wakes.wake(&self.link);
            match sent? {
                Poll::Ready(true) => {
                    self.stall = None;
                    self.has_sent = true;
                }
                Poll::Ready(false) => return self.flush(line, cx, now),
                Poll::Pending => {
                    self.wait(line, now);
                    return Ok(Turn::Done);
                }
            }
        }
        self.flush(line, cx, now)?;
        Ok(Turn::More)
    }

    fn flush(
        &mut self,
        line: &mut Line,
        cx: &mut Context<'_>,
        now: Time,
    ) -> Result<Turn, TransportError> {
        match line.poll_flush(cx)? {
            Poll::Ready(true) => self.stall = None,
            Poll::Ready(false) => {}
            Poll::Pending => self.wait(line, now),
        }
        Ok(Turn::Done)
    }

    /// The transport has no room: it is given up if it took nothing at all for too long.
    fn wait(&mut self, line: &Line, now: Time) {
        let written = line.transport.written();
        match &self.stall {
            Some(stall) if stall.written != written => {}
            Some(stall) if stall.deadline > now => return,
            Some(_) => return self.link.with(|core| core.connection.handle_stall()),
            None => {}
        }
        self.stall = Some(Stall { written, deadline: now + self.stall_after });
    }

    /// Once the connection is over: sends what tells the peer so, ends the transport in order, and
    /// waits for neither longer than it must.
    fn close(
        &mut self,
        line: &mut Line,
        cx: &mut Context<'_>,
        now: Time,
        reason: &CloseReason,
    ) -> Poll<()> {
        if self.broken || *reason == CloseReason::Stalled {
            return Poll::Ready(());
        }
        let deadline = *self.closing.get_or_insert(now + CLOSING);
        if deadline <= now {
            return Poll::Ready(());
        }
        if self.timer.poll_until(cx, deadline).is_ready() {
            return Poll::Ready(());
        }
        if !line.has_room() {
            return Poll::Pending;
        }
        if self.link.lock().connection.has_transmit() {
            cx.waker().wake_by_ref(); // the connection ended after this turn's transmission
            return Poll::Pending;
        }
        line.transport.poll_close(cx).map(|_| ())
    }

    /// Sleeps, unless something came up since the turn.
    fn sleep(&mut self, line: &Line, cx: &mut Context<'_>) -> Turn {
        let mut core = self.link.lock();
        // It had something to say, and was told nothing.
        core.patience = if self.has_received && !self.has_sent { AWAITED } else { 0 };
        if core.shutdown.is_some() || (line.has_room() && core.connection.has_transmit()) {
            return Turn::More;
        }
        let deadline = core.connection.poll_timeout();
        let replaced = self.link.lull(&mut core, cx.waker());
        drop(core);
        drop(replaced);
        let stall = self.stall.as_ref().map(|stall| stall.deadline);
        let deadline = deadline.into_iter().chain(stall).min();
        match deadline.map(|deadline| self.timer.poll_until(cx, deadline)) {
            Some(Poll::Ready(())) => Turn::More,
            Some(Poll::Pending) | None => Turn::Done,
        }
    }
}

impl Driver {
    fn turn(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let received = self.receive(line, cx);
        let now = self.timer.now();
        self.see_to_deadlines(now);
        let sent = match self.transmit(line, cx, now) {
            Ok(turn) => turn,
            Err(_) => {
                self.broken = true;
                self.link.with(|core| core.connection.handle_eof());
                Turn::Done
            }
        };
        let closed = self.link.lock().connection.closed().cloned();
        if let Some(reason) = closed {
            return self.close(line, cx, now, &reason).map(|()| reason);
        }
        if received == Turn::More || sent == Turn::More || self.sleep(line, cx) == Turn::More {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Future for Driver {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut line = ready!(self.link.line.poll_take(cx));
        (self.has_received, self.has_sent) = (false, false);
        let polled = self.turn(&mut line, cx);
        self.link.line.put_back(line);
        polled
    }
}

impl Drop for Driver {
    /// A driver that is dropped before its end takes the connection with it.
    fn drop(&mut self) {
        self.link.with(|core| core.connection.handle_eof());
        self.link.line.clear();
    }
}
