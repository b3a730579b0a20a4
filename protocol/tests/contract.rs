//! The contract of the core, line by line, under random scripts on two honest ends.

mod support;

use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngSeed};
use wirestream_protocol::wire::{self, Frame};
use wirestream_protocol::{
    End, Event, Inbound, Limits, Outbound, Received, Role, Run, SendError, Taken,
};

use support::script::{Op, World};
use support::{Pair, Rng, packet, parsed, request};

/// So many cases, always the same ones; more of them or others where the environment says so
/// (`PROPTEST_CASES`, `PROPTEST_RNG_SEED`).
fn runs(cases: u32) -> Runs {
    let mut runs = Runs { failure_persistence: None, ..Runs::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        runs.cases = cases;
    }
    if runs.rng_seed == RngSeed::Random {
        runs.rng_seed = RngSeed::Fixed(1);
    }
    runs
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => Just(0usize),
        4 => 63usize..=65,
        4 => 1usize..2_000,
        3 => 4_095usize..=4_097,
        3 => 16_383usize..=16_385,
        2 => 65_535usize..=65_537,
        1 => 262_143usize..=262_144,
        2 => 1usize..262_144,
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let message = prop_oneof![Just(4_096u32), Just(16_385), Just(65_536), Just(262_144)];
    let frame = || prop_oneof![Just(4_096u32), Just(5_000), Just(16_384), Just(65_536)];
    let half_window = prop_oneof![Just(4_096u32), Just(20_000), Just(262_144)];
    let spare = prop_oneof![3 => Just(0u32), 1 => 1u32..100, 1 => Just(1 << 20)];
    let outbound = prop_oneof![Just(1u32), Just(4_096), Just(65_536), Just(1 << 20)];
    (message, frame(), frame(), half_window, spare, 1u32..6, 1u8..4, outbound).prop_map(
        |(message, chunk, request, half_window, spare, calls, parameters, outbound)| Limits {
            message,
            chunk,
            request,
            half_window,
            connection_window: message.max(request).max(16_384) + spare,
            calls,
            parameters,
            outbound,
            ..Limits::default()
        },
    )
}

/// What an application does in the ordinary course of things.
fn traffic() -> impl Strategy<Value = Op> {
    let fault = prop_oneof![
        3 => Just(None),
        2 => (0usize..100).prop_map(Some),
        1 => prop_oneof![Just(4_097usize), Just(16_384), Just(65_536)].prop_map(Some),
    ];
    let arguments = prop_oneof![4 => 0usize..200, 1 => Just(4_000), 1 => 4_096usize..60_000];
    let half = 1u8..4;
    let pick = 0usize..8;
    prop_oneof![
        4 => (0u8..4, arguments)
            .prop_map(|(parameters, arguments)| Op::Open { parameters, arguments }),
        5 => pick.clone().prop_map(|pick| Op::Accept { pick }),
        16 => (role(), pick.clone(), half.clone(), size())
            .prop_map(|(role, pick, half, size)| Op::Send { role, pick, half, size }),
        3 => (role(), pick.clone(), half.clone(), fault)
            .prop_map(|(role, pick, half, fault)| Op::Finish { role, pick, half, fault }),
        8 => (role(), pick.clone(), half.clone(), 1usize..20)
            .prop_map(|(role, pick, half, count)| Op::Recv { role, pick, half, count }),
        4 => (role(), pick.clone(), half.clone())
            .prop_map(|(role, pick, half)| Op::RecvRun { role, pick, half }),
        8 => (1usize..8).prop_map(|steps| Op::Step { steps }),
        4 => role().prop_map(|role| Op::PollEvents { role }),
        2 => (role(), any::<bool>()).prop_map(|(role, stalled)| Op::Stall { role, stalled }),
        1 => (role(), 1usize..50).prop_map(|(from, times)| Op::Ping { from, times }),
        2 => (1u64..3_000).prop_map(|millis| Op::Pass { millis }),
    ]
}

