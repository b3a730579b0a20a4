//! Group E: the connection, from the first call to the last; cut, stalled, closed and shut down.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use futures_util::{Stream, StreamExt, stream};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, mpsc, oneshot};
use wirestream::wire::{AwayCode, Frame, frames};
use wirestream::{
    BoxFuture, Client, ClientConfig, CloseReason, ConnectErrorKind, Dial, IncomingCall, Limits,
    LostReason, MemoryTransport, NoError, Receiver, RejectCode, Runtime, SendError, Sender,
    Session, Status, StreamError, Time, Timer, Token, Transport, TransportError, channel,
};
use wirestream_tests::{
    Dialling, LONG, Net, Nobody, RawPeer, Rig, TestClient, dial_address, dial_url, runtime,
    scenarios, soon, until,
};

use crate::methods::{Watch, drain, server, server_with};

scenarios! {
    e1_first_calls_share_one_attempt_to_connect,
    e2_without_a_server_each_call_ends_with_a_connect_error,
    e3_a_server_that_never_answers_is_given_up,
    e3_a_peer_that_never_says_hello_is_given_up,
    e3_an_attempt_that_was_given_up_does_not_come_back,
    e4_the_connection_is_closed_after_the_linger,
    e5_a_call_within_the_linger_keeps_the_connection,
    e6_a_call_in_the_moment_of_the_close_is_unharmed,
    e7_a_cut_ends_every_stream_on_both_sides_as_lost,
    e8_the_next_call_after_a_cut_reconnects,
    e8_a_connection_that_was_cut_is_not_the_current_one,
    e9_a_server_that_was_restarted_is_found_again,
    e10_disconnecting_ends_every_call_and_a_later_one_works,
    e10_disconnecting_ends_the_calls_of_connections_that_go_away,
    e10_the_server_is_told_of_a_disconnection_whenever_it_comes,
    e11_disconnecting_stops_an_input_at_full_speed,
    e14_both_sides_notice_a_black_hole,
    e15_any_inbound_frame_counts_as_life,
    e16_credentials_are_never_in_the_url,
    e17_running_calls_finish_while_the_server_shuts_down,
    e17_running_calls_are_ended_at_the_deadline_of_a_shutdown,
    e18_a_shutdown_does_not_wait_for_inputs_that_nobody_reads,
    e19_a_call_that_races_with_a_shutdown_is_done_or_refused,
    e19_a_connection_that_comes_during_a_shutdown_takes_no_call,
}

async fn add(client: &TestClient) -> Result<i64, StreamError> {
    client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>().await
}

fn lost<T>(reason: CloseReason) -> Option<Result<T, StreamError>> {
    Some(Err(StreamError::Lost(LostReason::Closed(reason))))
}

/// An echo whose calls are watched.
fn watched_echo(
    watch: &Watch,
) -> impl Fn(Session, (), (Receiver<u64>,)) -> BoxStream + Send + Sync + 'static + use<> {
    let watch = watch.clone();
    move |session, (), (messages,)| {
        let messages = messages.map(|message| Ok::<_, NoError>(message.expect("a message")));
        Box::pin(watch.stream(&session, messages))
    }
}

type BoxStream = std::pin::Pin<Box<dyn Stream<Item = Result<u64, NoError>> + Send>>;

/// A call that is open on both sides, and has carried a message in each direction.
async fn open_call(client: &TestClient, method: &str) -> (Sender<u64>, Receiver<u64>) {
    let (input, messages) = channel::<u64>();
    let mut replies = client.call(method).parameter(messages).stream::<u64>();
    input.send(1).await.unwrap();
    assert_eq!(soon("the echo", replies.next()).await, Some(Ok(1)));
    (input, replies)
}

/// E1
async fn e1_first_calls_share_one_attempt_to_connect(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.lasting_client();
    assert_eq!(client.line.dials(), 0, "nothing happens before the first call");
    let sums = (0..5i64).map(|n| client.call("Example.add").arguments(&(n, 1i64)).unary::<i64>());
    assert_eq!(try_join_all(sums).await, Ok(vec![1, 2, 3, 4, 5]));
    assert_eq!((client.line.dials(), rig.server.connections()), (1, 1));

    // And from five tasks at a time.
    let client = Arc::new(rig.lasting_client());
    let tasks = (0..5).map(|_| {
        let client = Arc::clone(&client);
        tokio::spawn(async move { add(&client).await })
    });
    for sum in join_all(tasks).await {
        assert_eq!(sum.unwrap(), Ok(5));
    }
    assert_eq!(client.line.dials(), 1);
}

