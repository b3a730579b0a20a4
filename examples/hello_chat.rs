//! A chat room: whatever somebody says, everybody in the room hears.

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::broadcast;
use wirestream_tokio::{Receiver, Server, Session, bind, channel, client, endpoint, serve};

type Line = String;

#[endpoint]
trait Chat {
    fn join(&self, _: &Session, who: String, says: Receiver<Line>) -> impl Stream<Item = Line>;
}

struct Room(broadcast::Sender<Line>);

impl Chat for Room {
    fn join(&self, _: &Session, who: String, says: Receiver<Line>) -> impl Stream<Item = Line> {
        let lines = says.filter_map(async |it| it.ok()).map(move |it| format!("{who}: {it}"));
        let told = lines.filter_map(async |line| self.0.send(line).err().and(None));
        let room = self.0.subscribe();
        let heard = stream::unfold(room, async |mut room| Some((room.recv().await.ok()?, room)));
        stream::select(told, heard)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = bind("127.0.0.1:0").await?;
    let client = ChatClient::new(client(&format!("ws://{}", listener.local_addr()?)));
    let room = ChatServer::new(Room(broadcast::channel(100).0));
    let server = Server::builder().endpoint(room).build()?;
    tokio::spawn(serve(listener, server, std::future::pending()));
    let (bob, bob_says) = channel();
    let mut bob_hears = client.join("Bob".into(), bob_says);
    bob.send("Is anybody here?".into()).await?;
    println!("Bob hears {:?}", bob_hears.next().await);
    let _ann = client.join("Ann".into(), stream::iter(["I am.".into()]));
    println!("Bob hears {:?}", bob_hears.next().await);
    Ok(())
}
