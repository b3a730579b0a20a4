//! A process that runs out of file descriptors, in a child of its own.
#![cfg(target_os = "linux")]

use std::fs::{File, read_to_string};
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use super::peer::*;

const IN_CHILD: &str = "WIRESTREAM_TEST_IN_CHILD";
const WAIT: Duration = Duration::from_millis(500);

#[test]
fn a_server_out_of_descriptors_goes_on_and_recovers() {
    if std::env::var_os(IN_CHILD).is_some() {
        return out_of_descriptors();
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::a_server_out_of_descriptors_goes_on_and_recovers");
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(IN_CHILD, "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && output.contains("it recovered"), "{output}");
}

fn out_of_descriptors() {
    let server = Listening::new();
    let (mut before, mut raw_before) = server.pair();

    let busy = busy();
    let mut hogs: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(hogs.len() < 64, "the limit holds");
    drop(hogs.pop());
    // Takes the last descriptor; the server has none for its end.
    let mut waiting = connect(server.address);
    assert!(File::open("/dev/null").is_err());
    waiting.write_all(UPGRADE.as_bytes()).unwrap();
    waiting.set_read_timeout(Some(WAIT)).unwrap();
    let answer = waiting.peek(&mut [0]);
    assert!(answer.is_err(), "nobody can have accepted it: {answer:?}");

    // The connection from before goes on meanwhile.
    raw_before.write_all(&frame(FINAL | BINARY, b"hi")).unwrap();
    assert_eq!(recv(&mut before), Some(Ok("hi".into())));

    drop(hogs);
    let busy = self::busy() - busy;
    assert!(busy < WAIT / 2, "it spins: {busy:?}");
    let mut waiting = patient(waiting);
    assert!(head(&mut waiting).starts_with("HTTP/1.1 101 "));
    let _first = server.socket();
    let _second = server.pair();
    println!("it recovered");
}

/// How long this process has been running on a processor, to a hundredth of a second.
fn busy() -> Duration {
    let stat = read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}
