//! An adapter's futures, dropped in place of each of their polls.

use std::future::{Future, pending, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, Stream, StreamExt};
use wirestream::{Endpoint, NoError, Receiver, Server, Session, channel};

#[cfg(feature = "tls")]
use super::certificates::*;
use super::peer::*;
use crate::here::{Dialer, bind, client, run, serve, soon};
#[cfg(feature = "tls")]
use crate::here::{Origins, accept_tls, adopt};

/// What `future` comes to; `None` if it was dropped before, in place of the poll behind so many.
async fn within_polls<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "{what} did not happen");
        thread::sleep(Duration::from_millis(1));
    }
}

fn echo(
    _: Session,
    (): (),
    (numbers,): (Receiver<u32>,),
) -> impl Stream<Item = Result<u32, NoError>> + Send + 'static {
    numbers.filter_map(async |number| number.ok().map(Ok))
}

fn server() -> Server {
    Server::builder().endpoint(Endpoint::new("E").stream("echo", echo)).build().unwrap()
}

/// All that came before the end, whether the other side had read everything or not.
fn what_came(mut there: UnixStream) -> String {
    let mut came = Vec::new();
    there.set_read_timeout(Some(PATIENCE)).unwrap();
    if let Err(error) = there.read_to_end(&mut came) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    String::from_utf8(came).unwrap()
}

#[test]
fn a_handshake_that_is_given_up_leaves_its_client_nothing() {
    for polls in 0.. {
        let (here, there) = UnixStream::pair().unwrap();
        let mut writing = there.try_clone().unwrap();
        let mut pieces = UPGRADE.as_bytes().chunks(50);
        let accepted = soon(async {
            let mut accepting = pin!(accept(here, PATIENCE));
            let piece_by_piece = poll_fn(|cx| {
                let polled = accepting.as_mut().poll(cx);
                if let (Poll::Pending, Some(piece)) = (&polled, pieces.next()) {
                    writing.write_all(piece).unwrap();
                }
                polled
            });
            within_polls(polls, piece_by_piece).await
        });
        let came = what_came(there);
        match accepted {
            None => assert_eq!(came, "", "after {polls} polls"),
            Some(accepted) => {
                assert_eq!((accepted, polls > 3), (Ok(()), true));
                assert!(came.starts_with("HTTP/1.1 101 "), "{came}");
                return;
            }
        }
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_handshake_under_tls_that_is_given_up_leaves_its_client_nothing() {
    let (authority, tls) = local();
    let origins = Origins::default();
    for polls in 0.. {
        let (here, there) = UnixStream::pair().unwrap();
        there.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut raw = under_tls(there, &authority.trusted());
        let client = thread::spawn(move || {
            let mut came = Vec::new();
            // An error, as the other side goes without a word.
            let _ = raw.write_all(UPGRADE.as_bytes()).and_then(|()| raw.read_to_end(&mut came));
            String::from_utf8(came).unwrap()
        });
        let accepted = soon(async {
            let accepting = accept_tls(adopt(here), &tls, &origins, PATIENCE);
            within_polls(polls, accepting).await.map(Result::unwrap).is_some()
        });
        let came = client.join().unwrap();
        assert_eq!(came.starts_with("HTTP/1.1 101 "), accepted, "after {polls} polls: {came}");
        if accepted {
            return;
        }
        assert_eq!(came, "", "after {polls} polls");
    }
}

#[test]
fn an_attempt_to_connect_that_is_given_up_leaves_no_connection() {
    let listener = soon(bind("127.0.0.1:0")).unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let dialer = Dialer::new(&url);
    // As nobody answers yet, this one is given up for certain.
    assert!(soon(async { dialer.connect().now_or_never() }).is_none());
    let server = server();
    let serving = serve(listener, server.clone(), pending());
    run(async move { serving.await.unwrap() });
    for polls in 0.. {
        let connected = soon(within_polls(polls, dialer.connect()));
        let is_done = connected.is_some();
        drop(connected.map(Result::unwrap));
        if is_done {
            break;
        }
    }
    // All of them came in before this one.
    let socket = soon(dialer.connect()).unwrap();
    until("the connection", || server.connections() > 0);
    drop(socket);
    until("the last end", || server.connections() == 0);
}

/// Waits to be told, and can be polled before that.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<(bool, Option<Waker>)>>);

impl Told {
    async fn wait(self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            state.1 = Some(cx.waker().clone());
            if state.0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn wake(&self, is_told: bool) {
        let mut state = self.0.lock().unwrap();
        state.0 |= is_told;
        let waker = state.1.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn is_waited_for(&self) -> bool {
        self.0.lock().unwrap().1.is_some()
    }
}

#[test]
fn a_server_whose_future_is_dropped_takes_nobody_in_and_lets_calls_go_on() {
    for polls in 1.. {
        let listener = soon(bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (server, told) = (server(), Told::default());
        let serving =
            spawn(within_polls(polls, serve(listener, server.clone(), told.clone().wait())));
        until("the first poll", || told.is_waited_for());
        let (client, input, mut replies) = soon(async {
            let client = client(&format!("ws://{address}"));
            let (input, numbers) = channel::<u32>();
            let mut replies = client.call("E.echo").parameter(numbers).stream::<u32>();
            input.send(1).await.unwrap();
            assert_eq!(replies.next().await, Some(Ok(1)));
            (client, input, replies)
        });
        told.wake(false);
        until("another poll, or the drop", || told.is_waited_for() || polls == 1);
        told.wake(true);
        // Nobody listens any more, whether that was dropped or told to end.
        until("the end of listening", || soon(bind(address)).is_ok());
        soon(async {
            input.send(2).await.unwrap();
            assert_eq!(replies.next().await, Some(Ok(2)), "after {polls} polls");
            input.finish();
            assert_eq!(replies.next().await, None);
        });
        client.disconnect();
        until("the last end", || server.connections() == 0);
        if serving.wait().is_some_and(|served| served.is_ok()) {
            assert!(polls > 2);
            return;
        }
    }
}
