//! Where the messages of a server meet: its channels, who reads them, and what the bus is to carry.
//!
//! A channel has two logs. Who subscribes to all servers reads the wide one, who subscribes to this
//! server alone the near one. What is posted here goes to both, what the bus brings to the wide one.
//!
//! Locks are taken in this order: the channels, one channel. Neither is held while user code runs,
//! that of a bus included, nor while anybody is woken.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::mem::{replace, take};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Shared;
use wirestream_protocol::Limits;

use super::bus::{Arrival, Bus, BusError, BusInbox};
use super::config::MessageConfig;
use super::counters::{Counters, MessageCounters, count};
use super::envelope;
use super::error::ChannelError;
use super::log::{Found, Item, Log, Pushed};
use crate::codec::DecodeLimits;
use crate::transport::BoxFuture;
use crate::waiters::{Waiter, Waiters};

pub(crate) struct Hub {
    pub(super) config: MessageConfig,
    pub(super) decode_limits: DecodeLimits,
    bus: Option<Arc<dyn Bus>>,
    channels: RwLock<HashMap<Box<str>, Arc<Channel>>>,
    pub(super) counters: Counters,
}

/// A channel that somebody reads, or that the bus is just told to forget.
struct Channel {
    name: Box<str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    near: Log,
    wide: Log,
    line: Line,
    /// How many wait for the bus to confirm. They may have ended their reading since.
    asking: usize,
}

/// How a channel stands with the bus, which is called about it by one at a time: it is asked to
/// subscribe only while somebody reads the wide log, and to forget the channel while nobody does
/// and whoever comes waits.
#[derive(Default)]
enum Line {
    /// Not wanted.
    #[default]
    Off,
    /// Wanted, and not confirmed yet.
    Asking(Asking),
    On,
    /// Wanted; the bus has failed to confirm it.
    Failed,
    /// Wanted no more: the bus is being told, and these wait to want it again.
    Leaving(Waiters),
}

type Asking = Shared<BoxFuture<Result<(), BusError>>>;

/// Which of a channel's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Near,
    Wide,
}

impl Hub {
    pub(crate) fn new(
        config: MessageConfig,
        limits: &Limits,
        bus: Option<Arc<dyn Bus>>,
    ) -> Arc<Self> {
        let (channels, counters) = (RwLock::default(), Counters::default());
        Arc::new(Self { config, decode_limits: limits.into(), bus, channels, counters })
    }

