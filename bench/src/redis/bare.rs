//! `PUBLISH` and `SUBSCRIBE` by the redis library alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, PushKind};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::Work;

const PIPELINE: usize = 512;
const PIPELINES: usize = 8;

pub(crate) fn measure(url: &str, work: Work) -> Duration {
    let url = format!("{url}?protocol=resp3");
    // One arrival is one permit, for who publishes one at a time.
    let arrived = Arc::new(Semaphore::new(0));
    let (subscribed, is_subscribed) = mpsc::channel();
    let subscriber = {
        let (url, arrived) = (url.clone(), Arc::clone(&arrived));
        thread::spawn(move || runtime().block_on(subscribe(&url, work, &arrived, &subscribed)))
    };
    is_subscribed.recv().expect("a subscriber");
    let begun = Instant::now();
    let publisher = thread::spawn(move || runtime().block_on(publish(&url, work, &arrived)));
    let ended = subscriber.join().expect("no panic");
    publisher.join().expect("no panic");
    ended - begun
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn connect(url: &str, config: AsyncConnectionConfig) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    let config = config.set_response_timeout(None).set_connection_timeout(None);
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.expect("a connection")
}

/// Counts until everything is there, and says when that was.
async fn subscribe(
    url: &str,
    work: Work,
    arrived: &Arc<Semaphore>,
    subscribed: &mpsc::Sender<()>,
) -> Instant {
    let (ended, is_ended) = tokio::sync::oneshot::channel();
    let ended = std::sync::Mutex::new(Some(ended));
    let (count, arrived) = (AtomicUsize::new(0), Arc::clone(arrived));
    let pushes = move |push: PushInfo| {
        if push.kind == PushKind::Message {
            if work.one_at_a_time {
                arrived.add_permits(1);
            }
            if count.fetch_add(1, Ordering::Relaxed) + 1 == work.messages
                && let Some(ended) = ended.lock().expect("no panic").take()
            {
                let _ = ended.send(Instant::now());
            }
        }
        Ok::<(), ()>(())
    };
    let mut connection = connect(url, AsyncConnectionConfig::new().set_push_sender(pushes)).await;
    connection.subscribe("bench").await.expect("a subscription");
    subscribed.send(()).expect("a publisher");
    is_ended.await.expect("everything")
}

async fn publish(url: &str, work: Work, arrived: &Semaphore) {
    let connection = connect(url, AsyncConnectionConfig::new()).await;
    let payload = vec![b'x'; work.bytes];
    let mut left = work.messages;
    let mut under_way = FuturesOrdered::new();
    let (most, pieces) = if work.one_at_a_time { (1, 1) } else { (PIPELINE, PIPELINES) };
    while left > 0 || !under_way.is_empty() {
        while left > 0 && under_way.len() < pieces {
            let count = most.min(left);
            let mut pipeline = Pipeline::new();
            for _ in 0..count {
                pipeline.cmd("PUBLISH").arg("bench").arg(&payload);
            }
            let mut connection = connection.clone();
            under_way.push_back(async move {
                connection.send_packed_commands(&pipeline, 0, count).await
            });
            left -= count;
        }
        under_way.next().await.expect("a pipeline").expect("a connection");
        if work.one_at_a_time {
            arrived.acquire().await.expect("it is not closed").forget();
        }
    }
}
