use wirestream_smol::{
    Receiver, Server, Session, Stream, StreamExt, bind, channel, client, endpoint, serve, smol,
};

#[endpoint]
trait Example {
    /// Sends back whatever it receives, in capitals.
    fn shout(&self, session: &Session, words: Receiver<String>) -> impl Stream<Item = String>;
}

struct Service;

impl Example for Service {
    fn shout(&self, _: &Session, words: Receiver<String>) -> impl Stream<Item = String> {
        // An input that fails ends like one that is finished: this method does not mind.
        words.filter_map(async |word| word.ok()).map(|word| word.to_uppercase())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    smol::block_on(hello())
}

async fn hello() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().endpoint(ExampleServer::new(Service)).build()?;
    let listener = bind("127.0.0.1:0").await?;
    let url = format!("ws://{}", listener.local_addr()?);
    smol::spawn(serve(listener, server, std::future::pending())).detach();

    let example = ExampleClient::new(client(&url));
    let (input, words) = channel();
    let mut replies = example.shout(words);
    input.send("hello".to_string()).await?;
    input.finish();
    while let Some(reply) = replies.next().await {
        println!("{}", reply?);
    }
    Ok(())
}