    /// Has the bus begin, if there is one. What comes on Wirestream's own channels, and every
    /// gap, goes to `reserved`.
    pub(crate) fn start(self: &Arc<Self>, reserved: impl Fn(Arrival<'_>) + Send + Sync + 'static) {
        let Some(bus) = &self.bus else { return };
        let hub = Arc::downgrade(self);
        bus.start(BusInbox::new(move |arrival| {
            let Some(hub) = hub.upgrade() else { return };
            match &arrival {
                Arrival::Message { channel, .. } if channel.starts_with('$') => reserved(arrival),
                Arrival::Message { .. } => hub.arrive(arrival),
                Arrival::Gap { .. } => {
                    reserved(arrival.clone());
                    hub.arrive(arrival);
                }
            }
        }));
    }

    pub(crate) fn bus(&self) -> Option<&Arc<dyn Bus>> {
        self.bus.as_ref()
    }

    pub(crate) fn count_malformed(&self) {
        count(&self.counters.malformed);
    }

    pub(super) fn counters(&self) -> MessageCounters {
        self.counters.snapshot(self.channels().len())
    }

    /// Whether applications may use a channel of this name (R-BUS-4).
    pub(super) fn check(&self, channel: &str) -> Result<(), ChannelError> {
        let (size, limit) = (channel.len(), self.config.channel);
        match channel.chars().next() {
            None => Err(ChannelError::Empty),
            Some(_) if size > limit => Err(ChannelError::TooLong { size, limit }),
            Some('$') => Err(ChannelError::Reserved),
            Some(_) => Ok(()),
        }
    }

    /// Whether anybody on this server would read what is posted here.
    pub(super) fn is_read(&self, channel: &str) -> bool {
        self.find(channel).is_some()
    }

    /// Gives a message to who reads it on this server.
    pub(super) fn post(&self, channel: &str, item: &Item) {
        let Some(channel) = self.find(channel) else { return };
        let mut pushed = Pushed::default();
        let mut state = channel.state();
        state.near.push(item, &self.config, &mut pushed);
        state.wide.push(item, &self.config, &mut pushed);
        drop(state);
        self.pushed(pushed);
    }

    /// The bus has brought something.
    fn arrive(&self, arrival: Arrival<'_>) {
        match arrival {
            Arrival::Message { channel, message } => self.deliver(channel, &message),
            Arrival::Gap { channel: Some(channel) } => {
                count(&self.counters.gaps);
                self.find(channel).into_iter().for_each(|channel| self.gap(&channel));
            }
            Arrival::Gap { channel: None } => {
                count(&self.counters.gaps);
                let mut all: Vec<_> = self.channels().values().cloned().collect();
                // In an order that a simulated run can repeat.
                all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                all.iter().for_each(|channel| self.gap(channel));
            }
        }
    }

    fn deliver(&self, channel: &str, sealed: &Bytes) {
        let Some(channel) = self.find(channel) else { return };
        let Some((fingerprint, payload)) = envelope::open(sealed) else {
            return self.count_malformed();
        };
        let item = match payload.len() {
            size if size > self.config.message => Item::TooLarge { size },
            // Copied out of whatever else the bus has received with it.
            _ => Item::Message { fingerprint, payload: payload.into() },
        };
        count(&self.counters.arrived);
        let mut pushed = Pushed::default();
        channel.state().wide.push(&item, &self.config, &mut pushed);
        self.pushed(pushed);
    }

    fn gap(&self, channel: &Channel) {
        let mut pushed = Pushed::default();
        channel.state().wide.gap(&mut pushed);
        self.pushed(pushed);
    }

    fn pushed(&self, pushed: Pushed) {
        if pushed.missed > 0 {
            self.counters.missed.fetch_add(pushed.missed, Ordering::Relaxed);
        }
        pushed.wakers.into_iter().for_each(Waker::wake);
    }

    /// A new reader of a channel.
    pub(super) fn enter(self: &Arc<Self>, channel: &str, reach: Reach) -> Seat {
        let mut channels = self.channels_mut();
        let channel = match channels.get(channel) {
            Some(channel) => Arc::clone(channel),
            None => {
                let name: Box<str> = channel.into();
                let channel = Arc::new(Channel { name: name.clone(), state: Mutex::default() });
                channels.insert(name, Arc::clone(&channel));
                channel
            }
        };
        let key = channel.state().log(reach).enter();
        drop(channels);
        self.counters.subscriptions.fetch_add(1, Ordering::Relaxed);
        Seat { hub: Arc::clone(self), channel, reach, key }
    }

    fn find(&self, channel: &str) -> Option<Arc<Channel>> {
        self.channels().get(channel).cloned()
    }

    fn channels(&self) -> RwLockReadGuard<'_, HashMap<Box<str>, Arc<Channel>>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn channels_mut(&self) -> RwLockWriteGuard<'_, HashMap<Box<str>, Arc<Channel>>> {
        self.channels.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn log(&mut self, reach: Reach) -> &mut Log {
        match reach {
            Reach::Near => &mut self.near,
            Reach::Wide => &mut self.wide,
        }
    }

    /// Whether nobody needs it any more.
    fn is_over(&self) -> bool {
        self.near.is_unread() && self.is_unwanted() && matches!(self.line, Line::Off)
    }

    /// Whether nobody needs the bus for it.
    fn is_unwanted(&self) -> bool {
        self.wide.is_unread() && self.asking == 0
    }

    /// How it stood with the bus, if that is to forget the channel now.
    fn begin_to_leave(&mut self) -> Option<Line> {
        let is_known = match &self.line {
            Line::Off | Line::Leaving(_) => false,
            Line::Asking(_) | Line::On | Line::Failed => true,
        };
        let leaves = is_known && self.is_unwanted();
        leaves.then(|| replace(&mut self.line, Line::Leaving(Waiters::default())))
    }
}

/// A reader's place at a channel, given up when it is dropped.
pub(crate) struct Seat {
    hub: Arc<Hub>,
    channel: Arc<Channel>,
    reach: Reach,
    key: usize,
}

impl Seat {
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(super) fn channel(&self) -> &str {
        &self.channel.name
    }

    /// What comes next, or `None` once its reading has ended.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Found>> {
        let (found, replaced) = self.channel.state().log(self.reach).read(self.key, cx);
        drop(replaced); // no lock is held any more
        found
    }

    /// Resolves once the bus has confirmed that it brings the channel, or the reading has ended.
    /// Cancel-safe.
    pub(super) async fn confirmed(&self, bus: &Arc<dyn Bus>) -> Result<(), BusError> {
        let Some(_asks) = Asks::new(self) else { return Ok(()) };
        let mut waiter = Waiter::default();
        let Some(asking) = poll_fn(|cx| self.poll_ask(bus, &mut waiter, cx)).await else {
            return Ok(());
        };
        let confirmed = asking.clone().await;
        let mut state = self.channel.state();
        let is_current = matches!(&state.line, Line::Asking(current) if current.ptr_eq(&asking));
        let line = if confirmed.is_ok() { Line::On } else { Line::Failed };
        let before = is_current.then(|| replace(&mut state.line, line));
        if confirmed.is_ok() {
            // What has come so far may be the last of an earlier subscription, with more missing
            // behind it.
            state.log(self.reach).skip(self.key);
        }
        drop(state);
        drop(before); // perhaps the last handle of the bus's own future
        confirmed
    }

    /// What to wait for; nothing, if it is confirmed.
    fn poll_ask(
        &self,
        bus: &Arc<dyn Bus>,
        waiter: &mut Waiter,
        cx: &Context<'_>,
    ) -> Poll<Option<Asking>> {
        let mut state = self.channel.state();
        match &mut state.line {
            Line::On => Poll::Ready(None),
            Line::Asking(asking) => Poll::Ready(Some(asking.clone())),
            Line::Off | Line::Failed => {
                let asking = ask(Arc::clone(bus), self.channel.name.clone());
                state.line = Line::Asking(asking.clone());
                Poll::Ready(Some(asking))
            }
            Line::Leaving(waiting) => {
                let replaced = waiting.add(waiter, cx);
                drop(state);
                drop(replaced);
                Poll::Pending
            }
        }
    }

    /// Ends the reading: nothing comes any more.
    pub(crate) fn end(&self) {
        let mut state = self.channel.state();
        if state.log(self.reach).has_ended(self.key) {
            return;
        }
        let waker = state.log(self.reach).end(self.key);
        drop(state);
        self.hub.counters.subscriptions.fetch_sub(1, Ordering::Relaxed);
        self.settle();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Has the bus forget the channel, and forgets it, if nobody needs it any more.
    fn settle(&self) {
        if let Some(before) = self.remove_if_over(State::begin_to_leave) {
            let _leaves = Leaves(self);
            drop(before); // perhaps the last handle of the bus's own future
            if let Some(bus) = &self.hub.bus {
                bus.unsubscribe(&self.channel.name);
            }
        }
    }

    /// Changes the channel's state, and takes it out if it is over.
    fn remove_if_over<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut channels = self.hub.channels_mut();
        let mut state = self.channel.state();
        let result = change(&mut state);
        // Another of the same name may have taken its place.
        let is_over = state.is_over()
            && channels
                .get(&self.channel.name)
                .is_some_and(|there| Arc::ptr_eq(there, &self.channel));
        drop(state);
        let removed = is_over.then(|| channels.remove(&self.channel.name));
        drop(channels);
        drop(removed);
        result
    }
}

/// One who waits for the bus to confirm: as long as it does, the bus is not told to forget the
/// channel.
struct Asks<'a>(&'a Seat);

