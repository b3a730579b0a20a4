//! Group H: messages between sessions; and of group I, what holds for any bus, on one within the
//! process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::mpsc;
use wirestream::{
    BusError, Endpoint, Listener, MessageConfig, MessageError, Messages, NoError, Outage,
    PostError, Receiver, Scope, Server, ServerBuilder, Session, SubscribeError,
};
use wirestream_tests::bus::Cluster;
use wirestream_tests::{Net, Rig, TestClient, scenarios, soon, until};

scenarios! {
    h1_a_message_that_nobody_hears_is_fine,
    h2_all_subscribers_hear_a_message_each_once_and_in_order,
    h3_who_leaves_takes_nothing_from_the_others,
    h4_nothing_is_left_of_what_a_closed_session_heard,
    h5_a_message_of_another_type_is_an_error_and_the_next_is_heard,
    h6_one_function_listens_in_two_sessions,
    h7_of_two_listeners_the_one_that_was_removed_is_not_called,
    h8_a_listener_that_panics_hurts_nobody,
    h9_what_is_posted_right_after_the_subscription_is_heard,
    h10_who_is_slow_delays_nobody_and_is_told_what_was_missed,
    h11_a_listener_removes_itself_while_it_is_called,
    h8_a_busy_listener_leaves_the_method_its_turn,
    h4_a_closed_session_posts_and_does_not_subscribe,
    i1_what_is_posted_on_one_server_is_heard_on_all_once,
    i2_channels_do_not_mix,
    i3_a_server_starts_and_serves_without_its_bus,
    i4_a_bus_that_fails_is_told_to_who_posts,
    i5_a_gap_is_told_ahead_of_the_next_message,
    i6_what_is_no_message_is_skipped_and_counted,
    i8_subscribing_and_leaving_at_random_loses_nothing,
    i8_a_subscription_is_confirmed_before_it_is_there,
    i8_a_subscription_that_is_given_up_is_given_up_on_the_bus,
}

/// What a session hears: a text, or what stands in its place.
fn shown(message: Result<String, MessageError>) -> String {
    match message {
        Ok(text) => text,
        Err(MessageError::Lagged(missed)) => format!("!{missed} missed"),
        Err(MessageError::Gap) => "!gap".into(),
        Err(MessageError::OtherType { .. }) => "!another type".into(),
        Err(error) => format!("!{error}"),
    }
}

/// Subscribes to a channel, says so, and tells what is heard.
fn hear(
    session: Session,
    (channel,): (String,),
    (): (),
) -> impl Stream<Item = Result<String, NoError>> {
    let heard = async move {
        let subscribed = session.messages().subscribe::<String>(&channel).await;
        match subscribed {
            Ok(subscription) => {
                let begun = stream::once(std::future::ready("subscribed".to_string()));
                begun.chain(subscription.map(shown)).left_stream()
            }
            Err(error) => stream::once(std::future::ready(format!("!{error}"))).right_stream(),
        }
    };
    heard.flatten_stream().map(Ok)
}

/// The same by a listener.
fn listen(
    session: Session,
    (channel,): (String,),
    (): (),
) -> impl Stream<Item = Result<String, NoError>> {
    let (hears, heard) = mpsc::unbounded_channel();
    let listening = async move {
        hears.send("subscribed".to_string()).expect("a session that hears");
        let listener = move |message| drop(hears.send(shown(message)));
        session.messages().listen(&channel, listener).await.expect("a listener");
        stream::unfold(heard, async |mut heard| Some((heard.recv().await?, heard)))
    };
    listening.flatten_stream().map(Ok)
}

async fn post(
    session: Session,
    (channel, text): (String, String),
    (): (),
) -> Result<Result<(), String>, NoError> {
    Ok(session.messages().post(&channel, &text).await.map_err(|error| error.to_string()))
}

fn room() -> Endpoint {
    Endpoint::new("Room").stream("hear", hear).stream("listen", listen).unary("post", post)
}

fn server() -> ServerBuilder {
    Server::builder().endpoint(room())
}

async fn rig(net: Net, server: ServerBuilder) -> Rig {
    Rig::start(net, server.build().expect("a sound server")).await
}

