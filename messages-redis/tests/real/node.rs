//! A bus with what it hands in, and waits that are bounded.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use wirestream::{Arrival, Bus, BusError, BusInbox};
use wirestream_redis::{RedisBus, RedisConfig};

/// Longer than anything here takes, on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// Awaits `future`, or fails the test.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(LONG, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen within {LONG:?}"),
    }
}

/// Waits until `condition` holds, or fails the test.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, waiting).await;
}

/// Waits long for Redis, and comes back soon.
pub fn patient() -> RedisConfig {
    RedisConfig { within: LONG, retry_longest: Duration::from_millis(100), ..Default::default() }
}

/// Notices soon that Redis hangs.
pub fn hasty() -> RedisConfig {
    let soon = Duration::from_millis(200);
    RedisConfig { within: 2 * soon, connect: soon, ping: soon, dead_after: soon, ..patient() }
}

/// What a bus has handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    Message(String, Bytes),
    Gap(String),
}

pub fn message(channel: &str, message: &str) -> Arrived {
    Arrived::Message(channel.into(), Bytes::copy_from_slice(message.as_bytes()))
}

pub fn gap(channel: &str) -> Arrived {
    Arrived::Gap(channel.into())
}

/// A bus, as a server has it.
pub struct Node {
    pub bus: RedisBus,
    arrivals: mpsc::UnboundedReceiver<Arrived>,
}

impl Node {
    pub fn new(url: &str, config: RedisConfig) -> Self {
        let bus = RedisBus::with_config(url, config).expect("settings that can be used");
        let (arrive, arrivals) = mpsc::unbounded_channel();
        bus.start(BusInbox::new(move |arrival| {
            let arrived = match arrival {
                Arrival::Message { channel, message } => Arrived::Message(channel.into(), message),
                Arrival::Gap { channel } => Arrived::Gap(channel.unwrap_or("every one").into()),
                other => panic!("{other:?}"),
            };
            // The test may have seen enough.
            let _ = arrive.send(arrived);
        }));
        Self { bus, arrivals }
    }

    pub async fn publish(&self, channel: &str, message: &str) -> Result<(), BusError> {
        let message = Bytes::copy_from_slice(message.as_bytes());
        soon("an answer to a message", self.bus.publish(channel, message)).await
    }

    pub async fn subscribe(&self, channel: &str) -> Result<(), BusError> {
        soon("an answer to a subscription", self.bus.subscribe(channel)).await
    }

    pub async fn next(&mut self) -> Arrived {
        soon("an arrival", self.arrivals.recv()).await.expect("a bus")
    }

    /// Whether nothing has arrived that was not looked at.
    pub fn is_quiet(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// Publishes until this node itself hears it: there may be a while without Redis. What arrived
    /// until then.
    pub async fn hear_again(&mut self, channel: &str) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        let hearing = async {
            for number in 0.. {
                let text = format!("attempt {number}");
                let _ = self.publish(channel, &text).await;
                let waiting = Duration::from_millis(50);
                while let Ok(next) = tokio::time::timeout(waiting, self.next()).await {
                    if next == message(channel, &text) {
                        return;
                    }
                    arrived.push(next);
                }
            }
        };
        soon("a message", hearing).await;
        arrived.retain(|arrived| !is_attempt(arrived));
        arrived
    }
}

fn is_attempt(arrived: &Arrived) -> bool {
    matches!(arrived, Arrived::Message(_, text) if text.starts_with(b"attempt "))
}

/// Publishes as often as it takes until Redis has confirmed it.
pub async fn until_published(node: &Node, channel: &str, text: &str) {
    let publishing = async {
        while node.publish(channel, text).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("a message that is taken", publishing).await;
}
