//! Every reachable state of two connections with a wire between them, and two honest applications
//! that do what they like: the shipping code itself, in worlds that are small enough.
//!
//! The search goes deep first and remembers each state by a hash of 64 bits. In each state the books
//! of credit balance, what was received is a prefix of what was sent, ends are what they say, and
//! nobody is accused. Where nothing moves any more by itself, both ends agree, and from there both
//! applications can end well what there is, with nothing left.

extern crate std;

use alloc::vec::Vec;
use core::hash::Hasher;
use std::collections::HashSet;
use std::hash::DefaultHasher;
use std::println;

use world::{Action, Plan, World};

mod side;
mod world;

const QUIET: Plan = Plan {
    name: "",
    calls: 1,
    at_a_time: 1,
    parameters: 1,
    up: 1,
    down: 1,
    unkind: false,
    away: false,
    breaks: false,
};

#[derive(Default)]
struct Seen {
    states: usize,
    transitions: usize,
    at_rest: usize,
    deepest: usize,
}

/// A state, and what is still to be tried in it.
struct Branch {
    world: World,
    actions: Vec<Action>,
    /// Nothing happens in it by itself.
    at_rest: bool,
    /// What has led here.
    by: Option<Action>,
}

impl Branch {
    fn new(world: World, by: Option<Action>) -> Self {
        Self { actions: world.actions(), world, at_rest: true, by }
    }
}

fn explore(plan: Plan) -> Seen {
    let mut seen = Seen::default();
    let mut known = HashSet::new();
    let start = World::new(plan);
    known.insert(hash(&start));
    let mut stack = alloc::vec![Branch::new(start, None)];
    while let Some(branch) = stack.last_mut() {
        let mut next = branch.world.clone();
        let mut by = None;
        while let Some(action) = branch.actions.pop() {
            match next.act(action) {
                Ok(false) => {}
                Ok(true) => {
                    by = Some(action);
                    break;
                }
                Err(why) => fail(why, &stack, Some(action), &[]),
            }
        }
        let Some(action) = by else {
            if branch.at_rest {
                seen.at_rest += 1;
                let mut done = Vec::new();
                let settled = next.agrees().and_then(|()| next.settles(&mut done));
                settled.unwrap_or_else(|why| fail(why, &stack, None, &done));
            }
            stack.pop();
            continue;
        };
        branch.at_rest &= !action.is_network();
        seen.transitions += 1;
        if known.insert(hash(&next)) {
            stack.push(Branch::new(next, Some(action)));
            seen.deepest = seen.deepest.max(stack.len());
        }
    }
    seen.states = known.len();
    let Seen { states, transitions, at_rest, deepest } = seen;
    println!("| {} | {states} | {transitions} | {at_rest} | {deepest} |", plan.name);
    seen
}

fn fail(why: &str, stack: &[Branch], last: Option<Action>, then: &[Action]) -> ! {
    let way: Vec<_> = stack.iter().filter_map(|branch| branch.by).chain(last).collect();
    panic!("{why}\n{way:?}\nand, to settle: {then:?}");
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Without messages.
const EMPTY: Plan = Plan { up: 0, down: 0, ..QUIET };
const UNKIND: Plan = Plan { unkind: true, ..EMPTY };
const AWAY: Plan = Plan { away: true, ..EMPTY };
const BREAKS: Plan = Plan { breaks: true, ..EMPTY };

const TWO_CALLS: Plan = Plan { calls: 2, at_a_time: 2, ..EMPTY };
const TWO_PARAMETERS: Plan = Plan { parameters: 2, ..EMPTY };
const TWO_OF_BOTH: Plan = Plan { parameters: 2, ..TWO_CALLS };

/// Some seconds of a debug build.
const NARROW: &[Plan] = &[
    Plan { name: "one call, 1 and 1 messages", ..QUIET },
    Plan { name: "one call, unkind", ..UNKIND },
    Plan { name: "one call, 1 and 0 messages, breaks", up: 1, ..BREAKS },
    Plan { name: "two calls, one at a time", at_a_time: 1, ..TWO_CALLS },
    Plan { name: "two parameters", ..TWO_PARAMETERS },
    Plan { name: "one call, no parameters, away, breaks", parameters: 0, away: true, ..BREAKS },
    Plan { name: "one call, away", ..AWAY },
];

/// Some minutes of a fast one.
const WIDE: &[Plan] = &[
    Plan { name: "one call, 1 and 1 messages", ..QUIET },
    Plan { name: "one call, 2 and 1 messages", up: 2, ..QUIET },
    Plan { name: "one call, 3 messages up", up: 3, ..EMPTY },
    Plan { name: "one call, 1 and 1 messages, unkind", up: 1, down: 1, ..UNKIND },
    Plan { name: "one call, 1 and 1 messages, away", up: 1, down: 1, ..AWAY },
    Plan { name: "one call, 1 and 1 messages, breaks", up: 1, down: 1, ..BREAKS },
    Plan { name: "one call, unkind, away, breaks", unkind: true, away: true, ..BREAKS },
    Plan { name: "two calls", ..TWO_CALLS },
    Plan { name: "two calls, one at a time", at_a_time: 1, ..TWO_CALLS },
    Plan { name: "two calls, breaks", breaks: true, ..TWO_CALLS },
    Plan {
        name: "two calls, no parameters, 1 message down, breaks",
        parameters: 0,
        down: 1,
        breaks: true,
        ..TWO_CALLS
    },
    Plan { name: "two calls, no parameters, unkind", parameters: 0, unkind: true, ..TWO_CALLS },
    Plan { name: "two calls, no parameters, away", parameters: 0, away: true, ..TWO_CALLS },
    Plan { name: "two parameters, 1 and 1 messages", up: 1, down: 1, ..TWO_PARAMETERS },
    Plan {
        name: "two parameters, 1 message up each, breaks",
        up: 1,
        breaks: true,
        ..TWO_PARAMETERS
    },
    Plan { name: "two parameters, unkind", unkind: true, ..TWO_PARAMETERS },
    Plan { name: "two calls, two parameters each", ..TWO_OF_BOTH },
];

/// R-CALL-2 to R-CALL-7, R-HALF-2 to R-HALF-5, R-MSG-3 to R-MSG-6, R-CREDIT-2 to R-CREDIT-9,
/// R-AWAY-1 to R-AWAY-3. Those of `WIDE` whose names begin as `WIRESTREAM_EXPLORE`
/// says, if it is set: `protocol/explored/run`.
#[test]
fn every_interleaving_in_a_small_world_keeps_the_contract() {
    let wanted = std::env::var("WIRESTREAM_EXPLORE").ok();
    let plans = if wanted.is_some() { WIDE } else { NARROW };
    let is_wanted = |plan: &&Plan| plan.name.starts_with(wanted.as_deref().unwrap_or_default());
    assert!(plans.iter().any(|plan| is_wanted(&plan)), "no world of that name");
    for &plan in plans.iter().filter(is_wanted) {
        let seen = explore(plan);
        assert!(seen.states > 1_000 && seen.at_rest > 100, "{}", plan.name);
    }
}
