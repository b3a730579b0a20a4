//! Measures Wirestream beside raw tokio-tungstenite of the same shape, in one interleaved run on
//! loopback; prints a table of medians and writes `bench/RESULTS.md`.
//!
//! `cargo run --release -p wirestream-bench [-- ROUNDS [WORK...]]`
//!
//! With `-- messages [ROUNDS]` it measures messages between sessions alone, and writes their section.
//!
//! Server and client are two threads with a single-threaded runtime each. A cell counts messages
//! for 400 ms after 100 ms of warming up. Each round runs every cell once, so that whatever else
//! the machine does falls on all alike.

mod messages;
mod ours;
mod raw;
mod report;
mod work;

use work::{Peer, Sample, Work};

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    let only_messages = arguments.next_if(|argument| argument == "messages").is_some();
    let rounds: usize = arguments.next().map_or(7, |n| n.parse().expect("a number of rounds"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");
    let write = |page: String| std::fs::write(path, page).expect("RESULTS.md can be written");
    if only_messages {
        let section = messages::section(rounds);
        println!("{section}");
        let page = std::fs::read_to_string(path).expect("RESULTS.md");
        return write(messages::replaced(&page, &section));
    }
    let chosen: Vec<String> = arguments.collect();
    let works: Vec<Work> = Work::ALL
        .into_iter()
        .filter(|work| chosen.is_empty() || chosen.iter().any(|name| name == work.name()))
        .collect();
    let mut samples = Vec::new();
    for round in 1..=rounds {
        for &work in &works {
            for peer in Peer::ALL {
                let rate = peer.measure(work);
                eprintln!("round {round}: {:<12} {:<10} {rate:>12.0} /s", work.name(), peer.name());
                samples.push(Sample { work, peer, rate });
            }
        }
    }
    let table = report::table(&works, &samples, rounds);
    println!("{table}");
    if chosen.is_empty() {
        write(messages::replaced(&report::page(&table), &messages::section(rounds)));
    }
}
