//! Every reachable state of one call, its parameter half and its reply, between two honest
//! endpoints: all interleavings of what the two applications do, what leaves, what arrives, and of
//! the loss of the connection on either side.
//!
//! The tables are the shipping ones. What is around them (queues, credit, the order of frames) is
//! a model of `src/connection`, in small numbers: wires of three frames, windows of a few units.
//! The search is breadth-first, so that a failure shows a shortest way to it. In each state, a
//! rogue peer sends every kind of frame as well, and the answers are judged.

#[path = "explore/model.rs"]
mod model;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use model::{ACTIONS, Action, Cells, ROGUE, Role, Side, Verdict, World};
use wirestream_protocol::state::{
    CallEvent, CallState, ReceiverEvent, ReceiverState, SenderEvent, SenderState,
};

/// How many messages the applications send at most, on each half.
#[derive(Clone, Copy)]
struct Bounds {
    parameter: i8,
    reply: i8,
}

/// The states that were reached, each with the one before it and what led here.
type Known = HashMap<World, Option<(World, Action)>, BuildHasherDefault<Quick>>;

/// States are many and small, and nobody chooses them to collide.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_i8(&mut self, number: i8) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[derive(Default)]
struct Seen {
    cells: Cells,
    sides: HashSet<Side>,
    states: usize,
    transitions: usize,
    injected: usize,
    violations: usize,
    /// Both ends saw a clean end with messages before it.
    clean: usize,
}

/// Without the test harness, which would keep the numbers to itself. Arguments filter by name.
fn main() {
    const NAME: &str = "every_interleaving_keeps_the_rules_and_every_cell_is_reached";
    let filters: Vec<_> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    if filters.is_empty() || filters.iter().any(|filter| NAME.contains(&**filter)) {
        println!("test {NAME}");
        every_interleaving_keeps_the_rules_and_every_cell_is_reached();
    }
}

/// R-CALL-2, R-CALL-3, R-CALL-4, R-CALL-5, R-CALL-7, R-HALF-2, R-HALF-3, R-HALF-4, R-HALF-5, R-MSG-4,
/// R-CREDIT-2 to R-CREDIT-8.
fn every_interleaving_keeps_the_rules_and_every_cell_is_reached() {
    let mut seen = Seen::default();
    for (parameter, reply) in [(2, 0), (0, 2), (1, 1)] {
        explore(Bounds { parameter, reply }, &mut seen);
    }
    let Seen { states, transitions, injected, violations, .. } = seen;
    println!("explored {states} states, {transitions} transitions");
    println!("answered {injected} rogue frames, {violations} of them as violations");
    assert!(seen.clean > 0, "a clean end is within reach");
    assert_eq!(missing(&seen.cells), Vec::<String>::new(), "cells that nothing reached");
}

/// Breadth-first from the moment of `open` on.
fn explore(bounds: Bounds, seen: &mut Seen) {
    let start = World::new(bounds.parameter, bounds.reply);
    let mut known = Known::default();
    known.insert(start, None);
    let mut frontier = vec![start];
    while !frontier.is_empty() {
        let mut next = Vec::new();
        for world in frontier {
            let fail = |why: &str| panic!("{why}\n{:#?}", way(&known, world));
            world.check().unwrap_or_else(&fail);
            seen.clean += usize::from(world.both_saw_clean_ends());
            inject(&world, seen).unwrap_or_else(|why| fail(&why));
            let mut at_rest = true;
            let mut reached = Vec::new();
            for action in ACTIONS {
                match world.act(action, &mut seen.cells) {
                    Ok(after) if after == world => {}
                    Ok(after) => {
                        at_rest &= !action.is_network();
                        reached.push((action, after));
                    }
                    Err(why) => fail(&format!("{why}, by {action:?}")),
                }
            }
            if at_rest {
                world.check_at_rest().unwrap_or_else(fail);
            }
            seen.transitions += reached.len();
            for (action, after) in reached {
                if let Entry::Vacant(entry) = known.entry(after) {
                    entry.insert(Some((world, action)));
                    next.push(after);
                }
            }
        }
        frontier = next;
    }
    seen.states += known.len();
}

/// The actions that led to a state, and the state.
fn way(known: &Known, world: World) -> (Vec<Action>, World) {
    let mut actions = Vec::new();
    let mut at = world;
    while let Some(Some((before, action))) = known.get(&at) {
        actions.push(*action);
        at = *before;
    }
    actions.reverse();
    (actions, world)
}

/// A rogue peer's frames, each alone: what is illegal changes nothing, what is late changes
/// nothing but the credit that is owed for it.
fn inject(world: &World, seen: &mut Seen) -> Result<(), String> {
    for role in [Role::Client, Role::Server] {
        let before = *world.side(role);
        if before.lost {
            continue;
        }
        if !seen.sides.insert(before) {
            continue;
        }
        for frame in ROGUE {
            let mut side = before;
            let verdict = side.receive(frame, &mut seen.cells);
            let unchanged = match verdict {
                Verdict::Taken => true,
                Verdict::Late => {
                    side.owed = before.owed;
                    side == before
                }
                Verdict::Violation => side == before,
            };
            if !unchanged {
                return Err(format!(
                    "{frame:?} to the {role:?} was {verdict:?}, and did something"
                ));
            }
            seen.injected += 1;
            seen.violations += usize::from(verdict == Verdict::Violation);
        }
    }
    Ok(())
}

fn missing(cells: &Cells) -> Vec<String> {
    let mut missing = Vec::new();
    for &state in SenderState::ALL {
        for &event in SenderEvent::ALL {
            if !cells.sender[state as usize][event as usize] {
                missing.push(format!("sender: {state:?}, {event:?}"));
            }
        }
    }
    for &state in ReceiverState::ALL {
        for &event in ReceiverEvent::ALL {
            if !cells.receiver[state as usize][event as usize] {
                missing.push(format!("receiver: {state:?}, {event:?}"));
            }
        }
    }
    for &state in CallState::ALL {
        for &event in CallEvent::ALL {
            if !cells.call[state as usize][event as usize] {
                missing.push(format!("call: {state:?}, {event:?}"));
            }
        }
    }
    missing
}
