mod storm;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::task::Poll;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::{Deserialize, Serialize, Serializer};

use super::bus::{BusError, BusInbox};
use super::*;
use crate::server::{Server, ServerBuilder};
use crate::transport::BoxFuture;

fn messages_of(builder: ServerBuilder) -> Messages {
    builder.build().expect("a sound server").messages()
}

fn messages() -> Messages {
    messages_of(Server::builder())
}

/// What needs no wait.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("nothing to wait for")
}

fn hear<T: Message>(messages: &Messages, channel: &str) -> Subscription<T> {
    now(messages.subscribe(channel)).expect("a subscription")
}

/// All that has come.
fn heard<T: Message>(subscription: &mut Subscription<T>) -> Vec<Result<T, MessageError>> {
    std::iter::from_fn(|| subscription.next().now_or_never().flatten()).collect()
}

/// A bus that says whatever a test likes, and keeps what it is told.
#[derive(Clone, Debug, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    inbox: Option<BusInbox>,
    failure: Option<BusError>,
    published: Vec<(String, Bytes)>,
    /// No answer to who subscribes, until this is taken away.
    is_slow: bool,
    forgotten: usize,
    panics: bool,
}

impl Scripted {
    fn inbox(&self) -> BusInbox {
        self.0.lock().unwrap().inbox.clone().expect("a bus that has started")
    }

    fn fail(&self, error: BusError) {
        self.0.lock().unwrap().failure = Some(error);
    }

    fn forgotten(&self) -> usize {
        self.0.lock().unwrap().forgotten
    }

    fn answer(&self) -> BoxFuture<Result<(), BusError>> {
        let failure = self.0.lock().unwrap().failure.clone();
        Box::pin(async { failure.map_or(Ok(()), Err) })
    }
}

impl Bus for Scripted {
    fn start(&self, inbox: BusInbox) {
        self.0.lock().unwrap().inbox = Some(inbox);
    }

    fn publish(&self, channel: &str, message: Bytes) -> BoxFuture<Result<(), BusError>> {
        self.0.lock().unwrap().published.push((channel.into(), message));
        self.answer()
    }

    fn subscribe(&self, _: &str) -> BoxFuture<Result<(), BusError>> {
        let (script, answer) = (Arc::clone(&self.0), self.answer());
        Box::pin(async move {
            let is_slow = || if script.lock().unwrap().is_slow { None } else { Some(()) };
            poll_fn(|_| is_slow().map_or(Poll::Pending, Poll::Ready)).await;
            answer.await
        })
    }

    fn unsubscribe(&self, _: &str) {
        let mut script = self.0.lock().unwrap();
        script.forgotten += 1;
        let panics = script.panics;
        drop(script);
        assert!(!panics, "as told");
    }
}

/// R-BUS-1, R-BUS-3: the example of the specification.
#[test]
fn a_message_travels_as_the_specification_shows() {
    let bus = Scripted::default();
    let messages = messages_of(Server::builder().bus(bus.clone()));
    assert_eq!(now(messages.post("news", &"hi".to_string())), Ok(()));
    let specified = include_str!("../../../spec/messages.md");
    let (_, example) = specified.split_once("```hex\n").expect("an example");
    let (example, _) = example.split_once("```").expect("an end of the example");
    let bytes = example.lines().flat_map(|line| {
        let hex = line.get(..25).unwrap_or(line).trim();
        hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect::<Vec<_>>()
    });
    let bytes = Bytes::from(bytes.collect::<Vec<u8>>());
    assert_eq!(bus.0.lock().unwrap().published, [("news".to_string(), bytes)]);
}

/// R-BUS-2
#[test]
fn what_is_no_envelope_is_passed_over_and_counted() {
    let bus = Scripted::default();
    let messages = messages_of(Server::builder().bus(bus.clone()));
    let mut news = hear::<String>(&messages, "news");
    let good = envelope::seal(Fingerprint::of_message::<String>(), b"\x02hi");
    let mut later = good.to_vec();
    later[0] = 2;
    for bytes in [Bytes::new(), good.slice(..8), later.into()] {
        bus.inbox().deliver("news", bytes);
    }
    assert_eq!(heard(&mut news), []);
    bus.inbox().deliver("news", good.clone());
    bus.inbox().deliver("other", good);
    assert_eq!(heard(&mut news), [Ok("hi".to_string())]);
    let counters = messages.counters();
    assert_eq!((counters.malformed, counters.arrived, counters.unreadable), (3, 1, 0));
}

