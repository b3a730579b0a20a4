//! Timers, tasks, and an executor of one's own.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use smol::Executor;
use smol::channel::bounded;
use wirestream::{ClientConfig, Endpoint, NoError, Runtime, Server, Session, Time, Timer};
use wirestream_smol::{Dialer, ServeConfig, Smol, bind, serve_on};

const SHORT: Duration = Duration::from_millis(50);

async fn ring(timer: &mut dyn Timer, deadline: Time) {
    poll_fn(|cx| timer.poll_until(cx, deadline)).await;
}

async fn assert_silent(timer: &mut dyn Timer, deadline: Time) {
    poll_fn(|cx| {
        assert!(timer.poll_until(cx, deadline).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn a_timer_rings_at_its_deadline_and_at_once_for_one_that_has_passed() {
    let mut timer = Smol::global().timer();
    let (start, began) = (timer.now(), Instant::now());
    smol::block_on(ring(&mut *timer, start + SHORT));
    assert!(began.elapsed() >= SHORT);
    assert!(timer.now().since(start) >= SHORT);
    smol::block_on(async {
        for _ in 0..2 {
            let rings = poll_fn(|cx| Poll::Ready(timer.poll_until(cx, start).is_ready()));
            assert!(rings.await);
        }
    });
}

#[test]
fn the_last_deadline_counts_sooner_or_later_than_the_ones_before() {
    let mut timer = Smol::global().timer();
    let far = timer.now() + Duration::from_secs(3600);
    smol::block_on(async {
        let start = timer.now();
        assert_silent(&mut *timer, far).await;
        ring(&mut *timer, start + SHORT).await;
        assert!(timer.now() >= start + SHORT && timer.now() < far);

        let start = timer.now();
        assert_silent(&mut *timer, start + SHORT).await;
        ring(&mut *timer, start + 2 * SHORT).await;
        assert!(timer.now() >= start + 2 * SHORT);
    });
}

#[test]
fn the_end_of_time_never_comes() {
    let mut timer = Smol::global().timer();
    smol::block_on(async {
        for end in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 40)] {
            assert_silent(&mut *timer, Time::from_epoch(end)).await;
        }
        let soon = timer.now() + SHORT;
        ring(&mut *timer, soon).await;
    });
}

#[test]
fn timers_of_a_runtime_share_an_epoch() {
    let runtime = Smol::global();
    let first = runtime.timer();
    thread::sleep(SHORT);
    let (before, now, after) = (first.now(), runtime.clone().timer().now(), first.now());
    assert!(before <= now && now <= after);
    assert!(now.since_epoch() >= SHORT);
}

#[test]
fn tasks_run_on_the_global_executor() {
    let runtime = Smol::global();
    let mut timer = runtime.timer();
    let (sender, receiver) = bounded(1);
    runtime.spawn(Box::pin(async move {
        let soon = timer.now() + Duration::from_millis(1);
        ring(&mut *timer, soon).await;
        sender.send(()).await.unwrap();
    }));
    receiver.recv_blocking().unwrap();
}

#[test]
fn servers_and_clients_run_on_an_executor_of_ones_own_alone() {
    /// The name of the thread that runs it.
    async fn place(_: Session, (): (), (): ()) -> Result<Option<String>, NoError> {
        Ok(thread::current().name().map(str::to_owned))
    }
    let here = thread::current().name().map(str::to_owned);
    let server = Server::builder().endpoint(Endpoint::new("Example").unary("place", place));
    let server = server.build().unwrap();

    let executor = Arc::new(Executor::new());
    let runtime = Smol::on(Arc::clone(&executor));
    smol::block_on(executor.run(async {
        let listener = bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let config = ServeConfig::default();
        let serving = serve_on(runtime.clone(), listener, server.clone(), config, pending());
        let client = Dialer::new(&url).client_on(runtime.clone(), ClientConfig::default()).unwrap();
        let calling = async {
            let call = client.call("Example.place").unary::<Option<String>>();
            assert_eq!(call.await, Ok(here));
            server.shutdown(Duration::ZERO).await;
        };
        smol::future::or(calling, async { serving.await.unwrap() }).await;
    }));
}
