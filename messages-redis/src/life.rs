use std::time::Duration;

use tokio::time::Instant;

use crate::RedisConfig;

/// When a silent connection is asked for a sign of life, and when it is given up.
#[derive(Debug)]
pub(crate) struct Life {
    ping: Duration,
    dead_after: Duration,
    heard: Instant,
    is_asked: bool,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    Death,
}

impl Life {
    pub(crate) fn new(config: &RedisConfig, now: Instant) -> Self {
        let (ping, dead_after) = (config.ping, config.dead_after);
        Self { ping, dead_after, heard: now, is_asked: false }
    }

    /// Something came in, whatever it was.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.is_asked = false;
    }

    /// When something is due.
    pub(crate) fn next(&self) -> Instant {
        let patience = if self.is_asked { self.dead_after } else { Duration::ZERO };
        self.heard + self.ping + patience
    }

    /// What is due by now. A ping is due once.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        if now < self.next() {
            Due::Nothing
        } else if self.is_asked {
            Due::Death
        } else {
            self.is_asked = true;
            Due::Ping
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_asked_about_once_and_then_is_death() {
        let config = RedisConfig::default();
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut life = Life::new(&config, begin);
        assert_eq!((life.next(), life.due(after(4))), (after(5), Due::Nothing));
        assert_eq!(life.due(after(5)), Due::Ping);
        assert_eq!((life.next(), life.due(after(9))), (after(10), Due::Nothing));
        life.hear(after(9));
        assert_eq!((life.next(), life.due(after(13))), (after(14), Due::Nothing));
        assert_eq!(life.due(after(14)), Due::Ping);
        assert_eq!(life.due(after(19)), Due::Death);
    }
}
