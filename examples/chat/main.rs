//! A chat: rooms on a server, members at their terminals.
//!
//! ```console
//! $ cargo run --example chat -- serve
//! $ cargo run --example chat -- join kitchen Ann
//! ```
//!
//! Without a word behind it, it shows itself:
//!
//! ```console
//! $ cargo run --example chat
//! Ann hears: Ann entered
//! Ann hears: Bob entered
//! Bob hears: Bob entered
//! A second Bob is told: the name is taken
//! Ann hears: Bob: Is anybody here?
//! Bob hears: Bob: Is anybody here?
//! Ann hears: Ann: I am.
//! Bob hears: Ann: I am.
//! Carl enters, and looks away while Ann says 500 lines.
//! Bob heard them all. Carl heard the first and the last, and was told of those that he missed.
//! Bob disconnects without a word.
//! Ann hears: Bob left
//! Ann leaves.
//! ```

mod demonstration;
mod rooms;

use std::fmt;
use std::future::ready;
use std::io::{BufRead, stdin};
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use rooms::Rooms;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use wirestream_tokio::{
    Receiver, Sender, ServeConfig, Server, Session, bind, channel, client, endpoint, serve_with,
};

#[endpoint]
trait Chat {
    /// Enters a room, and stays until the caller finishes what it says, gives up the call, or is
    /// cut off.
    fn join(
        &self,
        session: &Session,
        room: String,
        name: String,
        says: Receiver<String>,
    ) -> impl Stream<Item = Result<Event, Refused>>;
}

/// What a member hears.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Event {
    Entered { who: String },
    Said { who: String, line: String },
    Left { who: String },
    Missed { lines: u64 },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entered { who } => write!(f, "{who} entered"),
            Self::Said { who, line } => write!(f, "{who}: {line}"),
            Self::Left { who } => write!(f, "{who} left"),
            Self::Missed { lines } => write!(f, "({lines} lines were missed)"),
        }
    }
}

/// Why somebody may not enter.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
enum Refused {
    #[error("the name is taken")]
    NameTaken,
    #[error("a name has 1 to 32 characters")]
    NotAName,
}

#[derive(Default)]
struct Service(Rooms);

impl Chat for Service {
    fn join(
        &self,
        _: &Session,
        room: String,
        name: String,
        mut says: Receiver<String>,
    ) -> impl Stream<Item = Result<Event, Refused>> {
        let (member, heard) = match self.0.enter(&room, &name) {
            Ok(entered) => entered,
            Err(refused) => return stream::once(ready(Err(refused))).left_stream(),
        };
        // The member leaves when this is done, or is dropped with the call.
        let speaking = async move {
            while let Some(Ok(line)) = says.next().await {
                member.say(&line);
            }
        };
        heard.map(Ok).take_until(speaking).right_stream()
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

async fn serve(address: &str) -> Outcome {
    let server = Server::builder().endpoint(ChatServer::new(Service::default())).build()?;
    let listener = bind(address).await?;
    println!("Listening on ws://{}", listener.local_addr()?);
    // A chat never ends by itself: who is told to stop does not wait for it.
    let config = ServeConfig { drain: Duration::from_secs(1), ..ServeConfig::default() };
    let told_to_stop = async { drop(tokio::signal::ctrl_c().await) };
    Ok(serve_with(listener, server, config, told_to_stop).await?)
}

/// Says what is typed, and prints what is heard, until the one or the other ends.
async fn join(room: String, name: String, url: &str) -> Outcome {
    let chat = ChatClient::new(client(url));
    let (says, words) = channel();
    let mut events = chat.join(room, name, words);
    let mut typed = typed_lines();
    let mut says = Some(says);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => println!("{}", event?),
                None => return Ok(()),
            },
            line = typed.recv(), if says.is_some() => match (line, &says) {
                // Why a line is not wanted any more is said among the events.
                (Some(line), Some(says)) => drop(says.send(line).await),
                _ => says.take().into_iter().for_each(Sender::finish),
            },
        }
    }
}

/// The lines of the standard input. Reading it blocks, so a thread does.
fn typed_lines() -> mpsc::Receiver<String> {
    let (typed, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        stdin().lock().lines().map_while(Result::ok).try_for_each(|line| typed.blocking_send(line))
    });
    lines
}

const USAGE: &str = "usage: chat serve [address] | chat join <room> <name> [url]";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [] => demonstration::show().await,
        ["serve"] => serve("127.0.0.1:8080").await,
        ["serve", address] => serve(address).await,
        ["join", room, name] => join(room.into(), name.into(), "ws://127.0.0.1:8080").await,
        ["join", room, name, url] => join(room.into(), name.into(), url).await,
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
