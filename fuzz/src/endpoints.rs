//! Two honest endpoints, whose applications do what the bytes say.

use core::time::Duration;

use wirestream_protocol::{Limits, Role};

use crate::input::Input;
use crate::support::script::{Op, World};

/// The longest script that is run.
const MOST: usize = 300;

/// The first bytes are both endpoints' limits and the delay between them, the others what the two
/// applications do, with all that the core's property tests check at every step. Then everything is
/// read and closed.
pub fn endpoints(data: &[u8]) {
    let mut input = Input::new(data);
    let (client, server) = (limits(&mut input), limits(&mut input));
    let delay = Duration::from_millis(u64::from(input.byte()) * 2);
    let mut world = World::new(client, server, delay);
    for _ in 0..MOST {
        if input.is_empty() {
            break;
        }
        world.apply(&op(&mut input));
    }
    world.settle();
    world.finish_all();
}

/// Three bytes: the sizes; windows, calls and parameters; the outgoing buffer.
fn limits(input: &mut Input<'_>) -> Limits {
    const SIZES: [u32; 4] = [4_096, 5_000, 16_385, 65_536];
    const SPARE: [u32; 4] = [0, 64, 4_000, 1 << 20];
    const OUTBOUND: [u32; 4] = [1, 4_096, 65_536, 1 << 20];
    let (sizes, windows, rest) = (input.byte(), input.byte(), input.byte());
    let two_bits = |byte: u8, place: u8| usize::from(byte >> (2 * place) & 3);
    let message = SIZES[two_bits(sizes, 0)] * if rest & 1 == 0 { 1 } else { 4 };
    let request = SIZES[two_bits(sizes, 2)];
    Limits {
        message,
        chunk: SIZES[two_bits(sizes, 1)],
        request,
        half_window: SIZES[two_bits(sizes, 3)] * 4,
        connection_window: message.max(request).max(16 * 1024) + SPARE[two_bits(windows, 0)],
        calls: 1 + u32::from(windows >> 2 & 7),
        parameters: 1 + (windows >> 5 & 3),
        outbound: OUTBOUND[two_bits(rest, 1)],
        ..Limits::default()
    }
}

fn op(input: &mut Input<'_>) -> Op {
    let first = input.byte();
    let role = if first & 0x80 == 0 { Role::Client } else { Role::Server };
    match first & 0x7f {
        op @ 0..=2 => Op::Open { parameters: op, arguments: size(input).min(65_000) },
        3..=5 => Op::Accept { pick: pick(input) },
        6 => Op::Reject { pick: pick(input) },
        7..=15 => {
            let (pick, half) = place(input);
            Op::Send { role, pick, half, size: size(input) }
        }
        16..=18 => {
            let (pick, half) = place(input);
            let fault = (first & 1 == 1).then(|| size(input).min(65_536));
            Op::Finish { role, pick, half, fault }
        }
        19..=23 => {
            let (pick, half) = place(input);
            Op::Recv { role, pick, half, count: usize::from(input.below(20)) }
        }
        24..=26 => {
            let (pick, half) = place(input);
            Op::RecvRun { role, pick, half }
        }
        27 | 28 => {
            let (pick, half) = place(input);
            Op::Stop { role, pick, half }
        }
        29 | 30 => Op::Release { role, pick: pick(input) },
        31 => Op::Close { role },
        32 => Op::Shutdown { role, seconds: input.below(40).into() },
        33 => Op::Ping { from: role, times: input.below(50).into() },
        34 => Op::Cut,
        35 => Op::CutAfter { role, packets: usize::from(input.below(12)) + 1 },
        36 | 37 => Op::Stall { role, stalled: first & 1 == 0 },
        38 | 39 => Op::Pass { millis: u64::from(input.byte()) * 50 },
        40 => Op::Jump { seconds: input.u16().into() },
        41..=44 => Op::PollEvents { role },
        _ => Op::Step { steps: usize::from(input.below(8)) + 1 },
    }
}

fn pick(input: &mut Input<'_>) -> usize {
    input.byte().into()
}

fn place(input: &mut Input<'_>) -> (usize, u8) {
    let byte = input.byte();
    (usize::from(byte >> 2), 1 + (byte & 3))
}

/// Around the sizes at which something changes, or any.
fn size(input: &mut Input<'_>) -> usize {
    const EDGES: [usize; 8] = [0, 64, 4_096, 5_000, 16_384, 16_385, 65_536, 262_143];
    match input.byte() {
        small @ 0..=0x7f => small.into(),
        edge @ 0x80..=0xbf => {
            (EDGES[usize::from(edge >> 3 & 7)] + usize::from(edge & 7)).saturating_sub(3)
        }
        _ => usize::from(input.u16()) * 4,
    }
}
