//! What a shutdown leaves to handlers that run.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use wirestream::{
    ClientConfig, Endpoint, NoError, Receiver, Server, Session, StreamError, Time, channel,
};
use wirestream_sim::{Network, World};

/// Says when it is dropped.
struct Handler {
    world: World,
    name: &'static str,
    ends: Arc<Mutex<Vec<(&'static str, Duration)>>>,
    begun: Time,
}

impl Drop for Handler {
    fn drop(&mut self) {
        let lasted = self.world.now().since(self.begun);
        self.ends.lock().unwrap().push((self.name, lasted));
    }
}

const SECOND: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(10);

#[test]
fn handlers_have_the_grace_of_a_shutdown_and_no_more() {
    for seed in 0..20 {
        shut_down(seed);
    }
}

fn shut_down(seed: u64) {
    World::new(seed).run(async |world| {
        let ends = Arc::<Mutex<Vec<_>>>::default();
        let (place, clock, begun) = (Arc::clone(&ends), world.clone(), world.now());
        let handler = move |name| {
            let (world, ends) = (clock.clone(), Arc::clone(&place));
            Handler { world, name, ends, begun }
        };
        let [short, endless, deaf] = [handler.clone(), handler.clone(), handler];
        let clock = world.clone();
        let methods = Endpoint::new("E")
            .unary("short", move |_: Session, (): (), (): ()| {
                let (handler, world) = (short("short"), clock.clone());
                async move {
                    let _handler = handler;
                    world.sleep(8 * SECOND).await;
                    Ok::<u8, NoError>(7)
                }
            })
            .unary("endless", move |_: Session, (): (), (): ()| {
                let handler = endless("endless");
                async move {
                    let _handler = handler;
                    pending::<Result<u8, NoError>>().await
                }
            })
            .unary("deaf", move |_: Session, (): (), (input,): (Receiver<u8>,)| {
                let handler = deaf("deaf");
                async move {
                    let _kept = (handler, input);
                    pending::<Result<u8, NoError>>().await
                }
            });
        let server = Server::builder().endpoint(methods).build().expect("a server");
        let site = world.site(server.clone());
        let client = world.client(&site, &Network::new(&world), ClientConfig::default());
        let (input, messages) = channel::<u8>();
        let calls = ["E.short", "E.endless"].map(|method| client.call(method).unary::<u8>());
        let calls = calls.into_iter().chain([client.call("E.deaf").parameter(messages).unary()]);
        input.send(1).await.expect("somebody listens");
        let calls = world.join(join_all(calls));
        world.sleep(5 * SECOND).await;
        assert_eq!((server.metrics().calls_open, ends.lock().unwrap().len()), (3, 0));

        let over = world.now().since(begun) + GRACE;
        server.shutdown(GRACE).await;
        let all = over..over + SECOND;
        assert!(all.contains(&world.now().since(begun)), "{:?}", world.now());
        assert_eq!(server.metrics().calls_open, 0);
        let results = calls.await.expect("all of them");
        assert_eq!(results[0], Ok(7), "there was time for it");
        for result in &results[1..] {
            assert!(matches!(result, Err(StreamError::Lost(_))), "{result:?}");
        }
        // Each handler was left alone until it was done, or the grace was over: then it is dropped.
        world.sleep(SECOND).await;
        let mut ends = std::mem::take(&mut *ends.lock().unwrap());
        ends.sort_unstable();
        let [deaf, endless, short] = ends[..] else { panic!("{ends:?}") };
        assert_eq!((deaf, endless), (("deaf", over), ("endless", over)));
        assert!(short.1 > 8 * SECOND && short.1 < 9 * SECOND, "{short:?}");
    });
}
