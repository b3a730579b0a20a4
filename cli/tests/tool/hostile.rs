//! A server that means ill.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::server::Demo;
use crate::tool::{Running, run, tool, until};

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

/// The tool behind a pipe of which nobody reads more than the first bytes.
struct Stuck {
    tool: Running,
    pipe: PathBuf,
    _reader: File,
}

impl Stuck {
    fn start(name: &str, arguments: &[&str], first: &str) -> Self {
        let pipe = std::env::temp_dir().join(format!("wirestream-{name}-{}", std::process::id()));
        let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
        assert!(made.success());
        let call = tool(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"exec "$@" > "$PIPE""#, "sh"]).arg(call.get_program());
        shell.args(call.get_args()).env("PIPE", &pipe).env_remove("WIRESTREAM_TOKEN");
        let tool = Running::start(&mut shell);
        let mut reader = File::open(&pipe).expect("the pipe opens with its writer");
        let mut begun = vec![0; first.len()];
        reader.read_exact(&mut begun).expect("the first bytes");
        assert_eq!(begun, first.as_bytes());
        Self { tool, pipe, _reader: reader }
    }

    fn interrupt(self) {
        self.tool.interrupt();
        assert_eq!(self.tool.wait().code, Some(130));
        std::fs::remove_file(self.pipe).expect("the pipe");
    }
}

#[test]
fn an_endless_reply_that_nobody_reads_can_be_interrupted() {
    let demo = Demo::start();
    Stuck::start("endless", &demo.call("Demo.count", &["--out", "u64"]), "0\n1\n").interrupt();
}

#[cfg(target_os = "linux")]
#[test]
fn an_endless_reply_of_large_messages_that_nobody_reads_takes_little_memory() {
    let demo = Demo::start();
    let stuck = Stuck::start("flood", &demo.call("Demo.flood", &[]), r#""\u0001"#);
    // Until the sender has waited for a while.
    let (mut sent, mut since) = (0, Instant::now());
    until("an end of the flood", || {
        let now = demo.flood.load(Ordering::SeqCst);
        if now != sent {
            (sent, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(300)
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", stuck.tool.id()));
    let status = status.expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let peak: usize = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    // The program itself takes 15 MB, each line 1.5 MB.
    assert!(peak < 48 * 1024, "{peak} kB after {sent} messages");
    stuck.interrupt();
}
