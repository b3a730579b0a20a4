//! Who waits for something. A wait that is given up leaves nothing behind.

use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Waker};

use crate::sync::{Mutex, MutexGuard};

/// One who waits: a part of the future, stream or sink that does. What wakes it is dropped with it,
/// whoever lists it.
#[derive(Debug, Default)]
pub(crate) struct Waiter(Option<Arc<Place>>);

/// All who wait for one thing. Holds as many as wait at a time, however often they change.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Vec<Weak<Place>>);

#[derive(Debug, Default)]
struct Place(Mutex<Option<Waker>>);

impl Place {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiters {
    /// Lists `waiter`, to be woken as `cx` says. Gives back the waker that it had before, if that
    /// was another one: it is dropped once no lock is held, as the last waker of a task may drop
    /// the task.
    #[must_use = "a waker is dropped once no lock is held"]
    pub(crate) fn add(&mut self, waiter: &mut Waiter, cx: &Context<'_>) -> Option<Waker> {
        let place = waiter.0.get_or_insert_default();
        let mut listed = false;
        self.0.retain(|other| {
            listed |= other.as_ptr() == Arc::as_ptr(place);
            other.strong_count() > 0
        });
        if !listed {
            self.0.push(Arc::downgrade(place));
        }
        let mut waker = place.waker();
        match &*waker {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => waker.replace(cx.waker().clone()),
        }
    }

    /// Takes all who are listed, to be woken once no lock is held.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Waker> {
        self.0.drain(..).filter_map(|place| place.upgrade()?.waker().take())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::task::Wake;

    use super::{Arc, Context, Waiter, Waiters, Waker};

    /// A task, which is kept as long as a waker of it is.
    #[derive(Default)]
    struct Task(Mutex<usize>);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    fn wait(waiters: &mut Waiters, waiter: &mut Waiter, task: &Arc<Task>) {
        drop(waiters.add(waiter, &Context::from_waker(&Arc::clone(task).into())));
    }

    fn wake(waiters: &mut Waiters) {
        waiters.take().for_each(Waker::wake);
    }

    #[test]
    fn waits_that_were_given_up_leave_nothing_behind() {
        let (mut waiters, patient) = (Waiters::default(), Arc::new(Task::default()));
        let mut one = Waiter::default();
        wait(&mut waiters, &mut one, &patient);
        for _ in 0..1_000 {
            let (task, mut waiter) = (Arc::new(Task::default()), Waiter::default());
            wait(&mut waiters, &mut waiter, &task);
            assert_eq!(Arc::strong_count(&task), 2);
            drop(waiter);
            assert_eq!(Arc::strong_count(&task), 1);
        }
        assert!(waiters.0.len() <= 2, "{} places are listed", waiters.0.len());
        wake(&mut waiters);
        assert_eq!((*patient.0.lock().unwrap(), Arc::strong_count(&patient)), (1, 1));
    }

    #[test]
    fn one_that_moves_from_task_to_task_is_woken_in_the_last() {
        let mut waiters = Waiters::default();
        let mut waiter = Waiter::default();
        let tasks: Vec<_> = (0..100).map(|_| Arc::new(Task::default())).collect();
        for task in &tasks {
            wait(&mut waiters, &mut waiter, task);
        }
        assert_eq!(waiters.0.len(), 1);
        wake(&mut waiters);
        let woken = |task: &Arc<Task>| *task.0.lock().unwrap();
        assert_eq!(tasks.iter().map(woken).collect::<Vec<_>>(), [vec![0; 99], vec![1]].concat());
        assert!(tasks.iter().all(|task| Arc::strong_count(task) == 1));
    }

    #[test]
    fn all_who_wait_are_woken_once_for_each_time_they_wait() {
        let mut waiters = Waiters::default();
        let task = Arc::new(Task::default());
        let mut several: Vec<_> = (0..3).map(|_| Waiter::default()).collect();
        for round in 1..=3 {
            several.iter_mut().for_each(|waiter| {
                wait(&mut waiters, waiter, &task);
                wait(&mut waiters, waiter, &task);
            });
            wake(&mut waiters);
            wake(&mut waiters);
            assert_eq!(*task.0.lock().unwrap(), 3 * round);
        }
    }
}
