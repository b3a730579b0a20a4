//! A redis-server of a test's own, which ends with the test.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than a redis-server takes for anything, on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// A redis-server on a port of its own. It keeps nothing when it stops.
pub struct RedisServer {
    port: u16,
    settings: Vec<String>,
    folder: PathBuf,
    running: Option<Child>,
}

impl RedisServer {
    /// A server with Redis's own settings.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with further settings, as on its command line.
    pub fn start_with(settings: &[&str]) -> Self {
        let mut server = Self::place(settings);
        // Somebody else may take the port in between.
        for _ in 0..20 {
            match server.run() {
                Ok(()) => return server,
                Err(output) if output.contains("Address already in use") => {
                    server.port = free_port();
                }
                Err(output) => panic!("redis-server does not start: {output}"),
            }
        }
        panic!("there is no port for redis-server");
    }

    /// The place of a server that does not run yet.
    pub fn place(settings: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wirestream-redis-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        Self { port: free_port(), settings, folder, running: None }
    }

    /// Adds a setting, for when it is started.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.extend([name.to_owned(), value.to_owned()]);
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, without credentials.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A folder that is gone with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it again, in the same place.
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "it runs");
        self.run().unwrap_or_else(|output| panic!("redis-server does not start again: {output}"));
    }

    /// Stops it as an operator does.
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.wait();
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.wait();
    }

    /// Lets it hang: its sockets stay, and it does nothing.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Gives it a command, in the default user's name.
    pub fn ask(&self, command: &[&str]) -> redis::Value {
        self.ask_at(&self.url(), command)
    }

    /// Gives it a command by a URL with credentials.
    pub fn ask_at(&self, url: &str, command: &[&str]) -> redis::Value {
        let client = redis::Client::open(url).expect("a URL");
        let mut connection = client.get_connection_with_timeout(LONG).expect("a connection");
        let mut asked = redis::Cmd::new();
        asked.arg(command).query(&mut connection).expect("an answer")
    }

    /// Publishes what is no message of anybody's.
    pub fn publish(&self, channel: &str, message: &[u8]) {
        let client = redis::Client::open(self.url()).expect("a URL");
        let mut connection = client.get_connection_with_timeout(LONG).expect("a connection");
        redis::cmd("PUBLISH").arg(channel).arg(message).exec(&mut connection).expect("an answer");
    }

    /// The connections that clients have to it, but for the one that asks.
    pub fn clients(&self) -> usize {
        let list: String = redis::from_redis_value(self.ask(&["CLIENT", "LIST"])).expect("text");
        list.lines().filter(|line| !line.contains("cmd=client")).count()
    }

    /// Runs it until it takes connections, or says what it printed before it ended.
    fn run(&mut self) -> Result<(), String> {
        let mut command = Command::new("redis-server");
        let port = self.port.to_string();
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]);
        command.arg("--dir").arg(&self.folder).arg("--pidfile").arg(self.folder.join("process"));
        command.args(&self.settings);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "these tests need redis-server (on Debian, apt-get install redis-server): {error}"
            )
        });
        let mut output = child.stdout.take().expect("a pipe");
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            if child.try_wait().expect("it is a child").is_some() {
                let mut said = String::new();
                output.read_to_string(&mut said).expect("text");
                return Err(said);
            }
            // It writes that down once it has the port.
            if self.is_written(child.id()) && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                // It goes on printing, and must not wait for us.
                thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
                self.running = Some(child);
                return Ok(());
            }
            thread::sleep(Duration::from_millis(2));
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it is a child");
        panic!("redis-server does not take connections");
    }

    fn is_written(&self, process: u32) -> bool {
        let written = std::fs::read_to_string(self.folder.join("process"));
        written.is_ok_and(|text| text.trim() == process.to_string())
    }

    fn signal(&self, signal: &str) {
        let process = self.running.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(process).status();
        assert!(sent.expect("kill runs").success(), "the signal {signal} was not sent");
    }

    fn wait(&mut self) {
        let mut child = self.running.take().expect("it runs");
        child.wait().expect("it is a child");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // SIGKILL ends one that hangs as well.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that nobody listens on, below those that the system gives out by itself: nobody gets it by
/// chance while its server is stopped.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(37);
    loop {
        let next = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + u16::try_from(next % 10_000).expect("it is small");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
