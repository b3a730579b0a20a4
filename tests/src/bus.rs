//! A bus within the process, for servers that stand for those of a cluster. It drops, delays, fails
//! and tells gaps as a test likes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::Notify;
use wirestream::{BoxFuture, Bus, BusError, BusInbox};

/// What joins the buses of several servers. Clones are the same.
#[derive(Clone, Default)]
pub struct Cluster(Arc<Wire>);

#[derive(Default)]
struct Wire {
    state: Mutex<State>,
    /// Lets one subscription go on, while they are held back.
    confirm: Notify,
}

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    failure: Option<BusError>,
    drops: bool,
    /// Messages that are held back, while they are.
    held: Option<Vec<(String, Bytes)>>,
    confirms_slowly: bool,
    published: usize,
    /// How often each channel was subscribed to and given up, on all nodes.
    calls: BTreeMap<String, (usize, usize)>,
}

#[derive(Default)]
struct Node {
    inbox: Option<BusInbox>,
    /// What is wanted; whether it is subscribed.
    channels: BTreeMap<String, bool>,
}

impl Cluster {
    /// The bus of one more server.
    pub fn node(&self) -> impl Bus + use<> {
        let mut state = self.state();
        state.nodes.push(Node::default());
        TestBus { cluster: self.clone(), node: state.nodes.len() - 1 }
    }

    /// From now on everything fails, until the cluster is [back](Self::back).
    pub fn fail(&self, error: BusError) {
        let mut state = self.state();
        state.failure = Some(error);
        state
            .nodes
            .iter_mut()
            .flat_map(|node| node.channels.values_mut())
            .for_each(|on| *on = false);
    }

    /// It works again: what is wanted is subscribed, and the gap told.
    pub fn back(&self) {
        let mut state = self.state();
        state.failure = None;
        state
            .nodes
            .iter_mut()
            .flat_map(|node| node.channels.values_mut())
            .for_each(|on| *on = true);
        let inboxes = state.inboxes();
        drop(state);
        inboxes.iter().for_each(|inbox| inbox.gap(None));
    }

    /// Whether messages are lost on their way, without a word.
    pub fn drop_messages(&self, drops: bool) {
        self.state().drops = drops;
    }

    /// Holds messages back until they are [released](Self::release).
    pub fn hold(&self) {
        self.state().held.get_or_insert_default();
    }

    /// Lets go what was held back, in order.
    pub fn release(&self) {
        let held = self.state().held.take().unwrap_or_default();
        held.into_iter().for_each(|(channel, message)| self.deliver(&channel, &message));
    }

    /// Whether subscriptions wait to be [confirmed](Self::confirm_one).
    pub fn confirm_slowly(&self, slowly: bool) {
        self.state().confirms_slowly = slowly;
    }

    /// Confirms one subscription that waits, or the next that does.
    pub fn confirm_one(&self) {
        self.0.confirm.notify_one();
    }

    /// Tells all servers that something may be missing, on a channel or on all.
    pub fn gap(&self, channel: Option<&str>) {
        let inboxes = self.state().inboxes();
        inboxes.iter().for_each(|inbox| inbox.gap(channel));
    }

    /// Brings bytes to all who subscribe, as if another program had published them.
    pub fn inject(&self, channel: &str, bytes: &[u8]) {
        self.deliver(channel, &Bytes::copy_from_slice(bytes));
    }

    /// How many servers want a channel.
    pub fn wanted(&self, channel: &str) -> usize {
        self.state().nodes.iter().filter(|node| node.channels.contains_key(channel)).count()
    }

    /// How often a channel was subscribed to and given up, by all servers together.
    pub fn calls(&self, channel: &str) -> (usize, usize) {
        self.state().calls.get(channel).copied().unwrap_or_default()
    }

    /// How many messages were published.
    pub fn published(&self) -> usize {
        self.state().published
    }

    fn deliver(&self, channel: &str, message: &Bytes) {
        let inboxes: Vec<_> = {
            let state = self.state();
            let hears = |node: &&Node| node.channels.get(channel) == Some(&true);
            state.nodes.iter().filter(hears).filter_map(|node| node.inbox.clone()).collect()
        };
        inboxes.iter().for_each(|inbox| inbox.deliver(channel, message.clone()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic")
    }
}

impl State {
    fn inboxes(&self) -> Vec<BusInbox> {
        self.nodes.iter().filter_map(|node| node.inbox.clone()).collect()
    }
}

struct TestBus {
    cluster: Cluster,
    node: usize,
}

impl Bus for TestBus {
    fn start(&self, inbox: BusInbox) {
        let before = self.cluster.state().nodes[self.node].inbox.replace(inbox);
        assert!(before.is_none(), "a bus starts once");
    }

    fn publish(&self, channel: &str, message: Bytes) -> BoxFuture<Result<(), BusError>> {
        let mut state = self.cluster.state();
        if let Some(error) = state.failure.clone() {
            return Box::pin(async { Err(error) });
        }
        state.published += 1;
        let drops = state.drops;
        match &mut state.held {
            Some(held) => held.push((channel.into(), message)),
            None if drops => {}
            None => {
                drop(state);
                self.cluster.deliver(channel, &message);
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn subscribe(&self, channel: &str) -> BoxFuture<Result<(), BusError>> {
        let mut state = self.cluster.state();
        state.calls.entry(channel.into()).or_default().0 += 1;
        let (failure, slowly) = (state.failure.clone(), state.confirms_slowly);
        let on = failure.is_none();
        let before = state.nodes[self.node].channels.insert(channel.into(), on);
        assert_ne!(before, Some(true), "{channel} is subscribed to twice");
        drop(state);
        let cluster = self.cluster.clone();
        Box::pin(async move {
            if slowly {
                cluster.0.confirm.notified().await;
            }
            failure.map_or(Ok(()), Err)
        })
    }

    fn unsubscribe(&self, channel: &str) {
        let mut state = self.cluster.state();
        state.calls.entry(channel.into()).or_default().1 += 1;
        let before = state.nodes[self.node].channels.remove(channel);
        assert!(before.is_some(), "{channel} was not subscribed to");
    }
}

impl fmt::Debug for TestBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestBus {}", self.node)
    }
}
