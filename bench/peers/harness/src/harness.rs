//! What every peer shares: the workloads, the trait to implement, the meter.
//!
//! One measured cell = one server process + one client process, each a single
//! thread pinned to its own core. The client's meter decides when to stop: it
//! prints one JSON line and exits the process, so no peer needs teardown code.

use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The workloads. All payloads are opaque bytes of exactly `size` length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// W1: one stream, ping-pong of a `size`-byte message.
    Echo { size: usize },
    /// W2: the server pushes `size`-byte messages on one stream as fast as it can.
    Push { size: usize },
    /// W6: ping-pong of a `size`-byte message while another stream of the same
    /// connection brings `load`-byte messages as fast as it can.
    Loaded { size: usize, load: usize },
    /// W3: `streams` concurrent streams on one connection, each echoing
    /// 64-byte messages with `window` outstanding.
    Mux { streams: usize, window: usize },
    /// W4: open + one 64-byte request + one 64-byte reply + close, `outstanding` at a time.
    Churn { outstanding: usize },
    /// W5: `conns` connections × 1 stream; the server sends one 64-byte
    /// message to all of them, then waits for the client's word to go again.
    Fan { conns: usize },
}

pub const MUX_SIZE: usize = 64;

impl Work {
    pub const ALL: &'static [&'static str] =
        &["W1", "W2-32", "W2-1k", "W2-64k", "W3-100", "W3-1000", "W4", "W5", "W6"];
    /// A workload by its name, in which W2 may have any size, W3 any number of
    /// streams and W5 any number of connections: `W2-500`, `W3-10000`, `W5-100`.
    pub fn by_name(name: &str) -> Option<Work> {
        let (kind, number) = match name.split_once('-') {
            Some((kind, number)) => (kind, Some(number)),
            None => (name, None),
        };
        let number = match number {
            None => None,
            Some(n) => Some(match n.strip_suffix('k') {
                Some(n) => n.parse::<usize>().ok()? * 1024,
                None => n.parse().ok()?,
            }),
        };
        Some(match (kind, number) {
            ("W1", None) => Work::Echo { size: 32 },
            ("W2", Some(size)) => Work::Push { size },
            ("W3", Some(streams)) => Work::Mux { streams, window: 8 },
            ("W4", None) => Work::Churn { outstanding: 64 },
            ("W5", conns) => Work::Fan { conns: conns.unwrap_or(1000) },
            ("W6", None) => Work::Loaded { size: 32, load: 65536 },
            _ => return None,
        })
    }
    /// How many completed messages between two looks at the clock.
    fn stride(&self) -> u64 {
        match self {
            Work::Echo { .. } | Work::Loaded { .. } | Work::Fan { .. } => 1,
            Work::Push { size } if *size > 16384 => 8,
            _ => 32,
        }
    }
}

/// A peer: implement this in ONE file under `src/peers/` and add it to the
/// list in `src/peers/mod.rs`. Nothing else needs to change.
pub trait Peer: Sync {
    /// Short unique name, as in the table.
    fn name(&self) -> &'static str;
    /// `crate version[, what is special]`.
    fn about(&self) -> &'static str;
    /// `Err(reason)` where a workload does not apply.
    fn supports(&self, _work: Work) -> Result<(), &'static str> {
        Ok(())
    }
    /// Whether W6 applies: it has streams that share a connection.
    fn shares_a_connection(&self) -> bool {
        false
    }
    /// Run the server side of `work` on this thread, for ever. Bind
    /// 127.0.0.1:0 and say `ready(port)` once listening.
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()>;
    /// Run the client side on this thread, for ever: `meter.hit()` for every
    /// message (W1–W4) that came back or arrived; the meter ends the process.
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()>;
}

#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Sample {
    pub msgs: u64,
    pub secs: f64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// CPU seconds (user+sys, all threads) of each process in the window.
    pub cpu_client: f64,
    pub cpu_server: f64,
    /// Voluntary context switches (≈ sleeps) in the window.
    pub csw_client: u64,
    pub csw_server: u64,
    /// Fan: resident bytes per connection.
    pub rss_server: Option<f64>,
    pub rss_client: Option<f64>,
    /// CPU others used in the window, as a share of the whole machine.
    pub others: f64,
}

struct State {
    server_pid: u32,
    stride: u64,
    warm: Duration,
    span: Duration,
    pings: bool,
    /// One thread adds to it: no atomic addition.
    hits: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    started: Option<Instant>,
    measuring: Option<Instant>,
    at_start: (f64, f64, u64, u64, f64),
    hits_at_start: u64,
    rss_base: (u64, u64),
    rss_per: Option<(f64, f64)>,
    mark: Option<Instant>,
    lat: Vec<u32>,
}

