//! Group G: who calls, and what may be taken back; and A6 to A11, which turn callers away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::Notify;
use wirestream::{
    Access, Authentication, BoxFuture, BuildError, BusError, ClientConfig, Endpoint, Failed,
    NoError, Provider, Receiver, RejectCode, Revocation, SendError, Server, ServerBuilder, Session,
    StreamError, Token, TokenProvider, channel,
};
use wirestream_tests::bus::Cluster;
use wirestream_tests::canary::{self, CANARY};
use wirestream_tests::{Net, Rig, TestClient, scenarios, soon, until};

scenarios! {
    a6_a_protected_method_refuses_who_has_no_token,
    a7_a_token_that_is_not_known_is_refused,
    a8_a_caller_without_the_scope_is_refused,
    a9_a_caller_with_the_scope_is_let_in,
    a10_an_authenticator_that_fails_or_panics_refuses_that_call_alone,
    a11_a_slow_authenticator_delays_nobody_else,
    a11_what_is_wrong_is_told_in_the_stated_order,
    g1_the_connections_token_reaches_the_session,
    g1_a_token_is_shown_by_nothing_that_has_one,
    g1_a_connections_token_is_looked_up_once,
    g1_what_holds_for_a_time_is_looked_up_again_after_it,
    g2_the_token_of_a_call_goes_before_the_connections,
    g3_an_anonymous_method_is_sent_no_token,
    g3_the_contract_says_whom_a_method_is_for,
    g4_without_a_way_to_refresh_a_refusal_is_final,
    g4_a_refused_token_is_refreshed_and_the_call_made_again_once,
    g4_nothing_that_was_sent_is_lost_when_a_call_is_made_again,
    g4_a_second_refusal_is_told,
    g4_a_call_that_nobody_waits_for_is_not_made_again,
    g5_calls_that_are_refused_together_share_one_refresh,
    g5_a_refresh_leaves_what_runs_alone,
    g5_what_the_application_sets_goes_before_what_is_being_fetched,
    g6_a_revoked_user_loses_protected_streams_and_no_others,
    g7_a_revoked_token_leaves_the_users_others,
    g8_a_revoked_scope_closes_what_requires_it,
    g9_a_revocation_reaches_who_is_just_coming_in,
    g9_a_revocation_does_not_reach_who_comes_in_after_it,
    g9_a_revoked_caller_is_looked_up_anew,
    g10_a_revocation_reaches_every_server,
    g10_a_bus_that_is_down_leaves_other_servers_to_ask_anew,
    g11_signing_out_ends_streams_in_order,
    j9_signing_in_needs_no_new_connection,
}

/// Who has which token, and what the authenticator was asked.
#[derive(Clone, Default)]
struct Door(Arc<Inside>);

#[derive(Default)]
struct Inside {
    tokens: Mutex<HashMap<Vec<u8>, Authentication>>,
    asked: AtomicUsize,
    /// Lets one in who came with a token that begins with "slow".
    open: Notify,
}

impl Door {
    fn with(tokens: &[(&str, Authentication)]) -> Self {
        let door = Self::default();
        tokens.iter().for_each(|(token, who)| door.know(token, who.clone()));
        door
    }

    fn know(&self, token: &str, who: Authentication) {
        self.0.tokens.lock().unwrap().insert(token.into(), who);
    }

    fn forget(&self, token: &str) {
        self.0.tokens.lock().unwrap().remove(token.as_bytes());
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    async fn ask(self, token: Token) -> Result<Option<Authentication>, Failed> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let name =
            token.as_bytes().strip_suffix(CANARY.as_bytes()).expect("a token of these tests");
        match name {
            b"fail" => return Err(std::io::Error::other("the user store is down").into()),
            b"panic" => panic!("an authenticator that panics"),
            slow if slow.starts_with(b"slow") => self.0.open.notified().await,
            _ => {}
        }
        Ok(self.0.tokens.lock().unwrap().get(name).cloned())
    }

    fn builder(&self) -> ServerBuilder {
        let door = self.clone();
        let asked = move |token| door.clone().ask(token);
        Server::builder().authenticator(asked).endpoint(vault())
    }

    fn server(&self) -> Server {
        self.builder().build().expect("a sound server")
    }

    /// A server of a cluster.
    fn node(&self, cluster: &Cluster) -> Server {
        self.builder().bus(cluster.node()).build().expect("a sound server")
    }
}

/// The token of this name. It has the canary in it, for which all that the tests say is searched.
fn secret(name: &str) -> Token {
    Token::new(format!("{name}{CANARY}"))
}

fn alice() -> Authentication {
    Authentication::new("alice").token_id("a1")
}

async fn who(session: Session, (): (), (): ()) -> Result<Option<String>, NoError> {
    Ok(session.authentication().map(|caller| caller.user().to_owned()))
}

/// Who is seen, and whether a token is.
async fn seen(session: Session, (): (), (): ()) -> Result<(bool, bool), NoError> {
    Ok((session.authentication().is_some(), session.token().is_some()))
}

fn count(_: Session, (): (), (): ()) -> impl Stream<Item = Result<u64, NoError>> {
    stream::iter(0..1).chain(stream::pending()).map(Ok)
}

