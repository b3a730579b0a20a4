use futures_util::Stream;
use wirestream::{Receiver, Session};

#[wirestream::endpoint]
trait Example {
    async fn same(&self, session: &Session, numbers: Receiver<u8>);

    fn same(&self, session: &Session) -> impl Stream<Item = u8>;
}

fn main() {}