/// E2
async fn e2_without_a_server_each_call_ends_with_a_connect_error(net: Net) {
    // Held and not listening, so that nobody else listens there either.
    let port = TcpSocket::new_v4().unwrap();
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let dial: Dialling = match net {
        Net::Memory => Box::new(|| Nobody.dial()),
        Net::Tokio | Net::Smol => dial_address(net, port.local_addr().unwrap(), LONG),
    };
    let client = TestClient::new(net, dial, ClientConfig::default());
    let (input, messages) = channel::<i64>();
    let sum = client.call("Example.sum").parameter(messages).unary::<i64>();
    let (sum, added, sent) = tokio::join!(sum, add(&client), input.send(1));
    let Err(StreamError::Lost(LostReason::Connect(error))) = sum else { panic!("{sum:?}") };
    assert_eq!(error.kind, ConnectErrorKind::Unreachable);
    assert_eq!(sent, Err(SendError::Lost(LostReason::Connect(error.clone()))));
    let added = added.unwrap_err();
    assert!(added.is_retryable());
    assert_eq!(added, StreamError::Lost(LostReason::Connect(error.clone())));
    let dials = client.line.dials();
    assert_eq!(client.status(), Status::Disconnected(Some(LostReason::Connect(error))));
    // A later call tries again.
    assert!(matches!(add(&client).await, Err(StreamError::Lost(LostReason::Connect(_)))));
    assert_eq!(client.line.dials(), dials + 1);
}

/// E3, R-HELLO-9
async fn e3_a_server_that_never_answers_is_given_up(net: Net) {
    let within = Duration::from_millis(60);
    let limits = Limits { handshake: within, ..Limits::default() };
    let config = ClientConfig { limits, ..ClientConfig::default() };
    let begun = Instant::now();
    match net {
        // Somebody is there, and silent.
        Net::Memory => {
            let silent = Arc::<Mutex<Vec<MemoryTransport>>>::default();
            let dial: Dialling = Box::new(move || {
                let (here, there) = MemoryTransport::pair();
                silent.lock().unwrap().push(there);
                Box::pin(async move { Ok(Box::new(here) as Box<dyn Transport>) })
            });
            let client = TestClient::new(net, dial, config);
            let error = add(&client).await.unwrap_err();
            assert!(error.is_retryable());
            assert_eq!(Some(Err(error)), lost::<i64>(CloseReason::HandshakeTimeout));
        }
        // The system accepts for a program that never does.
        Net::Tokio | Net::Smol => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let dial = dial_address(net, listener.local_addr().unwrap(), within);
            let client = TestClient::new(net, dial, config);
            let error = add(&client).await.unwrap_err();
            assert!(error.is_retryable());
            let StreamError::Lost(LostReason::Connect(error)) = error else { panic!("{error}") };
            assert_eq!(error.kind, ConnectErrorKind::TimedOut);
        }
    }
    assert!(begun.elapsed() >= within);
}

/// E3, R-HELLO-9
async fn e3_a_peer_that_never_says_hello_is_given_up(net: Net) {
    // Within it, the client has to be through the transport's own handshake as well.
    let handshake = Duration::from_millis(300);
    let limits = Limits { handshake, ..Limits::default() };
    let rig = Rig::start(net, server_with(|e| e).limits(limits).build().unwrap()).await;
    let begun = Instant::now();
    let mut peer = rig.raw().await;
    let packets = peer.rest().await;
    assert!(begun.elapsed() >= handshake);
    assert_last_word(&packets, AwayCode::Timeout);
    until("the end of the connection", || rig.server.connections() == 0).await;
}

/// The last frame is a `GoAway` that says so.
fn assert_last_word(packets: &[Bytes], word: AwayCode) {
    let last = frames(packets.last().expect("a last packet")).last().expect("a last frame");
    let last = last.expect("a valid frame");
    assert!(matches!(last, Frame::GoAway { code, .. } if code == word), "{last:?}");
}

/// E3
async fn e3_an_attempt_that_was_given_up_does_not_come_back(net: Net) {
    let rig = Rig::start(net, server()).await;
    // The first attempt goes on until it is let go, whatever its client does.
    let (let_go, first) = (Arc::new(Notify::new()), AtomicUsize::new(1));
    let (gate, line) = (Arc::clone(&let_go), rig.client().line);
    let dial: Dialling = Box::new(move || {
        let first = first.swap(0, Ordering::SeqCst) == 1;
        let (gate, dialled) = (Arc::clone(&gate), line.dial());
        Box::pin(async move {
            if first {
                gate.notified().await;
            }
            dialled.await
        })
    });
    let client = TestClient::new(net, dial, ClientConfig::default());
    let waiting = client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>();
    until("the first attempt", || client.line.dials() == 1).await;
    client.disconnect();
    assert_eq!(Some(soon("the end of the call", waiting).await), lost(CloseReason::Local));

    assert_eq!(add(&client).await, Ok(5));
    let_go.notify_one();
    assert_eq!(add(&client).await, Ok(5));
    assert_eq!(client.line.dials(), 2);
    until("the end of the first attempt", || rig.server.connections() == 1).await;
    assert_eq!(client.status(), Status::Connected);
}

/// E4, R-LINGER-1
async fn e4_the_connection_is_closed_after_the_linger(net: Net) {
    let watch = Watch::default();
    let server = server_with(|example| example.stream("watched", watched_echo(&watch)));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let linger = Duration::from_millis(60);
    let client = rig.client_with(Limits { linger, ..Limits::default() });

    // As long as a call is open, there is no linger.
    let (input, mut replies) = open_call(&client, "Example.watched").await;
    let begun = Instant::now();
    while begun.elapsed() < 3 * linger {
        tokio::time::sleep(linger / 4).await;
        assert_eq!(client.status(), Status::Connected);
    }
    input.send(2).await.unwrap();
    assert_eq!(replies.next().await, Some(Ok(2)));

    let over = Instant::now();
    input.finish();
    assert_eq!(replies.next().await, None);
    until("the close", || client.status() != Status::Connected).await;
    assert!(over.elapsed() >= linger);
    let idle = LostReason::Closed(CloseReason::Idle);
    assert_eq!(client.status(), Status::Disconnected(Some(idle)));
    until("the close at the server", || rig.server.connections() == 0).await;
    watch.until_over(1).await;
    assert_eq!(client.line.dials(), 1);
}

