//! What the documents say is what the programs do.

mod chat;
mod dependencies;
mod evidence;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any example takes, on a busy machine.
const LONG: Duration = Duration::from_secs(60);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("README.md")
}

/// The standard output of an example, which must end well and soon.
fn run_example(name: &str) -> String {
    output_of(&format!("cargo run --example {name}"))
}

/// The standard output of what a command of the documents runs, an example, which must end well and soon.
fn output_of(command: &str) -> String {
    let mut example = Command::new(build_example(command));
    example.current_dir(root());
    output_within(LONG, command, &mut example)
}

/// Builds an example, for as long as that takes, and says where it is.
fn build_example(command: &str) -> PathBuf {
    let what = command.strip_prefix("cargo run ").expect("a command that runs an example");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--quiet", "--locked"]).args(what.split(' '));
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{command} does not build");
    let messages = String::from_utf8(output.stdout).expect("text");
    let path = messages.rsplit_once("\"executable\":\"").and_then(|(_, rest)| rest.split_once('"'));
    let (path, _) = path.expect("cargo tells where it is");
    path.replace(r"\\", r"\").into()
}

/// The standard output of a program, which must end well within a time; it is killed otherwise.
fn output_within(time: Duration, name: &str, program: &mut Command) -> String {
    let program = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().expect("it runs");
    let (output, errors) = (read(child.stdout.take()), read(child.stderr.take()));
    let status = wait(&mut child, time);
    let [output, errors] = [output, errors].map(|text| text.join().expect("text"));
    let Some(is_success) = status else {
        panic!("{name} did not end within {time:?}; it said: {output}{errors}");
    };
    assert!(is_success, "{name} failed: {errors}");
    output
}

fn read(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    let mut pipe = pipe.expect("a pipe");
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("text");
        text
    })
}

/// Whether a program ended well; `None` if it had to be killed.
fn wait(child: &mut Child, time: Duration) -> Option<bool> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if let Some(status) = child.try_wait().expect("it is a child") {
            return Some(status.success());
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it is a child");
    None
}

