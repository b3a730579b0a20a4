use futures_util::Stream;
use wirestream::{Receiver, Session};

#[wirestream::endpoint]
trait Example {
    async fn of_a_type<T>(&self, session: &Session, number: T);

    async fn of_a_number<const N: usize>(&self, session: &Session, numbers: [u8; N]);

    async fn of_a_trait(&self, session: &Session, numbers: impl Stream<Item = u8>);
}

#[wirestream::endpoint]
trait Generic<T> {
    fn items(&self, session: &Session, numbers: Receiver<u8>) -> impl Stream<Item = T>;
}

fn main() {}
