use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::bus::BusError;
use super::config::Outage;
use super::counters::count;
use super::error::PostError;
use super::hub::Hub;
use super::log::Item;
use crate::transport::BoxFuture;

/// A message that was posted; resolves to what has become of it.
///
/// Posting does not wait for that. The subscribers of this server were given the message before
/// this was returned; a bus was handed it, and this resolves once the bus has taken it. Dropping
/// it takes nothing back, but then nobody learns of a failure, and nothing is made good: what
/// [`Outage::Local`] does is done for who waits.
#[must_use = "the message is posted, but whether that failed is told to who awaits it"]
pub struct Post(State);

enum State {
    Done(Result<(), PostError>),
    Published(BoxFuture<Result<(), BusError>>, Option<Again>),
}

/// What is posted on this server alone if the bus is down.
pub(super) struct Again {
    pub(super) hub: Arc<Hub>,
    pub(super) channel: Box<str>,
    pub(super) item: Item,
    pub(super) outage: Outage,
}

impl Post {
    pub(super) fn done(result: Result<(), PostError>) -> Self {
        Self(State::Done(result))
    }

    /// One that the bus was handed.
    pub(super) fn published(outcome: BoxFuture<Result<(), BusError>>, again: Again) -> Self {
        Self(State::Published(outcome, Some(again)))
    }
}

impl Again {
    fn failed(self, error: BusError) -> Result<(), PostError> {
        let Self { hub, channel, item, outage } = self;
        count(&hub.counters.bus_failures);
        if !outage.goes_on_without(&error) {
            return Err(PostError::Bus(error));
        }
        count(&hub.counters.went_local);
        hub.post(&channel, &item);
        Ok(())
    }
}

impl Future for Post {
    type Output = Result<(), PostError>;

    /// Once it is done, it stays so.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (outcome, again) = match &mut self.0 {
            State::Done(result) => return Poll::Ready(result.clone()),
            State::Published(outcome, again) => match outcome.as_mut().poll(cx) {
                Poll::Ready(outcome) => (outcome, again.take()),
                Poll::Pending => return Poll::Pending,
            },
        };
        let result = match (outcome, again) {
            (Err(error), Some(again)) => again.failed(error),
            (Err(error), None) => Err(PostError::Bus(error)),
            (Ok(()), _) => Ok(()),
        };
        self.0 = State::Done(result.clone());
        Poll::Ready(result)
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Done(result) => f.debug_tuple("Post").field(result).finish(),
            State::Published(..) => f.write_str("Post(..)"),
        }
    }
}
