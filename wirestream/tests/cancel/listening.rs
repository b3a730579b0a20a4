//! Messages between sessions: what subscribes, and what listens.

use std::fmt;
use std::sync::mpsc;

use bytes::Bytes;
use wirestream::{Bus, BusError, BusInbox, Listener, MessageError, Messages, Subscription};

use super::*;

/// A bus that takes its time for each answer, and brings what it is given.
#[derive(Clone)]
struct Slow {
    hand: Hand,
    inbox: Arc<Mutex<Option<BusInbox>>>,
    /// How often the channel was subscribed to and not forgotten since.
    wanted: Arc<Mutex<i32>>,
}

impl Slow {
    fn new(hand: &Hand) -> Self {
        Self { hand: hand.clone(), inbox: Arc::default(), wanted: Arc::default() }
    }

    fn answer(&self) -> BoxFuture<Result<(), BusError>> {
        let hand = self.hand.clone();
        Box::pin(async move {
            hand.turns(3).await;
            Ok(())
        })
    }
}

impl Bus for Slow {
    fn start(&self, inbox: BusInbox) {
        *self.inbox.lock().unwrap() = Some(inbox);
    }

    fn publish(&self, channel: &str, message: Bytes) -> BoxFuture<Result<(), BusError>> {
        let inbox = self.inbox.lock().unwrap().clone();
        inbox.expect("a server").deliver(channel, message);
        self.answer()
    }

    fn subscribe(&self, _: &str) -> BoxFuture<Result<(), BusError>> {
        *self.wanted.lock().unwrap() += 1;
        self.answer()
    }

    fn unsubscribe(&self, _: &str) {
        *self.wanted.lock().unwrap() -= 1;
    }
}

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slow")
    }
}

/// Whether nothing is left of the channel, here and at the bus.
fn is_forgotten(messages: &Messages, bus: &Slow) -> bool {
    let counters = messages.counters();
    (counters.subscriptions, counters.channels) == (0, 0) && *bus.wanted.lock().unwrap() == 0
}

async fn subscribe(messages: &Messages) -> Subscription<u32> {
    messages.subscribe("news").await.expect("a subscription")
}

async fn post(messages: &Messages, numbers: impl Iterator<Item = u32>) {
    for number in numbers {
        messages.post("news", &number).await.expect("a message");
    }
}

/// Takes messages until there are so many.
async fn hear(subscription: &mut Subscription<u32>, count: usize, heard: &mut Vec<u32>) {
    while heard.len() < count {
        heard.push(subscription.next().await.expect("a message").expect("no gap"));
    }
}

#[test]
fn a_subscription_that_is_given_up_leaves_nothing_behind() {
    at_each_poll(async |hand, cut| {
        let bus = Slow::new(hand);
        let messages = server_with(methods(), &bus).messages();
        let dropped = cut.of(subscribe(&messages)).await;
        drop(dropped);
        hand.until("nobody subscribes", || is_forgotten(&messages, &bus)).await;
        let mut again = subscribe(&messages).await;
        post(&messages, 0..3).await;
        let mut heard = Vec::new();
        hear(&mut again, 3, &mut heard).await;
        assert_eq!((heard, *bus.wanted.lock().unwrap()), (vec![0, 1, 2], 1));
        drop(again);
        assert!(is_forgotten(&messages, &bus));
    });
}

#[test]
fn who_else_subscribes_is_told_when_one_is_given_up() {
    at_each_poll(async |hand, cut| {
        let bus = Slow::new(hand);
        let messages = server_with(methods(), &bus).messages();
        let subscribing = messages.clone();
        let other = beside(hand, async move { subscribe(&subscribing).await });
        let dropped = cut.of(subscribe(&messages)).await;
        let mut other = done(hand, "the other subscription", &other).await;
        drop(dropped);
        post(&messages, 0..3).await;
        let mut heard = Vec::new();
        hear(&mut other, 3, &mut heard).await;
        assert_eq!((heard, *bus.wanted.lock().unwrap()), (vec![0, 1, 2], 1));
        drop(other);
        assert!(is_forgotten(&messages, &bus));
    });
}

#[test]
fn a_subscription_goes_on_where_its_reader_was_dropped() {
    at_each_poll(async |hand, cut| {
        let messages = server_with(methods(), &Slow::new(hand)).messages();
        let mut subscription = subscribe(&messages).await;
        let posting = messages.clone();
        let posted = beside(hand, async move { post(&posting, 0..20).await });
        let mut heard = Vec::new();
        let _dropped = cut.of(hear(&mut subscription, 20, &mut heard)).await;
        hear(&mut subscription, 20, &mut heard).await;
        done(hand, "the posting", &posted).await;
        assert_eq!(heard, Vec::from_iter(0..20));
    });
}

