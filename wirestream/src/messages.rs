//! Messages between the sessions of a server, and of a cluster: channels by name, whoever posts and
//! whoever listens.

pub(crate) mod bus;
mod config;
mod counters;
mod envelope;
mod error;
mod hub;
mod listener;
mod log;
mod post;
mod subscription;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use config::{MessageConfig, Outage};
pub use counters::MessageCounters;
pub(crate) use envelope::{open as open_envelope, seal as seal_envelope};
pub use error::{ChannelError, MessageError, PostError, SubscribeError};
pub(crate) use hub::{Hub, Seat};
pub use listener::Listener;
pub use post::Post;
pub use subscription::Subscription;

use bus::Bus;
use counters::count;
use hub::Reach;
use log::Item;
use post::Again;

use crate::codec::encoded;
use crate::contract::{Fingerprint, Message};
use crate::session::Session;

/// How far messages go, and from how far they are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All servers, if this one has a bus; this one alone otherwise. What happens while the bus is
    /// down is [`MessageConfig::outage`].
    #[default]
    Auto,
    /// This server alone: what is posted so needs no bus, and whoever subscribes so hears what is
    /// posted so, and never what comes by the bus.
    Local,
    /// All servers; without a bus, or while it is down, that fails.
    Global,
}

/// Posts messages on channels and subscribes to them: the messages of a server, from
/// [`Server::messages`](crate::Server::messages). Clones are the same.
///
/// Within a session, take [`Session::messages`], whose subscriptions end with the session.
///
/// # What is promised
///
/// - A message reaches everybody who was subscribed when it was posted, or who is behind by too
///   much is told how many it [missed](MessageError::Lagged).
/// - The messages of one poster on one channel arrive in the order in which they were posted, those
///   of one [`Scope`].
/// - Nobody waits for a subscriber that is slow.
/// - Between servers a message arrives at most once; where some may be missing, subscribers are
///   told of a [gap](MessageError::Gap).
///
/// [The guide](crate::guide::messages) has more of it.
///
/// ```
/// use futures_util::StreamExt;
/// use wirestream::Server;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let messages = Server::builder().build()?.messages();
/// let mut news = messages.subscribe::<String>("news").await?;
/// messages.post("news", &"It works.".to_string()).await?;
/// assert_eq!(news.next().await, Some(Ok("It works.".to_string())));
/// # Ok(())
/// # }
/// # futures_util::FutureExt::now_or_never(run()).unwrap().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Messages {
    hub: Arc<Hub>,
    scope: Scope,
}

/// As [`Messages`], for a session: what it begins ends when the session closes. From
/// [`Session::messages`].
#[derive(Clone, Debug)]
pub struct SessionMessages {
    messages: Messages,
    session: Session,
}

