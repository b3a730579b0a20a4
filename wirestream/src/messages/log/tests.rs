use std::collections::BTreeSet;
use std::sync::Mutex;
use std::task::Wake;

use proptest::prelude::*;

use super::*;

fn bounds(unread: usize, unread_bytes: usize) -> MessageConfig {
    MessageConfig { unread, unread_bytes, ..MessageConfig::default() }
}

fn item(text: &str) -> Item {
    Item::Message { fingerprint: Fingerprint::new(7), payload: text.as_bytes().into() }
}

/// A log, and all that it said when it was pushed to.
struct Tried {
    log: Log,
    bounds: MessageConfig,
    missed: u64,
}

impl Tried {
    fn new(unread: usize, unread_bytes: usize) -> Self {
        Self { log: Log::default(), bounds: bounds(unread, unread_bytes), missed: 0 }
    }

    /// Pushes a message. How many were woken.
    fn push(&mut self, text: &str) -> usize {
        let mut pushed = Pushed::default();
        self.log.push(&item(text), &self.bounds, &mut pushed);
        self.missed += pushed.missed;
        let woken = pushed.wakers.len();
        pushed.wakers.into_iter().for_each(Waker::wake);
        woken
    }

    fn push_all(&mut self, texts: &[&str]) {
        for text in texts {
            self.push(text);
        }
    }

    fn gap(&mut self) {
        self.log.gap(&mut Pushed::default());
    }

    /// Reads to the end: texts, `!n` for n that were missed, `?` for a gap.
    fn drain(&mut self, key: usize) -> String {
        let cx = Context::from_waker(Waker::noop());
        let mut found = Vec::new();
        loop {
            match self.log.read(key, &cx).0 {
                Poll::Ready(Some(next)) => found.push(shown(next)),
                Poll::Ready(None) => return [found.join(" "), "end".into()].join(" "),
                Poll::Pending => return found.join(" "),
            }
        }
    }
}

fn shown(found: Found) -> String {
    match found {
        Found::Item(Item::Message { payload, .. }) => String::from_utf8(payload.to_vec()).unwrap(),
        Found::Item(Item::TooLarge { size }) => format!("too large: {size}"),
        Found::Lagged(missed) => format!("!{missed}"),
        Found::Gap => "?".into(),
    }
}

#[test]
fn each_reader_finds_what_was_pushed_since_it_came() {
    let mut log = Tried::new(10, 100);
    log.push("before");
    let one = log.log.enter();
    log.push("a");
    let other = log.log.enter();
    log.push("b");
    assert_eq!(log.drain(one), "a b");
    log.push("c");
    assert_eq!(log.drain(other), "b c");
    assert_eq!(log.drain(one), "c");
}

#[test]
fn what_all_have_read_is_not_kept() {
    let mut log = Tried::new(10, 100);
    let readers = [log.log.enter(), log.log.enter()];
    for text in ["a", "b", "c"] {
        log.push(text);
    }
    log.drain(readers[0]);
    assert_eq!((log.log.entries.len(), log.log.bytes), (3, 3));
    log.drain(readers[1]);
    assert_eq!((log.log.entries.len(), log.log.bytes), (0, 0));
    // And whoever leaves takes with it what it alone had not read.
    log.push("d");
    log.drain(readers[0]);
    log.log.end(readers[1]);
    assert_eq!(log.log.entries.len(), 0);
}

#[test]
fn as_many_messages_as_the_bound_are_kept_and_one_more_pushes_the_oldest_out() {
    let mut log = Tried::new(3, 100);
    let reader = log.log.enter();
    log.push_all(&["a", "b", "c"]);
    assert_eq!(log.missed, 0);
    assert_eq!(log.drain(reader), "a b c");
    log.push_all(&["a", "b", "c", "d"]);
    assert_eq!(log.missed, 1);
    assert_eq!(log.drain(reader), "!1 b c d");
}

