//! Applications and peers at their most awkward.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt, stream};
use wirestream::{
    ClientConfig, Endpoint, NoError, Receiver, RetryPolicy, Server, Session, Status, StreamError,
    channel,
};
use wirestream_tests::{Dialling, LONG, Net, Nobody, Rig, TestClient, scenarios, soon, until};

scenarios! {
    a_second_shutdown_never_prolongs_the_first,
    the_sender_of_a_call_given_up_while_connecting_is_stopped,
    a_session_is_closed_whatever_its_method_panicked_with,
    waits_that_are_given_up_are_forgotten,
    who_learns_of_a_loss_finds_it_in_the_status,
}

/// R-AWAY-4
async fn a_second_shutdown_never_prolongs_the_first(net: Net) {
    let forever =
        |_: Session, (): (), (): ()| stream::iter([Ok::<u64, NoError>(1)]).chain(stream::pending());
    let endpoint = Endpoint::new("E").stream("forever", forever);
    let rig = Rig::start(net, Server::builder().endpoint(endpoint).build().unwrap()).await;
    let client = rig.client();
    let mut reply = client.call("E.forever").stream::<u64>();
    assert_eq!(reply.next().await, Some(Ok(1)));
    let begun = Instant::now();
    // Each has begun; the first may be done by then.
    for drain in [Duration::ZERO, Duration::from_secs(20)] {
        let _done = rig.server.shutdown(drain).now_or_never();
    }
    assert!(matches!(soon("the end", reply.next()).await, Some(Err(StreamError::Lost(_)))));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// C4, while no connection can be made.
async fn the_sender_of_a_call_given_up_while_connecting_is_stopped(net: Net) {
    let longest = Duration::from_millis(5);
    let retry = RetryPolicy { attempts: u32::MAX, longest, ..RetryPolicy::default() };
    let dial: Dialling = Box::new(|| wirestream::Dial::dial(&Nobody));
    let client = TestClient::new(net, dial, ClientConfig { retry, ..ClientConfig::default() });
    let _patient = client.call("E.forever").stream::<u64>();
    let (sender, parameter) = channel::<u64>();
    drop(client.call("E.unread").parameter(parameter).stream::<u64>());
    soon("the sender is stopped", sender.closed()).await;
    client.disconnect();
}

struct Evil;

impl Drop for Evil {
    fn drop(&mut self) {
        panic!("in the drop of what a panic carries");
    }
}

/// F8, at its worst.
async fn a_session_is_closed_whatever_its_method_panicked_with(net: Net) {
    let hooked = Arc::new(AtomicBool::new(false));
    let ran = Arc::clone(&hooked);
    let method = move |session: Session, (): (), (): ()| {
        let ran = Arc::clone(&ran);
        session.on_close(async move || ran.store(true, Ordering::SeqCst)).expect("it is open");
        async move {
            if session.is_closed() {
                return Ok::<u64, NoError>(1);
            }
            std::panic::panic_any(Evil)
        }
    };
    let endpoint = Endpoint::new("E").unary("panic", method);
    let rig = Rig::start(net, Server::builder().endpoint(endpoint).build().unwrap()).await;
    let client = rig.client();
    assert_eq!(client.call("E.panic").unary::<u64>().await, Err(StreamError::Failed));
    until("the hook ran", || hooked.load(Ordering::SeqCst)).await;
}

/// A task that nobody runs; whoever could wake it holds a part of it.
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Waits for a moment, each time in a task of its own: whoever was to wake it knows nothing of it
/// any more.
fn give_up_waiting<F: Future>(what: &str, wait: impl Fn() -> F) {
    for _ in 0..100 {
        let task = Arc::new(Task);
        {
            let mut wait = pin!(wait());
            let waker = Arc::clone(&task).into();
            let polled = wait.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending(), "{what} is not to be had");
            drop(waker);
            assert!(Arc::strong_count(&task) > 1, "{what} is waited for");
        }
        assert_eq!(Arc::strong_count(&task), 1, "{what} is not waited for any more");
    }
}

/// What waits for something that does not come holds no more than the one who waits.
async fn waits_that_are_given_up_are_forgotten(net: Net) {
    let sessions = Arc::new(Mutex::new(None));
    let hold = {
        let sessions = Arc::clone(&sessions);
        move |session: Session, (): (), unread: (Receiver<Vec<u8>>,)| {
            *sessions.lock().unwrap() = Some(session);
            stream::pending::<Result<u64, NoError>>().map(move |item| {
                let _held = &unread;
                item
            })
        }
    };
    let endpoint = Endpoint::new("E").stream("hold", hold);
    let rig = Rig::start(net, Server::builder().endpoint(endpoint).build().unwrap()).await;
    let client = rig.client();
    let (sender, parameter) = channel::<Vec<u8>>();
    give_up_waiting("a call to send on", || sender.send(vec![7]));
    give_up_waiting("the end of a call to come", || sender.closed());

    let mut reply = client.call("E.hold").parameter(parameter).stream::<u64>();
    // Sixteen of these take exactly a window: 16 KiB each, two bytes of it for the length.
    let message = vec![7; (rig.server.limits().half_window / 16 - 2) as usize];
    for _ in 0..16 {
        soon("the window", sender.send(message.clone())).await.unwrap();
    }
    give_up_waiting("room", || sender.send(message.clone()));
    give_up_waiting("the end of the call", || sender.closed());
    until("the call", || sessions.lock().unwrap().is_some()).await;
    let session = sessions.lock().unwrap().clone().unwrap();
    give_up_waiting("the end of the session", || session.closed());
    give_up_waiting("the end of the server", || rig.server.shutdown(LONG));

    // A stream that goes from task to task: the last alone is to be woken.
    let tasks = [(); 100].map(|()| Arc::new(Task));
    for task in &tasks {
        let waker = Arc::clone(task).into();
        assert!(reply.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    }
    let kept = tasks.iter().filter(|task| Arc::strong_count(task) > 1).count();
    assert_eq!(kept, 1, "tasks are kept that wait no more");
}

/// E12: the status is not behind what the streams say.
async fn who_learns_of_a_loss_finds_it_in_the_status(net: Net) {
    let begun =
        |_: Session, (): (), (): ()| stream::iter([Ok::<u64, NoError>(1)]).chain(stream::pending());
    let endpoint = Endpoint::new("E").stream("begun", begun);
    let rig = Rig::start(net, Server::builder().endpoint(endpoint).build().unwrap()).await;
    for _ in 0..20 {
        let client = rig.client();
        let mut reply = client.call("E.begun").stream::<u64>();
        assert_eq!(soon("an item", reply.next()).await, Some(Ok(1)));
        assert_eq!(client.status(), Status::Connected);
        client.line.cut();
        let Some(Err(StreamError::Lost(reason))) = soon("the loss", reply.next()).await else {
            panic!("not lost")
        };
        assert_eq!(client.status(), Status::Disconnected(Some(reason)));
    }
}
