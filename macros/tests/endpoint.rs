//! What a generated client and a generated server do with one another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use wirestream::{
    Contract, Failed, NoError, Parameter, Receiver, RejectCode, Server, Session, StreamError,
    Unary, channel, channel_with_error,
};
use wirestream_tests::{Net, Rig, soon};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
struct Problem(String);

#[wirestream::endpoint]
trait Example {
    /// Borrows from the service and the session.
    fn greet(
        &self,
        session: &Session,
        names: Receiver<String>,
    ) -> impl Stream<Item = Result<String, Problem>>;

    /// Streams anywhere among plain arguments.
    async fn weigh(
        &self,
        session: &Session,
        left: Receiver<i64>,
        factor: i64,
        right: Receiver<i64>,
        offset: i64,
    ) -> Result<i64, Problem>;

    /// Streams that may be left away.
    async fn join(
        &self,
        session: &Session,
        first: Option<Receiver<String>>,
        between: String,
        second: Receiver<String>,
        third: Option<Receiver<String, Problem>>,
    ) -> String;

    /// Gives the stream's own error back.
    async fn first_error(&self, session: &Session, words: Receiver<String, Problem>) -> Problem;

    /// Tells no detail.
    async fn parse(&self, session: &Session, text: String) -> Result<u32, Failed>;

    /// Returns nothing.
    async fn reset(&self, session: &Session);

    /// Cannot fail.
    fn count(&self, session: &Session, to: u32) -> impl Stream<Item = u32>;

    /// A raw name.
    async fn r#type(&self, session: &Session, r#in: u8) -> u8;

    /// Says what the future is.
    fn later(&self, session: &Session) -> impl Future<Output = u8>;

    /// A body for everybody.
    async fn sum(&self, _: &Session, mut numbers: Receiver<i64>) -> i64 {
        let mut sum = 0;
        while let Some(Ok(number)) = numbers.next().await {
            sum += number;
        }
        sum
    }

    /// A body for everybody, of a stream.
    fn once(&self, _: &Session, item: String) -> impl Stream<Item = String> {
        stream::once(async { item })
    }

    #[optional]
    async fn fetch(&self, session: &Session, key: String) -> Option<String>;

    #[optional]
    fn watch(&self, session: &Session, keys: Receiver<String>) -> impl Stream<Item = String>;

    #[cfg(any())]
    async fn not_there(&self, session: &Session, of: NoSuchType);
}

#[derive(Default)]
struct Service {
    greeting: String,
    resets: AtomicU64,
}

impl Example for Service {
    fn greet(
        &self,
        session: &Session,
        names: Receiver<String>,
    ) -> impl Stream<Item = Result<String, Problem>> {
        names.map(|name| match name {
            Ok(name) => Ok(format!("{}, {name}, from {}", self.greeting, session.method())),
            Err(error) => Err(Problem(error.to_string())),
        })
    }

    async fn weigh(
        &self,
        _: &Session,
        left: Receiver<i64>,
        factor: i64,
        right: Receiver<i64>,
        offset: i64,
    ) -> Result<i64, Problem> {
        if factor == 0 {
            return Err(Problem("nothing to weigh".into()));
        }
        let sum = async |numbers: Receiver<i64>| {
            numbers.fold(0, async |sum, number| sum + number.unwrap()).await
        };
        Ok(sum(left).await * factor - sum(right).await + offset)
    }

    async fn join(
        &self,
        _: &Session,
        first: Option<Receiver<String>>,
        between: String,
        second: Receiver<String>,
        third: Option<Receiver<String, Problem>>,
    ) -> String {
        let mut words = Vec::new();
        if let Some(mut first) = first {
            words.push(first.next().await.unwrap().unwrap());
        }
        words.extend(second.map(Result::unwrap).collect::<Vec<_>>().await);
        if let Some(mut third) = third {
            words.push(third.next().await.unwrap().unwrap());
        }
        words.join(&between)
    }

    async fn first_error(&self, _: &Session, mut words: Receiver<String, Problem>) -> Problem {
        loop {
            match words.next().await {
                Some(Ok(_)) => {}
                Some(Err(StreamError::App(problem))) => return problem,
                other => return Problem(format!("{other:?}")),
            }
        }
    }

    async fn parse(&self, _: &Session, text: String) -> Result<u32, Failed> {
        Ok(text.parse()?)
    }

    async fn reset(&self, _: &Session) {
        self.resets.fetch_add(1, Ordering::SeqCst);
    }

    fn count(&self, _: &Session, to: u32) -> impl Stream<Item = u32> {
        stream::iter(0..to)
    }

    async fn r#type(&self, session: &Session, r#in: u8) -> u8 {
        assert_eq!(session.method(), "type");
        r#in + 1
    }

    async fn later(&self, _: &Session) -> u8 {
        7
    }

    async fn fetch(&self, _: &Session, key: String) -> Option<String> {
        (key == "greeting").then(|| self.greeting.clone())
    }
}

async fn example(service: Arc<Service>) -> (Rig, ExampleClient) {
    let server = Server::builder().endpoint(ExampleServer::shared(service));
    let rig = Rig::start(Net::Memory, server.build().unwrap()).await;
    let client = ExampleClient::new(rig.client().client);
    (rig, client)
}

