use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wirestream::BusError;

/// Which channels are wanted, which of them Redis has confirmed, and who waits for that.
///
/// It knows neither a socket nor a clock. What it says is to be done is done elsewhere, and what came
/// of it is told to it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    channels: BTreeMap<Arc<str>, Entry>,
    /// The channels whose standing is not what is wanted.
    due: BTreeSet<Arc<str>>,
    /// When a waiter loses its patience, and where it waits.
    deadlines: BTreeSet<(Instant, Arc<str>)>,
    /// Whether Redis has ended a subscription that nobody had asked it to end.
    is_thrown_out: bool,
}

/// Tells a caller what has become of its subscription.
pub(crate) type Answer = oneshot::Sender<Result<(), BusError>>;

#[derive(Debug, Default)]
struct Entry {
    is_wanted: bool,
    standing: Standing,
    /// Whether something may have been missed that was not told yet.
    has_missed: bool,
    waiters: Vec<(Instant, Answer)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Out,
    Joining,
    In,
    Leaving,
    Refused,
}

/// What Redis is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Join(Arc<str>),
    Leave(Arc<str>),
}

impl Book {
    /// Somebody wants a channel.
    pub(crate) fn want(&mut self, channel: &str, deadline: Instant, answer: Answer) {
        let channel = self.name(channel);
        let entry = self.channels.entry(Arc::clone(&channel)).or_default();
        entry.is_wanted = true;
        match entry.standing {
            Standing::In => {
                // The caller may not care.
                let _ = answer.send(Ok(()));
                self.due.remove(&channel);
                return;
            }
            Standing::Out | Standing::Refused => {
                entry.standing = Standing::Out;
                self.due.insert(Arc::clone(&channel));
            }
            Standing::Joining | Standing::Leaving => {}
        }
        entry.waiters.push((deadline, answer));
        self.deadlines.insert((deadline, channel));
    }

    /// Nobody wants a channel any more.
    pub(crate) fn unwant(&mut self, channel: &str) {
        let channel = self.name(channel);
        let Some(entry) = self.channels.get_mut(&channel) else { return };
        entry.is_wanted = false;
        entry.has_missed = false;
        for (deadline, answer) in entry.waiters.drain(..) {
            self.deadlines.remove(&(deadline, Arc::clone(&channel)));
            let _ = answer.send(Err(BusError::Closed));
        }
        match entry.standing {
            Standing::In => drop(self.due.insert(channel)),
            Standing::Out | Standing::Refused => {
                self.due.remove(&channel);
                self.channels.remove(&channel);
            }
            Standing::Joining | Standing::Leaving => {}
        }
    }

    /// What Redis is to be asked next, at most so much.
    pub(crate) fn changes(&mut self, most: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        while changes.len() < most
            && let Some(channel) = self.due.pop_first()
        {
            let Some(entry) = self.channels.get_mut(&channel) else { continue };
            match (entry.is_wanted, entry.standing) {
                (true, Standing::Out) => {
                    entry.standing = Standing::Joining;
                    changes.push(Change::Join(channel));
                }
                (false, Standing::In) => {
                    entry.standing = Standing::Leaving;
                    changes.push(Change::Leave(channel));
                }
                _ => {}
            }
        }
        changes
    }

    /// Redis has confirmed a subscription. Whether a gap is to be told.
    pub(crate) fn joined(&mut self, channel: &str) -> bool {
        let channel = self.name(channel);
        let Some(entry) = self.channels.get_mut(&channel) else { return false };
        entry.standing = Standing::In;
        if !entry.is_wanted {
            self.due.insert(channel);
            return false;
        }
        for (deadline, answer) in entry.waiters.drain(..) {
            self.deadlines.remove(&(deadline, Arc::clone(&channel)));
            let _ = answer.send(Ok(()));
        }
        std::mem::take(&mut entry.has_missed)
    }

    /// A subscription is over.
    pub(crate) fn left(&mut self, channel: &str) {
        let channel = self.name(channel);
        let Some(entry) = self.channels.get_mut(&channel) else { return };
        match entry.standing {
            Standing::Leaving => self.be_out(&channel),
            Standing::In => self.is_thrown_out = true,
            Standing::Out | Standing::Joining | Standing::Refused => {}
        }
    }

    /// Whether Redis has ended a subscription by itself, as a cluster does that moves it elsewhere: the
    /// connection is of no more use.
    pub(crate) fn is_thrown_out(&self) -> bool {
        self.is_thrown_out
    }

    /// Redis has refused a change. It is not asked again before [`retry`](Self::retry), or before somebody
    /// wants the channel anew.
    pub(crate) fn refused(&mut self, change: &Change, error: &BusError) {
        match change {
            Change::Leave(channel) => self.be_out(channel),
            Change::Join(channel) => {
                self.be_out(channel);
                if let Some(entry) = self.channels.get_mut(channel) {
                    entry.standing = Standing::Refused;
                    self.due.remove(channel);
                    self.fail(channel, error);
                }
            }
        }
    }

    /// What was refused is due again.
    pub(crate) fn retry(&mut self) {
        for (channel, entry) in &mut self.channels {
            if entry.standing == Standing::Refused {
                entry.standing = Standing::Out;
                self.due.insert(Arc::clone(channel));
            }
        }
    }

    /// The connection is over, and with it all subscriptions.
    pub(crate) fn lost(&mut self) {
        self.is_thrown_out = false;
        for entry in self.channels.values_mut() {
            entry.has_missed |= entry.standing == Standing::In;
            entry.standing = Standing::Out;
        }
        self.channels.retain(|_, entry| entry.is_wanted);
        self.due = self.channels.keys().cloned().collect();
    }

    /// No waiter gets what it waits for.
    pub(crate) fn fail_all(&mut self, error: &BusError) {
        while let Some((_, channel)) = self.deadlines.pop_first() {
            self.fail(&channel, error);
        }
    }

    /// Fails those who have waited long enough.
    pub(crate) fn expire(&mut self, now: Instant, error: &BusError) {
        while let Some((deadline, channel)) = self.deadlines.first()
            && *deadline <= now
        {
            let channel = Arc::clone(channel);
            self.fail(&channel, error);
        }
    }

    /// When the next waiter loses its patience.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Fails the waiters of one channel. It stays wanted: they are told of a gap once it is there.
    fn fail(&mut self, channel: &Arc<str>, error: &BusError) {
        let Some(entry) = self.channels.get_mut(channel) else { return };
        entry.has_missed = true;
        for (deadline, answer) in entry.waiters.drain(..) {
            self.deadlines.remove(&(deadline, Arc::clone(channel)));
            let _ = answer.send(Err(error.clone()));
        }
    }

    fn be_out(&mut self, channel: &Arc<str>) {
        let Some(entry) = self.channels.get_mut(channel) else { return };
        entry.standing = Standing::Out;
        if entry.is_wanted {
            self.due.insert(Arc::clone(channel));
        } else {
            self.channels.remove(channel);
        }
    }

    /// The name as it is kept, if it is.
    fn name(&self, channel: &str) -> Arc<str> {
        match self.channels.get_key_value(channel) {
            Some((name, _)) => Arc::clone(name),
            None => channel.into(),
        }
    }
}

#[cfg(test)]
mod tests;
