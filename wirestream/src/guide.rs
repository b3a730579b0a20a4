//! A tour, what may be dropped when, what an operator sees, and words for those who know another system.
//!
//! These are pages to read: there is nothing to use in here.
//!
//! - [A tour](tour): all of Wirestream, in the order in which a program needs it.
//! - [Cancel safety](cancel_safety): what a future leaves behind that is dropped before it is done.
//! - [Watching it run](watching): spans, events and numbers for those who operate it.
//! - [From gRPC, Socket.IO or Serverpod](from_other_systems): their words, and ours.

/// From a contract to the end of a connection.
///
#[doc = include_str!("../docs/tour.md")]
pub mod tour {}

/// What a future leaves behind that is dropped before it is done.
///
#[doc = include_str!("../docs/cancel-safety.md")]
pub mod cancel_safety {}

/// Spans, events and numbers for those who operate it.
///
#[doc = include_str!("../docs/watching.md")]
pub mod watching {}

/// For those who know gRPC, Socket.IO or Serverpod.
///
#[doc = include_str!("../docs/from-other-systems.md")]
pub mod from_other_systems {}
