//! One run: everything at once, and then the calm.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use wirestream::{BoxFuture, ClientConfig, Limits, MessageConfig, Metrics, RetryPolicy, Server};
use wirestream_sim::{Network, World};

use crate::faults::{Place, befall};
use crate::messages::{self, Hub};
use crate::oracle::{Oracle, Tally};
use crate::{books, calls, intruders};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Calls that are given up, and frames that lead to nothing, a second.
pub(crate) const RATE: u32 = 100;

/// Limits that are soon reached.
fn limits(world: &World) -> Limits {
    let of = |choices: &[u32]| choices[world.chance(choices.len() as u64) as usize];
    Limits {
        message: 16_384,
        chunk: of(&[4_096, 8_192]),
        request: 4_096,
        half_window: of(&[4_096, 5_000, 65_536]),
        connection_window: of(&[16_384, 20_000, 262_144]),
        calls: of(&[3, 20, 100]),
        outbound: of(&[1, 4_096, 65_536]),
        resets: RATE,
        idle_frames: RATE,
        linger: Duration::from_millis(world.chance(8_000)),
        ..Limits::default()
    }
}

/// A run of one seed.
///
/// # Panics
/// An oracle has seen what must not be.
pub(crate) fn storm(seed: u64) -> Tally {
    let world = World::new(seed);
    let oracle = Oracle::default();
    let run = catch_unwind(AssertUnwindSafe(|| {
        world.run(async |world| {
            let (rage, day) = (rage(&world, &oracle), world.sleep(24 * HOUR));
            match select(pin!(rage), pin!(day)).await {
                Either::Left(((), _)) => {}
                Either::Right(((), _)) => panic!("it does not end"),
            }
        });
    }));
    if let Err(panic) = run {
        eprintln!("Again: cargo run --profile storm -p wirestream-sim -- --seed {seed}");
        resume_unwind(panic);
    }
    Tally { runs: 1, steps: world.steps(), trace: world.trace(), ..oracle.tally() }
}

async fn rage(world: &World, oracle: &Oracle) {
    let hub = Hub::new(world);
    let make = {
        let (world, oracle, hub, limits) =
            (world.clone(), oracle.clone(), hub.clone(), limits(world));
        move || {
            let unread = MessageConfig { unread: 20, ..MessageConfig::default() };
            let server = Server::builder().endpoint(calls::endpoint(&world, &oracle));
            let server = server.limits(limits.clone()).messages(unread).bus(hub.bus());
            server.build().expect("all of it agrees")
        }
    };
    if world.chance(3) == 0 {
        oracle.brisk();
    }
    let sites: Vec<_> = (0..1 + world.chance(2)).map(|_| world.site(make())).collect();
    let mut networks = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..1 + world.chance(3) {
        let network = Network::new(world);
        network.set_room([1, 4_096, 65_536][world.chance(3) as usize]);
        let site = &sites[world.chance(sites.len() as u64) as usize];
        let retry = RetryPolicy { attempts: world.chance(4) as u32, ..RetryPolicy::default() };
        let config = ClientConfig { limits: limits(world), retry, ..ClientConfig::default() };
        clients.push(world.client(site, &network, config));
        networks.push(network);
    }

    let mut doing = Vec::new();
    let faults = [0, 0, 3, 12][world.chance(4) as usize];
    let faults = if oracle.is_brisk() { 0 } else { faults };
    world.spawn(books::watch(world.clone(), clients.clone(), sites.clone()));
    let places = sites.iter().map(|site| {
        let make = make.clone();
        Place { site: site.clone(), make: Box::new(make) }
    });
    doing.push(world.join(befall(
        world.clone(),
        oracle.clone(),
        networks.clone(),
        places.collect(),
        clients.clone(),
        faults,
    )));
    for client in &clients {
        for _ in 0..1 + world.chance(6) {
            let (world, oracle, client) = (world.clone(), oracle.clone(), client.clone());
            doing.push(world.clone().join(async move {
                for _ in 0..1 + world.chance(6) {
                    calls::call(&world, &oracle, &client).await;
                }
            }));
        }
    }
    let intruders = if oracle.is_brisk() { 0 } else { world.chance(4) };
    for _ in 0..intruders {
        let site = sites[world.chance(sites.len() as u64) as usize].clone();
        let network = Network::new(world);
        match world.chance(3) {
            0 => doing.push(world.join(intruders::flood(world.clone(), site, network))),
            _ => doing.push(world.join(intruders::intrude(world.clone(), site, network))),
        }
    }
    if world.chance(2) == 0 {
        doing.extend(talk(world, oracle, &hub, &make));
    }
    for done in doing {
        done.await.expect("nobody gives it up");
    }
    let servers = calm(world, oracle, &clients, &sites, &hub).await;
    if faults == 0 && intruders == 0 {
        // Who gives a call up tells so, and all else ends in order.
        let lost: u64 = servers.iter().map(|server| server.metrics().calls_lost).sum();
        assert_eq!(lost, 0, "a server lost calls, and nothing had happened");
    }
}

