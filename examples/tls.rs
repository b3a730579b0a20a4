//! A server under TLS, whose certificate is its own root, a client that knows it, and one that does
//! not.

use futures_util::{Stream, StreamExt};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use wirestream_tokio::{
    ClientConfig, ClientTls, Dialer, Receiver, ServeConfig, Server, ServerTls, Session, bind,
    channel, endpoint, serve_with,
};

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
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".into()])?;
    let tls = ServerTls::builder(cert.pem(), signing_key.serialize_pem()).build()?;
    let config = ServeConfig { tls: Some(tls), ..ServeConfig::default() };

    let listener = bind("127.0.0.1:0").await?;
    let url = format!("wss://localhost:{}", listener.local_addr()?.port());
    let server = Server::builder().endpoint(ExampleServer::new(Service)).build()?;
    tokio::spawn(serve_with(listener, server, config, std::future::pending()));

    let root = ClientTls::builder().roots(cert.pem()).build()?;
    println!("A client that knows the root: {}", echo(Dialer::new(&url).tls(root)).await?);

    // With nothing said, a client trusts whom its platform trusts.
    match echo(Dialer::new(&url)).await {
        Ok(reply) => return Err(format!("nobody should have answered {reply:?}").into()),
        Err(error) => println!("A client that does not: {error}"),
    }
    Ok(())
}

/// What comes back of one message.
async fn echo(dialer: Dialer) -> Result<String, Box<dyn std::error::Error>> {
    let client = dialer.client(ClientConfig::default())?;
    let (input, messages) = channel();
    let mut replies = ExampleClient::new(client).echo(messages);
    input.send("Hello".to_string()).await?;
    Ok(replies.next().await.ok_or("the stream ended early")??)
}
