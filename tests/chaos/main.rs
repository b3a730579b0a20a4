//! Real sockets through a proxy that does to them what networks do: on both adapters, and under TLS
//! with `WIRESTREAM_OVER_TLS=1`.
//!
//! Whatever happens, each stream is an exact prefix of what was sent and then says what is true: it
//! looks complete only if it is. `CHAOS=long` tries many more places.

mod proxy;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use wirestream::{
    ClientConfig, Endpoint, Limits, LostReason, NoError, Receiver, Server, Session, StreamError,
};
use wirestream_tests::{LONG, Net, Rig, TestClient, dial_url, soon, until};

use proxy::{Fault, Proxy, Way};

macro_rules! on_both {
    ($($name:ident,)*) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_tokio() {
                super::$name(super::Net::Tokio).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_smol() {
                super::$name(super::Net::Smol).await;
            }
        }
    )* };
}

on_both! {
    a_connection_that_is_cut_anywhere_loses_streams_and_never_looks_well,
    a_connection_that_falls_silent_anywhere_is_given_up_in_time,
    what_comes_in_pieces_in_lumps_or_late_comes_whole,
}

const COUNT: u64 = 300;
const BLOB: usize = 40 * 1024;
const BLOBS: u8 = 4;

/// Bytes that the work takes at least, each way.
const ENOUGH: usize = 150 * 1024;

fn blob(number: u8) -> Vec<u8> {
    vec![number; BLOB]
}

/// Of ends that keep a connection however slow it is.
fn patient() -> Limits {
    Limits {
        handshake: LONG,
        ping: LONG,
        dead: LONG,
        stall: LONG,
        linger: LONG,
        ..Limits::default()
    }
}

/// Of ends that give one up soon.
fn hasty() -> Limits {
    let soon = Duration::from_millis(300);
    Limits { ping: soon, dead: soon, stall: 2 * soon, handshake: 5 * soon, ..patient() }
}

fn server(limits: Limits) -> Server {
    let count = |_: Session, (): (), (): ()| stream::iter((0..COUNT).map(Ok::<_, NoError>));
    let echo = |_: Session, (): (), (input,): (Receiver<Vec<u8>>,)| {
        input.filter_map(async |blob| blob.ok().map(Ok::<_, NoError>))
    };
    let numbers = |_: Session, (): (), (input,): (Receiver<u64>,)| {
        input.filter_map(async |number| number.ok().map(Ok::<_, NoError>))
    };
    let add = async |_: Session, (a, b): (i64, i64), (): ()| Ok::<_, NoError>(a + b);
    let methods = Endpoint::new("Chaos")
        .stream("count", count)
        .stream("echo", echo)
        .stream("numbers", numbers)
        .unary("add", add);
    Server::builder().endpoint(methods).limits(limits).build().expect("a sound server")
}

struct World {
    rig: Rig,
    proxy: Proxy,
    client: TestClient,
}

impl World {
    async fn new(net: Net, limits: Limits, fault: Fault) -> Self {
        let rig = Rig::start(net, server(limits.clone())).await;
        let proxy = Proxy::on_connection(0, rig.address().expect("an address"), fault).await;
        let scheme = if wirestream_tests::over_tls() { "wss" } else { "ws" };
        let dial = dial_url(net, &format!("{scheme}://{}", proxy.address), limits.handshake);
        let config = ClientConfig { limits, ..ClientConfig::default() };
        let client = TestClient::new(net, dial, config);
        Self { rig, proxy, client }
    }

    /// How the work went, each part by its own.
    async fn work(&self) -> Vec<Result<(), StreamError>> {
        let count = async {
            let reply = self.client.call("Chaos.count").stream::<u64>();
            exactly(reply, (0..COUNT).collect()).await
        };
        let numbers = async {
            let input = stream::iter(0..COUNT);
            let reply = self.client.call("Chaos.numbers").parameter(input).stream::<u64>();
            exactly(reply, (0..COUNT).collect()).await
        };
        let blobs = async {
            let input = stream::iter((0..BLOBS).map(blob));
            let reply = self.client.call("Chaos.echo").parameter(input).stream::<Vec<u8>>();
            exactly(reply, (0..BLOBS).map(blob).collect()).await
        };
        let sums = async {
            for number in 0..20 {
                self.add(number).await?;
            }
            Ok(())
        };
        join_all([count.boxed(), numbers.boxed(), blobs.boxed(), sums.boxed()]).await
    }