#[test]
fn as_many_bytes_as_the_bound_are_kept_and_one_more_pushes_the_oldest_out() {
    let mut log = Tried::new(100, 10);
    let reader = log.log.enter();
    log.push_all(&["aaaaa", "bbbbb"]);
    assert_eq!(log.drain(reader), "aaaaa bbbbb");
    log.push_all(&["aaaaa", "bbbbb", "c"]);
    assert_eq!(log.drain(reader), "!1 bbbbb c");
    log.push_all(&["a", "b", "0123456789"]);
    assert_eq!(log.drain(reader), "!2 0123456789");
}

#[test]
fn who_reads_is_not_told_of_what_others_missed() {
    let mut log = Tried::new(2, 100);
    let (fast, slow) = (log.log.enter(), log.log.enter());
    for text in ["a", "b", "c", "d", "e"] {
        log.push(text);
        assert_eq!(log.drain(fast), text);
    }
    assert_eq!(log.drain(slow), "!3 d e");
    assert_eq!(log.missed, 3);
}

#[test]
fn a_gap_is_told_where_it_lies_and_once() {
    let mut log = Tried::new(3, 100);
    let reader = log.log.enter();
    log.push("a");
    log.gap();
    log.gap();
    log.push("b");
    log.gap();
    assert_eq!(log.drain(reader), "a ? b ?");
    // Those that lie among what was missed come together.
    log.gap();
    log.push_all(&["a", "b"]);
    log.gap();
    log.push_all(&["c", "d", "e", "f"]);
    assert_eq!(log.drain(reader), "!3 ? d e f");
}

#[test]
fn gaps_that_nobody_reads_are_bounded_as_messages_are() {
    let mut log = Tried::new(3, 100);
    let reader = log.log.enter();
    for _ in 0..1_000 {
        log.push("a");
        log.gap();
    }
    let kept = log.log.readers[reader].as_ref().map(|reader| reader.gaps.len());
    assert!(kept <= Some(5), "{kept:?} gaps are kept");
    assert_eq!(log.drain(reader), "!997 ? a ? a ? a ?");
}

#[test]
fn a_reader_that_has_ended_finds_nothing_more() {
    let mut log = Tried::new(3, 100);
    let (one, other) = (log.log.enter(), log.log.enter());
    log.push("a");
    log.log.end(one);
    assert!(log.log.has_ended(one));
    log.push("b");
    assert_eq!(log.drain(one), " end");
    assert_eq!(log.drain(other), "a b");
    log.log.leave(one);
    let next = log.log.enter();
    assert_eq!(next, one, "its place is taken again");
    log.push("c");
    assert_eq!(log.drain(next), "c");
}

#[test]
fn only_who_sleeps_is_woken_and_who_left_asleep_leaves_nothing() {
    #[derive(Default)]
    struct Count(Mutex<usize>);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut log = Tried::new(3, 100);
    let readers: Vec<_> = (0..4).map(|_| log.log.enter()).collect();
    let sleep = |log: &mut Tried, key| {
        let (found, _) = log.log.read(key, &Context::from_waker(&waker));
        assert!(found.is_pending());
    };
    sleep(&mut log, readers[0]);
    sleep(&mut log, readers[1]);
    sleep(&mut log, readers[1]);
    sleep(&mut log, readers[2]);
    // Others take over the places of those who leave.
    log.log.end(readers[0]);
    log.log.leave(readers[0]);
    assert_eq!(log.push("a"), 2);
    assert_eq!(log.push("b"), 0);
    assert_eq!(*count.0.lock().unwrap(), 2);
    for _ in 0..1_000 {
        let passing = log.log.enter();
        sleep(&mut log, passing);
        log.log.end(passing);
        log.log.leave(passing);
    }
    assert!(log.log.sleeping.is_empty() && log.log.readers.len() == 4);
    drop(waker);
}

