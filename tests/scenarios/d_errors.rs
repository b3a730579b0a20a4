//! Group D: errors, typed and not, in both directions.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt, stream};
use wirestream::wire::{FaultCode, Frame, frames};
use wirestream::{
    Failed, NoError, Receiver, SendError, Session, StreamError, channel, channel_with_error,
};
use wirestream_tests::{Net, Rig, TestClient, open, scenarios, soon, until};

use crate::methods::{Problem, Raised, Watch, drain, server_with};

scenarios! {
    d1_a_typed_error_of_a_unary_method_arrives_typed,
    d2_an_untyped_error_or_a_panic_of_a_unary_method_arrives_without_detail,
    d3_a_typed_error_arrives_from_a_stream_before_its_first_message,
    d4_an_untyped_error_or_a_panic_arrives_from_a_stream_before_its_first_message,
    d5_a_typed_error_arrives_behind_all_messages,
    d6_an_untyped_error_or_a_panic_arrives_behind_all_messages,
    d7_a_typed_error_of_a_parameter_reaches_the_method_typed,
    d8_an_untyped_error_or_a_panic_of_a_parameter_reaches_the_method_without_detail,
    d9_a_method_answers_an_error_with_an_error_of_its_own,
    d10_an_error_ends_its_half_alone,
    d11_a_failed_call_leaves_its_siblings_usable,
    d12_a_message_that_does_not_decode_ends_its_half_alone,
    d13_an_error_that_is_too_large_arrives_as_a_failure,
    d14_a_handler_that_panics_as_it_is_dropped_harms_nobody,
}

/// What no peer may ever read.
const SECRET: &str = "the password is 1234";

/// An error that serde does not know.
#[derive(Debug, thiserror::Error)]
#[error("{SECRET}")]
struct Untyped;

fn fail() -> Result<(), Untyped> {
    Err(Untyped)
}

/// A call that ends well, on the same connection as all before it.
async fn assert_unharmed(client: &TestClient) {
    let added = client.call("Example.add").arguments(&(2i64, 3i64)).unary::<i64>().await;
    assert_eq!(added, Ok(5));
    assert_eq!(client.line.dials(), 1);
}

/// D1
async fn d1_a_typed_error_of_a_unary_method_arrives_typed(net: Net) {
    let refuse = async |_: Session, (why,): (String,), (): ()| Err::<u8, _>(Problem(why));
    let rig = Rig::start(net, server_with(|e| e.unary("refuse", refuse)).build().unwrap()).await;
    let client = rig.lasting_client();
    let call = client.call("Example.refuse").arguments(&("too late",));
    let error = call.unary_with_error::<u8, Problem>().await;
    assert_eq!(error, Err(StreamError::App(Problem::new("too late"))));
    assert_unharmed(&client).await;
}

/// D2, R-ERROR-2
async fn d2_an_untyped_error_or_a_panic_of_a_unary_method_arrives_without_detail(net: Net) {
    let server = server_with(|example| {
        example
            .unary("fail", async |_: Session, (): (), (): ()| Ok::<_, Failed>(fail()?))
            .unary("panic", async |_: Session, (panic,): (bool,), (): ()| {
                if panic {
                    panic!("{SECRET}");
                }
                Ok::<_, Problem>(())
            })
            .unary("panic_early", |_: Session, (): (), (): ()| {
                if SECRET.len() > 1 {
                    panic!("{SECRET}");
                }
                std::future::ready(Ok::<_, Problem>(()))
            })
    });
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.lasting_client();
    let calls = [
        client.call("Example.fail"),
        client.call("Example.panic").arguments(&(true,)),
        client.call("Example.panic_early"),
    ];
    for call in calls {
        assert_eq!(call.unary_with_error::<(), Problem>().await, Err(StreamError::Failed));
    }
    assert_unharmed(&client).await;
    assert_no_detail_of(&rig, "Example.fail").await;
    assert_no_detail_of(&rig, "Example.panic_early").await;
}

