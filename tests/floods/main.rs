//! Peers that flood a real server over a real WebSocket, whether they listen or not: what a connection
//! holds on the heap, counted by the allocator, stays within what `Limits::worst_case_bytes` says.
//!
//! The allocator counts for the whole process, so these run one after the other, without the test
//! harness and its threads. Arguments filter by name.

#[path = "../../bench/src/idle/client.rs"]
mod idle_client;

use std::future::pending;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{Stream, stream};
use peak_alloc::PeakAlloc;
use tokio::runtime::Builder;
use wirestream::wire::{Frame, Open};
use wirestream::{Endpoint, Limits, Metrics, NoError, Receiver, Server, Session};
use wirestream_protocol::Role;
use wirestream_tests::until;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const PARAMETERS: u8 = 16;
const CALLS: u32 = 100;
/// What packets hold.
const PACKET: usize = 16 * 1024;
/// How often something is said that takes few bytes.
const TIMES: u32 = 30_000;
/// A server that takes nothing for so long is not going to.
const PATIENCE: Duration = Duration::from_millis(500);
/// What the process may have left when all is over.
const SLACK: usize = 256 * 1024;

fn open(call: u32, method: &'static str, arguments: &'static [u8]) -> Frame<'static> {
    Frame::Open(Open {
        call,
        parameters: PARAMETERS,
        method,
        fingerprint: None,
        token: None,
        metadata: Vec::new(),
        arguments,
    })
}

