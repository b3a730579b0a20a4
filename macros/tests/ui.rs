//! What a wrong contract is told, and where. After a new compiler has changed its own words:
//! `TRYBUILD=overwrite cargo test -p wirestream-macros --test ui`, read what has changed, and move
//! `WRITTEN_WITH` on.

use std::process::Command;

/// The compiler whose own words are in the expected errors.
const WRITTEN_WITH: &str = "rustc 1.95.";

/// With another compiler the errors must still be errors, in the macro's words; the compiler's own
/// may differ, so they are not compared.
#[test]
fn wrong_contracts_are_told_in_plain_words() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("the compiler runs").stdout;
    if String::from_utf8_lossy(&version).starts_with(WRITTEN_WITH) {
        trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
    } else {
        macro_words_stand_in_what_is_expected();
    }
}

/// Each case that the macro refuses by itself expects an error that names the line in question.
#[test]
fn macro_words_stand_in_what_is_expected() {
    let cases = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ui")).expect("cases");
    let errors = cases.map(|case| case.expect("a case").path());
    let errors: Vec<_> =
        errors.filter(|path| path.extension() == Some("stderr".as_ref())).collect();
    assert!(errors.len() >= 12);
    for path in errors {
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.contains("error") && text.contains("--> tests/ui/"), "{}", path.display());
    }
}
