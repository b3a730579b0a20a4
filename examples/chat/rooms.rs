//! What the chat's server does. Rooms and people are channels, `room_kitchen` and `user_Ann`: the server keeps no list of either,
//! so it is all the same on which of several servers somebody is.

use std::fmt;
use std::future::ready;

use futures_util::stream::{once, select};
use futures_util::{FutureExt, Stream, StreamExt, TryFutureExt};
use serde::{Deserialize, Serialize};
use wirestream_tokio::{
    MessageError, PostError, Receiver, Session, SubscribeError, Subscription, endpoint,
};

/// The longest name of a person or a room, and the longest line, in characters.
const LONGEST_NAME: usize = 32;
const LONGEST_LINE: usize = 1_000;

#[endpoint(login)]
pub(crate) trait Chat {
    /// Enters a room, and stays until the caller finishes what it says, gives up the call, or is
    /// cut off. Hears what is said there, and what is said to the caller alone.
    fn join(
        &self,
        session: &Session,
        room: String,
        says: Receiver<String>,
    ) -> impl Stream<Item = Result<Event, Refused>>;

    /// Says a line to one person alone, who may be in any room. Nobody tells whether it was heard.
    async fn tell(&self, session: &Session, to: String, line: String) -> Result<(), Refused>;
}

/// What somebody in a room hears.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Event {
    Entered {
        who: String,
    },
    Said {
        who: String,
        line: String,
    },
    /// To the listener alone.
    Told {
        who: String,
        line: String,
    },
    Left {
        who: String,
    },
    /// The listener was too slow.
    Missed {
        lines: u64,
        to: String,
    },
    /// The servers did not reach each other for a while, and do again.
    Gap {
        to: String,
    },
    /// What the listener has said, nobody heard.
    Unsaid {
        why: Refused,
    },
}

/// Why somebody may not enter, or is not heard.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Refused {
    #[error("a name has 1 to 32 characters, and no spaces")]
    NotAName,
    #[error("the servers do not reach each other just now; try again in a moment")]
    Apart,
    #[error("the servers have just lost each other; it may have been heard or not")]
    Unsure,
}

pub(crate) struct Rooms;

impl Chat for Rooms {
    fn join(
        &self,
        session: &Session,
        room: String,
        says: Receiver<String>,
    ) -> impl Stream<Item = Result<Event, Refused>> {
        let (session, who) = (session.clone(), name_of(session));
        let entered = async move {
            let channel = room_channel(&room)?;
            let messages = session.messages();
            // First they listen, then they enter: so they miss nothing from there on.
            let in_room = messages.subscribe(&channel).await?;
            let private = messages.subscribe(&user_channel(&who)?).await?;
            let heard = select(events(in_room, room), events(private, who.clone()));

            // However this ends, the others learn of it; only not if the server is killed.
            let (left, leaving) = (Event::Left { who: who.clone() }, channel.clone());
            let others = messages.clone();
            let _ = session.on_close(async move || drop(others.post(&leaving, &left).await));
            messages.post(&channel, &Event::Entered { who: who.clone() }).await?;

            // What is said goes to the channel. Back to the speaker goes only what did not.
            let unsaid = says.take_while(|line| ready(line.is_ok())).filter_map(move |line| {
                let line = printable(&line.unwrap_or_default());
                let post = messages.post(&channel, &Event::Said { who: who.clone(), line });
                post.map(|posted| Some(Event::Unsaid { why: posted.err()?.into() }))
            });
            // `None`: that was all they say.
            let unsaid = unsaid.map(Some).chain(once(ready(None)));
            Ok(select(heard.map(Some), unsaid).scan((), |(), event| ready(event)).map(Ok))
        };
        entered.try_flatten_stream()
    }

    async fn tell(&self, session: &Session, to: String, line: String) -> Result<(), Refused> {
        let told = Event::Told { who: name_of(session), line: printable(&line) };
        Ok(session.messages().post(&user_channel(&to)?, &told).await?)
    }
}

/// The name that the caller has signed in with.
fn name_of(session: &Session) -> String {
    session.authentication().map_or_else(String::new, |caller| caller.user().into())
}

fn room_channel(room: &str) -> Result<String, Refused> {
    if is_name(room) { Ok(format!("room_{room}")) } else { Err(Refused::NotAName) }
}

fn user_channel(user: &str) -> Result<String, Refused> {
    if is_name(user) { Ok(format!("user_{user}")) } else { Err(Refused::NotAName) }
}

pub(crate) fn is_name(name: &str) -> bool {
    let length = name.chars().count();
    let is_odd = |c: char| c.is_control() || c.is_whitespace();
    (1..=LONGEST_NAME).contains(&length) && !name.chars().any(is_odd)
}

/// What is too long is cut, what moves a terminal's cursor is left out.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(LONGEST_LINE).collect()
}

/// What comes on a channel, and what was missed there.
fn events(channel: Subscription<Event>, to: String) -> impl Stream<Item = Event> {
    channel.map(move |event| match event {
        Ok(event) => event,
        Err(MessageError::Gap) => Event::Gap { to: to.clone() },
        Err(MessageError::Lagged(lines)) => Event::Missed { lines, to: to.clone() },
        // Another program's, or another version's.
        Err(_) => Event::Missed { lines: 1, to: to.clone() },
    })
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entered { who } => write!(f, "{who} entered"),
            Self::Said { who, line } => write!(f, "{who}: {line}"),
            Self::Told { who, line } => write!(f, "{who}, to you alone: {line}"),
            Self::Left { who } => write!(f, "{who} left"),
            Self::Missed { lines, to } => write!(f, "({lines} lines to {to} were missed)"),
            Self::Gap { to } => {
                write!(f, "(the servers lost each other: lines to {to} may have been missed)")
            }
            Self::Unsaid { why } => write!(f, "(not said: {why})"),
        }
    }
}

impl From<SubscribeError> for Refused {
    fn from(error: SubscribeError) -> Self {
        eprintln!("Nobody can enter: {error}");
        Self::Apart
    }
}

impl From<PostError> for Refused {
    fn from(error: PostError) -> Self {
        eprintln!("A line is not posted: {error}");
        match error {
            PostError::Bus(error) if error.may_have_arrived() => Self::Unsure,
            _ => Self::Apart,
        }
    }
}
