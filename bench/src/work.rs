//! What is measured, and how long.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

const WARM: Duration = Duration::from_millis(100);
const SPAN: Duration = Duration::from_millis(400);

/// What one message of the echoing streams carries.
pub(crate) const ECHO_SIZE: usize = 64;
/// How many messages each echoing stream has under way.
pub(crate) const OUTSTANDING: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// One message of 32 B there and back, one at a time.
    PingPong,
    /// The server sends messages of this size as fast as it can.
    Push(usize),
    /// So many streams echo 64 B, with 8 under way on each.
    Echo(usize),
    /// Calls that take 64 B and return them, so many at a time.
    Calls(usize),
}

impl Work {
    pub(crate) const ALL: [Self; 7] = [
        Self::PingPong,
        Self::Push(32),
        Self::Push(1024),
        Self::Push(64 * 1024),
        Self::Echo(100),
        Self::Echo(1000),
        Self::Calls(64),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PingPong => "ping-pong",
            Self::Push(32) => "push-32",
            Self::Push(1024) => "push-1k",
            Self::Push(_) => "push-64k",
            Self::Echo(100) => "echo-100",
            Self::Echo(_) => "echo-1000",
            Self::Calls(_) => "open-close",
        }
    }

    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::PingPong => "one stream, 32 B there and back, one at a time",
            Self::Push(32) => "one stream, one way, 32 B",
            Self::Push(1024) => "one stream, one way, 1 KiB",
            Self::Push(_) => "one stream, one way, 64 KiB",
            Self::Echo(100) => "100 streams echo 64 B, 8 under way on each",
            Self::Echo(_) => "1,000 streams echo 64 B, 8 under way on each",
            Self::Calls(_) => "calls that echo 64 B, 64 at a time",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Raw tokio-tungstenite that flushes after every message.
    RawFlush,
    /// Raw tokio-tungstenite that flushes when it would wait, or every 16 KiB.
    RawBatch,
    /// Wirestream, through its public API on both sides.
    Ours,
}

impl Peer {
    pub(crate) const ALL: [Self; 3] = [Self::RawFlush, Self::RawBatch, Self::Ours];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RawFlush => "raw-flush",
            Self::RawBatch => "raw-batch",
            Self::Ours => "ours",
        }
    }

    pub(crate) fn measure(self, work: Work) -> Rate {
        match self {
            Self::RawFlush => crate::raw::measure(work, false),
            Self::RawBatch => crate::raw::measure(work, true),
            Self::Ours => crate::ours::measure(work),
        }
    }
}

pub(crate) struct Sample {
    pub(crate) work: Work,
    pub(crate) peer: Peer,
    pub(crate) rate: Rate,
}

#[derive(Clone, Copy)]
pub(crate) struct Rate {
    /// Messages a second.
    pub(crate) rate: f64,
    /// How long each takes on the client's processor, in nanoseconds; 0 where the system does not
    /// tell.
    pub(crate) client: f64,
    /// And on the server's.
    pub(crate) server: f64,
}

/// Counts messages while the window is open. One thread's.
#[derive(Clone, Default)]
pub(crate) struct Meter(Rc<Cell<u64>>);

impl Meter {
    pub(crate) fn hit(&self) {
        self.0.set(self.0.get() + 1);
    }

    /// Opens the window after warming up, closes it, and gives the rate. Run beside the load.
    pub(crate) async fn rate(&self) -> Rate {
        tokio::time::sleep(WARM).await;
        let (start, before, [client, server]) = (Instant::now(), self.0.get(), cpu_times());
        tokio::time::sleep(SPAN).await;
        let hits = (self.0.get() - before) as f64;
        let rate = hits / start.elapsed().as_secs_f64();
        let [client_after, server_after] = cpu_times();
        Rate {
            rate,
            client: (client_after - client) / hits,
            server: (server_after - server) / hits,
        }
    }
}

/// How long the main thread, which is the client, and the others have run, in nanoseconds.
fn cpu_times() -> [f64; 2] {
    let mut times = [0.0; 2];
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let is_main = thread.file_name().to_str() == Some(&std::process::id().to_string());
        let statistics = std::fs::read_to_string(thread.path().join("schedstat"));
        let time = statistics.ok().and_then(|line| line.split(' ').next()?.parse::<f64>().ok());
        times[usize::from(!is_main)] += time.unwrap_or(0.0);
    }
    times
}

/// Which processor a thread keeps to, where there is more than one: server and client each have
/// one of their own, as on a scheduler's whim they would share one in some runs and not in others.
pub(crate) fn pin(side: usize) {
    // Looked up once: a pinned thread, and those that it starts, see no other processor.
    static CORES: LazyLock<Vec<CoreId>> =
        LazyLock::new(|| core_affinity::get_core_ids().unwrap_or_default());
    if let Some(&core) = CORES.get(side) {
        core_affinity::set_for_current(core);
    }
}

/// A runtime of one thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, future)
}
