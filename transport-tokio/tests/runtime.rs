//! Timers and tasks, on tokio's paused clock.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wirestream::{Runtime, Time, Timer};
use wirestream_tokio::Tokio;

const SECOND: Duration = Duration::from_secs(1);

async fn ring(timer: &mut dyn Timer, deadline: Time) {
    poll_fn(|cx| timer.poll_until(cx, deadline)).await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_rings_at_its_deadline() {
    let mut timer = Tokio::current().timer();
    let (start, began) = (timer.now(), Instant::now());
    ring(&mut *timer, start + 10 * SECOND).await;
    assert_eq!(began.elapsed(), 10 * SECOND);
    assert_eq!(timer.now().since(start), 10 * SECOND);
    ring(&mut *timer, start).await;
    assert_eq!(began.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_last_deadline_counts_sooner_or_later_than_the_ones_before() {
    let mut timer = Tokio::current().timer();
    let (start, began) = (timer.now(), Instant::now());
    for (before, last) in [(100, 30), (31, 60), (90, 61)] {
        poll_fn(|cx| {
            assert!(timer.poll_until(cx, start + before * SECOND).is_pending());
            Poll::Ready(())
        })
        .await;
        ring(&mut *timer, start + last * SECOND).await;
        assert_eq!(began.elapsed(), last * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_time_never_comes() {
    let mut timer = Tokio::current().timer();
    for end in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 40)] {
        poll_fn(|cx| {
            assert!(timer.poll_until(cx, Time::from_epoch(end)).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    let soon = timer.now() + SECOND;
    ring(&mut *timer, soon).await;
}

#[tokio::test(start_paused = true)]
async fn timers_of_a_runtime_share_an_epoch() {
    let runtime = Tokio::current();
    let first = runtime.timer();
    tokio::time::advance(SECOND).await;
    let second = runtime.clone().timer();
    assert_eq!(first.now(), second.now());
    assert_eq!(first.now().since_epoch(), SECOND);
}

#[test]
fn timers_and_tasks_are_made_from_outside_too() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = tokio.block_on(async { Tokio::current() });
    let mut timer = runtime.timer();
    let (sender, receiver) = oneshot::channel();
    runtime.spawn(Box::pin(async move {
        let soon = timer.now() + Duration::from_millis(1);
        ring(&mut *timer, soon).await;
        sender.send(()).unwrap();
    }));
    tokio.block_on(receiver).unwrap();
}
