//! The program itself, run against real servers on loopback.

mod bench;
mod calls;
mod connecting;
mod failures;
mod hostile;
mod readme;
mod server;
mod tool;
