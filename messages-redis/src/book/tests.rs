use std::time::Duration;

use super::*;

type Answered = oneshot::Receiver<Result<(), BusError>>;

fn at(seconds: u64) -> Instant {
    static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *BEGIN.get_or_init(Instant::now) + Duration::from_secs(seconds)
}

/// Wants a channel until a time.
fn want(book: &mut Book, channel: &str, seconds: u64) -> Answered {
    let (answer, answered) = oneshot::channel();
    book.want(channel, at(seconds), answer);
    answered
}

fn join(channel: &str) -> Change {
    Change::Join(channel.into())
}

fn leave(channel: &str) -> Change {
    Change::Leave(channel.into())
}

fn timed_out() -> BusError {
    BusError::TimedOut(Duration::from_secs(1))
}

/// A book in which `channel` is subscribed to.
fn subscribed(channel: &str) -> Book {
    let mut book = Book::default();
    let mut answered = want(&mut book, channel, 1);
    assert_eq!(book.changes(9), [join(channel)]);
    assert!(!book.joined(channel), "a first subscription has missed nothing");
    assert_eq!(answered.try_recv(), Ok(Ok(())));
    book
}

/// There is nothing left to do, to wait for or to remember.
fn assert_is_empty(book: &mut Book) {
    assert_eq!(book.changes(9), []);
    assert_eq!(book.next_deadline(), None);
    assert!(book.channels.is_empty(), "{book:?}");
}

#[test]
fn a_subscription_is_confirmed_by_redis_and_not_before() {
    let mut book = Book::default();
    let mut answered = want(&mut book, "news", 1);
    assert_eq!(book.changes(9), [join("news")]);
    assert_eq!(book.changes(9), [], "it is asked for once");
    assert!(answered.try_recv().is_err());
    assert!(!book.joined("news"));
    assert_eq!(answered.try_recv(), Ok(Ok(())));
    assert_eq!(book.next_deadline(), None);

    book.unwant("news");
    assert_eq!(book.changes(9), [leave("news")]);
    book.left("news");
    assert!(!book.is_thrown_out());
    assert_is_empty(&mut book);
}

#[test]
fn what_is_subscribed_already_is_confirmed_at_once() {
    let mut book = subscribed("news");
    book.unwant("news");
    let mut answered = want(&mut book, "news", 1);
    assert_eq!(answered.try_recv(), Ok(Ok(())), "Redis was not asked to end it");
    assert_eq!(book.changes(9), []);
}

#[test]
fn a_subscription_that_overtakes_its_end_waits_for_it() {
    let mut book = subscribed("news");
    book.unwant("news");
    assert_eq!(book.changes(9), [leave("news")]);
    let mut answered = want(&mut book, "news", 1);
    assert_eq!(book.changes(9), [], "its end is on its way");
    book.left("news");
    assert_eq!(book.changes(9), [join("news")]);
    assert!(answered.try_recv().is_err());
    assert!(!book.joined("news"), "nobody has missed anything");
    assert_eq!(answered.try_recv(), Ok(Ok(())));
}

#[test]
fn an_end_that_overtakes_its_subscription_ends_it() {
    let mut book = Book::default();
    let mut answered = want(&mut book, "news", 1);
    book.unwant("news");
    assert_eq!(answered.try_recv(), Ok(Err(BusError::Closed)));
    assert_is_empty(&mut book);

    drop(want(&mut book, "news", 1));
    assert_eq!(book.changes(9), [join("news")]);
    book.unwant("news");
    assert_eq!(book.changes(9), [], "its beginning is on its way");
    assert!(!book.joined("news"));
    assert_eq!(book.changes(9), [leave("news")]);
    book.left("news");
    assert_is_empty(&mut book);
}

