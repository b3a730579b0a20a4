//! Redis is not there, goes, hangs and comes back.

use std::time::Instant;

use wirestream::{Bus, BusError};
use wirestream_redis::{RedisConfig, RedisErrorKind};

use crate::node::{LONG, Node, gap, hasty, message, patient, soon, until, until_published};
use crate::server::RedisServer;

/// Nothing was sent, and another time it may be.
fn is_unavailable(result: &Result<(), BusError>) -> bool {
    matches!(result, Err(BusError::Unavailable { .. }))
}

#[tokio::test]
async fn without_redis_each_call_fails_soon_and_says_where_it_is_not() {
    let nowhere = RedisServer::place(&[]);
    let node = Node::new(&nowhere.url(), patient());
    let error = soon("an answer", node.bus.ready()).await.unwrap_err();
    assert!(matches!(error.kind, RedisErrorKind::Unreachable(_)), "{error:?}");
    assert_eq!(*error.target, *nowhere.url());
    for result in [node.publish("news", "hello").await, node.subscribe("news").await] {
        assert!(is_unavailable(&result), "{result:?}");
        let words = result.unwrap_err().to_string();
        assert!(words.contains(&nowhere.url()), "{words}");
    }
}

#[tokio::test]
async fn what_was_wanted_without_redis_is_subscribed_once_it_comes_with_a_gap() {
    let mut server = RedisServer::place(&[]);
    let mut node = Node::new(&server.url(), patient());
    assert!(is_unavailable(&node.subscribe("news").await));
    assert!(is_unavailable(&node.subscribe("ended").await));
    node.bus.unsubscribe("ended");
    server.restart();
    assert_eq!(node.next().await, gap("news"));
    until_published(&node, "ended", "not wanted any more").await;
    node.publish("news", "hello").await.unwrap();
    assert_eq!(node.next().await, message("news", "hello"));
    assert_eq!(node.subscribe("other").await, Ok(()));
    assert!(node.is_quiet());
}

#[tokio::test]
async fn while_redis_is_stopped_calls_fail_and_after_its_restart_a_gap_comes_first() {
    let mut server = RedisServer::start();
    let mut node = Node::new(&server.url(), patient());
    node.subscribe("news").await.unwrap();
    node.subscribe("sport").await.unwrap();
    for round in 0..3 {
        match round {
            0 => server.stop(),
            _ => server.kill(),
        }
        // One that was called before the loss was noticed may have been lost with it.
        soon("a call that fails", async {
            while !is_unavailable(&node.publish("news", "hello").await) {}
        })
        .await;
        assert!(is_unavailable(&node.subscribe("other").await));
        server.restart();
        // The channels come back in their order.
        assert_eq!(node.hear_again("sport").await, [gap("news"), gap("other"), gap("sport")]);
        node.publish("news", "after the gap").await.unwrap();
        assert_eq!(node.next().await, message("news", "after the gap"));
        node.bus.unsubscribe("other");
    }
}

#[tokio::test]
async fn redis_may_kill_either_connection() {
    let server = RedisServer::start();
    let mut node = Node::new(&server.url(), patient());
    node.subscribe("news").await.unwrap();
    server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(node.hear_again("news").await, [gap("news")]);
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert_eq!(node.hear_again("news").await, []);
}

#[tokio::test]
async fn a_subscriber_that_redis_drops_for_its_backlog_is_told_of_the_gap() {
    let limit = ["--client-output-buffer-limit", "pubsub 200kb 0 0"];
    let server = RedisServer::start_with(&limit);
    let mut node = Node::new(&server.url(), patient());
    node.subscribe("news").await.unwrap();
    // Redis drops the connection that is sent this, and its message with it.
    server.publish("wirestream:news", &vec![b'x'; 1_000_000]);
    assert_eq!(node.next().await, gap("news"));
    node.publish("news", "hello").await.unwrap();
    assert_eq!(node.next().await, message("news", "hello"));
}

#[tokio::test]
async fn a_redis_that_hangs_is_noticed_and_calls_fail_in_time() {
    let server = RedisServer::start();
    let config = hasty();
    let within = config.within;
    let mut node = Node::new(&server.url(), config);
    until_published(&node, "news", "hello").await;
    assert_eq!(node.subscribe("news").await, Ok(()));
    server.freeze();
    let begun = Instant::now();
    let answers = [
        node.bus.publish("news", "into the ice".into()),
        node.bus.subscribe("other"),
        node.bus.publish("news", "behind it".into()),
    ];
    for answer in soon("every answer", futures_util::future::join_all(answers)).await {
        let error = answer.unwrap_err();
        let in_time = matches!(
            error,
            BusError::TimedOut(_) | BusError::Lost { .. } | BusError::Unavailable { .. }
        );
        assert!(in_time, "{error:?}");
    }
    assert!(begun.elapsed() < within + LONG / 3, "{:?}", begun.elapsed());
    // Once the hang is noticed nobody waits any more: the attempts to connect fail.
    soon("a call that fails", async {
        while !is_unavailable(&node.publish("news", "later").await) {}
    })
    .await;
    server.thaw();
    let arrived = node.hear_again("news").await;
    assert!(arrived.contains(&gap("news")), "{arrived:?}");
    // What was answered as lost may have arrived all the same, but at most once.
    let texts = ["into the ice", "behind it"].map(|text| message("news", text));
    for text in &texts {
        assert!(arrived.iter().filter(|arrived| *arrived == text).count() <= 1, "{arrived:?}");
    }
}

#[tokio::test]
async fn a_pause_that_is_shorter_than_patience_costs_nothing() {
    let server = RedisServer::start();
    let mut node = Node::new(&server.url(), patient());
    node.subscribe("news").await.unwrap();
    server.ask(&["CLIENT", "PAUSE", "300", "ALL"]);
    assert_eq!(node.publish("news", "patience").await, Ok(()));
    assert_eq!(node.next().await, message("news", "patience"));
    assert!(node.is_quiet());
}

#[tokio::test]
async fn a_quiet_connection_is_kept_and_one_that_does_not_answer_is_not() {
    let server = RedisServer::start();
    let config = RedisConfig { connect: LONG, dead_after: LONG, ..hasty() };
    let mut node = Node::new(&server.url(), RedisConfig { within: LONG, ..config });
    node.subscribe("news").await.unwrap();
    node.publish("other", "hello").await.unwrap();
    let pings = || {
        let stats = server.ask(&["INFO", "commandstats"]);
        let stats: String = redis::from_redis_value(stats).unwrap();
        let line = stats.lines().find(|line| line.starts_with("cmdstat_ping")).unwrap_or("");
        let calls = line.split(['=', ',']).nth(1).unwrap_or("0");
        calls.parse::<u32>().unwrap()
    };
    // Both connections ask for signs of life, and get them.
    until("some pings", || pings() >= 6).await;
    node.publish("news", "still here").await.unwrap();
    assert_eq!(node.next().await, message("news", "still here"));
    assert_eq!(server.clients(), 2);
    assert!(node.is_quiet());
}
