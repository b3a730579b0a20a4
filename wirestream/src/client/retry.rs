use std::time::Duration;

/// When a client tries again to connect, after an attempt that failed and is worth another
/// ([`ConnectErrorKind::is_retryable`](crate::ConnectErrorKind::is_retryable)). The calls that wait
/// for the connection go on waiting. And when a [streaming connection](crate::streaming) is opened
/// again.
///
/// The pauses have full jitter: each is chosen evenly between nothing and a bound, which doubles
/// from `base` up to `longest`. So clients that lost the same server do not come back all at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many attempts follow the first, before the calls are lost. None by default.
    pub attempts: u32,
    /// The bound of the first pause. 100 ms.
    pub base: Duration,
    /// The highest bound. 10 s.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    /// No attempt after the first: a call that cannot be connected fails at once.
    fn default() -> Self {
        Self { attempts: 0, base: Duration::from_millis(100), longest: Duration::from_secs(10) }
    }
}

impl RetryPolicy {
    /// The pause after so many failures (at least 1), for a `chance` between 0 and 1. `None` if
    /// that was the last attempt.
    pub(crate) fn pause(&self, failures: u32, chance: f64) -> Option<Duration> {
        if failures > self.attempts {
            return None;
        }
        let doublings = failures.saturating_sub(1).min(31);
        let bound = self.base.saturating_mul(1 << doublings).min(self.longest);
        Some(bound.mul_f64(chance.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end_after_the_last_attempt() {
        let longest = Duration::from_millis(350);
        let policy = RetryPolicy { attempts: 4, longest, ..RetryPolicy::default() };
        let bounds: Vec<_> = (1..=5).map(|failures| policy.pause(failures, 1.0)).collect();
        let millis = |n| Some(Duration::from_millis(n));
        assert_eq!(bounds, [millis(100), millis(200), millis(350), millis(350), None]);
    }

    #[test]
    fn a_pause_is_anything_between_nothing_and_its_bound() {
        let policy = RetryPolicy { attempts: u32::MAX, ..RetryPolicy::default() };
        assert_eq!(policy.pause(1, 0.0), Some(Duration::ZERO));
        assert_eq!(policy.pause(2, 0.5), Some(Duration::from_millis(100)));
        assert_eq!(policy.pause(u32::MAX, 1.0), Some(Duration::from_secs(10)));
    }

    #[test]
    fn the_default_does_not_try_again() {
        assert_eq!(RetryPolicy::default().pause(1, 0.5), None);
    }
}