/// A session that hears a channel, once it does.
async fn hearing(client: &TestClient, method: &str, channel: &str) -> Receiver<String> {
    let mut heard = client.call(format!("Room.{method}")).arguments(&(channel,)).stream();
    assert_eq!(next(&mut heard).await, "subscribed");
    heard
}

async fn next(heard: &mut Receiver<String>) -> String {
    soon("a message", heard.next()).await.expect("a stream that goes on").expect("a message")
}

async fn say(client: &TestClient, channel: &str, text: &str) {
    let call = client.call("Room.post").arguments(&(channel, text)).unary::<Result<(), String>>();
    assert_eq!(soon("the post", call).await, Ok(Ok(())));
}

/// Until nothing is left of any subscription.
async fn nothing_left(messages: &Messages) {
    until("the end of all subscriptions", || {
        let counters = messages.counters();
        (counters.subscriptions, counters.channels) == (0, 0)
    })
    .await;
}

/// H1
async fn h1_a_message_that_nobody_hears_is_fine(net: Net) {
    let rig = rig(net, server()).await;
    say(&rig.client(), "news", "hello").await;
    assert_eq!(rig.server.messages().counters().posted, 1);
}

/// H2
async fn h2_all_subscribers_hear_a_message_each_once_and_in_order(net: Net) {
    let rig = rig(net, server()).await;
    let (client, other) = (rig.client(), rig.client());
    let mut heard = [
        hearing(&client, "hear", "news").await,
        hearing(&other, "hear", "news").await,
        hearing(&other, "listen", "news").await,
    ];
    for n in 0..100 {
        say(&client, "news", &n.to_string()).await;
    }
    for heard in &mut heard {
        for n in 0..100 {
            assert_eq!(next(heard).await, n.to_string());
        }
    }
}

/// H3
async fn h3_who_leaves_takes_nothing_from_the_others(net: Net) {
    let rig = rig(net, server()).await;
    let client = rig.client();
    let leaves = hearing(&client, "hear", "news").await;
    let mut stays = hearing(&client, "hear", "news").await;
    drop(leaves);
    let messages = rig.server.messages();
    until("the end of one subscription", || messages.counters().subscriptions == 1).await;
    say(&client, "news", "hello").await;
    assert_eq!(next(&mut stays).await, "hello");
}

/// H4
async fn h4_nothing_is_left_of_what_a_closed_session_heard(net: Net) {
    let canary = Arc::new(());
    let (outlives, mut outliving) = mpsc::unbounded_channel();
    let method = {
        let canary = Arc::clone(&canary);
        move |session: Session, (): (), (): ()| {
            let (canary, outlives) = (Arc::clone(&canary), outlives.clone());
            let begun = async move {
                let messages = session.messages();
                // One that its method keeps, one that outlives it, and a listener.
                let own = messages.subscribe::<String>("news").await.expect("a subscription");
                let other = messages.subscribe::<String>("news").await.expect("a subscription");
                outlives.send(other).expect("a test");
                let listener = move |_: Result<String, MessageError>| drop(Arc::clone(&canary));
                messages.listen("news", listener).await.expect("a listener");
                stream::iter(["begun".to_string()]).chain(own.map(shown))
            };
            begun.flatten_stream().map(Ok::<_, NoError>)
        }
    };
    let endpoint = room().stream("method", method);
    let rig = rig(net, Server::builder().endpoint(endpoint)).await;
    let client = rig.client();
    let before = Arc::strong_count(&canary);
    let mut kept = Vec::new();
    for ends in ["dropped", "cut"] {
        let mut heard = client.call("Room.method").stream::<String>();
        assert_eq!(next(&mut heard).await, "begun");
        assert_eq!(rig.server.messages().counters().subscriptions, 3);
        say(&client, "news", "hello").await;
        assert_eq!(next(&mut heard).await, "hello");
        let mut other = outliving.recv().await.expect("a subscription");
        assert_eq!(soon("a message", other.next()).await, Some(Ok("hello".into())));
        match ends {
            "cut" => client.line.cut(),
            _ => drop(heard),
        }
        assert_eq!(soon("the end", other.next()).await, None);
        kept.push(other);
        nothing_left(&rig.server.messages()).await;
        until("the end of the listener", || Arc::strong_count(&canary) == before).await;
    }
}