fn echo(
    _: Session,
    (): (),
    (messages,): (Receiver<String>,),
) -> impl Stream<Item = Result<String, NoError>> {
    messages.filter_map(async |message| message.ok().map(Ok))
}

async fn add(_: Session, (a, b): (i64, i64), (): ()) -> Result<i64, NoError> {
    Ok(a + b)
}

fn vault() -> Endpoint {
    Endpoint::new("Vault")
        .unary("who", who)
        .unary("seen", seen)
        .unary("mine", who)
        .access(Access::Login)
        .unary("rule", who)
        .access(Access::scopes(["admin"]))
        .unary("hidden", seen)
        .access(Access::Anonymous)
        .stream("open", count)
        .stream("watch", count)
        .access(Access::Login)
        .stream("reign", count)
        .access(Access::scopes(["admin"]))
        .stream("echo", echo)
        .access(Access::Login)
        .unary("add", add)
        .access(Access::scopes(["admin"]))
}

type Who = Result<Option<String>, StreamError>;

fn code<T: std::fmt::Debug>(result: Result<T, StreamError>) -> RejectCode {
    match result {
        Err(StreamError::Rejected(rejection)) => rejection.code,
        other => panic!("{other:?}"),
    }
}

fn user(name: &str) -> Who {
    Ok(Some(name.into()))
}

async fn ask(client: &TestClient, method: &str) -> Who {
    soon("an answer", client.call(format!("Vault.{method}")).unary()).await
}

async fn ask_with(client: &TestClient, token: &str, method: &str) -> Who {
    let call = client.call(format!("Vault.{method}")).token(secret(token));
    soon("an answer", call.unary()).await
}

fn client_of(rig: &Rig, token: &str) -> TestClient {
    let token = Some(secret(token));
    rig.client_of(ClientConfig { token, ..ClientConfig::default() })
}

/// A stream that has begun.
async fn begun(client: &TestClient, token: &str, method: &str) -> Receiver<u64> {
    let call = client.call(format!("Vault.{method}")).token(secret(token));
    let mut stream = call.stream();
    assert_eq!(soon("the first", stream.next()).await, Some(Ok(0)));
    stream
}

/// Whether a stream that has begun still stands: it has nothing to say.
async fn stands(client: &TestClient, stream: &mut Receiver<u64>) -> bool {
    // What was to be said of it before this answer was said before.
    assert_eq!(ask(client, "who").await.map(drop), Ok(()));
    stream.next().now_or_never().is_none()
}

async fn ended(stream: &mut Receiver<u64>) {
    assert_eq!(soon("the end", stream.next()).await, Some(Err(StreamError::Revoked)));
    assert_eq!(stream.next().await, None);
}

/// A6
async fn a6_a_protected_method_refuses_who_has_no_token(net: Net) {
    let door = Door::with(&[("a", alice())]);
    let rig = Rig::start(net, door.server()).await;
    let client = rig.client();
    for method in ["mine", "rule"] {
        assert_eq!(code(ask(&client, method).await), RejectCode::Unauthenticated);
    }
    assert_eq!(ask(&client, "who").await, Ok(None), "a public one does not");
    assert_eq!(door.asked(), 0);

    // And a server cannot forget to have an authenticator.
    let built = Server::builder().endpoint(vault()).build();
    assert_eq!(built.err(), Some(BuildError::NoAuthenticator("Vault.mine".into())));
}

/// A7
async fn a7_a_token_that_is_not_known_is_refused(net: Net) {
    let rig = Rig::start(net, Door::with(&[("a", alice())]).server()).await;
    let client = client_of(&rig, "b");
    assert_eq!(code(ask(&client, "mine").await), RejectCode::Unauthenticated);
    assert_eq!(code(ask(&client, "rule").await), RejectCode::Unauthenticated);
    assert_eq!(ask(&client, "who").await, Ok(None), "of a public method it opens nothing");
    assert_eq!(ask_with(&client, "a", "mine").await, user("alice"));
}

/// A8
async fn a8_a_caller_without_the_scope_is_refused(net: Net) {
    let door = Door::with(&[("a", alice().scope("write").scope("administrator"))]);
    let rig = Rig::start(net, door.server()).await;
    let client = client_of(&rig, "a");
    assert_eq!(code(ask(&client, "rule").await), RejectCode::Forbidden);
    assert_eq!(ask(&client, "mine").await, user("alice"));
}

/// A9
async fn a9_a_caller_with_the_scope_is_let_in(net: Net) {
    let rig = Rig::start(net, Door::with(&[("a", alice().scope("admin"))]).server()).await;
    let client = client_of(&rig, "a");
    assert_eq!(ask(&client, "rule").await, user("alice"));
}

/// A10
async fn a10_an_authenticator_that_fails_or_panics_refuses_that_call_alone(net: Net) {
    let door = Door::with(&[("a", alice())]);
    let rig = Rig::start(net, door.server()).await;
    let client = client_of(&rig, "a");
    let mut sibling = begun(&client, "a", "watch").await;
    for token in ["fail", "panic"] {
        for method in ["mine", "who"] {
            assert_eq!(code(ask_with(&client, token, method).await), RejectCode::Failed);
        }
        // Of a connection's token, too, and it is looked up anew each time.
        let other = client_of(&rig, token);
        let asked = door.asked();
        assert_eq!(code(ask(&other, "mine").await), RejectCode::Failed);
        assert_eq!(code(ask(&other, "mine").await), RejectCode::Failed);
        assert_eq!(door.asked(), asked + 2);
    }
    assert!(stands(&client, &mut sibling).await);
}

