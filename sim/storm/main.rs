//! Storms: clients, servers and networks that do whatever they may, seed after seed, and oracles that
//! watch all along. `cargo run --profile storm -p wirestream-sim -- --steps 10000000`; `sim/campaign` goes
//! on for 10^9 and writes `sim/RESULTS.md`.

mod books;
mod calls;
mod faults;
mod intruders;
mod messages;
mod oracle;
mod run;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::Instant;

use run::storm;

const USAGE: &str = "storm [--steps N] [--first SEED] [--seed SEED]

--steps N     runs seeds until so many steps are done (10,000,000)
--first SEED  begins with this one (0)
--seed SEED   runs this one alone";

fn main() -> ExitCode {
    let mut steps = 10_000_000;
    let (mut first, mut only) = (0, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = words.next().and_then(|number| number.replace('_', "").parse::<u64>().ok());
        match (word.as_str(), number) {
            ("--steps", Some(number)) => steps = number,
            ("--first", Some(number)) => first = number,
            ("--seed", Some(number)) => only = Some(number),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::FAILURE;
            }
        }
    }
    let began = Instant::now();
    let mut tally = oracle::Tally::default();
    let mut seed = only.unwrap_or(first);
    while tally.steps < steps {
        if seed % 1_000 == 0 {
            println!("seed {seed}, {} steps", tally.steps);
        }
        tally.add(&storm(seed));
        if only.is_some() {
            break;
        }
        seed += 1;
    }
    println!("{tally} in {:.1?}", began.elapsed());
    ExitCode::SUCCESS
}
