//! The same by Wirestream's messages, from one server to another.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use wirestream_redis::RedisBus;
use wirestream_tokio::{MessageConfig, Messages, Post, Server};

use crate::Work;

pub(crate) fn measure(url: &str, work: Work) -> Duration {
    let arrived = Arc::new(Semaphore::new(0));
    let (subscribed, is_subscribed) = mpsc::channel();
    let [one, other] = [server(url), server(url)];
    let subscriber = {
        let (messages, arrived) = (other.messages(), Arc::clone(&arrived));
        let subscribing = async move { subscribe(&messages, work, &arrived, &subscribed).await };
        thread::spawn(move || runtime().block_on(subscribing))
    };
    is_subscribed.recv().expect("a subscriber");
    let messages = one.messages();
    let begun = Instant::now();
    let publishing = async move { publish(&messages, work, &arrived).await };
    let publisher = thread::spawn(move || runtime().block_on(publishing));
    let ended = subscriber.join().expect("no panic");
    publisher.join().expect("no panic");
    ended - begun
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn server(url: &str) -> Server {
    // Room for all of it: the subscriber here is not to miss any.
    let config =
        MessageConfig { unread: 200_000, unread_bytes: 512 << 20, ..MessageConfig::default() };
    let bus = RedisBus::new(url).expect("a URL");
    Server::builder().messages(config).bus(bus).build().expect("a sound server")
}

async fn subscribe(
    messages: &Messages,
    work: Work,
    arrived: &Semaphore,
    subscribed: &mpsc::Sender<()>,
) -> Instant {
    let mut heard = messages.subscribe::<Bytes>("bench").await.expect("a subscription");
    subscribed.send(()).expect("a publisher");
    for _ in 0..work.messages {
        let message = heard.next().await.expect("a subscription").expect("a message");
        assert_eq!(message.len(), work.bytes);
        if work.one_at_a_time {
            arrived.add_permits(1);
        }
    }
    Instant::now()
}

async fn publish(messages: &Messages, work: Work, arrived: &Semaphore) {
    let payload = Bytes::from(vec![b'x'; work.bytes]);
    let mut under_way = VecDeque::<Post>::new();
    for _ in 0..work.messages {
        if under_way.len() == work.window
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.await.expect("a bus");
        }
        under_way.push_back(messages.post("bench", &payload));
        if work.one_at_a_time {
            arrived.acquire().await.expect("it is not closed").forget();
        }
    }
    for post in under_way {
        post.await.expect("a bus");
    }
}
