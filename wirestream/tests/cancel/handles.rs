//! Handles, dropped in every order.

use super::*;

/// What a server saw of a call.
#[derive(Default)]
struct Seen {
    numbers: Vec<u32>,
    end: Option<Result<(), StreamError>>,
    sessions: Vec<Session>,
}

/// A call with a parameter and one that never ends, both handled until they are over.
struct Calls {
    server: Server,
    client: Option<Client>,
    seen: Arc<Mutex<Seen>>,
    /// Held by each handler, by what makes them, and here.
    handlers: Arc<()>,
}

/// How many hold it while no handler runs.
const IDLE: usize = 3;

impl Calls {
    /// Without calls, the connection is kept for `linger`.
    fn new(hand: &Hand, linger: Duration) -> Self {
        let (seen, handlers) = (Arc::<Mutex<Seen>>::default(), Arc::new(()));
        let (place, handler) = (Arc::clone(&seen), Arc::clone(&handlers));
        let note = move |session: Session, (): (), (mut messages,): (Receiver<Message>,)| {
            let (seen, handler) = (Arc::clone(&place), Arc::clone(&handler));
            seen.lock().unwrap().sessions.push(session);
            async move {
                let _handler = handler;
                let end = loop {
                    match messages.next().await {
                        Some(Ok((number, _))) => seen.lock().unwrap().numbers.push(number),
                        Some(Err(error)) => break Err(error),
                        None => break Ok(()),
                    }
                };
                seen.lock().unwrap().end = Some(end);
                Ok::<_, NoError>(())
            }
        };
        let (place, handler) = (Arc::clone(&seen), Arc::clone(&handlers));
        let endless = move |session: Session, (): (), (): ()| {
            place.lock().unwrap().sessions.push(session);
            let handler = Arc::clone(&handler);
            stream::iter([Ok::<_, NoError>(())])
                .chain(stream::pending())
                .inspect(move |_| assert!(Arc::strong_count(&handler) > 1))
        };
        let server = server(methods().unary("note", note).stream("endless", endless));
        let line = Line { hand: hand.clone(), server: server.clone() };
        let limits = Limits { linger, ..limits() };
        let config = ClientConfig { limits, ..ClientConfig::default() };
        let client = Client::new(Arc::new(hand.clone()), Arc::new(line), config);
        Self { server, client: client.ok(), seen, handlers }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("a client")
    }

    /// Handles of both calls, at the places that are named below.
    async fn begin(&self, hand: &Hand) -> Vec<Box<dyn Send>> {
        let (input, messages) = channel::<Message>();
        let noted = self.client().call("E.note").parameter(messages).stream::<()>();
        let mut endless = self.client().call("E.endless").stream::<()>();
        assert_eq!(endless.next().await, Some(Ok(())));
        hand.until("both calls", || Arc::strong_count(&self.handlers) == IDLE + 2).await;
        for number in 0..SENT {
            input.send(message(number)).await.expect("somebody listens");
        }
        let (clone, changes) = (self.client().clone(), self.client().status_changes());
        let handles = (Box::new(input), Box::new(noted), Box::new(endless));
        vec![handles.0, handles.1, handles.2, Box::new(clone), Box::new(changes)]
    }

    /// Dropped in this order, with so many turns between, handles have ended both calls.
    async fn assert_over(&self, hand: &Hand, order: &[usize], turns: usize) {
        let over = || Arc::strong_count(&self.handlers) == IDLE;
        hand.until("the end of both handlers", over).await;
        let sessions = std::mem::take(&mut self.seen.lock().unwrap().sessions);
        assert_eq!(sessions.len(), 2);
        for session in sessions {
            session.closed().await;
        }
        let place = |handle| order.iter().position(|&other| other == handle);
        let seen = self.seen.lock().unwrap();
        let came = seen.numbers.len() as u32;
        assert_eq!(seen.numbers, Vec::from_iter(0..came), "{order:?}");
        // Who gave the parameter up, and not its call, has it told behind all that was sent.
        if place(INPUT) < place(CALL) {
            let told = seen.end == Some(Err(StreamError::Cancelled)) && came == SENT;
            let is_early = seen.end.is_none() && turns < ENOUGH;
            assert!(told || is_early, "{order:?} {turns}: {came}, {:?}", seen.end);
        } else {
            assert_eq!(seen.end, None, "{order:?}");
        }
    }
}

/// The places of handles: of a parameter, of its call's reply, of what hears of the connection.
const INPUT: usize = 0;
const CALL: usize = 1;
const CHANGES: usize = 4;

/// How many messages were sent.
const SENT: u32 = 5;

/// Every order of so many.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let with_last = |order: Vec<usize>| {
        (0..count).map(move |place| {
            let mut order = order.clone();
            order.insert(place, last);
            order
        })
    };
    orders(last).into_iter().flat_map(with_last).collect()
}

async fn drop_all(hand: &Hand, handles: Vec<Box<dyn Send>>, order: &[usize], turns: usize) {
    let mut handles: Vec<_> = handles.into_iter().map(Some).collect();
    for &handle in order {
        drop(handles[handle].take());
        hand.turns(turns).await;
    }
}

/// How many turns lie between two drops: none, some, and enough for all that follows from one.
const PAUSES: [usize; 3] = [0, 3, ENOUGH];
const ENOUGH: usize = 60;

#[allow(clippy::needless_pass_by_value, reason = "a case is written in place")]
fn in_any_order(count: usize, case: impl AsyncFn(&Hand, &[usize], usize)) {
    for order in orders(count) {
        for turns in PAUSES {
            let hand = Hand::default();
            hand.run(case(&hand, &order, turns));
        }
    }
}

#[test]
fn handles_of_calls_dropped_in_any_order_leave_the_connection_as_it_was() {
    in_any_order(5, async |hand, order, turns| {
        let calls = Calls::new(hand, Duration::MAX);
        let handles = calls.begin(hand).await;
        drop_all(hand, handles, order, turns).await;
        calls.assert_over(hand, order, turns).await;
        // Both slots are free, and no credit is missing.
        assert_usable(calls.client()).await;
        let both = || [calls.client().metrics(), calls.server.metrics()];
        hand.until("the ends", || both().iter().all(|side| side.calls_open == 0)).await;
        for side in both() {
            let waiting = (side.stalled_halves, side.buffered_in, side.buffered_out);
            assert_eq!(waiting, (0, 0, 0), "{order:?}");
            assert_eq!((side.connections_begun, side.connections_open), (1, 1), "{order:?}");
        }
    });
}

#[test]
fn handles_dropped_in_any_order_with_the_client_leave_no_connection() {
    in_any_order(5, async |hand, order, turns| {
        let mut calls = Calls::new(hand, Duration::ZERO);
        let mut handles = calls.begin(hand).await;
        handles[CHANGES] = Box::new(calls.client.take());
        drop_all(hand, handles, order, turns).await;
        calls.assert_over(hand, order, turns).await;
        hand.until("the end of the connection", || calls.server.connections() == 0).await;
        let metrics = calls.server.metrics();
        assert_eq!((metrics.calls_open, metrics.connections_closed), (0, 1), "{order:?}");
    });
}