/// E5, R-LINGER-1
async fn e5_a_call_within_the_linger_keeps_the_connection(net: Net) {
    let rig = Rig::start(net, server()).await;
    let linger = Duration::from_millis(150);
    loop {
        let client = rig.client_with(Limits { linger, ..Limits::default() });
        assert_eq!(add(&client).await, Ok(5));
        let begun = Instant::now();
        let mut longest = Duration::ZERO;
        while begun.elapsed() < 2 * linger {
            let idle = Instant::now();
            tokio::time::sleep(linger / 6).await;
            let added = add(&client);
            longest = longest.max(idle.elapsed());
            assert_eq!(added.await, Ok(5));
        }
        // Unless the machine was too busy for that to say anything.
        if longest < linger / 2 {
            return assert_eq!(client.line.dials(), 1);
        }
    }
}

/// E6
async fn e6_a_call_in_the_moment_of_the_close_is_unharmed(net: Net) {
    let rig = Rig::start(net, server()).await;
    let linger = Duration::from_millis(3);
    let client = rig.client_with(Limits { linger, ..Limits::default() });
    let rounds = 150u32;
    for round in 0..rounds {
        if round % 2 == 0 {
            assert_eq!(add(&client).await, Ok(5));
        } else {
            let (input, messages) = channel::<String>();
            let mut echo = client.call("Example.echo").parameter(messages).stream::<String>();
            input.send("still here".into()).await.unwrap();
            input.finish();
            let echoed = drain(&mut echo).await;
            assert_eq!(echoed, (vec!["still here".to_owned()], None));
        }
        // From a little before the close to a little after it, finer than timers are.
        let pause = linger / 2 + linger * (round * 37 % rounds) / rounds;
        let over = Instant::now();
        while over.elapsed() < pause {
            tokio::task::yield_now().await;
        }
    }
    assert!(client.line.dials() > 1, "the connection was never closed");
    until("the close of all but the last", || rig.server.connections() <= 1).await;
}

/// How a parameter ended and why a message of the reply was not sent, as the callee saw it.
type CalleeSaw = (Option<Result<u64, StreamError>>, Result<(), SendError>);

/// A method that echoes one message and then, in a task of its own, only takes them, until it sees
/// what becomes of its streams.
fn witness(
    watch: &Watch,
    saw: &mpsc::UnboundedSender<CalleeSaw>,
) -> impl Fn(IncomingCall) -> futures_util::future::BoxFuture<'static, ()> + Send + Sync + 'static + use<>
{
    let (watch, saw) = (watch.clone(), saw.clone());
    move |call| {
        let (watch, saw) = (watch.clone(), saw.clone());
        Box::pin(async move {
            let _raised = watch.enter(call.session());
            let mut call = call.accept().expect("a caller");
            let mut messages = call.parameter::<u64, NoError>().expect("a parameter");
            let reply = call.reply::<u64, NoError>().expect("a reply");
            tokio::spawn(async move {
                let message = messages.next().await.expect("a message").expect("a message");
                reply.send(message).await.expect("a caller");
                let end = loop {
                    match messages.next().await {
                        Some(Ok(_)) => {}
                        end => break end,
                    }
                };
                let _ = saw.send((end, reply.send(2).await));
            });
            std::future::pending::<()>().await;
        })
    }
}

/// E7, R-CALL-7
async fn e7_a_cut_ends_every_stream_on_both_sides_as_lost(net: Net) {
    let (watch, (saw, mut callees)) = (Watch::default(), mpsc::unbounded_channel());
    let server = server_with(|example| example.method("witness", witness(&watch, &saw)));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.client();
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(open_call(&client, "Example.witness").await);
    }
    let (never_fed, numbers) = channel::<i64>();
    let sum = client.call("Example.sum").parameter(numbers).unary::<i64>();

    client.line.cut();
    assert_eq!(Some(soon("the end of the call", sum).await), lost(CloseReason::Eof));
    for (input, mut replies) in calls {
        assert_eq!(soon("the end of the replies", replies.next()).await, lost(CloseReason::Eof));
        assert_eq!(replies.next().await, None);
        let sent = input.send(2).await;
        assert_eq!(sent, Err(SendError::Lost(LostReason::Closed(CloseReason::Eof))));
    }
    soon("the end of the input", never_fed.closed()).await;

    for _ in 0..3 {
        let (end, sent) = soon("the end at the callee", callees.recv()).await.unwrap();
        assert_eq!(end, lost(CloseReason::Eof));
        assert_eq!(sent, Err(SendError::Lost(LostReason::Closed(CloseReason::Eof))));
    }
    watch.until_over(3).await;
    until("the end of the connection", || rig.server.connections() == 0).await;
    assert_eq!(client.line.dials(), 1, "nothing reconnects by itself");
}

