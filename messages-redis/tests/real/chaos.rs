//! A network between a bus and its Redis that fails: at any byte, on either of the two connections.
//! `CHAOS=long` tries many more places.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use wirestream::BusError;
use wirestream_redis::RedisConfig;

use crate::node::{Arrived, Node, hasty, patient, soon, until};
use crate::proxy::{Fault, Proxy, Way};
use crate::server::RedisServer;

/// Messages each way while the fault strikes.
const COUNT: u64 = 40;

/// No handshake with Redis is as short, so a fault that is not behind this strikes.
const SURE: usize = 30;

/// What has arrived of one poster, who numbers what it posts on one channel.
#[derive(Default)]
struct Heard {
    next: u64,
    is_told: bool,
    gaps: usize,
}

impl Heard {
    /// In order, each once; and what is missing was told before.
    fn take(&mut self, arrived: Arrived) {
        match arrived {
            Arrived::Gap(_) => {
                self.is_told = true;
                self.gaps += 1;
            }
            Arrived::Message(_, text) => {
                let number = number(&text);
                assert!(number >= self.next, "{number} came twice, or late");
                assert!(number == self.next || self.is_told, "{} is missing", self.next);
                (self.next, self.is_told) = (number + 1, false);
            }
        }
    }
}

/// Some take several reads.
fn text(number: u64) -> String {
    format!("{number} {}", "x".repeat(if number.is_multiple_of(7) { 3_000 } else { 5 }))
}

fn number(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).expect("text");
    let (number, _) = text.split_once(' ').expect("a number");
    let number = number.parse().expect("a number");
    assert_eq!(text, self::text(number), "another message than was sent");
    number
}

