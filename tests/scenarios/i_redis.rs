//! Group I: messages between servers, through real redis-servers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use wirestream::{
    Access, Authentication, BusError, ClientConfig, Endpoint, Failed, MessageConfig, NoError,
    Outage, PostError, Receiver, Revocation, Scope, Sender, Server, ServerBuilder, Session,
    StreamError, SubscribeError, Token, channel,
};
use wirestream_redis::{RedisBus, RedisConfig};
use wirestream_tests::lobby::{lobby, shown};
use wirestream_tests::redis_server::RedisServer;
use wirestream_tests::{LONG, Net, Rig, TestClient, dial_address, scenarios, soon, until};

scenarios! {
    i1_what_is_posted_on_one_node_arrives_on_the_other_and_on_its_own_exactly_once,
    i2_neither_channels_nor_namespaces_hear_each_other,
    i3_without_redis_a_server_starts_and_each_scope_does_as_configured,
    i4_while_redis_is_stopped_posts_fail_in_time_and_streams_never_notice,
    i5_after_a_restart_a_gap_comes_ahead_of_the_next_message,
    i6_poison_is_skipped_and_counted_and_hurts_nobody,
    i7_a_subscriber_that_redis_kills_is_back_behind_a_gap,
    i7_a_redis_that_pauses_costs_nothing_but_time,
    i7_a_redis_that_hangs_fails_posts_in_time_and_is_back_behind_a_gap,
    i8_what_is_posted_after_a_subscription_is_heard_whatever_else_comes_and_goes,
    g10_a_revocation_reaches_the_other_node_through_redis,
}

/// Waits long for Redis, and comes back soon.
fn patient() -> RedisConfig {
    RedisConfig { within: LONG, retry_longest: Duration::from_millis(100), ..Default::default() }
}

/// Notices soon that Redis hangs.
fn hasty() -> RedisConfig {
    let soon = Duration::from_millis(200);
    RedisConfig { within: 2 * soon, connect: soon, ping: soon, dead_after: soon, ..patient() }
}

fn builder(url: &str, config: RedisConfig) -> ServerBuilder {
    let bus = RedisBus::with_config(url, config).expect("settings that can be used");
    Server::builder().endpoint(lobby()).bus(bus)
}

/// A node in this process.
async fn node(net: Net, redis: &RedisServer, config: RedisConfig) -> Rig {
    Rig::start(net, builder(&redis.url(), config).build().expect("a sound server")).await
}

/// A session that hears a channel, once it does.
async fn hearing(client: &TestClient, channel: &str) -> Receiver<String> {
    let mut heard = client.call("Lobby.hear").arguments(&(channel,)).stream();
    assert_eq!(next(&mut heard).await, "subscribed");
    heard
}

async fn next(heard: &mut Receiver<String>) -> String {
    soon("a message", heard.next()).await.expect("a stream that goes on").expect("a message")
}

async fn post(client: &TestClient, channel: &str, text: &str) -> Result<(), String> {
    let call = client.call("Lobby.post").arguments(&(channel, text)).unary();
    soon("an answer to a post", call).await.expect("a call that works")
}

async fn say(client: &TestClient, channel: &str, text: &str) {
    assert_eq!(post(client, channel, text).await, Ok(()));
}

/// Posts until it is heard: there may be a while without Redis. What was heard until then.
async fn say_until_heard(
    client: &TestClient,
    channel: &str,
    heard: &mut Receiver<String>,
) -> Vec<String> {
    static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
    let mut before = Vec::new();
    let saying = async {
        loop {
            let text = format!("attempt {}", ATTEMPTS.fetch_add(1, Ordering::Relaxed));
            let _ = post(client, channel, &text).await;
            let waiting = Duration::from_millis(50);
            while let Ok(message) = tokio::time::timeout(waiting, next(heard)).await {
                if message == text {
                    return;
                }
                before.push(message);
            }
        }
    };
    soon("a message", saying).await;
    before.retain(|text| !text.starts_with("attempt "));
    before
}

/// A stream that uses no messages.
struct Unrelated {
    input: Sender<String>,
    echoed: Receiver<String>,
}

impl Unrelated {
    fn begin(client: &TestClient) -> Self {
        let (input, texts) = channel();
        Self { input, echoed: client.call("Lobby.echo").parameter(texts).stream() }
    }