/// A11
async fn a11_a_slow_authenticator_delays_nobody_else(net: Net) {
    let door = Door::with(&[("a", alice()), ("slow", Authentication::new("snail"))]);
    let rig = Rig::start(net, door.server()).await;
    let client = client_of(&rig, "a");
    let slow = client.call("Vault.mine").token(secret("slow")).unary();
    until("the slow one is looked up", || door.asked() == 1).await;
    for _ in 0..10 {
        assert_eq!(ask(&client, "mine").await, user("alice"));
    }
    let mut slow = std::pin::pin!(slow);
    assert!(slow.as_mut().now_or_never().is_none());
    door.0.open.notify_one();
    assert_eq!(soon("the slow one", slow).await, user("snail"));

    // One that is given up meanwhile never comes to its method, and leaves the door alone.
    let given_up = client.call("Vault.mine").token(secret("slow")).unary::<Option<String>>();
    until("it is looked up", || door.asked() == 3).await;
    drop(given_up);
    assert_eq!(ask(&client, "mine").await, user("alice"));
}

/// A1, A2, A4, A5 behind A6 to A8: the method, who calls, the scopes, the arguments, the streams.
async fn a11_what_is_wrong_is_told_in_the_stated_order(net: Net) {
    let door = Door::with(&[("a", alice()), ("root", alice().scope("admin"))]);
    let rig = Rig::start(net, door.server()).await;
    let client = rig.client();
    let refusal = async |method: &str, token: &str, wrong: bool| {
        let call = client.call(method).token(secret(token));
        let call = if wrong { call.arguments(&()) } else { call.arguments(&(1_i64, 2_i64)) };
        code(call.parameter(stream::pending::<u8>()).unary::<i64>().await)
    };
    assert_eq!(refusal("Vault.subtract", "b", true).await, RejectCode::NotFound);
    assert_eq!(refusal("Vault.add", "b", true).await, RejectCode::Unauthenticated);
    assert_eq!(refusal("Vault.add", "a", true).await, RejectCode::Forbidden);
    assert_eq!(refusal("Vault.add", "root", true).await, RejectCode::InvalidArguments);
    assert_eq!(refusal("Vault.add", "root", false).await, RejectCode::InvalidArguments);
    let call = client.call("Vault.add").token(secret("root")).arguments(&(1_i64, 2_i64));
    assert_eq!(call.unary::<i64>().await, Ok(3));
}

/// G1
async fn g1_the_connections_token_reaches_the_session(net: Net) {
    let rig = Rig::start(net, Door::with(&[("a", alice())]).server()).await;
    let client = client_of(&rig, "a");
    for method in ["who", "mine"] {
        assert_eq!(ask(&client, method).await, user("alice"));
    }
    let seen = client.call("Vault.seen").unary().await;
    assert_eq!(seen, Ok((true, true)));
}

/// G1: nor by the errors that it leads to, each in its own words and in those for developers.
async fn g1_a_token_is_shown_by_nothing_that_has_one(net: Net) {
    let shown = Arc::new(Mutex::new(Vec::<String>::new()));
    let show = {
        let shown = Arc::clone(&shown);
        move |text: String| {
            println!("{text}");
            shown.lock().unwrap().push(text);
        }
    };
    let tell = show.clone();
    let method = move |session: Session, (): (), (): ()| {
        tell(format!("{session:?} {:?} {:?}", session.token(), session.authentication()));
        std::future::ready(Ok::<_, NoError>(()))
    };
    let (door, tell) = (Door::with(&[("a", alice())]), show.clone());
    let server = Server::builder()
        .endpoint(vault())
        .endpoint(Endpoint::new("Shown").unary("shown", method))
        .authenticator(move |token| {
            tell(format!("{token:?}"));
            door.clone().ask(token)
        })
        .build()
        .unwrap();
    show(format!("{server:?}"));
    let rig = Rig::start(net, server).await;
    let provider = Some(Provider::new(Purse::with(&["a"])));
    let config = ClientConfig { token: Some(secret("a")), provider, ..ClientConfig::default() };
    show(format!("{config:?}"));
    let client = rig.client_of(config);
    show(format!("{:?}", *client));
    show(format!("{:?}", client.call("Shown.shown").token(secret("a"))));
    assert_eq!(client.call("Shown.shown").unary::<()>().await, Ok(()));
    for (token, method) in [("b", "mine"), ("fail", "mine"), ("panic", "mine"), ("a", "rule")] {
        let error = ask_with(&client, token, method).await.unwrap_err();
        show(format!("{error} {error:?} {:?}", client.status()));
    }
    let long = Token::new(CANARY.repeat(300));
    let error = client.set_token(Some(long)).unwrap_err();
    show(format!("{error} {error:?}"));
    let shown = shown.lock().unwrap().join("\n");
    assert!(shown.matches("Token(..)").count() >= 5, "{shown}");
    assert_eq!(canary::seen_in(&shown), []);
}

