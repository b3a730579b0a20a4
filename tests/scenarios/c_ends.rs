//! Group C: how calls and their streams end.

use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::{join, join_all};
use futures_util::stream::FusedStream;
use futures_util::{FutureExt, SinkExt, Stream, StreamExt, stream};
use tokio::sync::{Notify, mpsc};
use wirestream::{
    Client, CloseReason, IncomingCall, Limits, LostReason, NoError, Receiver, RejectCode,
    SendError, Sender, Server, Session, Status, StreamError, channel, channel_with_error,
};
use wirestream_tests::{LONG, Net, Rig, TestClient, scenarios, soon, until};

use crate::methods::{Problem, Watch, drain, feed, server, server_with};

scenarios! {
    c1_an_ignored_input_is_stopped_and_the_reply_lives_on,
    c1_an_input_is_stopped_when_its_method_returns,
    c1_whatever_ends_a_call_wakes_all_who_wait_on_its_streams,
    c2_a_dropped_reply_drops_its_endless_handler_and_closes_the_session,
    c2_a_slot_is_taken_until_its_handler_was_dropped,
    c3_a_dropped_reply_drops_a_handler_within_a_slow_step,
    c4_a_call_dropped_before_its_answer_leaves_nothing_behind,
    c4_a_call_dropped_while_it_is_opened_leaves_nothing_behind,
    c5_a_finished_input_ends_and_the_reply_lives_on,
    c6_an_unfinished_input_ends_cancelled,
    c7_a_reply_that_has_ended_is_read_to_its_end,
    c7_an_input_that_has_ended_is_read_to_its_end,
    c8_a_cancelled_call_with_an_unread_input_gives_everything_back,
    c9_what_comes_after_the_end_is_harmless,
    c9_ends_that_cross_are_harmless,
    c10_ten_calls_of_a_thousand_messages_all_finish,
    c11_ten_listeners_pause_and_resume,
    c12_calls_opened_at_once_are_read_one_after_another,
    c13_the_last_messages_before_the_end_are_never_lost,
    c13_a_sink_sends_all_that_it_took_before_it_closes,
    c13_a_sink_that_is_not_ready_refuses_a_message_and_loses_none,
    c14_a_value_and_its_end_come_together_and_once,
}

/// A client that does not close its connection while a test has a pause between calls.
fn lasting(rig: &Rig) -> TestClient {
    rig.client_with(Limits::default())
}

/// The connection is well: it takes calls, and is the first that was made.
async fn check_unharmed(client: &TestClient) {
    let sum = client.call("Example.add").arguments(&(2_i64, 3_i64)).unary::<i64>();
    assert_eq!(sum.await, Ok(5));
    assert_eq!(client.line.dials(), 1);
}