    async fn add(&self, number: i64) -> Result<(), StreamError> {
        let sum = self.client.call("Chaos.add").arguments(&(number, 1_i64)).unary::<i64>().await?;
        assert_eq!(sum, number + 1);
        Ok(())
    }

    /// Nothing is left of what went wrong, and the next call works.
    async fn recovers(&self) {
        self.add(1).await.expect("a call on a new connection");
        let server = &self.rig.server;
        until("nothing left at the server", || {
            let metrics = server.metrics();
            metrics.calls_open == 0 && metrics.connections_open == 1 && metrics.buffered_in == 0
        })
        .await;
        assert_eq!(server.metrics().connections_violated, 0);
    }
}

/// Exactly these come, and then the end; or some of them, and then an error.
async fn exactly<T: PartialEq>(
    mut reply: impl StreamExt<Item = Result<T, StreamError>> + Unpin,
    expected: Vec<T>,
) -> Result<(), StreamError> {
    let mut expected = expected.into_iter();
    while let Some(item) = reply.next().await {
        assert!(Some(item?) == expected.next(), "something else than what was sent");
    }
    assert_eq!(expected.len(), 0, "an end that looks well, with something missing");
    Ok(())
}

/// Runs the work with a fault on its first connection. How many parts of it were lost.
async fn with(net: Net, limits: Limits, fault: Fault) -> usize {
    let world = World::new(net, limits, fault).await;
    let results = soon("the end of the work", world.work()).await;
    let mut lost = 0;
    for result in results {
        match result {
            Ok(()) => {}
            Err(StreamError::Lost(LostReason::Closed(_) | LostReason::Connect(_))) => lost += 1,
            Err(other) => panic!("{fault:?}: {other}"),
        }
    }
    soon("a calm", world.recovers()).await;
    if lost > 0 {
        assert!(world.proxy.connections() > 1, "{fault:?}: the connection that was lost is used");
    }
    lost
}

/// Runs all of these, some at a time. How many had losses.
async fn with_each(net: Net, limits: Limits, faults: Vec<Fault>) -> usize {
    let run = |fault| with(net, limits.clone(), fault);
    let lost = stream::iter(faults).map(run).buffer_unordered(8);
    lost.filter(|&lost| std::future::ready(lost > 0)).count().await
}

fn is_long() -> bool {
    std::env::var("CHAOS").is_ok_and(|how| how == "long")
}

/// Where connections are cut: at each byte of the beginning, and here and there behind it.
fn places() -> BTreeSet<usize> {
    let (step, many) = if is_long() { (1, 2_000) } else { (13, 40) };
    let mut chance = fastrand::Rng::with_seed(7);
    let later = std::iter::repeat_with(|| chance.usize(1..ENOUGH)).take(many);
    (1..700).step_by(step).chain(later).collect()
}

/// E7, E8
async fn a_connection_that_is_cut_anywhere_loses_streams_and_never_looks_well(net: Net) {
    let mut faults = Vec::new();
    for at in places() {
        for way in [Way::Up, Way::Down] {
            faults.extend([Fault::Cut(way, at), Fault::Reset(way, at)]);
        }
    }
    let count = faults.len();
    let lost = with_each(net, patient(), faults).await;
    // Each of them comes before the end of the work.
    assert_eq!(lost, count);
}

/// E14
async fn a_connection_that_falls_silent_anywhere_is_given_up_in_time(net: Net) {
    let mut faults = Vec::new();
    let some = places().into_iter().step_by(if is_long() { 10 } else { 12 });
    for at in some {
        for way in [Way::Up, Way::Down] {
            faults.extend([Fault::Hole(way, at), Fault::BlackHole(way, at)]);
        }
    }
    let count = faults.len();
    assert_eq!(with_each(net, hasty(), faults).await, count);
}

async fn what_comes_in_pieces_in_lumps_or_late_comes_whole(net: Net) {
    let mut faults = vec![Fault::Nothing, Fault::Coalesce];
    faults.extend([1, 7, 100, 1_000].map(Fault::Split));
    faults.extend([1, 5, 20].map(Fault::Delay));
    assert_eq!(with_each(net, patient(), faults).await, 0);
}
