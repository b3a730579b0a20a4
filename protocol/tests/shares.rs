//! Who gets the connection's window when some streams are not read (R-CREDIT-9).

mod support;

use wirestream_protocol::{Inbound, Limits, Outbound, Received};

use support::Pair;
use support::ends::call;

/// A reply with messages of one size, its sender at the server and its receiver at the client.
struct Reply {
    out: Outbound,
    half: Inbound,
    size: usize,
    left: usize,
    read: usize,
}

impl Reply {
    fn open(pair: &mut Pair, size: usize, messages: usize) -> Self {
        let (here, there) = call(pair, 0);
        let (out, half) = (pair.server.outbound(there, 0), pair.client.inbound(here, 0));
        Self { out, half, size, left: messages, read: 0 }
    }

    /// Sends what is taken now, and the end behind the last message. Whether that was something.
    fn send(&mut self, pair: &mut Pair) -> bool {
        let message = vec![7; self.size];
        let before = self.left;
        while self.left > 0 && pair.server.send(self.out, message.as_slice()).is_ok() {
            self.left -= 1;
        }
        if before > 0 && self.left == 0 {
            pair.server.finish(self.out, Ok(())).expect("it is open");
        }
        self.left < before
    }

    /// Reads what is there. Whether the end was reached.
    fn read(&mut self, pair: &mut Pair) -> bool {
        loop {
            match pair.client.recv(self.half) {
                Some(Received::Message(_)) => self.read += 1,
                Some(Received::End(_)) => return true,
                None => return false,
            }
        }
    }
}

/// Sends on all replies until nothing moves any more.
fn fill(pair: &mut Pair, replies: &mut [Reply]) {
    loop {
        pair.drive();
        let moved = replies.iter_mut().filter_map(|reply| reply.send(pair).then_some(())).count();
        pair.drive();
        if moved == 0 {
            return;
        }
    }
}

/// R-CREDIT-9: one stream that is read goes on beside many that are not, of which each has more to
/// say than it may, or has said it all.
#[test]
fn streams_that_nobody_reads_leave_room_for_one_that_is_read() {
    for (size, messages) in [(0, 9_000), (1_000, 400), (1_000, 16), (16_000, 40), (60_000, 3)] {
        let mut pair = Pair::new(Limits::default(), Limits::default());
        pair.drive();
        let mut unread: Vec<_> = (0..24).map(|_| Reply::open(&mut pair, size, messages)).collect();
        fill(&mut pair, &mut unread);
        let mut one = [Reply::open(&mut pair, 8_000, 500)];
        let mut over = false;
        for _ in 0..1_000 {
            fill(&mut pair, &mut one);
            over = one[0].read(&mut pair);
        }
        assert!(over, "{size} bytes in each unread message: {} came of 500", one[0].read);
        // And they are whole when somebody reads them after all.
        for place in 0..unread.len() {
            for round in 0.. {
                assert!(
                    round < 10_000,
                    "{size}: the {place}th stands still at {}",
                    unread[place].read
                );
                if unread[place].read(&mut pair) {
                    break;
                }
                fill(&mut pair, &mut unread);
            }
            assert_eq!(unread[place].read, messages);
        }
        pair.drive();
        assert_eq!(pair.client.credit_books().1, 0, "nothing is held");
        assert_eq!(pair.server.audit(), Ok(()));
    }
}

/// R-CREDIT-6, R-CREDIT-9: many large streams can be read one after the other, although all were
/// opened at once.
#[test]
fn large_streams_are_read_one_after_the_other() {
    let large = 256 * 1024;
    for (size, messages) in [(1_000, 700), (4_000, 80), (16_000, 40), (100_000, 7), (large, 3)] {
        for window in [2 << 20, 700_000, large] {
            let limits = Limits {
                connection_window: u32::try_from(window).expect("small"),
                ..Limits::default()
            };
            // As many as fit into what does not grow, each with its first window and one message
            // beyond.
            let each = limits.first_half_window() as usize + size;
            let count = (window / 4 / each).clamp(1, 100);
            let mut pair = Pair::new(limits, Limits::default());
            pair.drive();
            let mut replies: Vec<_> =
                (0..count).map(|_| Reply::open(&mut pair, size, messages)).collect();
            for place in 0..count {
                let mut idle = 0;
                loop {
                    fill(&mut pair, &mut replies);
                    let before = replies[place].read;
                    if replies[place].read(&mut pair) {
                        break;
                    }
                    let read = replies[place].read;
                    idle = if read == before { idle + 1 } else { 0 };
                    assert!(idle < 3, "{size} in {window}: the {place}th stands still at {read}");
                }
                assert_eq!(replies[place].read, messages);
            }
        }
    }
}
