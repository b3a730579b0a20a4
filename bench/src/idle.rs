//! What a server takes of its machine's memory for each connection that does nothing.

mod client;
mod server;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use server::run as serve;

/// As many as a process that may have 20,000 descriptors can.
pub(crate) const CONNECTIONS: usize = 15_000;
/// How long a server may take for all of them.
const LONG: Duration = Duration::from_secs(120);

/// A server that is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Raw,
    Tokio,
    Smol,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Raw, Self::Tokio, Self::Smol];

    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Tokio => "ours, tokio",
            Self::Smol => "ours, smol",
        }
    }

    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The table: a row for each server.
pub(crate) fn table(connections: usize) -> String {
    let mut table = String::from(
        "| server | a connection, bytes | with a stream, bytes |\n\
         |---|---:|---:|\n",
    );
    for kind in Kind::ALL {
        let [idle, with_stream] = [false, true].map(|stream| measure(kind, connections, stream));
        writeln!(table, "| {} | {idle} | {with_stream} |", kind.name())
            .expect("a string takes what is written");
    }
    table
}

pub(crate) fn page(table: &str) -> String {
    let today = Command::new("date").args(["-u", "+%F"]).output().expect("a date").stdout;
    let today = String::from_utf8_lossy(&today);
    format!(
        "{}\n## The figures\n\n{table}\nMeasured on {}.\n",
        include_str!("idle.md"),
        today.trim()
    )
}

/// What the process of a server grew by, for each of so many connections.
fn measure(kind: Kind, connections: usize, with_stream: bool) -> usize {
    let mut server = Served::start(kind);
    let before = server.resident();
    let packet = client::first_packet(with_stream);
    let connect = |_| client::connect(server.address, &packet).expect("a connection");
    let sockets: Vec<TcpStream> = (0..connections).map(connect).collect();
    // A raw server has no streams: it has had a message of each client.
    let streams = if with_stream || kind == Kind::Raw { connections } else { 0 };
    server.wait(&format!("{connections} {streams}"));
    let each = server.resident().saturating_sub(before) / connections;
    drop(sockets);
    each
}

/// A server in a process of its own, ended when this is dropped.
struct Served {
    process: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Served {
    fn start(kind: Kind) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["idle-server", kind.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let ask = process.stdin.take().expect("a pipe");
        let mut told = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        told.read_line(&mut line).expect("its address");
        let address = line.trim().parse().expect("an address");
        Self { process, ask, told, address }
    }

    /// Waits until it has so many connections and streams.
    fn wait(&mut self, wanted: &str) {
        let begun = Instant::now();
        loop {
            self.ask.write_all(b"\n").expect("the server listens");
            let mut counts = String::new();
            self.told.read_line(&mut counts).expect("its counts");
            if counts.trim() == wanted {
                return;
            }
            assert!(begun.elapsed() < LONG, "it has {} and not {wanted}", counts.trim());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What of the machine's memory it has, in bytes.
    fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("Linux tells of its processes");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        1024 * kib.and_then(|kib| kib.parse::<usize>().ok()).expect("a size in KiB")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
