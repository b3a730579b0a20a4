//! Group F: the session of each call.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::mpsc;
use wirestream::{NoError, Receiver, Session, SessionClosed, Status, StreamError, channel};
use wirestream_tests::{Net, Rig, scenarios, soon, until};

use crate::methods::{Gauge, Problem, Raised, Watch, drain, server_with};

scenarios! {
    f1_a_close_hook_runs_when_the_call_is_over,
    f2_a_close_hook_runs_once,
    f3_a_hook_that_was_removed_does_not_run,
    f4_hooks_run_one_after_the_other_in_their_order,
    f5_a_failing_or_slow_hook_delays_no_other_call,
    f6_each_call_has_an_id_of_its_own,
    f7_a_session_knows_its_endpoint_and_method,
    f8_hooks_run_however_the_handler_ended,
    f9_an_object_is_kept_for_as_long_as_its_session,
    f10_closed_resolves_when_the_session_closes,
}

/// What hooks have done, in order.
#[derive(Clone)]
struct Log(mpsc::UnboundedSender<String>);

impl Log {
    fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (log, lines) = mpsc::unbounded_channel();
        (Self(log), lines)
    }

    fn line(&self, line: impl Into<String>) {
        // The test may have seen enough.
        let _ = self.0.send(line.into());
    }

    /// Adds a hook that writes a line.
    fn hook(&self, session: &Session, line: &'static str) -> wirestream::HookId {
        let log = self.clone();
        session.on_close(async move || log.line(line)).expect("an open session")
    }
}

async fn next(lines: &mut mpsc::UnboundedReceiver<String>) -> String {
    soon("a line in the log", lines.recv()).await.expect("a log")
}

/// F1
async fn f1_a_close_hook_runs_when_the_call_is_over(net: Net) {
    let (log, mut lines) = Log::new();
    let watch = Watch::default();
    let calls = watch.clone();
    let method = move |session: Session, (): (), (messages,): (Receiver<u8>,)| {
        log.hook(&session, "closed");
        calls.stream(&session, messages.map(|message| Ok::<_, NoError>(message.unwrap())))
    };
    let rig = Rig::start(net, server_with(|e| e.stream("method", method)).build().unwrap()).await;
    let client = rig.client();
    let (input, messages) = channel::<u8>();
    let mut replies = client.call("Example.method").parameter(messages).stream::<u8>();
    for number in 0..10 {
        input.send(number).await.unwrap();
        assert_eq!(replies.next().await, Some(Ok(number)));
    }
    assert!(lines.is_empty(), "the call is not over");
    input.finish();
    assert_eq!(replies.next().await, None);
    assert_eq!(next(&mut lines).await, "closed");
    assert_eq!(watch.running(), 0, "the handler was dropped before");
}

/// F2
async fn f2_a_close_hook_runs_once(net: Net) {
    let (log, mut lines) = Log::new();
    let watch = Watch::default();
    let calls = watch.clone();
    let method = move |session: Session, (): (), (messages,): (Receiver<u8>,)| {
        log.hook(&session, "closed");
        calls.stream(&session, messages.map(|_| Ok::<_, NoError>(())))
    };
    let mut rig =
        Rig::start(net, server_with(|e| e.stream("method", method)).build().unwrap()).await;
    let client = rig.client();
    // Everything that ends a call, all at the same time.
    for _ in 0..20 {
        let (input, messages) = channel::<u8>();
        let mut replies = client.call("Example.method").parameter(messages).stream::<()>();
        input.send(1).await.unwrap();
        assert_eq!(replies.next().await, Some(Ok(())));
        input.finish();
        drop(replies);
        client.line.cut();
        assert_eq!(next(&mut lines).await, "closed");
        until("the end of the connection", || client.status() != Status::Connected).await;
    }
    watch.until_over(20).await;
    // The log ends when the last hook has gone, and the server with its method.
    rig.stop().await;
    drop((rig, client));
    assert_eq!(soon("the end of the log", lines.recv()).await, None, "a hook ran twice");
}

/// F3
async fn f3_a_hook_that_was_removed_does_not_run(net: Net) {
    let (log, mut lines) = Log::new();
    let method = move |session: Session, (): (), (): ()| {
        let first = log.hook(&session, "first");
        let second = log.hook(&session, "second");
        log.hook(&session, "third");
        assert!(session.remove_on_close(second));
        assert!(!session.remove_on_close(second), "it was removed before");
        let (log, keeper) = (log.clone(), session.clone());
        let late = session.on_close(async move || {
            let removed = keeper.remove_on_close(first);
            log.line(format!("removed after it ran: {removed}"));
        });
        late.expect("an open session");
        std::future::ready(Ok::<_, NoError>(()))
    };
    let rig = Rig::start(net, server_with(|e| e.unary("method", method)).build().unwrap()).await;
    let client = rig.client();
    assert_eq!(client.call("Example.method").unary::<()>().await, Ok(()));
    for line in ["first", "third", "removed after it ran: false"] {
        assert_eq!(next(&mut lines).await, line);
    }
}