/// H5
async fn h5_a_message_of_another_type_is_an_error_and_the_next_is_heard(net: Net) {
    let rig = rig(net, server()).await;
    let client = rig.client();
    for method in ["hear", "listen"] {
        let mut heard = hearing(&client, method, "news").await;
        let messages = rig.server.messages();
        messages.post("news", &42_u64).await.expect("a post");
        messages.post("news", &"after".to_string()).await.expect("a post");
        assert_eq!(next(&mut heard).await, "!another type");
        assert_eq!(next(&mut heard).await, "after");
    }
    assert!(rig.server.messages().counters().unreadable >= 2);
}

/// H6
async fn h6_one_function_listens_in_two_sessions(net: Net) {
    static CALLED: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
    fn listener(message: Result<usize, MessageError>) {
        CALLED[message.expect("a message")].fetch_add(1, Ordering::SeqCst);
    }
    let method = |session: Session, (): (), (): ()| {
        let begun = async move {
            let listening = session.messages().listen("news", listener).await;
            stream::iter([listening.is_ok()]).chain(stream::pending())
        };
        begun.flatten_stream().map(Ok::<_, NoError>)
    };
    let endpoint = Endpoint::new("Room").stream("method", method);
    let rig = rig(net, Server::builder().endpoint(endpoint)).await;
    let client = rig.client();
    let mut sessions = [(); 2].map(|()| client.call("Room.method").stream::<bool>());
    for session in &mut sessions {
        assert_eq!(soon("a listener", session.next()).await, Some(Ok(true)));
    }
    // The tests of all nets share the function, and take a place each.
    let place = net as usize;
    rig.server.messages().post("news", &place).await.expect("a post");
    until("two calls", || CALLED[place].load(Ordering::SeqCst) == 2).await;
}

/// A session with listeners that write down what they hear, each with its name in front.
struct Listening {
    rig: Rig,
    _stream: Receiver<bool>,
    heard: mpsc::UnboundedReceiver<String>,
}

type Hears = mpsc::UnboundedSender<String>;

impl Listening {
    /// `begin` adds the listeners.
    async fn start<F, Fut>(net: Net, begin: F) -> Self
    where
        F: Fn(Session, Hears) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (hears, heard) = mpsc::unbounded_channel();
        let method = move |session: Session, (): (), (): ()| {
            let begun = begin(session, hears.clone()).map(|()| true);
            stream::once(begun).chain(stream::pending()).map(Ok::<_, NoError>)
        };
        let endpoint = Endpoint::new("Room").stream("method", method);
        let rig = rig(net, Server::builder().endpoint(endpoint)).await;
        let mut stream = rig.lasting_client().call("Room.method").stream::<bool>();
        assert_eq!(soon("the listeners", stream.next()).await, Some(Ok(true)));
        Self { rig, _stream: stream, heard }
    }

    async fn post(&self, text: &str) {
        self.rig.server.messages().post("news", &text.to_string()).await.expect("a post");
    }

    async fn next(&mut self) -> String {
        soon("a call of a listener", self.heard.recv()).await.expect("a listener")
    }
}

fn named(name: &'static str, hears: &Hears) -> impl FnMut(Result<String, MessageError>) + use<> {
    let hears = hears.clone();
    move |message| drop(hears.send(format!("{name}: {}", shown(message))))
}

/// H7
async fn h7_of_two_listeners_the_one_that_was_removed_is_not_called(net: Net) {
    let first = Arc::new(OnceLock::<Listener>::new());
    let place = Arc::clone(&first);
    let begin = move |session: Session, hears: Hears| {
        let place = Arc::clone(&place);
        async move {
            let messages = session.messages();
            let one = messages.listen("news", named("one", &hears)).await.expect("a listener");
            place.set(one).expect("one session");
            messages.listen("news", named("other", &hears)).await.expect("a listener");
        }
    };
    let mut listening = Listening::start(net, begin).await;
    listening.post("a").await;
    let mut heard = [listening.next().await, listening.next().await];
    heard.sort();
    assert_eq!(heard, ["one: a", "other: a"]);
    let first = first.get().expect("a listener");
    assert!(!first.is_removed());
    first.remove();
    first.remove();
    assert!(first.is_removed());
    listening.post("b").await;
    listening.post("c").await;
    assert_eq!(listening.next().await, "other: b");
    assert_eq!(listening.next().await, "other: c");
    let messages = listening.rig.server.messages();
    until("the end of one", || messages.counters().subscriptions == 1).await;
}

