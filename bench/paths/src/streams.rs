//! What an application does, over lines within the process, in one thread, in an order of one seed.

use std::hint::black_box;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use wirestream::{Client, ClientConfig, Endpoint, Limits, NoError, Server, Session};
use wirestream_sim::{Network, World};

/// Some 64 bytes: where one of many players is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Move {
    player: u64,
    at: [f64; 3],
    towards: [f64; 3],
    tick: u64,
}

const MOVE: Move =
    Move { player: 1 << 40, at: [1.0, 2.0, 3.0], towards: [0.0, 1.0, 0.0], tick: 1 << 20 };

fn with_client(walk: impl AsyncFnOnce(Client)) {
    World::new(1).run(async |world| {
        let moves = |_: Session, (count,): (u32,), (): ()| {
            stream::iter(
                (0..count).map(|tick| Ok::<_, NoError>(Move { tick: tick.into(), ..MOVE })),
            )
        };
        let step = async |_: Session, (step,): (Move,), (): ()| Ok::<_, NoError>(step.tick);
        let endpoint = Endpoint::new("Game").stream("moves", moves).unary("step", step);
        let server = Server::builder().endpoint(endpoint).build().expect("a sound server");
        let site = world.site(server);
        let network = Network::new(&world);
        walk(world.client(&site, &network, ClientConfig::default())).await;
    });
}

/// A stream of moves from the server, encoded, sent, received and decoded.
pub(crate) fn stream(count: u32) {
    with_client(async |client| {
        let mut moves = client.call("Game.moves").arguments(&(count,)).stream::<Move>();
        let mut come = 0;
        while let Some(step) = moves.next().await {
            come += u32::from(step.is_ok());
        }
        assert_eq!(come, count);
    });
}

/// One call after the other.
pub(crate) fn call(count: u32) {
    with_client(async |client| {
        for _ in 0..count {
            let tick = client.call("Game.step").arguments(&(MOVE,)).unary::<u64>().await;
            assert_eq!(tick, Ok(MOVE.tick));
        }
    });
}

/// What holds a move of some bytes, as postcard alone reads it.
pub(crate) fn value(count: u32) {
    let bytes = wirestream::fuzz::encode(&MOVE).expect("it encodes");
    for _ in 0..count {
        let read: Move = postcard::from_bytes(black_box(&bytes)).expect("it decodes");
        black_box(read);
    }
}

/// The same, within the limits of a receiver.
pub(crate) fn value_bounded(count: u32) {
    let bytes = wirestream::fuzz::encode(&MOVE).expect("it encodes");
    let limits = Limits::default();
    for _ in 0..count {
        let read: Move = wirestream::fuzz::decode(black_box(&bytes), &limits).expect("it decodes");
        black_box(read);
    }
}
