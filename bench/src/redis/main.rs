//! Measures messages from one server to another through a real redis-server, beside a bare `PUBLISH`
//! and `SUBSCRIBE` of the same payload by the same library; prints a table of medians and writes
//! `bench/REDIS.md`.
//!
//! `cargo run --release -p wirestream-bench --bin wirestream-bench-redis [-- ROUNDS]`
//!
//! It takes redis-server. Each round runs every cell once, so that whatever else the machine does falls
//! on all alike.

#![allow(unreachable_pub, reason = "the server is shared with tests")]

mod bare;
mod ours;
#[path = "../../../messages-redis/tests/real/server.rs"]
#[allow(dead_code, reason = "the tests do more to it")]
mod server;

use std::fmt::Write;
use std::time::Duration;

use server::RedisServer;

/// What is measured.
#[derive(Clone, Copy)]
struct Work {
    name: &'static str,
    about: &'static str,
    messages: usize,
    bytes: usize,
    /// How many messages may be published and not confirmed.
    window: usize,
    /// Whether the next message waits until the last one has arrived.
    one_at_a_time: bool,
}

const WORKS: [Work; 3] = [
    Work {
        name: "stream-32",
        about: "100,000 messages of 32 B",
        messages: 100_000,
        bytes: 32,
        window: 4_096,
        one_at_a_time: false,
    },
    Work {
        name: "stream-1k",
        about: "100,000 messages of 1 KiB",
        messages: 100_000,
        bytes: 1_024,
        window: 4_096,
        one_at_a_time: false,
    },
    Work {
        name: "one-by-one",
        about: "5,000 messages of 32 B, each when the last has arrived",
        messages: 5_000,
        bytes: 32,
        window: 1,
        one_at_a_time: true,
    },
];

fn main() {
    let rounds = std::env::args().nth(1).map_or(5, |n| n.parse().expect("a number of rounds"));
    // Redis would drop a subscriber that is 32 MiB behind, and its messages with it.
    let redis = RedisServer::start_with(&["--client-output-buffer-limit", "pubsub 0 0 0"]);
    let mut rates = [const { [const { Vec::new() }; 2] }; WORKS.len()];
    for round in 1..=rounds {
        for (work, rates) in WORKS.iter().zip(&mut rates) {
            let measures = [bare::measure as fn(&str, Work) -> Duration, ours::measure];
            for ((name, measure), rates) in ["bare", "ours"].iter().zip(measures).zip(rates) {
                let rate = work.messages as f64 / measure(&redis.url(), *work).as_secs_f64();
                eprintln!("round {round}: {:<12} {name} {rate:>10.0} /s", work.name);
                rates.push(rate);
            }
        }
    }
    let table = table(rates, rounds);
    println!("{table}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/REDIS.md");
    std::fs::write(path, page(&table)).expect("REDIS.md can be written");
}

fn table(rates: [[Vec<f64>; 2]; WORKS.len()], rounds: usize) -> String {
    let mut table = String::from(
        "| work | what | bare /s | ours /s | spread | ours : bare |\n|---|---|---:|---:|---:|---:|\n",
    );
    for (work, mut rates) in WORKS.iter().zip(rates) {
        let [bare, ours] = rates.each_mut().map(|rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        let all = &rates[1];
        let spread = (all[all.len() - 1] - all[0]) / 2.0 / ours * 100.0;
        let (name, about, ratio) = (work.name, work.about, ours / bare);
        writeln!(
            table,
            "| {name} | {about} | {bare:.0} | {ours:.0} | ±{spread:.0} % | {ratio:.2} |"
        )
        .expect("a string takes what is written");
    }
    write!(table, "\nMedians of {rounds} interleaved rounds; messages a second.\n")
        .expect("a string takes what is written");
    table
}

fn page(table: &str) -> String {
    format!(
        "# Messages through Redis\n\n\
         Made by `cargo run --release -p wirestream-bench --bin wirestream-bench-redis`, which also writes this \
         page, with a redis-server of its own on the same machine, on loopback.\n\n\
         - `bare`: the redis library alone, on two connections that are a thread each: up to 8 pipelines of 512 \
         `PUBLISH`, and a subscriber that counts what comes in.\n\
         - `ours`: `Messages::post` on one server and `Messages::subscribe` on another, with all that lies \
         between: typed messages, their envelope, the thread of the bus, the bounded queue of the subscriber. \
         4,096 posts may be under way.\n\n\
         Redis itself and the two sides share the processors of the machine.\n\n{table}"
    )
}