async fn client() -> (Rig, ExampleClient) {
    let greeting = "Hello".to_owned();
    example(Arc::new(Service { greeting, ..Service::default() })).await
}

#[tokio::test]
async fn a_reply_may_borrow_from_the_service_and_the_session() {
    let (_rig, client) = client().await;
    let (input, names) = channel();
    let mut greetings: Receiver<String, Problem> = client.greet(names);
    input.send("Ann".into()).await.unwrap();
    let greeting = soon("a greeting", greetings.next()).await;
    assert_eq!(greeting, Some(Ok("Hello, Ann, from greet".into())));
    drop(input);
    let error = soon("an error", greetings.next()).await;
    assert_eq!(error, Some(Err(StreamError::App(Problem("the stream was cancelled".into())))));
    assert_eq!(soon("the end", greetings.next()).await, None);
}

#[tokio::test]
async fn streams_stand_anywhere_among_arguments() {
    let (_rig, client) = client().await;
    let weigh = |factor| client.weigh(stream::iter([1, 2]), factor, stream::iter([10]), 100);
    assert_eq!(soon("a result", weigh(5)).await, Ok(105));
    let error = soon("an error", weigh(0)).await;
    assert_eq!(error, Err(StreamError::App(Problem("nothing to weigh".into()))));
}

#[tokio::test]
async fn optional_streams_are_there_or_not() {
    let (_rig, client) = client().await;
    let words = |words: &'static [&str]| stream::iter(words.iter().map(|word| (*word).to_owned()));
    let one = |word: &str| -> Parameter<String> {
        let (input, parameter) = channel();
        let word = word.to_owned();
        tokio::spawn(async move { input.send(word).await });
        parameter
    };
    let problem = |word: &str| -> Parameter<String, Problem> {
        let (input, parameter) = channel_with_error();
        let word = word.to_owned();
        tokio::spawn(async move { input.send(word).await });
        parameter
    };
    let joined = client.join(None, "-".into(), words(&["b", "c"]), None);
    assert_eq!(soon("none", joined).await, Ok("b-c".into()));
    let joined = client.join(Some(one("a")), "-".into(), words(&["b"]), None);
    assert_eq!(soon("the first", joined).await, Ok("a-b".into()));
    let joined = client.join(None, "-".into(), words(&["b"]), Some(problem("d")));
    assert_eq!(soon("the last", joined).await, Ok("b-d".into()));
    let joined = client.join(Some(one("a")), "-".into(), words(&[]), Some(problem("d")));
    assert_eq!(soon("both", joined).await, Ok("a-d".into()));
}

/// R-OPEN-12
#[tokio::test]
async fn presence_that_does_not_fit_the_streams_is_refused() {
    let (_rig, client) = client().await;
    let join = || client.client.call("Example.join");
    let calls = [
        // Bits for no, one and a required stream, and what is sent with them.
        join().arguments(&("-", 0_u16)),
        join().arguments(&("-", 1_u16)).parameter(stream::iter([""])),
        join().arguments(&("-", 2_u16)).parameter(stream::iter([""])),
        join().arguments(&("-", 8_u16)).parameter(stream::iter([""])),
        join().arguments(&("-",)).parameter(stream::iter([""])),
    ];
    for call in calls {
        let error = soon("a refusal", call.unary::<String>()).await.unwrap_err();
        let StreamError::Rejected(rejection) = error else { panic!("{error}") };
        assert_eq!(rejection.code, RejectCode::InvalidArguments, "{rejection}");
    }
}

#[tokio::test]
async fn errors_arrive_typed_in_both_directions() {
    let (_rig, client) = client().await;
    let (input, words) = channel_with_error();
    let first = client.first_error(words);
    input.send("fine".into()).await.unwrap();
    input.fail(Problem("not fine".into()));
    assert_eq!(soon("the error", first).await, Ok(Problem("not fine".into())));
}

#[tokio::test]
async fn of_an_untyped_error_no_detail_travels() {
    let (_rig, client) = client().await;
    let failed: Unary<u32, NoError> = client.parse("twelve".into());
    assert_eq!(soon("a failure", failed).await, Err(StreamError::Failed));
    assert_eq!(soon("a number", client.parse("12".into())).await, Ok(12));
}

