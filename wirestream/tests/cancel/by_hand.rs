//! A runtime on one thread in which everything happens in an order of its own, the same each time,
//! and a way to drop a future at each point of its life.

#![allow(unreachable_pub, reason = "the tests beside it use it, and nobody else sees it")]

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn, ready};
use std::panic::panic_any;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use wirestream::{
    BoxFuture, ConnectError, Dial, MemoryTransport, Runtime, Server, Time, Timer, Transport,
};

/// Runs futures, one poll at a time, in the order in which they were woken. Clones are the same.
///
/// Its clock stands still: what goes on must do so because somebody woke it, and no deadline makes
/// up for a wake-up that was lost.
#[derive(Clone, Default)]
pub struct Hand(Arc<State>);

#[derive(Default)]
struct State {
    ready: Mutex<VecDeque<Arc<Task>>>,
    tasks: Mutex<BTreeMap<usize, BoxFuture<()>>>,
    spawned: AtomicUsize,
}

/// The number of the future that `run` was given.
const ROOT: usize = 0;

struct Task {
    number: usize,
    queued: AtomicBool,
    hand: Weak<State>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let Some(hand) = self.hand.upgrade() else { return };
        if !self.queued.swap(true, Ordering::SeqCst) {
            lock(&hand.ready).push_back(self);
        }
    }
}

impl Hand {
    fn task(&self, number: usize) -> Arc<Task> {
        let hand = Arc::downgrade(&self.0);
        Arc::new(Task { number, queued: AtomicBool::new(false), hand })
    }

    /// Runs everything until `root` is done; what is left then is dropped.
    ///
    /// # Panics
    /// If nobody is to be polled while `root` still waits.
    pub fn run<F: Future>(&self, root: F) -> F::Output {
        let mut root = pin!(root);
        self.task(ROOT).wake();
        let output = loop {
            let next = lock(&self.0.ready).pop_front();
            let Some(task) = next else { panic_any("everybody waits, and nobody will be woken") };
            task.queued.store(false, Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(&task));
            let mut cx = Context::from_waker(&waker);
            if task.number == ROOT {
                match root.as_mut().poll(&mut cx) {
                    Poll::Ready(output) => break output,
                    Poll::Pending => continue,
                }
            }
            let future = lock(&self.0.tasks).remove(&task.number);
            if let Some(mut future) = future
                && future.as_mut().poll(&mut cx).is_pending()
            {
                lock(&self.0.tasks).insert(task.number, future);
            }
        };
        let left = std::mem::take(&mut *lock(&self.0.tasks));
        drop(left);
        output
    }

    /// Lets everybody else have so many turns.
    pub async fn turns(&self, mut turns: usize) {
        poll_fn(|cx| {
            if turns == 0 {
                return Poll::Ready(());
            }
            turns -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    /// If it does not after more turns than anything here takes.
    pub async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        for _ in 0..10_000 {
            if condition() {
                return;
            }
            self.turns(1).await;
        }
        panic!("{what} did not happen");
    }
}

impl Runtime for Hand {
    fn spawn(&self, future: BoxFuture<()>) {
        let number = self.0.spawned.fetch_add(1, Ordering::SeqCst) + 1;
        lock(&self.0.tasks).insert(number, future);
        self.task(number).wake();
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(StoppedClock)
    }
}

/// A clock that stands still.
pub struct StoppedClock;

impl Timer for StoppedClock {
    fn now(&self) -> Time {
        Time::ZERO
    }

    fn poll_until(&mut self, _: &mut Context<'_>, deadline: Time) -> Poll<()> {
        if deadline > Time::ZERO { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// Connects in memory, each time anew.
pub struct Line {
    pub hand: Hand,
    pub server: Server,
}

impl Dial for Line {
    fn dial(&self) -> BoxFuture<Result<Box<dyn Transport>, ConnectError>> {
        let (here, there) = MemoryTransport::pair();
        let hand = Arc::new(self.hand.clone());
        let served = self.server.serve_connection(hand, Box::new(there), None);
        self.hand.spawn(Box::pin(served.map(drop)));
        Box::pin(ready(Ok(Box::new(here) as Box<dyn Transport>)))
    }
}

/// When a future is polled, and when it is dropped.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Polled when it was woken; dropped as soon as its last poll has answered that it waits.
    AtOnce,
    /// Polled when it was woken; dropped when it was woken once more, in place of a poll.
    Woken,
    /// Polled at each of its turns, woken or not; dropped in place of a poll.
    Restless,
}

/// Drops a future after a number of polls.
#[derive(Clone)]
pub struct Cut(Arc<CutState>);

struct CutState {
    way: Way,
    after: usize,
    polls: AtomicUsize,
    done: AtomicBool,
}

impl Cut {
    /// What `future` resolves to; `None` if it was dropped before.
    pub async fn of<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let own = Arc::<OwnWaker>::default();
        let waker = Waker::from(Arc::clone(&own));
        let output = poll_fn(|cx| {
            if self.polls() == self.0.after {
                return Poll::Ready(None);
            }
            self.0.polls.fetch_add(1, Ordering::SeqCst);
            *lock(&own.0) = Some(cx.waker().clone());
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.0.done.store(true, Ordering::SeqCst);
                return Poll::Ready(Some(output));
            }
            match self.0.way {
                Way::AtOnce if self.polls() == self.0.after => return Poll::Ready(None),
                Way::AtOnce | Way::Woken => {}
                Way::Restless => cx.waker().wake_by_ref(),
            }
            Poll::Pending
        });
        let output = output.await;
        *lock(&own.0) = None;
        output
    }

    /// How often the future was polled.
    pub fn polls(&self) -> usize {
        self.0.polls.load(Ordering::SeqCst)
    }
}

/// The waker of a future as if it had a task of its own: of no use to anybody once it is dropped.
#[derive(Default)]
struct OwnWaker(Mutex<Option<Waker>>);

impl Wake for OwnWaker {
    fn wake(self: Arc<Self>) {
        let waker = lock(&self.0).clone();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Runs `case` once for each number of polls after which a future may be dropped, in each [`Way`],
/// from none at all until the future that the case gives to its [`Cut`] is done.
#[allow(clippy::needless_pass_by_value, reason = "a case is written in place")]
pub fn at_each_poll(case: impl AsyncFn(&Hand, &Cut)) {
    for way in [Way::AtOnce, Way::Woken, Way::Restless] {
        for after in 0.. {
            let (polls, done) = (AtomicUsize::new(0), AtomicBool::new(false));
            let cut = Cut(Arc::new(CutState { way, after, polls, done }));
            let _place = Place { way, after };
            let hand = Hand::default();
            hand.run(case(&hand, &cut));
            if cut.0.done.load(Ordering::SeqCst) {
                assert!(cut.polls() > 1, "it is done at once: there is nothing to drop");
                break;
            }
            assert_eq!(cut.polls(), after, "the case drops nothing");
        }
    }
}

/// Says where a case failed.
struct Place {
    way: Way,
    after: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("dropped after {} polls ({:?})", self.after, self.way);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}
