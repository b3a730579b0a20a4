//! Group E, continued: what a client tells of its connection, and how it tries again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use wirestream::{
    BoxFuture, Client, ClientConfig, CloseReason, ConnectError, ConnectErrorKind, Dial, Limits,
    LostReason, RetryPolicy, Status, StatusChanges, StreamError, Transport,
};
use wirestream_tests::{Line, Net, Nobody, Rig, TestClient, runtime, scenarios, soon};

use crate::methods::server;

scenarios! {
    e1_a_call_outlives_its_client,
    e12_each_change_of_status_is_told_once,
    e12_a_loss_is_told_with_its_reason,
    e13_a_first_connection_that_fails_is_tried_again,
    e13_pauses_are_spread_over_all_of_their_bound,
    e13_the_policy_ends_the_attempts,
    e13_what_no_retry_can_mend_is_not_retried,
    e13_disconnecting_ends_the_attempts,
}

async fn next(changes: &mut StatusChanges) -> Status {
    soon("a change of status", changes.next()).await.expect("the client is there")
}

/// Its first attempts find nobody.
struct Late {
    failures: AtomicUsize,
    then: Arc<Line>,
}

impl Dial for Late {
    fn dial(&self) -> BoxFuture<Result<Box<dyn Transport>, ConnectError>> {
        let left =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match left {
            Ok(_) => Nobody.dial(),
            Err(_) => self.then.dial(),
        }
    }
}

fn client(net: Net, dial: impl Dial, retry: RetryPolicy) -> Client {
    let limits = Limits { linger: Duration::from_millis(50), ..Limits::default() };
    let config = ClientConfig { limits, retry, ..ClientConfig::default() };
    Client::new(runtime(net), Arc::new(dial), config).expect("valid limits")
}

fn attempts(attempts: u32) -> RetryPolicy {
    RetryPolicy { attempts, base: Duration::from_millis(4), ..RetryPolicy::default() }
}

async fn add(client: &Client) -> Result<i64, StreamError> {
    client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>().await
}

/// E12
async fn e12_each_change_of_status_is_told_once(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.client();
    let mut changes = client.status_changes();
    assert_eq!(next(&mut changes).await, Status::Disconnected(None));
    for _ in 0..3 {
        assert_eq!(add(&client).await, Ok(5));
    }
    assert_eq!(next(&mut changes).await, Status::Connecting);
    assert_eq!(next(&mut changes).await, Status::Connected);
    let idle = Some(LostReason::Closed(CloseReason::Idle));
    assert_eq!(next(&mut changes).await, Status::Disconnected(idle.clone()));
    assert_eq!(client.status(), Status::Disconnected(idle));
    drop(client);
    assert_eq!(soon("the end of the changes", changes.next()).await, None);
}

/// E12
async fn e12_a_loss_is_told_with_its_reason(net: Net) {
    let rig = Rig::start(net, server()).await;
    let TestClient { client, line } = rig.client();
    assert_eq!(add(&client).await, Ok(5));
    let mut changes = client.status_changes();
    assert_eq!(next(&mut changes).await, Status::Connected);
    line.cut();
    let lost = Some(LostReason::Closed(CloseReason::Eof));
    assert_eq!(next(&mut changes).await, Status::Disconnected(lost));
}

