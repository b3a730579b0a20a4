//! The numbers of a server and of a client.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use wirestream::{
    ClientConfig, Limits, Metrics, NoError, Receiver, RetryPolicy, Server, Session, StreamError,
    TrySendError, channel,
};
use wirestream_tests::{Dialling, Net, Nobody, Rig, TestClient, scenarios, soon, until};

use crate::methods::{Problem, drain, feed, server, server_with};

scenarios! {
    calls_are_counted_by_how_they_ended_on_both_sides,
    what_one_side_sends_the_other_has_received,
    a_stream_that_nobody_reads_is_stalled_until_it_is_over,
    connections_are_counted_by_how_they_ended,
    attempts_to_connect_that_fail_are_counted,
    nothing_is_open_or_waits_behind_a_thousand_calls,
}

fn with_all_ends(limits: Limits) -> Server {
    server_with(|example| {
        example
            .unary("typed", |_: Session, (): (), (): ()| async {
                Err::<(), _>(Problem::new("typed"))
            })
            .stream("endless", |_: Session, (): (), (): ()| {
                stream::iter([Ok::<u64, NoError>(1)]).chain(stream::pending())
            })
            .stream("unread", |_: Session, (): (), (messages,): (Receiver<Vec<u8>>,)| {
                stream::iter([Ok::<u64, NoError>(1)]).chain(stream::pending()).map(move |item| {
                    let _kept = &messages;
                    item
                })
            })
    })
    .limits(limits)
    .build()
    .unwrap()
}

/// Open, begun, and the five ends.
fn calls(metrics: &Metrics) -> [u64; 7] {
    [
        metrics.calls_open,
        metrics.calls_begun,
        metrics.calls_finished,
        metrics.calls_failed,
        metrics.calls_rejected,
        metrics.calls_cancelled,
        metrics.calls_lost,
    ]
}

/// Waits until both sides count the same.
async fn agree(rig: &Rig, client: &TestClient, expected: [u64; 7]) {
    until("both sides agree", || {
        [client.metrics(), rig.server.metrics()].iter().all(|side| calls(side) == expected)
    })
    .await;
}

/// No level is above zero.
fn at_rest(metrics: &Metrics) -> bool {
    let levels = [metrics.calls_open, metrics.stalled_halves];
    levels == [0; 2] && [metrics.buffered_in, metrics.buffered_out] == [0; 2]
}

async fn endless(client: &TestClient) -> Receiver<u64> {
    let mut reply = client.call("Example.endless").stream::<u64>();
    assert_eq!(soon("an item", reply.next()).await, Some(Ok(1)));
    reply
}

async fn calls_are_counted_by_how_they_ended_on_both_sides(net: Net) {
    let rig = Rig::start(net, with_all_ends(Limits::default())).await;
    let client = rig.lasting_client();
    assert_eq!((client.metrics(), rig.server.metrics()), Default::default());
    let sum = client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>();
    assert_eq!(soon("the sum", sum).await, Ok(5));
    agree(&rig, &client, [0, 1, 1, 0, 0, 0, 0]).await;
    let typed = client.call("Example.typed").unary_with_error::<(), Problem>();
    assert_eq!(soon("the error", typed).await, Err(StreamError::App(Problem::new("typed"))));
    agree(&rig, &client, [0, 2, 1, 1, 0, 0, 0]).await;
    let nowhere = client.call("Example.nowhere").unary::<()>();
    assert!(matches!(soon("the refusal", nowhere).await, Err(StreamError::Rejected(_))));
    agree(&rig, &client, [0, 3, 1, 1, 1, 0, 0]).await;
    let reply = endless(&client).await;
    agree(&rig, &client, [1, 4, 1, 1, 1, 0, 0]).await;
    drop(reply);
    agree(&rig, &client, [0, 4, 1, 1, 1, 1, 0]).await;
    let _replies = [endless(&client).await, endless(&client).await];
    agree(&rig, &client, [2, 6, 1, 1, 1, 1, 0]).await;
    client.line.cut();
    agree(&rig, &client, [0, 6, 1, 1, 1, 1, 2]).await;
    // What is over stays counted, beside what comes.
    let _reply = endless(&client).await;
    agree(&rig, &client, [1, 7, 1, 1, 1, 1, 2]).await;
}

async fn what_one_side_sends_the_other_has_received(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.lasting_client();
    let (input, messages) = channel::<String>();
    let mut echo = client.call("Example.echo").parameter(messages).stream::<String>();
    let texts = (0..1_000).map(|n| "x".repeat(n));
    let (_, (echoed, error)) =
        futures_util::future::join(feed(input, texts), drain(&mut echo)).await;
    assert_eq!((echoed.len(), error), (1_000, None));
    client.disconnect();
    until("both ends", || rig.server.metrics().connections_closed == 1).await;
    until("both ends", || client.metrics().connections_closed == 1).await;
    let (here, there) = (client.metrics(), rig.server.metrics());
    assert_eq!([here.messages_out, here.messages_in], [1_000; 2]);
    assert_eq!([there.messages_out, there.messages_in], [1_000; 2]);
    assert_eq!((here.bytes_in, here.packets_in), (there.bytes_out, there.packets_out));
    assert_eq!((here.bytes_out, here.packets_out), (there.bytes_in, there.packets_in));
    // Each way half a million bytes of text, and little beside them.
    for bytes in [here.bytes_in, here.bytes_out] {
        assert!((499_500..520_000).contains(&bytes), "{bytes}");
    }
    assert!(here.packets_out < 1_000 && here.packets_in > 10, "{here:?}");
    assert!(at_rest(&here) && at_rest(&there), "{here:?} {there:?}");
}

