//! The rooms, within this process: who is in which, and what they hear.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, stream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::{Event, Refused};

/// What a member may leave unheard, beside what its connection holds. Beyond it the oldest goes.
const UNHEARD: usize = 100;
/// The longest name of a member or a room, and the longest line, in characters.
const LONGEST_NAME: usize = 32;
const LONGEST_LINE: usize = 1_000;

/// All rooms. One is there as long as somebody is in it. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Rooms(Arc<Mutex<HashMap<String, Room>>>);

struct Room {
    members: BTreeSet<String>,
    events: broadcast::Sender<Event>,
}

/// Somebody in a room, who leaves it when this is dropped.
pub(crate) struct Member {
    rooms: Rooms,
    room: String,
    name: String,
}

impl Rooms {
    /// Enters a room. What is heard there begins with the news of that.
    pub(crate) fn enter(
        &self,
        room: &str,
        name: &str,
    ) -> Result<(Member, impl Stream<Item = Event> + use<>), Refused> {
        if !is_name(room) || !is_name(name) {
            return Err(Refused::NotAName);
        }
        let mut rooms = self.lock();
        let there = rooms.entry(room.into()).or_insert_with(|| Room {
            members: BTreeSet::new(),
            events: broadcast::Sender::new(UNHEARD),
        });
        if !there.members.insert(name.into()) {
            return Err(Refused::NameTaken);
        }
        let heard = there.events.subscribe();
        there.tell(Event::Entered { who: name.into() });
        let member = Member { rooms: self.clone(), room: room.into(), name: name.into() };
        Ok((member, stream::unfold(heard, hear)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next event, or how many of them were missed.
async fn hear(
    mut heard: broadcast::Receiver<Event>,
) -> Option<(Event, broadcast::Receiver<Event>)> {
    let event = match heard.recv().await {
        Ok(event) => event,
        Err(RecvError::Lagged(lines)) => Event::Missed { lines },
        Err(RecvError::Closed) => return None,
    };
    Some((event, heard))
}

impl Room {
    /// Tells everybody, and waits for nobody.
    fn tell(&self, event: Event) {
        // It fails where nobody listens, and then nobody needs to know.
        let _ = self.events.send(event);
    }
}

impl Member {
    /// Says a line to everybody in the room. What is too long is cut, what moves a terminal's
    /// cursor is left out.
    pub(crate) fn say(&self, line: &str) {
        let line = line.chars().filter(|c| !c.is_control()).take(LONGEST_LINE).collect();
        if let Some(room) = self.rooms.lock().get(&self.room) {
            room.tell(Event::Said { who: self.name.clone(), line });
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut rooms = self.rooms.lock();
        let Some(room) = rooms.get_mut(&self.room) else { return };
        room.members.remove(&self.name);
        room.tell(Event::Left { who: self.name.clone() });
        if room.members.is_empty() {
            rooms.remove(&self.room);
        }
    }
}

fn is_name(name: &str) -> bool {
    let length = name.chars().count();
    (1..=LONGEST_NAME).contains(&length) && !name.chars().any(char::is_control)
}
