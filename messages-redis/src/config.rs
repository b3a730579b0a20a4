use std::time::Duration;

use crate::ConfigError;
#[cfg(feature = "tls")]
use wirestream_websocket::ClientTls;

/// How a [`RedisBus`](crate::RedisBus) behaves.
///
/// ```
/// use std::time::Duration;
/// use wirestream_redis::RedisConfig;
///
/// let config = RedisConfig {
///     namespace: "shop".into(),
///     within: Duration::from_secs(2),
///     ..RedisConfig::default()
/// };
/// # drop(config);
/// ```
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// Comes before the name of each channel, with a colon: nodes hear of each other within one
    /// namespace alone. `wirestream`.
    pub namespace: String,
    /// How long it may take to publish a message or to confirm a subscription. 5 s.
    pub within: Duration,
    /// How long an attempt to connect may take, from the lookup of the name to the last answer of
    /// the handshake. 5 s.
    pub connect: Duration,
    /// How long a connection may be silent before it is asked for a sign of life. 5 s.
    pub ping: Duration,
    /// How long after that it is given up; so it is, whatever else arrives, if a subscription is not
    /// answered within both together. 5 s.
    pub dead_after: Duration,
    /// The bound of the first pause between attempts to connect. The pauses have full jitter: each
    /// is chosen evenly between nothing and a bound, which doubles. So nodes that lost the same Redis
    /// do not come back all at once. 100 ms.
    pub retry_base: Duration,
    /// The highest bound of such a pause. 10 s.
    pub retry_longest: Duration,
    /// How many bytes a message may have, in either direction: what is larger is not published,
    /// and what somebody else has published is passed over. 1 MiB.
    pub message: usize,
    /// How many bytes of messages may wait to be published, those included that Redis has not
    /// confirmed: who publishes more is told [`Full`](wirestream::BusError::Full). 8 MiB.
    pub queue: usize,
    /// Whether channels are sharded (`SSUBSCRIBE`, Redis 7): in a cluster a message then goes to one
    /// shard, where otherwise it goes to each of its nodes. A namespace is on one shard as a whole.
    pub sharded: bool,
    /// Whom to trust under a `rediss://` URL, and which certificate to show there. As the platform
    /// has it, unless there is something here.
    #[cfg(feature = "tls")]
    pub tls: Option<ClientTls>,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            namespace: "wirestream".into(),
            within: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            ping: Duration::from_secs(5),
            dead_after: Duration::from_secs(5),
            retry_base: Duration::from_millis(100),
            retry_longest: Duration::from_secs(10),
            message: 1024 * 1024,
            queue: 8 * 1024 * 1024,
            sharded: false,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// What a message costs in the queue beyond its bytes.
pub(crate) const OVERHEAD: usize = 256;

impl RedisConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let namespace = &self.namespace;
        if namespace.len() > 255 || namespace.contains(['{', '}']) {
            return Err(ConfigError::Namespace);
        }
        let times = [self.within, self.connect, self.ping, self.dead_after, self.retry_base];
        if times.contains(&Duration::ZERO) || self.retry_base > self.retry_longest {
            return Err(ConfigError::Times);
        }
        let largest = self.message.saturating_add(1024);
        if largest > self.queue || u32::try_from(self.queue).is_err() {
            return Err(ConfigError::Queue);
        }
        Ok(())
    }
}