/// Whether it was done; what was not says that it may not have been.
fn is_done(result: &Result<(), BusError>) -> bool {
    match result {
        Ok(()) => true,
        Err(BusError::Lost { .. } | BusError::TimedOut(_) | BusError::Unavailable { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// How a run went.
struct Outcome {
    connections: usize,
    gaps: usize,
    unsent: usize,
}

/// Two nodes that post to each other, one of them through a network whose connection of that number
/// has a fault.
async fn with(server: &RedisServer, config: RedisConfig, which: usize, fault: Fault) -> Outcome {
    let namespace = format!("{which} {fault:?}");
    let redis = SocketAddr::from(([127, 0, 0, 1], server.port()));
    let proxy = Proxy::on_connection(which, redis, fault).await;
    let far = RedisConfig { namespace: namespace.clone(), ..config };
    let mut far = Node::new(&format!("redis://{}", proxy.address), far);
    let mut near = Node::new(&server.url(), RedisConfig { namespace, ..patient() });
    near.subscribe("sent").await.expect("nothing is between this one and Redis");
    // Wanted from now on, confirmed or not.
    let _ = is_done(&far.subscribe("news").await);

    let mut unsent = 0;
    let mut confirmed = None;
    let posting = async {
        for number in 0..COUNT {
            near.publish("news", &text(number)).await.expect("nothing is in between");
        }
    };
    let sending = async {
        for number in 0..COUNT {
            match is_done(&far.publish("sent", &text(number)).await) {
                true => confirmed = Some(number),
                false => unsent += 1,
            }
        }
    };
    future::join(posting, sending).await;

    // Until both ways work again.
    let mut heard = Heard::default();
    let mut last = COUNT;
    let recovery = async {
        loop {
            near.publish("news", &text(last)).await.expect("nothing is in between");
            let waiting = Duration::from_millis(50);
            while let Ok(arrived) = tokio::time::timeout(waiting, far.next()).await {
                heard.take(arrived);
                if heard.next > last {
                    return;
                }
            }
            last += 1;
        }
    };
    soon("a message behind the fault", recovery).await;
    let mut last = COUNT;
    while !is_done(&far.publish("sent", &text(last)).await) {
        last += 1;
    }

    // What was confirmed has arrived, all of it where nothing failed; what was not, once at most.
    let mut came = Vec::new();
    while came.last() != Some(&last) {
        let Arrived::Message(_, text) = near.next().await else { panic!("a gap without a cause") };
        came.push(number(&text));
    }
    assert!(came.is_sorted_by(|one, next| one < next), "{fault:?}: {came:?}");
    assert!(confirmed.is_none_or(|number| came.contains(&number)), "{confirmed:?}: {came:?}");
    assert!(came.len() + unsent > COUNT as usize, "{came:?}, {unsent} are said to be unsent");
    Outcome { connections: proxy.connections(), gaps: heard.gaps, unsent }
}

/// Runs each fault on either connection, some at a time: how each went.
async fn with_each(config: RedisConfig, faults: Vec<Fault>) -> Vec<(Fault, Outcome)> {
    let server = RedisServer::start();
    let each = faults.into_iter().flat_map(|fault| [(0, fault), (1, fault)]);
    let run = async |(which, fault)| (fault, with(&server, config.clone(), which, fault).await);
    let outcomes = stream::iter(each).map(run).buffer_unordered(8).collect().await;
    // Their threads and connections ended with the nodes.
    until("no connection left", || server.clients() == 0).await;
    outcomes
}

/// Where faults strike: within the handshake, the subscription or the messages.
fn places() -> Vec<usize> {
    let is_long = std::env::var("CHAOS").is_ok_and(|how| how == "long");
    let (step, far) = if is_long { (1, 97) } else { (23, 2_003) };
    (1..300).step_by(step).chain((300..12_000).step_by(far)).collect()
}

/// How many of the faults ended a connection, in whose place a new one was made. Those within the
/// handshake must have.
fn struck(outcomes: &[(Fault, Outcome)], at: impl Fn(Fault) -> usize) -> usize {
    let is_struck = |outcome: &Outcome| outcome.connections > 2;
    for (fault, outcome) in outcomes {
        assert!(at(*fault) > SURE || is_struck(outcome), "{fault:?} did nothing");
    }
    outcomes.iter().filter(|(_, outcome)| is_struck(outcome)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_redis_that_is_cut_anywhere_costs_no_more_than_is_told() {
    let both = |at| {
        [Way::Up, Way::Down]
            .into_iter()
            .flat_map(move |way| [Fault::Cut(way, at), Fault::Reset(way, at)])
    };
    let outcomes = with_each(patient(), places().into_iter().flat_map(both).collect()).await;
    let at = |fault| match fault {
        Fault::Cut(_, at) | Fault::Reset(_, at) => at,
        _ => usize::MAX,
    };
    assert!(struck(&outcomes, at) > outcomes.len() / 3);
    let after = outcomes.iter().filter(|(fault, _)| at(*fault) > SURE);
    assert!(after.map(|(_, outcome)| outcome.gaps).sum::<usize>() > 0, "no gap was told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_to_redis_that_falls_silent_anywhere_is_given_up_in_time() {
    let some = places().into_iter().step_by(3);
    let both = |at| {
        [Way::Up, Way::Down]
            .into_iter()
            .flat_map(move |way| [Fault::Hole(way, at), Fault::BlackHole(way, at)])
    };
    let outcomes = with_each(hasty(), some.flat_map(both).collect()).await;
    let at = |fault| match fault {
        Fault::Hole(_, at) | Fault::BlackHole(_, at) => at,
        _ => usize::MAX,
    };
    assert!(struck(&outcomes, at) > outcomes.len() / 3);
}

/// Messages that come down say nothing about the way up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_is_not_answered_is_made_anew_however_much_arrives_meanwhile() {
    let server = RedisServer::start();
    let redis = SocketAddr::from(([127, 0, 0, 1], server.port()));
    let near = Node::new(&server.url(), patient());
    let mut struck = 0;
    for which in [0, 1] {
        let proxy = Proxy::on_connection(which, redis, Fault::Hole(Way::Up, 5_000)).await;
        let far = Node::new(&format!("redis://{}", proxy.address), hasty());
        assert_eq!(far.subscribe("news").await, Ok(()));
        let posting = async {
            loop {
                near.publish("news", "come on").await.expect("nothing is in between");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let subscribing = async {
            for number in 0..20 {
                let name = format!("{number} {}", "x".repeat(500));
                while !is_done(&far.subscribe(&name).await) {}
            }
        };
        tokio::select! {
            () = posting => {}
            () = soon("every subscription", subscribing) => {}
        }
        struck += proxy.connections() - 2;
    }
    assert_eq!(struck, 1, "the connection that subscribes was to be made anew, once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_to_redis_in_pieces_in_lumps_or_late_costs_nothing() {
    let mut faults = vec![Fault::Nothing, Fault::Coalesce];
    faults.extend([1, 7, 100, 1_000].map(Fault::Split));
    faults.extend([1, 5, 20].map(Fault::Delay));
    for (fault, outcome) in with_each(patient(), faults).await {
        let Outcome { connections, gaps, unsent } = outcome;
        assert_eq!((connections, gaps, unsent), (2, 0, 0), "{fault:?}");
    }
}