    /// It lives, and nothing that was sent is missing.
    async fn lives(&mut self) {
        for number in 0..10 {
            let text = number.to_string();
            soon("a message", self.input.send(text.clone())).await.expect("a stream");
            assert_eq!(next(&mut self.echoed).await, text);
        }
    }
}

/// A node that is a process of its own, or stands for one where there are no sockets.
enum Node {
    Here(Rig),
    Process(Net, Child, std::net::SocketAddr),
}

impl Node {
    async fn start(net: Net, redis: &RedisServer) -> Self {
        let adapter = match net {
            Net::Memory => return Self::Here(node(net, redis, patient()).await),
            Net::Tokio => "tokio",
            Net::Smol => "smol",
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
        command.args([adapter, &redis.url()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it runs");
        let mut line = String::new();
        let output = process.stdout.as_mut().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.trim().parse();
        Self::Process(net, process, address.expect("an address"))
    }

    fn client(&self) -> TestClient {
        match self {
            Self::Here(rig) => rig.client(),
            Self::Process(net, _, address) => {
                TestClient::new(*net, dial_address(*net, *address, LONG), ClientConfig::default())
            }
        }
    }

    /// Ends it, in order.
    async fn end(mut self) {
        match &mut self {
            Self::Here(rig) => rig.stop().await,
            Self::Process(_, process, _) => {
                drop(process.stdin.take());
                let mut status = None;
                until("the end of a node", || {
                    status = process.try_wait().expect("it is a child");
                    status.is_some()
                })
                .await;
                assert!(status.is_some_and(|status| status.success()), "{status:?}");
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Self::Process(_, process, _) = self {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// I1. With sockets the two nodes are processes.
async fn i1_what_is_posted_on_one_node_arrives_on_the_other_and_on_its_own_exactly_once(net: Net) {
    let redis = RedisServer::start();
    let nodes = [Node::start(net, &redis).await, Node::start(net, &redis).await];
    let clients = [nodes[0].client(), nodes[0].client(), nodes[1].client(), nodes[1].client()];
    let mut heard = Vec::new();
    for client in &clients {
        heard.push(hearing(client, "news").await);
    }
    for number in 0..40 {
        // From either node in turn.
        say(&clients[number % 4], "news", &number.to_string()).await;
    }
    for heard in &mut heard {
        // Each post was taken before the next, so all hear them in one order, and each once.
        for number in 0..40 {
            assert_eq!(next(heard).await, number.to_string());
        }
    }
    say(&clients[0], "news", "the end").await;
    for heard in &mut heard {
        assert_eq!(next(heard).await, "the end");
    }
    drop((heard, clients));
    for node in nodes {
        node.end().await;
    }
    until("the end of the nodes' connections", || redis.clients() == 0).await;
}

/// I2
async fn i2_neither_channels_nor_namespaces_hear_each_other(net: Net) {
    let redis = RedisServer::start();
    let of = |namespace: &str| RedisConfig { namespace: namespace.into(), ..patient() };
    let [poster, ours, theirs] = [
        node(net, &redis, of("ours")).await,
        node(net, &redis, of("ours")).await,
        node(net, &redis, of("theirs")).await,
    ];
    let (poster, ours, theirs) = (poster.client(), ours.client(), theirs.client());
    let mut news = hearing(&ours, "news").await;
    let mut sports = hearing(&ours, "sports").await;
    let mut other = hearing(&theirs, "news").await;
    for number in 0..10 {
        say(&poster, "sports", &format!("sports {number}")).await;
        say(&poster, "news", &format!("news {number}")).await;
        say(&theirs, "news", &format!("other {number}")).await;
    }
    for number in 0..10 {
        assert_eq!(next(&mut news).await, format!("news {number}"));
        assert_eq!(next(&mut sports).await, format!("sports {number}"));
        assert_eq!(next(&mut other).await, format!("other {number}"));
    }
}

fn is_unavailable(error: &BusError) -> bool {
    matches!(error, BusError::Unavailable { .. })
}

/// I3
async fn i3_without_redis_a_server_starts_and_each_scope_does_as_configured(net: Net) {
    for outage in [Outage::Fail, Outage::Local] {
        let mut redis = RedisServer::place(&[]);
        let config = MessageConfig { outage, ..MessageConfig::default() };
        let server = builder(&redis.url(), patient()).messages(config);
        let rig = Rig::start(net, server.build().expect("a sound server")).await;
        let client = rig.lasting_client();
        Unrelated::begin(&client).lives().await;

        let global = rig.server.messages().scope(Scope::Global);
        let text = "hello".to_string();
        let posted = soon("an answer", global.post("news", &text)).await;
        let Err(PostError::Bus(error)) = posted else { panic!("{posted:?}") };
        assert!(is_unavailable(&error), "{error:?}");
        let subscribed = soon("an answer", global.subscribe::<String>("news")).await.map(drop);
        assert_eq!(subscribed, Err(SubscribeError::Bus(error.clone())));

        let local = rig.server.messages().scope(Scope::Local);
        let mut near = local.subscribe::<String>("near").await.expect("a subscription");
        local.post("near", &text).await.expect("a post");
        assert_eq!(soon("a message", near.next()).await, Some(Ok(text)));

        if outage == Outage::Fail {
            assert_eq!(post(&client, "news", "hello").await, Err(error.to_string()));
            let mut refused = client.call("Lobby.hear").arguments(&("news",)).stream();
            assert_eq!(next(&mut refused).await, format!("!{error}"));
            continue;
        }
        // By itself, until Redis is there.
        let mut heard = hearing(&client, "news").await;
        say(&client, "news", "hello").await;
        assert_eq!(next(&mut heard).await, "hello");
        redis.restart();
        // What is said until then goes by itself or through Redis.
        while next_said(&client, &mut heard).await != "!gap" {}
        let other = node(net, &redis, patient()).await;
        let told = say_until_heard(&other.client(), "news", &mut heard).await;
        assert_eq!(told, Vec::<String>::new());
    }
}

/// Says something, and what is heard first.
async fn next_said(client: &TestClient, heard: &mut Receiver<String>) -> String {
    let _ = post(client, "news", "attempt to be heard").await;
    next(heard).await
}

/// I4
async fn i4_while_redis_is_stopped_posts_fail_in_time_and_streams_never_notice(net: Net) {
    let mut redis = RedisServer::start();
    let config = RedisConfig { within: Duration::from_secs(5), ..patient() };
    let within = config.within;
    let rig = node(net, &redis, config).await;
    let client = rig.lasting_client();
    let mut unrelated = Unrelated::begin(&client);
    let mut heard = hearing(&client, "news").await;
    say(&client, "news", "hello").await;
    assert_eq!(next(&mut heard).await, "hello");
    for ending in [RedisServer::stop, RedisServer::kill] {
        ending(&mut redis);
        for _ in 0..10 {
            let begun = Instant::now();
            let posted = post(&client, "news", "lost").await;
            assert!(posted.is_err(), "there is nobody to take it");
            assert!(begun.elapsed() < within + LONG / 3, "{:?}", begun.elapsed());
            unrelated.lives().await;
        }
        let global = rig.server.messages().scope(Scope::Global);
        let posted = soon("an answer", global.post("news", &"lost".to_string())).await;
        assert!(
            matches!(&posted, Err(PostError::Bus(error)) if is_unavailable(error)),
            "{posted:?}"
        );
        redis.restart();
        let told = say_until_heard(&client, "news", &mut heard).await;
        assert_eq!(told, ["!gap"]);
        unrelated.lives().await;
    }
    assert_eq!(client.line.dials(), 1, "one connection, which nothing has happened to");
}

/// I5
async fn i5_after_a_restart_a_gap_comes_ahead_of_the_next_message(net: Net) {
    let mut redis = RedisServer::start();
    let [one, other] = [node(net, &redis, patient()).await, node(net, &redis, patient()).await];
    let clients = [one.client(), other.client()];
    let mut heard = [hearing(&clients[0], "news").await, hearing(&clients[1], "news").await];
    let mut quiet = hearing(&clients[1], "quiet").await;
    for round in 0..3 {
        say(&clients[0], "news", "before").await;
        for heard in &mut heard {
            assert_eq!(next(heard).await, "before");
        }
        match round {
            0 => redis.stop(),
            _ => redis.kill(),
        }
        redis.restart();
        // Both nodes are back, and nothing is heard ahead of the gap.
        for (client, heard) in clients.iter().zip(&mut heard) {
            let told = say_until_heard(client, "news", heard).await;
            assert_eq!(told, ["!gap"]);
        }
        // Either may have heard some of what the other said.
        say(&clients[1], "news", "after").await;
        for heard in &mut heard {
            while next(heard).await != "after" {}
        }
    }
    say(&clients[0], "quiet", "at last").await;
    // One gap stands for several in a row.
    let mut told = Vec::new();
    while told.last().is_none_or(|text| text != "at last") {
        told.push(next(&mut quiet).await);
    }
    told.dedup();
    assert_eq!(told, ["!gap", "at last"]);
}

/// I6
async fn i6_poison_is_skipped_and_counted_and_hurts_nobody(net: Net) {
    let redis = RedisServer::start();
    let config = RedisConfig { message: 10_000, ..patient() };
    let bus = RedisBus::with_config(&redis.url(), config).expect("settings that can be used");
    let status = bus.status();
    let messages = MessageConfig { message: 9_000, ..MessageConfig::default() };
    let server = Server::builder().endpoint(lobby()).bus(bus).messages(messages).build();
    let rig = Rig::start(net, server.expect("a sound server")).await;
    let client = rig.client();
    let mut heard = hearing(&client, "news").await;
    let mut other = hearing(&client, "sports").await;
    for poison in [&b""[..], b"\x00", b"\x07 of another version", b"GET / HTTP/1.1", &[0xff; 999]] {
        redis.publish("wirestream:news", poison);
    }
    say(&client, "news", "behind the poison").await;
    assert_eq!(next(&mut heard).await, "behind the poison");
    assert_eq!(rig.server.messages().counters().malformed, 5);

    rig.server.messages().post("news", &7_u32).await.expect("a post");
    assert_eq!(next(&mut heard).await, "!another type");
    redis.publish("wirestream:news", &[b'x'; 10_001]);
    assert_eq!(next(&mut heard).await, "!gap");
    assert_eq!(status.passed_over(), 1);
    let too_large = post(&client, "news", &"x".repeat(9_001)).await;
    assert!(too_large.is_err_and(|error| error.contains("9000 are allowed")));

    say(&client, "news", "well").await;
    assert_eq!(next(&mut heard).await, "well");
    say(&client, "sports", "never noticed").await;
    assert_eq!(next(&mut other).await, "never noticed");
    assert!(status.is_up());
}

/// I7
async fn i7_a_subscriber_that_redis_kills_is_back_behind_a_gap(net: Net) {
    let redis = RedisServer::start();
    let rig = node(net, &redis, patient()).await;
    let client = rig.lasting_client();
    let mut unrelated = Unrelated::begin(&client);
    let mut heard = hearing(&client, "news").await;
    for _ in 0..3 {
        redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        let told = say_until_heard(&client, "news", &mut heard).await;
        assert_eq!(told, ["!gap"]);
        redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        let told = say_until_heard(&client, "news", &mut heard).await;
        assert_eq!(told, Vec::<String>::new(), "who publishes hears nothing");
        unrelated.lives().await;
    }
}

/// I7
async fn i7_a_redis_that_pauses_costs_nothing_but_time(net: Net) {
    let redis = RedisServer::start();
    let rig = node(net, &redis, patient()).await;
    let client = rig.lasting_client();
    let mut unrelated = Unrelated::begin(&client);
    let mut heard = hearing(&client, "news").await;
    redis.ask(&["CLIENT", "PAUSE", "300", "ALL"]);
    let posting = post(&client, "news", "patience");
    let (posted, ()) = futures_util::future::join(posting, unrelated.lives()).await;
    assert_eq!(posted, Ok(()));
    assert_eq!(next(&mut heard).await, "patience");
}

/// I7
async fn i7_a_redis_that_hangs_fails_posts_in_time_and_is_back_behind_a_gap(net: Net) {
    let redis = RedisServer::start();
    let config = hasty();
    let within = config.within;
    let rig = node(net, &redis, config).await;
    let client = rig.lasting_client();
    let mut unrelated = Unrelated::begin(&client);
    let mut heard = soon("a subscription", async {
        loop {
            let mut heard = client.call("Lobby.hear").arguments(&("news",)).stream();
            if next(&mut heard).await == "subscribed" {
                return heard;
            }
        }
    })
    .await;
    redis.freeze();
    for _ in 0..5 {
        let begun = Instant::now();
        let posted = post(&client, "news", "into the ice").await;
        assert!(posted.is_err());
        assert!(begun.elapsed() < within + LONG / 3, "{:?}", begun.elapsed());
        unrelated.lives().await;
    }
    redis.thaw();
    let told = say_until_heard(&client, "news", &mut heard).await;
    // What failed may have arrived all the same, and on a busy machine there may be one more hang.
    let gaps: Vec<_> = told.iter().filter(|text| *text != "into the ice").collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|text| *text == "!gap"), "{told:?}");
    unrelated.lives().await;
    assert_eq!(client.line.dials(), 1);
}

/// I8
async fn i8_what_is_posted_after_a_subscription_is_heard_whatever_else_comes_and_goes(net: Net) {
    let redis = RedisServer::start();
    let [one, other] = [node(net, &redis, patient()).await, node(net, &redis, patient()).await];
    let begun = Arc::new(AtomicU64::new(0));
    let posting = {
        let (messages, begun) = (one.server.messages(), Arc::clone(&begun));
        tokio::spawn(async move {
            loop {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                messages.post("news", &number.to_string()).await.expect("a post");
            }
        })
    };
    let tasks = (0..6_u64).map(|task| {
        let messages = [&one, &other][task as usize % 2].server.messages();
        let begun = Arc::clone(&begun);
        tokio::spawn(async move {
            for round in 0..50 {
                let mut heard = messages.subscribe::<String>("news").await.expect("a channel");
                // What is posted from now on is heard; and from the first that is, all are.
                let from = begun.load(Ordering::SeqCst);
                let mut expected = None;
                for _ in 0..1 + (task + round) % 4 {
                    let text = soon("a message", heard.next()).await.map(shown).expect("a stream");
                    let number: u64 = text.parse().expect("a number");
                    match expected {
                        None => assert!(number <= from, "{number} came first, after {from}"),
                        Some(expected) => assert_eq!(number, expected),
                    }
                    expected = Some(number + 1);
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        soon("the end of a task", task).await.expect("no panic");
    }
    posting.abort();
    let left = |rig: &Rig| rig.server.messages().counters().subscriptions;
    assert_eq!((left(&one), left(&other)), (0, 0));
}

/// G10
async fn g10_a_revocation_reaches_the_other_node_through_redis(net: Net) {
    let redis = RedisServer::start();
    let server = || {
        let whoever = async |token: Token| {
            let name = String::from_utf8_lossy(token.as_bytes()).into_owned();
            Ok::<_, Failed>(Some(Authentication::new(name)))
        };
        let watch = |_: Session, (): (), (): ()| {
            futures_util::stream::iter([0_u8])
                .chain(futures_util::stream::pending())
                .map(Ok::<_, NoError>)
        };
        let vault = Endpoint::new("Vault").stream("watch", watch).access(Access::Login);
        let built = builder(&redis.url(), patient()).endpoint(vault).authenticator(whoever).build();
        built.expect("a sound server")
    };
    let [one, other] = [Rig::start(net, server()).await, Rig::start(net, server()).await];
    let hear_of_revocations = || {
        let asked = redis.ask(&["PUBSUB", "NUMSUB", "wirestream:$revocations"]);
        redis::from_redis_value::<(String, u8)>(asked).expect("a channel and a number").1 == 2
    };
    until("both nodes on the channel of revocations", hear_of_revocations).await;
    let (client, others) = (one.client(), other.client());
    let watch = async |client: &TestClient, user: &str| {
        let call = client.call("Vault.watch").token(Token::new(user.to_owned()));
        let mut stream = call.stream::<u8>();
        assert_eq!(soon("the first", stream.next()).await, Some(Ok(0)));
        stream
    };
    let mut alices = [watch(&client, "alice").await, watch(&others, "alice").await];
    let mut bobs = watch(&others, "bob").await;
    let revocation = Revocation::User("alice".into());
    let ended = soon("the revocation", one.server.revoke_everywhere(&revocation)).await;
    assert_eq!(ended, Ok(1), "of its own calls");
    for stream in &mut alices {
        assert_eq!(soon("the end", stream.next()).await, Some(Err(StreamError::Revoked)));
    }
    Unrelated::begin(&others).lives().await;
    assert!(bobs.next().now_or_never().is_none(), "bob goes on");
}
