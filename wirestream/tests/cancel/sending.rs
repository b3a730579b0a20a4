//! What sends.

use super::*;

/// Sends messages with these numbers, and notes which were sent.
async fn send(input: &Sender<Message>, numbers: impl Iterator<Item = u32>, sent: &mut Vec<u32>) {
    for number in numbers {
        input.send(message(number)).await.expect("somebody listens");
        sent.push(number);
    }
}

#[test]
fn a_message_whose_sending_was_dropped_was_not_sent() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods()));
        let (input, messages) = channel();
        let received = client.call("E.numbers").parameter(messages).unary();
        let mut sent = Vec::new();
        let _dropped = cut.of(send(&input, 0..20, &mut sent)).await;
        send(&input, 100..110, &mut sent).await;
        input.finish();
        assert_eq!(received.await, Ok((sent, true)));
        assert_usable(&client).await;
    });
}

#[test]
fn a_message_may_be_given_up_before_its_call_is_made() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods()));
        let (input, messages) = channel();
        let (caller, waiting) = (client.clone(), hand.clone());
        let call = beside(hand, async move {
            waiting.turns(3).await;
            caller.call("E.numbers").parameter(messages).unary::<(Vec<u32>, bool)>().await
        });
        let mut sent = Vec::new();
        let _dropped = cut.of(send(&input, 0..3, &mut sent)).await;
        send(&input, 100..103, &mut sent).await;
        input.finish();
        assert_eq!(done(hand, "the reply", &call).await, Ok((sent, true)));
        assert_usable(&client).await;
    });
}

#[test]
fn a_sender_that_is_given_up_leaves_others_on_its_stream_their_turns() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods()));
        let (input, messages) = channel();
        let received = client.call("E.numbers").parameter(messages).unary();
        let input = Arc::new(input);
        let others: Vec<_> = [1_000, 2_000]
            .map(|first| {
                let input = Arc::clone(&input);
                beside(hand, async move { send(&input, first..first + 10, &mut Vec::new()).await })
            })
            .into();
        let mut sent = Vec::new();
        let _dropped = cut.of(send(&input, 0..10, &mut sent)).await;
        for other in &others {
            done(hand, "the other's sending", other).await;
        }
        Arc::into_inner(input).expect("the last one").finish();
        let (received, in_order): (Vec<u32>, bool) = received.await.expect("a reply");
        assert!(in_order);
        let of = |numbers: std::ops::Range<u32>| {
            Vec::from_iter(received.iter().copied().filter(|number| numbers.contains(number)))
        };
        assert_eq!(of(0..1_000), sent);
        assert_eq!(of(1_000..2_000), Vec::from_iter(1_000..1_010));
        assert_eq!(of(2_000..3_000), Vec::from_iter(2_000..2_010));
        assert_usable(&client).await;
    });
}

#[test]
fn the_end_of_interest_is_told_to_everybody_who_asks() {
    at_each_poll(async |hand, cut| {
        let waiting = hand.clone();
        let ignore = move |_: Session, (): (), (messages,): (Receiver<Message>,)| {
            let waiting = waiting.clone();
            async move {
                waiting.turns(5).await;
                drop(messages);
                Ok::<_, NoError>(())
            }
        };
        let client = client(hand, &server(methods().unary("ignore", ignore)));
        let (input, messages) = channel::<Message>();
        let input = Arc::new(input);
        let ignored = client.call("E.ignore").parameter(messages).unary::<()>();
        let asking = Arc::clone(&input);
        let other = beside(hand, async move { asking.closed().await });
        let _dropped = cut.of(input.closed()).await;
        input.closed().await;
        done(hand, "the end of interest", &other).await;
        assert_eq!(ignored.await, Ok(()));
        assert_usable(&client).await;
    });
}

#[test]
fn a_sink_sends_each_message_that_it_took_once() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods()));
        let (input, messages) = channel();
        let received = client.call("E.numbers").parameter(messages).unary();
        let mut sink = input.into_sink();
        let mut taken = Vec::new();
        let give = cut.of(async {
            for number in 0..20 {
                poll_fn(|cx| sink.poll_ready_unpin(cx)).await.expect("somebody listens");
                sink.start_send_unpin(message(number)).expect("it encodes");
                taken.push(number);
            }
            sink.flush().await.expect("somebody listens");
        });
        let _dropped = give.await;
        for number in 100..103 {
            sink.feed(message(number)).await.expect("somebody listens");
            taken.push(number);
        }
        sink.close().await.expect("somebody listens");
        assert_eq!(received.await, Ok((taken, true)));
        assert_usable(&client).await;
    });
}

#[test]
fn a_sink_may_be_closed_again() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods()));
        let (input, messages) = channel();
        let received = client.call("E.numbers").parameter(messages).unary();
        let mut sink = input.into_sink();
        for number in 2..4 {
            sink.feed(message(number)).await.expect("somebody listens");
        }
        let _dropped = cut.of(poll_fn(|cx| Pin::new(&mut sink).poll_close(cx))).await;
        assert_eq!(sink.close().await, Ok(()));
        assert_eq!(received.await, Ok((vec![2_u32, 3], true)));
        assert_usable(&client).await;
    });
}