#[tokio::test]
async fn replies_are_units_values_or_streams() {
    let service = Arc::new(Service::default());
    let (_rig, client) = example(Arc::clone(&service)).await;
    assert_eq!(soon("a unit", client.reset()).await, Ok(()));
    assert_eq!(service.resets.load(Ordering::SeqCst), 1);
    let counted: Vec<_> = soon("a stream", client.count(3).collect()).await;
    assert_eq!(counted, [Ok(0), Ok(1), Ok(2)]);
    assert_eq!(soon("a value", client.r#type(4)).await, Ok(5));
    assert_eq!(soon("a future's output", client.later()).await, Ok(7));
}

#[tokio::test]
async fn a_body_in_the_trait_serves_whoever_has_none() {
    let (_rig, client) = client().await;
    assert_eq!(soon("a sum", client.sum(stream::iter([1, 2, 3]))).await, Ok(6));
    let once: Vec<_> = soon("an item", client.once("it".into()).collect()).await;
    assert_eq!(once, [Ok("it".into())]);
}

#[tokio::test]
async fn an_optional_method_that_was_left_out_is_not_found() {
    let (_rig, client) = client().await;
    let fetched = soon("what is there", client.fetch("greeting".into())).await;
    assert_eq!(fetched, Ok(Some("Hello".into())));
    let error = soon("a refusal", client.watch(stream::iter(["key".into()])).next()).await;
    let Some(Err(StreamError::Rejected(rejection))) = error else { panic!("{error:?}") };
    assert_eq!(rejection.code, RejectCode::NotFound);
}

/// Both sides may be spawned, and a client goes everywhere.
#[test]
fn clients_are_send_sync_and_clone() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<ExampleClient>();
}

mod of_another_name {
    use wirestream::Session;

    #[wirestream::endpoint(name = "other.Example")]
    pub(super) trait Renamed {
        async fn name(&self, session: &Session) -> String;
    }

    pub(super) struct Service;

    impl Renamed for Service {
        async fn name(&self, session: &Session) -> String {
            session.endpoint().to_owned()
        }
    }
}

#[tokio::test]
async fn an_endpoint_may_have_another_name() {
    use of_another_name::{RenamedClient, RenamedServer, Service};
    let server = Server::builder().endpoint(RenamedServer::new(Service)).build().unwrap();
    let rig = Rig::start(Net::Memory, server).await;
    let client = RenamedClient::new(rig.client().client);
    assert_eq!(soon("the name", client.name()).await, Ok("other.Example".into()));
}

mod of_one_error {
    use futures_util::{Stream, stream};
    use wirestream::Session;

    use super::Problem;

    type Result<T, E = Problem> = std::result::Result<T, E>;

    #[wirestream::endpoint(error = Problem)]
    pub(super) trait Failing {
        async fn whole(&self, session: &Session) -> Result<u8>;

        fn each(&self, session: &Session) -> impl Stream<Item = Result<u8>>;

        async fn own(&self, session: &Session) -> Result<u8, u16>;

        async fn none(&self, session: &Session) -> u8;
    }

    pub(super) struct Service;

    impl Failing for Service {
        async fn whole(&self, _: &Session) -> Result<u8> {
            Err(Problem("whole".into()))
        }

        fn each(&self, _: &Session) -> impl Stream<Item = Result<u8>> {
            stream::iter([Ok(1), Err(Problem("each".into()))])
        }

        async fn own(&self, _: &Session) -> Result<u8, u16> {
            Err(7)
        }

        async fn none(&self, _: &Session) -> u8 {
            5
        }
    }
}

#[tokio::test]
async fn methods_that_name_no_error_have_that_of_their_endpoint() {
    use of_one_error::{FailingClient, FailingContract, FailingServer, Service};
    let server = Server::builder().endpoint(FailingServer::new(Service)).build().unwrap();
    let rig = Rig::start(Net::Memory, server).await;
    let client = FailingClient::new(rig.client().client);
    let problem = |text: &str| StreamError::App(Problem(text.into()));
    assert_eq!(soon("an error", client.whole()).await, Err(problem("whole")));
    let each: Vec<_> = soon("an item", client.each().collect()).await;
    assert_eq!(each, [Ok(1), Err(problem("each"))]);
    assert_eq!(soon("an error of its own", client.own()).await, Err(StreamError::App(7)));
    let none: Result<u8, StreamError<NoError>> = soon("a value", client.none()).await;
    assert_eq!(none, Ok(5));
    let named = Contract::new().unary::<u8, Problem>();
    assert_eq!(FailingContract::whole().fingerprint(), named.fingerprint());
}

mod through_an_adapter {
    #[wirestream_tokio::endpoint]
    pub(super) trait Adapted {
        async fn twice(&self, session: &wirestream_tokio::Session, number: u8) -> u8;
    }

    #[wirestream::endpoint(crate = ::wirestream_tokio)]
    pub(super) trait Elsewhere {
        async fn thrice(&self, session: &wirestream_tokio::Session, number: u8) -> u8;
    }
}

#[tokio::test]
async fn names_of_the_users_own_hide_nothing() {
    #[wirestream::endpoint]
    trait Names {
        async fn call(
            &self,
            session: &Session,
            call: u8,
            service: u8,
            endpoint: u8,
            accepted: u8,
            client: u8,
        ) -> u8;
    }
    struct Service;
    impl Names for Service {
        async fn call(&self, _: &Session, call: u8, a: u8, b: u8, c: u8, d: u8) -> u8 {
            call + a + b + c + d
        }
    }
    let server = Server::builder().endpoint(NamesServer::new(Service)).build().unwrap();
    let rig = Rig::start(Net::Memory, server).await;
    let client = NamesClient::new(rig.client().client);
    assert_eq!(soon("the sum", client.call(1, 2, 3, 4, 5)).await, Ok(15));
}
