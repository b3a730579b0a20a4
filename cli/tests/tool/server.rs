//! A server with a method for each thing that can happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use wirestream_tokio::{
    Access, Authentication, Contract, Endpoint, Failed, NoError, Receiver, RejectCode, Rejection,
    ServeConfig, Server, ServerTls, Session, StreamError, Value, bind, serve_with,
};

/// What `Demo.refuse` ends with.
#[derive(Serialize, Deserialize)]
pub(crate) enum Refusal {
    #[allow(dead_code, reason = "it has a place")]
    Never,
    TooLate {
        by: u32,
    },
}

/// A server that runs.
pub(crate) struct Demo {
    pub(crate) url: String,
    /// How many calls of `Demo.hang` there are.
    pub(crate) hanging: Arc<AtomicUsize>,
    /// How many messages `Demo.flood` has sent.
    pub(crate) flood: Arc<AtomicUsize>,
    /// Dropped, it ends all at once, like a process.
    _runtime: Runtime,
}

impl Demo {
    pub(crate) fn start() -> Self {
        Self::with(None)
    }

    pub(crate) fn over_tls(tls: ServerTls) -> Self {
        Self::with(Some(tls))
    }

    fn with(tls: Option<ServerTls>) -> Self {
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let hanging = Arc::<AtomicUsize>::default();
        let flood = Arc::<AtomicUsize>::default();
        let endpoint = demo(&hanging, &flood);
        let server = Server::builder().authenticator(authenticate).endpoint(endpoint);
        let server = server.build().expect("a sound server");
        let runtime = runtime();
        let listener = runtime.block_on(bind("127.0.0.1:0")).expect("a port");
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let config = ServeConfig { tls, ..ServeConfig::default() };
        runtime.spawn(serve_with(listener, server, config, std::future::pending()));
        Self { url, hanging, flood, _runtime: runtime }
    }

    /// The arguments that call a method of it.
    pub(crate) fn call<'a>(&'a self, method: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["call", &self.url, method], more].concat()
    }
}

pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("threads")
}

async fn authenticate(token: wirestream_tokio::Token) -> Result<Option<Authentication>, Failed> {
    Ok(match token.as_bytes() {
        b"secret" => Some(Authentication::new("ann").scope("read")),
        _ => None,
    })
}

pub(crate) fn add_contract() -> Contract {
    Contract::new().argument::<i64>("a").argument::<i64>("b").unary::<i64, NoError>()
}

pub(crate) fn mix_contract() -> Contract {
    Contract::new()
        .argument::<u8>("level")
        .parameter::<String, NoError>("words")
        .optional_parameter::<u32, NoError>("numbers")
        .optional_parameter::<Value, NoError>("values")
        .stream::<String, NoError>()
}