/// H8
async fn h8_a_listener_that_panics_hurts_nobody(net: Net) {
    let begin = |session: Session, hears: Hears| async move {
        let messages = session.messages();
        let mut tell = named("one", &hears);
        let panics = move |message: Result<String, MessageError>| match message {
            Ok(text) if text == "panic" => panic!("a listener that panics"),
            message => tell(message),
        };
        messages.listen("news", panics).await.expect("a listener");
        messages.listen("news", named("other", &hears)).await.expect("a listener");
    };
    let mut listening = Listening::start(net, begin).await;
    listening.post("panic").await;
    assert_eq!(listening.next().await, "other: panic");
    listening.post("after").await;
    let mut heard = [listening.next().await, listening.next().await];
    heard.sort();
    assert_eq!(heard, ["one: after", "other: after"]);
    assert_eq!(listening.rig.server.messages().counters().listener_panics, 1);
}

/// H9
async fn h9_what_is_posted_right_after_the_subscription_is_heard(net: Net) {
    let rig = rig(net, server()).await;
    let client = rig.client();
    for round in 0..50 {
        let text = round.to_string();
        let mut heard = hearing(&client, "hear", "news").await;
        say(&client, "news", &text).await;
        assert_eq!(next(&mut heard).await, text);
    }
}

/// H10
async fn h10_who_is_slow_delays_nobody_and_is_told_what_was_missed(net: Net) {
    const POSTED: usize = 10_000;
    let config = MessageConfig { unread: 100, ..MessageConfig::default() };
    let rig = rig(net, server().messages(config)).await;
    let (slow, fast) = (rig.client(), rig.client());
    let mut slow = hearing(&slow, "hear", "news").await;
    let mut fast = hearing(&fast, "hear", "news").await;
    let messages = rig.server.messages();
    for n in 0..POSTED {
        // Done when it returns, whoever reads or not.
        let text = format!("{n:>100}");
        assert_eq!(messages.post("news", &text).now_or_never(), Some(Ok(())));
        if n % 50 == 49 {
            for n in n - 49..=n {
                assert_eq!(next(&mut fast).await, format!("{n:>100}"));
            }
        }
    }
    let (mut next_number, mut missed) = (0, 0);
    while next_number < POSTED {
        let text = next(&mut slow).await;
        match text.strip_prefix('!') {
            Some(lagged) => {
                let lagged = lagged.strip_suffix(" missed").expect("a count");
                missed += lagged.parse::<usize>().expect("a count");
                next_number += lagged.parse::<usize>().expect("a count");
            }
            None => {
                assert_eq!(text.trim(), next_number.to_string());
                next_number += 1;
            }
        }
    }
    assert!(missed > 0);
    assert_eq!(messages.counters().missed, missed as u64);
}

/// H11
async fn h11_a_listener_removes_itself_while_it_is_called(net: Net) {
    let begin = |session: Session, hears: Hears| async move {
        let messages = session.messages();
        let this = Arc::new(OnceLock::<Listener>::new());
        let (own, mut tell) = (Arc::clone(&this), named("one", &hears));
        let once = move |message| {
            own.get().expect("a listener").remove();
            tell(message);
        };
        let listener = messages.listen("news", once).await.expect("a listener");
        this.set(listener).expect("one session");
        messages.listen("news", named("other", &hears)).await.expect("a listener");
    };
    let mut listening = Listening::start(net, begin).await;
    listening.post("a").await;
    let mut heard = [listening.next().await, listening.next().await];
    heard.sort();
    assert_eq!(heard, ["one: a", "other: a"]);
    for text in ["b", "c"] {
        listening.post(text).await;
        assert_eq!(listening.next().await, format!("other: {text}"));
    }
    let messages = listening.rig.server.messages();
    until("the end of one", || messages.counters().subscriptions == 1).await;
}

