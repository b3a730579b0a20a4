//! What is published arrives.

use futures_util::future::try_join_all;
use wirestream::{Bus, BusError};
use wirestream_redis::{RedisBus, RedisConfig};

use crate::node::{LONG, Node, gap, hasty, message, patient, soon, until};
use crate::server::RedisServer;

#[tokio::test]
async fn a_message_arrives_once_at_each_node_that_has_subscribed() {
    let server = RedisServer::start();
    let [mut poster, mut other, deaf] = [(); 3].map(|()| Node::new(&server.url(), patient()));
    assert_eq!(soon("a connection", poster.bus.ready()).await, Ok(()));
    assert_eq!(poster.publish("news", "nobody listens").await, Ok(()));
    for node in [&poster, &other] {
        assert_eq!(node.subscribe("news").await, Ok(()));
    }
    for text in ["one", "", "three"] {
        assert_eq!(poster.publish("news", text).await, Ok(()));
    }
    for node in [&mut poster, &mut other] {
        for text in ["one", "", "three"] {
            assert_eq!(node.next().await, message("news", text));
        }
        assert!(node.is_quiet());
    }
    assert!(deaf.is_quiet());
}

#[tokio::test]
async fn many_messages_arrive_in_the_order_of_the_calls() {
    let server = RedisServer::start();
    let [poster, mut other] = [(); 2].map(|()| Node::new(&server.url(), patient()));
    other.subscribe("news").await.unwrap();
    let text = |number: usize| format!("{number} {}", "x".repeat(number % 300));
    let published = (0..10_000).map(|number| poster.bus.publish("news", text(number).into()));
    let published: Vec<_> = published.collect();
    // Their futures only tell what has become of them, in any order.
    soon("every answer", try_join_all(published.into_iter().rev())).await.unwrap();
    for number in 0..10_000 {
        assert_eq!(other.next().await, message("news", &text(number)));
    }
    assert!(other.is_quiet());
}

#[tokio::test]
async fn channels_and_namespaces_do_not_hear_each_other() {
    let server = RedisServer::start();
    let of = |namespace: &str| RedisConfig { namespace: namespace.into(), ..patient() };
    let mut node = Node::new(&server.url(), of("shop"));
    let others = ["shop2", "sho", ""].map(|name| Node::new(&server.url(), of(name)));
    // To Redis a pattern is a name like others.
    for channel in ["news", "new?", "*"] {
        node.subscribe(channel).await.unwrap();
    }
    for other in &others {
        other.publish("news", "of another namespace").await.unwrap();
        other.publish("shop:news", "of another namespace").await.unwrap();
    }
    server.publish("news", b"of none");
    let sub = Node::new(&server.url(), of("sho"));
    sub.publish("p:news", "of one that does not end here").await.unwrap();
    node.publish("newsletter", "of another channel").await.unwrap();
    node.publish("news", "heard").await.unwrap();
    // An empty namespace followed by the colon and "shop:news" is another name than "shop:news".
    assert_eq!(node.next().await, message("news", "heard"));
    node.publish("*", "heard too").await.unwrap();
    assert_eq!(node.next().await, message("*", "heard too"));
    assert!(node.is_quiet());
}

#[tokio::test]
async fn what_is_published_after_a_confirmed_subscription_arrives_and_after_its_end_does_not() {
    let server = RedisServer::start();
    let [poster, mut other] = [(); 2].map(|()| Node::new(&server.url(), patient()));
    for round in 0..200 {
        let text = round.to_string();
        other.subscribe("news").await.unwrap();
        poster.publish("news", &text).await.unwrap();
        assert_eq!(other.next().await, message("news", &text));
        other.bus.unsubscribe("news");
    }
    other.subscribe("end").await.unwrap();
    // Redis has confirmed a later subscription, so it knows of the end of the earlier one.
    poster.publish("news", "into the void").await.unwrap();
    poster.publish("end", "the end").await.unwrap();
    assert_eq!(other.next().await, message("end", "the end"));
}

