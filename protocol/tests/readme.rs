//! The driver on the crate's front page is the program that `cargo run --example blocking` runs.

#[test]
fn the_front_page_shows_the_blocking_example_as_it_is() {
    let page = include_str!("../README.md");
    let section = page.split("## A driver in sixty lines").nth(1).expect("the section");
    let shown = section.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown, Some(include_str!("../../examples/blocking.rs")));
}