/// H8
async fn h8_a_busy_listener_leaves_the_method_its_turn(net: Net) {
    let method = |session: Session, (): (), (numbers,): (Receiver<u32>,)| {
        let begun = async move {
            let messages = session.messages();
            let again = messages.clone();
            // Each call brings about the next.
            let busy = move |n: Result<u64, MessageError>| {
                drop(again.post("busy", &(n.expect("a message") + 1)));
            };
            messages.listen("busy", busy).await.expect("a listener");
            messages.post("busy", &0_u64).await.expect("a post");
            numbers.map(|number| Ok::<_, NoError>(number.expect("a number")))
        };
        begun.flatten_stream()
    };
    let endpoint = Endpoint::new("Room").stream("method", method);
    let rig = rig(net, Server::builder().endpoint(endpoint)).await;
    let (input, numbers) = wirestream::channel();
    let mut echoed = rig.lasting_client().call("Room.method").parameter(numbers).stream::<u32>();
    for n in 0..20 {
        input.send(n).await.expect("a stream");
        assert_eq!(soon("an echo", echoed.next()).await, Some(Ok(n)));
    }
    drop(echoed);
    nothing_left(&rig.server.messages()).await;
}

/// H4
async fn h4_a_closed_session_posts_and_does_not_subscribe(net: Net) {
    let session = Arc::<Mutex<Option<Session>>>::default();
    let place = Arc::clone(&session);
    let method = move |session: Session, (): (), (): ()| {
        let messages = session.messages();
        let hook = session.on_close(async move || {
            messages.post("news", &"one left".to_string()).await.expect("a post");
        });
        hook.expect("an open session");
        *place.lock().expect("no panic") = Some(session);
        std::future::ready(Ok::<_, NoError>(()))
    };
    let endpoint = Endpoint::new("Room").unary("method", method);
    let rig = rig(net, Server::builder().endpoint(endpoint)).await;
    let mut news = rig.server.messages().subscribe::<String>("news").await.expect("news");
    assert_eq!(rig.client().call("Room.method").unary::<()>().await, Ok(()));
    assert_eq!(soon("a message", news.next()).await, Some(Ok("one left".into())));
    let session = session.lock().expect("no panic").take().expect("a session");
    soon("the close", session.closed()).await;
    let subscribed = session.messages().subscribe::<String>("news").await.map(drop);
    assert_eq!(subscribed, Err(SubscribeError::SessionClosed));
    let listener = |_: Result<String, MessageError>| {};
    let listening = session.messages().listen("news", listener).await.map(drop);
    assert_eq!(listening, Err(SubscribeError::SessionClosed));
    assert_eq!(rig.server.messages().counters().subscriptions, 1);
}

/// Two servers of one cluster.
async fn two(net: Net, cluster: &Cluster, config: MessageConfig) -> [Rig; 2] {
    let one = rig(net, server().messages(config.clone()).bus(cluster.node())).await;
    let other = rig(net, server().messages(config).bus(cluster.node())).await;
    [one, other]
}

/// I1
async fn i1_what_is_posted_on_one_server_is_heard_on_all_once(net: Net) {
    let cluster = Cluster::default();
    let [one, other] = two(net, &cluster, MessageConfig::default()).await;
    let clients = [one.client(), other.client(), one.client()];
    let mut heard = Vec::new();
    for client in &clients {
        heard.push(hearing(client, "hear", "news").await);
        heard.push(hearing(client, "listen", "news").await);
    }
    assert_eq!((cluster.wanted("news"), cluster.calls("news")), (2, (2, 0)));
    for n in 0..20 {
        say(&clients[0], "news", &n.to_string()).await;
    }
    say(&clients[1], "news", "from the other").await;
    for heard in &mut heard {
        for n in 0..20 {
            assert_eq!(next(heard).await, n.to_string());
        }
        assert_eq!(next(heard).await, "from the other");
    }
    assert_eq!(cluster.published(), 21);
    drop(heard);
    nothing_left(&one.server.messages()).await;
    nothing_left(&other.server.messages()).await;
    until("the end at the bus", || cluster.calls("news") == (2, 2)).await;
    assert_eq!(cluster.wanted("news"), 0);
}

/// I2
async fn i2_channels_do_not_mix(net: Net) {
    let cluster = Cluster::default();
    let [one, other] = two(net, &cluster, MessageConfig::default()).await;
    let (client, others) = (one.client(), other.client());
    let mut news = hearing(&others, "hear", "news").await;
    let mut sports = hearing(&others, "hear", "sports").await;
    for n in 0..10 {
        say(&client, "sports", &format!("sports {n}")).await;
        say(&client, "news", &format!("news {n}")).await;
    }
    for n in 0..10 {
        assert_eq!(next(&mut news).await, format!("news {n}"));
        assert_eq!(next(&mut sports).await, format!("sports {n}"));
    }
}

