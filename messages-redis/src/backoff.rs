use std::time::Duration;

use crate::RedisConfig;

/// The pauses between attempts to connect, with full jitter.
#[derive(Debug)]
pub(crate) struct Backoff {
    base: Duration,
    longest: Duration,
    bound: Duration,
}

impl Backoff {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        let (base, longest) = (config.retry_base, config.retry_longest);
        Self { base, longest, bound: base }
    }

    /// The next pause, for a `chance` between 0 and 1.
    pub(crate) fn pause(&mut self, chance: f64) -> Duration {
        let pause = self.bound.mul_f64(chance.clamp(0.0, 1.0));
        self.bound = self.bound.saturating_mul(2).min(self.longest);
        pause
    }

    /// A connection lasted so long. One that was over at once is as good as none: a server that takes
    /// connections and drops them is not to be tried at full speed.
    pub(crate) fn lasted(&mut self, time: Duration) {
        if time >= self.longest {
            self.bound = self.base;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_until_a_connection_has_lasted() {
        let [base, longest] = [100, 350].map(Duration::from_millis);
        let config = RedisConfig { retry_base: base, retry_longest: longest, ..Default::default() };
        let mut backoff = Backoff::new(&config);
        let bounds = [(); 4].map(|()| backoff.pause(1.0).as_millis());
        assert_eq!(bounds, [100, 200, 350, 350]);
        assert_eq!(backoff.pause(0.0), Duration::ZERO);
        assert_eq!(backoff.pause(0.5), longest / 2);
        backoff.lasted(longest - Duration::from_millis(1));
        assert_eq!(backoff.pause(1.0), longest);
        backoff.lasted(longest);
        assert_eq!(backoff.pause(1.0), base);
    }
}
