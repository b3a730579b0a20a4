//! Ten thousand clients that lose their server and come back. Memory is counted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use peak_alloc::PeakAlloc;
use wirestream::{
    BoxFuture, Client, ClientConfig, ConnectError, ConnectErrorKind, Dial, Endpoint, NoError,
    RetryPolicy, Server, Session, Time, Transport,
};
use wirestream_sim::{Network, Site, World};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const CLIENTS: usize = 10_000;
/// The highest bound of a pause.
const LONGEST: Duration = Duration::from_secs(8);
const OUTAGE: Duration = Duration::from_secs(32);
/// Attempts are counted in spans of this.
const SPAN: Duration = Duration::from_millis(400);

/// Writes down when it dials.
struct Noted {
    world: World,
    site: Site,
    network: Network,
    dials: Arc<Mutex<Vec<Time>>>,
}

impl Dial for Noted {
    fn dial(&self) -> BoxFuture<Result<Box<dyn Transport>, ConnectError>> {
        self.dials.lock().unwrap().push(self.world.now());
        let line = self.site.connect(&self.network);
        let dialled = line.map(|line| Box::new(line) as Box<dyn Transport>);
        let unreachable = || ConnectError {
            target: "a server".into(),
            kind: ConnectErrorKind::Unreachable,
            detail: "it is down".into(),
        };
        Box::pin(async move { dialled.ok_or_else(unreachable) })
    }
}

/// Says that it is there, and no more.
fn stay(_: Session, (): (), (): ()) -> impl futures_util::Stream<Item = Result<(), NoError>> {
    stream::iter([Ok(())]).chain(stream::pending())
}

fn server() -> Server {
    let endpoint = Endpoint::new("E").stream("stay", stay);
    Server::builder().endpoint(endpoint).build().expect("a server")
}

/// Waits until all are there.
async fn all_are_there(world: &World, server: &Server) {
    while server.metrics().calls_open < CLIENTS as u64 {
        world.sleep(SPAN).await;
    }
}

#[test]
fn ten_thousand_clients_that_come_back_dial_at_twice_the_fair_rate_at_most() {
    World::new(10_000).run(async |world| {
        let before = server();
        let site = world.site(before.clone());
        let dials = Arc::new(Mutex::new(Vec::with_capacity(20 * CLIENTS)));
        // Many networks, as each looks at all of its lines when one is added.
        let networks: Vec<_> = (0..100).map(|_| Network::new(&world)).collect();
        for number in 0..CLIENTS {
            let noted = Noted {
                world: world.clone(),
                site: site.clone(),
                network: networks[number % networks.len()].clone(),
                dials: Arc::clone(&dials),
            };
            let retry = RetryPolicy { attempts: u32::MAX, base: LONGEST / 4, longest: LONGEST };
            let config = ClientConfig { retry, ..ClientConfig::default() };
            let runtime = Arc::new(world.clone());
            let client = Client::new(runtime, Arc::new(noted), config).expect("a client");
            world.spawn(async move {
                loop {
                    let mut stays = client.call("E.stay").stream::<()>();
                    while let Some(Ok(())) = stays.next().await {}
                }
            });
        }
        all_are_there(&world, &before).await;
        let connected = HEAP.current_usage();

        drop(site.set(None));
        networks.iter().for_each(Network::cut);
        HEAP.reset_peak_usage();
        world.sleep(OUTAGE - 2 * LONGEST).await;
        let settled = world.now();
        world.sleep(2 * LONGEST).await;
        assert_eq!(before.connections(), 0);
        let (back, now) = (server(), world.now());
        drop(site.set(Some(back.clone())));
        all_are_there(&world, &back).await;
        assert!(world.now().since(now) < LONGEST + Duration::from_secs(1), "{:?}", world.now());
        assert_eq!(back.metrics().connections_begun, CLIENTS as u64);

        // Once the bound of their pauses is at its highest, these are half of it on average. An eighth
        // more is left to chance.
        let dials = std::mem::take(&mut *dials.lock().unwrap());
        let mut spans = vec![0_usize; 1_000];
        for dial in dials.iter().filter(|&&dial| dial >= settled) {
            spans[(dial.since(settled).as_nanos() / SPAN.as_nanos()) as usize] += 1;
        }
        let peak = spans.iter().max().expect("some");
        let fair = CLIENTS * SPAN.as_millis() as usize / LONGEST.as_millis() as usize;
        println!("{} dials, at most {peak} in {SPAN:?}, where {fair} are fair", dials.len());
        assert!(*peak <= 2 * fair + 2 * fair / 8, "{peak} in {SPAN:?}, where {fair} are fair");
        let most = HEAP.peak_usage();
        println!("{connected} bytes while all are connected, {most} at most while they come back");
        assert!(most <= connected + connected / 4, "{most} bytes, where {connected} were enough");
    });
}
