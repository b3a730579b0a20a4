//! Who answers is no Redis, or does not let us.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use wirestream::BusError;
use wirestream_redis::{ConfigError, RedisBus, RedisConfig, RedisErrorKind};

use crate::node::{Node, gap, hasty, message, patient, soon, until};
use crate::server::RedisServer;

const CANARY: &str = "canary-7f3a";

/// What a node is told that looks for Redis there: when it starts, when it publishes and when it
/// subscribes.
async fn told(url: &str, config: RedisConfig) -> RedisErrorKind {
    let node = Node::new(url, config);
    let error = soon("an answer", node.bus.ready()).await.unwrap_err();
    let expected = BusError::from(error.clone());
    for result in [node.publish("news", "hello").await, node.subscribe("news").await] {
        assert_eq!(result.unwrap_err(), expected);
    }
    let said = format!("{error} {error:?} {expected} {expected:?} {:?}", node.bus);
    assert!(!said.contains(CANARY), "{said}");
    error.kind
}

fn at(port: u16) -> String {
    format!("redis://:{CANARY}@127.0.0.1:{port}")
}

/// The port of a server that does this with each connection.
fn some_server(serve: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(serve));
    port
}

#[tokio::test]
async fn who_speaks_another_protocol_is_no_redis() {
    for greeting in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH\r\n", "220 mail\r\n"] {
        let port = some_server(move |mut socket| {
            let _ = socket.write_all(greeting.as_bytes());
            let _ = socket.read(&mut [0; 1024]);
        });
        assert_eq!(told(&at(port), patient()).await, RedisErrorKind::NotRedis, "{greeting}");
    }
}

#[tokio::test]
async fn who_hangs_up_or_says_nothing_is_told_apart() {
    let kind = told(&at(some_server(drop)), patient()).await;
    assert!(matches!(kind, RedisErrorKind::Unreachable(_)), "{kind:?}");
    let in_its_answer = some_server(|mut socket| {
        let _ = socket.read(&mut [0; 1024]);
        let _ = socket.write_all(b"%7\r\n$6\r\nserver\r\n$5\r\nred");
    });
    let kind = told(&at(in_its_answer), patient()).await;
    assert!(matches!(kind, RedisErrorKind::Unreachable(_)), "{kind:?}");
    let port = some_server(std::mem::forget);
    assert_eq!(told(&at(port), hasty()).await, RedisErrorKind::TimedOut);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_never_shown() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    assert_eq!(told(&at(server.port()), patient()).await, RedisErrorKind::Credentials);
    assert_eq!(told(&server.url(), patient()).await, RedisErrorKind::Credentials);
    let right = format!("redis://:right@127.0.0.1:{}", server.port());
    let mut node = Node::new(&right, patient());
    node.subscribe("news").await.unwrap();
    node.publish("news", "hello").await.unwrap();
    assert_eq!(node.next().await, message("news", "hello"));
}

#[tokio::test]
async fn a_server_that_does_not_know_how_to_say_hello_quotes_no_password() {
    let server = RedisServer::start_with(&["--rename-command", "HELLO", "SALUT"]);
    assert_eq!(told(&at(server.port()), patient()).await, RedisErrorKind::TooOld);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_refused() {
    let server = RedisServer::start();
    let kind = told(&format!("{}/99", server.url()), patient()).await;
    assert!(matches!(kind, RedisErrorKind::Refused(_)), "{kind:?}");
    let node = Node::new(&format!("{}/3", server.url()), patient());
    assert_eq!(node.publish("news", "hello").await, Ok(()));
}

#[tokio::test]
async fn a_server_with_too_many_clients_is_busy() {
    let server = RedisServer::start();
    server.ask(&["CONFIG", "SET", "maxclients", "1"]);
    let first = Node::new(&server.url(), patient());
    until("the one connection", || first.bus.status().error().is_some()).await;
    let kind = told(&server.url(), patient()).await;
    assert!(matches!(kind, RedisErrorKind::Busy(_)), "{kind:?}");
}

fn is_refused(result: &Result<(), BusError>) -> bool {
    matches!(result, Err(error @ BusError::Refused { .. }) if !error.is_retryable())
}

#[tokio::test]
async fn what_the_rights_of_the_user_do_not_cover_is_refused_and_the_rest_works() {
    let server = RedisServer::start();
    let rights = |more: &str| {
        let password = format!(">{CANARY}");
        let set = ["ACL", "SETUSER", "app", "on", &password, "-@all", "+@connection", "+subscribe"];
        server.ask(&[&set[..], &["+unsubscribe", "+publish", "resetchannels"], &[more]].concat());
    };
    rights("&wirestream:public:*");
    let url = format!("redis://app:{CANARY}@127.0.0.1:{}", server.port());
    let config = RedisConfig { retry_longest: std::time::Duration::from_millis(200), ..patient() };
    let mut node = Node::new(&url, config);
    node.subscribe("public:news").await.unwrap();
    let results = [node.subscribe("secret:news").await, node.publish("secret:news", "psst").await];
    for result in &results {
        assert!(is_refused(result), "{result:?}");
        assert!(!format!("{result:?}").contains(CANARY));
    }
    node.publish("public:news", "hello").await.unwrap();
    assert_eq!(node.next().await, message("public:news", "hello"));
    // It stays wanted, and once it is allowed it is there.
    rights("&wirestream:*");
    loop {
        let arrived = node.next().await;
        if arrived == gap("secret:news") {
            break;
        }
        // Redis may end connections when rights change.
        assert_eq!(arrived, gap("public:news"));
    }
    let publishing = async { while node.publish("secret:news", "psst").await.is_err() {} };
    soon("a message that is taken", publishing).await;
    while node.next().await != message("secret:news", "psst") {}
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_told_at_once() {
    let with = |change: fn(&mut RedisConfig)| {
        let mut config = RedisConfig::default();
        change(&mut config);
        RedisBus::with_config("redis://127.0.0.1:1", config).map(drop).unwrap_err()
    };
    assert_eq!(with(|config| config.namespace = "{x}".into()), ConfigError::Namespace);
    assert_eq!(with(|config| config.namespace = "x".repeat(256)), ConfigError::Namespace);
    assert_eq!(with(|config| config.within = Default::default()), ConfigError::Times);
    assert_eq!(with(|config| config.retry_base *= 1_000), ConfigError::Times);
    assert_eq!(with(|config| config.queue = config.message), ConfigError::Queue);
    assert_eq!(with(|config| config.queue = usize::MAX), ConfigError::Queue);
    let error = RedisBus::new(&format!("http://:{CANARY}@host")).map(drop).unwrap_err();
    assert!(matches!(error, ConfigError::Url(_)) && !error.to_string().contains(CANARY));
}

#[tokio::test]
async fn a_server_without_sharded_channels_is_too_old_for_them() {
    let disabled = ["--rename-command", "SSUBSCRIBE", "", "--rename-command", "SPUBLISH", ""];
    let server = RedisServer::start_with(&disabled);
    let node = Node::new(&server.url(), RedisConfig { sharded: true, ..patient() });
    for result in [node.publish("news", CANARY).await, node.subscribe("news").await] {
        assert!(is_refused(&result), "{result:?}");
        let words = result.unwrap_err().to_string();
        assert!(words.contains("is too old") && !words.contains(CANARY), "{words}");
    }
    until("both connections", || server.clients() == 2).await;
}