#[test]
fn what_cannot_be_read_is_told_in_its_place() {
    let bus = Scripted::default();
    let limit = 8;
    let config = MessageConfig { message: limit, ..MessageConfig::default() };
    let messages = messages_of(Server::builder().bus(bus.clone()).messages(config));
    let mut news = hear::<String>(&messages, "news");
    let fingerprint = Fingerprint::of_message::<String>();
    let other = Fingerprint::of_message::<u64>();
    for (fingerprint, payload) in [
        (fingerprint, &b"\x07no more"[..]),
        (fingerprint, b"\x08too much"),
        (other, b"\x01"),
        (fingerprint, b"\x09x"),
        (fingerprint, b"\x01xy"),
        (fingerprint, b"\x01x"),
    ] {
        bus.inbox().deliver("news", envelope::seal(fingerprint, payload));
    }
    let heard = heard(&mut news);
    assert_eq!(heard[0], Ok("no more".into()));
    assert_eq!(heard[1], Err(MessageError::TooLarge { size: 9, limit }));
    assert_eq!(heard[2], Err(MessageError::OtherType { expected: fingerprint, found: other }));
    assert!(matches!(heard[3], Err(MessageError::Decode(_))));
    assert!(matches!(heard[4], Err(MessageError::Decode(_))));
    assert_eq!(heard[5..], [Ok("x".into())]);
    assert_eq!(messages.counters().unreadable, 4);
}

/// R-BUS-4
#[test]
fn a_channel_has_a_name_of_a_bounded_length() {
    let messages = messages();
    let longest = "x".repeat(255);
    assert_eq!(now(messages.post(&longest, &1)), Ok(()));
    assert!(now(messages.subscribe::<i32>(&longest)).is_ok());
    for (name, error) in [
        ("", ChannelError::Empty),
        ("$news", ChannelError::Reserved),
        (&"x".repeat(256), ChannelError::TooLong { size: 256, limit: 255 }),
        (&"ä".repeat(128), ChannelError::TooLong { size: 256, limit: 255 }),
    ] {
        assert_eq!(now(messages.post(name, &1)), Err(PostError::Channel(error.clone())));
        let subscribed = now(messages.subscribe::<i32>(name)).map(drop);
        assert_eq!(subscribed, Err(SubscribeError::Channel(error)));
    }
    assert_eq!(messages.counters().channels, 0);
}

#[test]
fn a_message_as_large_as_the_limit_is_posted_and_none_beyond() {
    let limit = 100;
    let config = MessageConfig { message: limit, unread_bytes: limit, ..MessageConfig::default() };
    let messages = messages_of(Server::builder().messages(config));
    let mut news = hear::<String>(&messages, "news");
    let (largest, larger) = ("x".repeat(99), "x".repeat(100));
    assert_eq!(now(messages.post("news", &largest)), Ok(()));
    let error = PostError::TooLarge { size: 101, limit };
    assert_eq!(now(messages.post("news", &larger)), Err(error.clone()));
    assert_eq!(now(messages.post("unheard", &larger)), Err(error));
    assert_eq!(heard(&mut news), [Ok(largest)]);
}

/// H10
#[test]
fn who_falls_behind_is_told_by_how_much() {
    let config = MessageConfig { unread: 3, ..MessageConfig::default() };
    let messages = messages_of(Server::builder().messages(config));
    let mut slow = hear::<u32>(&messages, "news");
    (0..3_u32).for_each(|n| assert_eq!(now(messages.post("news", &n)), Ok(())));
    assert_eq!(heard(&mut slow), [Ok(0), Ok(1), Ok(2)]);
    (0..4_u32).for_each(|n| assert_eq!(now(messages.post("news", &n)), Ok(())));
    assert_eq!(heard(&mut slow), [Err(MessageError::Lagged(1)), Ok(1), Ok(2), Ok(3)]);
    assert_eq!(messages.counters().missed, 1);
}

#[test]
fn a_message_is_encoded_once_for_a_thousand_subscribers() {
    thread_local! {
        static ENCODED: Cell<usize> = const { Cell::new(0) };
    }
    #[derive(Deserialize)]
    struct Counted(u8);
    impl Serialize for Counted {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            ENCODED.set(ENCODED.get() + 1);
            serializer.serialize_newtype_struct("Counted", &self.0)
        }
    }
    let messages = messages();
    let mut subscriptions: Vec<_> =
        (0..1_000).map(|_| hear::<Counted>(&messages, "news")).collect();
    assert_eq!(now(messages.post("news", &Counted(7))), Ok(()));
    assert_eq!(ENCODED.get(), 1);
    for subscription in &mut subscriptions {
        assert!(matches!(heard(subscription)[..], [Ok(Counted(7))]));
    }
    assert_eq!(ENCODED.get(), 1);
}

