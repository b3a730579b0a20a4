//! `spec/tables.md` is what the shipping tables print. `UPDATE=1` writes it anew.

use std::fmt::{Debug, Write};
use std::path::Path;

use wirestream_protocol::state::{
    CallEvent, CallState, ReceiverEvent, ReceiverState, SenderEvent, SenderState, Step,
};

/// What stands before the tables.
const LEGEND: &str = "\
# The tables

Every state of a half's sender, of a half's receiver and of a call, every event, and what comes of it. Both
sides run the same tables: they do not know which side they are on. This page is printed from
`protocol/src/state.rs`; `UPDATE=1 cargo test -p wirestream-protocol --test tables` prints it anew.

A cell names the state that the event leads to, which may be the one it was in; or it says

- *late*: the event came too late to matter. Nothing changes, nobody is to blame.
- **illegal**: the event must not happen. A violation if the peer caused it (R-AWAY-5), misuse if the
  application did. Nothing changes.

What names a call that is over is late before any half is asked (R-CALL-2).
";

/// The spec shows what the code does, cell by cell: R-CALL-3, R-CALL-4, R-CALL-5, R-CALL-7,
/// R-HALF-2, R-HALF-3, R-HALF-4.
#[test]
fn the_specification_prints_the_shipping_tables() {
    let page = [
        LEGEND.to_string(),
        section("The sender of a half", SenderState::ALL, SenderEvent::ALL, SenderState::step),
        section(
            "The receiver of a half",
            ReceiverState::ALL,
            ReceiverEvent::ALL,
            ReceiverState::step,
        ),
        section("A call", CallState::ALL, CallEvent::ALL, CallState::step),
    ]
    .join("\n");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/tables.md");
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "spec/tables.md differs from the code; UPDATE=1 writes it anew");
}

/// A table, and in words what its states and events are.
fn section<S: Copy + Debug, E: Copy + Debug>(
    title: &str,
    states: &[S],
    events: &[E],
    step: impl Fn(S, E) -> Step<S>,
) -> String {
    let mut text = format!("## {title}\n\n");
    let columns: Vec<_> = events.iter().map(|event| format!("`{event:?}`")).collect();
    writeln!(text, "| | {} |", columns.join(" | ")).unwrap();
    writeln!(text, "|{}", "---|".repeat(1 + events.len())).unwrap();
    for &state in states {
        let cells: Vec<_> = events.iter().map(|&event| cell(step(state, event))).collect();
        writeln!(text, "| **{state:?}** | {} |", cells.join(" | ")).unwrap();
    }
    for (what, words) in [("state", described(states)), ("event", described(events))] {
        writeln!(text, "\n| {what} | |\n|---|---|\n{words}").unwrap();
        text.pop();
    }
    text
}

fn cell<S: Debug>(step: Step<S>) -> String {
    match step {
        Step::To(state) => format!("{state:?}"),
        Step::Late => "*late*".into(),
        Step::Illegal => "**illegal**".into(),
    }
}

/// A row for each variant, in the words of its doc comment.
fn described<V: Debug>(variants: &[V]) -> String {
    let source = include_str!("../src/state.rs");
    let path = std::any::type_name::<V>();
    let name = path.rsplit("::").next().unwrap();
    let declared = source.split(&format!("    {name} {{\n")).nth(1).expect("it is declared");
    let mut lines = declared.lines();
    let mut rows = String::new();
    for variant in variants {
        let variant = format!("{variant:?}");
        let docs: Vec<_> = lines
            .by_ref()
            .map(str::trim)
            .take_while(|line| *line != format!("{variant},"))
            .map(|line| line.strip_prefix("/// ").expect("a doc comment before each variant"))
            .collect();
        assert!(!docs.is_empty(), "{variant} has no words");
        writeln!(rows, "| `{variant}` | {} |", docs.join(" ")).unwrap();
    }
    rows
}