/// E8
async fn e8_the_next_call_after_a_cut_reconnects(net: Net) {
    let watch = Watch::default();
    let server = server_with(|example| example.stream("watched", watched_echo(&watch)));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.client();
    for cuts in 1..=5 {
        let (_input, mut replies) = open_call(&client, "Example.watched").await;
        assert_eq!(client.line.dials(), cuts);
        client.line.cut();
        assert_eq!(soon("the end", replies.next()).await, lost(CloseReason::Eof));
        watch.until_over(cuts).await;
    }
    assert_eq!(add(&client).await, Ok(5));
    assert_eq!(client.line.dials(), 6);
}

/// E8, E12: a connection that is over is nobody's any more, before the next call and without one.
async fn e8_a_connection_that_was_cut_is_not_the_current_one(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.lasting_client();
    assert_eq!(add(&client).await, Ok(5));
    client.line.cut();
    return_to_idle(&client).await;
    let mut changes = client.status_changes();
    let cut = Status::Disconnected(Some(LostReason::Closed(CloseReason::Eof)));
    assert_eq!(soon("the status", changes.next()).await, Some(cut));
    client.disconnect(); // there is nothing to end
    assert_eq!(add(&client).await, Ok(5));
    assert_eq!(soon("a change", changes.next()).await, Some(Status::Connecting));
    assert_eq!(client.line.dials(), 2);
}

async fn return_to_idle(client: &TestClient) {
    until("the end", || matches!(client.status(), Status::Disconnected(_))).await;
}

/// E9
async fn e9_a_server_that_was_restarted_is_found_again(net: Net) {
    let watch = Watch::default();
    let start = || {
        let server = server_with(|example| example.stream("watched", watched_echo(&watch)));
        server.build().unwrap()
    };
    let mut rig = Rig::start(net, start()).await;
    let client = rig.client();
    let (input, mut replies) = open_call(&client, "Example.watched").await;
    rig.stop().await;
    assert_eq!(soon("the end", replies.next()).await, lost(CloseReason::DrainExpired));
    let sent = input.send(2).await;
    assert_eq!(sent, Err(SendError::Lost(LostReason::Closed(CloseReason::DrainExpired))));
    watch.until_over(1).await;
    return_to_idle(&client).await;

    let StreamError::Lost(LostReason::Connect(error)) = add(&client).await.unwrap_err() else {
        panic!("there is no server")
    };
    assert_eq!(error.kind, ConnectErrorKind::Unreachable);

    rig.restart(start()).await;
    let (input, mut replies) = open_call(&client, "Example.watched").await;
    input.finish();
    assert_eq!(replies.next().await, None);
    watch.until_over(2).await;
    assert_eq!(client.line.dials(), 3);
}

/// E10
async fn e10_disconnecting_ends_every_call_and_a_later_one_works(net: Net) {
    let (watch, (saw, mut callees)) = (Watch::default(), mpsc::unbounded_channel());
    let server = server_with(|example| example.method("witness", witness(&watch, &saw)));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.client();
    client.disconnect();
    assert_eq!(client.status(), Status::Disconnected(None), "there was nothing to end");
    for round in 1..=3 {
        let mut calls = Vec::new();
        for _ in 0..3 {
            calls.push(open_call(&client, "Example.witness").await);
        }
        client.disconnect();
        let reason = LostReason::Closed(CloseReason::Local);
        assert_eq!(client.status(), Status::Disconnected(Some(reason.clone())));
        for (input, mut replies) in calls {
            assert_eq!(soon("the end", replies.next()).await, lost(CloseReason::Local));
            assert_eq!(input.send(2).await, Err(SendError::Lost(reason.clone())));
            // The peer learns that it was no accident.
            let (end, sent) = soon("the end at the callee", callees.recv()).await.unwrap();
            assert_eq!(end, lost(CloseReason::Peer));
            assert_eq!(sent, Err(SendError::Lost(LostReason::Closed(CloseReason::Peer))));
        }
        watch.until_over(3 * round).await;
        until("the end of the connection", || rig.server.connections() == 0).await;
        assert_eq!(client.line.dials(), round);
    }
    assert_eq!(add(&client).await, Ok(5));
}

