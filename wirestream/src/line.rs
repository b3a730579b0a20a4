//! The transport of a connection and what is on its way into it: the driver's, and for a moment
//! that of a task that has sent what is enough for a write.

use std::fmt;
use std::mem;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use wirestream_protocol::wire::FULL_PACKET;

use crate::link::{Link, Wakes};
use crate::sync::{AtomicUsize, Mutex, MutexGuard};
use crate::transport::{Transport, TransportError};

/// Bytes of messages that are worth a write by who sent them: the first since the driver's turn, which
/// the other side may be waiting for, and those that follow, where fewer writes are worth more.
const FIRST: usize = FULL_PACKET;
const LATER: usize = 4 * FULL_PACKET;

pub(crate) struct Line {
    pub(crate) transport: Box<dyn Transport>,
    /// A packet that the transport has no room for yet.
    packet: Bytes,
    /// Whether the transport has taken what it may not have written.
    unflushed: bool,
    /// Whether it took nothing when it was last asked, and tells the driver when it does again.
    is_full: bool,
    /// It failed while a sender wrote: that is for the driver to deal with.
    failure: Option<TransportError>,
    /// The driver's: whoever polls the transport, it is the driver that is woken.
    waker: Waker,
}

impl Line {
    pub(crate) fn new(transport: Box<dyn Transport>) -> Box<Self> {
        Box::new(Self {
            transport,
            packet: Bytes::new(),
            unflushed: false,
            is_full: false,
            failure: None,
            waker: Waker::noop().clone(),
        })
    }

    /// Whether no packet waits for room.
    pub(crate) fn has_room(&self) -> bool {
        self.packet.is_empty()
    }

    /// Gives the transport the packet that waits, or else the one that `next` makes. Ready with
    /// whether there was one.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        next: impl FnOnce() -> Option<Bytes>,
    ) -> Poll<Result<bool, TransportError>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        if self.packet.is_empty() {
            let Some(packet) = next() else { return Poll::Ready(Ok(false)) };
            self.packet = packet;
        }
        let sent = self.transport.poll_send(cx, &mut self.packet);
        self.is_full = sent.is_pending();
        ready!(sent)?;
        self.packet = Bytes::new();
        self.unflushed = true;
        Poll::Ready(Ok(true))
    }

    /// Writes out what the transport has taken. Ready with whether there was anything.
    pub(crate) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, TransportError>> {
        if self.unflushed {
            ready!(self.transport.poll_flush(cx))?;
        }
        Poll::Ready(Ok(mem::take(&mut self.unflushed)))
    }

    /// Writes so many packets, and after the first only full ones.
    fn write(&mut self, count: usize, link: &Link, wakes: &mut Wakes) {
        let waker = self.waker.clone();
        let mut cx = Context::from_waker(&waker);
        for n in 0..count {
            let sent = self.poll_send(&mut cx, || {
                let mut core = link.lock();
                if n > 0 && core.connection.sendable() < FULL_PACKET {
                    return None;
                }
                let now = core.connection.now();
                let packet = core.connection.poll_transmit(now);
                core.dispatch(wakes);
                packet
            });
            match sent {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) | Poll::Pending => break,
                Poll::Ready(Err(error)) => {
                    self.failure = Some(error);
                    return waker.wake();
                }
            }
        }
        if let Poll::Ready(Err(error)) = self.poll_flush(&mut cx) {
            self.failure = Some(error);
            waker.wake();
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line(..)")
    }
}

/// Where the line is while nobody uses it. No lock is held while somebody does.
#[derive(Debug)]
pub(crate) struct Place {
    state: Mutex<State>,
    /// How many bytes of messages are worth a write by who sent them.
    worth: AtomicUsize,
}

impl Default for Place {
    fn default() -> Self {
        Self { state: Mutex::default(), worth: AtomicUsize::new(FIRST) }
    }
}

#[derive(Debug, Default)]
enum State {
    /// There is no driver, or none any more.
    #[default]
    Gone,
    Here(Box<Line>),
    /// Somebody uses it. The driver, if it waits for that.
    Taken(Option<Waker>),
}

impl Place {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the driver. Pending while a sender writes, which takes but a moment.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<Box<Line>> {
        let mut state = self.state();
        match mem::replace(&mut *state, State::Taken(None)) {
            State::Here(mut line) => {
                drop(state);
                self.worth.store(FIRST, Ordering::Relaxed);
                if !line.waker.will_wake(cx.waker()) {
                    line.waker = cx.waker().clone();
                }
                Poll::Ready(line)
            }
            State::Taken(before) => {
                *state = State::Taken(Some(cx.waker().clone()));
                drop(state);
                drop(before);
                Poll::Pending
            }
            State::Gone => {
                *state = State::Gone;
                Poll::Pending
            }
        }
    }

    /// For a sender: if it is there and has room.
    fn take(&self) -> Option<Borrowed<'_>> {
        let mut state = self.state();
        if !matches!(&*state, State::Here(line) if !line.is_full) {
            return None;
        }
        match mem::replace(&mut *state, State::Taken(None)) {
            State::Here(line) => Some(Borrowed { place: self, line: Some(line) }),
            State::Taken(_) | State::Gone => None,
        }
    }

    /// Puts it there for the first time.
    pub(crate) fn put(&self, line: Box<Line>) {
        *self.state() = State::Here(line);
    }

    /// Puts it there again; drops it if there is no driver any more.
    pub(crate) fn put_back(&self, line: Box<Line>) {
        let mut state = self.state();
        let State::Taken(driver) = &mut *state else {
            drop(state);
            return drop(line);
        };
        let driver = driver.take();
        *state = State::Here(line);
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// There is no driver any more: the transport is dropped, by a sender if one writes just now.
    pub(crate) fn clear(&self) {
        let before = mem::take(&mut *self.state());
        drop(before);
    }

    /// How many bytes of messages make it worth to call [`write_early`](Self::write_early).
    #[inline]
    pub(crate) fn worth_writing(&self) -> usize {
        self.worth.load(Ordering::Relaxed)
    }

    /// Writes messages from the task that sent them, rather than when the driver gets its turn: the
    /// other side works on them meanwhile. The driver has been woken, and does the rest.
    pub(crate) fn write_early(&self, link: &Link) {
        let Some(mut borrowed) = self.take() else { return };
        let worth = self.worth.swap(LATER, Ordering::Relaxed);
        let mut wakes = Wakes::default();
        if let Some(line) = &mut borrowed.line {
            line.write(worth.div_ceil(FULL_PACKET), link, &mut wakes);
        }
        drop(borrowed);
        wakes.wake(link);
    }
}

/// A line that goes back to its place, also if the transport panics.
struct Borrowed<'a> {
    place: &'a Place,
    line: Option<Box<Line>>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            self.place.put_back(line);
        }
    }
}
