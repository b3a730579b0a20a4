//! The search for the tests' token in their output can fail.

use std::path::PathBuf;
use std::process::Command;

use wirestream_tests::canary::CANARY;

/// Whether the search finds nothing in a file of this text, and what it says.
fn search(name: &str, text: &[u8]) -> (bool, String) {
    let file: PathBuf = [env!("CARGO_TARGET_TMPDIR"), name].iter().collect();
    std::fs::write(&file, text).unwrap();
    let found = run(&[file.to_str().unwrap()]);
    std::fs::remove_file(file).unwrap();
    found
}

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_canary")).args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_token_that_is_planted_is_found_and_told_with_its_place() {
    let shown = format!("running 1 test\nrefused: Token(\"a{CANARY}\")\ntest result: ok");
    let (is_clean, told) = search("planted", shown.as_bytes());
    assert!(!is_clean);
    assert!(told.contains("a token is shown in ") && told.contains("line 2: as text"), "{told}");
    // Nor is it shown by this.
    assert!(!told.contains(CANARY));

    let bytes = format!("\u{fffd}{:?}", CANARY.as_bytes());
    let (is_clean, told) = search("planted_bytes", &[b"\xff", bytes.as_bytes()].concat());
    assert!(!is_clean && told.contains("line 1: as a list of numbers"), "{told}");
}

#[test]
fn clean_output_is_let_pass_without_a_word() {
    let shown = b"running 1 test\nrefused: Token(..)\ntest result: ok";
    assert_eq!(search("clean", shown), (true, String::new()));
}

#[test]
fn output_that_is_missing_is_not_clean() {
    assert!(!run(&[]).0);
    let (is_clean, told) = run(&["no-such-file"]);
    assert!(!is_clean && told.contains("no-such-file cannot be read"), "{told}");
}
