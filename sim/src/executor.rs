//! Tasks and time: one thread, and the seed says who is next.

use std::cmp;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use wirestream::{BoxFuture, Runtime, Time, Timer};

/// A world of its own: its tasks, its time, its chance. Clones are the same world.
///
/// It is a [`Runtime`] for clients and servers.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    seed: u64,
    state: Mutex<State>,
    ready: Ready,
}

type Ready = Arc<Mutex<Vec<Arc<Task>>>>;

struct State {
    now: Time,
    chance: fastrand::Rng,
    tasks: BTreeMap<u64, Arc<Task>>,
    last_task: u64,
    alarms: BTreeMap<(Time, u64), Waker>,
    last_alarm: u64,
    steps: u64,
    trace: u64,
}

struct Task {
    number: u64,
    /// Away while it is polled, and when it is done.
    future: Mutex<Option<BoxFuture<()>>>,
    is_queued: AtomicBool,
    ready: Ready,
}

/// The number of the future that [`World::run`] was given.
const MAIN: u64 = 0;

impl World {
    /// A world in which everything is decided by `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            now: Time::ZERO,
            chance: fastrand::Rng::with_seed(seed),
            tasks: BTreeMap::new(),
            last_task: MAIN,
            alarms: BTreeMap::new(),
            last_alarm: 0,
            steps: 0,
            trace: 0xcbf2_9ce4_8422_2325,
        };
        Self(Arc::new(Inner { seed, state: Mutex::new(state), ready: Ready::default() }))
    }

    /// Runs `main` to its end, and beside it whatever it spawns; what is left of that then is
    /// dropped. Time passes only while there is nothing to do.
    ///
    /// # Panics
    /// Nothing can go on any more, and `main` has not ended: a wake-up was lost, or something waits
    /// for what does not come. Panics of tasks are passed on; those of methods and the like are
    /// caught by the server, as ever.
    pub fn run<T>(&self, main: impl AsyncFnOnce(Self) -> T) -> T {
        // What Wirestream itself draws (pauses between attempts, say) is this world's too.
        fastrand::seed(self.chance(u64::MAX));
        let mut main = pin!(main(self.clone()));
        let waking = Task::new(MAIN, None, &self.0.ready);
        waking.wake_by_ref();
        let result = loop {
            let Some(task) = self.next_task() else {
                if !self.pass_time() {
                    panic!("seed {}: nothing can go on after {:?}", self.0.seed, self.now());
                }
                continue;
            };
            task.is_queued.store(false, Ordering::Release);
            let waker = Waker::from(Arc::clone(&task));
            let mut cx = Context::from_waker(&waker);
            if task.number == MAIN {
                if let Poll::Ready(result) = main.as_mut().poll(&mut cx) {
                    break result;
                }
            } else {
                self.poll(&task, &mut cx);
            }
        };
        self.clear();
        result
    }

    fn poll(&self, task: &Task, cx: &mut Context<'_>) {
        let Some(mut future) = task.future().take() else { return };
        match future.as_mut().poll(cx) {
            Poll::Pending => *task.future() = Some(future),
            Poll::Ready(()) => drop(self.state().tasks.remove(&task.number)),
        }
    }

    fn next_task(&self) -> Option<Arc<Task>> {
        let mut ready = lock(&self.0.ready);
        let mut state = self.state();
        let place = state.chance.usize(..cmp::max(ready.len(), 1));
        let task = (place < ready.len()).then(|| ready.swap_remove(place))?;
        state.steps += 1;
        let now = state.now.since_epoch().as_nanos();
        state.note(&task.number.to_le_bytes());
        state.note(&now.to_le_bytes());
        Some(task)
    }

    /// Up to the next alarm. Whether there is one.
    fn pass_time(&self) -> bool {
        let mut state = self.state();
        let Some((&(time, _), _)) = state.alarms.first_key_value() else { return false };
        let now = cmp::max(state.now, time);
        state.now = now;
        let later = state.alarms.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.alarms, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
        true
    }

    /// Drops all that is left, which may spawn more as it goes.
    fn clear(&self) {
        loop {
            let tasks = std::mem::take(&mut self.state().tasks);
            let alarms = std::mem::take(&mut self.state().alarms);
            let ready = std::mem::take(&mut *lock(&self.0.ready));
            if tasks.is_empty() && alarms.is_empty() && ready.is_empty() {
                return;
            }
            tasks.values().for_each(|task| drop(task.future().take()));
        }
    }

    /// Runs a future to its end, beside the others.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        state.last_task += 1;
        let task = Task::new(state.last_task, Some(Box::pin(future)), &self.0.ready);
        state.tasks.insert(task.number, Arc::clone(&task));
        drop(state);
        task.wake();
    }

    /// As [`spawn`](Self::spawn), and tells what the future came to; nothing, if it was dropped.
    pub fn join<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> BoxFuture<Option<T>> {
        let (sender, result) = oneshot::channel();
        self.spawn(async move {
            // Who does not want it any more has dropped the other end.
            let _ = sender.send(future.await);
        });
        Box::pin(result.map(Result::ok))
    }

    /// Waits.
    pub async fn sleep(&self, span: Duration) {
        let deadline = self.now() + span;
        let mut alarm = Alarm::new(self);
        poll_fn(|cx| alarm.poll_until(cx, deadline)).await;
    }

    /// The time now.
    pub fn now(&self) -> Time {
        self.state().now
    }

    /// A number below `end`, by chance; 0 if `end` is 0.
    pub fn chance(&self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.state().chance.u64(..end) }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// How many times a future was polled so far.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// What stands for all that has happened so far: who was polled when, and each packet that
    /// arrived. Two runs of the same seed have the same.
    pub fn trace(&self) -> u64 {
        self.state().trace
    }

    pub(crate) fn note(&self, bytes: &[u8]) {
        self.state().note(bytes);
    }

    /// Wakes whom `cx` is of at `time`, unless it is told otherwise before.
    fn set_alarm(&self, time: Time, cx: &Context<'_>) -> (Time, u64) {
        let mut state = self.state();
        state.last_alarm += 1;
        let key = (time, state.last_alarm);
        state.alarms.insert(key, cx.waker().clone());
        key
    }

    fn take_alarm(&self, key: (Time, u64)) {
        let waker = self.state().alarms.remove(&key);
        drop(waker); // perhaps the last handle of a task
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl State {
    /// FNV-1a, by words.
    fn note(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let word = word.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            self.trace = (self.trace ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
        }
    }
}

impl Task {
    fn new(number: u64, future: Option<BoxFuture<()>>, ready: &Ready) -> Arc<Self> {
        let (future, is_queued) = (Mutex::new(future), AtomicBool::new(false));
        Arc::new(Self { number, future, is_queued, ready: Arc::clone(ready) })
    }

    fn future(&self) -> MutexGuard<'_, Option<BoxFuture<()>>> {
        lock(&self.future)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            let ready = Arc::clone(&self.ready);
            lock(&ready).push(self);
        }
    }
}

impl Runtime for World {
    fn spawn(&self, future: BoxFuture<()>) {
        Self::spawn(self, future);
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(Alarm::new(self))
    }
}

/// A timer of the world's.
#[derive(Debug)]
pub(crate) struct Alarm {
    world: World,
    set: Option<(Time, u64)>,
}

impl Alarm {
    pub(crate) fn new(world: &World) -> Self {
        Self { world: world.clone(), set: None }
    }

    pub(crate) fn forget(&mut self) {
        if let Some(set) = self.set.take() {
            self.world.take_alarm(set);
        }
    }
}

impl Timer for Alarm {
    fn now(&self) -> Time {
        self.world.now()
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Time) -> Poll<()> {
        self.forget();
        if self.now() >= deadline {
            return Poll::Ready(());
        }
        self.set = Some(self.world.set_alarm(deadline, cx));
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.forget();
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.0.seed).finish_non_exhaustive()
    }
}

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
