//! Measures Wirestream beside raw tokio-tungstenite of the same shape, in one interleaved run on
//! loopback; prints a table of medians and writes `bench/RESULTS.md`.
//!
//! `cargo run --release -p wirestream-bench [-- ROUNDS [WORK or PEER...]]`
//!
//! With `-- idle [CONNECTIONS]` it measures the memory of connections that do nothing instead, and
//! writes `bench/IDLE.md` if it was not told how many.
//!
//! With `-- messages [ROUNDS]` it measures messages between sessions alone, and writes their section.
//!
//! Server and client are two threads with a single-threaded runtime each. A cell counts messages
//! for 400 ms after 100 ms of warming up. Each round runs every cell once, so that whatever else
//! the machine does falls on all alike.

mod idle;
mod messages;
mod ours;
mod raw;
mod report;
mod work;

use work::{Peer, Sample, Work};

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    match arguments.next_if(|argument| argument.starts_with("idle")).as_deref() {
        None => {}
        Some("idle") => return idle_connections(arguments.next().as_deref()),
        Some(_) => {
            let kind = arguments.next().and_then(|name| idle::Kind::named(&name));
            return idle::serve(kind.expect("a kind of server"));
        }
    }
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
    let names: Vec<String> = arguments.collect();
    let works = chosen(Work::ALL, &names, Work::name);
    let peers = chosen(Peer::ALL, &names, Peer::name);
    let mut samples = Vec::new();
    for round in 1..=rounds {
        for &work in &works {
            for &peer in &peers {
                let rate = peer.measure(work);
                eprintln!(
                    "round {round}: {:<12} {:<10} {:>12.0} /s {:>6.0} + {:.0} ns",
                    work.name(),
                    peer.name(),
                    rate.rate,
                    rate.client,
                    rate.server,
                );
                samples.push(Sample { work, peer, rate });
            }
        }
    }
    if peers.len() < Peer::ALL.len() {
        return; // for a profiler
    }
    let table = report::table(&works, &samples, rounds);
    println!("{table}");
    if names.is_empty() {
        write(messages::replaced(&report::page(&table), &messages::section(rounds)));
    }
}

/// The table of idle connections, and its page if their number is the usual one.
fn idle_connections(count: Option<&str>) {
    let chosen = count.map(|count| count.parse().expect("a number of connections"));
    let table = idle::table(chosen.unwrap_or(idle::CONNECTIONS));
    println!("{table}");
    if chosen.is_none() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/IDLE.md");
        std::fs::write(path, idle::page(&table)).expect("IDLE.md can be written");
    }
}

/// Those that are named, or all where none is.
fn chosen<T: Copy>(
    all: impl IntoIterator<Item = T>,
    names: &[String],
    name_of: impl Fn(T) -> &'static str,
) -> Vec<T> {
    let all: Vec<T> = all.into_iter().collect();
    let named = |&one: &T| names.iter().any(|name| name == name_of(one));
    let some: Vec<T> = all.iter().copied().filter(named).collect();
    if some.is_empty() { all } else { some }
}
