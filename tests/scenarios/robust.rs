//! Applications and peers at their most awkward.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt, stream};
use wirestream::{
    ClientConfig, Endpoint, NoError, RetryPolicy, Server, Session, StreamError, channel,
};
use wirestream_tests::{Dialling, Net, Nobody, Rig, TestClient, scenarios, soon, until};

scenarios! {
    a_second_shutdown_never_prolongs_the_first,
    the_sender_of_a_call_given_up_while_connecting_is_stopped,
    a_session_is_closed_whatever_its_method_panicked_with,
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
    assert!(rig.server.shutdown(Duration::ZERO).now_or_never().is_none());
    assert!(rig.server.shutdown(Duration::from_secs(20)).now_or_never().is_none());
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