/// Ends of halves and of calls, from every side.
fn endings() -> impl Strategy<Value = Op> {
    let half = 1u8..4;
    let pick = 0usize..8;
    prop_oneof![
        2 => (role(), pick.clone(), half)
            .prop_map(|(role, pick, half)| Op::Stop { role, pick, half }),
        2 => (role(), pick.clone()).prop_map(|(role, pick)| Op::Release { role, pick }),
        1 => pick.prop_map(|pick| Op::Reject { pick }),
    ]
}

/// Ends of the whole connection, and long silences.
fn losses() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => role().prop_map(|role| Op::Close { role }),
        2 => (role(), 0u64..40).prop_map(|(role, seconds)| Op::Shutdown { role, seconds }),
        1 => Just(Op::Cut),
        2 => (role(), 1usize..12).prop_map(|(role, packets)| Op::CutAfter { role, packets }),
        1 => (3_000u64..60_000).prop_map(|millis| Op::Pass { millis }),
        1 => (1u64..100_000).prop_map(|seconds| Op::Jump { seconds }),
    ]
}

fn script(
    traffic_weight: u32,
    endings_weight: u32,
    losses_weight: u32,
) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        traffic_weight => traffic(),
        endings_weight => endings(),
        losses_weight => losses(),
    ];
    // Most scripts start with calls: without them there is little to go wrong.
    let calls = proptest::collection::vec((0u8..4, any::<bool>()), 0..5).prop_map(|calls| {
        let open = |(parameters, accept)| {
            let mut ops = vec![Op::Open { parameters, arguments: 10 }];
            if accept {
                ops.extend([Op::Step { steps: 3 }, Op::Accept { pick: 0 }]);
            }
            ops
        };
        calls.into_iter().flat_map(open).collect::<Vec<_>>()
    });
    (calls, proptest::collection::vec(op, 1..120)).prop_map(|(calls, rest)| [calls, rest].concat())
}

fn delay() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), (1u64..400).prop_map(Duration::from_millis)]
}

/// Runs a script with all that a [`World`] checks at every step; it comes to rest and is closed.
fn check(client: &Limits, server: &Limits, delay: Duration, script: &[Op]) {
    let mut world = World::new(client.clone(), server.clone(), delay);
    for op in script {
        world.apply(op);
    }
    world.settle();
    world.finish_all();
}