/// What the wire carries when a call fails: its acceptance, and an `Error` that is empty.
async fn assert_no_detail_of(rig: &Rig, method: &str) {
    let mut peer = rig.raw().await;
    peer.say_hello().await;
    peer.send(&[open(1, method)]).await;
    loop {
        let packet = peer.receive().await.expect("an answer");
        for frame in frames(&packet) {
            match frame.expect("a valid frame") {
                Frame::Error { call, half, code, payload } => {
                    assert_eq!((call, half, code), (1, 0, FaultCode::Failed));
                    return assert_eq!(payload, b"");
                }
                frame => assert!(matches!(frame, Frame::Accept { call: 1 } | Frame::Credit { .. })),
            }
        }
    }
}

/// A method's stream: so many messages, then what `end` does.
fn upto<E>(
    n: u64,
    end: impl Fn() -> Option<Result<u64, E>> + Send + Sync + Clone + 'static,
) -> impl Stream<Item = Result<u64, E>> {
    let mut numbers = 0..n;
    stream::poll_fn(move |_| Poll::Ready(numbers.next().map(Ok).or_else(&end)))
}

/// D3
async fn d3_a_typed_error_arrives_from_a_stream_before_its_first_message(net: Net) {
    typed_error_after(net, 0).await;
}

/// D5, R-HALF-5
async fn d5_a_typed_error_arrives_behind_all_messages(net: Net) {
    typed_error_after(net, 2_000).await;
}

async fn typed_error_after(net: Net, messages: u64) {
    let end = || Some(Err(Problem::new("no more of that")));
    let fail = move |_: Session, (n,): (u64,), (): ()| upto(n, end);
    let rig = Rig::start(net, server_with(|e| e.stream("fail", fail)).build().unwrap()).await;
    let client = rig.lasting_client();
    let call = client.call("Example.fail").arguments(&(messages,));
    let mut replies = call.stream_with_error::<u64, Problem>();
    let error = StreamError::App(Problem::new("no more of that"));
    assert_eq!(drain(&mut replies).await, ((0..messages).collect(), Some(error)));
    assert_eq!(replies.next().await, None);
    assert_unharmed(&client).await;
}

/// D4
async fn d4_an_untyped_error_or_a_panic_arrives_from_a_stream_before_its_first_message(net: Net) {
    untyped_error_after(net, 0).await;
}

/// D6, R-HALF-5
async fn d6_an_untyped_error_or_a_panic_arrives_behind_all_messages(net: Net) {
    untyped_error_after(net, 2_000).await;
}

async fn untyped_error_after(net: Net, messages: u64) {
    let server = server_with(|example| {
        example
            .stream("fail", |_: Session, (n,): (u64,), (): ()| {
                upto(n, || Some(fail().map(|()| 0).map_err(Failed::from)))
            })
            .stream("panic", |_: Session, (n,): (u64,), (): ()| {
                upto::<Problem>(n, || panic!("{SECRET}"))
            })
    });
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.lasting_client();
    for method in ["Example.fail", "Example.panic"] {
        let call = client.call(method).arguments(&(messages,));
        let mut replies = call.stream_with_error::<u64, Problem>();
        let all = (0..messages).collect();
        assert_eq!(drain(&mut replies).await, (all, Some(StreamError::Failed)));
        assert_eq!(replies.next().await, None);
    }
    assert_unharmed(&client).await;
}

/// How a parameter ended, as its method saw it.
type Seen = (Vec<i64>, Option<StreamError<Problem>>);

/// A method that takes numbers until they end, and keeps what it saw.
fn observer(
    seen: &Arc<Mutex<VecDeque<Seen>>>,
) -> impl Fn(Session, (), (Receiver<i64, Problem>,)) -> Observing + Send + Sync + use<> {
    let seen = Arc::clone(seen);
    move |_, (), (mut numbers,)| {
        let seen = Arc::clone(&seen);
        Box::pin(async move {
            let saw = drain(&mut numbers).await;
            seen.lock().unwrap().push_back(saw);
            Ok(())
        })
    }
}

type Observing = Pin<Box<dyn Future<Output = Result<(), NoError>> + Send>>;

