//! What it takes to write an endpoint, a server and a client in one formatted file.

/// Lines with code on them.
fn lines(source: &str) -> usize {
    let lines = source.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn an_echo_takes_at_most_24_lines() {
    let lines = lines(include_str!("../../examples/hello_echo.rs"));
    assert!(lines <= 24, "{lines} lines");
}

#[test]
fn a_chat_room_takes_at_most_34_lines() {
    let lines = lines(include_str!("../../examples/hello_chat.rs"));
    assert!(lines <= 34, "{lines} lines");
}
