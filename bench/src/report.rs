//! Medians, ratios, the page.

use std::fmt::Write;

use crate::work::{Peer, Sample, Work};

pub(crate) fn table(works: &[Work], samples: &[Sample], rounds: usize) -> String {
    let mut table = String::from(
        "| work | what | raw-flush /s | raw-batch /s | ours /s | spread | ours : raw-flush | ours : raw-batch |\n\
         |---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for &work in works {
        let rates = |peer| {
            let of = samples.iter().filter(|sample| (sample.work, sample.peer) == (work, peer));
            let mut rates: Vec<f64> = of.map(|sample| sample.rate.rate).collect();
            rates.sort_by(f64::total_cmp);
            rates
        };
        let median = |peer| rates(peer)[rounds / 2];
        let (flush, batch) = (median(Peer::RawFlush), median(Peer::RawBatch));
        let (all, ours) = (rates(Peer::Ours), median(Peer::Ours));
        let spread = (all[all.len() - 1] - all[0]) / 2.0 / ours * 100.0;
        let line = format!(
            "| {} | {} | {flush:.0} | {batch:.0} | {ours:.0} | ±{spread:.0} % | {:.2} | {:.2} |",
            work.name(),
            work.about(),
            ours / flush,
            ours / batch,
        );
        writeln!(table, "{line}").expect("a string takes what is written");
    }
    writeln!(
        table,
        "\nMedians of {rounds} interleaved rounds; messages (or round trips) a second."
    )
    .expect("a string takes what is written");
    table
}

pub(crate) fn page(table: &str) -> String {
    format!(
        "# Measurements\n\n\
         Made by `cargo run --release -p wirestream-bench`, which also writes this page. Server and \
         client are two threads with a single-threaded tokio runtime each, on a processor of their own, on \
         loopback.\n\n\
         - `raw-flush`: tokio-tungstenite, every message flushed.\n\
         - `raw-batch`: tokio-tungstenite, flushed when it would wait or every 16 KiB. Raw WebSockets \
         carry no streams: for the echoing streams one loop echoes as many messages.\n\
         - `ours`: Wirestream through its public API on both sides, with real streams, typed \
         messages and credit.\n\n\
         Messages through Redis have [a page of their own](REDIS.md).\n\n{table}\n{}",
        include_str!("where.md")
    )
}
