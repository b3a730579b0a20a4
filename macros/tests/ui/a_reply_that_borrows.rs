use futures_util::Stream;
use wirestream::{Receiver, Session};

use std::borrow::Cow;

#[wirestream::endpoint]
trait Example {
    async fn text(&self, session: &Session) -> &str;

    fn items<'a>(&'a self, session: &Session) -> impl Stream<Item = Cow<'a, str>>;

    async fn argument(&self, session: &Session, text: &str, numbers: Receiver<u8>);
}

fn main() {}