#[test]
fn nothing_is_left_of_channels_that_nobody_hears() {
    let messages = messages();
    let subscriptions: Vec<_> =
        (0..10).map(|n| hear::<u8>(&messages, &format!("channel {}", n % 5))).collect();
    let counters = messages.counters();
    assert_eq!((counters.channels, counters.subscriptions), (5, 10));
    drop(subscriptions);
    let counters = messages.counters();
    assert_eq!((counters.channels, counters.subscriptions), (0, 0));
}

#[test]
fn what_is_posted_to_this_server_alone_does_not_travel() {
    let bus = Scripted::default();
    let messages = messages_of(Server::builder().bus(bus.clone()));
    let local = messages.clone().scope(Scope::Local);
    let mut all = hear::<u8>(&messages, "news");
    let mut near = hear::<u8>(&local, "news");
    assert_eq!(now(local.post("news", &1_u8)), Ok(()));
    assert_eq!((heard(&mut all), heard(&mut near)), (vec![Ok(1)], vec![Ok(1)]));
    assert_eq!(bus.0.lock().unwrap().published, []);
    assert_eq!(now(messages.post("news", &2_u8)), Ok(()));
    let (_, sealed) = bus.0.lock().unwrap().published.pop().expect("a message");
    bus.inbox().deliver("news", sealed);
    bus.inbox().gap(None);
    assert_eq!(heard(&mut all), [Ok(2), Err(MessageError::Gap)]);
    assert_eq!(heard(&mut near), []);
}

#[test]
fn all_servers_are_out_of_reach_without_a_bus() {
    let messages = messages().scope(Scope::Global);
    assert_eq!(now(messages.post("news", &1)), Err(PostError::NoBus));
    let subscribed = now(messages.subscribe::<i32>("news")).map(drop);
    assert_eq!(subscribed, Err(SubscribeError::NoBus));
    assert_eq!(messages.counters().subscriptions, 0);
}

#[test]
fn while_the_bus_is_down_the_server_does_what_it_is_told_to() {
    let down = || BusError::Unavailable { detail: "no such bus".into() };
    let late = || BusError::TimedOut(std::time::Duration::from_secs(1));
    for outage in [Outage::Fail, Outage::Local] {
        let bus = Scripted::default();
        let config = MessageConfig { outage, ..MessageConfig::default() };
        let messages = messages_of(Server::builder().bus(bus.clone()).messages(config));
        let global = messages.clone().scope(Scope::Global);
        bus.fail(down());
        assert_eq!(now(global.post("news", &1)), Err(PostError::Bus(down())));
        let subscribed = now(global.subscribe::<i32>("news")).map(drop);
        assert_eq!(subscribed, Err(SubscribeError::Bus(down())));
        let subscribed = now(messages.subscribe::<i32>("news"));
        match outage {
            Outage::Fail => {
                assert_eq!(subscribed.map(drop), Err(SubscribeError::Bus(down())));
                assert_eq!(now(messages.post("news", &1)), Err(PostError::Bus(down())));
            }
            Outage::Local => {
                let mut news = subscribed.expect("a subscription");
                assert_eq!(now(messages.post("news", &1)), Ok(()));
                assert_eq!(heard(&mut news), [Ok(1)]);
                // What may have arrived is not given again.
                bus.fail(late());
                assert_eq!(now(messages.post("news", &2)), Err(PostError::Bus(late())));
                assert_eq!(heard(&mut news), []);
                assert_eq!(messages.counters().went_local, 2);
            }
        }
    }
}

#[test]
fn a_bus_that_failed_to_subscribe_is_told_when_nobody_needs_the_channel_any_more() {
    let bus = Scripted::default();
    let config = MessageConfig { outage: Outage::Local, ..MessageConfig::default() };
    let messages = messages_of(Server::builder().bus(bus.clone()).messages(config));
    bus.fail(BusError::Unavailable { detail: "no such bus".into() });
    let news = hear::<u8>(&messages, "news");
    // The bus may subscribe on its own once it is back, so it has to know.
    assert_eq!(bus.forgotten(), 0);
    drop(news);
    assert_eq!((bus.forgotten(), messages.counters().channels), (1, 0));
}

