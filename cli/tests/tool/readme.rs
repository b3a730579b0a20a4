//! What the README shows is what the program prints.

use std::process::Command;

use futures_util::{Stream, StreamExt};
use wirestream_tokio::{Receiver, Server, Session, bind, endpoint, serve};

use crate::server::runtime;
use crate::tool::Running;

/// The contract of the project's first page.
#[endpoint]
trait Example {
    /// Sends back whatever it receives, in capitals.
    fn shout(&self, session: &Session, words: Receiver<String>) -> impl Stream<Item = String>;
}

struct Service;

impl Example for Service {
    fn shout(&self, _: &Session, words: Receiver<String>) -> impl Stream<Item = String> {
        words.filter_map(async |word| word.ok()).map(|word| word.to_uppercase())
    }
}

/// A shell script that shows each command, and then runs it.
fn script(commands: &[&str]) -> String {
    let mut script = "exec 2>&1; code=0\n".to_string();
    for command in commands {
        let shown = command.replace('\'', r"'\''");
        script += &format!("printf '$ %s\\n' '{shown}'\n(exit $code)\n{command}\ncode=$?\n");
    }
    script
}

#[test]
fn the_transcript_of_the_readme_is_true() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```console\n").expect("a transcript");
    let (transcript, _) = rest.split_once("```").expect("its end");
    let runtime = runtime();
    let server = Server::builder().endpoint(ExampleServer::new(Service)).build().expect("a server");
    let listener = runtime.block_on(bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    runtime.spawn(serve(listener, server, std::future::pending()));
    let transcript = transcript.replace("127.0.0.1:8080", &address);
    let commands: Vec<_> = transcript.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() > 3, "{commands:?}");
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_wirestream")).parent().expect("a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a path"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script(&commands)]).env("PATH", path).env_remove("WIRESTREAM_TOKEN");
    let done = Running::start(&mut shell).wait();
    assert_eq!(done.out, transcript);
}
