//! Runs a whole program made of Wirestream, clients, servers and the networks between them, in one
//! thread, in virtual time, from one seed: whatever happens in a run happens again, to the byte, in
//! another run of the same seed.
//!
//! It is the real protocol and the real async layer that run. What is simulated is what an adapter
//! brings: where futures run ([`World`]), time, and packets that travel ([`Network`]), arrive late,
//! are held up, or are lost with their connection. A future is polled only when it was woken, in
//! an order that the seed decides; when nothing can go on any more, [`World::run`] panics and says so.
//!
//! ```
//! use std::time::Duration;
//!
//! use wirestream::{ClientConfig, Endpoint, NoError, Server, Session, StreamError};
//! use wirestream_sim::{Network, World};
//!
//! async fn add(_: Session, (a, b): (i64, i64), (): ()) -> Result<i64, NoError> {
//!     Ok(a + b)
//! }
//!
//! async fn never(_: Session, (): (), (): ()) -> Result<(), NoError> {
//!     std::future::pending().await
//! }
//!
//! let world = World::new(7);
//! world.run(async |world| {
//!     let methods = Endpoint::new("Example").unary("add", add).unary("never", never);
//!     let site = world.site(Server::builder().endpoint(methods).build().unwrap());
//!     let network = Network::new(&world);
//!     let client = world.client(&site, &network, ClientConfig::default());
//!     let sum = client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>();
//!     assert_eq!(sum.await, Ok(5));
//!
//!     // The network goes quiet, without a word: that is noticed after 35 seconds.
//!     let begun = world.now();
//!     let call = client.call("Example.never").unary::<()>();
//!     network.hold();
//!     assert!(matches!(call.await, Err(StreamError::Lost(_))));
//!     assert_eq!(world.now().since(begun), Duration::from_secs(35));
//! });
//! ```

mod executor;
mod network;
mod site;

pub use executor::World;
pub use network::{Line, Network};
pub use site::Site;
