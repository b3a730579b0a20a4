//! Every public future, dropped after each number of polls: what was reported as done is done, what
//! was not has not happened, later operations work, and who else waits is woken.
//!
//! In memory, on a runtime in which nothing happens by chance.

mod by_hand;
mod handles;
mod harness;
mod listening;
mod receiving;
mod sending;
mod serving;
mod streaming;

use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use by_hand::{Cut, Hand, Line, at_each_poll};
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt, stream};
use wirestream::{
    Accepted, BoxFuture, Client, ClientConfig, ConnectError, Dial, Endpoint, IncomingCall, Limits,
    MemoryTransport, NoError, Receiver, Runtime, Sender, Server, Session, Status, StreamError,
    Transport, channel,
};

/// A message: its number, and what makes it large. Some go in chunks, some fill a window.
type Message = (u32, Vec<u8>);

fn message(number: u32) -> Message {
    let size = [0, 700, 6_000, 10, 1_500][number as usize % 5];
    (number, vec![7; size])
}

/// Small windows, so that both sides wait often.
fn limits() -> Limits {
    Limits {
        message: 8_192,
        chunk: 4_096,
        half_window: 4_096,
        connection_window: 65_536,
        calls: 2,
        ..Limits::default()
    }
}

fn server(endpoint: Endpoint) -> Server {
    Server::builder().endpoint(endpoint).limits(limits()).build().expect("a server")
}

fn client_of(hand: &Hand, dial: impl Dial) -> Client {
    let config = ClientConfig { limits: limits(), ..ClientConfig::default() };
    Client::new(Arc::new(hand.clone()), Arc::new(dial), config).expect("a client")
}

fn client(hand: &Hand, server: &Server) -> Client {
    client_of(hand, Line { hand: hand.clone(), server: server.clone() })
}

/// Runs a future beside the case; what it resolves to is there once that is `Some`.
fn beside<T: Send + 'static>(
    hand: &Hand,
    future: impl Future<Output = T> + Send + 'static,
) -> Arc<Mutex<Option<T>>> {
    let place = Arc::new(Mutex::new(None));
    let output = Arc::clone(&place);
    hand.spawn(Box::pin(future.map(move |done| *output.lock().unwrap() = Some(done))));
    place
}

async fn done<T>(hand: &Hand, what: &str, place: &Mutex<Option<T>>) -> T {
    hand.until(what, || place.lock().unwrap().is_some()).await;
    place.lock().unwrap().take().expect("it is done")
}

/// Takes what is left of a stream, and says whether it ended in order.
async fn take<S, E>(stream: &mut S, numbers: &mut Vec<u32>) -> Result<(), E>
where
    S: Stream<Item = Result<Message, E>> + Unpin,
{
    while let Some(next) = stream.next().await {
        let next = next?;
        assert_eq!(next, message(next.0));
        numbers.push(next.0);
    }
    Ok(())
}

/// Sends `count` messages.
fn count(_: Session, (count,): (u32,), (): ()) -> impl Stream<Item = Result<Message, NoError>> {
    stream::iter((0..count).map(message).map(Ok))
}

/// The numbers of the messages that came, and how they ended.
async fn numbers(
    _: Session,
    (): (),
    (mut messages,): (Receiver<Message>,),
) -> Result<(Vec<u32>, bool), NoError> {
    let mut numbers = Vec::new();
    let ended = take(&mut messages, &mut numbers).await;
    Ok((numbers, ended.is_ok()))
}

fn methods() -> Endpoint {
    Endpoint::new("E").stream("count", count).unary("numbers", numbers)
}

/// A later call on the same connection is as good as any.
async fn assert_usable(client: &Client) {
    let mut all = Vec::new();
    let mut counted = client.call("E.count").arguments(&(7_u32,)).stream();
    assert_eq!(take(&mut counted, &mut all).await, Ok::<(), StreamError>(()));
    assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
}
