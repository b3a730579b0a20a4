//! Credit, in bytes: what a sender may still send, and what a receiver still holds.
//!
//! For a half and for a connection alike: window = available to the sender + on its way + held by
//! the receiver + owed by the receiver (R-CREDIT-8).

use crate::Violation;

/// The sender's side: what it may still send.
#[derive(Debug)]
pub(crate) struct SendCredit {
    available: i64,
    window: u32,
}

impl SendCredit {
    pub(crate) fn new(window: u32) -> Self {
        Self { available: window.into(), window }
    }

    /// The peer's `Hello` has come, and its window is larger than the floor (R-HELLO-6).
    pub(crate) fn raise(&mut self, window: u32) {
        self.available += i64::from(window.saturating_sub(self.window));
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
        self.available -= i64::from(cost);
    }

    /// What was taken for a message that never reached the wire. Never above the window: a peer may
    /// have granted what it was not sent.
    pub(crate) fn refund(&mut self, cost: u64) {
        let cost = i64::try_from(cost).unwrap_or(i64::MAX);
        self.available = self.available.saturating_add(cost).min(self.window.into());
    }

    /// R-CREDIT-4.
    pub(crate) fn grant(&mut self, amount: u32) -> Result<(), Violation> {
        let available = self.available + i64::from(amount);
        if amount == 0 || available > self.window.into() {
            return Err(Violation::Grant);
        }
        self.available = available;
        Ok(())
    }
}

/// The receiver's side: what it holds, and what it owes back.
#[derive(Debug)]
pub(crate) struct ReceiveCredit {
    window: u32,
    /// A grant is due once this much is owed.
    threshold: u32,
    held: u64,
    owed: u64,
}

impl ReceiveCredit {
    /// A half's: grants come at half a window (R-CREDIT-6).
    pub(crate) fn half(window: u32) -> Self {
        Self { window, threshold: window / 2, held: 0, owed: 0 }
    }

    /// A connection's: early enough that one largest message or request always gets its turn.
    pub(crate) fn connection(window: u32, largest: u32) -> Self {
        let threshold = (window / 2).min(window.saturating_sub(largest)).max(1);
        Self { window, threshold, held: 0, owed: 0 }
    }

    /// What the sender may believe to have, at most.
    pub(crate) fn available(&self) -> i64 {
        let used = self.held.saturating_add(self.owed);
        i64::from(self.window) - i64::try_from(used).unwrap_or(i64::MAX)
    }

    pub(crate) fn charge(&mut self, cost: u32) {
        self.held += u64::from(cost);
    }

    /// The application took what cost this much, or it was dropped (R-CREDIT-5).
    pub(crate) fn release(&mut self, cost: u64) {
        debug_assert!(cost <= self.held, "released more than is held");
        let cost = cost.min(self.held);
        self.held -= cost;
        self.owed += cost;
    }

    pub(crate) fn is_due(&self) -> bool {
        self.owed >= self.threshold.into()
    }

    /// The grant to send now (R-CREDIT-6: everything owed in one).
    pub(crate) fn take_grant(&mut self) -> u32 {
        let grant = u32::try_from(self.owed).unwrap_or(u32::MAX);
        self.owed -= u64::from(grant);
        grant
    }

    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    pub(crate) fn owed(&self) -> u64 {
        self.owed
    }
}
