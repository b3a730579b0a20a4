//! Cases of Wirestream's specification, run against a server over a real WebSocket.
//!
//! The cases are data, in `cases/`: for each state that a connection, a call and its halves can be
//! in, and each frame, what a server has to do; and packets that break a rule by themselves. A
//! server that is to be tested has the methods that the README names, and the default limits.
//!
//! ```no_run
//! let suite = wirestream_conformance::Suite::new();
//! for case in suite.cases() {
//!     if let Err(why) = case.run("ws://127.0.0.1:8080") {
//!         println!("{case}: {why}");
//!     }
//! }
//! ```

mod bytes;
mod case;
mod peer;

pub use case::{Case, Suite};
