//! A bus that is slow, and fails, and those who post and listen on several servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select;
use futures_util::stream::StreamExt;
use serde::{Deserialize, Serialize};
use wirestream::{BoxFuture, Bus, BusError, BusInbox, MessageError, Server};
use wirestream_sim::World;

use crate::oracle::Oracle;

/// What joins the servers. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    world: World,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    members: Vec<Member>,
}

/// A server's part.
#[derive(Debug)]
struct Member {
    inbox: Option<BusInbox>,
    wanted: BTreeSet<String>,
    is_away: bool,
    /// How many connections it has had: what is on its way is lost with one.
    connection: u64,
    /// When the last of what is on its way arrives: nothing overtakes.
    last: wirestream::Time,
}

/// One server's connection to the hub.
#[derive(Debug)]
struct OneBus {
    hub: Hub,
    member: usize,
}

impl Hub {
    pub(crate) fn new(world: &World) -> Self {
        Self { world: world.clone(), state: Arc::default() }
    }

    pub(crate) fn bus(&self) -> impl Bus + use<> {
        let mut state = self.state();
        let member = state.members.len();
        let (wanted, last) = (BTreeSet::new(), self.world.now());
        state.members.push(Member { inbox: None, wanted, is_away: false, connection: 0, last });
        OneBus { hub: self.clone(), member }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no oracle has failed")
    }

    /// A member loses its connection for a time: what is posted meanwhile does not reach it, and
    /// once it is back it is told of a gap.
    pub(crate) async fn restart(&self) {
        let member = {
            let mut state = self.state();
            let member = self.world.chance(state.members.len() as u64) as usize;
            let Some(it) = state.members.get_mut(member) else { return };
            it.is_away = true;
            it.connection += 1;
            member
        };
        self.world.sleep(Duration::from_millis(self.world.chance(3_000))).await;
        let inbox = {
            let mut state = self.state();
            state.members[member].is_away = false;
            state.members[member].inbox.clone()
        };
        inbox.into_iter().for_each(|inbox| inbox.gap(None));
    }

    /// What is subscribed to, by whomever.
    pub(crate) fn wanted(&self) -> BTreeSet<String> {
        self.state().members.iter().flat_map(|member| member.wanted.clone()).collect()
    }

    fn delay(&self) -> Duration {
        Duration::from_micros(self.world.chance(3_000))
    }
}

impl Bus for OneBus {
    fn start(&self, inbox: BusInbox) {
        self.hub.state().members[self.member].inbox = Some(inbox);
    }

    fn publish(&self, channel: &str, message: Bytes) -> BoxFuture<Result<(), BusError>> {
        let mut state = self.hub.state();
        if state.members[self.member].is_away {
            return Box::pin(async { Err(BusError::Unavailable { detail: "away".into() }) });
        }
        let now = self.hub.world.now();
        for (number, member) in state.members.iter_mut().enumerate() {
            if member.is_away || !member.wanted.contains(channel) {
                continue;
            }
            let due = (now + self.hub.delay()).max(member.last + Duration::from_nanos(1));
            member.last = due;
            let connection = member.connection;
            let (hub, channel, message) = (self.hub.clone(), channel.to_owned(), message.clone());
            self.hub.world.spawn(async move {
                hub.world.sleep(due.since(now)).await;
                let inbox = {
                    let state = hub.state();
                    let member = &state.members[number];
                    member.inbox.clone().filter(|_| member.connection == connection)
                };
                inbox.into_iter().for_each(|inbox| inbox.deliver(&channel, message.clone()));
            });
        }
        Box::pin(async { Ok(()) })
    }

    fn subscribe(&self, channel: &str) -> BoxFuture<Result<(), BusError>> {
        let is_away = {
            let mut state = self.hub.state();
            let member = &mut state.members[self.member];
            member.wanted.insert(channel.to_owned());
            member.is_away
        };
        let hub = self.hub.clone();
        Box::pin(async move {
            hub.world.sleep(hub.delay()).await;
            match is_away {
                true => Err(BusError::Unavailable { detail: "away".into() }),
                false => Ok(()),
            }
        })
    }

    fn unsubscribe(&self, channel: &str) {
        self.hub.state().members[self.member].wanted.remove(channel);
    }
}

/// A message, which says who posted it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Posted {
    poster: u64,
    number: u64,
}

const CHANNELS: [&str; 3] = ["north", "south", "west"];

/// Posts on one channel, in order.
pub(crate) async fn post(world: World, oracle: Oracle, server: Server, poster: u64, count: u64) {
    let channel = CHANNELS[world.chance(3) as usize];
    for number in 0..count {
        let post = server.messages().post(channel, &Posted { poster, number });
        let is_confirmed = match world.chance(2) {
            0 => post.await.is_ok(),
            _ => false, // nobody looks
        };
        oracle.posted(poster, number, is_confirmed);
        world.sleep(Duration::from_millis(world.chance(40))).await;
    }
}

/// Listens for a time: of each poster everything comes in order, each once; and where something is
/// missing, that was told.
pub(crate) async fn listen(world: World, oracle: Oracle, server: Server) {
    let _live = oracle.live();
    let channel = CHANNELS[world.chance(3) as usize];
    let Ok(mut subscription) = server.messages().subscribe::<Posted>(channel).await else { return };
    let mut end = Box::pin(world.sleep(Duration::from_millis(world.chance(20_000))));
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    let mut is_told = BTreeSet::new();
    loop {
        let item = match select(subscription.next(), end).await {
            futures_util::future::Either::Left((item, later)) => {
                end = later;
                item
            }
            futures_util::future::Either::Right(_) => return,
        };
        match item.expect("a subscription outside of a session does not end") {
            Ok(Posted { poster, number }) => {
                let expected = next.get(&poster).copied().unwrap_or(number);
                assert!(number >= expected, "{number} of {poster} came twice, or late");
                // A poster whose server is away loses what it posts, and is told so itself.
                if !is_told.remove(&poster) {
                    for missing in expected..number {
                        oracle.missed(poster, missing);
                    }
                }
                next.insert(poster, number + 1);
            }
            Err(MessageError::Gap | MessageError::Lagged(_)) => {
                oracle.gap();
                is_told.extend(next.keys().copied());
            }
            Err(error) => panic!("{error}"),
        }
        if world.chance(10) == 0 {
            world.sleep(Duration::from_millis(world.chance(500))).await;
        }
    }
}
