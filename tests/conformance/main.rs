//! Our own servers do what the cases of the specification say.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use wirestream_conformance::Suite;

/// The program of `tests/server`, which ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn conforms(runtime: &str) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_scenario-server"));
    let server = server.arg(runtime).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut server = Running(server.expect("it runs"));
    let mut address = String::new();
    let said = server.0.stdout.take().expect("it is piped");
    BufReader::new(said).read_line(&mut address).expect("it says where it is");
    let url = format!("ws://{}", address.trim());
    let suite = Suite::new();
    let run =
        |case: &wirestream_conformance::Case| Some(format!("{case}: {}", case.run(&url).err()?));
    let failed: Vec<_> = suite.cases().iter().filter_map(run).collect();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    println!("{} cases on {runtime}", suite.cases().len());
}

#[test]
fn the_server_on_tokio_conforms() {
    conforms("tokio");
}

#[test]
fn the_server_on_smol_conforms() {
    conforms("smol");
}
