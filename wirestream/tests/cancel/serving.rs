//! What serves: sessions, connections, shutdowns, replies.

use super::*;

#[test]
fn the_close_of_a_session_is_told_to_everybody_who_asks() {
    at_each_poll(async |hand, cut| {
        let (told, session) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let place = Arc::clone(&session);
        let endless = move |session: Session, (): (), (): ()| {
            *place.lock().unwrap() = Some(session);
            stream::pending::<Result<(), NoError>>()
        };
        let client = client(hand, &server(methods().stream("endless", endless)));
        let reply = client.call("E.endless").stream::<()>();
        let session = done(hand, "the call", &session).await;
        let (other, place) = (session.clone(), Arc::clone(&told));
        let other = beside(hand, async move { other.closed().await });
        let hooked = Arc::clone(&place);
        let hook = session.on_close(async move || *hooked.lock().unwrap() = Some(()));
        hook.expect("it is open");
        let waiting = hand.clone();
        hand.spawn(Box::pin(async move {
            waiting.turns(3).await;
            drop(reply);
        }));
        let _dropped = cut.of(session.closed()).await;
        session.closed().await;
        done(hand, "the close", &other).await;
        done(hand, "the hook", &told).await;
        assert_usable(&client).await;
    });
}

/// Shuts a server down while a call runs; who waited is dropped, and waits once more or not at all.
fn shut_down(waits_again: bool) {
    const DRAIN: Duration = Duration::from_secs(10);
    at_each_poll(async |hand, cut| {
        let server = server(methods());
        let client = client(hand, &server);
        let mut running = client.call("E.count").arguments(&(20_u32,)).stream();
        assert_eq!(running.next().await, Some(Ok(message(0))));
        let rest = beside(hand, async move {
            let mut all = Vec::new();
            (take(&mut running, &mut all).await, all)
        });
        let _dropped = cut.of(server.shutdown(DRAIN)).await;
        let has_begun = cut.polls() > 0;
        if !has_begun {
            assert_usable(&client).await;
        }
        if waits_again || !has_begun {
            server.shutdown(DRAIN).await;
        }
        hand.until("the shutdown", || server.connections() == 0).await;
        let (ended, rest) = done(hand, "the end of the call", &rest).await;
        assert_eq!(ended, Ok::<(), StreamError>(()));
        assert_eq!(rest, Vec::from_iter(1..20));
    });
}

#[test]
fn a_shutdown_goes_on_when_nobody_waits_for_it() {
    shut_down(false);
}

#[test]
fn a_shutdown_is_told_to_who_asks_again() {
    shut_down(true);
}

/// Dials what is handed to it.
struct Once(Mutex<Option<MemoryTransport>>);

impl Dial for Once {
    fn dial(&self) -> BoxFuture<Result<Box<dyn Transport>, ConnectError>> {
        let transport = self.0.lock().unwrap().take().expect("one connection");
        Box::pin(ready(Ok(Box::new(transport) as Box<dyn Transport>)))
    }
}

#[test]
fn a_connection_ends_with_who_serves_it() {
    at_each_poll(async |hand, cut| {
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sessions);
        let watched = move |session: Session, arguments, (): ()| {
            seen.lock().unwrap().push(session.clone());
            count(session, arguments, ())
        };
        let server = server(methods().stream("watched", watched));
        let (here, there) = MemoryTransport::pair();
        let client = client_of(hand, Once(Mutex::new(Some(here))));
        let mut counted = client.call("E.watched").arguments(&(20_u32,)).stream();
        let call = beside(hand, async move {
            let mut all = Vec::new();
            let ended = take::<_, StreamError>(&mut counted, &mut all).await;
            client.disconnect();
            (ended, all)
        });
        let runtime = Arc::new(hand.clone());
        let _dropped = cut.of(server.serve_connection(runtime, Box::new(there), None)).await;
        let (ended, all) = done(hand, "the end of the call", &call).await;
        assert_eq!(all, Vec::from_iter(0..all.len() as u32));
        match ended {
            Ok(()) => assert_eq!(all.len(), 20),
            Err(error) => assert!(matches!(error, StreamError::Lost(_)), "{error:?}"),
        }
        let sessions = sessions.lock().unwrap().clone();
        for session in sessions {
            session.closed().await;
        }
        assert_eq!(server.connections(), 0);
        server.shutdown(Duration::ZERO).await;
    });
}

/// A reply, dropped by the method that makes it.
fn reply_is_a_prefix_and_cancelled(
    reply: impl Fn(Accepted, u32) -> BoxFuture<()> + Clone + Send + Sync + 'static,
    whole: u32,
) {
    at_each_poll(async |hand, cut| {
        let (cutting, reply) = (cut.clone(), reply.clone());
        let method = move |call: IncomingCall| {
            let (cut, reply) = (cutting.clone(), reply.clone());
            async move {
                let Some((accepted, (count,), ())) = call.prepare() else { return };
                let _dropped = cut.of(reply(accepted, count)).await;
            }
        };
        let client = client(hand, &server(methods().method("reply", method)));
        let mut reply = client.call("E.reply").arguments(&(whole,)).stream();
        let mut all = Vec::new();
        match take(&mut reply, &mut all).await {
            Ok(()) => assert_eq!(all.len(), whole as usize),
            // A method that has not even begun to reply has failed to.
            Err(error) if cut.polls() == 0 => assert_eq!(error, StreamError::<NoError>::Failed),
            Err(error) => assert_eq!(error, StreamError::Cancelled),
        }
        assert_eq!(all, Vec::from_iter(0..all.len() as u32));
        assert_usable(&client).await;
    });
}

#[test]
fn a_reply_of_a_stream_that_is_dropped_is_cancelled() {
    reply_is_a_prefix_and_cancelled(
        |accepted, count| {
            let items = stream::iter((0..count).map(message).map(Ok::<_, NoError>));
            Box::pin(accepted.reply_stream(items))
        },
        20,
    );
    reply_is_a_prefix_and_cancelled(
        |accepted, count| {
            let items = stream::iter((0..count).map(message));
            Box::pin(accepted.reply_items(items))
        },
        20,
    );
}

#[test]
fn a_reply_of_a_value_that_is_dropped_is_cancelled() {
    /// Resolves after some turns.
    async fn late<T>(value: T) -> T {
        Hand::default().turns(3).await;
        value
    }
    reply_is_a_prefix_and_cancelled(
        |accepted, _| Box::pin(accepted.reply_value(late(Ok::<_, NoError>(message(0))))),
        1,
    );
    reply_is_a_prefix_and_cancelled(
        |accepted, _| Box::pin(accepted.reply_item(late(message(0)))),
        1,
    );
}