impl<'a> Asks<'a> {
    /// `None` if the reading has ended.
    fn new(seat: &'a Seat) -> Option<Self> {
        let mut state = seat.channel.state();
        if state.log(seat.reach).has_ended(seat.key) {
            return None;
        }
        state.asking += 1;
        Some(Self(seat))
    }
}

impl Drop for Asks<'_> {
    fn drop(&mut self) {
        let mut state = self.0.channel.state();
        state.asking -= 1;
        let is_unwanted = state.is_unwanted();
        drop(state);
        if is_unwanted {
            self.0.settle();
        }
    }
}

/// The bus is being told to forget the channel: once that is done, and if it panics, whoever waits
/// to want the channel again goes on.
struct Leaves<'a>(&'a Seat);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        if let Line::Leaving(mut waiting) = self.0.remove_if_over(|state| take(&mut state.line)) {
            waiting.take().for_each(Waker::wake);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.end();
        self.channel.state().log(self.reach).leave(self.key);
    }
}

/// Asks the bus once the future is polled, with no lock held.
fn ask(bus: Arc<dyn Bus>, channel: Box<str>) -> Asking {
    let asking: BoxFuture<_> = Box::pin(async move { bus.subscribe(&channel).await });
    asking.shared()
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seat").field(&self.channel.name).finish()
    }
}
