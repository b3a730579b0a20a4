//! Threads of which one runs at a time: at each lock and at each atomic, chance says who goes on.
//!
//! A thread that takes no turns is not disturbed.

use std::cell::RefCell;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::atomic::{self, Ordering};
use std::sync::{Arc, Condvar, LockResult, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};
use std::{mem, thread};

use crate::transport::BoxFuture;

thread_local! {
    static TURN: RefCell<Option<Arc<Turn>>> = const { RefCell::new(None) };
}

/// More than any run takes.
const STEPS: usize = 1_000_000;

/// Who is next, among some threads.
struct Turns {
    state: std::sync::Mutex<State>,
    changed: Condvar,
}

struct State {
    chance: fastrand::Rng,
    /// Once in so many steps somebody else may go on.
    seldom: usize,
    now: usize,
    modes: Vec<Mode>,
    steps: usize,
    is_stuck: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ready,
    /// Woken since it was last polled, and not asleep.
    Woken,
    Asleep,
    Done,
}

/// A thread among those that take turns; what wakes it.
struct Turn {
    turns: Arc<Turns>,
    number: usize,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.turns.with(|state| {
            let mode = &mut state.modes[self.number];
            *mode = match *mode {
                Mode::Ready | Mode::Woken => Mode::Woken,
                Mode::Asleep => Mode::Ready,
                Mode::Done => Mode::Done,
            };
        });
    }
}

impl Turns {
    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
        result
    }

    /// Waits until it is the thread's turn.
    fn wait(&self, number: usize) {
        let state = self.state.lock().unwrap();
        let is_waiting = |state: &mut State| state.now != number && !state.is_stuck;
        let state = self.changed.wait_while(state, is_waiting).unwrap();
        let is_stuck = state.is_stuck;
        drop(state);
        assert!(!is_stuck || thread::panicking(), "everybody waits, and nobody will be woken");
    }
}

impl State {
    fn next(&mut self) {
        let ready = |mode: &Mode| matches!(mode, Mode::Ready | Mode::Woken);
        let all = self.modes.iter().enumerate().filter(|(_, mode)| ready(mode));
        let all: Vec<_> = all.map(|(number, _)| number).collect();
        match self.chance.choice(&all) {
            Some(&number) => self.now = number,
            None => self.is_stuck = self.modes.contains(&Mode::Asleep),
        }
    }
}

impl Turn {
    /// Somebody else may come first.
    fn step(&self, must: bool) {
        self.turns.with(|state| {
            state.steps += 1;
            state.is_stuck |= state.steps > STEPS;
            if must || state.chance.usize(..state.seldom) == 0 {
                state.next();
            }
        });
        self.turns.wait(self.number);
    }

    fn sleep(&self) {
        self.turns.with(|state| {
            let mode = &mut state.modes[self.number];
            *mode = if *mode == Mode::Woken { Mode::Ready } else { Mode::Asleep };
            state.next();
        });
        self.turns.wait(self.number);
    }
}

/// Another thread may come first here, if this one takes turns.
fn step(must: bool) {
    let turn = TURN.with_borrow(Clone::clone);
    if let Some(turn) = turn.filter(|_| !thread::panicking()) {
        turn.step(must);
    }
}

/// Runs all of these to their end, each on a thread of its own.
///
/// # Panics
/// If all that are left wait, or one of them panics.
pub(super) fn run(seed: u64, all: Vec<BoxFuture<()>>) {
    let chance = fastrand::Rng::with_seed(seed);
    let modes = vec![Mode::Ready; all.len()];
    let seldom = 1 + seed as usize % 6;
    let state = State { chance, seldom, now: 0, modes, steps: 0, is_stuck: false };
    let turns = Arc::new(Turns { state: state.into(), changed: Condvar::new() });
    let threads: Vec<_> = all
        .into_iter()
        .enumerate()
        .map(|(number, future)| {
            let turn = Arc::new(Turn { turns: Arc::clone(&turns), number });
            thread::spawn(move || take_turns(&turn, future))
        })
        .collect();
    let ends: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
    assert!(ends.iter().all(Result::is_ok), "with seed {seed}");
}

fn take_turns(turn: &Arc<Turn>, future: BoxFuture<()>) {
    /// It is over, however it ends.
    struct Over(Arc<Turn>);
    impl Drop for Over {
        fn drop(&mut self) {
            TURN.take();
            self.0.turns.with(|state| {
                state.modes[self.0.number] = Mode::Done;
                state.next();
            });
        }
    }
    let over = Over(Arc::clone(turn));
    turn.turns.wait(turn.number);
    TURN.set(Some(Arc::clone(turn)));
    let waker = Waker::from(Arc::clone(turn));
    {
        let mut future = pin!(future);
        while future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
            turn.sleep();
        }
    }
    drop(over);
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T>(Option<std::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let mut must = false;
        let guard = loop {
            step(mem::replace(&mut must, true));
            let takes_turns = TURN.with_borrow(Option::is_some) && !thread::panicking();
            let locked = if takes_turns {
                self.0.try_lock()
            } else {
                self.0.lock().map_err(TryLockError::Poisoned)
            };
            match locked {
                Ok(guard) => break Ok(guard),
                Err(TryLockError::Poisoned(poisoned)) => break Err(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        };
        match guard {
            Ok(guard) => Ok(MutexGuard(Some(guard))),
            Err(guard) => Err(PoisonError::new(MutexGuard(Some(guard)))),
        }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        drop(self.0.take());
        step(false);
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is locked")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("it is locked")
    }
}

#[derive(Debug)]
pub(crate) struct AtomicBool(atomic::AtomicBool);

impl AtomicBool {
    pub(crate) fn new(value: bool) -> Self {
        Self(atomic::AtomicBool::new(value))
    }

    pub(crate) fn load(&self, ordering: Ordering) -> bool {
        step(false);
        self.0.load(ordering)
    }

    pub(crate) fn store(&self, value: bool, ordering: Ordering) {
        step(false);
        self.0.store(value, ordering);
    }
}

#[derive(Debug)]
pub(crate) struct AtomicUsize(atomic::AtomicUsize);

impl AtomicUsize {
    pub(crate) fn new(value: usize) -> Self {
        Self(atomic::AtomicUsize::new(value))
    }

    pub(crate) fn load(&self, ordering: Ordering) -> usize {
        step(false);
        self.0.load(ordering)
    }

    pub(crate) fn store(&self, value: usize, ordering: Ordering) {
        step(false);
        self.0.store(value, ordering);
    }

    pub(crate) fn swap(&self, value: usize, ordering: Ordering) -> usize {
        step(false);
        self.0.swap(value, ordering)
    }
}