fn down() -> BusError {
    BusError::Unavailable { detail: "it is down".into() }
}

/// I3
async fn i3_a_server_starts_and_serves_without_its_bus(net: Net) {
    for outage in [Outage::Fail, Outage::Local] {
        let cluster = Cluster::default();
        cluster.fail(down());
        let config = MessageConfig { outage, ..MessageConfig::default() };
        let [one, other] = two(net, &cluster, config).await;
        let messages = one.server.messages();
        let global = messages.clone().scope(Scope::Global);
        let text = "hello".to_string();
        assert_eq!(global.post("news", &text).await, Err(PostError::Bus(down())));
        let subscribed = global.subscribe::<String>("news").await.map(drop);
        assert_eq!(subscribed, Err(SubscribeError::Bus(down())));
        if outage == Outage::Fail {
            assert_eq!(messages.post("news", &text).await, Err(PostError::Bus(down())));
            let mut refused = one.client().call("Room.hear").arguments(&("news",)).stream();
            assert_eq!(next(&mut refused).await, "!the bus cannot be reached: it is down");
            continue;
        }
        // Each server by itself, until the bus is there.
        let (client, others) = (one.lasting_client(), other.lasting_client());
        let mut heard = hearing(&client, "hear", "news").await;
        let mut others_heard = hearing(&others, "hear", "news").await;
        say(&client, "news", "hello").await;
        assert_eq!(next(&mut heard).await, "hello");
        cluster.back();
        say(&client, "news", "all").await;
        assert_eq!([next(&mut heard).await, next(&mut heard).await], ["!gap", "all"]);
        let heard = [next(&mut others_heard).await, next(&mut others_heard).await];
        assert_eq!(heard, ["!gap", "all"]);
    }
}

/// I4
async fn i4_a_bus_that_fails_is_told_to_who_posts(net: Net) {
    let cluster = Cluster::default();
    let [one, other] = two(net, &cluster, MessageConfig::default()).await;
    let client = one.client();
    let mut heard = hearing(&other.client(), "hear", "news").await;
    let late = BusError::TimedOut(Duration::from_secs(1));
    for error in [down(), late] {
        cluster.fail(error.clone());
        let posted = client.call("Room.post").arguments(&("news", "lost"));
        let posted = soon("an answer", posted.unary::<Result<(), String>>()).await;
        assert_eq!(posted, Ok(Err(error.to_string())));
    }
    // What needs no bus goes on.
    let local = one.server.messages().scope(Scope::Local);
    let mut near = local.subscribe::<String>("news").await.expect("a subscription");
    local.post("news", &"near".to_string()).await.expect("a post");
    assert_eq!(soon("a message", near.next()).await, Some(Ok("near".into())));
    cluster.back();
    say(&client, "news", "found").await;
    assert_eq!([next(&mut heard).await, next(&mut heard).await], ["!gap", "found"]);
    assert_eq!(one.server.messages().counters().bus_failures, 2);
}

/// I5
async fn i5_a_gap_is_told_ahead_of_the_next_message(net: Net) {
    let cluster = Cluster::default();
    let [one, other] = two(net, &cluster, MessageConfig::default()).await;
    let (client, others) = (one.client(), other.client());
    let mut heard = hearing(&others, "hear", "news").await;
    let mut sports = hearing(&others, "listen", "sports").await;
    say(&client, "news", "a").await;
    cluster.drop_messages(true);
    say(&client, "news", "lost").await;
    cluster.drop_messages(false);
    cluster.gap(Some("news"));
    say(&client, "news", "b").await;
    cluster.gap(None);
    say(&client, "news", "c").await;
    say(&client, "sports", "d").await;
    for expected in ["a", "!gap", "b", "!gap", "c"] {
        assert_eq!(next(&mut heard).await, expected);
    }
    assert_eq!([next(&mut sports).await, next(&mut sports).await], ["!gap", "d"]);
    assert_eq!(other.server.messages().counters().gaps, 2);
}

