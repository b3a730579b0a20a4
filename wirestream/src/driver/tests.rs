use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use bytes::Bytes;
use wirestream_protocol::wire::{AwayCode, FULL_PACKET, Frame, frames};
use wirestream_protocol::{Config, Connection, Limits, Outbound, Request, Role};

use super::*;

/// A driver on a transport and a clock of the test's own, polled by hand.
struct Driven {
    driver: Driver,
    scene: Arc<Scene>,
    task: Arc<Task>,
}

#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the test decides about, and what it sees.
#[derive(Default)]
struct Scene {
    now: Mutex<Time>,
    /// What comes in, the last first.
    arriving: Mutex<Vec<Bytes>>,
    sent: Mutex<Vec<Bytes>>,
    written: Mutex<u64>,
    /// Whether nothing is flushed to its end.
    is_full: Mutex<bool>,
    /// Whether no packet is taken.
    is_jammed: Mutex<bool>,
    /// Whether it fails when it is given a packet.
    is_cut: Mutex<bool>,
    /// Who was to be woken by the last packet that was offered, and how many were.
    offered: Mutex<(Option<Waker>, usize)>,
    /// Whether the transport does not come to its end.
    is_open: Mutex<bool>,
    /// When the driver last wanted to be woken.
    alarm: Mutex<Option<Time>>,
    /// What happens in the middle of a turn, when all is sent and not yet flushed.
    deed: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

struct Fake(Arc<Scene>);

impl Transport for Fake {
    fn poll_recv(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        let packet = self.0.arriving.lock().unwrap().pop();
        packet.map_or(Poll::Pending, |packet| Poll::Ready(Some(Ok(packet))))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        let mut offered = self.0.offered.lock().unwrap();
        *offered = (Some(cx.waker().clone()), offered.1 + 1);
        if *self.0.is_cut.lock().unwrap() {
            let cut = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
            return Poll::Ready(Err(cut.into()));
        }
        if *self.0.is_jammed.lock().unwrap() {
            return Poll::Pending;
        }
        self.0.sent.lock().unwrap().push(std::mem::take(packet));
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let deed = self.0.deed.lock().unwrap().take();
        if let Some(deed) = deed {
            deed();
        }
        if *self.0.is_full.lock().unwrap() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        if *self.0.is_open.lock().unwrap() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn written(&self) -> u64 {
        *self.0.written.lock().unwrap()
    }
}

impl Timer for Fake {
    fn now(&self) -> Time {
        *self.0.now.lock().unwrap()
    }

    fn poll_until(&mut self, _: &mut Context<'_>, deadline: Time) -> Poll<()> {
        if deadline <= self.now() {
            return Poll::Ready(());
        }
        *self.0.alarm.lock().unwrap() = Some(deadline);
        Poll::Pending
    }
}

/// No other deadline passes in these tests.
const NEVER: Duration = Duration::from_secs(1_000_000);
const STALL: Duration = Duration::from_secs(20);

impl Driven {
    fn new() -> Self {
        let limits = Limits { handshake: NEVER, ping: NEVER, linger: NEVER, ..Limits::default() };
        assert_eq!(limits.stall, STALL);
        let config = Config { limits, token: None };
        let connection = Connection::new(Role::Client, config, Time::ZERO);
        let (scene, task) = (Arc::<Scene>::default(), Arc::default());
        let (transport, timer) = (Fake(Arc::clone(&scene)), Fake(Arc::clone(&scene)));
        let link = Link::new(connection.expect("valid limits"), tracing::Span::none());
        let driver = Driver::new(link, Box::new(transport), Box::new(timer), None);
        Self { driver, scene, task }
    }

    /// A turn, and how often it woke its own task.
    fn turn(&mut self) -> (Poll<CloseReason>, usize) {
        let waker = Waker::from(Arc::clone(&self.task));
        let polled = Pin::new(&mut self.driver).poll(&mut Context::from_waker(&waker));
        (polled, self.task.0.swap(0, Ordering::SeqCst))
    }

