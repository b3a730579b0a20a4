//! Typed two-way streams between apps and Rust servers: the executor-free layer.

mod channel;
mod client;
mod codec;
mod driver;
mod error;
mod link;
mod memory;
mod receiver;
mod sender;
mod server;
mod session;
mod transport;
mod value;

pub use channel::{IntoParameter, Parameter, channel, channel_with_error};
pub use client::{CallBuilder, Client, ClientConfig};
pub use codec::CodecError;
pub use error::{LostReason, NoError, SendError, StreamError, TrySendError};
pub use memory::MemoryTransport;
pub use receiver::{Receiver, Unary};
pub use sender::{Sender, SenderSink};
pub use server::{
    Accepted, Arguments, BuildError, Endpoint, Failed, IncomingCall, IntoFault, Parameters, Server,
    ServerBuilder,
};
pub use session::{HookId, Session, SessionClosed, SessionId};
pub use transport::{
    BoxFuture, ConnectError, ConnectErrorKind, Dial, Runtime, Timer, Transport, TransportError,
};
pub use value::{Fields, Object, Value, ValueError};
pub use wirestream_protocol::{
    CloseReason, Limits, LimitsError, RejectCode, Rejection, Time, Token, Violation, wire,
};
