//! A server that means ill.

use crate::server::Demo;
use crate::tool::{Running, run, tool};

/// What a terminal would obey.
fn has_commands(text: &str) -> bool {
    text.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c))
}

#[test]
fn words_of_a_refusal_do_nothing_to_the_terminal() {
    let done = run(Demo::start().call("Demo.reject", &["0", "--args", "(u8)"]));
    done.failed(14, r"busy: \u{1b}]0;owned\u{7}\u{9b}2J\u{202e}no");
    assert!(!has_commands(&done.err), "{:?}", done.err);
}

#[test]
fn large_messages_do_nothing_to_the_terminal() {
    let done = run(Demo::start().call("Demo.escapes", &[]));
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.out.len() > 300_000 && done.out.starts_with(r#""\u001b[31m\u009b2J\r\n"#));
    assert!(!has_commands(&done.out));
}

#[test]
fn an_endless_reply_that_nobody_reads_can_be_interrupted() {
    let demo = Demo::start();
    let mut call = tool(demo.call("Demo.count", &["--out", "u64"]));
    // Behind a pipe that takes no more, for as long as the sleep lasts.
    let mut stuck = std::process::Command::new("sh");
    stuck.args(["-c", r#"exec "$@" > "$PIPE""#, "sh"]);
    let pipe = std::env::temp_dir().join(format!("wirestream-pipe-{}", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    stuck.arg(call.get_program()).args(call.get_args()).env("PIPE", &pipe);
    call.env_remove("WIRESTREAM_TOKEN");
    let running = Running::start(&mut stuck);
    let reader = std::fs::File::open(&pipe).expect("the pipe opens with its writer");
    let mut first = [0; 4];
    std::io::Read::read_exact(&mut &reader, &mut first).expect("the first lines");
    running.interrupt();
    assert_eq!(running.wait().code, Some(130));
    assert_eq!(&first, b"0\n1\n");
    drop(reader);
    std::fs::remove_file(pipe).expect("the pipe");
}