/// D7
async fn d7_a_typed_error_of_a_parameter_reaches_the_method_typed(net: Net) {
    let seen = Arc::default();
    let server = server_with(|example| example.unary("observe", observer(&seen)));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.lasting_client();
    for messages in [0, 2_000] {
        let (input, numbers) = channel_with_error::<i64, Problem>();
        let observed = client.call("Example.observe").parameter(numbers).unary::<()>();
        for number in 0..messages {
            input.send(number).await.unwrap();
        }
        input.fail(Problem::new("I have lost count"));
        assert_eq!(observed.await, Ok(()));
        let error = StreamError::App(Problem::new("I have lost count"));
        let saw = seen.lock().unwrap().pop_front();
        assert_eq!(saw, Some(((0..messages).collect(), Some(error))));
    }
    assert_unharmed(&client).await;
}

/// D8
async fn d8_an_untyped_error_or_a_panic_of_a_parameter_reaches_the_method_without_detail(net: Net) {
    let seen = Arc::default();
    let server = server_with(|example| example.unary("observe", observer(&seen)));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.lasting_client();
    let (input, numbers) = channel_with_error::<i64, Problem>();
    let observed = client.call("Example.observe").parameter(numbers).unary::<()>();
    input.send(7).await.unwrap();
    input.fail_untyped();
    assert_eq!(observed.await, Ok(()));
    assert_eq!(seen.lock().unwrap().pop_front(), Some((vec![7], Some(StreamError::Failed))));

    let mut numbers = 0..3i64;
    let panicking = stream::poll_fn(move |_| match numbers.next() {
        None => panic!("{SECRET}"),
        number => Poll::Ready(number),
    });
    let observed = client.call("Example.observe").parameter(panicking).unary::<()>();
    assert_eq!(observed.await, Ok(()));
    assert_eq!(seen.lock().unwrap().pop_front(), Some((vec![0, 1, 2], Some(StreamError::Failed))));
    assert_unharmed(&client).await;
}

/// D9
async fn d9_a_method_answers_an_error_with_an_error_of_its_own(net: Net) {
    let log = Arc::<Mutex<Vec<String>>>::default();
    let echo = {
        let log = Arc::clone(&log);
        move |_: Session, (): (), (messages,): (Receiver<String, Problem>,)| {
            let log = Arc::clone(&log);
            messages.map(move |message| {
                message.map_err(|error| {
                    let StreamError::App(error) = error else { panic!("{error}") };
                    log.lock().unwrap().push(format!("Server received error: {error}"));
                    Problem::new("Error from server")
                })
            })
        }
    };
    let rig = Rig::start(net, server_with(|e| e.stream("answer", echo)).build().unwrap()).await;
    let client = rig.lasting_client();
    let (input, messages) = channel_with_error::<String, Problem>();
    let call = client.call("Example.answer").parameter(messages);
    let mut replies = call.stream_with_error::<String, Problem>();
    input.send("Hello".into()).await.unwrap();
    assert_eq!(replies.next().await, Some(Ok("Hello".into())));
    input.fail(Problem::new("Error from client"));
    let Some(Err(StreamError::App(error))) = replies.next().await else { panic!("no error") };
    let seen = format!("Client received error: {error}");
    assert_eq!(seen, "Client received error: Error from server");
    assert_eq!(*log.lock().unwrap(), ["Server received error: Error from client"]);
    assert_eq!(replies.next().await, None);
    assert_unharmed(&client).await;
}

/// D10, R-HALF-5
async fn d10_an_error_ends_its_half_alone(net: Net) {
    let both = |_: Session,
                (): (),
                (left, right): (Receiver<u8, Problem>, Receiver<u8, Problem>)| {
        let left = left.map(|item| ("left".to_owned(), item.map_err(|error| error.to_string())));
        let right = right.map(|item| ("right".to_owned(), item.map_err(|error| error.to_string())));
        stream::select(left, right).map(Ok::<_, NoError>)
    };
    let rig = Rig::start(net, server_with(|e| e.stream("both", both)).build().unwrap()).await;
    let client = rig.lasting_client();
    let (left, left_parameter) = channel_with_error::<u8, Problem>();
    let (right, right_parameter) = channel_with_error::<u8, Problem>();
    let call = client.call("Example.both").parameter(left_parameter).parameter(right_parameter);
    let mut replies = call.stream::<(String, Result<u8, String>)>();
    left.send(1).await.unwrap();
    assert_eq!(replies.next().await, Some(Ok(("left".into(), Ok(1)))));
    left.fail(Problem::new("left is broken"));
    assert_eq!(replies.next().await, Some(Ok(("left".into(), Err("left is broken".into())))));
    for number in 0..100 {
        right.send(number).await.unwrap();
        assert_eq!(replies.next().await, Some(Ok(("right".into(), Ok(number)))));
    }
    right.finish();
    assert_eq!(replies.next().await, None);
    assert_unharmed(&client).await;
}