    /// A half that may send as much as fits any packet.
    fn open_half(&mut self) -> Outbound {
        let request = Request { method: "E.m".into(), parameters: 1, ..Request::default() };
        // A half's first window is a 128th of it.
        let limits = Limits { connection_window: 64 * 1024 * 1024, ..Limits::default() };
        let config = Config { limits, token: None };
        let mut peer = Connection::new(Role::Server, config, Time::ZERO).expect("valid limits");
        let hello = peer.poll_transmit(Time::ZERO).expect("a hello");
        let half = self.driver.link.with(|core| {
            core.connection.handle_message(hello, Time::ZERO);
            let id = core.connection.open(&request).expect("room for a call");
            core.connection.call(id).and_then(|call| call.outbound(1)).expect("its parameter")
        });
        assert_eq!(self.turn().0, Poll::Pending);
        self.scene.sent.lock().unwrap().clear();
        *self.scene.offered.lock().unwrap() = (None, 0);
        half
    }

    /// Sends so many bytes of messages, as a task beside the driver.
    fn send(&self, half: Outbound, bytes: usize) {
        for _ in 0..bytes.div_ceil(1_024) {
            let sent = self.driver.link.send_with(|core| core.connection.send(half, &[7; 1_024]));
            assert_eq!(sent, Ok(()));
        }
    }

    /// How many packets were sent, and how many were offered.
    fn packets(&self) -> (usize, usize) {
        (self.scene.sent.lock().unwrap().len(), self.scene.offered.lock().unwrap().1)
    }

    /// A turn that has a packet to receive.
    fn turn_with_a_packet(&mut self) {
        let mut packet = Vec::new();
        Frame::Pong.encode(&mut packet);
        self.scene.arriving.lock().unwrap().push(packet.into());
        assert_eq!(self.turn().0, Poll::Pending);
        assert!(self.scene.arriving.lock().unwrap().is_empty());
    }

    /// Gives the driver a packet to send.
    fn open_call(&self) {
        let request = Request { method: "E.m".into(), ..Request::default() };
        let opened = self.driver.link.with(|core| core.connection.open(&request));
        assert!(opened.is_ok());
    }

    fn at(&mut self, time: Duration) -> Poll<CloseReason> {
        *self.scene.now.lock().unwrap() = Time::ZERO + time;
        self.turn().0
    }

