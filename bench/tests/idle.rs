//! The measurement of idle connections in small, so that it stays able to run.
#![cfg(target_os = "linux")]

use std::process::Command;

/// In bytes. Without optimization and with few connections to share what a server takes for itself,
/// they cost more than `IDLE.md` says.
const GENEROUS: usize = 24 * 1024;

#[test]
fn an_idle_connection_takes_a_few_kib_of_a_server() {
    let rig = Command::new(env!("CARGO_BIN_EXE_wirestream-bench")).args(["idle", "300"]).output();
    let rig = rig.expect("the rig");
    let (table, errors) =
        (String::from_utf8_lossy(&rig.stdout), String::from_utf8_lossy(&rig.stderr));
    assert!(rig.status.success(), "{table}{errors}");
    for server in ["raw", "ours, tokio", "ours, smol"] {
        let row = table.lines().find_map(|line| line.strip_prefix(&format!("| {server} | ")));
        let row = row.unwrap_or_else(|| panic!("no row of {server}: {table}"));
        let bytes: Vec<usize> =
            row.split(" |").filter_map(|cell| cell.trim().parse().ok()).collect();
        let [idle, with_stream] = bytes[..] else { panic!("two figures: {row}") };
        // The read buffer alone.
        for bytes in [idle, with_stream] {
            assert!((4 * 1024..GENEROUS).contains(&bytes), "{server}: {bytes} bytes");
        }
    }
}
