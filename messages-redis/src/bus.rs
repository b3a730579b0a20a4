use std::fmt;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{join, ready};
use tokio::select;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use wirestream::{BoxFuture, Bus, BusError, BusInbox};

use crate::config::OVERHEAD;
use crate::connect::Dialer;
use crate::names::Names;
use crate::publisher::{Publish, Publisher};
use crate::state::State;
use crate::subscriber::{Listening, Subscriber};
use crate::{ConfigError, RedisConfig, RedisError, RedisStatus};

/// A message bus on Redis, for one server.
///
/// It begins to connect when it is made, and goes on trying until it is dropped, which ends its thread and
/// its two connections. It may be used from any executor.
pub struct RedisBus {
    dialer: Dialer,
    names: Names,
    queue: mpsc::UnboundedSender<Publish>,
    room: Arc<Semaphore>,
    status: RedisStatus,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl RedisBus {
    /// A bus on the Redis at a URL: `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS,
    /// `unix:///path` for a socket. It does not wait for a connection.
    ///
    /// # Errors
    /// The URL cannot be used, or there is no thread to be had.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        Self::with_config(url, RedisConfig::default())
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// The URL or a setting cannot be used, or there is no thread to be had.
    pub fn with_config(url: &str, config: RedisConfig) -> Result<Self, ConfigError> {
        let dialer = Dialer::new(url, config)?;
        let config = &dialer.config;
        let listening = Arc::new(Listening::new(config));
        let (queue, queued) = mpsc::unbounded_channel();
        let (publishing, publisher_state) = watch::channel(State::Connecting);
        let (subscribing, subscriber_state) = watch::channel(State::Connecting);
        let publisher = Publisher::new(dialer.clone(), queued, publishing);
        let subscriber = Subscriber::new(dialer.clone(), Arc::clone(&listening), subscribing);
        Ok(Self {
            names: Names::new(config),
            room: Arc::new(Semaphore::new(config.queue)),
            queue,
            status: RedisStatus { states: [publisher_state, subscriber_state], listening },
            _stop: spawn(publisher, subscriber)?,
            dialer,
        })
    }

    /// Resolves once Redis is there, or has turned out not to be: see [`RedisStatus::ready`].
    ///
    /// # Errors
    /// Why there is no connection. The bus goes on trying all the same.
    pub async fn ready(&self) -> Result<(), RedisError> {
        self.status.ready().await
    }

    /// How it stands with the bus, to be kept when the bus goes to its server.
    pub fn status(&self) -> RedisStatus {
        self.status.clone()
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.dialer.config.within
    }
}

/// Runs both on a thread of their own, until what is returned is dropped.
fn spawn(publisher: Publisher, subscriber: Subscriber) -> Result<oneshot::Sender<()>, ConfigError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| ConfigError::Thread(error.to_string().into()))?;
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        runtime.block_on(async {
            select! {
                _ = stopped => {}
                _ = join(publisher.run(), subscriber.run()) => {}
            }
        });
        // A lookup of a name may still be under way.
        runtime.shutdown_background();
    };
    let spawned = thread::Builder::new().name("wirestream-redis".into()).spawn(run);
    spawned.map_err(|error| ConfigError::Thread(error.to_string().into()))?;
    Ok(stop)
}

impl Bus for RedisBus {
    fn start(&self, inbox: BusInbox) {
        self.status.listening.start(inbox);
    }

    fn publish(&self, channel: &str, message: Bytes) -> BoxFuture<Result<(), BusError>> {
        let (size, limit) = (message.len(), self.dialer.config.message);
        if size > limit {
            return ready(Err(BusError::TooLarge { size, limit })).boxed();
        }
        let channel = self.names.full(channel);
        let cost = u32::try_from(size + channel.len() + OVERHEAD).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(cost) else {
            return ready(Err(BusError::Full)).boxed();
        };
        let (answer, answered) = oneshot::channel();
        let (deadline, answer) = (self.deadline(), Some(answer));
        let queued = self.queue.send(Publish { channel, message, deadline, answer, room });
        drop(queued); // if nobody takes it, nobody answers
        async { answered.await.unwrap_or(Err(BusError::Closed)) }.boxed()
    }

    fn subscribe(&self, channel: &str) -> BoxFuture<Result<(), BusError>> {
        let (answer, answered) = oneshot::channel();
        let deadline = self.deadline();
        self.status.listening.change(|book| book.want(channel, deadline, answer));
        async { answered.await.unwrap_or(Err(BusError::Closed)) }.boxed()
    }

    fn unsubscribe(&self, channel: &str) {
        self.status.listening.change(|book| book.unwant(channel));
    }
}

/// Says where Redis is, without the password.
impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = &self.dialer.config.namespace;
        let mut bus = f.debug_struct("RedisBus");
        bus.field("at", &self.dialer.address).field("namespace", namespace).finish_non_exhaustive()
    }
}
