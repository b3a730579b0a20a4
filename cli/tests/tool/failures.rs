//! Calls that fail: in words, each with a code of its own.

use std::sync::atomic::Ordering;

use crate::server::Demo;
use crate::tool::{Running, run, run_with, tool};

#[test]
fn a_method_that_is_not_there() {
    let demo = Demo::start();
    run(demo.call("Demo.nowhere", &[])).failed(10, "not found");
    run(demo.call("Nobody.echo", &[])).failed(10, "not found");
}

#[test]
fn arguments_and_streams_that_do_not_fit() {
    let demo = Demo::start();
    let done = run(demo.call("Demo.echo", &[]));
    done.failed(11, "0 parameter streams, where 1 is expected");
    assert!(done.err.contains("\nhint: ") && done.err.contains("--streams"), "{}", done.err);
    run(demo.call("Demo.add", &[])).failed(11, "the arguments do not decode");
}

#[test]
fn a_token_that_is_missing_wrong_or_has_not_the_right() {
    let demo = Demo::start();
    let done = run(demo.call("Demo.secret", &[]));
    done.failed(12, "unauthenticated");
    assert!(done.err.contains("WIRESTREAM_TOKEN"), "{}", done.err);
    let done = run(demo.call("Demo.secret", &["--token", "canary-token"]));
    done.failed(12, "unauthenticated");
    assert!(!done.err.contains("canary-token"), "{}", done.err);
    run(demo.call("Demo.admin", &["--token", "secret"])).failed(13, "forbidden");
}

#[test]
fn other_refusals() {
    let demo = Demo::start();
    for (code, exit, words) in [("0", 14, "busy"), ("1", 15, "unavailable"), ("2", 17, "failed")] {
        run(demo.call("Demo.reject", &[code, "--args", "(u8)"])).failed(exit, words);
    }
}

#[test]
fn a_method_that_fails_without_a_word() {
    run(Demo::start().call("Demo.panic", &[])).failed(4, "the method failed");
}

#[test]
fn an_error_of_the_methods_own_is_the_last_line_as_json() {
    let demo = Demo::start();
    let error = "enum { Never, TooLate { by: u32 } }";
    let done = run(demo.call("Demo.refuse", &["--error", error]));
    done.failed(5, "an error of its own");
    assert_eq!(done.out, "1\n");
    assert_eq!(done.err.lines().last(), Some(r#"{"TooLate":{"by":3}}"#));
    // Of another type than was named, it is there in bytes.
    let done = run(demo.call("Demo.refuse", &["--error", "bool"]));
    done.failed(5, "an error of its own");
    assert_eq!(done.err.lines().last(), Some(r#"{"$bytes":"0103"}"#));
}

#[test]
fn a_message_of_another_type() {
    let demo = Demo::start();
    let done = run(demo.call("Demo.describe", &["1", "--out", "bool"]));
    done.failed(8, "does not decode (--out says its type)");
}

#[test]
fn a_connection_that_is_lost() {
    let demo = Demo::start();
    let call = Running::start(&mut tool(demo.call("Demo.hang", &[])));
    assert_eq!(call.line(), "\"here\"");
    assert_eq!(demo.hanging.load(Ordering::SeqCst), 1);
    drop(demo);
    call.wait().failed(6, "the connection was lost");
}

#[test]
fn what_is_wrong_on_the_command_line() {
    let demo = Demo::start();
    let add = |more: &[&str]| run(demo.call("Demo.add", more));
    add(&["hello"]).failed(2, "argument 1: this is not JSON");
    add(&["1", "1.5", "--args", "(i64, i64)"]).failed(2, "argument 2: i64 is wanted, not 1.5");
    add(&["1", "--args", "(i64, i64)"]).failed(2, "the method takes 2 arguments, 1 were given");
    add(&["--args", "i64"]).failed(2, "--args: `(` is wanted");
    add(&["--out", "int"]).failed(2, "--out: `int` is no type");
    add(&["--in", "u8", "--in", "u8", "--streams", "1"]).failed(2, "--in names 2 streams");
    add(&["--header", "sec-websocket-key: x"]).failed(2, "header");
    add(&["--timeout", "-1"]).failed(2, "--timeout");
    add(&["--timeout", "1e19"]).failed(2, "at most a year");
    add(&["--token", "a", "--token-file", "b"]).failed(2, "cannot be used with");
    add(&["--token-file", "/nowhere/token"]).failed(1, "/nowhere/token");
    add(&["--ca", "/nowhere/ca.pem"]).failed(2, "/nowhere/ca.pem");
    let long = "x".repeat(5_000);
    add(&["--token", &long]).failed(2, "token");
    assert_eq!(run(["call"]).code, Some(2));
    assert_eq!(run(["--version"]).out, format!("wirestream {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_line_of_input_that_cannot_be_sent_cancels_the_stream() {
    let demo = Demo::start();
    let echo = |input: &[u8]| run_with(demo.call("Demo.echo", &["-s1", "--in", "value"]), input);
    let done = echo(b"1\n[1,\n");
    done.failed(2, "line 2 of the input: this is not JSON");
    echo(b"\xff\n").failed(2, "line 1 of the input: this is not UTF-8");
    let long = format!("\"{}\"", "x".repeat(300_000));
    echo(long.as_bytes()).failed(2, "300004 bytes, where the receiver takes at most 262144");
    let both = run_with(demo.call("Demo.both", &["-s2", "--out", "text"]), "1\n");
    both.failed(2, "line 1 of the input: with several streams a line is [number, message]");
    let both = run_with(demo.call("Demo.both", &["-s2", "--out", "text"]), "[3, 1]\n");
    both.failed(2, "there is no stream 3");
}
