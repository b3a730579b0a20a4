//! A tour, pages on one subject each, and words for those who know another system.
//!
//! These are pages to read: there is nothing to use in here.
//!
//! - [A tour](tour): all of Wirestream, in the order in which a program needs it.
//! - [Sessions](sessions): what a method knows of its call, and what happens when that ends.
//! - [Authentication](authentication): who calls, what they may do, and how that is taken back.
//! - [Messages](messages): channels between the sessions of a server.
//! - [Clustering](clustering): the same across servers, and what holds when the bus is down.
//! - [Cancel safety](cancel_safety): what a future leaves behind that is dropped before it is done.
//! - [Watching it run](watching): spans, events and numbers for those who operate it.
//! - [Streaming endpoints](streaming_endpoints): the older, manual way, for apps that come from there.
//! - [From gRPC, Socket.IO or Serverpod](from_other_systems): their words, and ours.

/// From a contract to the end of a connection.
///
#[doc = include_str!("../docs/tour.md")]
pub mod tour {}

/// What a method knows of its call, and what happens when that ends.
///
#[doc = include_str!("../docs/sessions.md")]
pub mod sessions {}

/// Who calls, what they may do, and how that is taken back.
///
#[doc = include_str!("../docs/authentication.md")]
pub mod authentication {}

/// Channels between the sessions of a server.
///
#[doc = include_str!("../docs/messages.md")]
pub mod messages {}

/// Messages and revocations across servers.
///
#[doc = include_str!("../docs/clustering.md")]
pub mod clustering {}

/// What a future leaves behind that is dropped before it is done.
///
#[doc = include_str!("../docs/cancel-safety.md")]
pub mod cancel_safety {}

/// Spans, events and numbers for those who operate it.
///
#[doc = include_str!("../docs/watching.md")]
pub mod watching {}

/// The older, manual way, for apps that come from there.
///
#[doc = include_str!("../docs/streaming-endpoints.md")]
pub mod streaming_endpoints {}

/// For those who know gRPC, Socket.IO or Serverpod.
///
#[doc = include_str!("../docs/from-other-systems.md")]
pub mod from_other_systems {}