#[tokio::test]
async fn a_thousand_subscriptions_at_once_are_all_confirmed() {
    let server = RedisServer::start();
    let mut node = Node::new(&server.url(), patient());
    let names: Vec<_> = (0..1_000).map(|number| format!("channel {number}")).collect();
    let subscribed = names.iter().map(|name| node.bus.subscribe(name));
    soon("every subscription", try_join_all(subscribed)).await.unwrap();
    let published = names.iter().map(|name| node.bus.publish(name, "hello".into()));
    soon("every message", try_join_all(published)).await.unwrap();
    for name in &names {
        assert_eq!(node.next().await, message(name, "hello"));
    }
}

#[tokio::test]
async fn a_future_that_is_dropped_takes_nothing_back() {
    let server = RedisServer::start();
    let mut node = Node::new(&server.url(), patient());
    drop(node.bus.subscribe("news"));
    node.subscribe("end").await.unwrap();
    drop(node.bus.publish("news", "not waited for".into()));
    assert_eq!(node.next().await, message("news", "not waited for"));
}

#[tokio::test]
async fn what_is_too_large_is_neither_published_nor_handed_in() {
    let server = RedisServer::start();
    let config = RedisConfig { message: 1_000, queue: 10_000, ..patient() };
    let mut node = Node::new(&server.url(), config);
    node.subscribe("news").await.unwrap();
    let text = |size| "x".repeat(size);
    assert_eq!(node.publish("news", &text(1_000)).await, Ok(()));
    assert_eq!(node.next().await, message("news", &text(1_000)));
    let refused = BusError::TooLarge { size: 1_001, limit: 1_000 };
    assert_eq!(node.publish("news", &text(1_001)).await, Err(refused));
    // Others may have other limits, or be no nodes at all.
    server.publish("wirestream:news", text(1_001).as_bytes());
    node.publish("news", "behind it").await.unwrap();
    assert_eq!(node.next().await, gap("news"));
    assert_eq!(node.next().await, message("news", "behind it"));
    assert_eq!(node.bus.status().passed_over(), 1);
}

#[tokio::test]
async fn what_waits_to_be_published_is_bounded() {
    let server = RedisServer::start();
    let config = RedisConfig { message: 8_000, queue: 10_000, within: LONG, ..hasty() };
    let mut node = Node::new(&server.url(), RedisConfig { ping: LONG, ..config });
    node.subscribe("news").await.unwrap();
    server.freeze();
    let large: String = "x".repeat(8_000);
    let waiting = node.bus.publish("news", large.clone().into());
    assert_eq!(node.publish("news", &large).await, Err(BusError::Full));
    assert!(BusError::Full.is_retryable() && !BusError::Full.may_have_arrived());
    server.thaw();
    assert_eq!(soon("an answer", waiting).await, Ok(()));
    assert_eq!(node.next().await, message("news", &large));
    assert_eq!(node.publish("news", &large).await, Ok(()), "there is room again");
}

#[tokio::test]
async fn dropping_the_bus_ends_its_connections_and_its_calls() {
    let server = RedisServer::start();
    let node = Node::new(&server.url(), RedisConfig { ping: LONG, ..patient() });
    node.subscribe("news").await.unwrap();
    node.publish("news", "hello").await.unwrap();
    assert_eq!(server.clients(), 2, "one subscribes, one publishes");
    server.freeze();
    let published = node.bus.publish("news", "too late".into());
    let subscribed = node.bus.subscribe("other");
    drop(node);
    assert_eq!(soon("an answer", published).await, Err(BusError::Closed));
    assert_eq!(soon("an answer", subscribed).await, Err(BusError::Closed));
    server.thaw();
    until("the end of the connections", || server.clients() == 0).await;
}

#[test]
fn it_takes_no_runtime_around_it() {
    let server = RedisServer::start();
    let bus = RedisBus::with_config(&server.url(), patient()).unwrap();
    let (arrive, arrived) = std::sync::mpsc::channel();
    bus.start(wirestream::BusInbox::new(move |arrival| {
        arrive.send(format!("{arrival:?}")).unwrap();
    }));
    let calls = async {
        bus.subscribe("news").await?;
        bus.publish("news", "hello".into()).await
    };
    assert_eq!(wait_for(calls), Ok(()));
    let arrival = arrived.recv_timeout(LONG).unwrap();
    assert_eq!(arrival, r#"Message { channel: "news", message: b"hello" }"#);
}

/// Awaits a future on this thread, with nothing of any runtime's.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        let mut context = std::task::Context::from_waker(&waker);
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}
