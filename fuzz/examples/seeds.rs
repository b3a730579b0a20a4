//! Writes what a campaign begins with: `cargo run --example seeds -- TARGET FOLDER`.

use std::path::PathBuf;
use std::{env, fs, io};

use wirestream_fuzz::TARGETS;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(name), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other("a target and a folder are needed"));
    };
    let target = TARGETS.iter().find(|target| target.name == name);
    let Some(target) = target else { return Err(io::Error::other("there is no such target")) };
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    for (number, seed) in (target.seeds)().into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:04}")), seed)?;
    }
    Ok(())
}
