//! Wake-ups between threads. Whatever may run at the same time does, each on a thread of its own
//! that sleeps until it is woken, and no clock makes up for a wake-up that was lost: then a test
//! waits in vain, and says so.

#[path = "cancel/by_hand.rs"]
#[allow(dead_code, reason = "some of it is for other tests")]
mod by_hand;

use std::future::{Future, ready};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use by_hand::StoppedClock;
use futures_util::stream::iter;
use futures_util::{FutureExt, Stream, StreamExt};
use wirestream::{
    BoxFuture, Client, ClientConfig, ConnectError, Dial, Endpoint, Limits, MemoryTransport,
    NoError, Receiver, Runtime, Server, Session, Timer, Transport, channel,
};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs each future on a thread of its own. Its clock stands still.
struct Threads;

impl Runtime for Threads {
    fn spawn(&self, future: BoxFuture<()>) {
        thread::spawn(|| block_on(future));
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(StoppedClock)
    }
}

struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Sleeper(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Runs everybody at the same time.
///
/// # Panics
/// One of them does, or waits for what does not come.
fn all_at_once(everybody: Vec<BoxFuture<()>>) {
    let (done, is_done) = mpsc::channel();
    let each = everybody.into_iter().map(|future| {
        let done = done.clone();
        thread::spawn(move || {
            block_on(future);
            done.send(()).expect("the test waits");
        })
    });
    let threads: Vec<_> = each.collect();
    drop(done);
    for _ in &threads {
        match is_done.recv_timeout(PATIENCE) {
            Ok(()) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break, // somebody has panicked
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("somebody waits, and was not woken"),
        }
    }
    for thread in threads {
        thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    }
}

struct Line(Server);

impl Dial for Line {
    fn dial(&self) -> BoxFuture<Result<Box<dyn Transport>, ConnectError>> {
        let (here, there) = MemoryTransport::pair();
        let served = self.0.serve_connection(Arc::new(Threads), Box::new(there), None);
        Threads.spawn(Box::pin(served.map(drop)));
        Box::pin(ready(Ok(Box::new(here) as Box<dyn Transport>)))
    }
}

/// Small windows, so that both sides wait often.
fn client() -> Client {
    let limits = Limits {
        message: 4_096,
        chunk: 4_096,
        half_window: 4_096,
        connection_window: 65_536,
        ..Limits::default()
    };
    let endpoint = Endpoint::new("E").stream("echo", echo).unary("add", add);
    let server = Server::builder().endpoint(endpoint).limits(limits.clone());
    let line = Line(server.build().expect("a server"));
    let config = ClientConfig { limits, ..ClientConfig::default() };
    Client::new(Arc::new(Threads), Arc::new(line), config).expect("a client")
}

fn echo(
    _: Session,
    (): (),
    (messages,): (Receiver<Vec<u8>>,),
) -> impl Stream<Item = Result<Vec<u8>, ()>> {
    messages.map(|message| message.map_err(drop))
}

async fn add(_: Session, (a, b): (u32, u32), (): ()) -> Result<u32, NoError> {
    Ok(a + b)
}

#[test]
fn a_message_that_goes_to_and_fro_wakes_whoever_waits_for_it() {
    let client = client();
    let player = |number: u8| -> BoxFuture<()> {
        let client = client.clone();
        Box::pin(async move {
            let (input, messages) = channel();
            let mut echoes = client.call("E.echo").parameter(messages).stream::<Vec<u8>>();
            for round in 0..2_000_u32 {
                let message = vec![number; (round % 40) as usize];
                input.send(message.clone()).await.expect("somebody listens");
                assert_eq!(echoes.next().await, Some(Ok(message)));
            }
        })
    };
    all_at_once((0..3).map(player).collect());
}

#[test]
fn those_who_wait_for_room_on_one_half_are_all_woken() {
    const SENDERS: usize = 3;
    const EACH: usize = 1_500;
    let client = client();
    let (input, messages) = channel::<Vec<u8>>();
    let echoes = client.call("E.echo").parameter(messages).stream::<Vec<u8>>();
    let input = Arc::new(input);
    let sender = |number: usize| -> BoxFuture<()> {
        let input = Arc::clone(&input);
        Box::pin(async move {
            for round in 0..EACH {
                let size = [10, 700, 1_500][(number + round) % 3];
                input.send(vec![0; size]).await.expect("somebody listens");
            }
        })
    };
    let mut everybody: Vec<_> = (0..SENDERS).map(sender).collect();
    everybody.push(Box::pin(async move {
        let echoes = echoes.take(SENDERS * EACH);
        let size = echoes.fold(0, async |sum, echo| sum + echo.expect("an echo").len()).await;
        assert_eq!(size, SENDERS * EACH / 3 * (10 + 700 + 1_500));
    }));
    all_at_once(everybody);
}

#[test]
fn what_fills_packets_is_written_and_its_reader_is_woken() {
    const COUNT: usize = 3_000;
    let client = client();
    let both = |_| -> [BoxFuture<()>; 2] {
        let (input, messages) = channel::<Vec<u8>>();
        let mut echoes = client.call("E.echo").parameter(messages).stream::<Vec<u8>>();
        let sending = async move {
            let all = iter((0..COUNT).map(|round| vec![7; round % 2_000]));
            input.send_all(all).await.expect("somebody listens");
            input.finish();
        };
        let hearing = async move {
            for round in 0..COUNT {
                let echo = echoes.next().await.expect("an echo");
                assert_eq!(echo.map(|echo| echo.len()), Ok(round % 2_000));
            }
            assert_eq!(echoes.next().await, None);
        };
        [Box::pin(sending), Box::pin(hearing)]
    };
    all_at_once((0..2).flat_map(both).collect());
}

#[test]
fn calls_of_many_threads_are_all_answered() {
    let client = client();
    let caller = |number: u32| -> BoxFuture<()> {
        let client = client.clone();
        Box::pin(async move {
            for round in 0..500 {
                let sum = client.call("E.add").arguments(&(number, round)).unary::<u32>();
                assert_eq!(sum.await, Ok(number + round));
            }
        })
    };
    all_at_once((0..4).map(caller).collect());
}
