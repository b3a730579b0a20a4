//! The tests themselves can fail.

use super::*;

/// What every case above would say of a reader that takes a message and loses it.
#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn a_message_that_is_lost_is_missed() {
    at_each_poll(async |hand, cut: &Cut| {
        let client = client(hand, &server(methods()));
        let mut counted = client.call("E.count").arguments(&(3_u32,)).stream::<Message>();
        let mut all = Vec::new();
        let careless = async {
            while let Some(taken) = counted.next().await {
                hand.turns(1).await;
                all.push(taken.expect("a message").0);
            }
        };
        let _dropped = cut.of(careless).await;
        assert_eq!(take(&mut counted, &mut all).await, Ok::<(), StreamError>(()));
        assert_eq!(all, [0, 1, 2]);
    });
}

/// And of a wake-up that reached one who was gone, and nobody else.
#[test]
#[should_panic(expected = "everybody waits")]
fn a_wake_up_that_is_lost_is_missed() {
    at_each_poll(async |hand, cut| {
        let place = Arc::new(Mutex::new((false, None)));
        let (told, waiting) = (Arc::clone(&place), hand.clone());
        hand.spawn(Box::pin(async move {
            waiting.turns(3).await;
            let waker: Option<Waker> = {
                let mut told = told.lock().unwrap();
                told.0 = true;
                told.1.take()
            };
            waker.into_iter().for_each(Waker::wake);
        }));
        // Waits once: who comes second takes the first one's place, and drops it with its own.
        let wait = || {
            poll_fn(|cx| {
                let mut place = place.lock().unwrap();
                if std::mem::take(&mut place.0) {
                    return Poll::Ready(());
                }
                place.1 = Some(cx.waker().clone());
                Poll::Pending
            })
        };
        let _dropped = cut.of(wait()).await;
        wait().await;
    });
}
