//! A batch is sent as its messages are, one by one: only faster.

mod support;

use std::collections::VecDeque;

use bytes::Bytes;
use support::{Pair, Rng, parsed, request};
use wirestream_protocol::wire::Frame;
use wirestream_protocol::{Batch, Inbound, Limits, Outbound, Received, SendError, Time};

/// A client that sends on one half of two, and what the server has received of it.
struct Sent {
    pair: Pair,
    half: Outbound,
    other: Outbound,
    inbound: Inbound,
    received: Vec<Bytes>,
}

impl Sent {
    fn new(limits: &Limits) -> Self {
        let mut pair = Pair::new(limits.clone(), limits.clone());
        let id = pair.client.open(&request(2)).expect("room for a call");
        pair.drive();
        let call = pair.server.call(id).expect("the call has come in").accept();
        call.expect("it is not answered");
        pair.drive();
        let [half, other] = [1, 2].map(|half| pair.client.outbound(id, half));
        let inbound = pair.server.inbound(id, 1);
        Self { pair, half, other, inbound, received: Vec::new() }
    }

    fn drive(&mut self) {
        self.pair.drive();
        while let Some(Received::Message(message)) = self.pair.server.recv(self.inbound) {
            self.received.push(message);
        }
        self.pair.drive();
    }

    fn books(&self) -> ((i64, u64, u64), usize, u64, bool) {
        let client = &self.pair.client;
        (
            client.credit_books(),
            client.buffered(),
            client.stats().messages_out,
            client.has_transmit(),
        )
    }
}

fn some_limits() -> [Limits; 4] {
    let narrow = Limits { outbound: 3_000, ..Limits::default() };
    let small =
        Limits { connection_window: 20_000, message: 4_096, request: 4_096, ..Limits::default() };
    [Limits::default(), narrow, small, Limits { half_window: 4_096, ..Limits::default() }]
}

/// Sends what is left, one by one.
fn send_each(sent: &mut Sent, unsent: &mut VecDeque<Vec<u8>>) -> Result<(), SendError> {
    while let Some(message) = unsent.front() {
        sent.pair.client.send(sent.half, &message[..])?;
        unsent.pop_front();
    }
    Ok(())
}

#[test]
fn a_batch_is_taken_as_its_messages_would_be() {
    let mut blocked = 0;
    for (limits, seed) in some_limits().iter().flat_map(|limits| (0..50).map(move |n| (limits, n)))
    {
        let mut rng = Rng::new(seed);
        let (mut each, mut together) = (Sent::new(limits), Sent::new(limits));
        let mut batch = Batch::new(together.half);
        let mut unsent = VecDeque::new();
        for round in 0..200 {
            let size = [8, 64, 500, 3_900][rng.below(4) as usize];
            let message = vec![round; rng.below(size) as usize];
            let fits = match rng.chance(2) {
                true => batch.push(&message),
                false => {
                    let fits = encoded_into(&mut batch, &message);
                    assert!(fits || !batch.fit(), "nothing has left it");
                    fits
                }
            };
            if fits {
                unsent.push_back(message);
            }
            if !rng.chance(3) {
                continue;
            }
            let result = send_each(&mut each, &mut unsent);
            assert_eq!(together.pair.client.send_batch(&mut batch), result);
            assert_eq!(batch.is_empty(), unsent.is_empty());
            assert_eq!(each.books(), together.books());
            if result.is_err() {
                blocked += 1;
                assert_eq!(result, Err(SendError::Blocked));
                each.drive();
                together.drive();
            }
        }
        each.drive();
        together.drive();
        assert_eq!(each.received, together.received);
    }
    assert!(blocked > 100, "{blocked}");
}

/// What a type does that can be encoded.
fn encoded_into(batch: &mut Batch, message: &[u8]) -> bool {
    let encode = |buffer: &mut Vec<u8>| {
        buffer.extend_from_slice(message);
        Ok::<_, ()>(())
    };
    batch.push_with(encode).expect("it does not fail")
}

#[test]
fn a_message_that_does_not_fit_is_sent_behind_those_before_it_or_taken_out() {
    let mut sent = Sent::new(&Limits { connection_window: 64 << 20, ..Limits::default() });
    let mut batch = Batch::new(sent.half);
    let sizes = [10, 120, 121, 122, 123, 124, 125, 126, 127, 128, 1_000, 3_000, 3_900, 5, 0, 3_999];
    let mut expected = Vec::new();
    for (n, size) in (0..).zip(sizes) {
        let message = vec![n; size];
        if !encoded_into(&mut batch, &message) {
            sent.pair.client.send_batch(&mut batch).expect("there is credit");
            assert!(batch.is_empty() && batch.fit() && !batch.is_empty(), "{size} bytes");
        }
        expected.push(message);
    }
    assert!(!encoded_into(&mut batch, &[9; 5_000]));
    assert_eq!(batch.take_unfit(), vec![9; 5_000]);
    sent.pair.client.send_batch(&mut batch).expect("there is credit");
    for size in [4_092, 5_000, 100_000] {
        assert!(!encoded_into(&mut batch, &vec![8; size]) && batch.is_empty());
        assert_eq!(batch.take_unfit(), vec![8; size]);
        assert!(batch.fit(), "nothing is left beside it");
    }
    assert!(batch.is_empty());
    sent.drive();
    assert_eq!(sent.received, expected);
}