async fn a_stream_that_nobody_reads_is_stalled_until_it_is_over(net: Net) {
    let rig = Rig::start(net, with_all_ends(Limits::default())).await;
    let client = rig.lasting_client();
    let (input, messages) = channel::<Vec<u8>>();
    let mut reply = client.call("Example.unread").parameter(messages).stream::<u64>();
    assert_eq!(soon("an item", reply.next()).await, Some(Ok(1)));
    until("it is stalled", || {
        loop {
            match input.try_send(vec![7; 1_000]) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let (here, there) = (client.metrics(), rig.server.metrics());
        here.stalled_halves == 1 && here.buffered_out == 0 && there.buffered_in >= 256 * 1024
    })
    .await;
    let (here, there) = (client.metrics(), rig.server.metrics());
    assert_eq!((there.stalled_halves, here.calls_open), (0, 1));
    assert!(there.buffered_in <= Limits::default().connection_window.into(), "{there:?}");
    drop(reply);
    until("nothing waits", || at_rest(&client.metrics()) && at_rest(&rig.server.metrics())).await;
}

/// Open, begun, closed, lost, timed out, violated.
fn connections(metrics: &Metrics) -> [u64; 6] {
    [
        metrics.connections_open,
        metrics.connections_begun,
        metrics.connections_closed,
        metrics.connections_lost,
        metrics.connections_timed_out,
        metrics.connections_violated,
    ]
}

async fn connections_are_counted_by_how_they_ended(net: Net) {
    let limits = Limits { handshake: Duration::from_secs(1), ..Limits::default() };
    let rig = Rig::start(net, with_all_ends(limits)).await;
    let counted = |expected: [u64; 6]| {
        let server = rig.server.clone();
        async move {
            until("it is counted", || connections(&server.metrics()) == expected).await;
        }
    };
    let client = rig.client(); // whose linger is short
    let sum = client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>();
    assert_eq!(soon("the sum", sum).await, Ok(5));
    counted([0, 1, 1, 0, 0, 0]).await;
    until("it is counted", || connections(&client.metrics()) == [0, 1, 1, 0, 0, 0]).await;
    let _reply = endless(&client).await;
    counted([1, 2, 1, 0, 0, 0]).await;
    client.line.cut();
    counted([0, 2, 1, 1, 0, 0]).await;
    until("it is counted", || connections(&client.metrics()) == [0, 2, 1, 1, 0, 0]).await;
    let mut silent = rig.raw().await;
    silent.rest().await;
    counted([0, 3, 1, 1, 1, 0]).await;
    let mut wrong = rig.raw().await;
    wrong.say_hello().await;
    wrong.send_packet("no frame".into()).await;
    wrong.rest().await;
    counted([0, 4, 1, 1, 1, 1]).await;
}

async fn attempts_to_connect_that_fail_are_counted(net: Net) {
    let dial: Dialling = Box::new(|| wirestream::Dial::dial(&Nobody));
    let retry = RetryPolicy { attempts: 2, base: Duration::from_millis(2), ..Default::default() };
    let client = TestClient::new(net, dial, ClientConfig { retry, ..ClientConfig::default() });
    let call = client.call("Example.add").unary::<i64>();
    assert!(matches!(soon("the failure", call).await, Err(StreamError::Lost(_))));
    let metrics = client.metrics();
    assert_eq!((metrics.handshakes_failed, metrics.connections_begun), (3, 0));
    assert_eq!(calls(&metrics), [0; 7], "a call without a connection is none of one");
}

/// K5: whatever the calls were, nothing is left of them but counts.
async fn nothing_is_open_or_waits_behind_a_thousand_calls(net: Net) {
    let rig = Rig::start(net, with_all_ends(Limits::default())).await;
    let client = rig.lasting_client();
    drop(endless(&client).await); // a call that is given up before there is a connection is none
    for _ in 0..20 {
        let calls = (0..50).map(|n| {
            let client = &client;
            async move {
                let (input, messages) = channel::<Vec<u8>>();
                let _ = input.try_send(vec![1; 100]);
                match n % 4 {
                    0 => drop(client.call("Example.unread").parameter(messages).stream::<u64>()),
                    1 => drop(endless(client).await),
                    2 => {
                        let call = client.call("Example.typed");
                        call.unary_with_error::<(), Problem>().await.unwrap_err();
                    }
                    _ => {
                        let mut call =
                            client.call("Example.unread").parameter(messages).stream::<u64>();
                        assert_eq!(call.next().await, Some(Ok(1)));
                        input.send(vec![2; 10_000]).await.unwrap();
                    }
                }
            }
        });
        soon("the calls", futures_util::future::join_all(calls)).await;
    }
    until("nothing waits", || at_rest(&client.metrics()) && at_rest(&rig.server.metrics())).await;
    assert_eq!(client.metrics().calls_begun, 1_001);
    client.disconnect();
    until("no connection is left", || {
        client.metrics().connections_open + rig.server.metrics().connections_open == 0
    })
    .await;
}