#[test]
fn what_was_posted_is_heard_whoever_waits_for_the_post() {
    at_each_poll(async |hand, cut| {
        let messages = server_with(methods(), &Slow::new(hand)).messages();
        let mut subscription = subscribe(&messages).await;
        let _dropped = cut.of(messages.post("news", &0_u32)).await;
        post(&messages, 1..3).await;
        let mut heard = Vec::new();
        hear(&mut subscription, 3, &mut heard).await;
        assert_eq!(heard, [0, 1, 2]);
    });
}

#[test]
fn a_listener_whose_listening_was_given_up_is_not_called() {
    at_each_poll(async |hand, cut| {
        let bus = Slow::new(hand);
        let (server, session, reply) = session(hand, &bus).await;
        let (messages, all) = (session.messages(), server.messages());
        let (told, heard) = mpsc::channel();
        let first = cut.of(messages.listen("news", telling(&told))).await;
        if first.is_none() {
            hand.until("nobody listens", || is_forgotten(&all, &bus)).await;
        }
        let (told, heard_again) = mpsc::channel();
        messages.listen("news", telling(&told)).await.expect("a listener");
        post(&all, 0..3).await;
        hand.turns(5).await;
        let now = |heard: &mpsc::Receiver<u32>| heard.try_iter().collect::<Vec<_>>();
        assert_eq!(now(&heard_again), [0, 1, 2]);
        assert_eq!(now(&heard), if first.is_some() { vec![0, 1, 2] } else { vec![] });
        drop(reply);
        session.closed().await;
        hand.until("nobody listens", || is_forgotten(&all, &bus)).await;
    });
}

fn server_with(endpoint: Endpoint, bus: &Slow) -> Server {
    let builder = Server::builder().endpoint(endpoint).limits(limits());
    builder.bus(bus.clone()).build().expect("a server")
}

/// A session that stays open, and what drops it.
async fn session(hand: &Hand, bus: &Slow) -> (Server, Session, Receiver<()>) {
    let place = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&place);
    let endless = move |session: Session, (): (), (): ()| {
        *seen.lock().unwrap() = Some(session);
        stream::pending::<Result<(), NoError>>()
    };
    let server = server_with(methods().stream("endless", endless), bus);
    let reply = client(hand, &server).call("E.endless").stream::<()>();
    let session = done(hand, "the call", &place).await;
    (server, session, reply)
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a drop that panics");
    }
}

/// Tells what it hears.
fn telling(to: &mpsc::Sender<u32>) -> impl FnMut(Result<u32, MessageError>) + Send + 'static {
    let to = to.clone();
    move |message| to.send(message.expect("no gap")).expect("somebody asks")
}

/// A listener that panics as it is dropped.
async fn armed(session: &Session) -> Listener {
    let bomb = Bomb;
    let armed = move |_: Result<u32, MessageError>| {
        let _ = &bomb;
    };
    session.messages().listen("news", armed).await.expect("a listener")
}

#[test]
fn a_listener_that_panics_as_it_is_dropped_delays_no_other() {
    let hand = Hand::default();
    hand.run(async {
        let (server, session, _reply) = session(&hand, &Slow::new(&hand)).await;
        let (told, heard) = mpsc::channel();
        // Whoever is woken first: one of the listeners that hear it comes behind one that goes.
        let before = session.messages().listen("news", telling(&told)).await.expect("a listener");
        let goes = armed(&session).await;
        let behind = session.messages().listen("news", telling(&told)).await.expect("a listener");
        hand.turns(5).await;
        goes.remove();
        server.messages().post("news", &7_u32).await.expect("a message");
        let mut all = Vec::new();
        hand.until("all hear it", || {
            all.extend(heard.try_iter());
            all == [7, 7]
        })
        .await;
        assert!(!before.is_removed() && !behind.is_removed());
    });
}

#[test]
fn a_listener_that_panics_as_its_session_ends_keeps_no_other() {
    let hand = Hand::default();
    hand.run(async {
        let (server, session, reply) = session(&hand, &Slow::new(&hand)).await;
        let kept = Arc::new(());
        for _ in 0..3 {
            armed(&session).await;
            let held = Arc::clone(&kept);
            let holding = move |_: Result<u32, MessageError>| drop(Arc::clone(&held));
            session.messages().listen("news", holding).await.expect("a listener");
        }
        hand.turns(5).await;
        drop(reply);
        session.closed().await;
        hand.until("nobody keeps it", || Arc::strong_count(&kept) == 1).await;
        assert_eq!(server.messages().counters().subscriptions, 0);
        assert_eq!(server.messages().counters().channels, 0);
    });
}
