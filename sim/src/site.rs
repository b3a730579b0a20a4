//! Where servers are, and how clients get there.

use std::sync::{Arc, Mutex};

use wirestream::{
    BoxFuture, Client, ClientConfig, ConnectError, ConnectErrorKind, Dial, Runtime, Server,
    Transport,
};

use crate::executor::{World, lock};
use crate::network::{Line, Network};

/// A place for a server, which may go and come back. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Site {
    world: World,
    server: Arc<Mutex<Option<Server>>>,
}

impl World {
    /// A place with a server.
    pub fn site(&self, server: Server) -> Site {
        Site { world: self.clone(), server: Arc::new(Mutex::new(Some(server))) }
    }

    /// A client of whatever server is at a site, over a network.
    ///
    /// # Panics
    /// If the limits do not agree with one another.
    pub fn client(&self, site: &Site, network: &Network, config: ClientConfig) -> Client {
        let dial = Dialer { site: site.clone(), network: network.clone() };
        let runtime: Arc<dyn Runtime> = Arc::new(self.clone());
        Client::new(runtime, Arc::new(dial), config).expect("the limits agree")
    }
}

impl Site {
    /// Puts a server in the place of the one before; without one, nobody can connect. Lines to the
    /// one before stay as they are: that is told to [shut down](Server::shutdown).
    pub fn set(&self, server: Option<Server>) -> Option<Server> {
        std::mem::replace(&mut *lock(&self.server), server)
    }

    /// The server that is there.
    pub fn server(&self) -> Option<Server> {
        lock(&self.server).clone()
    }

    /// A line to the server, for a client that is none of Wirestream's; none, if there is no server.
    pub fn connect(&self, network: &Network) -> Option<Line> {
        let server = self.server()?;
        let (here, there) = network.line();
        let runtime: Arc<dyn Runtime> = Arc::new(self.world.clone());
        let served = server.serve_connection(runtime, Box::new(there), None);
        self.world.spawn(async move {
            let _reason = served.await;
        });
        Some(here)
    }
}

struct Dialer {
    site: Site,
    network: Network,
}

impl Dial for Dialer {
    fn dial(&self) -> BoxFuture<Result<Box<dyn Transport>, ConnectError>> {
        let (site, network) = (self.site.clone(), self.network.clone());
        Box::pin(async move {
            network.world().sleep(network.delay()).await;
            let line = (!network.is_down()).then(|| site.connect(&network)).flatten();
            let unreachable = || ConnectError {
                target: "a simulated server".into(),
                kind: ConnectErrorKind::Unreachable,
                detail: "it is down, or the network is".into(),
            };
            let line = line.ok_or_else(unreachable)?;
            Ok(Box::new(line) as Box<dyn Transport>)
        })
    }
}