    /// Whether the last thing that the driver wants to be woken for is at this time.
    fn sleeps_until(&self, time: Duration) -> bool {
        self.scene.alarm.lock().unwrap().take() == Some(Time::ZERO + time)
    }
}

/// R-AWAY-2: nothing but the driver itself calls it back for the farewell.
#[test]
fn a_connection_that_ends_within_a_turn_still_says_so() {
    let mut driven = Driven::new();
    let link = Arc::clone(&driven.driver.link);
    let end = move || link.lock().connection.close();
    *driven.scene.deed.lock().unwrap() = Some(Box::new(end));
    assert_eq!(driven.turn(), (Poll::Pending, 1), "there is more to do");
    assert_eq!(driven.turn(), (Poll::Ready(CloseReason::Local), 0));
    let sent = driven.scene.sent.lock().unwrap();
    let frames: Vec<_> = sent.iter().flat_map(|packet| frames(packet)).collect();
    let [Ok(Frame::Hello(_)), Ok(Frame::GoAway { code: AwayCode::Done, .. })] = &frames[..] else {
        panic!("{frames:?}");
    };
}

/// R-AWAY-1: so does one that is asked for a shutdown.
#[test]
fn a_shutdown_that_is_asked_for_within_a_turn_is_begun() {
    let mut driven = Driven::new();
    let link = Arc::clone(&driven.driver.link);
    let ask = move || link.lock().shutdown = Some(STALL);
    *driven.scene.deed.lock().unwrap() = Some(Box::new(ask));
    assert_eq!(driven.turn(), (Poll::Pending, 1), "there is more to do");
    assert_eq!(driven.turn(), (Poll::Ready(CloseReason::Drained), 0), "no call is left");
}

#[test]
fn a_line_that_takes_nothing_is_given_up_after_the_stall() {
    let mut driven = Driven::new();
    *driven.scene.is_full.lock().unwrap() = true;
    let begun = Duration::from_secs(3);
    for time in [begun, begun + STALL / 2, begun + STALL - Duration::from_nanos(1)] {
        assert_eq!(driven.at(time), Poll::Pending, "{time:?}");
        assert!(driven.sleeps_until(begun + STALL), "nothing else would wake it");
    }
    assert_eq!(driven.at(begun + STALL), Poll::Ready(CloseReason::Stalled));
}

#[test]
fn a_line_that_is_slow_is_given_up_only_when_it_takes_nothing_any_more() {
    let mut driven = Driven::new();
    *driven.scene.is_full.lock().unwrap() = true;
    assert_eq!(driven.at(Duration::ZERO), Poll::Pending);
    let pause = STALL - Duration::from_nanos(1);
    for bytes in 1..100 {
        *driven.scene.written.lock().unwrap() += 1;
        assert_eq!(driven.at(bytes * pause), Poll::Pending, "{bytes} bytes");
    }
    let last = 99 * pause;
    assert_eq!(driven.at(last + pause), Poll::Pending);
    assert_eq!(driven.at(last + STALL), Poll::Ready(CloseReason::Stalled));
}

#[test]
fn a_line_that_takes_packets_is_not_given_up_whatever_it_tells_of_bytes() {
    let mut driven = Driven::new();
    *driven.scene.is_full.lock().unwrap() = true;
    assert_eq!(driven.at(Duration::ZERO), Poll::Pending);
    for packets in 1..10 {
        driven.open_call();
        let time = packets * (STALL - Duration::from_nanos(1));
        assert_eq!(driven.at(time), Poll::Pending, "{packets} packets");
    }
}

#[test]
fn a_line_that_was_full_for_a_while_has_all_the_time_when_it_is_full_again() {
    let mut driven = Driven::new();
    *driven.scene.is_full.lock().unwrap() = true;
    assert_eq!(driven.at(Duration::ZERO), Poll::Pending);
    *driven.scene.is_full.lock().unwrap() = false;
    assert_eq!(driven.at(STALL / 2), Poll::Pending);
    assert_eq!(driven.at(2 * STALL), Poll::Pending);
    assert_eq!(driven.turn(), (Poll::Pending, 0), "it sleeps");
    *driven.scene.is_full.lock().unwrap() = true;
    driven.open_call();
    for time in [2 * STALL, 3 * STALL - Duration::from_nanos(1)] {
        assert_eq!(driven.at(time), Poll::Pending, "{time:?}");
    }
    assert_eq!(driven.at(3 * STALL), Poll::Ready(CloseReason::Stalled));
}

#[test]
fn a_line_that_was_given_up_is_not_ended_in_order() {
    let mut driven = Driven::new();
    *driven.scene.is_full.lock().unwrap() = true;
    *driven.scene.is_open.lock().unwrap() = true;
    assert_eq!(driven.at(Duration::ZERO), Poll::Pending);
    assert_eq!(driven.at(STALL), Poll::Ready(CloseReason::Stalled));
}

#[test]
fn a_transport_that_does_not_end_is_waited_for_a_moment() {
    let mut driven = Driven::new();
    *driven.scene.is_open.lock().unwrap() = true;
    let begun = Duration::from_secs(3);
    assert_eq!(driven.at(begun), Poll::Pending);
    driven.driver.link.with(|core| core.connection.close());
    for time in [begun, begun + CLOSING - Duration::from_nanos(1)] {
        assert_eq!(driven.at(time), Poll::Pending, "{time:?}");
        assert!(driven.sleeps_until(begun + CLOSING), "nothing else would wake it");
    }
    assert_eq!(driven.at(begun + CLOSING), Poll::Ready(CloseReason::Local));
}

#[test]
fn what_fills_a_packet_is_written_before_the_driver_has_its_turn() {
    let mut driven = Driven::new();
    let half = driven.open_half();
    driven.send(half, FULL_PACKET - 1_024);
    assert_eq!(driven.packets(), (0, 0), "it is not full");
    driven.send(half, 1_024);
    assert_eq!(driven.packets(), (1, 1));
    let offered = driven.scene.offered.lock().unwrap().0.take().expect("a packet was offered");
    assert!(offered.will_wake(&Waker::from(Arc::clone(&driven.task))), "the driver is woken");
    assert_eq!(driven.task.0.swap(0, Ordering::SeqCst), 1, "it was asleep, and has more to do");
    driven.send(half, 1_024);
    assert_eq!(driven.turn(), (Poll::Pending, 0));
    assert_eq!(driven.packets(), (2, 2), "the rest is sent in its turn");
}

#[test]
fn what_follows_the_first_full_packet_is_written_four_packets_at_a_time() {
    let mut driven = Driven::new();
    let half = driven.open_half();
    driven.send(half, FULL_PACKET);
    assert_eq!(driven.packets().0, 1);
    driven.send(half, 4 * FULL_PACKET - 2 * 1_024);
    assert_eq!(driven.packets().0, 1);
    driven.send(half, 2 * 1_024);
    assert_eq!(driven.packets().0, 5);
    assert_eq!(driven.turn().0, Poll::Pending);
    let before = driven.packets().0;
    driven.send(half, FULL_PACKET);
    assert_eq!(driven.packets().0, before + 1, "the first since the driver's turn");
}

#[test]
fn what_the_other_side_waits_for_is_written_before_much_more_is_sent() {
    let mut driven = Driven::new();
    let half = driven.open_half();
    let small = |driven: &Driven, count: u32| {
        for _ in 0..count {
            let sent = driven.driver.link.send_with(|core| core.connection.send(half, &b"s"[..]));
            assert_eq!(sent, Ok(()));
        }
        driven.packets().0
    };
    driven.turn_with_a_packet();
    assert_eq!(small(&driven, AWAITED - 1), 0);
    assert_eq!(small(&driven, 1), 1);
    assert_eq!(small(&driven, 2 * AWAITED), 1, "it has something to begin with");
    assert_eq!(driven.turn().0, Poll::Pending);
    assert_eq!(small(&driven, 2 * AWAITED), 2, "nothing had come");
    driven.turn_with_a_packet();
    assert_eq!(small(&driven, 2 * AWAITED), 3, "it had been sent something else");
    driven.turn_with_a_packet();
    driven.turn_with_a_packet();
    assert_eq!(small(&driven, AWAITED), 5);
}

#[test]
fn a_transport_without_room_is_not_asked_again_before_the_driver_has_its_turn() {
    let mut driven = Driven::new();
    let half = driven.open_half();
    *driven.scene.is_jammed.lock().unwrap() = true;
    driven.send(half, FULL_PACKET + 8 * 1_024);
    assert_eq!(driven.packets(), (0, 1));
    *driven.scene.is_jammed.lock().unwrap() = false;
    driven.send(half, 1_024);
    assert_eq!(driven.packets(), (0, 1), "the transport tells the driver");
    assert_eq!(driven.turn().0, Poll::Pending);
    let (sent, _) = driven.packets();
    assert_eq!(sent, 2, "nothing is lost or doubled");
    driven.send(half, FULL_PACKET);
    assert_eq!(driven.packets().0, 3, "it has room");
}

#[test]
fn a_transport_that_fails_while_a_sender_writes_ends_the_connection() {
    let mut driven = Driven::new();
    let half = driven.open_half();
    *driven.scene.is_cut.lock().unwrap() = true;
    driven.send(half, FULL_PACKET);
    assert!(driven.task.0.swap(0, Ordering::SeqCst) > 0, "the driver is to see to it");
    *driven.scene.is_cut.lock().unwrap() = false;
    assert_eq!(driven.turn().0, Poll::Ready(CloseReason::Eof));
}

#[test]
fn a_driver_that_finds_a_sender_at_the_transport_is_woken_when_that_is_done() {
    let mut driven = Driven::new();
    assert_eq!(driven.turn().0, Poll::Pending);
    let link = Arc::clone(&driven.driver.link);
    let Poll::Ready(line) = link.line.poll_take(&Context::from_waker(Waker::noop())) else {
        panic!("nobody else uses it");
    };
    assert_eq!(driven.turn(), (Poll::Pending, 0));
    link.line.put_back(line);
    assert_eq!(driven.turn(), (Poll::Pending, 1));
}

#[test]
fn a_transport_is_dropped_with_its_driver_though_a_sender_writes() {
    let driven = Driven::new();
    let (link, scene) = (Arc::clone(&driven.driver.link), Arc::clone(&driven.scene));
    let before = Arc::strong_count(&scene);
    let Poll::Ready(line) = link.line.poll_take(&Context::from_waker(Waker::noop())) else {
        panic!("nobody else uses it");
    };
    drop(driven);
    link.line.put_back(line);
    // The test's, the timer's and the transport's were all.
    assert_eq!((before, Arc::strong_count(&scene)), (4, 1));
}
