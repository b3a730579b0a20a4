//! Many threads subscribe, post and leave on few channels, over a bus that is slow and fails.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::*;

/// A bus that holds its server to the contract of [`Bus`].
#[derive(Clone, Debug, Default)]
struct Strict(Arc<Mutex<Books>>, Arc<AtomicU64>);

#[derive(Debug, Default)]
struct Books {
    inbox: Option<BusInbox>,
    /// Whether its last subscription has failed.
    wanted: BTreeMap<String, bool>,
    broken: BTreeSet<&'static str>,
}

impl Strict {
    /// A number that differs from call to call.
    fn chance(&self) -> u64 {
        self.1.fetch_add(0x9e37_79b9, Ordering::Relaxed) >> 7
    }
}

impl Bus for Strict {
    fn start(&self, inbox: BusInbox) {
        self.0.lock().unwrap().inbox = Some(inbox);
    }

    fn publish(&self, channel: &str, message: Bytes) -> BoxFuture<Result<(), BusError>> {
        let inbox = {
            let books = self.0.lock().unwrap();
            books.wanted.contains_key(channel).then(|| books.inbox.clone()).flatten()
        };
        inbox.into_iter().for_each(|inbox| inbox.deliver(channel, message.clone()));
        Box::pin(async { Ok(()) })
    }

    fn subscribe(&self, channel: &str) -> BoxFuture<Result<(), BusError>> {
        let mut books = self.0.lock().unwrap();
        if books.wanted.insert(channel.into(), false) == Some(false) {
            books.broken.insert("subscribed to what is wanted");
        }
        drop(books);
        let (this, channel, mut turns) = (self.clone(), channel.to_owned(), self.chance() % 4);
        Box::pin(poll_fn(move |cx| {
            if turns > 0 {
                turns -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if this.chance() % 5 > 0 {
                return Poll::Ready(Ok(()));
            }
            this.0.lock().unwrap().wanted.insert(channel.clone(), true);
            Poll::Ready(Err(BusError::Full))
        }))
    }

    fn unsubscribe(&self, channel: &str) {
        let mut books = self.0.lock().unwrap();
        if books.wanted.remove(channel).is_none() {
            books.broken.insert("gave up what is not wanted");
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls so often at most.
fn run<F: Future>(future: F, most: usize) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    for _ in 0..most {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        thread::park_timeout(std::time::Duration::from_secs(20));
    }
    None
}

fn storm(messages: &Messages, thread: u64) {
    for round in 0..1_000_u64 {
        let channel = if (round + thread).is_multiple_of(3) { "a" } else { "b" };
        let most = if round.is_multiple_of(7) { 1 } else { usize::MAX };
        let Some(Ok(mut heard)) = run(messages.subscribe::<(u64, u64)>(channel), most) else {
            continue;
        };
        let posted: Vec<_> = (0..round % 4).map(|n| (thread, round * 4 + n)).collect();
        posted.iter().for_each(|message| now(messages.post(channel, message)).unwrap());
        let own: Vec<_> = super::heard(&mut heard)
            .into_iter()
            .map(|message| message.expect("nothing was missed"))
            .filter(|(from, _)| *from == thread)
            .collect();
        assert_eq!(own, posted, "of thread {thread} in round {round}");
    }
}

#[test]
fn a_storm_of_subscriptions_loses_nothing_and_leaves_nothing() {
    let bus = Strict::default();
    let config = MessageConfig { unread: 100_000, ..MessageConfig::default() };
    let messages = messages_of(Server::builder().bus(bus.clone()).messages(config));
    thread::scope(|scope| {
        for thread in 0..4 {
            let messages = &messages;
            scope.spawn(move || storm(messages, thread));
        }
    });
    let counters = messages.counters();
    assert_eq!((counters.channels, counters.subscriptions, counters.missed), (0, 0, 0));
    let books = bus.0.lock().unwrap();
    assert_eq!((&books.wanted, &books.broken), (&BTreeMap::new(), &BTreeSet::new()));
}
