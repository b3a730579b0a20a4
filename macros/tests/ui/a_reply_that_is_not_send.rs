use std::rc::Rc;

use wirestream::Session;

#[wirestream::endpoint]
trait Example {
    async fn number(&self, session: &Session) -> u8;
}

struct Service;

impl Example for Service {
    async fn number(&self, _: &Session) -> u8 {
        let number = Rc::new(1);
        std::future::ready(()).await;
        *number
    }
}

fn main() {}
