//! The driver on the crate's front page is the program that `cargo run --example blocking` runs.

#[test]
fn the_front_page_shows_the_blocking_example_as_it_is() {
    let page = include_str!("../README.md");
    let shown = page.rsplit("```rust\n").next().and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(include_str!("../../examples/blocking.rs")));
}
