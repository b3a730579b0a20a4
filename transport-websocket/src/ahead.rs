use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::task::{Poll, ready};

use crate::config::READ_BUFFER;

#[cfg(test)]
mod tests;

/// What is read at once while a peer sends much, and while as much as that comes in.
const AHEAD: usize = 8 * READ_BUFFER;
const FAR_AHEAD: usize = 32 * READ_BUFFER;

/// Reads ahead while much comes in: fewer reads of the stream below, and tungstenite's own buffer,
/// which it keeps for good and zeroes before each read, can be small.
///
/// It has a buffer from the moment that a read came back full until one comes back with little or
/// nothing.
#[derive(Default)]
pub struct ReadAhead {
    buffer: Vec<u8>,
    /// What was read and not given out.
    unread: Range<usize>,
    is_busy: bool,
}

impl ReadAhead {
    /// Whether a read is served without the stream below.
    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Reads into `bytes`: what was read ahead, or else what `read`, the stream's own, has to give.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn poll_read(
        &mut self,
        bytes: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if !self.has_unread() {
            if !self.is_busy {
                let count = ready!(read(bytes))?;
                self.is_busy = count == bytes.len();
                return Poll::Ready(Ok(count));
            }
            if self.buffer.len() < FAR_AHEAD {
                let was_full = !self.buffer.is_empty() && self.unread.end == self.buffer.len();
                self.buffer.resize(if was_full { FAR_AHEAD } else { AHEAD }, 0);
            }
            let count = match read(&mut self.buffer) {
                Poll::Ready(Ok(count)) => count,
                other => {
                    self.buffer = Vec::new();
                    return other;
                }
            };
            self.unread = 0..count;
            self.is_busy = count >= READ_BUFFER;
        }
        let count = self.buffer.get(self.unread.clone()).unwrap_or_default().read(bytes)?;
        self.unread.start = self.unread.start.saturating_add(count);
        if !self.has_unread() && !self.is_busy {
            self.buffer = Vec::new();
        }
        Poll::Ready(Ok(count))
    }
}

/// Shows nothing of what was received.
impl fmt::Debug for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAhead").field("unread", &self.unread.len()).finish_non_exhaustive()
    }
}
