//! The contract of the core, line by line, under random scripts on two honest ends.

mod support;

use core::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngSeed};
use wirestream_protocol::wire::Frame;
use wirestream_protocol::{End, Event, Limits, Received, RejectCode, Role, Run, SendError, Taken};

use support::script::{Op, World};
use support::{Endpoint, Pair, hello, packet, parsed, request};

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
    #![proptest_config(runs(300))]

    /// R-CALL-4, R-CALL-5, R-CALL-6, R-CALL-7, R-HALF-3, R-HALF-4, R-HALF-5.
    #[test]
    fn every_call_ends_exactly_once_and_the_connection_last(
        script in script(30, 6, 1),
        delay in delay(),
    ) {
        check(&Limits::default(), &Limits::default(), delay, &script);
    }

    /// R-MSG-1 to R-MSG-6, R-CREDIT-1 to R-CREDIT-8, R-HELLO-6, R-OPEN-4, R-CALL-2.
    #[test]
    fn two_honest_endpoints_never_accuse_each_other(
        client in limits(),
        server in limits(),
        script in script(40, 6, 1),
        delay in delay(),
    ) {
        check(&client, &server, delay, &script);
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
}
