//! What a wrong contract is told, and where. After a new compiler has changed its own words:
//! `TRYBUILD=overwrite cargo test -p wirestream-macros --test ui`, and read what has changed.

#[test]
fn wrong_contracts_are_told_in_plain_words() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
