use futures_util::Stream;
use wirestream::{Receiver, Session};

#[wirestream::endpoint]
trait Example {
    fn value(&self, session: &Session, numbers: Receiver<u8>) -> u8;

    fn nothing(&self, session: &Session);

    async fn late(&self, session: &Session) -> impl Stream<Item = u8>;

    async fn which(&self, session: &Session) -> std::io::Result<u8>;

    async fn new(&self, session: &Session);

    const NUMBER: u8;
}

fn main() {}
