//! What was measured, for people and for programs.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::work::{Latencies, Measured, Streamed};
use crate::args::Bench;
use crate::failure::plain;

/// The figures.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    url: &'a str,
    method: &'a str,
    message_bytes: usize,
    concurrency: u16,
    calls: Rate,
    round_trips: Rate,
    streamed: Throughput,
}

#[derive(Debug, Serialize)]
struct Rate {
    count: u64,
    per_second: f64,
    latency_us: Percentiles,
}

/// In microseconds.
#[derive(Debug, Serialize)]
struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Throughput {
    messages: u64,
    messages_per_second: f64,
    bytes_per_second: f64,
}

impl<'a> Report<'a> {
    pub(super) fn new(url: &'a str, options: &'a Bench, measured: &Measured) -> Self {
        Self {
            url,
            method: &options.method,
            message_bytes: measured.bytes,
            concurrency: options.concurrency,
            calls: rate(&measured.calls),
            round_trips: rate(&measured.round_trips),
            streamed: throughput(&measured.streamed, measured.bytes),
        }
    }

    pub(super) fn json(&self) -> String {
        let json = serde_json::to_string(self).expect("names and numbers are JSON");
        json + "\n"
    }
}

fn rate(latencies: &Latencies) -> Rate {
    let Latencies { histogram, time } = latencies;
    Rate {
        count: histogram.len(),
        per_second: per_second(histogram.len(), *time),
        latency_us: percentiles(histogram),
    }
}

fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
    Percentiles {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p99_9: at(0.999),
        max: histogram.max() as f64 / 1_000.0,
    }
}

fn throughput(streamed: &Streamed, bytes: usize) -> Throughput {
    let messages_per_second = per_second(streamed.messages, streamed.time);
    Throughput {
        messages: streamed.messages,
        messages_per_second,
        bytes_per_second: messages_per_second * bytes as f64,
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, method, message_bytes, concurrency, calls, round_trips, streamed } = self;
        let (url, method) = (plain(url), plain(method));
        writeln!(
            f,
            "{method} at {url}: messages of {message_bytes} bytes, {concurrency} at a time"
        )?;
        writeln!(
            f,
            "\n{:<12} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "µs", "a second", "p50", "p90", "p99", "p99.9", "max",
        )?;
        for (name, rate) in [("calls", calls), ("round trips", round_trips)] {
            let Percentiles { p50, p90, p99, p99_9, max } = rate.latency_us;
            writeln!(
                f,
                "{name:<12} {:>11.0} {p50:>9.1} {p90:>9.1} {p99:>9.1} {p99_9:>9.1} {max:>9.1}",
                rate.per_second,
            )?;
        }
        let megabytes = streamed.bytes_per_second / 1e6;
        writeln!(
            f,
            "{:<12} {:>11.0} {megabytes:>9.1} MB/s",
            "streamed", streamed.messages_per_second
        )
    }
}
