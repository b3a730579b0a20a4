use wirestream::{Client, Receiver, Session};

#[wirestream::endpoint]
trait Example {
    async fn count(&self, session: &Session, words: Receiver<String>) -> u32;
}

fn call(client: &ExampleClient, untyped: &Client) {
    drop(client.count(vec![String::new()]));
    drop(untyped.call("Example.count").parameter("word").unary::<u32>());
}

fn main() {}