/// E10: also those on a connection that takes no new calls, whatever became of the next.
async fn e10_disconnecting_ends_the_calls_of_connections_that_go_away(net: Net) {
    let watch = Watch::default();
    let start = async || {
        let server = server_with(|example| example.stream("watched", watched_echo(&watch)));
        Rig::start(net, server.build().unwrap()).await
    };
    for next_is_there in [true, false] {
        let (going, staying) = (start().await, start().await);
        let server = going.server.clone();
        // Nobody but the second server is dialled a second time.
        let lines = [going.client().line, staying.client().line];
        let dials = AtomicUsize::new(0);
        let dial: Dialling = Box::new(move || match dials.fetch_add(1, Ordering::SeqCst) {
            0 => lines[0].dial(),
            _ => lines[1].dial(),
        });
        let linger = if next_is_there { 2 * LONG } else { Duration::from_millis(10) };
        let limits = Limits { linger, ..Limits::default() };
        let client = TestClient::new(net, dial, ClientConfig { limits, ..Default::default() });
        let begun = watch.begun();
        let (input, mut replies) = open_call(&client, "Example.watched").await;

        let mut peer = going.raw().await;
        peer.say_hello().await;
        let shutdown = tokio::spawn(async move { server.shutdown(2 * LONG).await });
        until_told_to_go(&mut peer).await;
        // The client hears of it at a time of its own, and connects anew then.
        while client.line.dials() == 1 {
            let _ = add(&client).await;
        }
        let mut next = Some(open_call(&client, "Example.watched").await);
        if !next_is_there {
            next = None;
            return_to_idle(&client).await;
        }
        input.send(2).await.unwrap();
        assert_eq!(soon("the echo", replies.next()).await, Some(Ok(2)), "it runs on");

        client.disconnect();
        assert_eq!(soon("the end", replies.next()).await, lost(CloseReason::Local));
        let reason = LostReason::Closed(CloseReason::Local);
        assert_eq!(input.send(3).await, Err(SendError::Lost(reason)));
        if let Some((_input, mut replies)) = next {
            assert_eq!(soon("the end", replies.next()).await, lost(CloseReason::Local));
        }
        watch.until_over(begun + 2).await;
        drop(peer);
        soon("the shutdown", shutdown).await.unwrap();
    }
}

type Deed = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Does something in the middle of a turn of the driver, when all is sent and not yet flushed.
struct Meddling {
    inner: Box<dyn Transport>,
    deed: Deed,
}

impl Transport for Meddling {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.inner.poll_recv(cx)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        self.inner.poll_send(cx, packet)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let deed = self.deed.lock().unwrap().take();
        if let Some(deed) = deed {
            deed();
        }
        self.inner.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_close(cx)
    }
}

/// A runtime whose alarms never ring, so that nothing happens that was not called for.
struct Timeless(Arc<dyn Runtime>);

impl Runtime for Timeless {
    fn spawn(&self, future: BoxFuture<()>) {
        self.0.spawn(future);
    }

    fn timer(&self) -> Box<dyn Timer> {
        Box::new(Alarmless(self.0.timer()))
    }
}

struct Alarmless(Box<dyn Timer>);

impl Timer for Alarmless {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn poll_until(&mut self, _: &mut Context<'_>, _: Time) -> Poll<()> {
        Poll::Pending
    }
}

/// E10, R-AWAY-2
async fn e10_the_server_is_told_of_a_disconnection_whenever_it_comes(net: Net) {
    let (watch, (saw, mut callees)) = (Watch::default(), mpsc::unbounded_channel());
    let server = server_with(|example| example.method("witness", witness(&watch, &saw)));
    // Nor does the server call the driver, with a ping.
    let limits = Limits { ping: 10 * LONG, ..Limits::default() };
    let rig = Rig::start(net, server.limits(limits).build().unwrap()).await;
    let deed = Deed::default();
    let (deeds, line) = (Arc::clone(&deed), rig.client().line);
    let dial: Dialling = Box::new(move || {
        let (deed, dialled) = (Arc::clone(&deeds), line.dial());
        Box::pin(async move {
            let inner = dialled.await?;
            Ok(Box::new(Meddling { inner, deed }) as Box<dyn Transport>)
        })
    });
    let config = ClientConfig::default();
    let line = TestClient::new(net, dial, config.clone()).line;
    let timeless = Arc::new(Timeless(runtime(net)));
    let client = Client::new(timeless, Arc::clone(&line) as _, config).unwrap();
    let client = TestClient { client, line };
    let (input, mut replies) = open_call(&client, "Example.witness").await;
    let disconnected = client.client.clone();
    *deed.lock().unwrap() = Some(Box::new(move || disconnected.disconnect()));
    // To this message there is no answer, so that nothing but the deed calls the driver back.
    input.send(2).await.unwrap();
    assert_eq!(soon("the end", replies.next()).await, lost(CloseReason::Local));
    let (end, _) = soon("the end at the callee", callees.recv()).await.unwrap();
    assert_eq!(end, lost(CloseReason::Peer));
    watch.until_over(1).await;
}

/// E11
async fn e11_disconnecting_stops_an_input_at_full_speed(net: Net) {
    let watch = Watch::default();
    let taken = Arc::new(AtomicU64::new(0));
    let (calls, count) = (watch.clone(), Arc::clone(&taken));
    let take = move |session: Session, (): (), (mut numbers,): (Receiver<u64>,)| {
        let (raised, count) = (calls.enter(&session), Arc::clone(&count));
        async move {
            let _raised = raised;
            while numbers.next().await.is_some_and(|number| number.is_ok()) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, NoError>(())
        }
    };
    let rig = Rig::start(net, server_with(|e| e.unary("take", take)).build().unwrap()).await;
    let client = rig.client();
    let inputs = crate::methods::Gauge::default();
    for round in 1..=5 {
        let before = taken.load(Ordering::Relaxed);
        let raised = inputs.raise();
        let numbers = stream::iter(0u64..).inspect(move |_| {
            let _ = &raised;
        });
        let running = client.call("Example.take").parameter(numbers).unary::<()>();
        let enough = before + 500 * round as u64;
        until("full speed", || taken.load(Ordering::Relaxed) > enough).await;
        client.disconnect();
        assert_eq!(Some(soon("the end of the call", running).await), lost(CloseReason::Local));
        watch.until_over(round).await;
        until("the end of the input", || inputs.get() == 0).await;
        assert_eq!(client.line.dials(), round);
    }
    assert_eq!(add(&client).await, Ok(5));
    until("the end of all but the last", || rig.server.connections() <= 1).await;
}

