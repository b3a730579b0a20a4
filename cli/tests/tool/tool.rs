//! Runs the program, for a bounded time.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than anything here takes, on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// That it ended well, with these lines.
    #[track_caller]
    pub(crate) fn printed(&self, lines: &[&str]) {
        assert_eq!((self.code, self.lines()), (Some(0), lines.to_vec()), "{}", self.err);
    }

    /// That it ended with this code, and said so in words that hold these.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.starts_with("error: ") && self.err.contains(words), "{self:?}");
    }

    pub(crate) fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

pub(crate) fn tool<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wirestream"));
    command.args(arguments).env_remove("WIRESTREAM_TOKEN");
    command
}

/// Runs it to its end, without input.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Done {
    run_with(arguments, "")
}

/// Runs it to its end with an input.
pub(crate) fn run_with<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    input: impl AsRef<[u8]>,
) -> Done {
    let mut running = Running::start(&mut tool(arguments));
    running.write(input);
    running.end_input();
    running.wait()
}

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    err: JoinHandle<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let input = child.stdin.take();
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut err = child.stderr.take().expect("a pipe");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines() {
                let _ = sender.send(line.expect("text"));
            }
        });
        let err = thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).expect("text");
            text
        });
        Self { child, input, lines, err }
    }

    /// Gives it input; it may have ended.
    pub(crate) fn write(&mut self, input: impl AsRef<[u8]>) {
        let _ = self.input.as_mut().expect("its input").write_all(input.as_ref());
    }

    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(LONG).expect("another line")
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Its end, and what it printed since it was last looked at.
    pub(crate) fn wait(mut self) -> Done {
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("it can be waited for") {
                Some(status) => break status,
                None if began.elapsed() > LONG => {
                    let _ = self.child.kill();
                    panic!("it did not end within {LONG:?}");
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        let out = self.lines.iter().map(|line| line + "\n").collect();
        Done { code: status.code(), out, err: self.err.join().expect("text") }
    }
}

/// Waits until `condition` holds, or fails the test.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < LONG, "{what} did not happen within {LONG:?}");
        thread::sleep(Duration::from_millis(2));
    }
}
