use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What messages have come to on a server, since it was built. See
/// [`Messages::counters`](crate::Messages::counters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageCounters {
    /// Messages that were posted here.
    pub posted: u64,
    /// Messages that the bus has brought, to whoever subscribes here.
    pub arrived: u64,
    /// Messages that a subscriber missed by falling behind, added up over all subscribers.
    pub missed: u64,
    /// Messages that a subscriber could not read: of another type, too large, or undecodable.
    pub unreadable: u64,
    /// What the bus has brought that is no message of a version that is known here.
    pub malformed: u64,
    /// Gaps that the bus told of.
    pub gaps: u64,
    /// Posts and subscriptions that the bus failed.
    pub bus_failures: u64,
    /// How many of these this server went on without: [`Outage::Local`](crate::Outage::Local).
    pub went_local: u64,
    /// Panics of listeners.
    pub listener_panics: u64,
    /// Channels that somebody subscribes to, at this time.
    pub channels: usize,
    /// Subscriptions, at this time.
    pub subscriptions: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) posted: AtomicU64,
    pub(super) arrived: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) unreadable: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) gaps: AtomicU64,
    pub(super) bus_failures: AtomicU64,
    pub(super) went_local: AtomicU64,
    pub(super) listener_panics: AtomicU64,
    pub(super) subscriptions: AtomicUsize,
}

impl Counters {
    pub(super) fn snapshot(&self, channels: usize) -> MessageCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MessageCounters {
            posted: read(&self.posted),
            arrived: read(&self.arrived),
            missed: read(&self.missed),
            unreadable: read(&self.unreadable),
            malformed: read(&self.malformed),
            gaps: read(&self.gaps),
            bus_failures: read(&self.bus_failures),
            went_local: read(&self.went_local),
            listener_panics: read(&self.listener_panics),
            channels,
            subscriptions: self.subscriptions.load(Ordering::Relaxed),
        }
    }
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
