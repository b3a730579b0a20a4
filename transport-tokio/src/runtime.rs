use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};
use wirestream::{BoxFuture, Runtime, Time, Timer};

/// A tokio runtime, as Wirestream sees it. Its timers follow tokio's clock, also while that is
/// paused in a test.
#[derive(Clone, Debug)]
pub struct Tokio {
    handle: Handle,
    epoch: Instant,
}

impl Tokio {
    /// The runtime that this is called on.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn current() -> Self {
        Self { handle: Handle::current(), epoch: Instant::now() }
    }
}

impl Runtime for Tokio {
    fn spawn(&self, future: BoxFuture<()>) {
        self.handle.spawn(future);
    }

    /// # Panics
    /// If the runtime was built without `enable_time`.
    fn timer(&self) -> Box<dyn Timer> {
        let _context = self.handle.enter();
        Box::new(Alarm { epoch: self.epoch, sleep: Box::pin(sleep_until(self.epoch)) })
    }
}

struct Alarm {
    epoch: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// A deadline that the clock cannot express is as good as one that nobody lives to see.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

impl Timer for Alarm {
    fn now(&self) -> Time {
        Time::from_epoch(Instant::now().saturating_duration_since(self.epoch))
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Time) -> Poll<()> {
        let deadline = self.epoch + deadline.since_epoch().min(FAR);
        // A deadline mostly moves on, with each packet: the alarm then rings too early and is set
        // again, which costs less than setting it each time.
        if self.sleep.deadline() > deadline {
            self.sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if self.sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(deadline);
        }
    }
}
