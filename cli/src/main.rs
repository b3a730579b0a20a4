//! `wirestream`: calls methods of Wirestream servers from a terminal, and measures servers.

mod args;
mod bench;
mod call;
mod connect;
mod failure;
mod json;
mod raw;
mod schema;

use std::io::{self, Write};

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use failure::Failure;

fn main() {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("the system gives threads");
    let done = runtime.block_on(async {
        match cli.command {
            Command::Call(call) => call::run(call).await,
            Command::Bench(bench) => bench::run(bench).await,
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "wirestream", &mut script);
                print(&script)
            }
        }
    });
    if let Err(failure) = &done {
        failure.tell();
    }
    // What waits for a pipe or a terminal is not waited for.
    std::process::exit(done.err().map_or(0, |failure| failure.code().into()));
}

/// Writes to standard output, which may be closed.
fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Unread),
        written => {
            written.map_err(|error| Failure::Local(format!("cannot write the output: {error}")))
        }
    }
}

/// Ready at Ctrl-C.
async fn interrupted() -> Failure {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Failure::Interrupted,
        Err(_) => std::future::pending().await,
    }
}
