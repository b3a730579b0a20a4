//! What the server has to call.

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, BoxStream, select_all};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use wirestream::{
    Access, Authentication, BuildError, Endpoint, Failed, Limits, NoError, Receiver, Server,
    Session, StreamError, Token, Value,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Problem {
    Said(String),
    Number { is: u64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(u32),
    Box { width: u8, name: Option<String> },
}

/// A field of each kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct All {
    small: i8,
    number: i64,
    large: u128,
    least: i128,
    float: f64,
    single: f32,
    text: String,
    letter: char,
    maybe: Option<u16>,
    nothing: Option<u16>,
    list: Vec<Vec<u16>>,
    set: std::collections::BTreeSet<u32>,
    pair: (bool, String),
    map: BTreeMap<String, u64>,
    shapes: Vec<Shape>,
    bytes: Vec<u8>,
}

/// How many calls of watched methods have begun, and how many handlers there are.
#[derive(Clone, Default)]
struct Watch(Arc<(AtomicU64, AtomicU64)>);

impl Watch {
    fn enter(&self) -> Watched {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        self.0.1.fetch_add(1, Ordering::SeqCst);
        Watched(self.clone())
    }

    fn counts(&self) -> (u64, u64) {
        (self.0.0.load(Ordering::SeqCst), self.0.1.load(Ordering::SeqCst))
    }

    fn stream<S: Stream>(&self, items: S) -> impl Stream<Item = S::Item> + use<S> {
        let watched = self.enter();
        items.inspect(move |_| {
            let _ = &watched;
        })
    }
}

struct Watched(Watch);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.0.1.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) fn server(limits: Limits) -> Result<Server, BuildError> {
    let watch = Watch::default();
    Server::builder()
        .limits(limits)
        .authenticator(who)
        .endpoint(shapes(&watch))
        .endpoint(ends(&watch))
        .endpoint(errors())
        .endpoint(vault())
        .endpoint(conformance())
        .build()
}

/// Group B.
fn shapes(watch: &Watch) -> Endpoint {
    let watch = watch.clone();
    Endpoint::new("Shapes")
        .stream("count", |_: Session, (n,): (u64,), (): ()| {
            stream::iter((0..n).map(Ok::<_, NoError>))
        })
        .unary("add", async |_: Session, (a, b): (i64, i64), (): ()| Ok::<_, NoError>(a + b))
        .unary("mirror", async |_: Session, (all,): (All,), (): ()| Ok::<_, NoError>(all))
        .stream("echo", echo::<String>)
        .stream("numbers", echo::<u64>)
        .stream("mixed", echo::<Value>)
        .stream("blobs", echo::<Vec<u8>>)
        .unary("sum", sum)
        .unary("first", first)
        .unary("finish", finish)
        .unary("none", async |_: Session, (): (), (): ()| Ok::<Option<u64>, NoError>(None))
        .stream("both", both)
        .stream("sixteen", sixteen)
        .stream("times", times)
        .unary("optional", optional)
        .unary("counts", move |_: Session, (): (), (): ()| {
            let counts = watch.counts();
            async move { Ok::<_, NoError>(counts) }
        })
}

type Inputs<T> = BoxStream<'static, Result<T, NoError>>;

fn well<T: Send + 'static>(input: Receiver<T>) -> Inputs<T>
where
    Receiver<T>: Stream<Item = Result<T, StreamError>> + Send,
{
    input.filter_map(async |item| item.ok().map(Ok)).boxed()
}

fn echo<T: Send + 'static>(_: Session, (): (), (input,): (Receiver<T>,)) -> Inputs<T>
where
    Receiver<T>: Stream<Item = Result<T, StreamError>> + Send,
{
    well(input)
}

async fn sum(_: Session, (): (), (mut numbers,): (Receiver<i64>,)) -> Result<i64, Problem> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number.map_err(|error| Problem::Said(error.to_string()))?;
    }
    Ok(sum)
}

async fn first(_: Session, (): (), (mut numbers,): (Receiver<u64>,)) -> Result<u64, Problem> {
    match numbers.next().await {
        Some(Ok(number)) => Ok(number),
        other => Err(Problem::Said(format!("{other:?}"))),
    }
}

async fn finish(_: Session, (): (), (mut numbers,): (Receiver<u64>,)) -> Result<(), NoError> {
    while numbers.next().await.is_some() {}
    Ok(())
}

fn both(_: Session, (): (), (numbers, texts): (Receiver<u64>, Receiver<String>)) -> Inputs<String> {
    let numbers = well(numbers).map(|number| number.map(|number| number.to_string())).boxed();
    select_all([numbers, well(texts)]).boxed()
}

macro_rules! sixteen {
    ($it:ty) => {
        ($it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it)
    };
}

fn sixteen(_: Session, (): (), inputs: sixteen!(Receiver<u32>)) -> Inputs<(u8, u32)> {
    let (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) = inputs;
    let inputs = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
    let tell = |(place, input)| well(input).map(move |n| n.map(|n| (place, n))).boxed();
    select_all((0_u8..).zip(inputs).map(tell)).boxed()
}

fn times(_: Session, (by,): (i64,), (numbers,): (Receiver<i64>,)) -> Inputs<i64> {
    well(numbers).map(move |number| number.map(|number| by * number)).boxed()
}

type Mixed = (Receiver<u8>, Option<Receiver<u8>>, Option<Receiver<u8>>);

/// Which of its streams are there.
async fn optional(
    _: Session,
    (level,): (u8,),
    (_left, right, also): Mixed,
) -> Result<(u8, bool, bool), NoError> {
    Ok((level, right.is_some(), also.is_some()))
}

