//! `wirestream-conformance ws://HOST:PORT`: runs all cases against a server.

use std::process::ExitCode;

use clap::Parser;
use wirestream_conformance::Suite;

/// Runs the cases of Wirestream's specification against a server, which has the methods that the README
/// names and the default limits. Fails if the server does.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the server is: ws://host:port.
    url: String,
    /// Only cases whose name or rule holds this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Only tell what there is.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let Arguments { url, filter, list } = Arguments::parse();
    let suite = Suite::new();
    let (mut run, mut failed) = (0, 0);
    for case in suite.cases().iter().filter(|case| case.to_string().contains(&filter)) {
        run += 1;
        if list {
            println!("{case}");
        } else if let Err(why) = case.run(&url) {
            failed += 1;
            println!("FAILED {case}\n       {why}");
        }
    }
    if run == 0 {
        eprintln!("no case holds {filter:?}");
        return ExitCode::FAILURE;
    }
    if !list {
        println!("{run} cases, {failed} failed");
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
