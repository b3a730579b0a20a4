use wirestream::Session;

#[wirestream::endpoint(scopes)]
trait WhichScopes {
    async fn method(&self, session: &Session);
}

#[wirestream::endpoint(login = true)]
trait LoginWithAValue {
    async fn method(&self, session: &Session);
}

#[wirestream::endpoint(scopes("admin"), login)]
trait ScopesAndLogin {
    async fn method(&self, session: &Session);
}

#[wirestream::endpoint]
trait Marked {
    #[scopes]
    async fn which(&self, session: &Session);

    #[scopes(admin)]
    async fn not_in_quotes(&self, session: &Session);

    #[scopes("read", "")]
    async fn nameless(&self, session: &Session);

    #[login("admin")]
    async fn login_with_a_scope(&self, session: &Session);

    #[anonymous]
    #[login]
    async fn both(&self, session: &Session);
}

fn main() {}
