use futures_util::Stream;
use wirestream::{Receiver, Session};

#[wirestream::endpoint]
trait Example {
    async fn none(&self) -> u8;

    async fn other(&self, numbers: Receiver<u8>) -> u8;

    fn owned(&self, session: Session) -> impl Stream<Item = u8>;
}

fn main() {}
