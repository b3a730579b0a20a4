//! Calls that go well.

use std::sync::atomic::Ordering;

use crate::server::{Demo, add_contract, mix_contract};
use crate::tool::{Running, run, run_with, tool, until};

#[test]
fn values_go_in_and_come_out_as_lines_of_json() {
    let demo = Demo::start();
    let input = "1\n\n  \"Grüße\"  \n{\"b\": [1.0, null], \"a\": {\"$bytes\": \"beef\"}}\n\
                 170141183460469231731687303715884105727";
    let done = run_with(demo.call("Demo.echo", &["--streams", "1"]), input);
    done.printed(&[
        "1",
        "\"Grüße\"",
        r#"{"b":[1.0,null],"a":{"$bytes":"beef"}}"#,
        "170141183460469231731687303715884105727",
    ]);
}

#[test]
fn arguments_and_reply_are_of_the_types_that_are_named() {
    let demo = Demo::start();
    let typed = ["1", "-3", "--args", "(i64, i64)", "--out", "i64"];
    run(demo.call("Demo.add", &typed)).printed(&["-2"]);
    let value = [r#"{"$object": "Ping"}"#, "--out", "text"];
    run(demo.call("Demo.describe", &value)).printed(&["\"Ping\""]);
    run(demo.call("Demo.nothing", &[])).printed(&[]);
}

#[test]
fn a_contract_names_all_types_and_is_sent_along() {
    let demo = Demo::start();
    let contract = add_contract().to_string();
    run(demo.call("Demo.add", &["1", "2", "--contract", &contract])).printed(&["3"]);
    let older = contract.replace("a: i64", "amount: i64");
    let done = run(demo.call("Demo.add", &["1", "2", "--contract", &older]));
    done.failed(16, "contract mismatch");
}

#[test]
fn optional_streams_of_a_contract_can_be_left_away() {
    let demo = Demo::start();
    let contract = mix_contract().to_string();
    let mix = |more: &[&str], input: &str| {
        let more = [&["7", "--contract", &contract], more].concat();
        run_with(demo.call("Demo.mix", &more), input)
    };
    mix(&["--without", "2", "--without", "3"], "\"a\"\n\"b\"")
        .printed(&["\"level 7, without numbers, without values, a, b\""]);
    mix(&["--without", "3"], "[1, \"a\"]\n[2, 5]\n")
        .printed(&["\"level 7, with numbers, without values, a, 5\""]);
    mix(&["--without", "2"], "[1, \"a\"]\n[3, null]\n")
        .printed(&["\"level 7, without numbers, with values, a\""]);
    mix(&["--without", "1"], "").failed(2, "--without 1");
}

#[test]
fn with_several_streams_a_line_says_which_it_is_for() {
    let demo = Demo::start();
    let options = ["--streams", "2", "--in", "value", "--in", "text", "--out", "text"];
    let mut call = Running::start(&mut tool(demo.call("Demo.both", &options)));
    call.write("[1, 5]\n");
    assert_eq!(call.line(), r#""Ok(\"5\")""#);
    call.write("[1]\n");
    assert_eq!(call.line(), r#""no more values""#);
    call.write("[2, \"word\"]\n");
    assert_eq!(call.line(), r#""Ok(\"word\")""#);
    call.end_input();
    call.wait().printed(&[r#""no more words""#]);
}

#[test]
fn a_reply_is_there_before_the_input_ends() {
    let demo = Demo::start();
    let mut call = Running::start(&mut tool(demo.call("Demo.echo", &["-s1"])));
    for number in ["1", "2", "3"] {
        call.write(format!("{number}\n"));
        assert_eq!(call.line(), number);
    }
    call.end_input();
    call.wait().printed(&[]);
}

#[test]
fn a_method_that_wants_no_more_input_ends_the_call_while_there_is_some() {
    let demo = Demo::start();
    let mut call = Running::start(&mut tool(demo.call("Demo.first", &["-s1"])));
    call.write("7\n8\n");
    // Its input stays open.
    assert_eq!(call.line(), "7");
    call.wait().printed(&[]);
}

#[test]
fn a_token_comes_from_the_environment_a_file_or_an_option() {
    let demo = Demo::start();
    let file = std::env::temp_dir().join(format!("wirestream-token-{}", std::process::id()));
    std::fs::write(&file, "secret\n").expect("a file");
    let secret = demo.call("Demo.secret", &[]);
    Running::start(tool(&secret).env("WIRESTREAM_TOKEN", "secret")).wait().printed(&["\"well\""]);
    let path = file.to_str().expect("text");
    let mut from_file = tool(demo.call("Demo.secret", &["--token-file", path]));
    // An option goes before the environment.
    from_file.env("WIRESTREAM_TOKEN", "another");
    Running::start(&mut from_file).wait().printed(&["\"well\""]);
    run(demo.call("Demo.secret", &["--token", "secret"])).printed(&["\"well\""]);
    std::fs::remove_file(file).expect("the file");
}

#[test]
fn metadata_reaches_the_session() {
    let demo = Demo::start();
    let options = ["--token", "secret", "-m", "trace=a=b", "-m", "n=1", "--out", "text"];
    run(demo.call("Demo.whoami", &options)).printed(&["\"ann\"", "\"trace=a=b\"", "\"n=1\""]);
}

#[test]
fn ctrl_c_gives_the_call_up() {
    let demo = Demo::start();
    let call = Running::start(&mut tool(demo.call("Demo.hang", &[])));
    assert_eq!(call.line(), "\"here\"");
    assert_eq!(demo.hanging.load(Ordering::SeqCst), 1);
    call.interrupt();
    let done = call.wait();
    assert_eq!((done.code, &done.out[..], &done.err[..]), (Some(130), "", ""));
    until("the method's end", || demo.hanging.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_call_has_the_time_that_it_is_given() {
    let demo = Demo::start();
    let done = run(demo.call("Demo.hang", &["--timeout", "0.5"]));
    done.failed(124, "was not over within 500ms");
    assert_eq!(done.out, "\"here\"\n");
    until("the method's end", || demo.hanging.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_reader_who_leaves_ends_the_call_without_a_word() {
    let demo = Demo::start();
    let call = tool(demo.call("Demo.count", &["--out", "u64"]));
    let mut head = std::process::Command::new("sh");
    head.args(["-c", r#"{ "$@"; echo "code $?" >&2; } | head -3"#, "sh"]);
    head.arg(call.get_program()).args(call.get_args()).env_remove("WIRESTREAM_TOKEN");
    let done = Running::start(&mut head).wait();
    done.printed(&["0", "1", "2"]);
    assert_eq!(done.err, "code 0\n");
}
