//! Sharded channels, on one server and in a cluster.

use std::time::Duration;

use wirestream::Bus;
use wirestream_redis::RedisConfig;

use crate::node::{Node, gap, message, patient, soon, until, until_published};
use crate::server::RedisServer;

fn sharded(namespace: &str) -> RedisConfig {
    RedisConfig { sharded: true, namespace: namespace.into(), ..patient() }
}

#[tokio::test]
async fn sharded_channels_work_on_a_single_server() {
    let mut server = RedisServer::start();
    let [poster, mut other] = [(); 2].map(|()| Node::new(&server.url(), sharded("shop")));
    let plain = Node::new(&server.url(), RedisConfig { sharded: false, ..sharded("shop") });
    other.subscribe("news").await.unwrap();
    plain.publish("news", "on another kind of channel").await.unwrap();
    poster.publish("news", "hello").await.unwrap();
    assert_eq!(other.next().await, message("news", "hello"));
    server.stop();
    server.restart();
    assert_eq!(other.hear_again("news").await, [gap("news")]);
    other.bus.unsubscribe("news");
    other.subscribe("end").await.unwrap();
    until_published(&poster, "news", "into the void").await;
    poster.publish("end", "the end").await.unwrap();
    assert_eq!(other.next().await, message("end", "the end"));
}

/// Two nodes of a cluster, which have half of the slots each.
async fn cluster() -> [RedisServer; 2] {
    let nodes = [(); 2].map(|()| RedisServer::start_with(&["--cluster-enabled", "yes"]));
    let [first, second] = &nodes;
    first.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    second.ask(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    first.ask(&["CLUSTER", "MEET", "127.0.0.1", &second.port().to_string()]);
    for node in &nodes {
        let knows_all = || text(node.ask(&["CLUSTER", "INFO"])).contains("cluster_state:ok");
        until("a cluster", knows_all).await;
    }
    nodes
}

fn text(value: redis::Value) -> String {
    redis::from_redis_value(value).unwrap()
}

fn slot(server: &RedisServer, namespace: &str) -> i64 {
    redis::from_redis_value(server.ask(&["CLUSTER", "KEYSLOT", namespace])).unwrap()
}

#[tokio::test]
async fn a_namespace_is_found_where_the_cluster_has_it_and_followed_when_it_moves() {
    let [first, second] = cluster().await;
    let mut names = (0..).map(|number| format!("shop{number}"));
    let namespace = names.find(|name| slot(&first, name) >= 8192).unwrap();
    // One begins at the wrong node.
    let mut here = Node::new(&first.url(), sharded(&namespace));
    let mut there = Node::new(&second.url(), sharded(&namespace));
    for node in [&here, &there] {
        assert_eq!(node.subscribe("news").await, Ok(()));
    }
    for number in 0..3 {
        let text = number.to_string();
        assert_eq!(here.publish("news", &text).await, Ok(()));
        for node in [&mut here, &mut there] {
            assert_eq!(node.next().await, message("news", &text));
        }
    }
    let slot = slot(&first, &namespace).to_string();
    let id = text(first.ask(&["CLUSTER", "MYID"]));
    for node in [&first, &second] {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
    }
    for node in [&mut here, &mut there] {
        let arrived = node.hear_again("news").await;
        assert_eq!(arrived, [gap("news")]);
    }
}

#[tokio::test]
async fn channels_that_are_not_sharded_work_at_any_node_of_a_cluster() {
    let [first, second] = cluster().await;
    let here = Node::new(&first.url(), patient());
    let mut there = Node::new(&second.url(), patient());
    there.subscribe("news").await.unwrap();
    // The nodes hear of each other's messages once they are linked both ways.
    let hearing = async {
        while there.is_quiet() {
            here.publish("news", "hello").await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("a message", hearing).await;
    assert_eq!(there.next().await, message("news", "hello"));
}