/// D11
async fn d11_a_failed_call_leaves_its_siblings_usable(net: Net) {
    let watch = Watch::default();
    let calls = watch.clone();
    let fails = move |session: Session, (how,): (u8,), (_input,): (Receiver<String>,)| {
        let raised = calls.enter(&session);
        async move {
            let _raised = raised;
            match how {
                0 => Err(Problem::new("as asked")),
                1 => panic!("as asked"),
                _ => Ok(()),
            }
        }
    };
    let rig = Rig::start(net, server_with(|e| e.unary("fails", fails)).build().unwrap()).await;
    let client = rig.lasting_client();
    let (input, messages) = channel::<String>();
    let mut sibling = client.call("Example.echo").parameter(messages).stream::<String>();
    for how in [0u8, 1].repeat(10) {
        // Its parameter is fed to the end, and past it.
        let never_ending = stream::repeat_with(|| "more".to_owned());
        let call = client.call("Example.fails").arguments(&(how,)).parameter(never_ending);
        let error = match how {
            0 => StreamError::App(Problem::new("as asked")),
            _ => StreamError::Failed,
        };
        assert_eq!(call.unary_with_error::<(), Problem>().await, Err(error));
        input.send("and you?".into()).await.unwrap();
        assert_eq!(sibling.next().await, Some(Ok("and you?".into())));
    }
    watch.until_over(20).await;
    input.finish();
    assert_eq!(sibling.next().await, None);
    assert_unharmed(&client).await;
}

/// D12, R-HALF-3, R-DATA-2
async fn d12_a_message_that_does_not_decode_ends_its_half_alone(net: Net) {
    let both = |_: Session, (): (), (texts, numbers): (Receiver<String>, Receiver<i64>)| {
        let texts = texts.map(|text| match text {
            Ok(text) => Ok(text),
            Err(StreamError::Decode(_)) => Ok("does not decode".into()),
            Err(error) => panic!("{error}"),
        });
        let numbers = numbers.map(|number| Ok::<_, NoError>(number.unwrap().to_string()));
        stream::select(texts, numbers)
    };
    let rig = Rig::start(net, server_with(|e| e.stream("both", both)).build().unwrap()).await;
    let client = rig.lasting_client();
    let (texts, texts_parameter) = channel::<Vec<u8>>();
    let (numbers, numbers_parameter) = channel::<i64>();
    let call = client.call("Example.both").parameter(texts_parameter).parameter(numbers_parameter);
    let mut replies = call.stream::<String>();
    texts.send(b"text".to_vec()).await.unwrap();
    assert_eq!(replies.next().await, Some(Ok("text".into())));
    texts.send(vec![0xff]).await.unwrap();
    assert_eq!(replies.next().await, Some(Ok("does not decode".into())));
    soon("the stop of the half", texts.closed()).await;
    assert_eq!(texts.send(b"text".to_vec()).await, Err(SendError::Stopped));
    for number in 0..100 {
        numbers.send(number).await.unwrap();
        assert_eq!(replies.next().await, Some(Ok(number.to_string())));
    }

    // The other way about: a reply that is not of the type that the caller expects.
    let mut counted = client.call("Example.count").arguments(&(1_000u64,)).stream::<(u8, u8)>();
    let (none, error) = drain(&mut counted).await;
    assert_eq!(none, []);
    assert!(matches!(error, Some(StreamError::Decode(_))), "{error:?}");
    assert_eq!(counted.next().await, None);
    let value = client.call("Example.add").arguments(&(300i64, 0i64)).unary::<u8>().await;
    assert!(matches!(value, Err(StreamError::Decode(_))), "{value:?}");
    // R-CALL-8: one value is one value.
    let value = client.call("Example.count").arguments(&(2u64,)).unary::<u64>().await;
    assert!(matches!(value, Err(StreamError::Decode(_))), "{value:?}");

    numbers.finish();
    assert_eq!(replies.next().await, None);
    assert_unharmed(&client).await;
}

