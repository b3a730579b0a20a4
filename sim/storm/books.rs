//! The books of all connections that there are: what each holds is within the published bound, and
//! credit is neither made nor lost.

use std::time::Duration;

use wirestream::Client;
use wirestream_protocol::{Connection, Role};
use wirestream_sim::{Site, World};

/// What must hold of a connection at any time.
fn check(connection: &Connection) {
    assert_eq!(connection.audit(), Ok(()));
    let (limits, role) = (connection.limits(), connection.role());
    let (found, bound) = (connection.footprint(), limits.worst_case_bytes(role));
    assert!(found <= bound, "a {role:?} holds {found} bytes, where {bound} are the bound");
    let calls = connection.calls();
    assert!(role == Role::Client || calls <= limits.calls as usize, "{calls} calls at a time");
}

/// Looks at all connections of these.
pub(crate) fn look(clients: &[Client], sites: &[Site]) {
    clients.iter().for_each(|client| client.each_connection(check));
    sites.iter().filter_map(Site::server).for_each(|server| server.each_connection(check));
}

/// Looks often at first, and the more seldom the longer it goes on.
pub(crate) async fn watch(world: World, clients: Vec<Client>, sites: Vec<Site>) {
    let begun = world.now();
    loop {
        look(&clients, &sites);
        let pause = world.now().since(begun) / 64 + Duration::from_millis(1);
        world.sleep(pause.min(Duration::from_secs(60))).await;
    }
}

/// What one side may send and what the other lets it, of connections and of open halves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Credit {
    connections: usize,
    up: i64,
    down: i64,
    halves_up: i64,
    halves_down: i64,
}

impl Credit {
    fn add(&mut self, connection: &Connection) {
        if connection.closed().is_some() {
            return;
        }
        let ((sends, receives), (half_sends, half_receives)) =
            (connection.own_books(), connection.half_books());
        let is_client = connection.role() == Role::Client;
        let (up, down) = if is_client { (sends, receives) } else { (receives, sends) };
        let (halves_up, halves_down) =
            if is_client { (half_sends, half_receives) } else { (half_receives, half_sends) };
        self.connections += 1;
        self.up += up;
        self.down += down;
        self.halves_up += halves_up;
        self.halves_down += halves_down;
    }
}

/// Waits until nothing is under way, and credit that one side has is what the other has given it.
pub(crate) async fn balance(world: &World, clients: &[Client], sites: &[Site]) {
    let begun = world.now();
    loop {
        let (mut here, mut there) = (Credit::default(), Credit::default());
        clients.iter().for_each(|client| client.each_connection(|one| here.add(one)));
        let servers = sites.iter().filter_map(Site::server);
        servers.for_each(|server| server.each_connection(|one| there.add(one)));
        if here == there {
            return;
        }
        let waited = world.now().since(begun);
        assert!(waited < Duration::from_secs(120), "credit is lost: {here:?}, {there:?}");
        world.sleep(Duration::from_millis(100)).await;
    }
}
