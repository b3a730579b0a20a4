//! The echo on smol: server and client on one executor, which this thread runs.

use std::future::pending;
use std::sync::Arc;

use futures_util::{FutureExt, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use smol::Executor;
use wirestream_smol::{
    ClientConfig, Dialer, Endpoint, Receiver, Runtime, ServeConfig, Server, Session, Smol, Value,
    channel_with_error, serve_on,
};

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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let executor = Arc::new(Executor::new());
    smol::block_on(executor.run(echo_on(Smol::on(Arc::clone(&executor)))))
}

async fn echo_on(smol: Smol) -> Result<(), Box<dyn std::error::Error>> {
    let example = Endpoint::new("Example").stream("echo", echo);
    let server = Server::builder().endpoint(example).build()?;
    let listener = wirestream_smol::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}", listener.local_addr()?);
    let config = ServeConfig::default();
    smol.spawn(Box::pin(serve_on(smol.clone(), listener, server, config, pending()).map(drop)));

    let client = Dialer::new(&url).client_on(smol, ClientConfig::default())?;
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
