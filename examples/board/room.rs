//! Who is at the board, and what they do. What changes is posted to all who watch on this server; where
//! there is a bus, servers post their strokes to one another, and how many people they have.

use std::collections::HashMap;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::time::{interval, sleep};
use wirestream_tokio::{
    Message, MessageError, Messages, Post, Scope, Session, Stream, StreamExt, SubscribeError,
    endpoint,
};

use crate::board::{Board, PaintError, Stroke};

/// What those who watch are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// All colours, line by line from the top: first, and again when something was missed.
    Board(Vec<u8>),
    Pixel {
        x: u8,
        y: u8,
        colour: u8,
    },
    /// How many watch.
    People(u32),
}

#[endpoint(login)]
pub(crate) trait Drawing {
    /// The whole board, then each change of it.
    fn watch(&self, session: &Session) -> impl Stream<Item = Event>;

    /// Paints a pixel.
    async fn paint(&self, session: &Session, x: u8, y: u8, colour: u8) -> Result<(), PaintError>;
}

/// What servers tell each other.
#[derive(Debug, Serialize, Deserialize)]
enum News {
    Strokes(Vec<Stroke>),
    /// Who has just come, or may have missed something, wants to know everything.
    Ask,
    /// How many people are at a server, told again and again while it lives.
    People {
        server: u32,
        people: u32,
    },
}

/// Where this server's people hear of changes.
const CHANGES: &str = "board/changes";
/// Where the servers hear of each other.
const SERVERS: &str = "board/servers";
/// How often a server says that it is there, and after how long it is not.
const HERE: Duration = Duration::from_secs(2);
const GONE: Duration = Duration::from_secs(7);

/// The board of one server. Clones are the same.
#[derive(Clone)]
pub(crate) struct Room {
    /// Known once there is a server around the board.
    messages: Arc<OnceLock<Messages>>,
    server: u32,
    is_shared: bool,
    state: Arc<Mutex<State>>,
}

struct State {
    board: Board,
    people: u32,
    elsewhere: HashMap<u32, (u32, Instant)>,
    /// Whether something did not get to the other servers.
    is_behind: bool,
}

impl Room {
    /// An empty board, at the server of this number. Whether there are others to share it with.
    pub(crate) fn new(server: u32, is_shared: bool) -> Self {
        let board = Board::new(server);
        let state = State { board, people: 0, elsewhere: HashMap::new(), is_behind: false };
        let state = Arc::new(Mutex::new(state));
        Self { messages: Arc::default(), server, is_shared, state }
    }

    /// Takes part in the messages of a server.
    pub(crate) fn join(&self, messages: Messages) {
        let _ = self.messages.set(messages);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and tells who watches here. Under the lock, so that they hear of changes in
    /// the order in which these were made.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> (T, Vec<Event>)) -> T {
        let mut state = self.state();
        let (result, events) = change(&mut state);
        for event in events {
            // It is done at once; who misses it sees the whole board again.
            drop(self.post(Scope::Local, CHANGES, &event));
        }
        result
    }

    fn post<T: Message>(&self, scope: Scope, channel: &str, message: &T) -> Option<Post> {
        let messages = self.messages.get()?.clone();
        Some(messages.scope(scope).post(channel, message))
    }

    fn paint(&self, x: u8, y: u8, colour: u8) -> Result<(), PaintError> {
        let stroke = self.change(|state| match state.board.paint(x, y, colour) {
            Ok(stroke) => (Ok(stroke), vec![Event::Pixel { x, y, colour }]),
            Err(error) => (Err(error), Vec::new()),
        })?;
        self.tell(&News::Strokes(vec![stroke]));
        Ok(())
    }

    /// Somebody comes, and is here until what is returned is dropped.
    fn enter(&self) -> Here {
        self.count_people(|people| people + 1);
        Here(self.clone())
    }

    fn count_people(&self, count: impl FnOnce(u32) -> u32) {
        let people = self.change(|state| {
            state.people = count(state.people);
            (state.people, vec![Event::People(state.everybody())])
        });
        self.tell(&News::People { server: self.server, people });
    }