/// E14, R-ALIVE-2, R-ALIVE-3: not before the time of a ping and of its answer has passed since the
/// last sign of life, and soon after that.
async fn e14_both_sides_notice_a_black_hole(net: Net) {
    let (ping, dead) = (Duration::from_millis(250), Duration::from_millis(250));
    // Less than another ping or answer would take.
    let slack = Duration::from_millis(200);
    let limits = Limits { ping, dead, ..Limits::default() };
    let watch = Watch::default();
    let server = server_with(|example| {
        let calls = watch.clone();
        let example = example.stream("watched", watched_echo(&watch));
        example.stream("count_up", move |session: Session, (): (), (): ()| {
            calls.stream(&session, stream::iter(0u64..).map(Ok::<_, NoError>))
        })
    });
    let rig = Rig::start(net, server.limits(limits.clone()).build().unwrap()).await;
    for round in 1.. {
        let client = rig.client_with(limits.clone());
        // A quiet call, and one at full speed.
        let (input, mut replies) = open_call(&client, "Example.watched").await;
        let mut numbers = client.call("Example.count_up").stream::<u64>();
        for number in 0..1_000 {
            assert_eq!(numbers.next().await, Some(Ok(number)));
        }
        // A sign of life to each side, later than this.
        let alive = Instant::now();
        input.send(2).await.unwrap();
        assert_eq!(replies.next().await, Some(Ok(2)));
        client.line.stall();
        let stalled = Instant::now();

        let pauses = Pauses::watch();
        let here = async {
            assert_eq!(soon("the end", replies.next()).await, lost(CloseReason::Timeout));
            Instant::now()
        };
        let there = async {
            // The server hears nothing of that: it finds out by itself.
            watch.until_over(2 * round).await;
            Instant::now()
        };
        let noticed: [Instant; 2] = tokio::join!(here, there).into();
        let longest_pause = pauses.longest();
        for noticed in noticed {
            assert!(noticed - alive >= ping + dead, "{:?}", noticed - alive);
        }
        let (_, end) = soon("the end", drain(&mut numbers)).await;
        assert_eq!(end, Some(StreamError::Lost(LostReason::Closed(CloseReason::Timeout))));
        assert_eq!(client.line.dials(), 1);
        assert_eq!(add(&client).await, Ok(5));
        assert_eq!(client.line.dials(), 2);

        let took = noticed.map(|noticed| noticed - stalled);
        if took.iter().all(|took| *took <= ping + dead + slack) {
            return;
        }
        // Unless the machine was too busy for that to say anything.
        assert!(longest_pause > slack / 4, "noticed after {took:?}");
    }
}

/// How busy the machine is: the longest time that a task had to wait for its turn.
struct Pauses(tokio::task::JoinHandle<()>, Arc<Mutex<Duration>>);

impl Pauses {
    fn watch() -> Self {
        let longest = Arc::<Mutex<Duration>>::default();
        let noted = Arc::clone(&longest);
        Self(
            tokio::spawn(async move {
                loop {
                    let before = Instant::now();
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    let mut longest = noted.lock().unwrap();
                    *longest = longest.max(before.elapsed());
                }
            }),
            longest,
        )
    }

    fn longest(self) -> Duration {
        self.0.abort();
        *self.1.lock().unwrap()
    }
}

/// E15, R-ALIVE-1
async fn e15_any_inbound_frame_counts_as_life(net: Net) {
    let (ping, dead) = (Duration::from_millis(80), Duration::from_millis(80));
    let limits = Limits { ping, dead, ..Limits::default() };
    let rig = Rig::start(net, server_with(|e| e).limits(limits).build().unwrap()).await;
    let signs = [
        Frame::Unknown { kind: 0x7f },
        Frame::Pong,
        Frame::Ping,
        wirestream_tests::open(1, "Example.nothing"),
        Frame::Stop { call: 1, half: 0 },
    ];
    loop {
        let mut peer = rig.raw().await;
        peer.say_hello().await;
        let begun = Instant::now();
        let (mut last, mut longest) = (begun, Duration::ZERO);
        for sign in signs.iter().chain([&signs[0]; 30]) {
            tokio::time::sleep(Duration::from_millis(8)).await;
            let now = Instant::now();
            if peer.is_open() {
                peer.send(std::slice::from_ref(sign)).await;
            }
            longest = longest.max(last.elapsed());
            last = now;
        }
        let is_open = peer.is_open();
        // Unless the machine was too busy for that to say anything.
        if longest.max(last.elapsed()) >= ping / 2 {
            continue;
        }
        assert!(is_open, "given up with signs of life");
        assert!(begun.elapsed() > ping + dead);
        // From now on there are none, and pings go unanswered.
        let packets = peer.rest().await;
        assert_last_word(&packets, AwayCode::Timeout);
        let frames = packets.iter().flat_map(|packet| frames(packet));
        let pings = frames.filter(|frame| *frame == Ok(Frame::Ping)).count();
        assert_eq!(pings, 1);
        return;
    }
}

