//! Calls of every kind: the method that all of them call, and those who call it.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{self, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use wirestream::{
    BoxFuture, Client, Endpoint, Receiver, Sender, Session, StreamError, channel_with_error,
};
use wirestream_sim::World;

use crate::oracle::{After, Ending, Item, Live, Oracle};

/// What a call takes at most where nobody pauses and nothing fails: less than the silence after which
/// a ping wakes everybody.
const BRISK: Duration = Duration::from_secs(10);

/// What a caller wants of the method.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Wish {
    reply: Course,
    /// What it is to read of each parameter: the stream's name, and how slowly.
    parameters: Vec<(u64, Pace, Option<u32>)>,
    /// Whether the reply ends only once the parameters were read.
    waits: bool,
}

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Course {
    stream: u64,
    items: u32,
    ending: Ending,
    pace: Pace,
}

/// Whether there are pauses, of how many milliseconds, and after how many messages.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pace {
    pause: u16,
    every: u32,
}

impl Pace {
    fn by_chance(world: &World, oracle: &Oracle) -> Self {
        let most = if oracle.is_brisk() { 3 } else { 5 };
        let pause = [0, 0, 1, 20, 3_000][world.chance(most) as usize];
        Self { pause, every: 1 + world.chance(20) as u32 }
    }

    async fn keep(self, world: &World, place: u32) {
        if self.pause > 0 && place.is_multiple_of(self.every) {
            world.sleep(Duration::from_millis(self.pause.into())).await;
        }
    }
}

impl Course {
    fn by_chance(world: &World, oracle: &Oracle, stream: u64) -> Self {
        let ending = match world.chance(8) {
            0 => Ending::Fail,
            1 => Ending::Break,
            2 if !oracle.is_brisk() => Ending::Never,
            _ => Ending::Finish,
        };
        let items = [0, 1, 5, 40, 400][world.chance(5) as usize];
        let items = world.chance(items + 1) as u32;
        Self { stream, items, ending, pace: Pace::by_chance(world, oracle) }
    }
}

pub(crate) fn endpoint(world: &World, oracle: &Oracle) -> Endpoint {
    let (world, oracle) = (world.clone(), oracle.clone());
    let call = {
        let (world, oracle) = (world.clone(), oracle.clone());
        move |_: Session, (wish,): (Wish,), parameters| serve(&world, &oracle, wish, parameters)
    };
    let any = move |_: Session, (most,): (u8,), parameters| any(&world, &oracle, most, parameters);
    Endpoint::new("Storm").stream("call", call).stream("any", any)
}

/// What takes anything from anybody.
fn any(
    world: &World,
    oracle: &Oracle,
    most: u8,
    parameters: Vec<Receiver<u8, After>>,
) -> impl Stream<Item = Result<Item, After>> + Send + use<> {
    for mut parameter in parameters {
        let live = oracle.live();
        world.spawn(async move {
            while parameter.next().await.is_some() {}
            drop(live);
        });
    }
    let live = oracle.live();
    stream::iter(0..u32::from(most)).map(move |place| {
        let _live = &live;
        Ok(Item::new(0, place))
    })
}

fn serve(
    world: &World,
    oracle: &Oracle,
    wish: Wish,
    parameters: Vec<Receiver<Item, After>>,
) -> impl Stream<Item = Result<Item, After>> + Send + use<> {
    let mut readers = Vec::new();
    for (parameter, (stream, pace, most)) in parameters.into_iter().zip(wish.parameters) {
        let (world, oracle, live) = (world.clone(), oracle.clone(), oracle.live());
        readers.push(world.clone().join(async move {
            read(&world, &oracle, stream, parameter, pace, most).await;
            drop(live);
        }));
    }
    if !wish.waits {
        readers.clear();
    }
    reply(world.clone(), oracle.clone(), wish.reply, readers)
}

fn reply(
    world: World,
    oracle: Oracle,
    course: Course,
    readers: Vec<BoxFuture<Option<()>>>,
) -> impl Stream<Item = Result<Item, After>> + Send {
    let Course { stream, items, ending, pace } = course;
    let start = (0, readers, oracle.live());
    stream::unfold(start, move |(place, mut readers, live): (u32, Vec<_>, Live)| {
        let (world, oracle) = (world.clone(), oracle.clone());
        async move {
            // Once this is asked for the next one, the one before was taken.
            if place > 0 && place <= items {
                oracle.sent(stream, world.now());
            }
            pace.keep(&world, place).await;
            if place < items {
                oracle.begun(stream);
                return Some((Ok(Item::new(stream, place)), (place + 1, readers, live)));
            }
            if place > items {
                return None;
            }
            for reader in readers.drain(..) {
                reader.await;
            }
            oracle.ended(stream, ending);
            match ending {
                Ending::Finish => None,
                Ending::Fail => Some((Err(After(items)), (place + 1, readers, live))),
                Ending::Break => std::panic::resume_unwind(Box::new("as wished")),
                Ending::Never => std::future::pending().await,
            }
        }
    })
}