/// A handle to the process-wide meter, to be moved into any spawned task. It must only be *used* on
/// the client's one thread.
#[derive(Clone, Copy)]
pub struct Meter(&'static State);

impl Meter {
    pub fn new(work: Work, server_pid: u32, warm: Duration, span: Duration) -> Meter {
        Meter(Box::leak(Box::new(State {
            server_pid,
            stride: work.stride(),
            warm,
            span,
            pings: matches!(work, Work::Echo { .. } | Work::Loaded { .. } | Work::Fan { .. }),
            hits: AtomicU64::new(0),
            seen: Mutex::new(Seen { lat: Vec::with_capacity(1 << 20), ..Seen::default() }),
        })))
    }
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap()
    }
    /// One message completed. Ends the process when the window is over.
    #[inline]
    pub fn hit(&self) {
        let h = self.0.hits.load(Ordering::Relaxed) + 1;
        self.0.hits.store(h, Ordering::Relaxed);
        if h % self.0.stride == 0 {
            self.look(h);
        }
    }
    /// `n` messages completed at once.
    #[inline]
    pub fn hit_n(&self, n: u64) {
        let h = self.0.hits.load(Ordering::Relaxed) + n;
        self.0.hits.store(h, Ordering::Relaxed);
        self.look(h);
    }
    #[inline(never)]
    fn look(&self, hits: u64) {
        let (s, mut seen) = (self.0, self.seen());
        let now = Instant::now();
        if let Some(t0) = seen.measuring {
            if s.pings {
                if let Some(m) = seen.mark.replace(now) {
                    let took = (now - m).as_nanos().min(u32::MAX as u128) as u32;
                    seen.lat.push(took);
                }
            }
            if now - t0 >= s.span {
                self.finish(&mut seen, hits, now - t0);
            }
        } else if let Some(t) = seen.started {
            if now - t >= s.warm {
                seen.hits_at_start = hits;
                seen.at_start = self.usage();
                let now = Instant::now();
                seen.measuring = Some(now);
                seen.mark = Some(now);
            }
        } else {
            seen.started = Some(now);
        }
    }
    fn usage(&self) -> (f64, f64, u64, u64, f64) {
        let (c, cs) = proc_usage(std::process::id());
        let (s, ss) = proc_usage(self.0.server_pid);
        (c, s, cs, ss, busy())
    }
    fn finish(&self, seen: &mut Seen, hits: u64, took: Duration) -> ! {
        let (c, v, cs, vs, b) = self.usage();
        let (c0, v0, cs0, vs0, b0) = seen.at_start;
        let lat = &mut seen.lat;
        lat.sort_unstable();
        let pct = |p: f64| {
            (!lat.is_empty()).then(|| lat[((lat.len() - 1) as f64 * p) as usize] as f64 / 1000.0)
        };
        let sample = Sample {
            msgs: hits - seen.hits_at_start,
            secs: took.as_secs_f64(),
            p50_us: pct(0.5),
            p99_us: pct(0.99),
            cpu_client: c - c0,
            cpu_server: v - v0,
            csw_client: cs - cs0,
            csw_server: vs - vs0,
            rss_server: seen.rss_per.map(|r| r.0),
            rss_client: seen.rss_per.map(|r| r.1),
            others: ((b - b0 - (c - c0) - (v - v0)) / took.as_secs_f64() / 2.0).max(0.0),
        };
        println!("{}", serde_json::to_string(&sample).unwrap());
        let _ = std::io::stdout().flush();
        std::process::exit(0)
    }
    /// Fan: call before the first of the `conns` connections is made
    /// (after a control connection, so that one-time costs are not counted).
    pub fn rss_before(&self) {
        self.seen().rss_base = (rss(self.0.server_pid), rss(std::process::id()));
    }
    /// Fan: call when all `n` connections have had one message each.
    pub fn rss_after(&self, n: usize) {
        let mut seen = self.seen();
        let (s0, c0) = seen.rss_base;
        let (s, c) = (rss(self.0.server_pid), rss(std::process::id()));
        let per = |a: u64, b: u64| (a as f64 - b as f64) / n as f64;
        seen.rss_per = Some((per(s, s0), per(c, c0)));
    }
}

/// CPU seconds and voluntary context switches of a process, over its threads.
fn proc_usage(pid: u32) -> (f64, u64) {
    let (mut ns, mut sw) = (0u64, 0u64);
    if let Ok(dir) = std::fs::read_dir(format!("/proc/{pid}/task")) {
        for t in dir.flatten() {
            let p = t.path();
            if let Ok(s) = std::fs::read_to_string(p.join("schedstat")) {
                ns += s.split(' ').next().and_then(|x| x.parse::<u64>().ok()).unwrap_or(0);
            }
            if let Ok(s) = std::fs::read_to_string(p.join("status")) {
                for l in s.lines() {
                    if let Some(v) = l.strip_prefix("voluntary_ctxt_switches:") {
                        sw += v.trim().parse::<u64>().unwrap_or(0);
                    }
                }
            }
        }
    }
    (ns as f64 / 1e9, sw)
}

/// Busy CPU seconds of the whole machine (not interrupts, not stolen time).
pub fn busy() -> f64 {
    let s = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let l = s.lines().next().unwrap_or("");
    let v: Vec<u64> = l.split_whitespace().skip(1).filter_map(|x| x.parse().ok()).collect();
    // user nice system (10 ms ticks), stolen time counts as others' too
    (v.iter().take(3).sum::<u64>() + v.get(7).copied().unwrap_or(0)) as f64 / 100.0
}

fn rss(pid: u32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/statm"))
        .ok()
        .and_then(|s| s.split(' ').nth(1).and_then(|x| x.parse::<u64>().ok()))
        .unwrap_or(0)
        * 4096
}

pub fn pin(cpu: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
}

/// A payload of `n` bytes, printable so that text-only peers carry it too.
pub fn payload(n: usize) -> Vec<u8> {
    (0..n).map(|i| b'a' + (i % 26) as u8).collect()
}

/// A current-thread tokio runtime, as every tokio peer uses. `f` runs as a
/// spawned task like any other: as the root future (or in a `LocalSet`) it
/// would get one turn for every 61 of the others, and a busy connection task
/// would starve the receiving loop that is to be measured.
pub fn tokio_block<T: 'static>(f: impl Future<Output = T> + 'static) -> T {
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(Default::default())
        .unwrap();
    rt.block_on(async move { tokio::task::spawn_local(f).await.unwrap() })
}
