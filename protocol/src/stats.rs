use crate::Outcome;

/// What a connection has done so far. Plain counters that only grow; kept when it is over.
///
/// `calls_begun` is the sum of the five outcomes and of the calls that are not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets that came.
    pub packets_in: u64,
    /// Packets that were given to the driver to send.
    pub packets_out: u64,
    /// Bytes of the packets that came.
    pub bytes_in: u64,
    /// Bytes of the packets that were given to the driver.
    pub bytes_out: u64,
    /// Messages that came whole and were kept for the application.
    pub messages_in: u64,
    /// Messages that were taken from the application.
    pub messages_out: u64,
    /// Calls that were opened here, or came in.
    pub calls_begun: u64,
    /// Calls whose reply finished.
    pub calls_finished: u64,
    /// Calls whose reply ended with a fault.
    pub calls_failed: u64,
    /// Calls that were refused, by the application or for it.
    pub calls_rejected: u64,
    /// Calls that the caller gave up.
    pub calls_cancelled: u64,
    /// Calls that ended with the connection.
    pub calls_lost: u64,
}

impl Stats {
    /// Calls that are not over.
    pub fn calls_open(&self) -> u64 {
        let over = self.calls_finished
            + self.calls_failed
            + self.calls_rejected
            + self.calls_cancelled
            + self.calls_lost;
        self.calls_begun - over
    }

    pub(crate) fn ended(&mut self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Finished => &mut self.calls_finished,
            Outcome::Failed => &mut self.calls_failed,
            Outcome::Rejected(_) => &mut self.calls_rejected,
            Outcome::Cancelled => &mut self.calls_cancelled,
            Outcome::Lost(_) => &mut self.calls_lost,
        };
        *counter += 1;
    }
}