/// Reads a stream, or so much of it.
async fn read(
    world: &World,
    oracle: &Oracle,
    stream: u64,
    mut receiver: Receiver<Item, After>,
    pace: Pace,
    most: Option<u32>,
) {
    let mut count = 0;
    loop {
        pace.keep(world, count).await;
        if most.is_some_and(|most| count >= most) {
            return oracle.stopped(stream, world.now());
        }
        let end = match receiver.next().await {
            Some(Ok(item)) => {
                oracle.received(stream, count, &item);
                count += 1;
                continue;
            }
            Some(Err(error)) => Err(error),
            None => Ok(()),
        };
        oracle.complete(stream, count, &end);
        assert_eq!(receiver.next().await, None, "something came behind the end");
        return;
    }
}

async fn write(world: World, oracle: Oracle, course: Course, sender: Sender<Item, After>) {
    let Course { stream, items, ending, pace } = course;
    for place in 0..items {
        pace.keep(&world, place).await;
        oracle.begun(stream);
        if sender.send(Item::new(stream, place)).await.is_err() {
            return;
        }
        oracle.sent(stream, world.now());
    }
    oracle.ended(stream, ending);
    match ending {
        Ending::Finish => sender.finish(),
        Ending::Fail => sender.fail(After(items)),
        Ending::Break => drop(sender),
        Ending::Never => sender.closed().await,
    }
}

/// Makes one call, and sees it to its end.
pub(crate) async fn call(world: &World, oracle: &Oracle, client: &Client) {
    let _live = oracle.live();
    let count = world.chance(3);
    let begun = world.now();
    let courses: Vec<_> =
        (0..count).map(|_| Course::by_chance(world, oracle, oracle.stream(false))).collect();
    let some = |most| (world.chance(6) == 0).then(|| world.chance(most) as u32);
    let pace = || Pace::by_chance(world, oracle);
    let parameters = courses.iter().map(|course| (course.stream, pace(), some(20))).collect();
    let are_written = courses.iter().all(|course| course.ending != Ending::Never);
    let waits = are_written && world.chance(2) == 0;
    let reply = Course::by_chance(world, oracle, oracle.stream(true));
    let wish = Wish { reply, parameters, waits };
    let is_hasty = are_written && count > 0 && world.chance(4) == 0;
    let mut writers = Vec::new();
    let mut call = client.call("Storm.call").arguments(&(&wish,));
    for course in courses {
        let (sender, parameter) = channel_with_error();
        call = call.parameter(parameter);
        let (world, oracle, live) = (world.clone(), oracle.clone(), oracle.live());
        writers.push(world.clone().join(async move {
            write(world, oracle, course, sender).await;
            drop(live);
        }));
    }
    let replies = call.stream_with_error::<Item, After>();
    let most = some(60);
    let reading = read(world, oracle, wish.reply.stream, replies, pace(), most);
    // What ends by itself ends, however long it takes; for other methods nobody waits for ever.
    let patience = async {
        match wish.reply.ending {
            // The reply goes as the last parameter is written.
            _ if is_hasty => {
                for writer in writers {
                    writer.await;
                }
            }
            Ending::Never => world.sleep(Duration::from_millis(world.chance(120_000))).await,
            _ => std::future::pending().await,
        }
    };
    match select(pin!(reading), pin!(patience)).await {
        Either::Left(((), _)) => {}
        Either::Right(((), _)) => oracle.given_up(),
    }
    let took = world.now().since(begun);
    assert!(!oracle.is_brisk() || took < BRISK, "a call took {took:?}, and nothing was slow");
}

/// Makes a call that goes on with both its halves open, for as long as what is returned is kept:
/// none, if it did not begin well.
pub(crate) async fn lasting(
    world: &World,
    oracle: &Oracle,
    client: &Client,
) -> Option<impl Sized + use<>> {
    let pace = Pace { pause: 0, every: 1 };
    let course = |stream| Course { stream, items: 50, ending: Ending::Never, pace };
    let (reply, input) = (course(oracle.stream(true)), course(oracle.stream(false)));
    let wish = Wish { reply, parameters: vec![(input.stream, pace, None)], waits: false };
    let (sender, parameter) = channel_with_error();
    let call = client.call("Storm.call").arguments(&(&wish,)).parameter(parameter);
    let mut replies = call.stream_with_error::<Item, After>();
    let (world, oracle, live) = (world.clone(), oracle.clone(), oracle.live());
    world.clone().spawn({
        let oracle = oracle.clone();
        async move {
            write(world, oracle, input, sender).await;
            drop(live);
        }
    });
    for place in 0..reply.items {
        let Some(Ok(item)) = replies.next().await else { return None };
        oracle.received(reply.stream, place, &item);
    }
    Some(replies)
}

/// A call that succeeds once nothing stands in its way.
pub(crate) async fn works(client: &Client, world: &World, oracle: &Oracle) -> bool {
    let reply = Course {
        stream: oracle.stream(true),
        items: 3,
        ending: Ending::Finish,
        pace: Pace { pause: 0, every: 1 },
    };
    let wish = Wish { reply, parameters: Vec::new(), waits: false };
    let mut replies =
        client.call("Storm.call").arguments(&(&wish,)).stream_with_error::<Item, After>();
    let mut place = 0;
    while let Some(item) = replies.next().await {
        match item {
            Ok(item) => oracle.received(reply.stream, place, &item),
            Err(StreamError::Lost(_) | StreamError::Rejected(_)) => {
                world.sleep(Duration::from_secs(1)).await;
                return false;
            }
            Err(error) => panic!("{error:?}"),
        }
        place += 1;
    }
    assert_eq!(place, 3);
    true
}