    /// Tells the other servers, if there are any. What does not get there is told again later, with
    /// the whole board.
    fn tell(&self, news: &News) {
        let post = self.is_shared.then(|| self.post(Scope::Global, SERVERS, news)).flatten();
        if let Some(post) = post {
            let room = self.clone();
            tokio::spawn(async move {
                if post.await.is_err() {
                    room.state().is_behind = true;
                }
            });
        }
    }

    /// Keeps this server's board and the others' the same, for as long as it is polled.
    pub(crate) async fn share(self) {
        let Some(messages) = self.messages.get() else { return };
        loop {
            let error = self.share_until_it_fails(messages).await;
            println!("The board is this server's alone for now: {error}");
            sleep(HERE).await;
        }
    }

    async fn share_until_it_fails(&self, messages: &Messages) -> SubscribeError {
        let messages = messages.clone().scope(Scope::Global);
        let mut news = match messages.subscribe::<News>(SERVERS).await {
            Ok(news) => news,
            Err(error) => return error,
        };
        self.catch_up();
        let mut here = interval(HERE);
        loop {
            tokio::select! {
                next = news.next() => match next {
                    Some(Ok(news)) => self.hear(news),
                    Some(Err(MessageError::Gap | MessageError::Lagged(_))) => self.catch_up(),
                    Some(Err(_)) => {} // another program's
                    None => return SubscribeError::SessionClosed,
                },
                _ = here.tick() => {
                    if take(&mut self.state().is_behind) {
                        self.catch_up();
                    }
                    self.forget_who_is_gone();
                }
            }
        }
    }

    fn catch_up(&self) {
        let strokes = self.state().board.strokes();
        self.tell(&News::Strokes(strokes));
        self.tell(&News::Ask);
    }

    fn hear(&self, news: News) {
        match news {
            News::Ask => {
                let strokes = self.state().board.strokes();
                self.tell(&News::Strokes(strokes));
            }
            News::Strokes(strokes) => self.change(|state| {
                let shown = strokes.into_iter().filter(|stroke| state.board.take(*stroke));
                let pixel = |Stroke { x, y, colour, .. }| Event::Pixel { x, y, colour };
                ((), shown.map(pixel).collect())
            }),
            News::People { server, .. } if server == self.server => {}
            News::People { server, people } => self.change(|state| {
                let before = state.everybody();
                state.elsewhere.insert(server, (people, Instant::now()));
                ((), state.if_not(before))
            }),
        }
    }

    fn forget_who_is_gone(&self) {
        let people = self.change(|state| {
            let before = state.everybody();
            state.elsewhere.retain(|_, (_, heard)| heard.elapsed() < GONE);
            (state.people, state.if_not(before))
        });
        self.tell(&News::People { server: self.server, people });
    }
}

impl State {
    fn everybody(&self) -> u32 {
        self.elsewhere.values().fold(self.people, |sum, (people, _)| sum.saturating_add(*people))
    }

    /// How many there are, if that is news.
    fn if_not(&self, before: u32) -> Vec<Event> {
        let now = self.everybody();
        if now == before { Vec::new() } else { vec![Event::People(now)] }
    }
}

/// Somebody who watches.
struct Here(Room);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.count_people(|people| people - 1);
    }
}

impl Drawing for Room {
    fn watch(&self, session: &Session) -> impl Stream<Item = Event> {
        let room = self.clone();
        let messages = session.messages().scope(Scope::Local);
        futures_util::stream::once(async move {
            // First the changes, then the board: so no change is missed between the two.
            let changes = messages.subscribe::<Event>(CHANGES).await.ok()?;
            let here = room.enter();
            let first = {
                let state = room.state();
                [Event::Board(state.board.colours()), Event::People(state.everybody())]
            };
            let changes = changes.map(move |change| {
                // Who has missed some sees the whole again.
                change.unwrap_or_else(|_| Event::Board(here.0.state().board.colours()))
            });
            Some(futures_util::stream::iter(first).chain(changes))
        })
        .filter_map(async |watching| watching)
        .flatten()
    }

    async fn paint(&self, _: &Session, x: u8, y: u8, colour: u8) -> Result<(), PaintError> {
        Room::paint(self, x, y, colour)
    }
}