#[test]
fn where_every_message_fits_there_is_none_to_fit_or_to_take_out() {
    let mut sent = Sent::new(&Limits::default());
    let mut batch = Batch::new(sent.half);
    assert!(batch.fit() && batch.is_empty() && batch.take_unfit().is_empty());
    assert!(encoded_into(&mut batch, b"") && batch.fit() && batch.take_unfit().is_empty());
    sent.pair.client.send_batch(&mut batch).expect("there is credit");
    assert!(batch.fit() && batch.is_empty());
    assert!(batch.push(b"one") && batch.fit() && batch.take_unfit().is_empty());
    sent.pair.client.send_batch(&mut batch).expect("there is credit");
    sent.drive();
    assert_eq!(sent.received, [&b""[..], b"one"]);
}

#[test]
fn a_message_that_is_taken_out_leaves_a_buffer_of_more_than_its_size_behind() {
    let sent = Sent::new(&Limits::default());
    let mut batch = Batch::new(sent.half);
    for (size, stays) in [(5_000, true), (9_000, false)] {
        batch.swap_buffer(&mut Vec::with_capacity(16 * 1024));
        assert!(!encoded_into(&mut batch, &vec![1; size]));
        assert_eq!(batch.take_unfit(), vec![1; size]);
        let mut buffer = Vec::new();
        batch.swap_buffer(&mut buffer);
        assert_eq!(buffer.capacity() > 0, stays, "{size} bytes");
    }
}

#[test]
fn a_message_that_does_not_encode_leaves_nothing_in_a_batch() {
    let mut sent = Sent::new(&Limits::default());
    let mut batch = Batch::new(sent.half);
    assert!(encoded_into(&mut batch, b"before"));
    let in_part = |buffer: &mut Vec<u8>| {
        buffer.extend_from_slice(b"in part");
        Err("as asked")
    };
    assert_eq!(batch.push_with(in_part), Err("as asked"));
    let panics = |buffer: &mut Vec<u8>| -> Result<(), ()> {
        buffer.extend_from_slice(b"in part");
        panic!("as asked")
    };
    let panicked = std::panic::AssertUnwindSafe(|| batch.push_with(panics));
    assert!(std::panic::catch_unwind(panicked).is_err());
    assert!(encoded_into(&mut batch, b"behind"));
    sent.pair.client.send_batch(&mut batch).expect("there is credit");
    sent.drive();
    assert_eq!(sent.received, [&b"before"[..], b"behind"]);
}

#[test]
fn a_buffer_is_lent_to_an_empty_batch_alone() {
    let (mut sent, mut buffer) = (Sent::new(&Limits::default()), Vec::with_capacity(1_000));
    let mut batch = Batch::new(sent.half);
    batch.swap_buffer(&mut buffer);
    assert_eq!(buffer.capacity(), 0);
    assert!(encoded_into(&mut batch, b"lent"));
    batch.swap_buffer(&mut buffer);
    assert_eq!(buffer.capacity(), 0, "there is something in it");
    sent.pair.client.send_batch(&mut batch).expect("there is credit");
    batch.swap_buffer(&mut buffer);
    assert_eq!(buffer.capacity(), 1_000);
}

/// R-MSG-6: however batches and single messages follow one another.
#[test]
fn halves_take_turns_of_a_quantum_also_with_batches() {
    let mut sent = Sent::new(&Limits { connection_window: 64 << 20, ..Limits::default() });
    let (half, other) = (sent.half, sent.other);
    let mut batch = Batch::new(half);
    for size in [100, 3_000, 900, 2_000, 50, 4_000, 4_000] {
        sent.pair.client.send(half, &[1; 100]).expect("there is credit");
        while batch.push(&vec![1; size]) {}
        sent.pair.client.send_batch(&mut batch).expect("there is credit");
        for _ in 0..4 {
            sent.pair.client.send(other, &[2; 1_000]).expect("there is credit");
        }
    }
    let mut turn = (0, 0);
    while let Some(packet) = sent.pair.client.poll_transmit(Time::ZERO) {
        for frame in parsed(&packet) {
            let Frame::Message { half, payload, .. } = frame else { continue };
            let size = payload.len() + 6;
            turn = if turn.0 == half { (half, turn.1 + size) } else { (half, size) };
            // The other half has less to send, and is done when the turns grow long.
            let both = sent.pair.client.buffered() > 0;
            assert!(!both || turn.1 <= 4_096 + 1_006, "a turn of {} bytes", turn.1);
        }
    }
}

#[test]
fn a_batch_is_refused_on_a_half_that_is_over() {
    let mut sent = Sent::new(&Limits::default());
    let mut batch = Batch::new(sent.half);
    assert_eq!(sent.pair.client.send_batch(&mut batch), Ok(()), "there is nothing in it");
    assert!(!batch.push(&[0; 4_096]) && batch.push(&[0; 4_000]) && !batch.push(&[0; 1_000]));
    sent.pair.client.finish(sent.half, Ok(())).expect("it is not ended");
    assert_eq!(sent.pair.client.send_batch(&mut batch), Err(SendError::Finished));
    sent.pair.cut();
    assert!(matches!(sent.pair.client.send_batch(&mut batch), Err(SendError::Lost(_))));
    assert!(!batch.is_empty());
}
