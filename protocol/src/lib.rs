#![doc = include_str!("../README.md")]
#![no_std]
#![warn(clippy::wildcard_enum_match_arm)]
// Whatever a peer sends, nothing here may panic or lose a part of a number.
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;

mod batch;
mod call;
mod connection;
mod credit;
mod error;
mod event;
mod id;
mod inbox;
mod limits;
mod outbox;
mod queue;
mod request;
pub mod state;
mod stats;
mod time;
pub mod wire;

pub use batch::Batch;
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