/// Servers of their own, that only post and listen.
fn talk(
    world: &World,
    oracle: &Oracle,
    hub: &Hub,
    make: &impl Fn() -> Server,
) -> Vec<BoxFuture<Option<()>>> {
    let servers: Vec<_> = (0..1 + world.chance(3)).map(|_| make()).collect();
    let any = || servers[world.chance(servers.len() as u64) as usize].clone();
    let mut doing = Vec::new();
    for poster in 0..1 + world.chance(4) {
        let post = messages::post(world.clone(), oracle.clone(), any(), poster, world.chance(200));
        doing.push(world.join(post));
    }
    for _ in 0..1 + world.chance(5) {
        doing.push(world.join(messages::listen(world.clone(), oracle.clone(), any())));
    }
    if world.chance(2) == 0 {
        oracle.bus_fault();
        let (world, hub) = (world.clone(), hub.clone());
        doing.push(world.clone().join(async move {
            for _ in 0..world.chance(5) {
                world.sleep(Duration::from_millis(world.chance(2_000))).await;
                hub.restart().await;
            }
        }));
    }
    doing
}

/// What must be once nothing happens any more.
async fn calm(
    world: &World,
    oracle: &Oracle,
    clients: &[wirestream::Client],
    sites: &[wirestream_sim::Site],
    hub: &Hub,
) -> Vec<Server> {
    let patience = Duration::from_secs(120);
    for client in clients {
        // At the latest when a line that is held up was found to be dead.
        let begun = world.now();
        while !calls::works(client, world, oracle).await {
            assert!(world.now().since(begun) < patience, "a client does not recover");
        }
    }
    let mut lasting = Vec::new();
    for client in clients {
        let begun = world.now();
        loop {
            if let Some(call) = calls::lasting(world, oracle, client).await {
                lasting.push(call);
                break;
            }
            assert!(world.now().since(begun) < patience, "no call goes on");
            world.sleep(Duration::from_secs(1)).await;
        }
    }
    books::balance(world, clients, sites).await;
    drop(lasting);
    world.sleep(Duration::from_secs(1)).await; // so that their servers are told
    let servers: Vec<_> = sites.iter().filter_map(|site| site.set(None)).collect();
    clients.iter().for_each(wirestream::Client::disconnect);
    // The slowest reader has what it reads before it for twenty minutes.
    let (begun, patience) = (world.now(), HOUR);
    let is_at_rest = |metrics: Metrics| {
        metrics.connections_open
            + metrics.calls_open
            + metrics.stalled_halves
            + metrics.buffered_in
            + metrics.buffered_out
            == 0
    };
    loop {
        let all_rest = clients.iter().map(wirestream::Client::metrics).all(is_at_rest)
            && servers.iter().map(Server::metrics).all(is_at_rest);
        if all_rest && !oracle.is_anything_live() && hub.wanted().is_empty() {
            break;
        }
        let left = || (servers.iter().map(Server::metrics).collect::<Vec<_>>(), hub.wanted());
        assert!(world.now().since(begun) < patience, "something is left: {:?}", left());
        world.sleep(Duration::from_secs(1)).await;
    }
    for metrics in clients.iter().map(wirestream::Client::metrics) {
        let sum = metrics.calls_finished
            + metrics.calls_failed
            + metrics.calls_rejected
            + metrics.calls_cancelled
            + metrics.calls_lost;
        assert_eq!(metrics.calls_begun, sum, "{metrics:?}");
    }
    servers
}