/// D13, R-ERROR-2
async fn d13_an_error_that_is_too_large_arrives_as_a_failure(net: Net) {
    let fail = move |_: Session, (size,): (usize,), (numbers,): (Receiver<i64, Problem>,)| {
        let numbers = numbers.map(|number| match number {
            Ok(number) => Ok(number),
            Err(StreamError::App(problem)) => Ok(problem.0.len() as i64),
            Err(StreamError::Failed) => Ok(-1),
            Err(error) => panic!("{error}"),
        });
        numbers.chain(stream::iter([Err(Problem("x".repeat(size)))]))
    };
    let rig = Rig::start(net, server_with(|e| e.stream("fail", fail)).build().unwrap()).await;
    let client = rig.lasting_client();
    // The length of the text takes two bytes.
    let largest = 4 * 1024 - 2;
    for (size, arrives) in [(largest, true), (largest + 1, false), (300 * 1024, false)] {
        let (input, numbers) = channel_with_error::<i64, Problem>();
        let call = client.call("Example.fail").arguments(&(size,)).parameter(numbers);
        let mut replies = call.stream_with_error::<i64, Problem>();
        input.send(7).await.unwrap();
        input.fail(Problem("y".repeat(size)));
        let seen = if arrives { size as i64 } else { -1 };
        let error = match arrives {
            true => StreamError::App(size),
            false => StreamError::Failed,
        };
        let (replies, end) = drain(&mut replies).await;
        assert_eq!(replies, [7, seen]);
        assert_eq!(end.map(|end| end.map_app(|problem| problem.0.len())), Some(error));
    }
    assert_unharmed(&client).await;
}

/// Panics when it is dropped.
struct Bomb(#[allow(dead_code, reason = "counts")] Raised);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "boom");
    }
}

/// Numbers, and then what `ends` says, with a bomb inside.
struct Armed {
    left: u64,
    ends: bool,
    _bomb: Bomb,
}

impl Stream for Armed {
    type Item = Result<u64, Problem>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(left)))
            }
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// D14, R-CALL-6
async fn d14_a_handler_that_panics_as_it_is_dropped_harms_nobody(net: Net) {
    let watch = Watch::default();
    let server = server_with(|example| {
        let calls = watch.clone();
        let example =
            example.stream("stream", move |session: Session, (ends,): (bool,), (): ()| Armed {
                left: 3,
                ends,
                _bomb: Bomb(calls.enter(&session)),
            });
        let calls = watch.clone();
        example.unary("value", move |session: Session, (): (), (): ()| {
            let bomb = Bomb(calls.enter(&session));
            async move {
                let _bomb = bomb;
                Ok::<_, Problem>(7)
            }
        })
    });
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.lasting_client();
    let (input, messages) = channel::<String>();
    let mut sibling = client.call("Example.echo").parameter(messages).stream::<String>();

    // As it ends by itself: what it said before stands.
    let call = client.call("Example.stream").arguments(&(true,));
    assert_eq!(drain(&mut call.stream::<u64>()).await, (vec![2, 1, 0], None));
    // Before it has said anything: it is a failure as any other.
    let value = client.call("Example.value").unary_with_error::<u8, Problem>().await;
    assert_eq!(value, Err(StreamError::Failed));
    // As its caller gives it up.
    let mut replies = client.call("Example.stream").arguments(&(false,)).stream::<u64>();
    for number in [2, 1, 0] {
        assert_eq!(replies.next().await, Some(Ok(number)));
    }
    drop(replies);
    watch.until_over(3).await;

    input.send("still here".into()).await.unwrap();
    assert_eq!(sibling.next().await, Some(Ok("still here".into())));
    assert_unharmed(&client).await;

    // As its connection is lost.
    let mut replies = client.call("Example.stream").arguments(&(false,)).stream::<u64>();
    assert_eq!(replies.next().await, Some(Ok(2)));
    client.line.cut();
    watch.until_over(4).await;
    until("the end of the connection", || rig.server.connections() == 0).await;
}