proptest! {
    #![proptest_config(runs(250))]

    /// Taking events early or late, asking for deadlines, handling those that are not due and
    /// polling for packets that are not there change no byte of what is sent, and nothing of what
    /// the applications see.
    #[test]
    fn polls_commute_and_may_be_skipped(
        client in limits(),
        server in limits(),
        script in script(30, 4, 1),
        delay in delay(),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let mut plain = World::new(client.clone(), server.clone(), delay);
        let mut polled = World::new(client, server, delay);
        for op in &script {
            plain.apply(op);
            polled.poll_needlessly(&mut rng);
            polled.apply(op);
            prop_assert_eq!(plain.digests(), polled.digests());
        }
        plain.settle();
        polled.settle();
        plain.finish_all();
        polled.finish_all();
        prop_assert_eq!(plain.pair.client.ended, polled.pair.client.ended);
        prop_assert_eq!(plain.pair.server.ended, polled.pair.server.ended);
    }

    /// Whoever is served first, and however late anything is polled, an echo says the same.
    #[test]
    fn streams_are_the_same_in_every_interleaving(
        client in limits(),
        server in limits(),
        calls in proptest::collection::vec(proptest::collection::vec(size(), 0..12), 1..4),
        seeds in any::<[u64; 2]>(),
    ) {
        let largest = client.message.min(server.message) as usize;
        let calls: Vec<Vec<usize>> = calls
            .into_iter()
            .map(|sizes| sizes.into_iter().map(|size| size.min(largest)).collect())
            .collect();
        for seed in seeds {
            let echoes = Echo::new(&client, &server, seed).run(&calls);
            prop_assert_eq!(&echoes, &calls);
        }
    }

    /// R-CALL-4, R-CALL-5, R-CALL-6, R-CALL-7.
    #[test]
    fn every_call_ends_exactly_once_and_the_connection_last(
        script in script(12, 6, 1),
        delay in delay(),
    ) {
        check(&Limits::default(), &Limits::default(), delay, &script);
    }

    /// R-MSG-1 to R-MSG-6, R-CREDIT-1 to R-CREDIT-8, R-HELLO-6, R-OPEN-4, R-CALL-2.
    #[test]
    fn two_honest_endpoints_never_accuse_each_other(
        client in limits(),
        server in limits(),
        script in script(30, 6, 1),
        delay in delay(),
    ) {
        check(&client, &server, delay, &script);
    }

    /// R-MSG-4, R-HALF-2, R-HALF-5, R-CALL-7: what arrives is what was sent, from the first
    /// message on and in order, and one end, wherever the transport breaks.
    #[test]
    fn each_half_delivers_an_exact_prefix_and_one_end(
        client in limits(),
        server in limits(),
        script in script(20, 0, 0),
        packets in 1usize..40,
        broken in role(),
    ) {
        let cut = [Op::CutAfter { role: broken, packets }];
        check(&client, &server, Duration::ZERO, &[&cut[..], &script].concat());
    }

    /// R-HALF-3, R-HALF-4, R-CALL-5: with every kind of early end, one that says `Finished` means
    /// that everything has come.
    #[test]
    fn an_end_that_says_finished_means_everything_arrived(
        client in limits(),
        server in limits(),
        script in script(6, 2, 0),
        delay in delay(),
    ) {
        check(&client, &server, delay, &script);
    }

    /// Whatever ended a connection and its calls, later verbs say so for ever.
    #[test]
    fn errors_stay(script in script(10, 2, 3), delay in delay()) {
        check(&Limits::default(), &Limits::default(), delay, &script);
    }

    /// R-CREDIT-3, R-CREDIT-5, R-CREDIT-6, R-CREDIT-7, R-MSG-5: nothing locks up, not where the
    /// connection's window holds just one of several messages either.
    #[test]
    fn what_was_taken_is_delivered_once_the_application_reads(
        client in limits(),
        server in limits(),
        script in script(1, 0, 0),
        delay in delay(),
    ) {
        check(&client, &server, delay, &script);
    }

    /// What an end holds for its application and for its socket is within its limits, whoever
    /// does not read and whoever does not transmit.
    #[test]
    fn buffered_messages_stay_within_the_limits(
        client in limits(),
        server in limits(),
        script in script(1, 0, 0),
    ) {
        let mut world = World::new(client, server, Duration::ZERO);
        for op in &script {
            if !matches!(op, Op::Recv { .. } | Op::RecvRun { .. } | Op::Pass { .. }) {
                world.apply(op);
            }
            for (end, peer) in [
                (&world.pair.client, &world.pair.server),
                (&world.pair.server, &world.pair.client),
            ] {
                let (limits, halves) = (end.limits(), 4 * end.calls());
                let most = limits.outbound + peer.limits().message;
                let small = halves * (4_096 + 16); // each half's small one beyond that
                prop_assert!(end.buffered() <= most as usize + small);
                prop_assert!(end.credit_books().1 <= limits.connection_window.into());
            }
        }
    }

    /// An end whose packets nobody takes still reads all that its peer may send it.
    #[test]
    fn reading_never_waits_for_writing(
        server in limits(),
        sizes in proptest::collection::vec(size(), 1..100),
    ) {
        let mut pair = Pair::new(Limits::default(), server);
        pair.drive();
        let id = pair.client.open(&request(1)).expect("a first call");
        let out = pair.client.outbound(id, 1);
        pair.drive();
        pair.server.link.stalled = true;
        let Some(Event::Incoming(there)) = pair.server.next_event() else { panic!("no call") };
        let mut call = pair.server.call(there).expect("the call is there");
        call.take_request().expect("the request is there");
        call.accept().expect("it can be answered");
        let answer = pair.server.outbound(there, 0);
        while pair.server.send(answer, &[1; 4_096]).is_ok() {}
        let asked = pair.server.inbound(there, 1);
        let mut taken = 0;
        let mut came = 0;
        for &size in &sizes {
            taken += usize::from(pair.client.send(out, vec![1; size].as_slice()).is_ok());
            pair.drive();
            while let Some(Received::Message(_)) = pair.server.recv(asked) {
                came += 1;
            }
        }
        // One more may wait for a credit that cannot come.
        prop_assert!(taken - came <= 1, "{taken} taken, {came} read");
        let first = u64::from(wire::cost(sizes[0]) + wire::MINIMUM_CHARGE); // and the request
        let window = pair.server.limits().connection_window;
        prop_assert!(came > 0 || taken == 0 || first > window.into());
    }
}

