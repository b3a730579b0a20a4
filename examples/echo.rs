//! A method whose stream takes mixed values and sends them back, and an error in each direction.
//! Server and client run in one program, over a WebSocket on a free loopback port.

use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use wirestream_tokio::{Endpoint, Receiver, Server, Session, Value, channel_with_error};

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
struct EchoError(String);

fn echo(
    _: Session,
    (): (),
    (messages,): (Receiver<Value, EchoError>,),
) -> impl Stream<Item = Result<Value, EchoError>> {
    messages.map(|message| {
        message.map_err(|error| {
            println!("Server received error: {error}");
            EchoError("Error from server".into())
        })
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let example = Endpoint::new("Example").stream("echo", echo);
    let server = Server::builder().endpoint(example).build()?;
    let listener = wirestream_tokio::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}", listener.local_addr()?);
    tokio::spawn(wirestream_tokio::serve(listener, server, std::future::pending()));

    let client = wirestream_tokio::client(&url);
    let (input, messages) = channel_with_error();
    let call = client.call("Example.echo").parameter(messages);
    let mut replies = call.stream_with_error::<Value, EchoError>();

    input.send(Value::from("Hello")).await?;
    input.send(Value::from(42)).await?;
    for _ in 0..2 {
        let reply = replies.next().await.ok_or("the stream ended early")??;
        println!("Received message: {reply}");
    }
    input.fail(EchoError("Error from client".into()));
    match replies.next().await {
        Some(Err(error)) => println!("Client received error: {error}"),
        other => return Err(format!("an error was expected, not {other:?}").into()),
    }
    Ok(())
}
