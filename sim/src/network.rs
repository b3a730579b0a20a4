//! Packets that travel, and what may befall them.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use wirestream::{Time, Timer, Transport, TransportError};

use crate::executor::{Alarm, World, lock};

/// What one direction of a line takes before its sender waits, in bytes: what sockets buffer. See
/// [`Network::set_room`].
const ROOM: usize = 64 * 1024;

/// A network, which carries the lines of whoever connects over it. Clones are the same.
#[derive(Clone, Debug)]
pub struct Network {
    world: World,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    delay: Range<Duration>,
    room: usize,
    rate: Option<u32>,
    is_down: bool,
    lines: Vec<Weak<Mutex<Wire>>>,
}

/// Both directions of a line.
#[derive(Debug, Default)]
struct Wire {
    pipes: [Pipe; 2],
    is_cut: bool,
    is_held: bool,
}

#[derive(Debug, Default)]
struct Pipe {
    /// Each with the time of its arrival.
    packets: VecDeque<(Time, Bytes)>,
    bytes: usize,
    written: u64,
    end: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    InOrder,
    WithoutAWord,
}

impl Network {
    /// A network on which packets take between one and five milliseconds.
    pub fn new(world: &World) -> Self {
        let delay = Duration::from_millis(1)..Duration::from_millis(5);
        let state = State { delay, room: ROOM, rate: None, is_down: false, lines: Vec::new() };
        Self { world: world.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// How long packets take from now on. They never overtake each other.
    pub fn set_delay(&self, delay: Range<Duration>) {
        self.state().delay = delay;
    }

    /// How many bytes a direction of a line takes before its sender waits, and one packet more.
    pub fn set_room(&self, room: usize) {
        self.state().room = room;
    }

    /// How many bytes a second trickle through each direction of a line from now on; none is as many
    /// as there are, and frees at once what trickled.
    pub fn set_rate(&self, rate: Option<u32>) {
        self.state().rate = rate;
        if rate.is_none() {
            let now = self.world.now();
            self.change(|wire| {
                let packets = wire.pipes.iter_mut().flat_map(|pipe| &mut pipe.packets);
                packets.for_each(|(due, _)| *due = now.min(*due));
            });
        }
    }

    /// Cuts all lines that there are: both ends are told so at once, and what is under way is lost.
    pub fn cut(&self) {
        self.change(|wire| {
            wire.is_cut = true;
            wire.pipes.iter_mut().for_each(|pipe| pipe.packets.clear());
        });
    }

    /// Holds up what is under way on all lines that there are, and what is sent on them later;
    /// nobody is told. Lines that are made later are not concerned.
    pub fn hold(&self) {
        self.change(|wire| wire.is_held = true);
    }

    /// Ends what [`hold`](Self::hold) has begun: nothing was lost.
    pub fn go_on(&self) {
        self.change(|wire| wire.is_held = false);
    }

    /// Whether new lines can be made. They can, at first.
    pub fn set_down(&self, is_down: bool) {
        self.state().is_down = is_down;
    }

    pub(crate) fn is_down(&self) -> bool {
        self.state().is_down
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// The two ends of a new line.
    pub fn line(&self) -> (Line, Line) {
        let wire = Arc::new(Mutex::new(Wire::default()));
        let mut state = self.state();
        state.lines.retain(|line| line.strong_count() > 0);
        state.lines.push(Arc::downgrade(&wire));
        drop(state);
        let end = |side| Line {
            network: self.clone(),
            wire: Arc::clone(&wire),
            side,
            alarm: Alarm::new(&self.world),
            has_ended: false,
        };
        (end(0), end(1))
    }

    /// A time that something takes.
    pub(crate) fn delay(&self) -> Duration {
        let Range { start, end } = self.state().delay.clone();
        let span = u64::try_from(end.saturating_sub(start).as_micros()).unwrap_or(u64::MAX);
        start + Duration::from_micros(self.world.chance(span))
    }

    /// How long a packet of this size takes where it has to trickle.
    fn trickle(&self, size: usize) -> Duration {
        let rate = self.state().rate;
        rate.map_or(Duration::ZERO, |rate| Duration::from_secs(size as u64) / rate.max(1))
    }

    fn change(&self, change: impl Fn(&mut Wire)) {
        let lines: Vec<_> = self.state().lines.iter().filter_map(Weak::upgrade).collect();
        for line in lines {
            let mut wire = lock(&line);
            change(&mut wire);
            let wakers = wire.pipes.each_mut().map(|pipe| [pipe.reader.take(), pipe.writer.take()]);
            drop(wire);
            wakers.into_iter().flatten().flatten().for_each(Waker::wake);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// One end of a line: a [`Transport`], as an adapter has it over a socket.
#[derive(Debug)]
pub struct Line {
    network: Network,
    wire: Arc<Mutex<Wire>>,
    side: usize,
    alarm: Alarm,
    has_ended: bool,
}

impl Line {
    fn failed(kind: io::ErrorKind) -> TransportError {
        io::Error::from(kind).into()
    }

    fn end(&mut self, end: End) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let mut wire = lock(&self.wire);
        let pipe = &mut wire.pipes[self.side];
        pipe.end = Some(end);
        let reader = pipe.reader.take();
        drop(wire);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Transport for Line {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.alarm.forget();
        let mut wire = lock(&self.wire);
        if wire.is_cut {
            return Poll::Ready(Some(Err(Self::failed(io::ErrorKind::ConnectionReset))));
        }
        let is_held = wire.is_held;
        let pipe = &mut wire.pipes[1 - self.side];
        let now = self.alarm.now();
        match pipe.packets.front() {
            Some(&(due, _)) if due <= now && !is_held => {
                let (_, packet) = pipe.packets.pop_front().expect("it is there");
                pipe.bytes -= packet.len();
                let writer = pipe.writer.take();
                drop(wire);
                self.network.world.note(&packet);
                writer.into_iter().for_each(Waker::wake);
                Poll::Ready(Some(Ok(packet)))
            }
            None if !is_held && pipe.end.is_some() => Poll::Ready(match pipe.end {
                Some(End::InOrder) | None => None,
                Some(End::WithoutAWord) => Some(Err(Self::failed(io::ErrorKind::UnexpectedEof))),
            }),
            front => {
                let due = front.filter(|_| !is_held).map(|&(due, _)| due);
                pipe.reader = Some(cx.waker().clone());
                drop(wire);
                if let Some(due) = due {
                    let _ = self.alarm.poll_until(cx, due);
                }
                Poll::Pending
            }
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        let delay = self.network.delay();
        let trickle = self.network.trickle(packet.len());
        let room = self.network.state().room;
        let mut wire = lock(&self.wire);
        if wire.is_cut || wire.pipes[1 - self.side].end.is_some() {
            return Poll::Ready(Err(Self::failed(io::ErrorKind::BrokenPipe)));
        }
        let pipe = &mut wire.pipes[self.side];
        if pipe.bytes >= room {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let packet = std::mem::take(packet);
        let last = pipe.packets.back().map_or(Time::ZERO, |&(time, _)| time);
        let due = (self.network.world.now() + delay).max(last) + trickle;
        pipe.bytes += packet.len();
        pipe.written += packet.len() as u64;
        pipe.packets.push_back((due, packet));
        let reader = pipe.reader.take();
        drop(wire);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.end(End::InOrder);
        Poll::Ready(Ok(()))
    }

    fn written(&self) -> u64 {
        lock(&self.wire).pipes[self.side].written
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end(End::WithoutAWord);
        let writer = lock(&self.wire).pipes[1 - self.side].writer.take();
        writer.into_iter().for_each(Waker::wake);
    }
}