/// R-ALIVE-4, R-CREDIT-6: the core keeps facts, not frames.
#[test]
fn pending_facts_coalesce() {
    let mut pair = Pair::established();
    let now = pair.now;
    for _ in 0..100 {
        pair.server.handle_message(packet(&vec![Frame::Ping; 100]), now);
    }
    let answer = pair.server.transmit(now);
    assert_eq!(parsed(&answer), [Frame::Pong]);

    let id = pair.client.open(&request(1)).expect("a first call");
    let out = pair.client.outbound(id, 1);
    pair.drive();
    let Some(Event::Incoming(there)) = pair.server.next_event() else { panic!("no call") };
    let mut call = pair.server.call(there).expect("the call is there");
    call.take_request().expect("the request is there");
    call.accept().expect("it can be answered");
    pair.drive();
    let asked = pair.server.inbound(there, 1);
    let mut messages = 0;
    while pair.client.send(out, &[1; 100]).is_ok() {
        messages += 1;
        pair.drive();
    }
    let limits = Limits::default();
    assert_eq!(messages, limits.half_window.div_ceil(100));
    assert_eq!(pair.server.events(), [Event::Readable(asked)], "one event for all of them");
    while let Some(Received::Message(_)) = pair.server.recv(asked) {}
    let grants = pair.server.transmit(now);
    let grants = parsed(&grants);
    let [Frame::Credit { call: 0, half: 0, .. }, of_half] = &grants[..] else {
        panic!("one for the connection and one for the half: {grants:?}");
    };
    assert_eq!(*of_half, Frame::Credit { call: 1, half: 1, amount: messages * 100 });
}

/// R-CREDIT-7: a large message that waits for the whole window goes ahead of every small one that
/// comes after it.
#[test]
fn a_large_message_is_not_starved_by_small_ones() {
    let window = 256 * 1024;
    let limits = Limits { connection_window: window, ..Limits::default() };
    let mut pair = Pair::new(Limits::default(), limits);
    pair.drive();
    let id = pair.client.open(&request(3)).expect("a first call");
    pair.drive();
    let Some(Event::Incoming(there)) = pair.server.next_event() else { panic!("no call") };
    let mut call = pair.server.call(there).expect("the call is there");
    call.take_request().expect("the request is there");
    call.accept().expect("it can be answered");
    pair.drive();
    let outs = [1, 2, 3].map(|half| pair.client.outbound(id, half));
    let asked = [1, 2, 3].map(|half| pair.server.inbound(there, half));
    pair.client.send(outs[0], &[1; 1_500]).expect("there is credit");
    let large = vec![2; window as usize];
    pair.client.send(outs[1], large.as_slice()).expect("the half has credit: it waits");
    let mut small_before_large = 0;
    for round in 0.. {
        assert!(round < 100, "the large message is starved");
        let _ = pair.client.send(outs[0], &[1; 1_000]); // blocked behind the large one
        let _ = pair.client.send(outs[2], &[3; 1_000]);
        pair.drive();
        for half in [asked[0], asked[2]] {
            while let Some(Received::Message(message)) = pair.server.recv(half) {
                small_before_large += usize::from(message.len() == 1_000);
            }
        }
        if let Some(Received::Message(message)) = pair.server.recv(asked[1]) {
            assert_eq!(message, large);
            break;
        }
    }
    assert_eq!(small_before_large, 0);
    pair.drive();
    for half in [asked[0], asked[2]] {
        assert!(
            matches!(pair.server.recv(half), Some(Received::Message(_))),
            "then the small ones"
        );
    }
}

/// A client that sends messages and a server that sends them back, each served in turns that a
/// seed decides.
struct Echo {
    pair: Pair,
    rng: Rng,
    calls: Vec<EchoCall>,
}

