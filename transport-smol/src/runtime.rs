use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use smol::{Executor, Task};
use wirestream::{BoxFuture, Runtime, Time, Timer};

/// A smol executor, as Wirestream sees it: the global one, or one of your own.
#[derive(Clone, Debug)]
pub struct Smol {
    /// `None` is the global one.
    executor: Option<Arc<Executor<'static>>>,
    epoch: Instant,
}

impl Smol {
    /// The executor of `smol::spawn`. It has one thread, or as many as the environment variable
    /// `SMOL_THREADS` says.
    pub fn global() -> Self {
        Self { executor: None, epoch: Instant::now() }
    }

    /// An executor of your own. Somebody has to run it, until servers and clients on it are done:
    /// they keep it alive, so that dropping it ends none of them.
    pub fn on(executor: Arc<Executor<'static>>) -> Self {
        Self { executor: Some(executor), epoch: Instant::now() }
    }

    pub(crate) fn task<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        match &self.executor {
            Some(executor) => executor.spawn(future),
            None => smol::spawn(future),
        }
    }
}

impl Runtime for Smol {
    fn spawn(&self, future: BoxFuture<()>) {
        self.task(future).detach();
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(Alarm { epoch: self.epoch, rings: None, timer: smol::Timer::never() })
    }
}

/// What `future` comes to, or `None` if that takes longer than `within`.
pub(crate) async fn timeout<T>(within: Duration, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        smol::Timer::after(within).await;
        None
    };
    smol::future::or(async { Some(future.await) }, late).await
}

struct Alarm {
    epoch: Instant,
    /// When the timer rings; a timer that has rung is set to nothing.
    rings: Option<Instant>,
    timer: smol::Timer,
}

/// A deadline that the clock cannot express is as good as one that nobody lives to see.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

impl Timer for Alarm {
    fn now(&self) -> Time {
        Time::from_epoch(self.epoch.elapsed())
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Time) -> Poll<()> {
        let deadline = self.epoch + deadline.since_epoch().min(FAR);
        loop {
            // A deadline mostly moves on, with each packet: the alarm then rings too early and is
            // set again, which costs less than setting it each time.
            if self.rings.is_none_or(|rings| rings > deadline) {
                self.rings = Some(deadline);
                self.timer.set_at(deadline);
            }
            let rang = ready!(Pin::new(&mut self.timer).poll(cx));
            self.rings = None;
            if rang >= deadline {
                return Poll::Ready(());
            }
        }
    }
}