fn demo(hanging: &Arc<AtomicUsize>, flood: &Arc<AtomicUsize>) -> Endpoint {
    let (hanging, flood) = (Arc::clone(hanging), Arc::clone(flood));
    Endpoint::new("Demo")
        .stream("echo", |_: Session, (): (), (messages,): (Receiver<Value>,)| echo(messages))
        .unary("add", async |_, (a, b): (i64, i64), ()| Ok::<_, NoError>(a + b))
        .contract(&add_contract())
        .unary("describe", async |_, (value,): (Value,), ()| Ok::<_, NoError>(value.to_string()))
        .unary("nothing", async |_, (): (), ()| Ok::<_, NoError>(()))
        .unary("first", async |_, (): (), (mut messages,): (Receiver<Value>,)| {
            messages.next().await.and_then(Result::ok).ok_or(())
        })
        .stream("both", |_, (): (), (values, words): (Receiver<Value>, Receiver<String>)| {
            let values = values.map(|value| format!("{:?}", value.map(|value| value.to_string())));
            let words = words.map(|word| format!("{word:?}"));
            stream::select(
                values.chain(stream::iter(["no more values".into()])),
                words.chain(stream::iter(["no more words".into()])),
            )
            .map(Ok::<_, NoError>)
        })
        .stream("mix", mix)
        .contract(&mix_contract())
        .stream("refuse", |_, (): (), ()| {
            stream::iter([Ok(Value::from(1)), Err(Refusal::TooLate { by: 3 })])
        })
        .unary("panic", async |_, (): (), ()| -> Result<Value, NoError> {
            panic!("a method that panics");
        })
        .stream("hang", move |_, (): (), ()| {
            let guard = Guard::new(&hanging);
            stream::iter([Ok::<_, NoError>(Value::from("here"))])
                .chain(stream::pending())
                .inspect(move |_| _ = &guard)
        })
        .stream("count", |_, (): (), ()| stream::iter(0_u64..).map(Ok::<_, NoError>))
        .stream("flood", move |_, (): (), ()| {
            let sent = Arc::clone(&flood);
            stream::repeat_with(move || {
                sent.fetch_add(1, Ordering::SeqCst);
                Ok::<_, NoError>(Value::from("\u{1}".repeat(250_000)))
            })
        })
        .stream("twice", |_, (): (), (messages,): (Receiver<Value>,)| {
            // What comes in once comes back once, but what a stream ends with comes twice.
            let mut last = None;
            let messages = echo(messages).map(Some).chain(stream::iter([None]));
            messages.filter_map(move |message| {
                last = message.or(last.take());
                std::future::ready(last.clone())
            })
        })
        .stream("whoami", |session: Session, (): (), ()| {
            let user = session.authentication().map(|caller| caller.user().to_owned());
            let notes: Vec<_> = session
                .metadata()
                .map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value)))
                .collect();
            stream::iter([user.unwrap_or_default()].into_iter().chain(notes)).map(Ok::<_, NoError>)
        })
        .unary("secret", async |_, (): (), ()| Ok::<_, NoError>(Value::from("well")))
        .access(Access::Login)
        .unary("admin", async |_, (): (), ()| Ok::<_, NoError>(Value::from("well")))
        .access(Access::scopes(["admin"]))
        .method("reject", |call| async move {
            let (code,) = postcard::from_bytes(call.arguments()).unwrap_or((0_u8,));
            let codes = [RejectCode::Busy, RejectCode::Unavailable, RejectCode::Failed];
            let words = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}no";
            call.reject(Rejection::new(codes[usize::from(code)], words));
        })
        .unary("escapes", async |_, (): (), ()| {
            Ok::<_, NoError>(Value::from("\u{1b}[31m\u{9b}2J\r\n".repeat(20_000)))
        })
        .stream("late", |_, (): (), (messages,): (Receiver<Value>,)| {
            // What it was not sent in order it tells as an error of its own.
            messages.map(|message| message.map_err(|error: StreamError| error.to_string()))
        })
}

fn echo(messages: Receiver<Value>) -> impl Stream<Item = Result<Value, NoError>> {
    messages.filter_map(async |message| message.ok().map(Ok))
}

type Mixed = (Receiver<String>, Option<Receiver<u32>>, Option<Receiver<Value>>);

fn mix(
    _: Session,
    (level,): (u8,),
    (words, numbers, values): Mixed,
) -> impl Stream<Item = Result<String, NoError>> {
    let is_there = |there| if there { "with" } else { "without" };
    stream::once(async move {
        let mut parts = vec![format!("level {level}")];
        parts.push(format!("{} numbers", is_there(numbers.is_some())));
        parts.push(format!("{} values", is_there(values.is_some())));
        parts.extend(words.filter_map(async |word| word.ok()).collect::<Vec<_>>().await);
        if let Some(numbers) = numbers {
            let numbers = numbers.filter_map(async |number| Some(number.ok()?.to_string()));
            parts.extend(numbers.collect::<Vec<_>>().await);
        }
        Ok(parts.join(", "))
    })
}

/// Counts itself.
struct Guard(Arc<AtomicUsize>);

impl Guard {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
