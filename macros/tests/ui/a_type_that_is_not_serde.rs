use futures_util::Stream;
use wirestream::{Receiver, Session};

struct Plain;

#[wirestream::endpoint]
trait Example {
    async fn argument(&self, session: &Session, plain: Plain);

    async fn parameter(&self, session: &Session, plain: Receiver<Plain>);

    fn reply(&self, session: &Session) -> impl Stream<Item = Plain>;
}

fn main() {}
