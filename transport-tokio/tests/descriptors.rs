//! A process that runs out of file descriptors, in a child of its own.
#![cfg(unix)]

mod peer;

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use peer::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

const IN_CHILD: &str = "WIRESTREAM_TEST_IN_CHILD";
const NAME: &str = "a_server_out_of_descriptors_goes_on_and_recovers";

#[test]
fn a_server_out_of_descriptors_goes_on_and_recovers() {
    if std::env::var_os(IN_CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(out_of_descriptors());
    }
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(IN_CHILD, "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && output.contains("it recovered"), "{output}");
}

async fn out_of_descriptors() {
    let mut server = Listening::new().await;
    let (mut before, mut raw_before) = server.pair().await;

    let mut hogs: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(hogs.len() < 64, "the limit holds");
    drop(hogs.pop());
    // Takes the last descriptor; the server has none for its end.
    let mut waiting = TcpStream::connect(server.address).await.unwrap();
    assert!(File::open("/dev/null").is_err());
    waiting.write_all(UPGRADE.as_bytes()).await.unwrap();
    let busy = Handle::current().metrics().worker_total_busy_duration(0);
    let answer = timeout(Duration::from_millis(500), waiting.read_u8()).await;
    assert!(answer.is_err(), "nobody can have accepted it: {answer:?}");
    let busy = Handle::current().metrics().worker_total_busy_duration(0) - busy;
    assert!(busy < Duration::from_millis(250), "it spins: {busy:?}");

    // The connection from before goes on meanwhile.
    raw_before.write_all(&frame(FINAL | BINARY, b"hi")).await.unwrap();
    assert_eq!(recv(&mut before).await, Some(Ok("hi".into())));

    drop(hogs);
    assert!(head(&mut waiting).await.starts_with("HTTP/1.1 101 "));
    let _first = server.socket().await;
    let _second = server.pair().await;
    println!("it recovered");
}
