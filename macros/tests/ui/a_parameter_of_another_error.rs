use wirestream::{Receiver, Session};

#[wirestream::endpoint]
trait Example {
    async fn number(&self, session: &Session, numbers: Receiver<u8, String>);
}

fn call(client: &ExampleClient) {
    let (_, numbers) = wirestream::channel_with_error::<u8, u32>();
    drop(client.number(numbers));
    drop(client.number(futures_util::stream::iter([1_u16])));
}

fn main() {}
