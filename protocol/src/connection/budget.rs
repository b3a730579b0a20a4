#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::Time;

/// How many seconds' worth may be used at once.
const BURST: u32 = 10;

/// How often the peer may do what costs it next to nothing (R-FLOOD-1, R-FLOOD-2): so many times a
/// second, and [`BURST`] seconds' worth at once. Time is looked at only when that is used up.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Budget {
    left: u32,
    per_second: u32,
    /// Up to when what time earns is in `left`.
    earned: Time,
}

impl Budget {
    pub(super) fn new(per_second: u32, now: Time) -> Self {
        Self { left: per_second.saturating_mul(BURST), per_second, earned: now }
    }

    /// Uses one. Whether there was one.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let there_is = !self.is_spent(now);
        self.left = self.left.saturating_sub(1);
        there_is
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&mut self, now: Time) -> bool {
        if self.left == 0 {
            self.earn(now);
        }
        self.left == 0
    }

    /// Adds what something else has earned.
    pub(super) fn add(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.most());
    }

    #[cold]
    fn earn(&mut self, now: Time) {
        let rate = u128::from(self.per_second);
        let earned = now.since(self.earned).as_micros().saturating_mul(rate) / 1_000_000;
        match u32::try_from(earned) {
            Ok(earned) if earned < self.most() => {
                self.left = earned;
                // What is left of a second is for the next one.
                self.earned =
                    self.earned + Duration::from_secs(earned.into()) / self.per_second.max(1);
            }
            _ => {
                self.left = self.most();
                self.earned = now;
            }
        }
    }

    fn most(&self) -> u32 {
        self.per_second.saturating_mul(BURST)
    }
}