/// I6
async fn i6_what_is_no_message_is_skipped_and_counted(net: Net) {
    let cluster = Cluster::default();
    let [one, other] = two(net, &cluster, MessageConfig::default()).await;
    let mut heard = hearing(&other.client(), "hear", "news").await;
    for poison in [&b""[..], b"\x01", b"\x07 of another version", b"GET / HTTP/1.1"] {
        cluster.inject("news", poison);
    }
    say(&one.client(), "news", "a").await;
    assert_eq!(next(&mut heard).await, "a");
    assert_eq!(other.server.messages().counters().malformed, 4);
}

/// I8
async fn i8_subscribing_and_leaving_at_random_loses_nothing(net: Net) {
    let cluster = Cluster::default();
    let [one, other] = two(net, &cluster, MessageConfig::default()).await;
    // The bus of the cluster panics if it is called about a channel out of turn.
    let tasks = (0..8).map(|task| {
        let messages = [&one, &other][task % 2].server.messages();
        let posts = [&one, &other][task / 2 % 2].server.messages();
        tokio::spawn(async move {
            for round in 0..200 {
                let channel = ["news", "sports"][round % 2];
                if round % 5 == task % 5 {
                    // One that gives up half-way, or is just done.
                    drop(messages.subscribe::<String>(channel).now_or_never());
                }
                let mut heard = messages.subscribe::<String>(channel).await.expect("a channel");
                let text = format!("{task} {round}");
                posts.post(channel, &text).await.expect("a post");
                while soon("a message", heard.next()).await != Some(Ok(text.clone())) {}
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        soon("the end of a task", task).await.expect("no panic");
    }
    for channel in ["news", "sports"] {
        assert_eq!(cluster.wanted(channel), 0);
        let (subscribed, left) = cluster.calls(channel);
        assert_eq!(subscribed, left);
    }
    assert_eq!(one.server.messages().counters().channels, 0);
}

/// I8, H9
async fn i8_a_subscription_is_confirmed_before_it_is_there(net: Net) {
    let cluster = Cluster::default();
    let [one, other] = two(net, &cluster, MessageConfig::default()).await;
    cluster.confirm_slowly(true);
    let messages = one.server.messages();
    let mut first = Box::pin(messages.subscribe::<String>("news"));
    let mut second = Box::pin(messages.subscribe::<String>("news"));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(cluster.calls("news"), (1, 0), "both wait for one confirmation");
    // The first gives up, and the second does not wait in vain.
    drop(first);
    cluster.confirm_one();
    let mut heard = soon("the confirmation", second).await.expect("a subscription");
    // Who comes later does not wait.
    let third = messages.subscribe::<String>("news").now_or_never();
    let mut third = third.expect("no wait").expect("a subscription");
    say(&other.client(), "news", "hello").await;
    assert_eq!(soon("a message", heard.next()).await, Some(Ok("hello".into())));
    assert_eq!(soon("a message", third.next()).await, Some(Ok("hello".into())));
    assert_eq!(cluster.calls("news"), (1, 0));
}

/// I8
async fn i8_a_subscription_that_is_given_up_is_given_up_on_the_bus(net: Net) {
    let cluster = Cluster::default();
    let [one, _other] = two(net, &cluster, MessageConfig::default()).await;
    let messages = one.server.messages();
    cluster.confirm_slowly(true);
    let mut given_up = Box::pin(messages.subscribe::<String>("news"));
    assert!((&mut given_up).now_or_never().is_none());
    drop(given_up);
    assert_eq!((cluster.wanted("news"), cluster.calls("news")), (0, (1, 1)));
    drop(messages.subscribe::<String>("news")); // never begun
    assert_eq!(cluster.calls("news"), (1, 1));
    cluster.confirm_slowly(false);
    // One that fails is given up as well.
    cluster.fail(down());
    let failed = messages.subscribe::<String>("news").await.map(drop);
    assert_eq!(failed, Err(SubscribeError::Bus(down())));
    assert_eq!((cluster.wanted("news"), cluster.calls("news")), (0, (2, 2)));
    cluster.back();
    assert!(messages.subscribe::<String>("news").await.is_ok());
    assert_eq!(cluster.calls("news"), (3, 3));
    assert_eq!(messages.counters().channels, 0);
}
