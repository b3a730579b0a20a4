use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::counters::count;
use super::error::MessageError;
use super::hub::Seat;
use super::log::{Found, Item};
use crate::codec::decode;
use crate::contract::{Fingerprint, Message};

/// What is posted on a channel, from the time of the subscription on: a stream that ends when its
/// session closes, and never otherwise.
///
/// An error among the messages stands for one that could not be read, or for some that are
/// missing; the messages behind it come all the same. Dropping it ends the subscription. Waiting
/// for the next message is cancel-safe.
///
/// ```
/// use futures_util::StreamExt;
/// use wirestream::{MessageError, Messages};
///
/// # async fn hear(messages: Messages) -> Result<(), Box<dyn std::error::Error>> {
/// let mut news = messages.subscribe::<String>("news").await?;
/// while let Some(message) = news.next().await {
///     match message {
///         Ok(line) => println!("{line}"),
///         Err(MessageError::Lagged(n)) => println!("({n} lines were missed)"),
///         Err(error) => println!("({error})"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it ends the subscription"]
pub struct Subscription<T> {
    seat: Arc<Seat>,
    fingerprint: Fingerprint,
    has_ended: bool,
    messages: PhantomData<fn() -> T>,
}

impl<T: Message> Subscription<T> {
    pub(super) fn new(seat: Arc<Seat>) -> Self {
        let fingerprint = Fingerprint::of_message::<T>();
        Self { seat, fingerprint, has_ended: false, messages: PhantomData }
    }

    /// The channel.
    pub fn channel(&self) -> &str {
        self.seat.channel()
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    fn read(&self, item: Item) -> Result<T, MessageError> {
        let read = match item {
            Item::TooLarge { size } => {
                Err(MessageError::TooLarge { size, limit: self.seat.hub().config.message })
            }
            Item::Message { fingerprint: found, .. } if found != self.fingerprint => {
                Err(MessageError::OtherType { expected: self.fingerprint, found })
            }
            Item::Message { payload, .. } => {
                decode(&payload, self.seat.hub().decode_limits).map_err(MessageError::Decode)
            }
        };
        if read.is_err() {
            count(&self.seat.hub().counters.unreadable);
        }
        read
    }
}

impl<T: Message> Stream for Subscription<T> {
    type Item = Result<T, MessageError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let found = match self.seat.poll_next(cx) {
            Poll::Ready(found) => found,
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(match found {
            Some(Found::Item(item)) => Some(self.read(item)),
            Some(Found::Lagged(missed)) => Some(Err(MessageError::Lagged(missed))),
            Some(Found::Gap) => Some(Err(MessageError::Gap)),
            None => {
                self.has_ended = true;
                None
            }
        })
    }
}

impl<T: Message> FusedStream for Subscription<T> {
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.seat.channel()).finish()
    }
}
