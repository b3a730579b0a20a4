//! Messages between sessions: what subscribes, and what listens.

use std::sync::mpsc;

use wirestream::{Listener, MessageError};

use super::*;

/// A session that stays open, and what drops it.
async fn session(hand: &Hand) -> (Server, Session, Receiver<()>) {
    let place = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&place);
    let endless = move |session: Session, (): (), (): ()| {
        *seen.lock().unwrap() = Some(session);
        stream::pending::<Result<(), NoError>>()
    };
    let server = server(methods().stream("endless", endless));
    let reply = client(hand, &server).call("E.endless").stream::<()>();
    let session = done(hand, "the call", &place).await;
    (server, session, reply)
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a drop that panics");
    }
}

/// Tells what it hears.
fn telling(to: &mpsc::Sender<u32>) -> impl FnMut(Result<u32, MessageError>) + Send + 'static {
    let to = to.clone();
    move |message| to.send(message.expect("no gap")).expect("somebody asks")
}

/// A listener that panics as it is dropped.
async fn armed(session: &Session) -> Listener {
    let bomb = Bomb;
    let armed = move |_: Result<u32, MessageError>| {
        let _ = &bomb;
    };
    session.messages().listen("news", armed).await.expect("a listener")
}

#[test]
fn a_listener_that_panics_as_it_is_dropped_delays_no_other() {
    let hand = Hand::default();
    hand.run(async {
        let (server, session, _reply) = session(&hand).await;
        let (told, heard) = mpsc::channel();
        // Whoever is woken first: one of the listeners that hear it comes behind one that goes.
        let before = session.messages().listen("news", telling(&told)).await.expect("a listener");
        let goes = armed(&session).await;
        let behind = session.messages().listen("news", telling(&told)).await.expect("a listener");
        hand.turns(5).await;
        goes.remove();
        server.messages().post("news", &7_u32).await.expect("a message");
        let mut all = Vec::new();
        hand.until("all hear it", || {
            all.extend(heard.try_iter());
            all == [7, 7]
        })
        .await;
        assert!(!before.is_removed() && !behind.is_removed());
    });
}

#[test]
fn a_listener_that_panics_as_its_session_ends_keeps_no_other() {
    let hand = Hand::default();
    hand.run(async {
        let (server, session, reply) = session(&hand).await;
        let kept = Arc::new(());
        for _ in 0..3 {
            armed(&session).await;
            let held = Arc::clone(&kept);
            let holding = move |_: Result<u32, MessageError>| drop(Arc::clone(&held));
            session.messages().listen("news", holding).await.expect("a listener");
        }
        hand.turns(5).await;
        drop(reply);
        session.closed().await;
        hand.until("nobody keeps it", || Arc::strong_count(&kept) == 1).await;
        assert_eq!(server.messages().counters().subscriptions, 0);
        assert_eq!(server.messages().counters().channels, 0);
    });
}
