//! Thousands of handlers that end with their connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt, stream};
use wirestream::{ClientConfig, Endpoint, Limits, NoError, Server, Session, StreamError};
use wirestream_sim::{Network, World};

/// Says that it is there, and no more.
fn stay(_: Session, (): (), (): ()) -> impl Stream<Item = Result<(), NoError>> {
    stream::iter([Ok(())]).chain(stream::pending())
}

async fn until(world: &World, condition: impl Fn() -> bool) {
    while !condition() {
        world.sleep(Duration::from_millis(10)).await;
    }
}

/// How many polls of futures the end of so many calls takes, on both sides, and how long.
fn takes(calls: usize) -> (u64, Duration) {
    World::new(7).run(async |world| {
        let limits = Limits { calls: 10_000, ..Limits::default() };
        let endpoint = Endpoint::new("E").stream("stay", stay);
        let server = Server::builder().endpoint(endpoint).limits(limits.clone());
        let server = server.build().expect("a server");
        let network = Network::new(&world);
        let config = ClientConfig { limits, ..ClientConfig::default() };
        let client = world.client(&world.site(server.clone()), &network, config);
        let (begun, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        for _ in 0..calls {
            let mut stays = client.call("E.stay").stream::<()>();
            let (begun, ended) = (Arc::clone(&begun), Arc::clone(&ended));
            world.spawn(async move {
                assert_eq!(stays.next().await, Some(Ok(())));
                begun.fetch_add(1, Ordering::SeqCst);
                assert!(matches!(stays.next().await, Some(Err(StreamError::Lost(_)))));
                ended.fetch_add(1, Ordering::SeqCst);
            });
        }
        until(&world, || begun.load(Ordering::SeqCst) == calls).await;
        let before = (world.steps(), worked());
        network.cut();
        until(&world, || ended.load(Ordering::SeqCst) == calls && server.connections() == 0).await;
        (world.steps() - before.0, worked() - before.1)
    })
}

/// How long this thread has run: where the system tells, without the time that others had.
fn worked() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    // What has run since its last switch may not be counted yet.
    std::thread::sleep(Duration::from_nanos(1));
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse().ok());
    let elapsed = || BEGUN.get_or_init(Instant::now).elapsed();
    nanos.map_or_else(elapsed, Duration::from_nanos)
}

#[test]
fn ten_thousand_handlers_end_in_ten_times_the_time_of_a_thousand() {
    // A hundred times, if each looked at all the others. What disturbs a measurement does not
    // disturb each of some.
    let measured = (0..10).map(|_| [1_000, 10_000].map(takes));
    let is_slow = |[few, many]: &[(u64, Duration); 2]| many.1 > few.1 * 30;
    let slow: Vec<_> = measured.take_while(is_slow).collect();
    assert!(slow.len() < 10, "{slow:?}");
}

#[test]
fn each_of_ten_thousand_handlers_takes_a_few_polls_to_end() {
    let (polls, _) = takes(10_000);
    // One of the handler, which is dropped, and one of who called.
    assert!(polls < 2 * 10_000 + 100, "{polls} polls");
}