/// E16
async fn e16_credentials_are_never_in_the_url(net: Net) {
    let secret = "correct-horse-battery-staple";
    let token = |session: Session, (): (), (): ()| {
        let token = session.token().map(|token| token.as_bytes().to_vec());
        std::future::ready(Ok::<_, NoError>(token))
    };
    let rig = Rig::start(net, server_with(|e| e.unary("token", token)).build().unwrap()).await;
    let config = ClientConfig { token: Some(Token::new(secret)), ..ClientConfig::default() };
    let client = rig.client_of(config.clone());
    let told = client.call("Example.token").unary::<Option<Vec<u8>>>().await;
    assert_eq!(told, Ok(Some(secret.as_bytes().to_vec())));
    assert!(!format!("{config:?}").contains(secret));

    if net != Net::Memory {
        // What goes over the wire before the peer is known to speak Wirestream.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = dial_address(net, listener.local_addr().unwrap(), LONG);
        let client = TestClient::new(net, dial, config);
        let call = client.call("Example.token").unary::<Option<Vec<u8>>>();
        let (mut socket, _) = soon("the client", listener.accept()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(soon("the head", socket.read_buf(&mut head)).await.unwrap() > 0);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
        assert!(!head.contains(secret), "{head}");
        drop((socket, listener));
        assert!(soon("the end of the call", call).await.is_err());

        // And a URL with credentials is no address at all.
        let address = rig.address().unwrap();
        let url = format!("ws://user:{secret}@{address}");
        let client = TestClient::new(net, dial_url(net, &url, LONG), ClientConfig::default());
        let error = add(&client).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
        let StreamError::Lost(LostReason::Connect(error)) = error else { panic!("{error}") };
        assert_eq!(error.kind, ConnectErrorKind::Address);
    }
}

/// Reads until the server has said that it goes away.
async fn until_told_to_go(peer: &mut RawPeer) {
    loop {
        let packet = peer.receive().await.expect("a connection");
        let mut frames = frames(&packet).map(|frame| frame.expect("a valid frame"));
        let shutdown = |frame| matches!(frame, Frame::GoAway { code: AwayCode::Shutdown, .. });
        if frames.any(shutdown) {
            return;
        }
    }
}

/// E17, R-AWAY-1, R-OPEN-7
async fn e17_running_calls_finish_while_the_server_shuts_down(net: Net) {
    let watch = Watch::default();
    let server = server_with(|example| example.stream("watched", watched_echo(&watch)));
    let mut rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.client();
    let (input, mut replies) = open_call(&client, "Example.watched").await;
    let mut peer = rig.raw().await;
    peer.say_hello().await;

    let server = rig.server.clone();
    let shutdown = tokio::spawn(async move { server.shutdown(LONG).await });
    until_told_to_go(&mut peer).await;
    // A new call is refused, to be tried elsewhere.
    peer.send(&[wirestream_tests::open(1, "Example.watched")]).await;
    let packet = peer.receive().await.expect("an answer");
    let answer = frames(&packet).next().expect("a frame").expect("a valid frame");
    let Frame::Reject { call: 1, rejection } = answer else { panic!("{answer:?}") };
    assert_eq!(rejection.code, RejectCode::Unavailable);
    drop(peer);
    // The client's own connection hears of it at a time of its own.
    let refused = loop {
        match add(&client).await {
            Ok(sum) => assert_eq!(sum, 5),
            Err(refused) => break refused,
        }
    };
    assert!(refused.is_retryable());
    let StreamError::Rejected(rejection) = refused else { panic!("{refused}") };
    assert_eq!(rejection.code, RejectCode::Unavailable);

    for number in 0..100 {
        input.send(number).await.unwrap();
        assert_eq!(replies.next().await, Some(Ok(number)));
    }
    assert!(!shutdown.is_finished(), "a call is running");
    input.finish();
    assert_eq!(replies.next().await, None);
    soon("the shutdown", shutdown).await.unwrap();
    watch.until_over(1).await;
    assert_eq!(rig.server.connections(), 0);
    rig.stop().await;
}

/// E17, R-AWAY-4
async fn e17_running_calls_are_ended_at_the_deadline_of_a_shutdown(net: Net) {
    let watch = Watch::default();
    let server = server_with(|example| example.stream("watched", watched_echo(&watch)));
    let mut rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.client();
    let (input, mut replies) = open_call(&client, "Example.watched").await;
    let (drain, begun) = (Duration::from_millis(60), Instant::now());
    soon("the shutdown", rig.server.shutdown(drain)).await;
    assert!(begun.elapsed() >= drain);
    let expired = CloseReason::DrainExpired;
    assert_eq!(soon("the end", replies.next()).await, lost(expired.clone()));
    assert_eq!(input.send(2).await, Err(SendError::Lost(LostReason::Closed(expired))));
    watch.until_over(1).await;
    assert_eq!(rig.server.connections(), 0);
    rig.stop().await;
}

/// E18, R-AWAY-4
async fn e18_a_shutdown_does_not_wait_for_inputs_that_nobody_reads(net: Net) {
    let watch = Watch::default();
    let calls = watch.clone();
    let hold = move |session: Session, (reads,): (u8,), (mut input,): (Receiver<Vec<u8>>,)| {
        let raised = calls.enter(&session);
        async move {
            let _raised = raised;
            for _ in 0..reads {
                input.next().await.expect("a message").expect("a message");
            }
            std::future::pending::<Result<(), NoError>>().await
        }
    };
    let mut rig = Rig::start(net, server_with(|e| e.unary("hold", hold)).build().unwrap()).await;
    let client = rig.client();
    let window = rig.server.limits().half_window as usize;
    let calls: Vec<_> = [0u8, 3]
        .into_iter()
        .map(|reads| {
            let (input, messages) = channel::<Vec<u8>>();
            let call = client.call("Example.hold").arguments(&(reads,)).parameter(messages);
            let sent = Arc::new(AtomicUsize::new(0));
            let feeding = tokio::spawn({
                let sent = Arc::clone(&sent);
                async move {
                    loop {
                        if let Err(error) = input.send(vec![7; 1_000]).await {
                            return error;
                        }
                        sent.fetch_add(1_000, Ordering::Relaxed);
                    }
                }
            });
            (call.unary::<()>(), feeding, sent)
        })
        .collect();
    for (_, _, sent) in &calls {
        until("the inputs to be full", || sent.load(Ordering::Relaxed) >= window - 1_000).await;
    }
    soon("the shutdown", rig.server.shutdown(Duration::from_millis(30))).await;
    watch.until_over(2).await;
    for (call, feeding, _) in calls {
        let expired = LostReason::Closed(CloseReason::DrainExpired);
        assert_eq!(soon("the end", call).await, Err(StreamError::Lost(expired.clone())));
        let stopped = soon("the end of the input", feeding).await.unwrap();
        assert_eq!(stopped, SendError::Lost(expired));
    }
    assert_eq!(rig.server.connections(), 0);
    rig.stop().await;
}

/// E19, R-OPEN-7
async fn e19_a_call_that_races_with_a_shutdown_is_done_or_refused(net: Net) {
    let (mut done, mut refused) = (0, 0);
    for round in 1..=20usize {
        let mut rig = Rig::start(net, server()).await;
        let client = Arc::new(rig.client());
        let (begin, begun) = oneshot::channel();
        let calling = tokio::spawn({
            let client = Arc::clone(&client);
            async move {
                let (mut begin, mut outcomes) = (Some(begin), Vec::new());
                // Until the first refusal, and well into the time after it.
                while outcomes.iter().filter(|outcome| **outcome != Ok(5)).count() < 5 {
                    outcomes.extend(join_all((0..3).map(|_| add(&client))).await);
                    if outcomes.len() > round {
                        begin.take().map(|begin| begin.send(()));
                    }
                }
                outcomes
            }
        });
        soon("the calls", begun).await.unwrap();
        // Nothing is half-open: the shutdown needs no deadline.
        soon("the shutdown", rig.server.shutdown(LONG * 2)).await;
        for outcome in soon("the end of the calls", calling).await.unwrap() {
            match outcome {
                Ok(sum) => {
                    assert_eq!(sum, 5);
                    done += 1;
                }
                Err(StreamError::Rejected(rejection)) => {
                    assert_eq!(rejection.code, RejectCode::Unavailable);
                    refused += 1;
                }
                Err(other) => panic!("neither done nor refused: {other}"),
            }
        }
        rig.stop().await;
    }
    assert!(done >= 20 && refused >= 100, "{done} done, {refused} refused");
}

/// E19, R-OPEN-7: even if its first packet is there before anybody looks.
async fn e19_a_connection_that_comes_during_a_shutdown_takes_no_call(net: Net) {
    let watch = Watch::default();
    let server = server_with(|example| example.stream("watched", watched_echo(&watch)));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let mut running = rig.raw().await;
    let hello = running.say_hello().await;
    let server = rig.server.clone();
    let shutdown = tokio::spawn(async move { server.shutdown(LONG).await });
    until_told_to_go(&mut running).await;

    let first_packet = [hello, wirestream_tests::open(1, "Example.watched")];
    let mut late = match net {
        Net::Memory => {
            let (here, there) = MemoryTransport::pair();
            let mut late = RawPeer::over(here);
            late.send(&first_packet).await;
            let served = rig.server.serve_connection(runtime(net), Box::new(there), None);
            tokio::spawn(served);
            late
        }
        Net::Tokio | Net::Smol => {
            let mut late = rig.raw().await;
            late.send(&first_packet).await;
            late
        }
    };
    let mut told_to_go = false;
    'answer: loop {
        let packet = late.receive().await.expect("an answer");
        for frame in frames(&packet) {
            match frame.expect("a valid frame") {
                Frame::Reject { call: 1, rejection } => {
                    assert_eq!(rejection.code, RejectCode::Unavailable);
                    break 'answer;
                }
                Frame::GoAway { code: AwayCode::Shutdown, .. } => told_to_go = true,
                frame => assert!(matches!(frame, Frame::Hello(_)), "{frame:?}"),
            }
        }
    }
    assert!(told_to_go);
    assert!(!shutdown.is_finished(), "two connections are there");
    drop((running, late));
    soon("the shutdown", shutdown).await.unwrap();
    assert_eq!(watch.begun(), 0);
}
