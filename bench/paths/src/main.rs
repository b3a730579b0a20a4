//! Walks one path so many times: `paths NAME COUNT`. Under callgrind, the difference between two counts
//! is what the path costs; `bench/guard` takes it.

mod core;
mod streams;

type Walk = fn(u32);

/// The paths, and what walks them.
const PATHS: [(&str, Walk); 7] = [
    ("encode", core::encode),
    ("decode", core::decode),
    ("send", core::send),
    ("receive", core::receive),
    ("open-close", core::open_close),
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