#[test]
fn the_bus_is_not_told_to_forget_a_channel_while_it_is_asked_for_it() {
    let bus = Scripted::default();
    let messages = messages_of(Server::builder().bus(bus.clone()));
    bus.0.lock().unwrap().is_slow = true;
    let dyn_bus: Arc<dyn Bus> = Arc::new(bus.clone());
    let seat = messages.hub.enter("news", Reach::Wide);
    let mut confirmed = Box::pin(seat.confirmed(&dyn_bus));
    assert_eq!(confirmed.as_mut().now_or_never(), None);
    seat.end();
    assert_eq!(bus.forgotten(), 0);
    bus.0.lock().unwrap().is_slow = false;
    assert_eq!(confirmed.as_mut().now_or_never(), Some(Ok(())));
    drop(confirmed);
    assert_eq!((bus.forgotten(), messages.counters().channels), (1, 0));
    drop(seat);
    assert_eq!(bus.forgotten(), 1);
}

#[test]
fn a_subscription_begins_where_the_bus_confirms_it_with_nothing_missing_behind() {
    let bus = Scripted::default();
    let messages = messages_of(Server::builder().bus(bus.clone()));
    let arrives = |number: u8| {
        now(messages.post("news", &number)).unwrap();
        let (_, sealed) = bus.0.lock().unwrap().published.pop().unwrap();
        bus.inbox().deliver("news", sealed);
    };
    drop(hear::<u8>(&messages, "news"));
    bus.0.lock().unwrap().is_slow = true;
    let mut again = Box::pin(messages.subscribe::<u8>("news"));
    assert!(again.as_mut().now_or_never().is_none());
    // The last of the first subscription; what comes behind it does not come here.
    arrives(1);
    bus.inbox().gap(Some("news"));
    bus.0.lock().unwrap().is_slow = false;
    let mut again = again.now_or_never().expect("a confirmation").expect("a subscription");
    arrives(3);
    assert_eq!(heard(&mut again), [Ok(3)]);
}

#[test]
fn a_channel_can_be_heard_again_after_the_bus_panicked_at_forgetting_it() {
    let bus = Scripted::default();
    let messages = messages_of(Server::builder().bus(bus.clone()));
    bus.0.lock().unwrap().panics = true;
    let news = hear::<u8>(&messages, "news");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(news))).is_err());
    assert_eq!((bus.forgotten(), messages.counters().channels), (1, 0));
    bus.0.lock().unwrap().panics = false;
    drop(hear::<u8>(&messages, "news"));
    assert_eq!(bus.forgotten(), 2);
}

#[test]
fn settings_that_are_too_small_are_told() {
    let build = |config| Server::builder().messages(config).build().map(drop);
    let default = MessageConfig::default;
    let error = |setting| Err(crate::BuildError::MessageConfig { setting });
    assert_eq!(build(MessageConfig { channel: 0, ..default() }), error("channel"));
    assert_eq!(build(MessageConfig { unread: 0, ..default() }), error("unread"));
    let (message, unread_bytes) = (100, 99);
    assert_eq!(build(MessageConfig { message, unread_bytes, ..default() }), error("unread_bytes"));
    let small = MessageConfig { channel: 1, unread: 1, message, unread_bytes: 100, ..default() };
    assert_eq!(build(small), Ok(()));
}

/// R-BUS-5
#[test]
fn a_revocation_travels_as_the_specification_says() {
    use crate::{Authentication, Revocation};
    let bus = Scripted::default();
    let authenticator = async |_| Ok(Some(Authentication::new("alice")));
    let server = Server::builder().bus(bus.clone()).authenticator(authenticator).build().unwrap();
    let token = Revocation::Token { user: "a".into(), token: "t".into() };
    assert_eq!(now(server.revoke_everywhere(&token)), Ok(0));
    let (channel, sealed) = bus.0.lock().unwrap().published.pop().expect("a message");
    assert_eq!(channel, "$revocations");
    assert_eq!(sealed[..9], [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(sealed.ends_with(&[1, 1, b'a', 1, b't']));
    let inbox = bus.inbox();
    let counted = || server.messages().counters().malformed;
    inbox.deliver(&channel, sealed.clone());
    assert_eq!(counted(), 0);
    inbox.deliver(&channel, sealed.slice(..sealed.len() - 1));
    inbox.deliver(&channel, Bytes::new());
    assert_eq!(counted(), 2);
    // Whatever arrives after the server has gone is passed over.
    drop(server);
    inbox.deliver(&channel, sealed);
    inbox.gap(None);
}
