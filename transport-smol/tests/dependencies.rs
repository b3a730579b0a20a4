//! What this adapter brings with it.

use std::process::Command;

#[test]
fn no_tokio_is_among_the_dependencies() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--package", "wirestream-smol", "--edges", "normal"]);
    cargo.arg("--all-features");
    let output = cargo.args(["--prefix", "none"]).output().unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(tree.contains("async-tungstenite v") && tree.contains("futures-rustls v"), "{tree}");
    assert!(!tree.contains("tokio"), "{tree}");
}