/// As a client sends it, under a mask of zeros.
fn websocket(head: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mut bytes = vec![head];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..126), _) => bytes.push(0x80 | len),
        (_, Ok(len)) => {
            bytes.push(0x80 | 126);
            bytes.extend(len.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

const BINARY: u8 = 0x82;
const BEGUN: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const PING: u8 = 0x89;

/// Packets of frames, of which one after the other is made.
fn packets(count: u32, frames: impl Fn(u32, &mut BytesMut)) -> Vec<u8> {
    let (mut bytes, mut packet) = (Vec::new(), BytesMut::new());
    for n in 0..count {
        frames(n, &mut packet);
        if packet.len() >= PACKET || n + 1 == count {
            bytes.extend(websocket(BINARY, &packet.split()));
        }
    }
    bytes
}

/// What is said on a parameter of each call, one after the other.
fn on_all_halves(say: impl Fn(u32, u8, &mut BytesMut)) -> Vec<u8> {
    let mut bytes = packets(CALLS, |n, packet| open(n + 1, "Flood.hold", b"").encode(packet));
    for half in 1..=PARAMETERS {
        bytes.extend(packets(CALLS, |n, packet| say(n + 1, half, packet)));
    }
    bytes
}

struct Flood {
    name: &'static str,
    bytes: fn() -> Vec<u8>,
    /// Written one by one.
    dribbles: bool,
    /// What the server has done by then, beside having read all of it.
    is_done: fn(&Metrics) -> bool,
}

static LARGE: [u8; 60 * 1024] = [1; 60 * 1024];

const FLOODS: &[Flood] = &[
    Flood::new("calls that are given up", || {
        packets(TIMES, |n, packet| {
            open(n + 1, "Flood.hold", b"").encode(packet);
            Frame::Stop { call: n + 1, half: 0 }.encode(packet);
        })
    }),
    Flood::new("calls", || {
        packets(TIMES, |n, packet| open(n + 1, "Flood.hold", b"").encode(packet))
    }),
    Flood::new("large requests", || {
        packets(2 * CALLS, |n, packet| open(n + 1, "Flood.hold", &LARGE).encode(packet))
    }),
    Flood::new("refusals", || {
        packets(TIMES, |n, packet| open(n + 1, "Flood.none", b"").encode(packet))
    }),
    Flood {
        // Each call's reply has as much to say as it may.
        is_done: |metrics| metrics.messages_out > u64::from(CALLS),
        ..Flood::new("replies", || {
            packets(CALLS, |n, packet| open(n + 1, "Flood.pour", b"").encode(packet))
        })
    },
    Flood::new("pings", || packets(100 * TIMES, |_, packet| Frame::Ping.encode(packet))),
    Flood::new("grants", || {
        packets(TIMES, |n, packet| match n {
            0 => open(1, "Flood.hold", b"").encode(packet),
            _ => Frame::Credit { call: 1, half: 0, amount: 1 }.encode(packet),
        })
    }),
    Flood::new("empty messages", || {
        on_all_halves(|call, half, packet| {
            for _ in 0..256 {
                Frame::Message { call, half, payload: b"" }.encode(packet);
            }
        })
    }),
    Flood::new("messages that nobody reads", || {
        on_all_halves(|call, half, packet| {
            Frame::Message { call, half, payload: &LARGE[..15_000] }.encode(packet);
        })
    }),
    Flood::new("messages in part", || {
        on_all_halves(|call, half, packet| {
            Frame::Begin { call, half, total: 15_000, payload: b"x" }.encode(packet);
        })
    }),
    Flood::new("messages nearly whole", || {
        on_all_halves(|call, half, packet| {
            let payload = &LARGE[..14_999];
            Frame::Begin { call, half, total: 15_000, payload }.encode(packet);
        })
    }),
    Flood::new("empty fragments", || {
        let more = websocket(GOES_ON, b"").repeat(10 * TIMES as usize);
        [websocket(BEGUN, b""), more].concat()
    }),
    Flood::new("fragments without end", || {
        let more = websocket(GOES_ON, b"x").repeat(10 * TIMES as usize);
        [websocket(BEGUN, b"x"), more].concat()
    }),
    Flood::new("pings of the WebSocket", || websocket(PING, &LARGE[..125]).repeat(TIMES as usize)),
    Flood {
        dribbles: true,
        ..Flood::new("a packet that dribbles in", || {
            let mut packet = BytesMut::new();
            open(1, "Flood.hold", &LARGE).encode(&mut packet);
            websocket(BINARY, &packet)
        })
    },
];

impl Flood {
    const fn new(name: &'static str, bytes: fn() -> Vec<u8>) -> Self {
        Self { name, bytes, dribbles: false, is_done: |_| true }
    }
}

fn hold(
    _: Session,
    (): (),
    parameters: Vec<Receiver<u8>>,
) -> impl Stream<Item = Result<u8, NoError>> + Send + use<> {
    stream::once(async move {
        let _unread = parameters;
        pending().await
    })
}

fn pour(
    _: Session,
    (): (),
    _: Vec<Receiver<u8>>,
) -> impl Stream<Item = Result<Vec<u8>, NoError>> + Send + use<> {
    stream::repeat_with(|| Ok(vec![7; 1_000]))
}

/// Says all of it, as long as somebody takes it.
fn pour_out(mut socket: TcpStream, bytes: &[u8], dribbles: bool) {
    socket.set_write_timeout(Some(PATIENCE)).expect("a socket");
    socket.set_nodelay(true).expect("a socket");
    let piece = if dribbles { 1 } else { PACKET };
    for piece in bytes.chunks(piece) {
        if socket.write_all(piece).is_err() {
            return;
        }
    }
}

/// Takes whatever comes, to the end.
fn listen(mut socket: TcpStream) {
    let mut buffer = [0; 4096];
    while socket.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

async fn stays_within_the_bound(flood: &Flood, listens: bool, limits: &Limits) {
    let endpoint = Endpoint::new("Flood").stream("hold", hold).stream("pour", pour);
    let server = Server::builder().endpoint(endpoint).limits(limits.clone()).build();
    let server = server.expect("a server");
    let listener = wirestream_tokio::bind("127.0.0.1:0").await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    tokio::spawn(wirestream_tokio::serve(listener, server.clone(), pending()));
    let bytes = (flood.bytes)();

    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let hello = idle_client::first_packet(false);
    let socket = idle_client::connect(address, &hello).expect("a connection");
    until("it is served", || server.metrics().connections_begun == 1).await;
    let clone = || socket.try_clone().expect("a socket");
    let hearing = listens.then(|| {
        let socket = clone();
        thread::spawn(move || listen(socket))
    });
    let (writing, dribbles) = (clone(), flood.dribbles);
    // Kept for as long as the heap is measured.
    let bytes = tokio::task::spawn_blocking(move || {
        pour_out(writing, &bytes, dribbles);
        bytes
    });
    let bytes = bytes.await.expect("it does not panic");
    until("the server has done its part", || {
        let metrics = server.metrics();
        metrics.connections_open == 0 || (flood.is_done)(&metrics)
    })
    .await;
    // It reads all of it before it sees the end, or has ended the connection for it.
    let _gone = socket.shutdown(Shutdown::Write);
    until("no connection", || server.metrics().connections_open == 0).await;
    let peak = HEAP.peak_usage().saturating_sub(before);
    drop(socket);
    if let Some(hearing) = hearing {
        hearing.join().expect("it does not panic");
    }
    until("the heap is as it was", || HEAP.current_usage() <= before + SLACK).await;

    drop(bytes);

    let bound = limits.worst_case_bytes(Role::Server);
    let name = flood.name;
    println!("  {name}, {}: {peak} of {bound}", if listens { "heard" } else { "unheard" });
    assert!(peak <= bound + bound / 10, "{name}: {peak} bytes, where {bound} are the bound");
}

fn main() {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let name = "what_a_flood_makes_a_server_hold_stays_within_the_bound";
    if filters.is_empty() || filters.iter().any(|filter| name.contains(&**filter)) {
        println!("test {name}");
        what_a_flood_makes_a_server_hold_stays_within_the_bound();
    }
}

fn what_a_flood_makes_a_server_hold_stays_within_the_bound() {
    let small = Limits { message: 16 * 1024, connection_window: 128 * 1024, ..Limits::default() };
    for limits in [Limits::default(), small] {
        for flood in FLOODS {
            for listens in [true, false] {
                let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
                let runtime = runtime.expect("a runtime");
                runtime.block_on(stays_within_the_bound(flood, listens, &limits));
            }
        }
    }
}