/// C1: the stream is stopped when the method drops it (R-HALF-3), and that stream alone (R-HALF-5).
async fn c1_an_ignored_input_is_stopped_and_the_reply_lives_on(net: Net) {
    let watch = Watch::default();
    let ignore = {
        let watch = watch.clone();
        move |session: Session, (): (), (ignored, used): (Receiver<String>, Receiver<String>)| {
            drop(ignored);
            watch.stream(&session, used.map(|item| item.map_err(|e| Problem(e.to_string()))))
        }
    };
    let server = server_with(|example| example.stream("ignore", ignore)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    let (ignored, first) = channel::<String>();
    let (used, second) = channel::<String>();
    let call = client.call("Example.ignore").parameter(first).parameter(second);
    let mut reply = call.stream_with_error::<String, Problem>();
    // One that sends all the time learns it as well as one that just waits.
    while ignored.send("anything".into()).await.is_ok() {}
    soon("the stop", ignored.closed()).await;
    assert_eq!(ignored.send("more".into()).await, Err(SendError::Stopped));
    for n in 0..100 {
        used.send(n.to_string()).await.unwrap();
        assert_eq!(reply.next().await, Some(Ok(n.to_string())));
    }
    used.finish();
    assert_eq!(reply.next().await, None);
    watch.until_over(1).await;
    check_unharmed(&client).await;
}

/// C1: when the call is over, so are all its parameter streams (R-CALL-4).
async fn c1_an_input_is_stopped_when_its_method_returns(net: Net) {
    let (watch, gate) = (Watch::default(), Arc::new(Notify::new()));
    let hold = {
        let (watch, gate) = (watch.clone(), Arc::clone(&gate));
        move |session: Session, (): (), held: (Receiver<u8>, Receiver<u8>)| {
            let (watch, gate) = (watch.clone(), Arc::clone(&gate));
            async move {
                let _running = watch.enter(&session);
                gate.notified().await;
                drop(held);
                Ok::<_, NoError>(7)
            }
        }
    };
    let server = server_with(|example| example.unary("hold", hold)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    let (first, one) = channel::<u8>();
    let (second, other) = channel::<u8>();
    let reply = client.call("Example.hold").parameter(one).parameter(other).unary::<i32>();
    first.send(1).await.unwrap();
    watch.until_begun(1).await;
    assert_eq!(first.closed().now_or_never(), None, "the call goes on");
    gate.notify_one();
    // Nobody looks at the reply yet.
    soon("the stop of both", join(first.closed(), second.closed())).await;
    assert_eq!(first.send(2).await, Err(SendError::Stopped));
    assert_eq!(reply.await, Ok(7));
    watch.until_over(1).await;
    check_unharmed(&client).await;
}

/// A future that was polled and waits; its task counts how often it is woken.
struct Waiting<F> {
    future: Pin<Box<F>>,
    task: Arc<Counting>,
}

#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<F: Future> Waiting<F> {
    fn new(future: F) -> Self {
        let mut waiting = Self { future: Box::pin(future), task: Arc::default() };
        assert!(waiting.poll().is_pending());
        waiting
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Arc::clone(&self.task).into();
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// What it resolves to, once it was woken.
    async fn woken(mut self, what: &str) -> F::Output {
        until(what, || self.task.0.load(Ordering::SeqCst) > 0).await;
        let Poll::Ready(output) = self.poll() else { panic!("{what} in vain") };
        output
    }
}

/// C1, C2, E7: the end of a call alone, which no half is told of by a frame of its own (R-CALL-4,
/// R-CALL-5, R-CALL-7).
async fn c1_whatever_ends_a_call_wakes_all_who_wait_on_its_streams(net: Net) {
    type Handles = (Receiver<Vec<u8>>, Receiver<Vec<u8>>, Sender<u64>);
    let (hand_out, mut handles) = mpsc::unbounded_channel::<Handles>();
    let method = move |call: IncomingCall| {
        let hand_out = hand_out.clone();
        async move {
            let mut call = call.accept().expect("a caller");
            let (full, empty) = (call.parameter().unwrap(), call.parameter().unwrap());
            let _ = hand_out.send((full, empty, call.reply().unwrap()));
            pending::<()>().await;
        }
    };
    let server = server_with(|example| example.method("hand_out", method)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    let lost = LostReason::Closed(CloseReason::Eof);
    for end in ["the method returns", "the caller gives up", "the connection is cut"] {
        let (full, first) = channel::<Vec<u8>>();
        let (empty, second) = channel::<Vec<u8>>();
        let call = client.call("Example.hand_out").parameter(first).parameter(second);
        let reply = call.stream::<u64>();
        let (_unread, mut listened, replier) = soon("the call", handles.recv()).await.unwrap();
        // Sixteen of these take exactly a window: 16 KiB each, two bytes of it for the length.
        let message = vec![7; (Limits::default().half_window / 16 - 2) as usize];
        for _ in 0..16 {
            soon("the window", full.send(message.clone())).await.unwrap();
        }
        let sending = Waiting::new(full.send(message));
        let closing = Waiting::new(empty.closed());
        let listening = Waiting::new(listened.next());
        let (sent, heard) = match end {
            "the method returns" => {
                replier.finish();
                (SendError::Stopped, StreamError::Cancelled)
            }
            "the caller gives up" => {
                let closing = Waiting::new(replier.closed());
                drop(reply);
                closing.woken("the callee wakes").await;
                (SendError::Stopped, StreamError::Cancelled)
            }
            _ => {
                let closing = Waiting::new(replier.closed());
                client.line.cut();
                closing.woken("the callee wakes").await;
                (SendError::Lost(lost.clone()), StreamError::Lost(lost.clone()))
            }
        };
        assert_eq!(sending.woken("the blocked sender wakes").await, Err(sent), "{end}");
        closing.woken("the idle sender wakes").await;
        assert_eq!(listening.woken("the receiver wakes").await, Some(Err(heard)), "{end}");
    }
}

/// C2: Drop code first, close hooks after it (R-CALL-5, R-CALL-6).
async fn c2_a_dropped_reply_drops_its_endless_handler_and_closes_the_session(net: Net) {
    struct Finally(Arc<Mutex<Vec<&'static str>>>);
    impl Drop for Finally {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("finally");
        }
    }
    let (watch, log) = (Watch::default(), Arc::<Mutex<Vec<_>>>::default());
    let endless = {
        let (watch, log) = (watch.clone(), Arc::clone(&log));
        move |session: Session, (busy,): (bool,), (): ()| {
            let (finally, hook_log) = (Finally(Arc::clone(&log)), Arc::clone(&log));
            session.on_close(async move || hook_log.lock().unwrap().push("closed")).unwrap();
            let ticks = stream::iter((0_u64..).map(Ok::<_, NoError>));
            let ticks = match busy {
                true => ticks.left_stream(),
                false => ticks.take(3).chain(stream::pending()).right_stream(),
            };
            watch.stream(&session, ticks).inspect(move |_| {
                let _ = &finally;
            })
        }
    };
    let server = server_with(|example| example.stream("endless", endless)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    for (before, busy) in [true, false].into_iter().enumerate() {
        let mut reply = client.call("Example.endless").arguments(&(busy,)).stream::<u64>();
        for n in 0..3 {
            assert_eq!(reply.next().await, Some(Ok(n)));
        }
        assert_eq!((watch.running(), log.lock().unwrap().len()), (1, 0));
        drop(reply);
        watch.until_over(before + 1).await;
        until("the close hook", || log.lock().unwrap().len() == 2).await;
        assert_eq!(std::mem::take(&mut *log.lock().unwrap()), ["finally", "closed"]);
    }
    check_unharmed(&client).await;
}

/// Counts in when it is dropped, and is not done with that before it is told.
struct SlowToDrop {
    begun: Arc<AtomicUsize>,
    go_on: std::sync::mpsc::Receiver<()>,
}

impl Drop for SlowToDrop {
    fn drop(&mut self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        // What else this thread was to run, tokio gives to another: it may be the connection.
        let _ = tokio::task::block_in_place(|| self.go_on.recv_timeout(LONG));
    }
}

/// C2, R-CALL-6
async fn c2_a_slot_is_taken_until_its_handler_was_dropped(net: Net) {
    let begun = Arc::<AtomicUsize>::default();
    let (let_go, go_on) = std::sync::mpsc::channel();
    let slow = Mutex::new(Some(SlowToDrop { begun: Arc::clone(&begun), go_on }));
    let hold = move |_: Session, (): (), (): ()| {
        let held = slow.lock().unwrap().take();
        stream::iter([Ok::<_, NoError>(1u8)]).chain(stream::pending()).inspect(move |_| {
            let _ = &held;
        })
    };
    let server = server_with(|example| example.stream("hold", hold));
    let limits = Limits { calls: 1, ..Limits::default() };
    let rig = Rig::start(net, server.limits(limits).build().unwrap()).await;
    let client = lasting(&rig);
    let mut reply = client.call("Example.hold").stream::<u8>();
    assert_eq!(soon("the call", reply.next()).await, Some(Ok(1)));
    drop(reply);
    until("the handler is being dropped", || begun.load(Ordering::SeqCst) == 1).await;
    let sum = || client.call("Example.add").arguments(&(2_i64, 3_i64)).unary::<i64>();
    for _ in 0..10 {
        let StreamError::Rejected(refused) = sum().await.unwrap_err() else {
            panic!("not refused")
        };
        assert_eq!(refused.code, RejectCode::Busy);
    }
    let_go.send(()).unwrap();
    while let Err(error) = sum().await {
        assert!(matches!(error, StreamError::Rejected(_)), "{error}");
        tokio::task::yield_now().await;
    }
    assert_eq!(client.line.dials(), 1);
}

/// C3
async fn c3_a_dropped_reply_drops_a_handler_within_a_slow_step(net: Net) {
    let watch = Watch::default();
    let value = {
        let watch = watch.clone();
        move |session: Session, (): (), (): ()| {
            let running = watch.enter(&session);
            async move {
                let _running = running;
                pending::<()>().await;
                Ok::<_, NoError>(0_u64)
            }
        }
    };
    let messages = {
        let watch = watch.clone();
        move |session: Session, (before,): (u64,), (): ()| {
            let slow = stream::once(pending::<u64>());
            watch.stream(&session, stream::iter(0..before).chain(slow).map(Ok::<_, NoError>))
        }
    };
    // Waits for a message that nobody sends.
    let input = {
        let watch = watch.clone();
        move |session: Session, (): (), (mut input,): (Receiver<u64>,)| {
            let running = watch.enter(&session);
            async move {
                let _running = running;
                Ok::<_, NoError>(input.next().await.is_some())
            }
        }
    };
    let server = server_with(|example| {
        example.unary("value", value).stream("messages", messages).unary("input", input)
    });
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = lasting(&rig);

    let reply = client.call("Example.value").unary::<u64>();
    watch.until_begun(1).await;
    drop(reply);
    watch.until_over(1).await;

    for (calls, before) in [(2, 0), (3, 2)] {
        let mut reply = client.call("Example.messages").arguments(&(before,)).stream::<u64>();
        for n in 0..before {
            assert_eq!(reply.next().await, Some(Ok(n)));
        }
        watch.until_begun(calls).await;
        drop(reply);
        watch.until_over(calls).await;
    }

    let (sender, parameter) = channel::<u64>();
    let reply = client.call("Example.input").parameter(parameter).unary::<bool>();
    watch.until_begun(4).await;
    drop(reply);
    watch.until_over(4).await;
    assert_eq!(sender.send(1).await, Err(SendError::Stopped));
    check_unharmed(&client).await;
}

/// C4: given up before the connection is there, before the request has left, and before the answer
/// (R-CALL-5).
async fn c4_a_call_dropped_before_its_answer_leaves_nothing_behind(net: Net) {
    let (watch, undecided) = (Watch::default(), Watch::default());
    let endless = {
        let watch = watch.clone();
        move |session: Session, (): (), (): ()| {
            watch.stream(&session, stream::pending::<Result<u64, NoError>>())
        }
    };
    let undecide = {
        let undecided = undecided.clone();
        move |call: IncomingCall| {
            let running = undecided.enter(call.session());
            async move {
                let _running = running;
                let _call = call; // neither accepted nor refused
                pending::<()>().await;
            }
        }
    };
    let server =
        server_with(|example| example.stream("endless", endless).method("undecided", undecide));
    // One slot: whatever keeps it would be seen.
    let limits = Limits { calls: 1, ..Limits::default() };
    let rig = Rig::start(net, server.limits(limits).build().unwrap()).await;
    let client = rig.client();

    let (sender, parameter) = channel::<u64>();
    let reply = client.call("Example.endless").parameter(parameter).stream::<u64>();
    drop(reply);
    soon("the stop of its input", sender.closed()).await;
    until_free(&client).await;
    for _ in 0..50 {
        drop(client.call("Example.endless").stream::<u64>());
    }
    until_free(&client).await;
    let begun = watch.begun();
    watch.until_over(begun).await;

    let (sender, parameter) = channel::<u64>();
    let reply = client.call("Example.undecided").parameter(parameter).stream::<u64>();
    undecided.until_begun(1).await;
    sender.send(1).await.unwrap();
    drop(reply);
    undecided.until_over(1).await;
    assert_eq!(sender.send(2).await, Err(SendError::Stopped));
    until_free(&client).await;

    let idle = Status::Disconnected(Some(LostReason::Closed(CloseReason::Idle)));
    until("the close for idleness", || client.status() == idle).await;

    // Nothing but a call that was given up at once: that connection goes idle too.
    let other = rig.client();
    let mut changes = other.status_changes();
    drop(other.call("Example.endless").stream::<u64>());
    for status in [Status::Disconnected(None), Status::Connecting, Status::Connected, idle] {
        assert_eq!(soon("a change of status", changes.next()).await, Some(status));
    }
    until("the end of the connections", || rig.server.connections() == 0).await;
}

/// C4: the input's waker drops the reply, which is where the call is half open.
async fn c4_a_call_dropped_while_it_is_opened_leaves_nothing_behind(net: Net) {
    struct DropOnWake(Mutex<Option<Receiver<String>>>);
    impl Wake for DropOnWake {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }
    let rig = Rig::start(net, server()).await;
    let client = rig.client();
    let mut changes = client.status_changes();
    let (sender, parameter) = channel::<String>();
    let on_wake = Arc::new(DropOnWake(Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&on_wake));
    let mut closed = pin!(sender.closed());
    let polled = closed.as_mut().poll(&mut Context::from_waker(&waker));
    assert_eq!(polled, Poll::Pending);
    {
        // Whoever opens the call waits for this lock before it wakes the sender.
        let mut reply = on_wake.0.lock().unwrap();
        *reply = Some(client.call("Example.echo").parameter(parameter).stream());
    }
    soon("the stop of the input", sender.closed()).await;
    let idle = Status::Disconnected(Some(LostReason::Closed(CloseReason::Idle)));
    for status in [Status::Disconnected(None), Status::Connecting, Status::Connected, idle] {
        assert_eq!(soon("a change of status", changes.next()).await, Some(status));
    }
    until("the end of the connection", || rig.server.connections() == 0).await;
}

/// Waits until a server of one slot takes a call: it is free once the handler before was dropped.
async fn until_free(client: &Client) {
    soon("the freeing of the slot", async {
        loop {
            match client.call("Example.add").arguments(&(1_i64, 1_i64)).unary::<i64>().await {
                Ok(sum) => return assert_eq!(sum, 2),
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    })
    .await;
}

/// A server whose method `relay` passes on what comes on its first input, and how that ended, then
/// the same of the second.
fn relaying(watch: &Watch) -> Server {
    let watch = watch.clone();
    let told = |item: Result<String, StreamError>| item.unwrap_or_else(|e| format!("{e:?}"));
    let relay = move |session: Session, (): (), inputs: (Receiver<String>, Receiver<String>)| {
        let end = stream::iter(["end".to_owned()]);
        let all = inputs.0.map(told).chain(end).chain(inputs.1.map(told));
        watch.stream(&session, all.map(Ok::<_, NoError>))
    };
    server_with(|example| example.stream("relay", relay)).build().unwrap()
}

/// C5
async fn c5_a_finished_input_ends_and_the_reply_lives_on(net: Net) {
    let watch = Watch::default();
    let rig = Rig::start(net, relaying(&watch)).await;
    let client = lasting(&rig);
    let (first, one) = channel::<String>();
    let (second, other) = channel::<String>();
    let call = client.call("Example.relay").parameter(one).parameter(other);
    let mut reply = call.stream::<String>();
    first.send("a".into()).await.unwrap();
    first.send("b".into()).await.unwrap();
    first.finish();
    for expected in ["a", "b", "end"] {
        assert_eq!(reply.next().await, Some(Ok(expected.into())));
    }
    for n in 0..100 {
        second.send(n.to_string()).await.unwrap();
        assert_eq!(reply.next().await, Some(Ok(n.to_string())));
    }
    assert_eq!(watch.running(), 1);
    second.finish();
    assert_eq!(reply.next().await, None);
    watch.until_over(1).await;
    check_unharmed(&client).await;
}

/// C6: what was sent comes first, and the other input and the reply live on.
async fn c6_an_unfinished_input_ends_cancelled(net: Net) {
    let watch = Watch::default();
    let rig = Rig::start(net, relaying(&watch)).await;
    let client = lasting(&rig);
    for (before, count) in [0, 1, 100].into_iter().enumerate() {
        let (first, one) = channel::<String>();
        let (second, other) = channel::<String>();
        let call = client.call("Example.relay").parameter(one).parameter(other);
        let mut reply = call.stream::<String>();
        for n in 0..count {
            first.send(n.to_string()).await.unwrap();
        }
        drop(first);
        let expected = (0..count).map(|n| n.to_string());
        for expected in expected.chain(["Cancelled".into(), "end".into()]) {
            assert_eq!(reply.next().await, Some(Ok(expected)));
        }
        second.send("on".into()).await.unwrap();
        assert_eq!(reply.next().await, Some(Ok("on".into())));
        second.finish();
        assert_eq!(reply.next().await, None);
        watch.until_over(before + 1).await;
    }
    // Dropped before there was a call, and both of them.
    let (first, one) = channel::<String>();
    let (second, other) = channel::<String>();
    drop((first, second));
    let call = client.call("Example.relay").parameter(one).parameter(other);
    let all = drain(&mut call.stream::<String>()).await;
    assert_eq!(all, (["Cancelled", "end", "Cancelled"].map(String::from).to_vec(), None));
    watch.until_over(4).await;
    check_unharmed(&client).await;
}

/// C7
async fn c7_a_reply_that_has_ended_is_read_to_its_end(net: Net) {
    let watch = Watch::default();
    let count = {
        let watch = watch.clone();
        move |session: Session, (n, fails): (u64, bool), (): ()| {
            let end = stream::iter(fails.then(|| Err(Problem::new("the end"))));
            watch.stream(&session, stream::iter((0..n).map(Ok)).chain(end))
        }
    };
    let server = server_with(|example| example.stream("watched", count)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    let calls = [(0, false), (1, true), (1_000, false), (1_000, true)];
    let mut replies = calls.map(|call| {
        client.call("Example.watched").arguments(&call).stream_with_error::<u64, Problem>()
    });
    watch.until_over(calls.len()).await;
    for ((n, fails), reply) in calls.into_iter().zip(&mut replies) {
        let end = fails.then(|| StreamError::App(Problem::new("the end")));
        assert_eq!(drain(reply).await, ((0..n).collect(), end));
        assert_eq!(reply.next().await, None, "what has ended stays so");
    }
    check_unharmed(&client).await;
}

/// C7
async fn c7_an_input_that_has_ended_is_read_to_its_end(net: Net) {
    let watch = Watch::default();
    let late = {
        let watch = watch.clone();
        move |session: Session, (): (), (mut input, mut go): (Receiver<u64>, Receiver<()>)| {
            let watch = watch.clone();
            async move {
                let _running = watch.enter(&session);
                go.next().await;
                let (all, end) = drain(&mut input).await;
                assert!(input.next().await.is_none());
                Ok::<_, NoError>((all, end == Some(StreamError::Cancelled), end.is_none()))
            }
        }
    };
    let server = server_with(|example| example.unary("late", late)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    for (before, finishes) in [true, false].into_iter().enumerate() {
        let (input, one) = channel::<u64>();
        let (go, other) = channel::<()>();
        let call = client.call("Example.late").parameter(one).parameter(other);
        let reply = call.unary::<(Vec<u64>, bool, bool)>();
        for n in 0..1_000 {
            input.send(n).await.unwrap();
        }
        match finishes {
            true => input.finish(),
            false => drop(input),
        }
        watch.until_begun(before + 1).await;
        go.send(()).await.unwrap();
        assert_eq!(reply.await, Ok(((0..1_000).collect(), !finishes, finishes)));
    }
    watch.until_over(2).await;
    check_unharmed(&client).await;
}

/// C8: also the credit that the unread messages hold (R-CREDIT-5).
async fn c8_a_cancelled_call_with_an_unread_input_gives_everything_back(net: Net) {
    let watch = Watch::default();
    let hoard = {
        let watch = watch.clone();
        move |session: Session, (): (), (unread,): (Receiver<String>,)| {
            let running = watch.enter(&session);
            async move {
                let _held = (running, unread);
                pending::<()>().await;
                Ok::<_, NoError>(())
            }
        }
    };
    let server = server_with(|example| example.unary("hoard", hoard)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    let (input, parameter) = channel::<String>();
    let mut sibling = client.call("Example.echo").parameter(parameter).stream::<String>();
    let limits = Limits::default();
    // Sixteen of these take exactly a window: 16 KiB each, two bytes of it for the length.
    let message = "x".repeat((limits.half_window / 16 - 2) as usize);
    // More than the connection's window in all, should a call keep what it held.
    let rounds = 3 * (limits.connection_window / limits.half_window) as usize;
    for round in 0..rounds {
        let (sender, parameter) = channel::<String>();
        let reply = client.call("Example.hoard").parameter(parameter).unary::<()>();
        for _ in 0..16 {
            soon("the window", sender.send(message.clone())).await.unwrap();
        }
        let blocked = sender.send(message.clone());
        tokio::pin!(blocked);
        assert_eq!((&mut blocked).now_or_never(), None, "the window is full");
        watch.until_begun(round + 1).await;
        drop(reply);
        assert_eq!(soon("the stop", blocked).await, Err(SendError::Stopped));
        watch.until_over(round + 1).await;
    }
    feed(input, (0..16).map(|_| message.clone())).await;
    let (echoed, end) = drain(&mut sibling).await;
    assert!(end.is_none() && echoed.len() == 16 && echoed.iter().all(|it| *it == message));
    check_unharmed(&client).await;
}

/// C9: on the handles of a stream that is stopped, finished or over.
async fn c9_what_comes_after_the_end_is_harmless(net: Net) {
    let watch = Watch::default();
    let rig = Rig::start(net, taking(&watch)).await;
    let client = lasting(&rig);
    let call = |take: u64, parameter| {
        let call = client.call("Example.take").arguments(&(take,)).parameter(parameter);
        call.unary::<u64>()
    };
    // Sent on, finished, failed and dropped after it was stopped, while the call lives and later.
    type End = fn(Sender<u64, Problem>);
    let ends: [End; 4] =
        [Sender::finish, |sender| sender.fail(Problem::new("late")), Sender::fail_untyped, drop];
    for end in ends {
        let (sender, parameter) = channel_with_error::<u64, Problem>();
        let reply = call(1, parameter);
        sender.send(1).await.unwrap();
        soon("the stop", sender.closed()).await;
        for _ in 0..3 {
            assert_eq!(sender.send(2).await, Err(SendError::Stopped));
            assert!(sender.try_send(2).is_err());
        }
        end(sender);
        assert_eq!(reply.await, Ok(1));
    }
    // Closed twice, and sent on after that: a sink is what lets one try.
    let (sender, parameter) = channel_with_error::<u64, Problem>();
    let reply = call(10, parameter);
    let mut sink = sender.into_sink();
    sink.send(1).await.unwrap();
    sink.close().await.unwrap();
    sink.close().await.unwrap();
    assert_eq!(sink.send(2).await, Err(SendError::Stopped));
    assert_eq!(reply.await, Ok(1));
    // Read after its end, and dropped after it.
    let mut counted = client.call("Example.count").arguments(&(1_u64,)).stream::<u64>();
    assert_eq!(drain(&mut counted).await, (vec![0], None));
    for _ in 0..3 {
        assert!(counted.is_terminated() && counted.next().await.is_none());
    }
    drop(counted);
    watch.until_over(ends.len() + 1).await;
    check_unharmed(&client).await;
}

/// A server whose method `take` takes so many messages, fewer if there are no more, and tells how
/// many they were.
fn taking(watch: &Watch) -> Server {
    let watch = watch.clone();
    let take = move |session: Session, (limit,): (u64,), (input,): (Receiver<u64, Problem>,)| {
        let running = watch.enter(&session);
        async move {
            let _running = running;
            let taken = input.take(limit as usize).filter(|item| ready(item.is_ok()));
            Ok::<_, NoError>(taken.count().await as u64)
        }
    };
    server_with(|example| example.unary("take", take)).build().unwrap()
}

/// A source of numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `limit`.
    fn roll(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// Lets others run, for a while or not at all.
    async fn dawdle(&mut self) {
        for _ in 0..self.roll(12) {
            tokio::task::yield_now().await;
        }
    }
}

/// C9: an end from one side meets one from the other on the way (R-CALL-2, R-HALF-3, R-HALF-4).
async fn c9_ends_that_cross_are_harmless(net: Net) {
    const RUNS: u64 = 400;
    let watch = Watch::default();
    let rig = Rig::start(net, taking(&watch)).await;
    let client = lasting(&rig);
    let (input, messages) = channel::<String>();
    let mut sibling = client.call("Example.echo").parameter(messages).stream::<String>();
    let run = async |seed: u64| {
        let mut dice = Dice::new(seed);
        let (sent, taken) = (dice.roll(8), dice.roll(8));
        let (sender, parameter) = channel_with_error::<u64, Problem>();
        let call = client.call("Example.take").arguments(&(taken,)).parameter(parameter);
        let mut reply = Some(call.unary::<u64>());
        dice.dawdle().await;
        for n in 0..sent {
            if sender.send(n).await.is_err() {
                break; // the method has enough
            }
        }
        dice.dawdle().await;
        if dice.roll(3) == 0 {
            reply = None; // both ends drop what they have, at about the same time
        }
        match dice.roll(3) {
            0 => sender.finish(),
            1 => sender.fail(Problem::new("the end")),
            _ => drop(sender),
        }
        if let Some(reply) = reply {
            assert_eq!(reply.await, Ok(sent.min(taken)), "seed {seed}");
        }
    };
    let runs = stream::iter(0..RUNS).map(run).buffer_unordered(20).count();
    assert_eq!(soon("the end of all", runs).await as u64, RUNS);
    // A call that was given up early may never have begun.
    let begun = watch.begun();
    assert!(begun > 0);
    until("the end of the handlers", || watch.running() == 0).await;
    input.send("on".into()).await.unwrap();
    assert_eq!(sibling.next().await, Some(Ok("on".into())));
    check_unharmed(&client).await;
}

/// C10
async fn c10_ten_calls_of_a_thousand_messages_all_finish(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = lasting(&rig);
    let calls = (0..10).map(|call| {
        let messages: Vec<_> = (0..1_000).map(|n| format!("{call}: {n}")).collect();
        let client = &client;
        async move {
            let input = stream::iter(messages.clone());
            let mut echoed = client.call("Example.echo").parameter(input).stream::<String>();
            assert_eq!(drain(&mut echoed).await, (messages, None));
        }
    });
    soon("the end of all", join_all(calls)).await;
    check_unharmed(&client).await;
}

/// Says `n` messages of about `size` bytes, each with its number.
fn say(_: Session, (n, size): (u64, u64), (): ()) -> impl Stream<Item = Result<String, NoError>> {
    stream::iter((0..n).map(move |n| Ok(said(n, size))))
}

fn said(n: u64, size: u64) -> String {
    format!("{n}:{}", "x".repeat(size as usize))
}

/// C11: what they leave unread meanwhile is more than the connection's window.
async fn c11_ten_listeners_pause_and_resume(net: Net) {
    let server = server_with(|example| example.stream("say", say)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    let (n, size) = (300, 1_000);
    let listeners = (0..10).map(|_| {
        let mut listener = client.call("Example.say").arguments(&(n, size)).stream::<String>();
        async move {
            let mut heard = Vec::new();
            while heard.len() < 5 {
                heard.push(listener.next().await.unwrap().unwrap());
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let (rest, end) = drain(&mut listener).await;
            heard.extend(rest);
            assert_eq!(end, None);
            assert_eq!(heard, (0..n).map(|n| said(n, size)).collect::<Vec<_>>());
        }
    });
    soon("the end of all", join_all(listeners)).await;
    check_unharmed(&client).await;
}

/// C12: what waits unread is within the connection's window, which all streams share (R-CREDIT-3).
async fn c12_calls_opened_at_once_are_read_one_after_another(net: Net) {
    let watch = Watch::default();
    let count = {
        let watch = watch.clone();
        move |session: Session, (n,): (u64,), (): ()| {
            watch.stream(&session, stream::iter((0..n).map(Ok::<_, NoError>)))
        }
    };
    let server = server_with(|example| example.stream("watched", count)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    let lengths = 5_000..5_010_u64; // charged 320 KB each
    let count = |n| client.call("Example.watched").arguments(&(n,)).stream::<u64>();
    let replies: Vec<_> = lengths.clone().map(count).collect();
    watch.until_begun(replies.len()).await;
    for (n, mut reply) in lengths.zip(replies) {
        assert_eq!(drain(&mut reply).await, ((0..n).collect(), None));
    }
    watch.until_over(10).await;
    check_unharmed(&client).await;
}

/// How a stream of a random length ends, and the messages before that.
#[derive(Clone)]
struct Script {
    sizes: Vec<u64>,
    end: u64,
}

impl Script {
    fn roll(dice: &mut Dice) -> Self {
        let sizes = (0..dice.roll(30)).map(|_| match dice.roll(20) {
            0 => dice.roll(200_000), // in chunks
            1..=4 => dice.roll(20_000),
            5..=9 => 0,
            _ => dice.roll(100),
        });
        Self { sizes: sizes.collect(), end: dice.roll(3) }
    }

    fn messages(&self) -> Vec<String> {
        (0..).zip(&self.sizes).map(|(n, &size)| said(n, size)).collect()
    }

    fn error(&self) -> Option<StreamError<Problem>> {
        match self.end {
            0 => None,
            1 => Some(StreamError::App(Problem::new("the end"))),
            _ => Some(StreamError::Cancelled),
        }
    }
}

/// C13: an end never overtakes a message (R-HALF-5), however the stream ends, and how far behind
/// its reader may be.
async fn c13_the_last_messages_before_the_end_are_never_lost(net: Net) {
    const RUNS: u64 = 120;
    let listen = |_: Session,
                  (sizes, end, seed): (Vec<u64>, u64, u64),
                  (mut input,): (Receiver<String, Problem>,)| async move {
        let mut dice = Dice::new(seed);
        dice.dawdle().await;
        let script = Script { sizes, end };
        let complete = drain(&mut input).await == (script.messages(), script.error());
        // The last message is on its way when the method has returned.
        if complete { Ok(said(seed, dice.roll(60_000))) } else { Err(Problem::new("lost")) }
    };
    let speak = |_: Session, (sizes, fails): (Vec<u64>, bool), (): ()| {
        let end = stream::iter(fails.then(|| Err(Problem::new("the end"))));
        let script = Script { sizes, end: 0 };
        stream::iter(script.messages().into_iter().map(Ok)).chain(end)
    };
    let server =
        server_with(|example| example.unary("listen", listen).stream("speak", speak)).build();
    let rig = Rig::start(net, server.unwrap()).await;
    let client = lasting(&rig);
    let run = async |seed: u64| {
        let mut dice = Dice::new(seed);
        let script = Script::roll(&mut dice);
        let (sender, parameter) = channel_with_error::<String, Problem>();
        let arguments = (&script.sizes, script.end, seed);
        let call = client.call("Example.listen").arguments(&arguments).parameter(parameter);
        let listened = call.unary_with_error::<String, Problem>();
        let speaking = async {
            for message in script.messages() {
                sender.send(message).await.unwrap();
            }
            match script.end {
                0 => sender.finish(),
                1 => sender.fail(Problem::new("the end")),
                _ => drop(sender),
            }
        };
        let (listened, ()) = join(listened, speaking).await;
        let prefix = format!("{seed}:");
        assert!(listened.is_ok_and(|last| last.starts_with(&prefix)), "seed {seed}");

        let script = Script { end: dice.roll(2), ..Script::roll(&mut dice) };
        let call = client.call("Example.speak").arguments(&(&script.sizes, script.end == 1));
        let mut spoken = call.stream_with_error::<String, Problem>();
        dice.dawdle().await;
        let complete = drain(&mut spoken).await == (script.messages(), script.error());
        assert!(complete, "seed {seed}");
    };
    let runs = stream::iter(0..RUNS).map(run).buffer_unordered(8).count();
    assert_eq!(soon("the end of all", runs).await as u64, RUNS);
    check_unharmed(&client).await;
}

/// A server whose method `late` takes its input once it is told to go on, and tells the sizes.
fn late(go: &Arc<Notify>) -> Server {
    let go = Arc::clone(go);
    let late = move |_: Session, (): (), (mut input,): (Receiver<Vec<u8>>,)| {
        let go = Arc::clone(&go);
        async move {
            go.notified().await;
            let (all, end) = drain(&mut input).await;
            Ok::<_, NoError>((all.iter().map(Vec::len).collect::<Vec<_>>(), end.is_none()))
        }
    };
    server_with(|example| example.unary("late", late)).build().unwrap()
}

/// C13: also what it took when there was no room any more.
async fn c13_a_sink_sends_all_that_it_took_before_it_closes(net: Net) {
    let go = Arc::new(Notify::new());
    let rig = Rig::start(net, late(&go)).await;
    let client = lasting(&rig);
    let (sender, parameter) = channel::<Vec<u8>>();
    let reply = client.call("Example.late").parameter(parameter).unary::<(Vec<usize>, bool)>();
    let mut sink = sender.into_sink();
    // Sixteen of these take exactly a window: 16 KiB each, two bytes of it for the length.
    let size = (rig.server.limits().half_window / 16 - 2) as usize;
    for _ in 0..16 {
        soon("the window", sink.send(vec![7; size])).await.unwrap();
    }
    sink.feed(vec![7; 1]).await.unwrap();
    let mut closing = pin!(sink.close());
    assert_eq!((&mut closing).now_or_never(), None, "there is no room for the last message");
    go.notify_one();
    soon("the close", closing).await.unwrap();
    let all = [vec![size; 16], vec![1]].concat();
    assert_eq!(soon("the reply", reply).await, Ok((all, true)));
    check_unharmed(&client).await;
}

/// C13
async fn c13_a_sink_that_is_not_ready_refuses_a_message_and_loses_none(net: Net) {
    let go = Arc::new(Notify::new());
    let rig = Rig::start(net, late(&go)).await;
    let client = lasting(&rig);
    let (sender, parameter) = channel::<Vec<u8>>();
    let reply = client.call("Example.late").parameter(parameter).unary::<(Vec<usize>, bool)>();
    let mut sink = sender.into_sink();
    assert_eq!(sink.start_send_unpin(vec![1; 1]), Ok(()));
    assert_eq!(sink.start_send_unpin(vec![2; 2]), Err(SendError::NotReady));
    sink.feed(vec![3; 3]).await.unwrap();
    assert_eq!(sink.start_send_unpin(vec![4; 4]), Err(SendError::NotReady));
    sink.close().await.unwrap();
    assert_eq!(sink.start_send_unpin(vec![5; 5]), Err(SendError::Stopped));
    go.notify_one();
    assert_eq!(soon("the reply", reply).await, Ok((vec![1, 3], true)));
    check_unharmed(&client).await;
}

/// C14: R-CALL-8
async fn c14_a_value_and_its_end_come_together_and_once(net: Net) {
    let runs = Arc::new(AtomicUsize::new(0));
    let next = {
        let runs = Arc::clone(&runs);
        move |_: Session, (): (), (): ()| {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, NoError>(run as u64) }
        }
    };
    let server = server_with(|example| example.unary("next", next)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = lasting(&rig);
    for n in 0..200 {
        // As a stream, to see the two apart.
        let mut reply = client.call("Example.next").stream::<u64>();
        assert_eq!(reply.next().await, Some(Ok(2 * n)));
        assert_eq!(reply.next().now_or_never(), Some(None), "the end came with the value");
        assert_eq!(reply.next().now_or_never(), Some(None), "and nothing comes after it");
        assert_eq!(client.call("Example.next").unary::<u64>().await, Ok(2 * n + 1));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 400);
    check_unharmed(&client).await;
}
