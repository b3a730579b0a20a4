use futures_util::Stream;
use wirestream::{Receiver, Session};

#[wirestream::endpoint(named = "example")]
trait Example {
    async fn numbers(&self, session: &Session, numbers: Receiver<u8>);
}

#[wirestream::endpoint(name = "")]
trait Nameless {
    fn numbers(&self, session: &Session) -> impl Stream<Item = u8>;
}

#[wirestream::endpoint]
trait Marked {
    #[compatible("old")]
    fn numbers(&self, session: &Session) -> impl Stream<Item = u8>;

    #[optional(yes)]
    fn more(&self, session: &Session) -> impl Stream<Item = u8>;

    #[optional]
    async fn bodied(&self, session: &Session) {}
}

#[wirestream::endpoint(login, anonymous)]
trait Undecided {
    async fn method(&self, session: &Session);
}

#[wirestream::endpoint]
trait Scoped {
    #[scopes()]
    async fn none(&self, session: &Session);

    #[login]
    #[scopes("admin")]
    async fn twice(&self, session: &Session);
}

fn main() {}
