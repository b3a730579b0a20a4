//! Group B: the shapes of methods.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::stream::{FusedStream, select, select_all};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use wirestream::{
    Client, Fields, Limits, NoError, Object, Receiver, RejectCode, SendError, Server, Session,
    StreamError, Value, channel,
};
use wirestream_tests::{Net, Rig, scenarios, soon, until};

use crate::methods::{Problem, Watch, drain, feed, server, server_with};

scenarios! {
    b1_a_stream_comes_in_order_then_ends,
    b2_a_plain_argument_says_where_to_count_from,
    b3_every_type_comes_back_as_it_was,
    b3_byte_strings_come_back_empty_and_of_a_mebibyte,
    b4_mixed_types_in_one_stream_keep_order_and_type,
    b5_the_first_of_a_stream_is_a_value_and_stops_the_stream,
    b6_a_unit_comes_when_the_input_ends_and_no_message_is_sent,
    b7_an_optional_value_may_be_none,
    b8_two_inputs_make_one_output,
    b9_one_input_ends_and_the_other_still_echoes,
    b10_both_inputs_end_and_so_does_the_call,
    b11_sixteen_inputs_and_not_one_more,
    b12_a_method_without_streams,
    b13_plain_arguments_together_with_streams,
}

/// B1
async fn b1_a_stream_comes_in_order_then_ends(net: Net) {
    let watch = Watch::default();
    let count = {
        let watch = watch.clone();
        move |session: Session, (n,): (u64,), (): ()| {
            watch.stream(&session, stream::iter((0..n).map(Ok::<_, NoError>)))
        }
    };
    let server = server_with(|example| example.stream("watched", count)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client_with(Limits::default());
    let lengths = [0, 1, 2, 1_000, 10_000];
    for n in lengths {
        let mut counted = client.call("Example.watched").arguments(&(n,)).stream::<u64>();
        assert_eq!(drain(&mut counted).await, ((0..n).collect(), None));
        assert!(counted.is_terminated());
        assert_eq!(counted.next().await, None, "what has ended stays so");
    }
    watch.until_over(lengths.len()).await;
    assert_eq!(client.line.dials(), 1);
}

/// B2
async fn b2_a_plain_argument_says_where_to_count_from(net: Net) {
    let watch = Watch::default();
    let from = {
        let watch = watch.clone();
        move |session: Session, (start,): (i64,), (): ()| {
            watch.stream(&session, stream::iter((start..).map(Ok::<_, NoError>)))
        }
    };
    let server = server_with(|example| example.stream("from", from)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client();
    let starts = [0, 42, -3, i64::MIN];
    for start in starts {
        let counted = client.call("Example.from").arguments(&(start,)).stream::<i64>();
        let counted: Vec<_> = counted.take(500).map(Result::unwrap).collect().await;
        assert_eq!(counted, (start..start + 500).collect::<Vec<_>>());
    }
    watch.until_over(starts.len()).await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Player {
    name: String,
    level: u32,
    best: Option<f32>,
    friends: Vec<Player>,
}

fn ann() -> Player {
    let bob = Player { name: "Bób".into(), level: u32::MAX, best: None, friends: Vec::new() };
    Player { name: "Ann".into(), level: 3, best: Some(-0.5), friends: vec![bob] }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(f64),
    Line(i8, i8),
    Rectangle { width: u64, height: u64 },
}

fn shapes() -> Vec<Shape> {
    let rectangle = Shape::Rectangle { width: 0, height: u64::MAX };
    vec![rectangle, Shape::Empty, Shape::Line(-128, 127), Shape::Circle(1e300)]
}

/// A float that is equal to itself if it has the same bits, be it a number or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Double(f64);

impl PartialEq for Double {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Single(f32);

impl PartialEq for Single {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

/// Sends back what it receives; an error too, as a problem.
fn same<T: DeserializeOwned>(
    _: Session,
    (): (),
    (items,): (Receiver<T>,),
) -> impl Stream<Item = Result<T, Problem>> {
    items.map(|item| item.map_err(|error| Problem(error.to_string())))
}

/// What the method `Example.{method}` sends back, all of it.
async fn echoed<T>(client: &Client, method: &str, items: Vec<T>) -> Vec<T>
where
    T: Serialize + DeserializeOwned + Debug + Send + 'static,
{
    let call = client.call(format!("Example.{method}")).parameter(stream::iter(items));
    let (items, end) = drain(&mut call.stream_with_error::<T, Problem>()).await;
    assert_eq!(end, None);
    items
}

/// The items come back from a method of their type, and as values from one of mixed types.
async fn check_same<T>(net: Net, items: Vec<T>)
where
    T: Serialize + DeserializeOwned + PartialEq + Clone + Debug + Send + 'static,
{
    let server =
        server_with(|example| example.stream("typed", same::<T>).stream("mixed", same::<Value>));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.client();
    assert_eq!(echoed(&client, "typed", items.clone()).await, items);
    let values = items.iter().map(|item| Value::from_serialize(item).unwrap()).collect();
    let values: Vec<Value> = echoed(&client, "mixed", values).await;
    assert_eq!(values.iter().map(|value| value.to::<T>().unwrap()).collect::<Vec<_>>(), items);
}

/// B3
async fn b3_every_type_comes_back_as_it_was(net: Net) {
    check_same(net, vec![(), ()]).await;
    check_same(net, vec![true, false]).await;
    check_same(net, vec![0_u8, u8::MAX]).await;
    check_same(net, vec![0, 1, -1, i32::MIN, i32::MAX]).await;
    check_same(net, vec![i64::MIN, i64::MAX]).await;
    check_same(net, vec![0, i128::MIN, i128::MAX]).await;
    check_same(net, vec![0, u128::from(u64::MAX) + 1, u128::MAX]).await;
    let nan = f64::from_bits(0x7ff8_0000_dead_beef);
    let doubles = [nan, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.1, f64::MIN_POSITIVE];
    check_same(net, doubles.map(Double).into()).await;
    let singles = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.1];
    check_same(net, singles.map(Single).into()).await;
    check_same(net, vec!['a', '\0', '🦀']).await;
    check_same(net, ["", "text", "\0", "ünï🦀"].map(String::from).into()).await;
    check_same(net, vec![ann()]).await;
    check_same(net, shapes()).await;
    check_same(net, vec![Some(1), None, Some(0)]).await;
    check_same(net, vec![Some(Some(1)), Some(None), None]).await; // R-VALUE-6
    check_same(net, vec![Some(ann()), None]).await;
    check_same(net, vec![vec![], vec![1], (0..1_000).collect()]).await;
    check_same(net, vec![vec![vec![1], vec![]], vec![], vec![vec![]]]).await;
    check_same(net, vec![BTreeSet::from(["b".to_owned(), "a".into()]), BTreeSet::new()]).await;
    check_same(net, vec![(0..100).collect::<HashSet<u16>>()]).await;
    check_same(net, vec![(1_u8, "one".to_owned(), [1.5, 2.5], (None::<u8>,))]).await;
    check_same(net, vec![BTreeMap::from([(ann().name, vec![ann()])]), BTreeMap::new()]).await;
    check_same(net, vec![HashMap::from([(1_u64, Shape::Empty), (2, Shape::Line(1, 2))])]).await;
}

/// B3
async fn b3_byte_strings_come_back_empty_and_of_a_mebibyte(net: Net) {
    const MEBIBYTE: usize = 1 << 20;
    // Room for the largest, with what says its type and length.
    let raised = Limits { message: (1 << 20) + 8, connection_window: 1 << 22, ..Limits::default() };
    let server = server_with(|example| {
        example.stream("bytes", same::<Vec<u8>>).stream("values", same::<Value>)
    });
    let rig = Rig::start(net, server.limits(raised.clone()).build().unwrap()).await;
    let client = rig.client_with(raised);
    let bytes = |len: usize| (0..len).map(|i| (i * i % 251) as u8).collect::<Vec<_>>();
    let strings = [0, 1, MEBIBYTE, 16_384, MEBIBYTE, 0].map(bytes).to_vec();
    assert!(echoed(&client, "bytes", strings.clone()).await == strings);
    let values: Vec<Value> = strings.into_iter().map(Value::from).collect();
    assert!(echoed(&client, "values", values.clone()).await == values);
    // One past the limit is not sent, and harms nothing.
    let (input, messages) = channel::<Vec<u8>>();
    let call = client.call("Example.bytes").parameter(messages);
    let mut back = call.stream_with_error::<Vec<u8>, Problem>();
    input.send(vec![1]).await.unwrap();
    assert_eq!(back.next().await, Some(Ok(vec![1])));
    let large = input.send(bytes(MEBIBYTE + 6)).await;
    let (size, limit) = (MEBIBYTE + 9, MEBIBYTE + 8);
    assert_eq!(large, Err(SendError::TooLarge { size, limit }));
    input.send(vec![2]).await.unwrap();
    input.finish();
    assert_eq!(drain(&mut back).await, (vec![vec![2]], None));
}

/// B4
async fn b4_mixed_types_in_one_stream_keep_order_and_type(net: Net) {
    let server = server_with(|example| example.stream("mixed", same::<Value>)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client();
    let object = Object {
        name: "Vector".into(),
        variant: None,
        fields: Fields::Tuple(vec![1.into(), 2.0.into()]),
    };
    let one_of_each = vec![
        Value::Null,
        true.into(),
        42.into(),
        u128::MAX.into(),
        1.5_f32.into(),
        1.5_f64.into(),
        "42".into(),
        b"42".as_slice().into(),
        vec![Value::from(42), "42".into(), Value::Null].into(),
        Value::Map(vec![("key".into(), 1.into()), (Value::Null, "key".into())]),
        object.into(),
        Value::object(&ann()).unwrap(),
        Value::object(&Shape::Line(1, 2)).unwrap(),
        Value::Some(Box::new(Value::Null)),
    ];
    let kinds = one_of_each.len();
    let sent: Vec<_> = one_of_each.into_iter().cycle().take(50 * kinds + 1).collect();
    let back = echoed(&client, "mixed", sent.clone()).await;
    assert_eq!(back, sent);
    for values in back.chunks_exact(kinds) {
        assert_eq!(values[11].name(), Some("Player"));
        assert_eq!(values[11].to::<Player>(), Ok(ann()));
        assert_eq!(values[12].variant(), Some("Line"));
        assert_eq!(values[12].to::<Shape>(), Ok(Shape::Line(1, 2)));
    }
}

/// B5: the stream is stopped when the method drops it, while the call goes on (R-HALF-3).
async fn b5_the_first_of_a_stream_is_a_value_and_stops_the_stream(net: Net) {
    let (watch, gate) = (Watch::default(), Arc::new(Notify::new()));
    let first = {
        let (watch, gate) = (watch.clone(), Arc::clone(&gate));
        move |session: Session, (): (), (mut input,): (Receiver<String>,)| {
            let (watch, gate) = (watch.clone(), Arc::clone(&gate));
            async move {
                let _running = watch.enter(&session);
                let first = input.next().await;
                drop(input);
                gate.notified().await;
                first.and_then(Result::ok).ok_or_else(|| Problem::new("nothing came"))
            }
        }
    };
    let server = server_with(|example| example.unary("first", first)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client();
    let (input, messages) = channel::<String>();
    let call = client.call("Example.first").parameter(messages);
    let mut first = call.unary_with_error::<String, Problem>();
    input.send("first".into()).await.unwrap();
    soon("the stop of the input", input.closed()).await;
    assert_eq!(input.send("second".into()).await, Err(SendError::Stopped));
    assert_eq!((&mut first).now_or_never(), None, "the call goes on");
    assert_eq!(watch.running(), 1);
    gate.notify_one();
    assert_eq!(first.await, Ok("first".into()));
    watch.until_over(1).await;
    // An input that ends without a first message has no value.
    gate.notify_one();
    let call = client.call("Example.first").parameter(stream::empty::<String>());
    let error = call.unary_with_error::<String, Problem>().await;
    assert_eq!(error, Err(StreamError::App(Problem::new("nothing came"))));
}

/// B6: a value that takes no bytes is not sent (R-CALL-8).
async fn b6_a_unit_comes_when_the_input_ends_and_no_message_is_sent(net: Net) {
    let (watch, taken) = (Watch::default(), Arc::new(AtomicUsize::new(0)));
    let swallow = {
        let (watch, taken) = (watch.clone(), Arc::clone(&taken));
        move |session: Session, (): (), (mut input,): (Receiver<u64>,)| {
            let (watch, taken) = (watch.clone(), Arc::clone(&taken));
            async move {
                let _running = watch.enter(&session);
                while let Some(item) = input.next().await {
                    item.map_err(|error| Problem(error.to_string()))?;
                    taken.fetch_add(1, Ordering::SeqCst);
                }
                Ok::<_, Problem>(())
            }
        }
    };
    let server = server_with(|example| example.unary("swallow", swallow)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client();
    let (input, messages) = channel::<u64>();
    let mut done = client.call("Example.swallow").parameter(messages).unary::<()>();
    for n in 0..100 {
        input.send(n).await.unwrap();
    }
    until("the method's taking of all", || taken.load(Ordering::SeqCst) == 100).await;
    assert_eq!((&mut done).now_or_never(), None, "the input has not ended");
    input.finish();
    assert_eq!(done.await, Ok(()));
    let call = client.call("Example.swallow").parameter(stream::iter([1_u64]));
    assert_eq!(drain(&mut call.stream::<()>()).await, (vec![], None), "the end is all there is");
    watch.until_over(2).await;
}

/// B7
async fn b7_an_optional_value_may_be_none(net: Net) {
    let find = |_: Session, (key,): (String,), (): ()| async move {
        Ok::<_, NoError>((key != "nothing").then_some(key))
    };
    let mark = |_: Session, (there,): (bool,), (): ()| async move {
        Ok::<_, NoError>(there.then_some(()))
    };
    let server = server_with(|example| example.unary("find", find).unary("mark", mark));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.client();
    for (key, found) in [("nothing", None), ("key", Some("key")), ("", Some(""))] {
        let call = client.call("Example.find").arguments(&(key,));
        assert_eq!(call.unary::<Option<String>>().await, Ok(found.map(String::from)));
    }
    for (there, mark) in [(true, Some(())), (false, None)] {
        let call = client.call("Example.mark").arguments(&(there,));
        assert_eq!(call.unary::<Option<()>>().await, Ok(mark));
    }
}

/// B8
async fn b8_two_inputs_make_one_output(net: Net) {
    let watch = Watch::default();
    let label = {
        let watch = watch.clone();
        move |session: Session, (): (), (names, numbers): (Receiver<String>, Receiver<u32>)| {
            let labels = names.zip(numbers).map(|pair| match pair {
                (Ok(name), Ok(number)) => Ok(format!("{name}{number}")),
                (name, number) => Err(Problem(format!("{name:?} {number:?}"))),
            });
            watch.stream(&session, labels)
        }
    };
    let server = server_with(|example| example.stream("label", label)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client();
    let (names, first) = channel::<String>();
    let (numbers, second) = channel::<u32>();
    let call = client.call("Example.label").parameter(first).parameter(second);
    let mut labels = call.stream_with_error::<String, Problem>();
    // All of one, then the other bit by bit: each output waits for both.
    feed(names, (0..100).map(|n| format!("n{n}:"))).await;
    for n in 0..100 {
        assert_eq!(labels.next().now_or_never(), None, "half a pair is none");
        numbers.send(n * 7).await.unwrap();
        assert_eq!(labels.next().await, Some(Ok(format!("n{n}:{}", n * 7))));
    }
    numbers.finish();
    assert_eq!(labels.next().await, None);
    watch.until_over(1).await;
}

/// A server whose method `merge` echoes two inputs, each message as it comes.
fn merging(watch: &Watch) -> Server {
    let watch = watch.clone();
    let merge = move |session: Session, (): (), inputs: (Receiver<String>, Receiver<String>)| {
        let merged = select(inputs.0, inputs.1);
        watch.stream(&session, merged.map(|item| item.map_err(|e| Problem(e.to_string()))))
    };
    server_with(|example| example.stream("merge", merge)).build().unwrap()
}

/// B9
async fn b9_one_input_ends_and_the_other_still_echoes(net: Net) {
    let watch = Watch::default();
    let rig = Rig::start(net, merging(&watch)).await;
    let client = rig.client();
    for ends_first in [0, 1] {
        let (left, first) = channel::<String>();
        let (right, second) = channel::<String>();
        let call = client.call("Example.merge").parameter(first).parameter(second);
        let mut merged = call.stream_with_error::<String, Problem>();
        let mut inputs = vec![left, right];
        for (input, name) in inputs.iter().zip(["left", "right"]) {
            input.send(name.into()).await.unwrap();
            assert_eq!(merged.next().await, Some(Ok(name.into())));
        }
        inputs.remove(ends_first).finish();
        for n in 0..100 {
            inputs[0].send(n.to_string()).await.unwrap();
            assert_eq!(merged.next().await, Some(Ok(n.to_string())));
        }
        assert_eq!(watch.running(), 1);
        inputs.remove(0).finish();
        assert_eq!(merged.next().await, None);
        watch.until_over(ends_first + 1).await;
    }
}

/// B10: one input's end is not the call's (R-HALF-5); the reply's is (R-CALL-4).
async fn b10_both_inputs_end_and_so_does_the_call(net: Net) {
    let watch = Watch::default();
    let rig = Rig::start(net, merging(&watch)).await;
    let client = rig.client();
    let (left, first) = channel::<String>();
    let (right, second) = channel::<String>();
    let call = client.call("Example.merge").parameter(first).parameter(second);
    let mut merged = call.stream_with_error::<String, Problem>();
    left.send("only".into()).await.unwrap();
    left.finish();
    assert_eq!(merged.next().await, Some(Ok("only".into())));
    assert_eq!(merged.next().now_or_never(), None, "the other may still come");
    right.finish();
    assert_eq!(merged.next().await, None);
    watch.until_over(1).await;
    // Both at once, and both empty.
    let none = || stream::empty::<String>();
    let call = client.call("Example.merge").parameter(none()).parameter(none());
    let mut merged = call.stream_with_error::<String, Problem>();
    assert_eq!(drain(&mut merged).await, (vec![], None));
    watch.until_over(2).await;
}

type Numbers = Receiver<u32>;

/// Sixteen of something, in the place of a tuple's type.
macro_rules! sixteen {
    ($it:ty) => {
        ($it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it, $it)
    };
}

/// Tells what comes, and on which input.
fn tell(inputs: Vec<Numbers>) -> impl Stream<Item = Result<(usize, u32), Problem>> {
    select_all(inputs.into_iter().enumerate().map(|(place, input)| {
        input
            .map(move |n| n.map(|n| (place, n)).map_err(|error| Problem(error.to_string())))
            .boxed()
    }))
}

/// B11
async fn b11_sixteen_inputs_and_not_one_more(net: Net) {
    let watch = Watch::default();
    let tuple = {
        let watch = watch.clone();
        move |session: Session, (): (), inputs: sixteen!(Numbers)| {
            let (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) = inputs;
            let inputs = vec![a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
            watch.stream(&session, tell(inputs))
        }
    };
    let list = {
        let watch = watch.clone();
        move |session: Session, (): (), inputs: Vec<Numbers>| watch.stream(&session, tell(inputs))
    };
    let server = server_with(|e| e.stream("tuple", tuple).stream("list", list)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client_with(Limits::default());
    let call = |method: &str, inputs: u32| {
        (0..inputs).fold(client.call(format!("Example.{method}")), |call, place| {
            call.parameter(stream::iter((0..100).map(move |n| place * 1_000 + n)))
        })
    };
    for (method, inputs) in [("tuple", 16), ("list", 16), ("list", 3), ("list", 0)] {
        let mut told = call(method, inputs).stream_with_error::<(usize, u32), Problem>();
        let (told, end) = drain(&mut told).await;
        assert_eq!(end, None);
        let mut of_input = vec![Vec::new(); inputs as usize];
        told.into_iter().for_each(|(place, n)| of_input[place].push(n));
        let expected: Vec<Vec<_>> =
            (0..inputs).map(|place| (place * 1_000..place * 1_000 + 100).collect()).collect();
        assert_eq!(of_input, expected);
    }
    for (method, inputs) in [("tuple", 15), ("tuple", 17), ("list", 17)] {
        let Err(StreamError::Rejected(rejection)) = call(method, inputs).unary::<()>().await else {
            panic!("{inputs} inputs were taken");
        };
        assert_eq!(rejection.code, RejectCode::InvalidArguments);
    }
    watch.until_over(4).await;
    assert_eq!(client.line.dials(), 1);
}

/// B12
async fn b12_a_method_without_streams(net: Net) {
    let rig = Rig::start(net, server()).await;
    let client = rig.client_with(Limits::default());
    let add = |a: i64, b: i64| client.call("Example.add").arguments(&(a, b)).unary::<i64>();
    assert_eq!(add(-2, 5).await, Ok(3));
    // Many at once answer each its own.
    let sums = join_all((0..50).map(|n| add(n, 1_000))).await;
    assert_eq!(sums, (1_000..1_050).map(Ok).collect::<Vec<_>>());
    assert_eq!(client.line.dials(), 1);
}

/// B13
async fn b13_plain_arguments_together_with_streams(net: Net) {
    let watch = Watch::default();
    let scale = {
        let watch = watch.clone();
        move |session: Session,
              (unit, factor): (String, i64),
              (numbers, notes): (Receiver<i64>, Receiver<Option<String>>)| {
            let scaled = numbers.zip(notes).map(move |pair| match pair {
                (Ok(number), Ok(note)) => Ok((format!("{} {unit}", number * factor), note)),
                (number, note) => Err(Problem(format!("{number:?} {note:?}"))),
            });
            watch.stream(&session, scaled)
        }
    };
    let server = server_with(|example| example.stream("scale", scale)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client();
    let note = |n: i64| (n % 2 == 0).then(|| format!("note {n}"));
    let call = client
        .call("Example.scale")
        .arguments(&("km", 3_i64))
        .parameter(stream::iter(0..300_i64))
        .parameter(stream::iter((0..300).map(note)));
    let mut scaled = call.stream_with_error::<(String, Option<String>), Problem>();
    let expected = (0..300).map(|n| (format!("{} km", n * 3), note(n))).collect();
    assert_eq!(drain(&mut scaled).await, (expected, None));
    watch.until_over(1).await;
}
