//! The methods that the scenarios call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use wirestream::{
    Endpoint, NoError, Receiver, Sender, Server, ServerBuilder, Session, StreamError,
};
use wirestream_tests::{soon, until};

/// The error that the scenarios' methods fail with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub String);

impl Problem {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

/// Counts what the methods of a server have going on.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub fn raise(&self) -> Raised {
        self.0.fetch_add(1, Ordering::SeqCst);
        Raised(self.clone())
    }
}

/// One up, until it is dropped.
#[derive(Debug)]
pub struct Raised(Gauge);

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What becomes of a method's calls: their handlers, and their sessions.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    handlers: Gauge,
    sessions: Arc<Mutex<Vec<Session>>>,
}

impl Watch {
    /// A call begins: its handler keeps what is returned for as long as it lives.
    pub fn enter(&self, session: &Session) -> Raised {
        let raised = self.handlers.raise();
        self.sessions.lock().expect("no panic").push(session.clone());
        raised
    }

    /// The reply of a call, which keeps what [`enter`](Self::enter) returns.
    pub fn stream<S: Stream>(
        &self,
        session: &Session,
        reply: S,
    ) -> impl Stream<Item = S::Item> + use<S> {
        let raised = self.enter(session);
        reply.inspect(move |_| {
            let _ = &raised;
        })
    }

    /// How many calls have begun so far.
    pub fn begun(&self) -> usize {
        self.sessions.lock().expect("no panic").len()
    }

    /// How many handlers there are at this time.
    pub fn running(&self) -> usize {
        self.handlers.get()
    }

    /// Waits until `calls` of them have begun.
    pub async fn until_begun(&self, calls: usize) {
        until("the beginning of the calls", || self.begun() >= calls).await;
    }

    /// Waits until `calls` of them have begun and all are over: sessions closed, handlers dropped.
    pub async fn until_over(&self, calls: usize) {
        self.until_begun(calls).await;
        let sessions = self.sessions.lock().expect("no panic").clone();
        for session in &sessions {
            soon("the close of the session", session.closed()).await;
        }
        // A session closes only after its handler was dropped.
        assert_eq!((sessions.len(), self.running()), (calls, 0));
    }
}

/// A server with the endpoint `Example` and whatever `add` adds to it.
pub fn server_with(add: impl FnOnce(Endpoint) -> Endpoint) -> ServerBuilder {
    Server::builder().endpoint(add(example()))
}

/// A server with the endpoint `Example`.
pub fn server() -> Server {
    server_with(|example| example).build().expect("a server")
}

/// `echo`, `count` (0 to n), `sum`, `add`.
fn example() -> Endpoint {
    Endpoint::new("Example")
        .stream("echo", echo)
        .stream("count", |_: Session, (n,): (u64,), (): ()| {
            stream::iter((0..n).map(Ok::<u64, NoError>))
        })
        .unary("sum", sum)
        .unary(
            "add",
            |_: Session, (a, b): (i64, i64), (): ()| async move { Ok::<_, NoError>(a + b) },
        )
}

fn echo(
    _: Session,
    (): (),
    (messages,): (Receiver<String>,),
) -> impl Stream<Item = Result<String, NoError>> {
    messages.filter_map(async |message| message.ok().map(Ok))
}

async fn sum(_: Session, (): (), (mut numbers,): (Receiver<i64>,)) -> Result<i64, Problem> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number.map_err(|error| Problem(error.to_string()))?;
    }
    Ok(sum)
}

/// All of a stream's messages, and the error it ended with, if any.
pub async fn drain<T, E>(stream: &mut Receiver<T, E>) -> (Vec<T>, Option<StreamError<E>>)
where
    Receiver<T, E>: Stream<Item = Result<T, StreamError<E>>> + Unpin,
{
    let mut messages = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(message) => messages.push(message),
            Err(error) => return (messages, Some(error)),
        }
    }
    (messages, None)
}

/// Sends all of `messages`, then finishes.
pub async fn feed<T: Serialize, E>(sender: Sender<T, E>, messages: impl IntoIterator<Item = T>) {
    for message in messages {
        sender.send(message).await.expect("the stream is wanted");
    }
    sender.finish();
}
