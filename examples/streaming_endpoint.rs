//! A streaming endpoint, the older, manual way: one stream of mixed messages in each direction, and a
//! listener that outlives a restart of the server. For a new program, take methods with streams, as
//! the example `echo` does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedSender};
use wirestream_tokio::streaming::{
    StreamingConnection, StreamingEndpoint, StreamingMessages, StreamingSession, StreamingStatus,
};
use wirestream_tokio::{Endpoint, Failed, Server, Value, bind, client, serve};

type Error = Box<dyn std::error::Error>;

/// Greets whoever tells a name, and doubles numbers.
struct Reception(UnboundedSender<String>);

/// The user object: how many messages came on a stream.
#[derive(Default)]
struct Visit(AtomicU32);

impl StreamingEndpoint for Reception {
    async fn stream_opened(&self, session: &StreamingSession) -> Result<(), Failed> {
        session.set(Visit::default());
        Ok(session.send_stream_message("Welcome!").await?)
    }

    async fn handle_stream_message(
        &self,
        session: &StreamingSession,
        message: Value,
    ) -> Result<(), Failed> {
        if let Some(visit) = session.get::<Visit>() {
            visit.0.fetch_add(1, Ordering::Relaxed);
        }
        let answer = match message {
            Value::Text(name) => Value::from(format!("Hello, {name}!")),
            Value::Int(number) => Value::Int(number.saturating_mul(2)),
            _ => return Err(std::io::Error::other("a name or a number, please").into()),
        };
        Ok(session.send_stream_message(answer).await?)
    }

    async fn stream_closed(&self, session: &StreamingSession) {
        let messages = session.get::<Visit>().map_or(0, |visit| visit.0.load(Ordering::Relaxed));
        // Nobody hears it when the program is at its end.
        let _ = self.0.send(format!("a stream is closed, messages on it: {messages}"));
    }
}

/// Serves until the server is shut down.
fn start(listener: TcpListener, told: &UnboundedSender<String>) -> Result<Running, Error> {
    let reception = Endpoint::new("Reception").streaming(Reception(told.clone()));
    let server = Server::builder().endpoint(reception).build()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let until = async move { drop(stopped.await) };
    let serving = tokio::spawn(serve(listener, server.clone(), until));
    Ok(Running { server, stop, serving })
}

struct Running {
    server: Server,
    stop: tokio::sync::oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    /// Leaves no time to what runs.
    async fn stop(self) -> Result<(), Error> {
        drop(self.stop);
        self.server.shutdown(Duration::ZERO).await;
        Ok(self.serving.await??)
    }
}

async fn next(messages: &mut StreamingMessages) -> Result<(), Error> {
    match messages.next().await.ok_or("the connection is gone")? {
        Ok(message) => println!("Client hears: {message}"),
        Err(error) => println!("Client is told: {error}"),
    }
    Ok(())
}

async fn opened(connection: &StreamingConnection) {
    let mut changes = connection.status_changes();
    while changes.next().await.is_some_and(|status| status != StreamingStatus::Open) {}
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let (told, mut server_tells) = mpsc::unbounded_channel();
    let listener = bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = start(listener, &told)?;

    let client = client(&format!("ws://{address}"));
    let (reception, mut messages) = client.streaming("Reception");
    reception.open();
    next(&mut messages).await?;
    reception.send("Ann").await?;
    next(&mut messages).await?;
    reception.send(21).await?;
    next(&mut messages).await?;
    reception.send(Value::Null).await?;
    next(&mut messages).await?;

    server.stop().await?;
    println!("Server: {}", server_tells.recv().await.ok_or("it is gone")?);
    match messages.next().await {
        Some(Err(_)) => println!("Client is told: the stream was interrupted"),
        other => return Err(format!("an interruption was expected, not {other:?}").into()),
    }
    let away = reception.send("Bob").await;
    println!("Client sends meanwhile: {}", if away.is_err() { "an error" } else { "sent" });

    let server = start(bind(address).await?, &told)?;
    opened(&reception).await;
    next(&mut messages).await?;
    reception.send("Bob").await?;
    next(&mut messages).await?;
    reception.close();
    println!("Server: {}", server_tells.recv().await.ok_or("it is gone")?);
    server.stop().await
}
