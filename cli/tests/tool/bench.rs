//! The measurements.

use serde_json::Value as Json;

use crate::server::Demo;
use crate::tool::{Done, Running, run, tool};

/// A server by the tool itself, and where it is.
fn served() -> (Running, String) {
    let server = Running::start(&mut tool(["bench", "--serve"]));
    let line = server.line();
    let url = line.strip_prefix("Bench.echo is served at ").expect("where it is").to_owned();
    (server, url)
}

fn bench(url: &str, more: &[&str]) -> Done {
    run([&["bench", url, "--duration", "0.2"], more].concat())
}

#[test]
fn it_measures_calls_round_trips_and_streams() {
    let (server, url) = served();
    let done = bench(&url, &["--json", "--size", "100", "--concurrency", "3"]);
    assert_eq!((done.code, &done.err[..]), (Some(0), ""), "no bar where nobody sees it");
    let report: Json = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!(report["message_bytes"], 102);
    for what in ["calls", "round_trips"] {
        let rate = &report[what];
        let number = |of: &Json| of.as_f64().expect("a number");
        assert!(number(&rate["count"]) > 0.0 && number(&rate["per_second"]) > 0.0, "{report}");
        let latency = ["p50", "p90", "p99", "p99_9", "max"].map(|p| number(&rate["latency_us"][p]));
        assert!(latency[0] > 0.0 && latency.is_sorted(), "{report}");
    }
    let streamed = &report["streamed"];
    let (messages, bytes) = (&streamed["messages_per_second"], &streamed["bytes_per_second"]);
    assert!(messages.as_f64().expect("a number") > 0.0, "{report}");
    let per_message = bytes.as_f64().expect("a number") / messages.as_f64().expect("a number");
    assert!((per_message - 102.0).abs() < 0.01, "{report}");
    server.interrupt();
    server.wait().printed(&[]);
}

#[test]
fn it_tells_people_in_a_table() {
    let demo = Demo::start();
    let done = bench(&demo.url, &["--method", "Demo.echo", "--message", r#"{"text": "hi"}"#]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let lines = done.lines();
    assert!(lines[0].starts_with("Demo.echo at ws://127.0.0.1:"), "{}", done.out);
    let first: Vec<_> = lines.iter().skip(2).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(first, ["µs", "calls", "round", "streamed"]);
}

#[test]
fn what_does_not_echo_is_told_and_not_measured() {
    let demo = Demo::start();
    let method = |method| bench(&demo.url, &["--method", method]);
    method("Demo.nowhere").failed(10, "not found");
    method("Demo.add").failed(11, "invalid arguments");
    method("Demo.first").failed(8, "does not echo");
    method("Demo.twice").failed(8, "more came back than was sent");
    bench("ws://127.0.0.1:1", &[]).failed(3, "cannot reach");
    bench(&demo.url, &["--message", "{"]).failed(2, "--message: this is not JSON");
    let large = bench(&demo.url, &["--method", "Demo.echo", "--size", "300000"]);
    large.failed(2, "where the receiver takes at most 262144");
    bench(&demo.url, &["--size", "99999999999"]).failed(2, "--size");
    bench(&demo.url, &["--concurrency", "0"]).failed(2, "--concurrency");
    assert_eq!(run(["bench"]).code, Some(2));
}

#[cfg(target_os = "linux")]
#[test]
fn a_bar_is_shown_where_somebody_sees_it() {
    let (server, url) = served();
    // `script` gives it a terminal for standard error.
    let bench = format!("{} bench {url} --duration 0.3", env!("CARGO_BIN_EXE_wirestream"));
    let mut script = std::process::Command::new("script");
    script.args(["--quiet", "--return", "--command", &bench, "/dev/null"]);
    let output = script.output().expect("util-linux is there");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("a message at a time") && shown.contains("round trips"), "{shown}");
    server.interrupt();
    server.wait().printed(&[]);
}
