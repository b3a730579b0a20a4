//! Messages within one process: a million posts, beside `tokio::sync::broadcast` of the same
//! payload.
//!
//! One thread posts and reads in turn: bursts of 256, which each subscriber reads. So what is
//! measured is the work, not what the scheduler does.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use futures_util::{FutureExt, StreamExt};
use tokio::sync::broadcast;
use wirestream_tokio::{MessageConfig, Server};

/// Bytes of text in each message.
const SIZE: usize = 32;
const BURST: usize = 256;

/// Subscribers, and how many posts there are for them.
const CELLS: [(usize, usize); 3] = [(1, 1_000_000), (10, 1_000_000), (1_000, 20_000)];

/// Nanoseconds for each message that is heard: ours, and that of the broadcast.
type Pair = (f64, f64);

/// Where the section begins in the page; it is the last.
const HEADING: &str = "## Messages between sessions\n";

/// Puts the section in the place of the one that a page had.
pub(crate) fn replaced(page: &str, section: &str) -> String {
    let others = page.split(HEADING).next().unwrap_or_default();
    format!("{}\n\n{section}", others.trim_end())
}

/// The section of the page, from so many interleaved rounds.
pub(crate) fn section(rounds: usize) -> String {
    let mut section = format!(
        "{HEADING}\n\
         Made by `cargo run --release -p wirestream-bench -- messages [ROUNDS]`: one process, one thread, \
         texts of 32 bytes in bursts of 256, which every subscriber reads. `broadcast` is \
         `tokio::sync::broadcast` of a `String`, which it clones for each subscriber; Wirestream encodes each \
         message once, decodes it for each subscriber within the limits of a payload, and tells types \
         apart. Of an `Arc<str>`, which nobody has a copy of, a broadcast was 5.5 times as fast.\n\n\
         | subscribers | posts | ours, ns each | broadcast, ns each | ours : broadcast |\n\
         |---:|---:|---:|---:|---:|\n",
    );
    for (subscribers, posts) in CELLS {
        let mut pairs: Vec<Pair> = (1..=rounds)
            .map(|round| {
                let pair = (ours(subscribers, posts), broadcast(subscribers, posts));
                eprintln!(
                    "round {round}: {subscribers} subscribers: {:.0} and {:.0} ns",
                    pair.0, pair.1
                );
                pair
            })
            .collect();
        let (ours, broadcast) =
            (median(&mut pairs, |pair| pair.0), median(&mut pairs, |pair| pair.1));
        let ratio = median(&mut pairs, |pair| pair.0 / pair.1);
        let line = format!("| {subscribers} | {posts} | {ours:.0} | {broadcast:.0} | {ratio:.2} |");
        writeln!(section, "{line}").expect("a string takes what is written");
    }
    writeln!(
        section,
        "\nMedians of {rounds} interleaved rounds, the time of a post and its reading shared among those who \
         read it; the ratio is the median of the rounds' own."
    )
    .expect("a string takes what is written");
    section
}

fn median(pairs: &mut [Pair], of: impl Fn(&Pair) -> f64) -> f64 {
    pairs.sort_by(|one, other| of(one).total_cmp(&of(other)));
    of(&pairs[pairs.len() / 2])
}

fn ours(subscribers: usize, posts: usize) -> f64 {
    let config = MessageConfig { unread: 2 * BURST, ..MessageConfig::default() };
    let server = Server::builder().messages(config).build().expect("a sound server");
    let messages = server.messages();
    let subscribe = || messages.subscribe::<String>("news").now_or_never().expect("no wait");
    let mut all: Vec<_> = (0..subscribers).map(|_| subscribe().expect("a subscription")).collect();
    let text = "x".repeat(SIZE);
    timed(subscribers, posts, |burst| {
        for _ in 0..burst {
            assert!(messages.post("news", black_box(&text)).now_or_never() == Some(Ok(())));
        }
        for subscription in &mut all {
            for _ in 0..burst {
                let message = subscription.next().now_or_never().flatten();
                black_box(message.expect("a message").expect("a text"));
            }
        }
    })
}

fn broadcast(subscribers: usize, posts: usize) -> f64 {
    let sender = broadcast::Sender::new(2 * BURST);
    let mut all: Vec<_> = (0..subscribers).map(|_| sender.subscribe()).collect();
    let text = "x".repeat(SIZE);
    timed(subscribers, posts, |burst| {
        for _ in 0..burst {
            let message = black_box(&text).clone();
            assert!(sender.send(message).is_ok());
        }
        for receiver in &mut all {
            for _ in 0..burst {
                black_box(receiver.try_recv().expect("a text"));
            }
        }
    })
}

/// The time of each message that is heard, in nanoseconds.
fn timed(subscribers: usize, posts: usize, mut burst: impl FnMut(usize)) -> f64 {
    burst(BURST); // warms up
    let start = Instant::now();
    let mut left = posts;
    while left > 0 {
        let size = left.min(BURST);
        burst(size);
        left -= size;
    }
    start.elapsed().as_nanos() as f64 / (subscribers * posts) as f64
}
