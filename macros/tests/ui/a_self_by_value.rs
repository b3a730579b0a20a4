use futures_util::Stream;
use wirestream::{Receiver, Session};

#[wirestream::endpoint]
trait Example {
    async fn owned(self, session: &Session, numbers: Receiver<u8>);

    async fn mutable(&mut self, session: &Session);

    fn none(session: &Session) -> impl Stream<Item = u8>;
}

fn main() {}
