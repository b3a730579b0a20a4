//! The chat: as its page shows it, at terminals, and as two servers whose Redis goes and comes back.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use wirestream_tests::redis_server::RedisServer;

use crate::{LONG, Running, build_example, root, run_example, wait};

/// A chat that runs: a server, or somebody at a terminal.
struct Chat {
    running: Running,
    input: Option<ChildStdin>,
    output: Receiver<String>,
}

impl Chat {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(build_example("cargo run --example chat"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running(command.spawn().expect("the chat"));
        let output = BufReader::new(running.0.stdout.take().expect("its output"));
        let (tell, told) = mpsc::channel();
        thread::spawn(move || output.lines().try_for_each(|line| tell.send(line.expect("text"))));
        Self { input: running.0.stdin.take(), running, output: told }
    }

    /// A server, and where it is.
    fn serve(arguments: &[&str]) -> (Self, String) {
        let server = Self::start(&[&["serve", "--port", "0"], arguments].concat());
        let told = server.next().expect("an address");
        let url = told.strip_prefix("Listening on ").expect("an address").to_owned();
        (server, url)
    }

    fn join(name: &str, url: &str) -> Self {
        Self::start(&["join", "kitchen", name, "--url", url])
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("its input"), "{line}").expect("a line");
    }

    /// The next line, or none if the program has ended.
    fn next(&self) -> Option<String> {
        match self.output.recv_timeout(LONG) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing is said"),
        }
    }

    #[track_caller]
    fn hears(&self, line: &str) {
        assert_eq!(self.next().as_deref(), Some(line));
    }

    /// Says it until it is heard, and not refused any more.
    #[track_caller]
    fn says_until(&mut self, line: &str, is_reached: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            self.say(line);
            let heard = self.next().expect("a line");
            if is_reached(&heard) {
                return;
            }
            assert!(begun.elapsed() < LONG, "still {heard}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn the_chat_prints_what_its_page_shows() {
    let page = std::fs::read_to_string(root().join("examples/chat/main.rs")).expect("its source");
    let shown = page.lines().skip_while(|line| *line != "//! $ cargo run --example chat").skip(1);
    let shown = shown.take_while(|line| *line != "//! ```");
    let shown: String =
        shown.map(|line| format!("{}\n", line.trim_start_matches("//! "))).collect();
    assert_eq!(run_example("chat"), shown);
}

#[test]
fn the_chat_serves_terminals() {
    let (_server, url) = Chat::serve(&[]);
    let mut ann = Chat::join("Ann", &url);
    ann.hears("Ann entered");
    let bob = Chat::join("Bob", &url);
    ann.hears("Bob entered");
    bob.hears("Bob entered");
    ann.say("Hello");
    ann.hears("Ann: Hello");
    bob.hears("Ann: Hello");
    ann.say("/to Bob a secret");
    bob.hears("Ann, to you alone: a secret");
    ann.say("/to no\u{7}body a secret");
    assert!(ann.next().expect("a line").starts_with("(not said: a name has "));
    drop(bob); // killed
    ann.hears("Bob left");
    ann.input = None;
    assert_eq!(ann.next(), None);
    assert_eq!(wait(&mut ann.running.0, LONG), Some(true));
}

#[test]
fn two_chat_servers_are_one_chat_and_outlive_a_restart_of_their_redis() {
    let mut redis = RedisServer::start();
    let redis_url = redis.url();
    let (_one, one) = Chat::serve(&["--redis", &redis_url]);
    let (_other, other) = Chat::serve(&["--redis", &redis_url]);
    let mut ann = Chat::join("Ann", &one);
    ann.hears("Ann entered");
    let mut bob = Chat::join("Bob", &other);
    ann.hears("Bob entered");
    bob.hears("Bob entered");

    let cross = |ann: &mut Chat, bob: &mut Chat| {
        ann.say("Hello");
        ann.hears("Ann: Hello");
        bob.hears("Ann: Hello");
        bob.say("/to Ann a secret");
        ann.hears("Bob, to you alone: a secret");
        bob.say("Good night");
        ann.hears("Bob: Good night");
        bob.hears("Bob: Good night");
    };
    cross(&mut ann, &mut bob);

    redis.stop();
    // One line may be lost with the connection.
    let apart = "the servers do not reach each other just now; try again in a moment)";
    ann.says_until("Is anybody here?", |heard| heard == format!("(not said: {apart}"));
    bob.says_until("/to Ann Are you here?", |heard| heard.ends_with(apart));

    redis.restart();
    for (who, name) in [(&ann, "Ann"), (&bob, "Bob")] {
        let mut gaps = [who.next(), who.next()].map(|line| line.expect("a gap"));
        gaps.sort();
        let gap =
            |to: &str| format!("(the servers lost each other: lines to {to} may have been missed)");
        assert_eq!(gaps, [gap(name), gap("kitchen")]);
    }
    // Each server posts by a connection of its own, which comes back by itself.
    ann.says_until("Back", |heard| heard == "Ann: Back");
    bob.hears("Ann: Back");
    bob.says_until("Back", |heard| heard == "Bob: Back");
    ann.hears("Bob: Back");
    cross(&mut ann, &mut bob);
}

#[test]
fn a_chat_server_that_does_not_find_its_redis_says_where_it_looked() {
    let nowhere = RedisServer::place(&[]);
    let mut command = Command::new(build_example("cargo run --example chat"));
    let output = command.args(["serve", "--port", "0", "--redis", &nowhere.url()]).output();
    let output = output.expect("it ends");
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(told.starts_with(&format!("Redis at {} cannot be reached", nowhere.url())), "{told}");
}
