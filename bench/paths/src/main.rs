//! Walks one path so many times: `paths NAME COUNT`. Under callgrind, the difference between two counts
//! is what the path costs; `bench/guard` takes it.

mod core;
mod streams;

type Walk = fn(u32);

/// The calls that are open beside what is walked.
const MANY: u32 = 10_000;

/// The paths, and what walks them.
const PATHS: [(&str, Walk); 12] = [
    ("encode", core::encode),
    ("decode", core::decode),
    ("value", streams::value),
    ("value-bounded", streams::value_bounded),
    ("send", |count| core::send(count, 0)),
    ("send-beside", |count| core::send(count, MANY)),
    ("receive", |count| core::receive(count, 0)),
    ("receive-beside", |count| core::receive(count, MANY)),
    ("open-close", |count| core::open_close(count, 0)),
    ("open-close-beside", |count| core::open_close(count, MANY)),
    ("stream", streams::stream),
    ("call", streams::call),
];

fn main() -> Result<(), String> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, count] = &arguments[..] else {
        PATHS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let (_, walk) = PATHS.iter().find(|(known, _)| known == name).ok_or("no such path")?;
    walk(count.parse().map_err(|error| format!("{count}: {error}"))?);
    Ok(())
}
