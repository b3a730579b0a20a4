use futures_util::{StreamExt, stream};

use super::*;
use crate::{Endpoint, NoError, Receiver, Server, Session, Stream, StreamError};
use by_hand::{Hand, Line};

#[path = "../../tests/cancel/by_hand.rs"]
#[allow(dead_code, reason = "some of it is for other tests")]
mod by_hand;

/// Says one number after the other, as long as anybody reads.
fn count(_: Session, (): (), (): ()) -> impl Stream<Item = Result<u32, NoError>> {
    stream::iter((0..).map(Ok))
}

async fn next(reply: &mut Receiver<u32>) -> Option<u32> {
    reply.next().await.map(|number| number.expect("a number"))
}

/// As if the client's connection had used the call ids up to `last`.
fn use_call_ids(client: &Client, last: u32) {
    let Phase::Connected(link) = &client.shared.state().phase else { panic!("not connected") };
    link.with(|core| core.connection.use_call_ids(last));
}

/// R-OPEN-1
#[test]
fn a_client_that_has_used_up_its_call_ids_goes_on_with_a_new_connection() {
    let hand = Hand::default();
    hand.run(async {
        let endpoint = Endpoint::new("E").stream("count", count);
        let server = Server::builder().endpoint(endpoint).build().expect("a server");
        let line = Line { hand: hand.clone(), server: server.clone() };
        let limits = Limits { linger: Duration::ZERO, ..Limits::default() };
        let config = ClientConfig { limits, ..ClientConfig::default() };
        let client = Client::new(Arc::new(hand.clone()), Arc::new(line), config).expect("a client");
        let call = || client.call("E.count").stream::<u32>();

        let mut first = call();
        assert_eq!(next(&mut first).await, Some(0));
        use_call_ids(&client, u32::MAX - 1);
        // The last one is used.
        let mut last = call();
        assert_eq!((next(&mut last).await, server.connections()), (Some(0), 1));
        // Those that follow are on another connection, and share it; none is refused.
        let (mut one, mut other) = (call(), call());
        assert_eq!((next(&mut one).await, next(&mut other).await), (Some(0), Some(0)));
        assert_eq!((server.connections(), client.metrics().connections_begun), (2, 2));
        assert_eq!(client.status(), Status::Connected);
        // What was open goes on.
        for number in 1..10_000 {
            assert_eq!(next(&mut first).await, Some(number));
            assert_eq!(next(&mut last).await, Some(number));
        }
        // And its connection goes with it.
        drop((first, last));
        hand.until("the end of the first", || server.connections() == 1).await;
        assert_eq!(next(&mut one).await, Some(1));
        client.disconnect();
        let end = one.filter_map(async |number| number.err()).boxed().next().await;
        assert!(matches!(end, Some(StreamError::Lost(_))), "{end:?}");
        hand.until("no connection", || server.connections() == 0).await;
        let metrics = server.metrics();
        assert_eq!((metrics.calls_begun, metrics.calls_rejected), (4, 0));
        assert_eq!(metrics.connections_violated, 0);
    });
}
