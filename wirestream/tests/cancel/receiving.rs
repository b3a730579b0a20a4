//! What receives: streams, values, changes of the status.

use super::*;

#[test]
fn a_receiver_goes_on_where_its_reader_was_dropped() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods()));
        let mut all = Vec::new();
        let mut counted = client.call("E.count").arguments(&(20_u32,)).stream();
        let _dropped = cut.of(take(&mut counted, &mut all)).await;
        assert_eq!(take(&mut counted, &mut all).await, Ok::<(), StreamError>(()));
        assert_eq!(all, Vec::from_iter(0..20));
        assert_usable(&client).await;
    });
}

#[test]
fn a_parameter_goes_on_where_its_reader_was_dropped() {
    at_each_poll(async |hand, cut| {
        let cut = cut.clone();
        let read = move |_: Session, (): (), (mut messages,): (Receiver<Message>,)| {
            let cut = cut.clone();
            async move {
                let mut all = Vec::new();
                let _dropped = cut.of(take(&mut messages, &mut all)).await;
                take(&mut messages, &mut all).await.map_err(|_| ())?;
                Ok::<_, ()>(all)
            }
        };
        let client = client(hand, &server(methods().unary("read", read)));
        let messages = stream::iter((0..20).map(message));
        let all = client.call("E.read").parameter(messages).unary::<Vec<u32>>().await;
        assert_eq!(all, Ok(Vec::from_iter(0..20)));
        assert_usable(&client).await;
    });
}

#[test]
fn a_value_is_still_there_when_who_waited_for_it_was_dropped() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods()));
        let messages = stream::iter((0..20).map(message));
        let mut value = client.call("E.numbers").parameter(messages).unary::<(Vec<u32>, bool)>();
        let value = match cut.of(&mut value).await {
            Some(value) => value,
            None => value.await,
        };
        assert_eq!(value, Ok((Vec::from_iter(0..20), true)));
        assert_usable(&client).await;
    });
}

#[test]
fn a_value_is_kept_until_its_end_is_there() {
    at_each_poll(async |hand, cut| {
        let waiting = hand.clone();
        let slow = move |call: IncomingCall| {
            let waiting = waiting.clone();
            async move {
                let Some(mut accepted) = call.accept() else { return };
                let reply: Sender<Message> = accepted.reply().expect("the first");
                reply.send(message(2)).await.expect("somebody listens");
                waiting.turns(5).await;
                reply.finish();
            }
        };
        let client = client(hand, &server(methods().method("slow", slow)));
        let mut value = client.call("E.slow").unary();
        let value = match cut.of(&mut value).await {
            Some(value) => value,
            None => value.await,
        };
        assert_eq!(value, Ok(message(2)));
        assert_usable(&client).await;
    });
}

/// The reply, dropped with who reads it: the call is given up, on both sides.
#[test]
fn a_reply_that_is_dropped_frees_everything() {
    at_each_poll(async |hand, cut| {
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sessions);
        let watched = move |session: Session, arguments, (): ()| {
            seen.lock().unwrap().push(session.clone());
            count(session, arguments, ())
        };
        let client = client(hand, &server(methods().stream("watched", watched)));
        // As many as there may be at a time.
        let mut other = client.call("E.count").arguments(&(20_u32,)).stream();
        let mut counted = client.call("E.watched").arguments(&(20_u32,)).stream::<Message>();
        let (mut all, mut others) = (Vec::new(), Vec::new());
        let ended = cut.of(async { take(&mut counted, &mut all).await }).await;
        drop(counted);
        assert_eq!(all, Vec::from_iter(0..all.len() as u32));
        assert!(ended.is_none_or(|ended| ended.is_ok() && all.len() == 20));
        assert_eq!(take(&mut other, &mut others).await, Ok::<(), StreamError>(()));
        assert_eq!(others, Vec::from_iter(0..20));
        let sessions = sessions.lock().unwrap().clone();
        for session in sessions {
            session.closed().await;
        }
        assert_usable(&client).await;
        assert_usable(&client).await;
    });
}

#[test]
fn each_change_of_the_status_is_told_once() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods()));
        let (mut cut_changes, whole) = (client.status_changes(), client.status_changes());
        let whole = beside(hand, whole.collect::<Vec<Status>>());
        let waiting = hand.clone();
        hand.spawn(Box::pin(async move {
            for _ in 0..3 {
                assert_usable(&client).await;
                waiting.turns(2).await;
                client.disconnect();
                waiting.turns(2).await;
            }
        }));
        let mut seen = Vec::new();
        let _dropped = cut
            .of(async {
                while let Some(status) = cut_changes.next().await {
                    seen.push(status);
                }
            })
            .await;
        seen.extend(cut_changes.collect::<Vec<_>>().await);
        let whole = done(hand, "the client's end", &whole).await;
        assert_eq!(whole.len(), 10, "{whole:?}");
        assert_eq!(seen, whole);
    });
}