#[test]
fn after_a_loss_what_was_subscribed_is_resubscribed_with_a_gap() {
    let mut book = subscribed("news");
    drop(want(&mut book, "ended", 1));
    let mut fresh = want(&mut book, "fresh", 1);
    assert_eq!(book.changes(9), [join("ended"), join("fresh")]);
    book.unwant("ended");
    book.lost();
    assert_eq!(book.changes(9), [join("fresh"), join("news")]);
    assert!(!book.joined("fresh"), "it was never there, and its caller still waits");
    assert_eq!(fresh.try_recv(), Ok(Ok(())));
    assert!(book.joined("news"));
    book.lost();
    assert_eq!(book.changes(9), [join("fresh"), join("news")]);
    book.lost();
    assert_eq!(book.changes(9), [join("fresh"), join("news")]);
    assert!(book.joined("news"), "a gap is owed until it is told");
    assert!(book.joined("fresh"));
    assert!(!book.joined("news"), "and is told once");
}

#[test]
fn who_ends_a_subscription_is_owed_no_gap() {
    let mut book = subscribed("news");
    book.lost();
    book.unwant("news");
    assert_is_empty(&mut book);
    drop(want(&mut book, "news", 1));
    assert_eq!(book.changes(9), [join("news")]);
    assert!(!book.joined("news"));
}

#[test]
fn patience_ends_in_order_and_the_channel_stays_wanted() {
    let mut book = Book::default();
    let [mut first, mut second] = [want(&mut book, "b", 1), want(&mut book, "a", 2)];
    assert_eq!(book.next_deadline(), Some(at(1)));
    book.expire(at(1), &timed_out());
    assert_eq!(first.try_recv(), Ok(Err(timed_out())));
    assert!(second.try_recv().is_err());
    assert_eq!(book.next_deadline(), Some(at(2)));
    assert_eq!(book.changes(9), [join("a"), join("b")]);
    assert!(book.joined("b"), "its caller was told that it is not there");
    assert!(!book.joined("a"));
    assert_eq!(second.try_recv(), Ok(Ok(())));
    assert_eq!(book.next_deadline(), None);
}

#[test]
fn without_redis_every_waiter_is_told() {
    let mut book = subscribed("news");
    let mut waiters = ["a", "b", "b"].map(|channel| want(&mut book, channel, 1));
    let error = BusError::Unavailable { detail: "as it is".into() };
    book.fail_all(&error);
    for waiter in &mut waiters {
        assert_eq!(waiter.try_recv(), Ok(Err(error.clone())));
    }
    assert_eq!(book.next_deadline(), None);
    book.lost();
    assert_eq!(book.changes(9), [join("a"), join("b"), join("news")]);
}

#[test]
fn what_is_refused_is_asked_for_again_later_or_when_it_is_wanted_anew() {
    let refused = BusError::Refused { detail: "as asked".into() };
    let mut book = Book::default();
    let mut answered = want(&mut book, "news", 1);
    assert_eq!(book.changes(9), [join("news")]);
    book.refused(&join("news"), &refused);
    assert_eq!(answered.try_recv(), Ok(Err(refused.clone())));
    assert_eq!(book.changes(9), []);
    book.retry();
    assert_eq!(book.changes(9), [join("news")]);
    book.refused(&join("news"), &refused);
    drop(want(&mut book, "news", 1));
    assert_eq!(book.changes(9), [join("news")]);
    assert!(book.joined("news"), "something may have come while it was refused");

    drop(want(&mut book, "other", 1));
    assert_eq!(book.changes(9), [join("other")]);
    book.unwant("other");
    book.refused(&join("other"), &refused);
    book.unwant("news");
    assert_eq!(book.changes(9), [leave("news")]);
    book.refused(&leave("news"), &refused);
    assert_is_empty(&mut book);
}

#[test]
fn an_end_that_nobody_asked_for_is_noticed() {
    let mut book = subscribed("news");
    book.left("other");
    assert!(!book.is_thrown_out());
    book.left("news");
    assert!(book.is_thrown_out());
    book.lost();
    assert!(!book.is_thrown_out());
    assert_eq!(book.changes(9), [join("news")]);
    assert!(book.joined("news"));
}

#[test]
fn much_is_asked_for_in_pieces() {
    let mut book = Book::default();
    let names: Vec<_> = (0..10).map(|number| format!("channel {number}")).collect();
    for name in &names {
        drop(want(&mut book, name, 1));
    }
    let mut asked = 0;
    for expected in [4, 4, 2, 0] {
        let changes = book.changes(4);
        assert_eq!(changes.len(), expected);
        asked += changes.len();
    }
    assert_eq!(asked, names.len());
}
