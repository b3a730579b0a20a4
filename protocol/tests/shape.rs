//! The shape of the types: what they may be used for, and how large they are.

use core::fmt::Debug;
use core::hash::Hash;
use core::panic::{RefUnwindSafe, UnwindSafe};

use wirestream_protocol::state::{
    CallEvent, CallState, ReceiverEvent, ReceiverState, SenderEvent, SenderState,
};
use wirestream_protocol::{
    AnswerError, CallId, CloseReason, Config, Connection, End, Event, Fault, Inbound, Limits,
    OpenError, Outbound, Outcome, Payload, Received, RejectCode, Rejection, Request, Role, Run,
    SendError, Taken, Time, Token, Violation, wire,
};

fn crosses_threads<T: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
fn is_an_id<T: Copy + Ord + Hash + ToString>() {}
fn is_a_state<T: Copy + Eq + Hash + Debug>() {}
fn is_an_error<T: core::error::Error + Clone + Eq + Send + Sync + 'static>() {}
fn is_a_result<T: Clone + Eq + Debug + Send + Sync + 'static>() {}

#[test]
fn everything_may_cross_threads_and_panics() {
    crosses_threads::<Connection>();
    crosses_threads::<Config>();
    crosses_threads::<Event>();
    crosses_threads::<Limits>();
    crosses_threads::<Payload<'_>>();
    crosses_threads::<Received>();
    crosses_threads::<Request>();
    crosses_threads::<Run>();
    crosses_threads::<Taken>();
    crosses_threads::<Token>();
    crosses_threads::<wire::Frame<'_>>();
}

#[test]
fn ids_are_small_copies() {
    is_an_id::<CallId>();
    is_an_id::<Inbound>();
    is_an_id::<Outbound>();
    assert_eq!(size_of::<CallId>(), 8);
    assert_eq!((size_of::<Inbound>(), size_of::<Outbound>()), (12, 12));
    assert_eq!(size_of::<Time>(), 16);
}

/// States carry no payload, so that the tables can be explored.
#[test]
fn states_are_plain() {
    is_a_state::<(Role, RejectCode)>();
    is_a_state::<(CallState, CallEvent)>();
    is_a_state::<(SenderState, SenderEvent)>();
    is_a_state::<(ReceiverState, ReceiverEvent)>();
    assert_eq!(size_of::<(CallState, SenderState, ReceiverState)>(), 3);
}

#[test]
fn errors_are_compared_by_value() {
    is_an_error::<AnswerError>();
    is_an_error::<CloseReason>();
    is_an_error::<OpenError>();
    is_an_error::<Rejection>();
    is_an_error::<SendError>();
    is_an_error::<Violation>();
    is_a_result::<(End, Fault, Outcome)>();
}

#[test]
fn what_is_passed_around_is_small() {
    assert!(size_of::<Event>() <= 64, "{}", size_of::<Event>());
    assert!(size_of::<Received>() <= 48, "{}", size_of::<Received>());
    assert!(size_of::<Taken>() <= 48, "{}", size_of::<Taken>());
    assert!(size_of::<SendError>() <= 32, "{}", size_of::<SendError>());
    assert!(size_of::<Result<(), Violation>>() <= 2, "{}", size_of::<Result<(), Violation>>());
    assert!(size_of::<Connection>() <= 1_024, "{}", size_of::<Connection>());
}