/// What the README shows between two commands.
fn transcript(command: &str) -> String {
    let readme = readme();
    let block = readme.split("```console\n").nth(1).expect("a transcript");
    let block = block.split("```").next().expect("its end");
    let mut lines = block.lines().skip_while(|line| !line.starts_with(&format!("$ {command}")));
    assert!(lines.next().is_some(), "the README does not run `{command}`");
    lines.take_while(|line| !line.starts_with("$ ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_readme_starts_with_the_board_the_echo_and_the_tests() {
    let readme = readme();
    let commands: Vec<_> = readme.lines().filter(|line| line.starts_with("$ ")).collect();
    assert_eq!(commands.len(), 3);
    assert!(commands[0].starts_with("$ cargo run --example board"));
    assert!(commands[1].starts_with("$ cargo run --example echo"));
    assert!(commands[2].starts_with("$ ./test "));
    assert!(readme.lines().position(|line| line.starts_with("$ ")).is_some_and(|at| at < 10));
}

#[test]
fn the_readme_has_at_most_120_lines() {
    assert!(readme().lines().count() <= 120);
}

#[test]
#[should_panic(expected = "sleep did not end within 50ms; it said: ")]
fn a_program_that_does_not_end_is_killed() {
    output_within(Duration::from_millis(50), "sleep", Command::new("sleep").arg("1000000"));
}

#[test]
#[should_panic(expected = "cargo failed: error: no such command")]
fn a_program_that_fails_is_told_with_its_errors() {
    output_within(LONG, "cargo", Command::new(env!("CARGO")).arg("no-such-command"));
}

#[test]
fn the_echo_prints_what_the_readme_shows() {
    assert_eq!(run_example("echo"), transcript("cargo run --example echo"));
}

/// What an HTTP server answers.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.set_read_timeout(Some(LONG)).expect("a time");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

#[test]
fn the_board_prints_what_the_readme_shows_and_serves_its_page() {
    let shown = transcript("cargo run --example board");
    let mut program = Command::new(build_example("cargo run --example board"));
    program.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
    let mut board = Running(program.spawn().expect("the board"));
    let mut said = BufReader::new(board.0.stdout.take().expect("its output"));
    let mut printed = String::new();
    for _ in shown.lines() {
        assert_ne!(said.read_line(&mut printed).expect("text"), 0, "it ended: {printed}");
    }
    let address = printed.lines().next().and_then(|line| line.split_once("http://"));
    let (_, address) = address.expect("an address");
    assert_eq!(printed, shown.replace("127.0.0.1:8080", address));

    let page = root().join("examples/board/page");
    for entry in std::fs::read_dir(page).expect("its files") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let file = get(address, &format!("/{}", if name == "index.html" { "" } else { name }));
        assert!(file.starts_with("HTTP/1.1 200 OK"), "{name}: {file}");
        assert!(
            file.ends_with(&std::fs::read_to_string(&path).expect("text")),
            "{name} is another"
        );
    }
    assert!(get(address, "/wirestream.min.js").contains("wirestream.v1"));
    assert!(get(address, "/nothing").starts_with("HTTP/1.1 404 "));
}

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_blocking_runtime_calls_and_answers_in_at_most_60_lines() {
    assert!(run_example("blocking").contains("Received message: Hello\n"));
    let source = std::fs::read_to_string(root().join("examples/blocking.rs")).expect("its source");
    assert!(source.lines().count() <= 60);
}

#[test]
fn the_listener_of_a_streaming_endpoint_outlives_a_restart() {
    let output = run_example("streaming_endpoint");
    let heard: Vec<_> = output.lines().filter(|line| line.starts_with("Client ")).collect();
    assert_eq!(
        heard,
        [
            "Client hears: Welcome!",
            "Client hears: Hello, Ann!",
            "Client hears: 42",
            "Client is told: the endpoint failed to handle a message",
            "Client is told: the stream was interrupted",
            "Client sends meanwhile: an error",
            "Client hears: Welcome!",
            "Client hears: Hello, Bob!",
        ]
    );
}

#[test]
fn under_tls_a_client_that_does_not_know_the_root_is_refused() {
    let output = output_of("cargo run --example tls --features tls");
    let (knows, does_not) = output.split_once('\n').expect("two lines");
    assert_eq!(knows, "A client that knows the root: Hello");
    assert!(does_not.contains(": no secure connection to wss://localhost:"), "{does_not}");
}

/// Builds and runs a program that is no part of the workspace, and depends on an adapter alone.
fn hello_of(adapter: &str) -> String {
    let folder = root().join(format!("tests/hello-{adapter}"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&folder).args(["build", "--quiet", "--locked"]);
    cargo.arg("--target-dir").arg(root().join("target/hello")).stderr(Stdio::inherit());
    let built = cargo.status().expect("cargo runs").success();
    let lock = "if a dependency of the workspace has changed, run `cargo update --workspace` there";
    assert!(built, "{} does not build; {lock}", folder.display());
    let program = root().join(format!("target/hello/debug/hello-{adapter}"));
    output_within(LONG, adapter, &mut Command::new(program))
}

fn source_of_hello(adapter: &str) -> String {
    let source = format!("tests/hello-{adapter}/src/main.rs");
    std::fs::read_to_string(root().join(source)).expect("its source")
}

#[test]
fn the_readme_s_program_needs_no_crate_but_the_adapter() {
    let readme = readme();
    let (_, program) = readme.split_once("```rust,no_run\n").expect("a program");
    let (program, _) = program.split_once("```").expect("its end");
    assert_eq!(source_of_hello("tokio"), program);

    // On smol, the three places that the README names.
    let main = "() -> Result<(), Box<dyn std::error::Error>> {\n";
    let spawn = "spawn(serve(listener, server, std::future::pending()))";
    let mut on_smol = program.replace("wirestream_tokio", "wirestream_smol");
    for (tokio, smol) in [
        ("serve, tokio,".into(), "serve, smol,".into()),
        (
            format!("#[tokio::main]\nasync fn main{main}"),
            format!("fn main{main}    smol::block_on(hello())\n}}\n\nasync fn hello{main}"),
        ),
        (format!("tokio::{spawn};"), format!("smol::{spawn}.detach();")),
    ] {
        assert_eq!(on_smol.matches(&tokio).count(), 1, "{tokio}");
        on_smol = on_smol.replace(&tokio, &smol);
    }
    assert_eq!(source_of_hello("smol"), on_smol);

    assert_eq!(hello_of("tokio"), "HELLO\n");
    assert_eq!(hello_of("smol"), "HELLO\n");
}

/// What is in quotes after a word.
fn quoted<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.split_once(word)?.1.split('"').nth(1)
}

#[test]
fn axum_serves_a_page_and_calls_on_one_port_until_both_are_done() {
    let output = output_of("cargo run --example axum --features axum");
    let source = std::fs::read_to_string(root().join("examples/axum.rs")).expect("its source");
    let shown = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let shown: Vec<_> = shown.skip_while(|line| *line != "```text").collect();
    assert_eq!(output.lines().collect::<Vec<_>>(), shown[1..shown.len() - 1]);
}

#[test]
fn every_example_runs_to_its_end_and_says_something() {
    let manifest = std::fs::read_to_string(root().join("examples/Cargo.toml")).expect("a manifest");
    // What is built without asking for it.
    let (_, default) = manifest.split_once("default = [").expect("what is built");
    let (default, _) = default.split_once(']').expect("its end");
    let mut commands = Vec::new();
    for entry in manifest.split("[[example]]").skip(1) {
        let name = quoted(entry, "name = ").expect("a name");
        let features = quoted(entry, "required-features = [");
        let features = features.filter(|name| !default.contains(&format!("\"{name}\"")));
        let features = features.map(|features| format!(" --features {features}"));
        commands.push(format!("cargo run --example {name}{}", features.unwrap_or_default()));
    }
    assert!(commands.contains(&"cargo run --example echo".into()), "{commands:?}");
    for command in commands {
        assert!(readme().contains(&format!("`{command}`")), "{command} is not listed");
        // The board runs until it is told to end, and has a test of its own.
        if command != "cargo run --example board" {
            assert!(!output_of(&command).is_empty(), "{command} says nothing");
        }
    }
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let folders = ["", "spec", "protocol", "bench", "spec/vectors", "client-web"];
    let mut links = 0;
    for folder in folders {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap_or_default();
                if target.is_empty() || target.contains("://") || target.contains(' ') {
                    continue;
                }
                links += 1;
                let place = path.parent().expect("a folder").join(target);
                assert!(place.exists() || target.contains("::"), "{}: {link}", path.display());
            }
        }
    }
    assert!(links > 10, "only {links} links were found");
}