/// F4
async fn f4_hooks_run_one_after_the_other_in_their_order(net: Net) {
    let (log, mut lines) = Log::new();
    let method = move |session: Session, (): (), (): ()| {
        for number in 0..5 {
            let log = log.clone();
            let hook = session.on_close(async move || {
                log.line(format!("{number} begins"));
                tokio::task::yield_now().await;
                log.line(format!("{number} ends"));
            });
            hook.expect("an open session");
        }
        std::future::ready(Ok::<_, NoError>(()))
    };
    let rig = Rig::start(net, server_with(|e| e.unary("method", method)).build().unwrap()).await;
    let client = rig.client();
    assert_eq!(client.call("Example.method").unary::<()>().await, Ok(()));
    for number in 0..5 {
        assert_eq!(next(&mut lines).await, format!("{number} begins"));
        assert_eq!(next(&mut lines).await, format!("{number} ends"));
    }
}

/// F5, R-CALL-6
async fn f5_a_failing_or_slow_hook_delays_no_other_call(net: Net) {
    let (log, mut lines) = Log::new();
    let method = move |session: Session, (slow,): (bool,), (): ()| {
        let failing = session.on_close(async || panic!("a hook that fails"));
        failing.expect("an open session");
        log.hook(&session, "behind the failing one");
        if slow {
            session.on_close(std::future::pending::<()>).expect("an open session");
            log.hook(&session, "behind the slow one");
        }
        std::future::ready(Ok::<_, NoError>(()))
    };
    // With room for one call at a time: a hook holds no slot.
    let limits = wirestream::Limits { calls: 1, ..wirestream::Limits::default() };
    let server = server_with(|e| e.unary("method", method)).limits(limits);
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.lasting_client();
    for slow in [true, false].repeat(5) {
        loop {
            match client.call("Example.method").arguments(&(slow,)).unary::<()>().await {
                // The slot is free once the handler was dropped.
                Err(error) if error.is_retryable() => tokio::task::yield_now().await,
                done => break assert_eq!(done, Ok(())),
            }
        }
        assert_eq!(next(&mut lines).await, "behind the failing one");
    }
    assert!(lines.try_recv().is_err(), "a hook overtook a slow one");
    assert_eq!(client.line.dials(), 1);
}

/// F6
async fn f6_each_call_has_an_id_of_its_own(net: Net) {
    let method = |session: Session, (): (), (): ()| {
        let id = session.id();
        assert_eq!(session.clone().id(), id);
        std::future::ready(Ok::<_, NoError>(id.to_string()))
    };
    let rig = Rig::start(net, server_with(|e| e.unary("id", method)).build().unwrap()).await;
    let clients = [rig.client(), rig.client()];
    let calls = (0..100).map(|n| clients[n % 2].call("Example.id").unary::<String>());
    let ids = futures_util::future::try_join_all(calls).await.unwrap();
    assert_eq!(ids.into_iter().collect::<HashSet<_>>().len(), 100);
}

/// F7
async fn f7_a_session_knows_its_endpoint_and_method(net: Net) {
    let names = |session: Session, (): (), (): ()| {
        let names = (session.endpoint().to_owned(), session.method().to_owned());
        std::future::ready(Ok::<_, NoError>(names))
    };
    let endpoint = |name: &str| wirestream::Endpoint::new(name).unary("one", names);
    let server = server_with(|example| example.unary("one", names).unary("two", names))
        .endpoint(endpoint("Other"))
        .endpoint(endpoint("with.dots"));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.client();
    for (endpoint, method) in
        [("Example", "one"), ("Example", "two"), ("Other", "one"), ("with.dots", "one")]
    {
        let names = client.call(format!("{endpoint}.{method}")).unary::<(String, String)>().await;
        assert_eq!(names, Ok((endpoint.to_owned(), method.to_owned())));
    }
}