/// Group C. Its methods are watched.
fn ends(watch: &Watch) -> Endpoint {
    let [endless, never, deaf, told, slow, lazy] = std::array::from_fn(|_| watch.clone());
    Endpoint::new("Ends")
        .stream("endless", move |_: Session, (): (), (): ()| {
            endless.stream(stream::iter((0_u64..).map(Ok::<_, NoError>)))
        })
        .stream("never", move |_: Session, (): (), (): ()| {
            never.stream(stream::pending::<Result<u64, NoError>>())
        })
        .stream("deaf", move |_: Session, (): (), (input,): (Receiver<u64>,)| {
            // It holds its input, and never reads it.
            deaf.stream(stream::pending::<Result<u64, NoError>>().inspect(move |_| {
                let _ = &input;
            }))
        })
        .stream("told", move |_: Session, (): (), (input,): (Receiver<u64, Problem>,)| {
            told.stream(tell(input))
        })
        .stream("slow", move |_: Session, (): (), (): ()| {
            let steps = stream::once(async { Ok(0_u64) });
            slow.stream(steps.chain(stream::once(pending::<Result<u64, NoError>>())))
        })
        .unary("ignore", async |_: Session, (): (), (_input,): (Receiver<u64>,)| {
            Ok::<_, NoError>(7_u8)
        })
        .stream("lines", move |_: Session, (n,): (u64,), (): ()| {
            let text = "x".repeat(1000);
            lazy.stream(stream::iter((0..n).map(move |_| Ok::<_, NoError>(text.clone()))))
        })
}

/// Tells what comes, and how it ended.
fn tell(
    input: Receiver<u64, Problem>,
) -> Pin<Box<dyn Stream<Item = Result<String, NoError>> + Send>> {
    let items = input.map(|item| match item {
        Ok(number) => format!("{number}"),
        Err(StreamError::App(problem)) => format!("app: {problem:?}"),
        Err(StreamError::Decode(_)) => "decode".into(),
        Err(error) => format!("{error:?}").to_lowercase(),
    });
    Box::pin(items.chain(stream::once(async { "end".into() })).map(Ok))
}

/// Group D.
fn errors() -> Endpoint {
    let say = |text: &str| Problem::Said(text.into());
    Endpoint::new("Errors")
        .unary("typed", move |_: Session, (): (), (): ()| async move {
            Err::<u8, _>(Problem::Number { is: u64::MAX })
        })
        .unary("untyped", async |_: Session, (): (), (): ()| {
            Err::<u8, Failed>(std::io::Error::other("a secret").into())
        })
        .unary("panics", async |_: Session, (n,): (u8,), (): ()| {
            assert!(n == 0, "a secret, on purpose");
            Ok::<u8, NoError>(n)
        })
        .stream("after", move |_: Session, (n,): (u64,), (): ()| {
            let items = (0..n).map(Ok).chain([Err(say("it broke"))]);
            stream::iter(items)
        })
        .stream("falls", |_: Session, (n,): (u64,), (): ()| {
            stream::iter((0..=n).map(move |item| {
                assert!(item < n, "a secret, on purpose");
                Ok::<_, NoError>(item)
            }))
        })
        .stream("answer", |_: Session, (): (), (input,): (Receiver<Value, Problem>,)| {
            input.map(|item| {
                item.map_err(|error| match error {
                    StreamError::App(Problem::Said(text)) => Problem::Said(format!("heard {text}")),
                    error => Problem::Said(format!("{error:?}")),
                })
            })
        })
        .unary("huge", async |_: Session, (): (), (): ()| {
            Err::<u8, _>(Problem::Said("x".repeat(100_000)))
        })
        .stream("wrong", |_: Session, (): (), (): ()| {
            // Two items that are no texts.
            stream::iter([Ok::<_, NoError>(300_u32), Ok(301)])
        })
}

/// Groups A and G.
fn vault() -> Endpoint {
    let name = async |session: Session, (): (), (): ()| {
        let user = session.authentication().map(|who| who.user().to_owned());
        Ok::<_, NoError>(user)
    };
    Endpoint::new("Vault")
        .unary("who", name)
        .unary("mine", name)
        .access(Access::Login)
        .unary("rule", name)
        .access(Access::scopes(["admin"]))
}

/// What `wirestream-conformance` calls.
fn conformance() -> Endpoint {
    type Two = (Receiver<u8>, Receiver<u8>);
    let hold = |_: Session, (): (), two: Two| {
        stream::pending::<Result<u8, NoError>>().inspect(move |_| {
            let _ = &two;
        })
    };
    let stop = |_: Session, (): (), (_, two): Two| {
        stream::pending::<Result<u8, NoError>>().inspect(move |_| {
            let _ = &two;
        })
    };
    Endpoint::new("Conformance")
        .stream("hold", hold)
        .stream("stop", stop)
        .unary("value", async |_: Session, (): (), (): ()| Ok::<_, NoError>(7_u8))
        .stream("locked", hold)
        .access(Access::Login)
}

/// The tokens that there are.
async fn who(token: Token) -> Result<Option<Authentication>, Failed> {
    match token.as_bytes() {
        b"ann" => Ok(Some(Authentication::new("ann"))),
        b"root" => Ok(Some(Authentication::new("root").scope("admin"))),
        b"fail" => Err(std::io::Error::other("the user store is down").into()),
        b"panic" => panic!("an authenticator that panics, on purpose"),
        b"slow" => pending().await,
        _ => Ok(None),
    }
}
