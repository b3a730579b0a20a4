//! Group A: opening a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use wirestream::wire::{AwayCode, Frame, frames};
use wirestream::{
    ClientConfig, Dial, IncomingCall, Limits, NoError, RejectCode, Session, StreamError, Transport,
    TransportError, channel,
};
use wirestream_tests::{Dialling, Net, Rig, TestClient, open, scenarios, soon, until};

use crate::methods::{Watch, drain, server, server_with};

scenarios! {
    a1_an_unknown_endpoint_is_not_found,
    a2_an_unknown_method_is_not_found,
    a3_a_valid_call_is_accepted_before_any_message,
    a4_arguments_that_do_not_fit_are_refused_alone,
    a5_a_wrong_number_of_parameters_is_refused_alone,
    a12_one_call_more_than_the_limit_is_busy,
    a13_a_call_id_that_is_used_twice_is_a_violation,
    a14_what_is_sent_before_acceptance_is_delivered_in_order,
    a15_a_refusal_with_messages_in_flight_harms_nobody,
}

fn code<E>(error: Option<StreamError<E>>) -> RejectCode {
    match error {
        Some(StreamError::Rejected(rejection)) => rejection.code,
        _ => panic!("not rejected"),
    }
}

/// A1
async fn a1_an_unknown_endpoint_is_not_found(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.client();
    let error = client.call("Nowhere.echo").unary::<()>().await.unwrap_err();
    let StreamError::Rejected(rejection) = error else { panic!("{error}") };
    assert_eq!(rejection.code, RejectCode::NotFound);
    assert_eq!(&*rejection.detail, "no endpoint `Nowhere` for method `echo`");
}

/// A2
async fn a2_an_unknown_method_is_not_found(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.client();
    let StreamError::Rejected(rejection) =
        client.call("Example.nothing").unary::<()>().await.unwrap_err()
    else {
        panic!("not rejected");
    };
    assert_eq!(rejection.code, RejectCode::NotFound);
    assert_eq!(&*rejection.detail, "no method `nothing` in endpoint `Example`");
}

/// A3, R-CALL-3: as the peer sees it, also when the method replies at once, with all there is.
async fn a3_a_valid_call_is_accepted_before_any_message(net: Net) {
    let at_once = |_: Session, (): (), (): ()| stream::iter((0..3u8).map(Ok::<_, NoError>));
    let value = |_: Session, (): (), (): ()| std::future::ready(Ok::<_, NoError>(7u8));
    let server = server_with(|e| e.stream("at_once", at_once).unary("value", value));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let mut peer = rig.raw().await;
    peer.say_hello().await;
    peer.send(&[open(1, "Example.at_once"), open(2, "Example.value")]).await;
    let (mut seen, mut ended) = ([const { Vec::new() }; 2], 0);
    while ended < 2 {
        let packet = peer.receive().await.expect("a packet");
        for frame in frames(&packet) {
            let (call, what) = match frame.expect("a valid frame") {
                Frame::Accept { call } => (call, "accept"),
                Frame::Message { call, half: 0, .. } => (call, "message"),
                Frame::Close { call, half: 0 } => (call, "close"),
                frame => panic!("{frame:?}"),
            };
            ended += usize::from(what == "close");
            seen[call as usize - 1].push(what);
        }
    }
    assert_eq!(seen[0], ["accept", "message", "message", "message", "close"]);
    assert_eq!(seen[1], ["accept", "message", "close"]);
}

/// A4, R-DATA-2
async fn a4_arguments_that_do_not_fit_are_refused_alone(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.client();
    let (input, messages) = channel::<String>();
    let mut sibling = client.call("Example.echo").parameter(messages).stream::<String>();
    for wrong in [&b""[..], b"\x01\x02\x03\x04", b"\x80"] {
        let call = client.call("Example.add").arguments(&RawBytes(wrong));
        let refused = call.unary::<i64>().await.unwrap_err();
        let StreamError::Rejected(rejection) = refused else { panic!("{refused}") };
        assert_eq!(rejection.code, RejectCode::InvalidArguments);
        let detail = "the arguments do not decode as those of `Example.add`: ";
        assert!(rejection.detail.starts_with(detail), "{rejection}");
    }
    input.send("still here".into()).await.unwrap();
    assert_eq!(sibling.next().await, Some(Ok("still here".into())));
}

