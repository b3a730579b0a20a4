//! Runs every target on its seeds and its corpus, and on some thousand mutations of these, always
//! the same ones.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use wirestream_fuzz::{TARGETS, Target};

/// How many mutations of each target's inputs are tried.
const MUTATIONS: usize = 2_000;
/// Inputs larger than this are run as they are.
const MOST: usize = 2_000;

macro_rules! replays {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        /// No target is forgotten above, and none has a corpus that is nobody's.
        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($target)),*];
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), replayed);
            let corpus = fs::read_dir(corpus()).expect("the corpus is in the tree");
            for folder in corpus {
                let name = folder.expect("a folder").file_name();
                assert!(replayed.iter().any(|target| name == **target), "{name:?} has no target");
            }
            for program in replayed {
                let program = format!("fuzz_targets/{program}.rs");
                assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&program).exists(), "{program}");
            }
        }
    };
}

replays! {
    address connection endpoints envelope frames handshake hello origin packet payload value
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let mut inputs = committed(target);
    assert!(!inputs.is_empty(), "the target {name} has no corpus: run fuzz/campaign");
    inputs.extend((target.seeds)());
    for input in &inputs {
        run(target, input);
    }
    inputs.retain(|input| input.len() <= MOST);
    let mut random = Random(name.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte)));
    for _ in 0..MUTATIONS {
        let mut input = inputs[random.below(inputs.len())].clone();
        for _ in 0..=random.below(4) {
            let other = &inputs[random.below(inputs.len())];
            mutate(&mut input, other, &mut random);
        }
        run(target, &input);
    }
}

/// Runs the target. Says which bytes it was, should it panic.
fn run(target: &Target, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        eprintln!("{} panics on \"{}\"", target.name, input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The target's corpus, in the order of its names.
fn committed(target: &Target) -> Vec<Vec<u8>> {
    let Ok(folder) = fs::read_dir(corpus().join(target.name)) else { return Vec::new() };
    let mut files: Vec<_> = folder.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file that can be read")).collect()
}

/// Changes, removes, repeats, inserts or takes from another input some bytes.
fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    const TELLING: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x3f, 0x40, 0x10];
    let at = random.below(input.len() + 1);
    let end = (at + random.below(9)).min(input.len());
    match random.below(6) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => input.insert(at, TELLING[random.below(TELLING.len())]),
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = TELLING[random.below(TELLING.len())];
            }
        }
        3 => {
            input.drain(at..end);
        }
        4 => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        _ => {
            let from = random.below(other.len() + 1);
            let to = (from + random.below(40)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
    }
}

/// A small generator of numbers (splitmix64): the same seed, the same numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).expect("below a usize")
    }
}
