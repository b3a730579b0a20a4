use futures_util::Stream;
use wirestream::{Receiver, Session};

#[wirestream::endpoint]
struct Example {
    numbers: Option<Receiver<u8>>,
}

#[wirestream::endpoint]
fn example(_: &Session) -> impl Stream<Item = u8> {
    futures_util::stream::empty()
}

fn main() {}