/// E13
async fn e13_a_first_connection_that_fails_is_tried_again(net: Net) {
    let rig = Rig::start(net, server()).await;
    let then = rig.client().line;
    let client = client(net, Late { failures: 2.into(), then: Arc::clone(&then) }, attempts(5));
    let mut changes = client.status_changes();
    let calls = futures_util::future::join_all((0..5).map(|_| add(&client))).await;
    assert_eq!(calls, vec![Ok(5); 5]);
    assert_eq!(then.dials(), 1);
    assert_eq!(next(&mut changes).await, Status::Disconnected(None));
    for failure in 1..=2 {
        assert_eq!(next(&mut changes).await, Status::Connecting);
        match next(&mut changes).await {
            Status::Waiting(pause) => assert!(pause <= Duration::from_millis(4 * failure)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(next(&mut changes).await, Status::Connecting);
    assert_eq!(next(&mut changes).await, Status::Connected);
}

/// E13: full jitter, so that clients that lost the same server do not come back together.
async fn e13_pauses_are_spread_over_all_of_their_bound(net: Net) {
    const ATTEMPTS: u32 = 60;
    let bound = Duration::from_millis(8);
    let retry = RetryPolicy { attempts: ATTEMPTS, base: bound, longest: bound };
    let client = client(net, Nobody, retry);
    let mut changes = client.status_changes();
    let call = client.call("Example.add").unary::<i64>();
    let mut pauses = Vec::new();
    while pauses.len() < ATTEMPTS as usize {
        if let Status::Waiting(pause) = next(&mut changes).await {
            pauses.push(pause);
        }
    }
    assert!(matches!(soon("the end", call).await, Err(StreamError::Lost(_))));
    // In each quarter of the bound there are some; without jitter, in one alone.
    let quarters: Vec<_> = (0..4)
        .map(|n| bound * n / 4..bound * (n + 1) / 4)
        .map(|quarter| pauses.iter().copied().filter(|pause| quarter.contains(pause)).count())
        .collect();
    assert!(quarters.iter().all(|&count| count > 0), "{quarters:?} {pauses:?}");
    assert_eq!(quarters.iter().sum::<usize>(), pauses.len(), "{pauses:?}");
}

/// E13
async fn e13_the_policy_ends_the_attempts(net: Net) {
    let rig = Rig::start(net, server()).await;
    let then = rig.client().line;
    let client = client(net, Late { failures: 3.into(), then: Arc::clone(&then) }, attempts(2));
    match add(&client).await {
        Err(StreamError::Lost(LostReason::Connect(error))) => {
            assert_eq!(error.kind, ConnectErrorKind::Unreachable);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(then.dials(), 0);
    // The next call begins anew.
    assert_eq!(add(&client).await, Ok(5));
}

/// E13: another attempt cannot mend an address that is wrong.
async fn e13_what_no_retry_can_mend_is_not_retried(net: Net) {
    struct Wrong(Arc<AtomicUsize>);
    impl Dial for Wrong {
        fn dial(&self) -> BoxFuture<Result<Box<dyn Transport>, ConnectError>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            let kind = ConnectErrorKind::NotWirestream;
            let error = ConnectError { target: "x".into(), kind, detail: "a web server".into() };
            Box::pin(async { Err(error) })
        }
    }
    let dials = Arc::<AtomicUsize>::default();
    let error = add(&client(net, Wrong(Arc::clone(&dials)), attempts(5))).await.unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(dials.load(Ordering::SeqCst), 1);
}

/// E13
async fn e13_disconnecting_ends_the_attempts(net: Net) {
    let rig = Rig::start(net, server()).await;
    let then = rig.client().line;
    let endless = RetryPolicy { base: Duration::from_secs(3600), ..attempts(u32::MAX) };
    let client = client(net, Late { failures: 1.into(), then }, endless);
    let mut changes = client.status_changes();
    let waiting = add(&client);
    let disconnect = async {
        while !matches!(next(&mut changes).await, Status::Waiting(_)) {}
        client.disconnect();
    };
    let (lost, ()) = tokio::join!(waiting, disconnect);
    assert_eq!(lost, Err(StreamError::Lost(LostReason::Closed(CloseReason::Local))));
    assert_eq!(add(&client).await, Ok(5));
}

/// E1: a call does not need its client any more.
async fn e1_a_call_outlives_its_client(net: Net) {
    let rig = Rig::start(net, server()).await;
    let call = {
        let client = rig.client().client;
        client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>()
    };
    assert_eq!(call.await, Ok(5));
}
