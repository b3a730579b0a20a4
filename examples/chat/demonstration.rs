//! Three members in one room, on one server, all in this program.

use std::future::pending;

use futures_util::StreamExt;
use wirestream_tokio::{
    Client, ClientConfig, Dialer, Limits, Receiver, Sender, Token, bind, channel, client, serve,
};

use crate::rooms::{ChatClient, Event, Refused};
use crate::{Outcome, chat_server};

const LINES: usize = 500;

struct Member {
    name: &'static str,
    client: Client,
    says: Sender<String>,
    hears: Receiver<Event, Refused>,
}

impl Member {
    /// Enters the room over a connection of its own.
    fn enter(name: &'static str, url: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let token = Some(Token::new(name));
        // Small windows: who looks away misses something soon.
        let limits = Limits { half_window: 4_096, ..Limits::default() };
        let config = ClientConfig { token, limits, ..ClientConfig::default() };
        let client = Dialer::new(url).client(config)?;
        let (says, words) = channel();
        let hears = ChatClient::new(client.clone()).join("kitchen".into(), words);
        Ok(Self { name, client, says, hears })
    }

    async fn say(&self, line: impl Into<String>) -> Outcome {
        Ok(self.says.send(line.into()).await?)
    }

    async fn next(&mut self) -> Result<Event, Box<dyn std::error::Error>> {
        Ok(self.hears.next().await.ok_or("the room was closed")??)
    }

    async fn hear(&mut self) -> Outcome {
        let event = self.next().await?;
        println!("{} hears: {event}", self.name);
        Ok(())
    }
}

pub(crate) async fn show() -> Outcome {
    let listener = bind("127.0.0.1:0").await?;
    let url = format!("ws://{}", listener.local_addr()?);
    tokio::spawn(serve(listener, chat_server().build()?, pending()));

    let mut ann = Member::enter("Ann", &url)?;
    ann.hear().await?;
    let mut bob = Member::enter("Bob", &url)?;
    ann.hear().await?;
    bob.hear().await?;
    let (_says, words) = channel();
    match ChatClient::new(client(&url)).join("kitchen".into(), words).next().await {
        Some(Err(refused)) => println!("Who has not signed in is told: {refused}"),
        other => return Err(format!("somebody got in: {other:?}").into()),
    }
    bob.say("Is anybody here?").await?;
    ann.hear().await?;
    bob.hear().await?;
    ann.say("I am.").await?;
    ann.hear().await?;
    bob.hear().await?;
    println!("Bob tells Ann alone.");
    ChatClient::new(bob.client.clone()).tell("Ann".into(), "Good.".into()).await?;
    ann.hear().await?;

    let mut carl = Member::enter("Carl", &url)?;
    ann.next().await?;
    bob.next().await?;
    println!("Carl enters, and looks away while Ann says {LINES} lines.");
    for line in 1..=LINES {
        ann.say(line.to_string()).await?;
        // Both hear each line before the next is said, whatever Carl does.
        for event in [ann.next().await?, bob.next().await?] {
            let Event::Said { line: heard, .. } = event else { return Err("a gap".into()) };
            assert_eq!(heard, line.to_string());
        }
    }
    carl.next().await?; // that he entered
    let (mut heard, mut missed) = (0, 0);
    while heard + missed < LINES as u64 {
        match carl.next().await? {
            Event::Said { line, .. } => {
                heard += 1;
                assert_eq!(line, (heard + missed).to_string(), "each line once, in order");
            }
            Event::Missed { lines, .. } => missed += lines,
            other => return Err(format!("nobody comes or goes: {other}").into()),
        }
    }
    assert!(missed > 0);
    println!(
        "Bob heard them all. Carl heard the first and the last, and was told of those that he missed."
    );
    drop(carl);
    ann.next().await?;

    println!("Bob disconnects without a word.");
    bob.client.disconnect();
    ann.hear().await?;
    println!("Ann leaves.");
    ann.says.finish();
    match ann.hears.next().await {
        None => Ok(()),
        Some(event) => Err(format!("after Ann left, she hears {event:?}").into()),
    }
}
