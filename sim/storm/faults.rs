//! What befalls networks and servers.

use std::time::Duration;

use wirestream::{Client, Server};
use wirestream_sim::{Network, Site, World};

use crate::oracle::Oracle;

pub(crate) struct Place {
    pub(crate) site: Site,
    pub(crate) make: Box<dyn Fn() -> Server + Send + Sync>,
}

/// Lets one thing happen after the other, for a time, and then puts all in order again.
pub(crate) async fn befall(
    world: World,
    oracle: Oracle,
    networks: Vec<Network>,
    places: Vec<Place>,
    clients: Vec<Client>,
    count: u64,
) {
    let millis = |most| Duration::from_millis(world.chance(most));
    for _ in 0..count {
        world.sleep(millis(4_000)).await;
        oracle.fault();
        let network = &networks[world.chance(networks.len() as u64) as usize];
        match world.chance(9) {
            0 => network.cut(),
            1 => {
                network.hold();
                world.sleep(millis(10_000)).await;
                network.go_on();
            }
            // Half-open: nobody is told, and it does not go on.
            2 => network.hold(),
            3 => network.set_delay(Duration::ZERO..millis(2_000)),
            4 => {
                network.set_down(true);
                network.cut();
                world.sleep(millis(5_000)).await;
                network.set_down(false);
            }
            5 => {
                // A few bytes at a time.
                network.set_rate(Some([50, 1_000, 20_000][world.chance(3) as usize]));
                world.sleep(millis(60_000)).await;
                network.set_rate(None);
            }
            6 | 7 => {
                let place = &places[world.chance(places.len() as u64) as usize];
                let before = place.site.set(None);
                if let Some(server) = before {
                    server.shutdown(millis(6_000)).await;
                    assert_eq!(server.connections(), 0);
                }
                place.site.set(Some((place.make)()));
            }
            _ => clients[world.chance(clients.len() as u64) as usize].disconnect(),
        }
    }
    for network in &networks {
        network.set_delay(Duration::from_millis(1)..Duration::from_millis(5));
    }
}
