use futures_util::Stream;
use wirestream::{Receiver, Session};

#[wirestream::endpoint]
trait Example {
    async fn sent(&self, session: &Session, streams: Receiver<Receiver<u8>>);

    async fn held(&self, session: &Session, streams: Vec<Receiver<u8>>);

    fn returned(&self, session: &Session) -> impl Stream<Item = Receiver<u8>>;

    fn nested(&self, session: &Session) -> impl Stream<Item = impl Stream<Item = u8>>;
}

fn main() {}
