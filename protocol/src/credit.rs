//! Credit, in bytes: what a sender may still send, and what a receiver still holds.
//!
//! For a half and for a connection alike: window = available to the sender + on its way + held by
//! the receiver + owed by the receiver (R-CREDIT-8).

#![warn(clippy::arithmetic_side_effects)] // the numbers are the peer's

#[cfg(test)]
mod tests;

use crate::Violation;
use crate::limits::WINDOW_CEILING;

/// Bytes of credit that are worth a grant, however large the window: a sender that is as fast as its
/// receiver should not come to its window's end before the grant comes.
const WORTH_GRANTING: u32 = 64 * 1024;

/// The sender's side: what it may still send.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct SendCredit {
    available: i64,
    /// What it was at first.
    window: u32,
    /// Whether grants may lift it above that.
    grows: bool,
}

impl SendCredit {
    /// A half's, whose window may grow.
    pub(crate) fn half(window: u32) -> Self {
        Self { available: window.into(), window, grows: true }
    }

    /// A connection's.
    pub(crate) fn connection(window: u32) -> Self {
        Self { available: window.into(), window, grows: false }
    }

    /// The peer's `Hello` has come, and its window is larger than the floor (R-HELLO-6).
    pub(crate) fn raise(&mut self, window: u32) {
        let more = window.saturating_sub(self.window);
        self.available = self.available.saturating_add(more.into());
        self.window = self.window.max(window);
    }

    pub(crate) fn available(&self) -> i64 {
        self.available
    }

    /// R-CREDIT-3: the whole of it at once.
    pub(crate) fn covers(&self, cost: u32) -> bool {
        self.available >= cost.into()
    }

    pub(crate) fn take(&mut self, cost: u32) {
        self.available = self.available.saturating_sub(cost.into());
    }

    /// What was taken for a message that never reached the wire. Never above the window: a peer may
    /// have granted what it was not sent.
    pub(crate) fn refund(&mut self, cost: u64) {
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        self.available = self.available.saturating_add(cost).min(self.window.into());
    }

    /// R-CREDIT-4.
    pub(crate) fn grant(&mut self, amount: u32) -> Result<(), Violation> {
        let available = self.available.saturating_add(amount.into());
        let most = if self.grows { WINDOW_CEILING } else { self.window };
        if amount == 0 || available > most.into() {
            return Err(Violation::Grant);
        }
        self.available = available;
        Ok(())
    }
}

/// The receiver's side: what it holds, and what it owes back.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct ReceiveCredit {
    window: u32,
    /// What may be held and owed together before a grant is due, whatever is owed.
    slack: u32,
    held: u64,
    owed: u64,
}

impl ReceiveCredit {
    /// A half's.
    pub(crate) fn half(window: u32) -> Self {
        Self { window, slack: u32::MAX, held: 0, owed: 0 }
    }

    /// A connection's: its grants come early enough that one largest message or request gets its
    /// turn as soon as there is room for it.
    pub(crate) fn connection(window: u32, largest: u32) -> Self {
        Self { window, slack: window.saturating_sub(largest), held: 0, owed: 0 }
    }

    /// What the window is now.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// Makes the window larger; the sender learns it with the next grant (R-CREDIT-9).
    pub(crate) fn grow(&mut self, by: u32) {
        self.window = self.window.saturating_add(by);
        self.owed = self.owed.saturating_add(by.into());
    }

    /// What the sender may believe to have, at most.
    pub(crate) fn available(&self) -> i64 {
        let used = self.held.saturating_add(self.owed);
        i64::from(self.window).saturating_sub_unsigned(used)
    }

    pub(crate) fn charge(&mut self, cost: u64) {
        self.held = self.held.saturating_add(cost);
    }

    /// The application took what cost this much, or it was dropped (R-CREDIT-5).
    pub(crate) fn release(&mut self, cost: u64) {
        debug_assert!(cost <= self.held, "released more than is held");
        let cost = cost.min(self.held);
        self.held = self.held.saturating_sub(cost);
        self.owed = self.owed.saturating_add(cost);
    }

    /// R-CREDIT-6: at half a window, and before if that is much; or, while anything is owed, once what
    /// the sender may believe to have is not enough for the largest message.
    pub(crate) fn is_due(&self) -> bool {
        let used = self.held.saturating_add(self.owed);
        let crowded = self.owed > 0 && used > self.slack.into();
        self.owed >= u64::from((self.window / 2).min(WORTH_GRANTING)) || crowded
    }

    /// The grant to send now (R-CREDIT-6: everything owed in one).
    pub(crate) fn take_grant(&mut self) -> u32 {
        let grant = u32::try_from(self.owed).unwrap_or(u32::MAX);
        self.owed = self.owed.saturating_sub(grant.into());
        grant
    }

    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    pub(crate) fn owed(&self) -> u64 {
        self.owed
    }
}