/// G1: also by calls at the same time; of another token of the connection's again.
async fn g1_a_connections_token_is_looked_up_once(net: Net) {
    let slow = Authentication::new("snail");
    let door = Door::with(&[("slow", slow), ("a", alice())]);
    let rig = Rig::start(net, door.server()).await;
    let client = client_of(&rig, "slow");
    let calls: Vec<_> = (0..20).map(|_| client.call("Vault.mine").unary()).collect();
    until("it is looked up", || door.asked() > 0).await;
    door.0.open.notify_one();
    let answers: Vec<Who> = soon("all of them", join_all(calls)).await;
    assert_eq!(answers, vec![user("snail"); 20]);
    assert_eq!(ask(&client, "mine").await, user("snail"));
    assert_eq!(door.asked(), 1);
    client.set_token(Some(secret("a"))).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&client, "mine").await, user("alice"));
    }
    assert_eq!(door.asked(), 2);
}

/// G1
async fn g1_what_holds_for_a_time_is_looked_up_again_after_it(net: Net) {
    let hour = std::time::Duration::from_secs(3_600);
    let door = Door::with(&[
        ("a", alice().valid_for(hour)),
        ("b", Authentication::new("bob").valid_for(std::time::Duration::ZERO)),
    ]);
    let rig = Rig::start(net, door.server()).await;
    for (token, name, times) in [("a", "alice", 1), ("b", "bob", 3)] {
        let client = client_of(&rig, token);
        let asked = door.asked();
        for _ in 0..3 {
            assert_eq!(ask(&client, "mine").await, user(name));
        }
        assert_eq!(door.asked() - asked, times, "{token}");
    }
}

/// G2
async fn g2_the_token_of_a_call_goes_before_the_connections(net: Net) {
    let door = Door::with(&[("a", alice()), ("b", Authentication::new("bob"))]);
    let rig = Rig::start(net, door.server()).await;
    let client = client_of(&rig, "a");
    assert_eq!(ask_with(&client, "b", "mine").await, user("bob"));
    assert_eq!(ask(&client, "mine").await, user("alice"));
    assert_eq!(code(ask_with(&client, "c", "mine").await), RejectCode::Unauthenticated);
    assert_eq!(client.line.dials(), 1);
}

/// G3: of a method that is for everybody alike, and of a call that is made so.
async fn g3_an_anonymous_method_is_sent_no_token(net: Net) {
    let door = Door::with(&[("a", alice())]);
    let rig = Rig::start(net, door.server()).await;
    let client = client_of(&rig, "a");
    assert_eq!(client.call("Vault.hidden").anonymous().unary().await, Ok((false, false)));
    // Also if the caller does not know that.
    assert_eq!(client.call("Vault.hidden").unary().await, Ok((false, false)));
    assert_eq!(client.call("Vault.seen").anonymous().unary().await, Ok((false, false)));
    let refused = client.call("Vault.mine").anonymous().unary::<Option<String>>().await;
    assert_eq!(code(refused), RejectCode::Unauthenticated);
    assert_eq!(door.asked(), 0);
    assert_eq!(client.call("Vault.seen").unary().await, Ok((true, true)));
}

#[wirestream::endpoint(login)]
trait Safe {
    async fn inside(&self, session: &Session) -> Option<String>;

    #[scopes("admin", "write")]
    async fn change(&self, session: &Session) -> Option<String>;

    #[public]
    async fn door(&self, session: &Session) -> Option<String>;

    #[anonymous]
    async fn price(&self, session: &Session) -> Option<String>;
}

struct Steel;

fn name(session: &Session) -> Option<String> {
    session.authentication().map(|caller| caller.user().to_owned())
}

impl Safe for Steel {
    async fn inside(&self, session: &Session) -> Option<String> {
        name(session)
    }

    async fn change(&self, session: &Session) -> Option<String> {
        name(session)
    }

    async fn door(&self, session: &Session) -> Option<String> {
        name(session)
    }

    async fn price(&self, session: &Session) -> Option<String> {
        name(session)
    }
}

/// G3, A6 to A9: for the server, and for the client, which keeps its token to itself.
async fn g3_the_contract_says_whom_a_method_is_for(net: Net) {
    let bob = Authentication::new("bob").scope("admin").scope("write");
    let door = Door::with(&[("a", alice().scope("admin")), ("b", bob)]);
    let asked = door.clone();
    let server = Server::builder()
        .authenticator(move |token| asked.clone().ask(token))
        .endpoint(SafeServer::new(Steel));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let safe = |token| SafeClient::new(client_of(&rig, token).client);
    let nobody = SafeClient::new(rig.client().client);
    assert_eq!(code(nobody.inside().await), RejectCode::Unauthenticated);
    assert_eq!(code(nobody.change().await), RejectCode::Unauthenticated);
    assert_eq!(nobody.door().await, Ok(None));
    let alice = safe("a");
    assert_eq!(alice.inside().await, user("alice"));
    assert_eq!(code(alice.change().await), RejectCode::Forbidden);
    assert_eq!(alice.door().await, user("alice"));
    let bob = safe("b");
    assert_eq!(bob.change().await, user("bob"));
    assert_eq!(bob.price().await, Ok(None));

    // The client sends none, whatever the server would do with it.
    let open = Endpoint::new("Safe").unary("price", async |session: Session, (): (), (): ()| {
        Ok::<_, NoError>(session.token().map(|_| "a token".to_owned()))
    });
    let rig = Rig::start(net, Server::builder().endpoint(open).build().unwrap()).await;
    let client = client_of(&rig, "a").client;
    assert_eq!(client.call("Safe.price").unary().await, user("a token"));
    assert_eq!(SafeClient::new(client).price().await, Ok(None));
}