/// F8
async fn f8_hooks_run_however_the_handler_ended(net: Net) {
    let (log, mut lines) = Log::new();
    let method = move |session: Session, (how,): (String,), (): ()| {
        log.hook(&session, "closed");
        let first = stream::iter([Ok(0u8)]);
        let rest: std::pin::Pin<Box<dyn Stream<Item = _> + Send>> = match how.as_str() {
            "fails" => Box::pin(stream::iter([Err(Problem::new("as asked"))])),
            "panics" => Box::pin(stream::poll_fn(|_| panic!("as asked"))),
            "panics early" => panic!("as asked"),
            _ => Box::pin(stream::pending()),
        };
        first.chain(rest)
    };
    let rig = Rig::start(net, server_with(|e| e.stream("method", method)).build().unwrap()).await;
    let client = rig.client();
    let call = |how: &str| {
        let call = client.call("Example.method").arguments(&(how,));
        call.stream_with_error::<u8, Problem>()
    };
    let error = StreamError::App(Problem::new("as asked"));
    assert_eq!(drain(&mut call("fails")).await, (vec![0], Some(error)));
    assert_eq!(next(&mut lines).await, "closed");
    assert_eq!(drain(&mut call("panics")).await, (vec![0], Some(StreamError::Failed)));
    assert_eq!(next(&mut lines).await, "closed");
    assert_eq!(drain(&mut call("panics early")).await, (vec![], Some(StreamError::Failed)));
    assert_eq!(next(&mut lines).await, "closed");

    let mut given_up = call("goes on");
    assert_eq!(given_up.next().await, Some(Ok(0)));
    drop(given_up);
    assert_eq!(next(&mut lines).await, "closed");

    let mut lost = call("goes on");
    assert_eq!(lost.next().await, Some(Ok(0)));
    client.line.cut();
    assert_eq!(next(&mut lines).await, "closed");
    assert!(matches!(lost.next().await, Some(Err(StreamError::Lost(_)))));
    assert_eq!(lost.next().await, None);
}

/// F9: it is there in the hooks, and dropped behind them, whatever ended the call.
async fn f9_an_object_is_kept_for_as_long_as_its_session(net: Net) {
    struct Player(u64, #[allow(dead_code, reason = "it counts the players")] Raised);
    let (log, mut lines) = Log::new();
    let (players, all) = (Gauge::default(), Watch::default());
    let (gauge, calls) = (players.clone(), all.clone());
    let method = move |session: Session, (number,): (u64,), (): ()| {
        assert!(session.set(Player(0, gauge.raise())).is_none());
        assert_eq!(session.set(Player(number, gauge.raise())).map(|before| before.0), Some(0));
        let (log, keeper) = (log.clone(), session.clone());
        let hook = session.on_close(async move || {
            let player = keeper.get::<Player>().expect("a player");
            log.line(player.0.to_string());
        });
        hook.expect("an open session");
        let reply = stream::iter([Ok::<u64, NoError>(number)]).chain(stream::pending());
        calls.stream(&session, reply)
    };
    let rig = Rig::start(net, server_with(|e| e.stream("method", method)).build().unwrap()).await;
    let client = rig.client();
    let call = |number: u64| client.call("Example.method").arguments(&(number,)).stream::<u64>();
    let mut two = [call(1), call(2)];
    for (reply, number) in two.iter_mut().zip(1..) {
        assert_eq!(reply.next().await, Some(Ok(number)));
    }
    assert_eq!(players.get(), 2, "each session has its own");
    let [first, mut second] = two;
    drop(first);
    assert_eq!(next(&mut lines).await, "1");
    until("the first player is gone", || players.get() == 1).await;
    assert!(second.next().now_or_never().is_none());
    client.line.cut();
    assert_eq!(next(&mut lines).await, "2");
    // Although somebody holds the sessions still.
    all.until_over(2).await;
    until("the players are gone", || players.get() == 0).await;
}

/// F10
async fn f10_closed_resolves_when_the_session_closes(net: Net) {
    let session = Arc::<Mutex<Option<Session>>>::default();
    let place = Arc::clone(&session);
    let method = move |session: Session, (): (), (messages,): (Receiver<u8>,)| {
        assert!(!session.is_closed());
        *place.lock().unwrap() = Some(session);
        messages.map(|message| Ok::<_, NoError>(message.unwrap()))
    };
    let rig = Rig::start(net, server_with(|e| e.stream("method", method)).build().unwrap()).await;
    let client = rig.client();
    let (input, messages) = channel::<u8>();
    let mut replies = client.call("Example.method").parameter(messages).stream::<u8>();
    input.send(1).await.unwrap();
    assert_eq!(replies.next().await, Some(Ok(1)));

    let session = session.lock().unwrap().clone().expect("a session");
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.closed().await })
        })
        .collect();
    assert_eq!(session.closed().now_or_never(), None);
    assert!(!session.is_closed());
    drop(replies);
    for waiting in waiting {
        soon("the close of the session", waiting).await.unwrap();
    }
    // And at once, from now on.
    assert!(session.is_closed());
    session.closed().await;
    assert_eq!(session.on_close(async || ()), Err(SessionClosed));
}
