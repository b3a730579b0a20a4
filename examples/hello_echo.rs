//! Contract, server and client: the whole of it.

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use wirestream_tokio::{Receiver, Server, Session, bind, client, endpoint, serve};

#[endpoint]
trait Example {
    fn echo(&self, session: &Session, messages: Receiver<String>) -> impl Stream<Item = String>;
}

struct Service;

impl Example for Service {
    fn echo(&self, _: &Session, messages: Receiver<String>) -> impl Stream<Item = String> {
        messages.filter_map(async |message| message.ok())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = bind("127.0.0.1:0").await?;
    let client = ExampleClient::new(client(&format!("ws://{}", listener.local_addr()?)));
    let server = Server::builder().endpoint(ExampleServer::new(Service)).build()?;
    tokio::spawn(serve(listener, server, std::future::pending()));
    let replies = client.echo(stream::iter(["Hello", "world"].map(String::from)));
    println!("{:?}", replies.try_collect::<Vec<_>>().await?);
    Ok(())
}