/// What a provider gives, and how often it was asked.
#[derive(Clone)]
struct Purse(Arc<Mutex<Vec<&'static str>>>, Arc<AtomicUsize>);

impl Purse {
    /// The first token, and then those of each refresh.
    fn with(tokens: &[&'static str]) -> Self {
        let tokens = tokens.iter().rev().copied().collect();
        Self(Arc::new(Mutex::new(tokens)), Arc::default())
    }

    fn refreshes(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }

    fn client(&self, rig: &Rig) -> TestClient {
        let provider = Some(Provider::new(self.clone()));
        rig.client_of(ClientConfig { provider, ..ClientConfig::default() })
    }
}

impl TokenProvider for Purse {
    fn token(&self) -> BoxFuture<Option<Token>> {
        let token = self.0.lock().unwrap().pop();
        Box::pin(async move { token.map(secret) })
    }

    fn refresh(&self) -> Option<BoxFuture<Option<Token>>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Some(self.token())
    }
}

/// G4
async fn g4_without_a_way_to_refresh_a_refusal_is_final(net: Net) {
    struct Fixed;
    impl TokenProvider for Fixed {
        fn token(&self) -> BoxFuture<Option<Token>> {
            Box::pin(async { Some(secret("old")) })
        }
    }
    let door = Door::default();
    let rig = Rig::start(net, door.server()).await;
    let provider = Some(Provider::new(Fixed));
    let provided = rig.client_of(ClientConfig { provider, ..ClientConfig::default() });
    for client in [client_of(&rig, "old"), provided] {
        let asked = door.asked();
        assert_eq!(code(ask(&client, "mine").await), RejectCode::Unauthenticated);
        assert_eq!(door.asked() - asked, 1, "it was not made again");
    }
}

/// G4: on the same connection, and the new token is the connection's from then on.
async fn g4_a_refused_token_is_refreshed_and_the_call_made_again_once(net: Net) {
    let door = Door::with(&[("new", alice())]);
    let rig = Rig::start(net, door.server()).await;
    let purse = Purse::with(&["old", "new"]);
    let client = purse.client(&rig);
    assert_eq!(ask(&client, "mine").await, user("alice"));
    assert_eq!((purse.refreshes(), door.asked()), (1, 2));
    assert_eq!(ask(&client, "mine").await, user("alice"));
    assert_eq!((purse.refreshes(), door.asked(), client.line.dials()), (1, 2, 1));
}

/// G4
async fn g4_nothing_that_was_sent_is_lost_when_a_call_is_made_again(net: Net) {
    let rig = Rig::start(net, Door::with(&[("new", alice())]).server()).await;
    let client = Purse::with(&["old", "new"]).client(&rig);
    let (input, messages) = channel::<String>();
    let mut replies = client.call("Vault.echo").parameter(messages).stream::<String>();
    let sent = (0..100).map(|n: u32| n.to_string());
    for n in sent.clone() {
        soon("the call", input.send(n)).await.unwrap();
    }
    input.finish();
    for n in sent {
        assert_eq!(soon("an echo", replies.next()).await, Some(Ok(n)));
    }
    assert_eq!(replies.next().await, None);
}

/// G4: and a refresh that gives nothing, or panics, is a refusal.
async fn g4_a_second_refusal_is_told(net: Net) {
    struct Panics;
    impl TokenProvider for Panics {
        fn token(&self) -> BoxFuture<Option<Token>> {
            Box::pin(async { Some(secret("old")) })
        }

        fn refresh(&self) -> Option<BoxFuture<Option<Token>>> {
            panic!("a provider that panics")
        }
    }
    let door = Door::default();
    let rig = Rig::start(net, door.server()).await;
    let purse = Purse::with(&["old", "older", "oldest"]);
    let client = purse.client(&rig);
    let (input, messages) = channel::<String>();
    let mut replies = client.call("Vault.echo").parameter(messages).stream::<String>();
    let refused = soon("the refusal", replies.next()).await.expect("an end");
    assert_eq!(code(refused), RejectCode::Unauthenticated);
    assert_eq!(soon("the stop", input.send("lost".into())).await, Err(SendError::Stopped));
    assert_eq!((purse.refreshes(), door.asked()), (1, 2));

    let purse = Purse::with(&["old"]);
    assert_eq!(code(ask(&purse.client(&rig), "mine").await), RejectCode::Unauthenticated);
    assert_eq!(purse.refreshes(), 1);
    let provider = Some(Provider::new(Panics));
    let client = rig.client_of(ClientConfig { provider, ..ClientConfig::default() });
    for _ in 0..2 {
        assert_eq!(code(ask(&client, "mine").await), RejectCode::Unauthenticated);
    }
}

/// G4, C4: it is told to the server at once, and no refresh is asked for.
async fn g4_a_call_that_nobody_waits_for_is_not_made_again(net: Net) {
    let door = Door::default();
    let rig = Rig::start(net, door.server()).await;
    let purse = Purse::with(&["slow", "new"]);
    let client = purse.client(&rig);
    let call = client.call("Vault.mine").unary::<Option<String>>();
    until("it is looked up", || door.asked() == 1).await;
    drop(call);
    // The server has heard of it before this: it lets nobody wait.
    let who = client.call("Vault.seen").anonymous().unary().await;
    assert_eq!(who, Ok((false, false)));
    door.0.open.notify_one();
    let who = client.call("Vault.seen").anonymous().unary().await;
    assert_eq!(who, Ok((false, false)));
    assert_eq!((purse.refreshes(), door.asked()), (0, 1));
}

/// G5
async fn g5_calls_that_are_refused_together_share_one_refresh(net: Net) {
    let door = Door::with(&[("new", alice())]);
    let rig = Rig::start(net, door.server()).await;
    let purse = Purse::with(&["old", "new", "newer"]);
    let client = purse.client(&rig);
    let calls: Vec<_> = (0..20).map(|_| client.call("Vault.mine").unary()).collect();
    let answers: Vec<Who> = soon("all of them", join_all(calls)).await;
    assert_eq!(answers, vec![user("alice"); 20]);
    assert_eq!((purse.refreshes(), client.line.dials()), (1, 1));
}

/// G5: on the same connection; a stream that was opened with the token before goes on.
async fn g5_a_refresh_leaves_what_runs_alone(net: Net) {
    let door = Door::with(&[("old", alice()), ("new", alice())]);
    let rig = Rig::start(net, door.server()).await;
    let purse = Purse::with(&["old", "new"]);
    let client = purse.client(&rig);
    let mut watch = client.call("Vault.watch").stream::<u64>();
    assert_eq!(soon("the first", watch.next()).await, Some(Ok(0)));
    let (input, messages) = channel::<String>();
    let mut echo = client.call("Vault.echo").parameter(messages).stream::<String>();
    input.send("before".into()).await.unwrap();
    assert_eq!(soon("an echo", echo.next()).await, Some(Ok("before".into())));
    // The token runs out.
    door.forget("old");
    client.set_token(Some(secret("older"))).unwrap();
    assert_eq!(ask(&client, "mine").await, user("alice"));
    assert_eq!(purse.refreshes(), 1);
    input.send("after".into()).await.unwrap();
    assert_eq!(soon("an echo", echo.next()).await, Some(Ok("after".into())));
    assert!(stands(&client, &mut watch).await);
    assert_eq!(client.line.dials(), 1);
}

/// G5, G11: who signs out meanwhile is not signed in again, who signs in is not another.
async fn g5_what_the_application_sets_goes_before_what_is_being_fetched(net: Net) {
    /// Gives "late" once it is let go on.
    #[derive(Clone, Default)]
    struct Slow(Arc<(Notify, AtomicUsize)>);
    impl TokenProvider for Slow {
        fn token(&self) -> BoxFuture<Option<Token>> {
            let slow = Arc::clone(&self.0);
            Box::pin(async move {
                slow.1.fetch_add(1, Ordering::SeqCst);
                slow.0.notified().await;
                Some(secret("late"))
            })
        }

        fn refresh(&self) -> Option<BoxFuture<Option<Token>>> {
            Some(self.token())
        }
    }
    let door = Door::with(&[("late", alice()), ("b", Authentication::new("bob"))]);
    let rig = Rig::start(net, door.server()).await;
    for (set, seen) in [(Some("b"), user("bob")), (None, Ok(None))] {
        let slow = Slow::default();
        let provider = Some(Provider::new(slow.clone()));
        let client = rig.client_of(ClientConfig { provider, ..ClientConfig::default() });
        let asked = |times| {
            let slow = &slow;
            async move {
                until("it is asked", || slow.0.1.load(Ordering::SeqCst) == times).await;
            }
        };
        // As a connection is made.
        let call = client.call("Vault.who").unary();
        asked(1).await;
        client.set_token(set.map(secret)).unwrap();
        slow.0.0.notify_one();
        assert_eq!(soon("the answer", call).await, seen);
        // As a token is refreshed.
        client.set_token(Some(secret("refused"))).unwrap();
        let call = client.call("Vault.mine").unary::<Option<String>>();
        asked(2).await;
        client.set_token(set.map(secret)).unwrap();
        slow.0.0.notify_one();
        let answer = soon("the answer", call).await;
        match set {
            Some(_) => assert_eq!(answer, seen),
            None => assert_eq!(code(answer), RejectCode::Unauthenticated),
        }
        assert_eq!(ask(&client, "who").await, seen);
        assert_eq!(client.line.dials(), 1);
    }
}

/// G6
async fn g6_a_revoked_user_loses_protected_streams_and_no_others(net: Net) {
    let door = Door::with(&[("a", alice().scope("admin")), ("b", Authentication::new("bob"))]);
    let server = door.server();
    let rig = Rig::start(net, server.clone()).await;
    let client = client_of(&rig, "a");
    let mut protected = [begun(&client, "a", "watch").await, begun(&client, "a", "reign").await];
    let mut public = begun(&client, "a", "open").await;
    let mut of_bob = begun(&client, "b", "watch").await;
    let (input, messages) = channel::<String>();
    let mut echo = client.call("Vault.echo").parameter(messages).stream::<String>();
    input.send("there".into()).await.unwrap();
    assert_eq!(soon("the echo", echo.next()).await, Some(Ok("there".into())));

    assert_eq!(server.revoke(&Revocation::User("nobody".into())), 0);
    assert_eq!(server.revoke(&Revocation::User("alice".into())), 3);
    assert_eq!(server.revoke(&Revocation::User("alice".into())), 0, "their end is on its way");
    for stream in &mut protected {
        ended(stream).await;
    }
    assert_eq!(soon("the end", echo.next()).await, Some(Err(StreamError::Revoked)));
    assert_eq!(soon("the stop", input.send("more".into())).await, Err(SendError::Stopped));
    assert!(stands(&client, &mut public).await);
    assert!(stands(&client, &mut of_bob).await);
    assert_eq!(server.revoke(&Revocation::User("alice".into())), 0, "they have ended");
    assert_eq!(client.line.dials(), 1);
}

/// G7
async fn g7_a_revoked_token_leaves_the_users_others(net: Net) {
    let door = Door::with(&[("1", alice()), ("2", Authentication::new("alice").token_id("a2"))]);
    let server = door.server();
    let rig = Rig::start(net, server.clone()).await;
    let client = rig.client();
    let mut first = begun(&client, "1", "watch").await;
    let mut second = begun(&client, "2", "watch").await;
    let revoked = Revocation::Token { user: "alice".into(), token: "a1".into() };
    assert_eq!(server.revoke(&revoked), 1);
    ended(&mut first).await;
    assert!(stands(&client, &mut second).await);
    let of_another = Revocation::Token { user: "bob".into(), token: "a2".into() };
    assert_eq!(server.revoke(&of_another), 0);
}

/// G8
async fn g8_a_revoked_scope_closes_what_requires_it(net: Net) {
    let door = Door::with(&[("a", alice().scope("admin").scope("write"))]);
    let server = door.server();
    let rig = Rig::start(net, server.clone()).await;
    let client = rig.client();
    let mut requires = begun(&client, "a", "reign").await;
    let mut does_not = begun(&client, "a", "watch").await;
    let scope = |scope: &str| Revocation::Scope { user: "alice".into(), scope: scope.into() };
    assert_eq!(server.revoke(&scope("write")), 0, "no method requires it");
    assert!(stands(&client, &mut requires).await);
    assert_eq!(server.revoke(&scope("admin")), 1);
    ended(&mut requires).await;
    assert!(stands(&client, &mut does_not).await);
}

/// G9: who was looked up before the revocation and comes in after it.
async fn g9_a_revocation_reaches_who_is_just_coming_in(net: Net) {
    let door = Door::with(&[("slow", alice().scope("admin"))]);
    let server = door.server();
    let rig = Rig::start(net, server.clone()).await;
    let call_of_its_own = rig.client();
    let connections = client_of(&rig, "slow");
    let scope = Revocation::Scope { user: "alice".into(), scope: "admin".into() };
    for (revocation, code_of_it) in [
        (Revocation::User("alice".into()), RejectCode::Unauthenticated),
        (scope, RejectCode::Forbidden),
    ] {
        for client in [&call_of_its_own, &connections] {
            let asked = door.asked();
            let call = client.call("Vault.rule");
            let call = match std::ptr::eq(client, &call_of_its_own) {
                true => call.token(secret("slow")),
                false => call,
            };
            let call = call.unary::<Option<String>>();
            until("it is looked up", || door.asked() > asked).await;
            assert_eq!(server.revoke(&revocation), 0);
            door.0.open.notify_one();
            assert_eq!(code(soon("the refusal", call).await), code_of_it);
        }
    }
    // One who comes after it is asked for, and is known still.
    let asked = door.asked();
    let call = connections.call("Vault.rule").unary();
    until("it is looked up", || door.asked() > asked).await;
    door.0.open.notify_one();
    assert_eq!(soon("the answer", call).await, user("alice"));
}

/// G9: also while it is remembered for somebody who is on the way in.
async fn g9_a_revocation_does_not_reach_who_comes_in_after_it(net: Net) {
    let door = Door::with(&[("slow", alice()), ("a", alice())]);
    let server = door.server();
    let rig = Rig::start(net, server.clone()).await;
    let client = rig.client();
    let before = client.call("Vault.mine").token(secret("slow")).unary::<Option<String>>();
    until("it is looked up", || door.asked() == 1).await;
    assert_eq!(server.revoke(&Revocation::User("alice".into())), 0);
    assert_eq!(ask_with(&client, "a", "mine").await, user("alice"));
    door.0.open.notify_one();
    assert_eq!(code(soon("the refusal", before).await), RejectCode::Unauthenticated);
}

/// G9: what the connection was known for counts no more.
async fn g9_a_revoked_caller_is_looked_up_anew(net: Net) {
    let door = Door::with(&[("a", alice())]);
    let server = door.server();
    let rig = Rig::start(net, server.clone()).await;
    let client = client_of(&rig, "a");
    assert_eq!(ask(&client, "mine").await, user("alice"));
    door.forget("a");
    assert_eq!(ask(&client, "mine").await, user("alice"), "it is known");
    server.revoke(&Revocation::User("alice".into()));
    assert_eq!(code(ask(&client, "mine").await), RejectCode::Unauthenticated);
    assert_eq!(ask(&client, "who").await, Ok(None));
}

/// G10, R-BUS-5
async fn g10_a_revocation_reaches_every_server(net: Net) {
    let bob = Authentication::new("bob").scope("admin");
    let door = Door::with(&[("a", alice().scope("admin")), ("b", bob)]);
    let cluster = Cluster::default();
    let one = Rig::start(net, door.node(&cluster)).await;
    let other = Rig::start(net, door.node(&cluster)).await;
    let (client, others) = (one.client(), other.client());
    for revocation in [
        Revocation::User("alice".into()),
        Revocation::Token { user: "alice".into(), token: "a1".into() },
        Revocation::Scope { user: "alice".into(), scope: "admin".into() },
    ] {
        let mut here = begun(&client, "a", "reign").await;
        let mut there = begun(&others, "a", "reign").await;
        let mut bobs = begun(&others, "b", "reign").await;
        let mut public = begun(&others, "a", "open").await;
        let revoked = one.server.revoke_everywhere(&revocation);
        assert_eq!(soon("the revocation", revoked).await, Ok(1), "of its own calls");
        ended(&mut here).await;
        ended(&mut there).await;
        assert!(stands(&others, &mut bobs).await && stands(&others, &mut public).await);
    }
    assert_eq!(one.server.messages().counters().malformed, 0);
    // Without a bus a server is all there is.
    let alone = Rig::start(net, door.server()).await;
    let client = alone.client();
    let mut stream = begun(&client, "a", "watch").await;
    let revocation = Revocation::User("alice".into());
    assert_eq!(alone.server.revoke_everywhere(&revocation).await, Ok(1));
    ended(&mut stream).await;
}

/// G10
async fn g10_a_bus_that_is_down_leaves_other_servers_to_ask_anew(net: Net) {
    let door = Door::with(&[("a", alice())]);
    let cluster = Cluster::default();
    let one = Rig::start(net, door.node(&cluster)).await;
    let other = Rig::start(net, door.node(&cluster)).await;
    let (client, others) = (client_of(&one, "a"), client_of(&other, "a"));
    let mut here = begun(&client, "a", "watch").await;
    let mut there = begun(&others, "a", "watch").await;
    assert_eq!(ask(&others, "mine").await, user("alice"));
    let error = BusError::Unavailable { detail: "it is down".into() };
    cluster.fail(error.clone());
    door.forget("a");
    let revocation = Revocation::User("alice".into());
    let failed = one.server.revoke_everywhere(&revocation).await.expect_err("no bus");
    assert_eq!((failed.ended, failed.error), (1, error));
    ended(&mut here).await;
    // Nobody has told the other server, which knows its caller.
    assert_eq!(ask(&others, "mine").await, user("alice"));
    cluster.back();
    assert_eq!(code(ask(&others, "mine").await), RejectCode::Unauthenticated);
    assert!(there.next().now_or_never().is_none());
    // From then on it hears again.
    let revoked = soon("the revocation", one.server.revoke_everywhere(&revocation)).await;
    assert_eq!(revoked, Ok(0));
    ended(&mut there).await;
}

/// G11: the caller forgets its token, the server ends what it opened; the connection stays.
async fn g11_signing_out_ends_streams_in_order(net: Net) {
    let door = Door::with(&[("a", alice())]);
    let server = door.server();
    let rig = Rig::start(net, server.clone()).await;
    let client = client_of(&rig, "a");
    let mut watch = client.call("Vault.watch").stream::<u64>();
    assert_eq!(soon("the first", watch.next()).await, Some(Ok(0)));
    let mut public = client.call("Vault.open").stream::<u64>();
    assert_eq!(soon("the first", public.next()).await, Some(Ok(0)));

    door.forget("a");
    client.set_token(None).unwrap();
    server.revoke(&Revocation::Token { user: "alice".into(), token: "a1".into() });
    ended(&mut watch).await;
    assert!(stands(&client, &mut public).await);
    assert_eq!(code(ask(&client, "mine").await), RejectCode::Unauthenticated);
    assert_eq!(ask(&client, "who").await, Ok(None));
    assert_eq!(client.line.dials(), 1);
}

/// J9
async fn j9_signing_in_needs_no_new_connection(net: Net) {
    let door = Door::with(&[("a", alice()), ("b", Authentication::new("bob"))]);
    let rig = Rig::start(net, door.server()).await;
    let client = rig.client();
    let mut public = client.call("Vault.open").stream::<u64>();
    assert_eq!(soon("the first", public.next()).await, Some(Ok(0)));
    assert_eq!(code(ask(&client, "mine").await), RejectCode::Unauthenticated);
    for (token, name) in [("a", "alice"), ("b", "bob")] {
        client.set_token(Some(secret(token))).unwrap();
        assert_eq!(ask(&client, "mine").await, user(name));
    }
    let long = Token::new(vec![b'x'; 4_097]);
    assert!(client.set_token(Some(long)).is_err());
    assert_eq!(ask(&client, "mine").await, user("bob"), "the one before stays");
    assert!(stands(&client, &mut public).await);
    assert_eq!(client.line.dials(), 1);
}