struct EchoCall {
    out: Outbound,
    reply: Inbound,
    to_send: Vec<usize>,
    finished: bool,
    answer: Option<(Inbound, Outbound)>,
    /// What the server has read and not sent back yet.
    unanswered: VecDeque<Bytes>,
    read_out: bool,
    echoed: Vec<usize>,
    over: bool,
}

impl Echo {
    fn new(client: &Limits, server: &Limits, seed: u64) -> Self {
        let enough = |limits: &Limits| Limits { calls: 10, ..limits.clone() };
        let pair = Pair::new(enough(client), enough(server));
        Self { pair, rng: Rng::new(seed), calls: Vec::new() }
    }

    /// The sizes of what came back on each call.
    fn run(mut self, calls: &[Vec<usize>]) -> Vec<Vec<usize>> {
        for sizes in calls {
            let id = self.pair.client.open(&request(1)).expect("it is within the limits");
            self.calls.push(EchoCall {
                out: self.pair.client.outbound(id, 1),
                reply: self.pair.client.inbound(id, 0),
                to_send: sizes.iter().rev().copied().collect(),
                finished: false,
                answer: None,
                unanswered: VecDeque::new(),
                read_out: false,
                echoed: Vec::new(),
                over: false,
            });
        }
        for _ in 0..200_000 {
            let place = usize::try_from(self.rng.below(calls.len() as u64)).expect("small");
            match self.rng.below(6) {
                0 => self.send(place),
                1 => self.read(place),
                2 => self.answer(place),
                3 => self.collect(place),
                4 => self.pair.server.events().into_iter().for_each(|event| self.accept(&event)),
                _ => {
                    self.pair.client.events();
                    let steps = usize::try_from(self.rng.below(4)).expect("small");
                    self.pair.drive_bounded(steps);
                }
            }
            if self.calls.iter().all(|call| call.over) {
                return self.calls.into_iter().map(|call| call.echoed).collect();
            }
        }
        panic!("the echo never ends");
    }

    fn accept(&mut self, event: &Event) {
        let &Event::Incoming(id) = event else { return };
        let mut call = self.pair.server.call(id).expect("the call is there");
        call.take_request().expect("the request is there");
        call.accept().expect("it can be answered");
        let halves = (self.pair.server.inbound(id, 1), self.pair.server.outbound(id, 0));
        self.calls[support::number(id) as usize - 1].answer = Some(halves);
    }

    fn send(&mut self, place: usize) {
        let call = &mut self.calls[place];
        while let Some(&size) = call.to_send.last() {
            match self.pair.client.send(call.out, vec![place as u8; size].as_slice()) {
                Ok(()) => call.to_send.pop(),
                Err(SendError::Blocked) => return,
                Err(error) => panic!("{error}"),
            };
        }
        if !call.finished {
            call.finished = true;
            self.pair.client.finish(call.out, Ok(())).expect("it is not ended");
        }
    }

    fn read(&mut self, place: usize) {
        let call = &mut self.calls[place];
        let Some((asked, _)) = call.answer else { return };
        match self.pair.server.recv(asked) {
            Some(Received::Message(message)) => call.unanswered.push_back(message),
            Some(Received::End(end)) => {
                assert!(end == End::Finished || call.read_out);
                call.read_out = true;
            }
            None => {}
        }
    }

    fn answer(&mut self, place: usize) {
        let call = &mut self.calls[place];
        let Some((_, answer)) = call.answer else { return };
        while let Some(message) = call.unanswered.front() {
            match self.pair.server.send(answer, message.clone()) {
                Ok(()) => call.unanswered.pop_front(),
                Err(SendError::Blocked) => return,
                Err(error) => panic!("{error}"),
            };
        }
        if call.read_out {
            let _ = self.pair.server.finish(answer, Ok(())); // more than once
        }
    }

    fn collect(&mut self, place: usize) {
        let call = &mut self.calls[place];
        let mut run = Run::new();
        match self.pair.client.recv_run(call.reply, &mut run) {
            Taken::Messages => {
                while let Some(message) = run.next_message() {
                    assert!(message.iter().all(|&byte| byte as usize == place));
                    call.echoed.push(message.len());
                }
            }
            Taken::End(end) => {
                assert_eq!(end, End::Finished);
                call.over = true;
            }
            Taken::Nothing => {}
        }
    }
}
