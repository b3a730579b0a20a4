//! A chat: people at their terminals, in rooms on one server or several.
//!
//! ```console
//! $ cargo run --example chat -- serve
//! $ cargo run --example chat -- join kitchen Ann    # in another terminal, and Bob in a third
//! ```
//!
//! What is typed is said to all in the room; `/to Ann hello` is for Ann alone, in whatever room she is. The end of the input
//! (Ctrl-D) leaves.
//!
//! Servers that use one Redis are one chat:
//!
//! ```console
//! $ cargo run --example chat -- serve --redis redis://127.0.0.1
//! $ cargo run --example chat -- serve --redis redis://127.0.0.1 --port 8081
//! $ cargo run --example chat -- join kitchen Ann
//! $ cargo run --example chat -- join kitchen Bob --url ws://127.0.0.1:8081
//! ```
//!
//! Stop Redis: everybody stays, and whoever says something is told that nobody heard it. Start it again: all are told that
//! they may have missed something, and the chat goes on.
//!
//! Without a word behind it, it shows itself:
//!
//! ```console
//! $ cargo run --example chat
//! Ann hears: Ann entered
//! Ann hears: Bob entered
//! Bob hears: Bob entered
//! Who has not signed in is told: the call was rejected: unauthenticated: `Chat.join` needs a caller who is signed in
//! Ann hears: Bob: Is anybody here?
//! Bob hears: Bob: Is anybody here?
//! Ann hears: Ann: I am.
//! Bob hears: Ann: I am.
//! Bob tells Ann alone.
//! Ann hears: Bob, to you alone: Good.
//! Carl enters, and looks away while Ann says 500 lines.
//! Bob heard them all. Carl heard the first and the last, and was told of those that he missed.
//! Bob disconnects without a word.
//! Ann hears: Bob left
//! Ann leaves.
//! ```

mod demonstration;
mod rooms;

use std::io::{BufRead, stdin};
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use rooms::{ChatClient, ChatServer, Rooms, is_name};
use tokio::sync::mpsc;
use wirestream_redis::{RedisBus, RedisConfig};
use wirestream_tokio::{
    Authentication, ClientConfig, Dialer, Failed, MessageConfig, Sender, ServeConfig, Server,
    ServerBuilder, Token, bind, channel, serve_with,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Who signs in with a token. Here the token is the name, and whoever wants to be Ann is Ann: a real application gives out
/// secrets, and looks up here whose this is.
async fn sign_in(token: Token) -> Result<Option<Authentication>, Failed> {
    let name = str::from_utf8(token.as_bytes()).ok().filter(|name| is_name(name));
    Ok(name.map(Authentication::new))
}

fn chat_server() -> ServerBuilder {
    // Who is more than 100 lines behind misses the oldest of them. Nobody waits for them.
    let messages = MessageConfig { unread: 100, ..MessageConfig::default() };
    let rooms = ChatServer::new(Rooms);
    Server::builder().messages(messages).authenticator(sign_in).endpoint(rooms)
}

async fn serve(redis: Option<&str>, port: &str) -> Outcome {
    let mut server = chat_server();
    if let Some(url) = redis {
        // People wait for it: it is looked for every second at least.
        let retry_longest = Duration::from_secs(1);
        let config = RedisConfig { namespace: "chat".into(), retry_longest, ..Default::default() };
        let bus = RedisBus::with_config(url, config)?;
        // Later it may come and go. If it is not there now, that is a mistake, and is told at once.
        bus.ready().await?;
        server = server.bus(bus);
    }
    let listener = bind(format!("127.0.0.1:{port}")).await?;
    println!("Listening on ws://{}", listener.local_addr()?);
    // A chat never ends by itself: who is told to stop does not wait for it.
    let config = ServeConfig { drain: Duration::from_secs(1), ..ServeConfig::default() };
    let told_to_stop = async { drop(tokio::signal::ctrl_c().await) };
    Ok(serve_with(listener, server.build()?, config, told_to_stop).await?)
}

/// Says what is typed, and prints what is heard, until the one or the other ends.
async fn join(room: &str, name: &str, url: &str) -> Outcome {
    let config = ClientConfig { token: Some(Token::new(name.to_owned())), ..Default::default() };
    let chat = ChatClient::new(Dialer::new(url).client(config)?);
    let (says, words) = channel();
    let mut heard = chat.join(room.into(), words);
    // Apart from each other: who waits to be heard goes on hearing.
    tokio::spawn(speak(chat, says));
    while let Some(event) = heard.next().await {
        println!("{}", event?);
    }
    Ok(())
}

/// Says what is typed, to the room or to one person.
async fn speak(chat: ChatClient, says: Sender<String>) {
    let mut typed = typed_lines();
    while let Some(line) = typed.recv().await {
        match line.strip_prefix("/to ").and_then(|line| line.split_once(' ')) {
            Some((to, line)) => {
                if let Err(error) = chat.tell(to.into(), line.into()).await {
                    println!("(not said: {error})");
                }
            }
            // Why a line is not wanted any more is told to who listens.
            None => drop(says.send(line).await),
        }
    }
    says.finish();
}

/// The lines of the standard input. Reading it blocks, so a thread does.
fn typed_lines() -> mpsc::Receiver<String> {
    let (typed, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        stdin().lock().lines().map_while(Result::ok).try_for_each(|line| typed.blocking_send(line))
    });
    lines
}

const USAGE: &str =
    "usage: chat serve [--redis URL] [--port PORT] | chat join ROOM NAME [--url URL]";

/// The values of options, each given at most once.
fn options<'a, const N: usize>(
    words: &[&'a str],
    names: [&str; N],
) -> Result<[Option<&'a str>; N], &'static str> {
    let mut values = [None; N];
    for pair in words.chunks(2) {
        let at = names.iter().position(|name| *name == pair[0]).ok_or(USAGE)?;
        values[at] = Some(*pair.get(1).ok_or(USAGE)?);
    }
    Ok(values)
}

async fn run(words: &[&str]) -> Outcome {
    match words {
        [] => demonstration::show().await,
        ["serve", words @ ..] => {
            let [redis, port] = options(words, ["--redis", "--port"])?;
            serve(redis, port.unwrap_or("8080")).await
        }
        ["join", room, name, words @ ..] => {
            let [url] = options(words, ["--url"])?;
            join(room, name, url.unwrap_or("ws://127.0.0.1:8080")).await
        }
        _ => Err(USAGE.into()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
