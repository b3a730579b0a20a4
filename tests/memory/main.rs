//! F9: what sessions and connections hold is given back, counted by the allocator, on every
//! transport. `CYCLES=100000` makes as many connections, one after the other, instead of a few.
//!
//! The allocator counts for the whole process, so these run one after the other, without the test
//! harness and its threads. Arguments filter by name.

use futures_util::future::join_all;
use peak_alloc::PeakAlloc;
use tokio::runtime::Builder;
use wirestream::{Endpoint, NoError, Server, Session};
use wirestream_tests::{Net, Rig, TestClient, until};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const SESSIONS: usize = 100_000;
/// Calls at a time.
const TOGETHER: usize = 50;
/// What the heap may differ by between two moments at which nothing is called: less than a byte for
/// each session.
const SLACK: usize = 64 * 1024;

/// What an application keeps with a session: large, so that a few that are left would show.
struct Player(Vec<u8>, Session);

async fn play(session: Session, (): (), (): ()) -> Result<usize, NoError> {
    // It holds the session that holds it.
    let before = session.set(Player(vec![7; 10_000], session.clone()));
    assert!(before.is_none());
    let player = session.get::<Player>().expect("a player");
    session.on_close(async move || drop(player)).expect("an open session");
    let player = session.get::<Player>().map(|player| (player.0.len(), player.1.id()));
    Ok(player.filter(|(_, id)| *id == session.id()).map_or(0, |(size, _)| size))
}

async fn calls(client: &TestClient, calls: usize) {
    for _ in 0..calls / TOGETHER {
        let calls = (0..TOGETHER).map(|_| client.call("Game.play").unary::<usize>());
        assert!(join_all(calls).await.into_iter().all(|size| size == Ok(10_000)));
    }
}

async fn a_hundred_thousand_sessions_leave_no_memory_behind(net: Net) {
    let game = Endpoint::new("Game").unary("play", play);
    let rig = Rig::start(net, Server::builder().endpoint(game).build().expect("a server")).await;
    let client = rig.lasting_client();
    calls(&client, 5_000).await;
    let before = settled().await;
    calls(&client, SESSIONS).await;
    let most = before + SLACK;
    until("the heap is as it was", || HEAP.current_usage() <= most).await;
    println!("  {net:?}: {before} bytes before, {} after", HEAP.current_usage());
}

/// A client connects, makes a call, and goes; so many times.
async fn connections(rig: &Rig, count: usize) {
    for _ in 0..count {
        let client = rig.lasting_client();
        assert_eq!(client.call("Game.play").unary::<usize>().await, Ok(10_000));
        client.disconnect();
        assert_eq!(client.line.dials(), 1);
    }
    until("no connection", || rig.server.metrics().connections_open == 0).await;
}

async fn connections_leave_nothing_behind(net: Net) {
    let cycles = std::env::var("CYCLES").map_or(1_000, |count| count.parse().expect("a number"));
    let game = Endpoint::new("Game").unary("play", play);
    let rig = Rig::start(net, Server::builder().endpoint(game).build().expect("a server")).await;
    connections(&rig, 100).await;
    let (before, files) = (settled().await, descriptors());
    connections(&rig, cycles).await;
    let most = before + SLACK;
    until("the heap is as it was", || HEAP.current_usage() <= most).await;
    until("no more descriptors than before", || descriptors() <= files).await;
    println!(
        "  {net:?}: {before} bytes and {files:?} descriptors before, {} and {:?} after {cycles}",
        HEAP.current_usage(),
        descriptors()
    );
}

/// How many files and sockets the process has open, where the system tells.
fn descriptors() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

/// The heap's size once the last tasks are done.
async fn settled() -> usize {
    let mut least = usize::MAX;
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        least = least.min(HEAP.current_usage());
    }
    least
}

fn run(name: &str, scenario: impl Future<Output = ()>) {
    println!("test {name}");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(scenario);
}

fn main() {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(&**filter));
    for net in [Net::Memory, Net::Tokio, Net::Smol] {
        let name = format!("f9_a_hundred_thousand_sessions_leave_no_memory_behind::{net:?}");
        if is_wanted(&name) {
            run(&name, a_hundred_thousand_sessions_leave_no_memory_behind(net));
        }
        let name = format!("connections_leave_nothing_behind::{net:?}");
        if is_wanted(&name) {
            run(&name, connections_leave_nothing_behind(net));
        }
    }
}