/// Bytes that encode as they are.
struct RawBytes<'a>(&'a [u8]);

impl serde::Serialize for RawBytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple;
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

/// A5
async fn a5_a_wrong_number_of_parameters_is_refused_alone(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.client();
    for (method, arguments, sent, detail) in [
        (
            "Example.sum",
            &[][..],
            0,
            "`Example.sum` was sent 0 parameter streams, where 1 is expected",
        ),
        ("Example.sum", &[], 2, "`Example.sum` was sent 2 parameter streams, where 1 is expected"),
        (
            "Example.add",
            &[4, 6],
            1,
            "`Example.add` was sent 1 parameter stream, where 0 are expected",
        ),
    ] {
        let call = client.call(method).arguments(&RawBytes(arguments));
        let call = (0..sent).fold(call, |call, n| call.parameter(stream::iter([n as i64])));
        let refused = call.unary::<i64>().await.unwrap_err();
        let StreamError::Rejected(rejection) = refused else { panic!("{refused}") };
        assert_eq!(rejection.code, RejectCode::InvalidArguments);
        assert_eq!(&*rejection.detail, detail);
    }
    let one = client.call("Example.sum").parameter(stream::iter([1i64, 2]));
    assert_eq!(one.unary::<i64>().await, Ok(3));
}