impl Messages {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, scope: Scope::default() }
    }

    /// The same, with another scope.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Posts a message to all who subscribe to the channel, if any do. The message is on its way
    /// when this returns; what has become of it is told to who awaits the [`Post`], which is at
    /// once where no bus is used.
    ///
    /// It is encoded once, whoever hears it.
    ///
    /// # Errors
    /// [`PostError`], from the `Post`: no such channel, a message that does not encode or is too
    /// large, no bus for [`Scope::Global`], or a bus that fails.
    pub fn post<T: Message>(&self, channel: &str, message: &T) -> Post {
        let (hub, limit) = (&self.hub, self.hub.config.message);
        if let Err(error) = hub.check(channel) {
            return Post::done(Err(PostError::Channel(error)));
        }
        let Ok(bus) = self.bus() else { return Post::done(Err(PostError::NoBus)) };
        let is_wanted = bus.is_some() || hub.is_read(channel);
        let payload = encoded(message, |payload| match payload.len() {
            size if size > limit => Err(PostError::TooLarge { size, limit }),
            _ => Ok(is_wanted.then(|| (**payload).into())),
        });
        let payload = match payload {
            Ok(Ok(payload)) => payload,
            Ok(Err(error)) => return Post::done(Err(error)),
            Err(error) => return Post::done(Err(PostError::Encode(error))),
        };
        count(&hub.counters.posted);
        match payload {
            Some(payload) => {
                self.post_encoded(bus, channel, Fingerprint::of_message::<T>(), payload)
            }
            None => Post::done(Ok(())),
        }
    }

    fn post_encoded(
        &self,
        bus: Option<&Arc<dyn Bus>>,
        channel: &str,
        fingerprint: Fingerprint,
        payload: Arc<[u8]>,
    ) -> Post {
        let hub = &self.hub;
        let sealed = bus.map(|bus| (bus, envelope::seal(fingerprint, &payload)));
        let item = Item::Message { fingerprint, payload };
        let Some((bus, sealed)) = sealed else {
            hub.post(channel, &item);
            return Post::done(Ok(()));
        };
        let outcome = bus.publish(channel, sealed);
        let (hub, channel, outage) = (Arc::clone(hub), channel.into(), self.outage());
        Post::published(outcome, Again { hub, channel, item, outage })
    }

    /// Subscribes to a channel: everything that is posted after this has resolved is heard, by
    /// all servers that [`Scope`] says. Of what was posted before, the last may be heard, with
    /// nothing missing behind it.
    ///
    /// Cancel-safe: dropping the future leaves no subscription behind.
    ///
    /// # Errors
    /// [`SubscribeError`]: no such channel, no bus for [`Scope::Global`], or a bus that does not
    /// confirm the subscription.
    pub async fn subscribe<T: Message>(
        &self,
        channel: &str,
    ) -> Result<Subscription<T>, SubscribeError> {
        self.subscribe_for(None, channel).await
    }

    async fn subscribe_for<T: Message>(
        &self,
        session: Option<&Session>,
        channel: &str,
    ) -> Result<Subscription<T>, SubscribeError> {
        let hub = &self.hub;
        hub.check(channel).map_err(SubscribeError::Channel)?;
        let bus = self.bus().map_err(|NoBus| SubscribeError::NoBus)?;
        let reach = if bus.is_some() { Reach::Wide } else { Reach::Near };
        let seat = Arc::new(hub.enter(channel, reach));
        if let Some(session) = session {
            session.ends(&seat).map_err(|_| SubscribeError::SessionClosed)?;
        }
        if let Some(bus) = bus
            && let Err(error) = seat.confirmed(bus).await
        {
            count(&hub.counters.bus_failures);
            if !self.outage().goes_on_without(&error) {
                return Err(SubscribeError::Bus(error));
            }
            count(&hub.counters.went_local);
        }
        Ok(Subscription::new(seat))
    }

    /// What messages have come to on this server so far.
    pub fn counters(&self) -> MessageCounters {
        self.hub.counters()
    }

    /// The bus, if the scope takes one.
    fn bus(&self) -> Result<Option<&Arc<dyn Bus>>, NoBus> {
        match (self.scope, self.hub.bus()) {
            (Scope::Local, _) => Ok(None),
            (Scope::Auto, bus) => Ok(bus),
            (Scope::Global, Some(bus)) => Ok(Some(bus)),
            (Scope::Global, None) => Err(NoBus),
        }
    }

    fn outage(&self) -> Outage {
        match self.scope {
            Scope::Auto => self.hub.config.outage,
            Scope::Local | Scope::Global => Outage::Fail,
        }
    }
}

struct NoBus;

impl SessionMessages {
    pub(crate) fn new(hub: Arc<Hub>, session: Session) -> Self {
        Self { messages: Messages::new(hub), session }
    }

    /// The same, with another scope.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.messages.scope = scope;
        self
    }

    /// As [`Messages::post`]. It works in close hooks too, and wherever the session is closed.
    ///
    /// # Errors
    /// As [`Messages::post`].
    pub fn post<T: Message>(&self, channel: &str, message: &T) -> Post {
        self.messages.post(channel, message)
    }

    /// As [`Messages::subscribe`], for as long as the session is open: then the subscription
    /// ends, wherever it was moved to.
    ///
    /// # Errors
    /// As [`Messages::subscribe`], and [`SubscribeError::SessionClosed`].
    pub async fn subscribe<T: Message>(
        &self,
        channel: &str,
    ) -> Result<Subscription<T>, SubscribeError> {
        self.messages.subscribe_for(Some(&self.session), channel).await
    }

    /// Subscribes to a channel, and has `listener` called for each message, until the session
    /// closes or the [`Listener`] is removed.
    ///
    /// It runs in the session's own task, beside its method: one message after the other, never
    /// while the method's own code runs. It must not block. If it panics, the message is over, and
    /// it is called for the next one all the same.
    ///
    /// Cancel-safe: dropping the future leaves no listener behind.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// ```
    /// # async fn method(session: wirestream::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// let print = |line: Result<String, _>| match line {
    ///     Ok(line) => println!("{line}"),
    ///     Err(error) => println!("({error})"),
    /// };
    /// let listener = session.messages().listen("news", print).await?;
    /// // ...
    /// listener.remove();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn listen<T, F>(&self, channel: &str, listener: F) -> Result<Listener, SubscribeError>
    where
        T: Message,
        F: FnMut(Result<T, MessageError>) + Send + 'static,
    {
        let subscription = self.subscribe(channel).await?;
        let (listener, calling) = Listener::new(subscription, listener);
        self.session.runs(calling).map_err(|_| SubscribeError::SessionClosed)?;
        Ok(listener)
    }
}
