#![doc = include_str!("../README.md")]
#![no_std]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;

mod call;
mod connection;
mod credit;
mod error;
mod event;
mod id;
mod inbox;
mod limits;
mod outbox;
mod request;
pub mod state;
mod stats;
mod time;
pub mod wire;

pub use connection::{Call, Config, Connection, Received, Role, Taken};
pub use error::{
    AnswerError, CloseReason, End, Fault, OpenError, Outcome, RejectCode, Rejection, SendError,
    Violation,
};
pub use event::Event;
pub use id::{CallId, Inbound, Outbound};
pub use inbox::Run;
pub use limits::{Announced, Limits, LimitsError};
pub use request::{Payload, Request, Token};
pub use stats::Stats;
pub use time::Time;
