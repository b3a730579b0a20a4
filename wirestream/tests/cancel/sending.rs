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

/// What it had yielded and there was no room for is gone with it.
#[test]
fn of_a_stream_whose_sending_was_dropped_the_first_messages_were_sent() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods()));
        let (input, messages) = channel();
        let received = client.call("E.numbers").parameter(messages).unary();
        let yielded = Mutex::new(0..30);
        let pauses = Mutex::new(0);
        let numbers = stream::poll_fn(|cx| {
            // Some ready at a time, then a pause.
            let mut pauses = pauses.lock().unwrap();
            *pauses = (*pauses + 1) % 6;
            if *pauses == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(yielded.lock().unwrap().next().map(message))
        });
        let sent = cut.of(input.send_all(numbers)).await;
        let yielded = yielded.lock().unwrap().start;
        send(&input, 100..110, &mut Vec::new()).await;
        input.finish();
        let (mut received, ended): (Vec<u32>, bool) = received.await.expect("a reply");
        let later = received.split_off(received.len() - 10);
        assert_eq!((later, ended), ((100..110).collect(), true));
        let count = received.len() as u32;
        assert_eq!(received, (0..count).collect::<Vec<_>>());
        assert!(count <= yielded, "{count} of {yielded}");
        assert!(sent.is_none() || count == 30, "all of them, if it came to its end");
        assert_usable(&client).await;
    });
}

/// None is held back for others to go with it.
#[test]
fn what_a_stream_has_ready_is_sent_before_it_waits_for_more() {
    let hand = Hand::default();
    hand.clone().run(async {
        let hand = &hand;
        let echo = |_: Session, (): (), (messages,): (Receiver<Message>,)| {
            messages.filter_map(async |message| message.ok().map(Ok::<_, NoError>))
        };
        let client = client(hand, &server(methods().stream("echo", echo)));
        let (input, messages) = channel();
        let mut replies = client.call("E.echo").parameter(messages).stream::<Message>();
        let (tell, told) = (Arc::new(Mutex::new(0)), hand.clone());
        let heard = Arc::clone(&tell);
        let sending = beside(hand, async move {
            let answered = stream::unfold(0, |number| {
                let (told, heard) = (&told, &heard);
                async move {
                    // Three at a time, and no more before those have come back.
                    told.until("the answers", || *heard.lock().unwrap() >= number / 3 * 3).await;
                    (number < 12).then(|| (message(number), number + 1))
                }
            });
            let sent = input.send_all(answered).await;
            input.finish();
            sent
        });
        let mut all = Vec::new();
        while let Some(reply) = replies.next().await {
            all.push(reply.expect("a reply").0);
            *tell.lock().unwrap() += 1;
        }
        assert_eq!(all, (0..12).collect::<Vec<_>>());
        assert_eq!(done(hand, "the sending", &sending).await, Ok(()));
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
