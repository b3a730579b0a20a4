//! Group K: load and fairness.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use wirestream::{Limits, NoError, Receiver, Session, Status, TrySendError, channel};
use wirestream_tests::{Net, Rig, scenarios, until};

use crate::methods::{Gauge, drain, server, server_with};

scenarios! {
    k1_an_unread_stream_does_not_slow_down_the_others,
    k2_a_large_transfer_does_not_hold_up_a_ping_pong,
    k3_an_unread_stream_holds_its_window_and_no_more,
    k5_streams_that_open_and_close_at_random_leave_nothing_behind,
}

/// K1, as far as a functional test can tell: nine streams finish beside one that nobody reads.
async fn k1_an_unread_stream_does_not_slow_down_the_others(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.client();
    let _unread = client.call("Example.count").arguments(&(u64::MAX,)).stream::<u64>();
    let read = (0..9).map(|_| async {
        let mut counted = client.call("Example.count").arguments(&(20_000u64,)).stream::<u64>();
        let mut next = 0;
        while let Some(number) = counted.next().await {
            assert_eq!(number, Ok(next));
            next += 1;
        }
        next
    });
    let counts = futures_util::future::join_all(read).await;
    assert_eq!(counts, vec![20_000; 9]);
}

/// K2, on a smaller transfer: the median of the ping-pong stays below 10 ms.
async fn k2_a_large_transfer_does_not_hold_up_a_ping_pong(net: Net) {
    const MESSAGE: usize = 200 * 1024;
    let bulk = |_: Session, (): (), (mut messages,): (Receiver<Vec<u8>>,)| async move {
        let mut bytes = 0;
        while let Some(message) = messages.next().await {
            bytes += message.expect("a message").len();
        }
        Ok::<_, NoError>(bytes)
    };
    let server = server_with(|example| example.unary("bulk", bulk)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client();
    let messages = stream::iter((0..50).map(|_| vec![7u8; MESSAGE]));
    let bulk = tokio::spawn(client.call("Example.bulk").parameter(messages).unary::<usize>());
    let (input, messages) = channel::<String>();
    let mut echo = client.call("Example.echo").parameter(messages).stream::<String>();
    let mut waits = Vec::new();
    while waits.len() < 20 || !bulk.is_finished() {
        let sent = Instant::now();
        input.send("ping".into()).await.unwrap();
        assert_eq!(echo.next().await, Some(Ok("ping".into())));
        waits.push(sent.elapsed());
    }
    assert_eq!(bulk.await.unwrap(), Ok(50 * MESSAGE));
    waits.sort();
    let median = waits[waits.len() / 2];
    assert!(median < Duration::from_millis(10), "{median:?}");
}

/// K3 (R-CREDIT-2): what is sent and not read is at most a window, and one message.
async fn k3_an_unread_stream_holds_its_window_and_no_more(net: Net) {
    const WINDOW: u32 = 64 * 1024;
    let gauge = Gauge::default();
    let unread = {
        let gauge = gauge.clone();
        move |_: Session, (): (), (messages,): (Receiver<Vec<u8>>,)| {
            let raised = gauge.raise();
            stream::pending::<Result<(), NoError>>().map(move |item| {
                let _held = (&messages, &raised);
                item
            })
        }
    };
    let limits = Limits { half_window: WINDOW, ..Limits::default() };
    let server = server_with(|e| e.stream("unread", unread)).limits(limits).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client();
    let (input, messages) = channel::<Vec<u8>>();
    let reply = client.call("Example.unread").parameter(messages).stream::<()>();
    until("the method runs", || gauge.get() == 1).await;
    let mut sent = 0;
    let mut full_since = Instant::now();
    // Full for a while: nothing is on its way any more that could make room.
    while full_since.elapsed() < Duration::from_millis(100) {
        match input.try_send(vec![7; 1000]) {
            Ok(()) => {
                sent += 1002; // with its length
                full_since = Instant::now();
            }
            Err(TrySendError::Full(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error}"),
        }
    }
    assert!((WINDOW..WINDOW + 1002).contains(&sent), "{sent}");
    drop(reply);
    until("the method was dropped", || gauge.get() == 0).await;
}

/// K5, for a second: calls of every shape begin and end at random; then nothing is left.
async fn k5_streams_that_open_and_close_at_random_leave_nothing_behind(net: Net) {
    let gauge = Gauge::default();
    let held = {
        let gauge = gauge.clone();
        move |session: Session, (): (), (messages,): (Receiver<Vec<u8>>,)| {
            let raised = gauge.raise();
            let closing = gauge.raise();
            session.on_close(async move || drop(closing)).expect("the session is open");
            messages.filter_map(async |message| message.ok().map(Ok::<_, NoError>)).map(
                move |item| {
                    let _held = &raised;
                    item
                },
            )
        }
    };
    let limits = Limits { calls: 2_000, ..Limits::default() };
    let server = server_with(|e| e.stream("held", held)).limits(limits.clone()).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client_with(Limits { linger: Duration::from_secs(60), ..limits });
    let end = Instant::now() + Duration::from_secs(1);
    let workers = (0..100u64).map(|worker| {
        let client = client.client.clone();
        tokio::spawn(async move {
            let mut random = Random(worker + 1);
            while Instant::now() < end {
                let (input, messages) = channel::<Vec<u8>>();
                let mut reply = client.call("Example.held").parameter(messages).stream::<Vec<u8>>();
                let sizes: Vec<usize> =
                    (0..random.below(8)).map(|_| random.below(3000) as usize).collect();
                match random.below(5) {
                    0 => drop((reply, input)),
                    1 => drop((input, reply)),
                    2 => {
                        for &size in &sizes {
                            input.send(vec![1; size]).await.unwrap();
                        }
                    }
                    3 => {
                        for &size in &sizes {
                            input.send(vec![2; size]).await.unwrap();
                            assert_eq!(reply.next().await.unwrap().unwrap().len(), size);
                        }
                        drop(input);
                    }
                    _ => {
                        for &size in &sizes {
                            input.send(vec![3; size]).await.unwrap();
                        }
                        input.finish();
                        let (echoed, error) = drain(&mut reply).await;
                        assert_eq!(error, None);
                        assert_eq!(echoed.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
                    }
                }
            }
        })
    });
    for worker in futures_util::future::join_all(workers).await {
        worker.expect("no panic");
    }
    until("every method and session is gone", || gauge.get() == 0).await;
    assert_eq!(client.line.dials(), 1);
    assert_eq!(client.status(), Status::Connected);
    let added = client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>().await;
    assert_eq!(added, Ok(5));
}

/// A small generator of numbers, so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
