//! F9: what sessions and connections hold is given back, and little while they are idle, counted by
//! the allocator, on every transport. `CYCLES=100000` makes as many connections, one after the other, instead of a few.
//!
//! The allocator counts for the whole process, so these run one after the other, without the test
//! harness and its threads. Arguments filter by name.

#[path = "../../bench/src/idle/client.rs"]
mod idle_client;

use std::future::{pending, poll_fn};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{FutureExt, stream};
use peak_alloc::PeakAlloc;
use tokio::runtime::Builder;
use wirestream::{Endpoint, MemoryTransport, MessageError, NoError, Server, Session, Transport};
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
    // One that its method keeps, and one that outlives it.
    let messages = session.messages();
    let _heard = messages.subscribe::<u32>("scores").await.expect("an open session");
    let listener = |_: Result<u32, MessageError>| {};
    messages.listen("scores", listener).await.expect("an open session");
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
    let (before, files, running) = (settled().await, descriptors(), tasks());
    connections(&rig, cycles).await;
    let most = before + SLACK;
    until("the heap is as it was", || HEAP.current_usage() <= most).await;
    until("no more descriptors than before", || descriptors() <= files).await;
    until("no more tasks than before", || tasks() <= running).await;
    let counters = rig.server.messages().counters();
    assert_eq!((counters.subscriptions, counters.channels), (0, 0));
    println!(
        "  {net:?}: {before} bytes, {files:?} descriptors and {running} tasks before, {}, {:?} and {} after {cycles}",
        HEAP.current_usage(),
        descriptors(),
        tasks()
    );
}

/// Idle connections that are made at a time.
const IDLE: usize = 500;

/// What a server holds for each idle connection, and for an idle stream on it, in bytes: the figures
/// of this version, of which no more than a tenth may be lost. In memory, the pipes are in it.
fn idle_bytes(net: Net) -> (usize, usize) {
    match net {
        Net::Memory => (2_749, 1_677),
        Net::Tokio => (5_534, 1_666),
        Net::Smol => (5_631, 1_627),
    }
}

async fn an_idle_connection_and_an_idle_stream_are_small(net: Net) {
    let (endpoint, method) = idle_client::METHOD.split_once('.').expect("an endpoint and a method");
    let wait = |_: Session, (): (), (): ()| stream::pending::<Result<u32, NoError>>();
    let idle = Endpoint::new(endpoint).stream(method, wait);
    let server = Server::builder().endpoint(idle).build().expect("a server");
    let address = listen(net, &server).await;
    let mut peers = Peers::default();
    peers.come(address, &server, false, 50).await;
    let before = settled().await;
    peers.come(address, &server, false, IDLE).await;
    let connections = settled().await;
    peers.come(address, &server, true, IDLE).await;
    let with_streams = settled().await;

    let each = (connections - before) / IDLE;
    let stream = ((with_streams - connections) / IDLE).saturating_sub(each);
    println!("  {net:?}: {each} bytes for an idle connection, {stream} for an idle stream");
    let known = idle_bytes(net);
    assert!(each <= known.0 + known.0 / 10, "{each} bytes, where {} were enough", known.0);
    assert!(stream <= known.1 + known.1 / 10, "{stream} bytes, where {} were enough", known.1);
    drop(peers);
    until("no connection", || server.metrics().connections_open == 0).await;
}

/// Where the server listens, if it is over sockets.
async fn listen(net: Net, server: &Server) -> Option<SocketAddr> {
    let any = "127.0.0.1:0";
    let server = server.clone();
    let address = match net {
        Net::Memory => return None,
        Net::Tokio => {
            let listener = wirestream_tokio::bind(any).await.expect("a port");
            let address = listener.local_addr();
            tokio::spawn(wirestream_tokio::serve(listener, server, pending()));
            address
        }
        Net::Smol => {
            let listener = wirestream_smol::bind(any).await.expect("a port");
            let address = listener.local_addr();
            smol::spawn(wirestream_smol::serve(listener, server, pending())).detach();
            address
        }
    };
    Some(address.expect("an address"))
}

/// Clients that hold next to nothing on the heap.
#[derive(Default)]
struct Peers {
    sockets: Vec<TcpStream>,
    pipes: Vec<MemoryTransport>,
    calls: u64,
}

impl Peers {
    /// So many more have come, and have heard what the server had to say.
    async fn come(&mut self, to: Option<SocketAddr>, server: &Server, streams: bool, count: usize) {
        self.sockets.reserve_exact(count);
        self.pipes.reserve_exact(count);
        self.calls += if streams { count as u64 } else { 0 };
        let packet = idle_client::first_packet(streams);
        for _ in 0..count {
            match to {
                Some(address) => {
                    let socket = idle_client::connect(address, &packet).expect("a connection");
                    self.sockets.push(socket);
                }
                None => self.pipes.push(pipe(server, &packet).await),
            }
        }
        let all = (self.sockets.len() + self.pipes.len()) as u64;
        until("all are served", || {
            let metrics = server.metrics();
            (metrics.connections_open, metrics.calls_open) == (all, self.calls)
        })
        .await;
        settled().await;
        for pipe in &mut self.pipes {
            while let Some(packet) = poll_fn(|cx| pipe.poll_recv(cx)).now_or_never() {
                packet.expect("a packet").expect("an open pipe");
            }
        }
    }
}

/// A client within the process.
async fn pipe(server: &Server, packet: &[u8]) -> MemoryTransport {
    let (mut here, there) = MemoryTransport::pair();
    let runtime = Arc::new(wirestream_tokio::Tokio::current());
    tokio::spawn(server.serve_connection(runtime, Box::new(there), None).map(drop));
    let mut packet = Bytes::copy_from_slice(packet);
    poll_fn(|cx| here.poll_send(cx, &mut packet)).await.expect("an open pipe");
    here
}

/// How many files and sockets the process has open, where the system tells.
fn descriptors() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

/// How many tasks of tokio's there are: all of them, but for those of smol.
fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
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
        let name = format!("an_idle_connection_and_an_idle_stream_are_small::{net:?}");
        if is_wanted(&name) {
            run(&name, an_idle_connection_and_an_idle_stream_are_small(net));
        }
        let name = format!("connections_leave_nothing_behind::{net:?}");
        if is_wanted(&name) {
            run(&name, connections_leave_nothing_behind(net));
        }
    }
}