#[derive(Clone, Debug)]
enum Step {
    Enter,
    Skip(usize),
    End(usize),
    Push(usize),
    Gap,
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Enter),
        1 => (0..8usize).prop_map(Step::Skip),
        1 => (0..8usize).prop_map(Step::End),
        6 => (3..6usize).prop_map(Step::Push),
        1 => Just(Step::Gap),
        6 => (0..8usize).prop_map(Step::Read),
    ]
}

/// A reader, as it is to be.
struct Model {
    key: usize,
    /// The number of the message that it is to find.
    next: usize,
    /// Up to which it has been counted as missing what it did not read.
    counted: usize,
    /// Before which messages it is to be told of a gap.
    gaps: BTreeSet<usize>,
}

proptest! {
    /// Whatever readers do, each gets every message that it did not miss or skip, in order, and each gap
    /// where it lies; what it missed is told and counted exactly; and nothing is kept that nobody is
    /// to read.
    #[test]
    fn messages_are_read_counted_or_missed_never_lost(steps in prop::collection::vec(step(), 0..200)) {
        let mut log = Tried::new(4, 12);
        let mut readers: Vec<Model> = Vec::new();
        let (mut pushed, mut missed) = (0, 0);
        for step in steps {
            match step {
                Step::Enter => {
                    let key = log.log.enter();
                    readers.push(Model { key, next: pushed, counted: pushed, gaps: BTreeSet::new() });
                }
                Step::Skip(at) if !readers.is_empty() => {
                    let at = at % readers.len();
                    let reader = &mut readers[at];
                    log.log.skip(reader.key);
                    *reader = Model { key: reader.key, next: pushed, counted: pushed, gaps: BTreeSet::new() };
                }
                Step::End(at) if !readers.is_empty() => {
                    let Model { key, .. } = readers.swap_remove(at % readers.len());
                    log.log.end(key);
                    log.log.leave(key);
                }
                Step::Push(size) => {
                    log.push(&format!("{pushed:0>size$}"));
                    pushed += 1;
                    let oldest = pushed - log.log.entries.len();
                    for reader in &mut readers {
                        missed += oldest.saturating_sub(reader.counted.max(reader.next));
                        reader.counted = reader.counted.max(oldest);
                    }
                }
                Step::Gap => {
                    log.gap();
                    for reader in &mut readers {
                        reader.gaps.insert(pushed);
                    }
                }
                Step::Read(at) if !readers.is_empty() => {
                    let at = at % readers.len();
                    let Model { key, next, gaps, .. } = &mut readers[at];
                    match log.log.read(*key, &Context::from_waker(Waker::noop())).0 {
                        Poll::Ready(Some(Found::Item(Item::Message { payload, .. }))) => {
                            let number: usize = String::from_utf8(payload.to_vec()).unwrap().parse().unwrap();
                            prop_assert_eq!(number, *next);
                            prop_assert!(!gaps.contains(next));
                            *next += 1;
                        }
                        Poll::Ready(Some(Found::Lagged(missed))) => {
                            prop_assert!(missed > 0);
                            *next += missed as usize;
                            // Those among what was missed come together, behind it.
                            let behind = gaps.split_off(next);
                            let among = !replace(gaps, behind).is_empty();
                            gaps.extend(among.then_some(*next));
                        }
                        Poll::Ready(Some(Found::Gap)) => prop_assert!(gaps.remove(next)),
                        Poll::Pending => {
                            prop_assert_eq!(*next, pushed);
                            prop_assert!(gaps.is_empty());
                        }
                        other => panic!("{other:?}"),
                    }
                }
                Step::Skip(_) | Step::End(_) | Step::Read(_) => {}
            }
            let oldest = readers.iter().map(|reader| reader.next).min().unwrap_or(pushed);
            let kept = log.log.entries.len();
            prop_assert!(kept <= 4 && log.log.bytes <= 12);
            prop_assert!(kept <= pushed - oldest, "what all have read is kept");
            prop_assert!(log.log.readers.iter().flatten().all(|reader| reader.gaps.len() <= 6));
            prop_assert_eq!(log.missed, missed as u64);
        }
    }
}