/// A12
async fn a12_one_call_more_than_the_limit_is_busy(net: Net) {
    let limits = Limits { calls: 2, ..Limits::default() };
    let rig = Rig::start(net, server_with(|e| e).limits(limits).build().unwrap()).await;
    let client = rig.client();
    let mut open = Vec::new();
    for _ in 0..2 {
        let (input, messages) = channel::<String>();
        let mut echo = client.call("Example.echo").parameter(messages).stream::<String>();
        input.send("there".into()).await.unwrap();
        assert_eq!(echo.next().await, Some(Ok("there".into())));
        open.push((input, echo));
    }
    let refused = client.call("Example.count").arguments(&(1u64,)).unary::<u64>().await;
    let refused = refused.unwrap_err();
    assert!(refused.is_retryable());
    assert_eq!(code(Some(refused)), RejectCode::Busy);
    // Once one of them is over, there is room again.
    let (input, mut echo) = open.pop().unwrap();
    input.finish();
    assert_eq!(echo.next().await, None);
    loop {
        match client.call("Example.count").arguments(&(1u64,)).unary::<u64>().await {
            Ok(0) => break,
            // The slot is free once the handler was dropped.
            Err(StreamError::Rejected(rejection)) if rejection.code == RejectCode::Busy => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A13, R-OPEN-1, R-AWAY-5
async fn a13_a_call_id_that_is_used_twice_is_a_violation(net: Net) {
    let watch = Watch::default();
    let calls = watch.clone();
    let endless = move |session: Session, (): (), (): ()| {
        calls.stream(&session, stream::pending::<Result<(), NoError>>())
    };
    let rig = Rig::start(net, server_with(|e| e.stream("endless", endless)).build().unwrap()).await;
    let client = rig.client();
    let (input, messages) = channel::<String>();
    let mut other = client.call("Example.echo").parameter(messages).stream::<String>();
    input.send("before".into()).await.unwrap();
    assert_eq!(other.next().await, Some(Ok("before".into())));

    for (peers, (id, again)) in (1..).zip([(7, 7), (7, 6), (1, 1)]) {
        let mut peer = rig.raw().await;
        peer.say_hello().await;
        peer.send(&[open(id, "Example.endless")]).await;
        watch.until_begun(peers).await;
        peer.send(&[open(again, "Example.endless")]).await;
        let packets = peer.rest().await;
        let last = frames(packets.last().expect("a last packet")).last();
        let Some(Ok(Frame::GoAway { code: AwayCode::Violation, detail })) = last else {
            panic!("{last:?}");
        };
        assert_eq!(&*detail, "R-OPEN-1: a call id is not above the ones before");
        // Its first call is over, and the second was never made.
        watch.until_over(peers).await;
    }

    input.send("after".into()).await.unwrap();
    assert_eq!(other.next().await, Some(Ok("after".into())));
    until("the end of the peer's connections", || rig.server.connections() == 1).await;
}

/// Counts the messages that a client has sent.
struct Tapped {
    inner: Box<dyn Transport>,
    messages: Arc<AtomicUsize>,
}

impl Transport for Tapped {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        self.inner.poll_recv(cx)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        let messages = frames(packet).filter(|f| matches!(f, Ok(Frame::Message { .. }))).count();
        let sent = self.inner.poll_send(cx, packet);
        if sent.is_ready() {
            self.messages.fetch_add(messages, Ordering::SeqCst);
        }
        sent
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.inner.poll_close(cx)
    }
}

/// A14, R-OPEN-8
async fn a14_what_is_sent_before_acceptance_is_delivered_in_order(net: Net) {
    let (hold, mut held) = mpsc::unbounded_channel::<(IncomingCall, oneshot::Sender<()>)>();
    let method = move |call| {
        let hold = hold.clone();
        async move {
            // The method lasts as long as the test likes, and leaves the answer to it.
            let (done, until_done) = oneshot::channel();
            let _ = hold.send((call, done));
            let _ = until_done.await;
        }
    };
    let server = server_with(|example| example.method("held", method)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let (messages, line) = (Arc::<AtomicUsize>::default(), rig.client().line);
    let count = Arc::clone(&messages);
    let dial: Dialling = Box::new(move || {
        let (messages, dialled) = (Arc::clone(&count), line.dial());
        Box::pin(async move {
            let inner = dialled.await?;
            Ok(Box::new(Tapped { inner, messages }) as Box<dyn Transport>)
        })
    });
    let client = TestClient::new(net, dial, ClientConfig::default());
    let numbers = stream::iter(0..500u32);
    let mut echo = client.call("Example.held").parameter(numbers).stream::<u32>();
    let (call, done) = soon("the call", held.recv()).await.unwrap();
    // More than 200 fit the window that a half begins with, at 64 bytes each (R-CREDIT-1).
    until("the messages to leave", || messages.load(Ordering::SeqCst) > 200).await;
    // What comes behind them is answered: so they have arrived.
    let behind = client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>();
    assert_eq!(soon("an answer", behind).await, Ok(5));
    assert_eq!(echo.next().now_or_never(), None, "the call is not answered");

    let mut accepted = call.accept().expect("the caller waits");
    let numbers = accepted.parameter::<u32, NoError>().expect("a parameter");
    let numbers = numbers.map(|number| number.expect("a number"));
    let ((), echoed) = tokio::join!(accepted.reply_items(numbers), drain(&mut echo));
    assert_eq!(echoed, ((0..500).collect(), None));
    drop(done);
}

/// A15
async fn a15_a_refusal_with_messages_in_flight_harms_nobody(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.client();
    let (input, messages) = channel::<Vec<u8>>();
    let mut refused = client.call("Example.nothing").parameter(messages).stream::<()>();
    let feeding = async { while input.send(vec![7; 1_000]).await.is_ok() {} };
    let ((_, error), ()) = tokio::join!(drain(&mut refused), feeding);
    assert_eq!(code(error), RejectCode::NotFound);
    let added = client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>().await;
    assert_eq!(added, Ok(5));
    assert_eq!(client.line.dials(), 1);
}
