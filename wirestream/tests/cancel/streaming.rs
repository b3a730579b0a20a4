//! Streaming endpoints: what both sides send, and what the caller listens to.

use wirestream::streaming::{
    StreamingConnection, StreamingEndpoint, StreamingMessages, StreamingSession, StreamingStatus,
};
use wirestream::{Failed, Value};

use super::*;

fn value(number: u32) -> Value {
    let (number, filler) = message(number);
    vec![Value::from(number), Value::from(filler)].into()
}

/// Sends messages with these numbers, and notes which were sent.
async fn say(to: &StreamingConnection, numbers: impl Iterator<Item = u32>, sent: &mut Vec<u32>) {
    for number in numbers {
        to.send(value(number)).await.expect("it is open");
        sent.push(number);
    }
}

/// The same, from the other side.
async fn answer(to: &StreamingSession, numbers: impl Iterator<Item = u32>, sent: &mut Vec<u32>) {
    for number in numbers {
        to.send_stream_message(value(number)).await.expect("it is open");
        sent.push(number);
    }
}

/// Takes messages until there are so many, or no more come.
async fn listen(messages: &mut StreamingMessages, count: usize, heard: &mut Vec<u32>) {
    while heard.len() < count {
        let Some(message) = messages.next().await else { return };
        let message = message.expect("no loss");
        let (number, filler): Message = message.to().expect("a message");
        assert_eq!((number, filler), super::message(number));
        heard.push(number);
    }
}

/// Listens beside the case, to the end.
fn listening(hand: &Hand, mut messages: StreamingMessages) -> Arc<Mutex<Option<Vec<u32>>>> {
    beside(hand, async move {
        let mut heard = Vec::new();
        listen(&mut messages, usize::MAX, &mut heard).await;
        heard
    })
}

/// Has what was sent handled and answered, and ends it.
async fn close(hand: &Hand, connection: StreamingConnection) {
    connection.close();
    hand.until("the close", || connection.status() == StreamingStatus::Closed(None)).await;
}

/// Says back what it hears.
struct Echo;

impl StreamingEndpoint for Echo {
    async fn handle_stream_message(
        &self,
        session: &StreamingSession,
        message: Value,
    ) -> Result<(), Failed> {
        Ok(session.send_stream_message(message).await?)
    }
}

#[test]
fn a_message_to_an_endpoint_whose_sending_was_dropped_was_not_sent() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods().streaming(Echo)));
        let (connection, messages) = client.streaming("E");
        let heard = listening(hand, messages);
        connection.open();
        let mut sent = Vec::new();
        let _dropped = cut.of(say(&connection, 0..20, &mut sent)).await;
        say(&connection, 100..105, &mut sent).await;
        close(hand, connection).await;
        assert_eq!(done(hand, "the end", &heard).await, sent);
        assert_usable(&client).await;
    });
}

/// Answers with more than there is room for, and is interrupted.
struct Answering {
    cut: Cut,
    sent: Arc<Mutex<Vec<u32>>>,
}

impl StreamingEndpoint for Answering {
    async fn handle_stream_message(
        &self,
        session: &StreamingSession,
        _: Value,
    ) -> Result<(), Failed> {
        let mut sent = Vec::new();
        let _dropped = self.cut.of(answer(session, 0..20, &mut sent)).await;
        answer(session, 100..105, &mut sent).await;
        *self.sent.lock().unwrap() = sent;
        Ok(())
    }
}

#[test]
fn a_message_of_an_endpoint_whose_sending_was_dropped_was_not_sent() {
    at_each_poll(async |hand, cut| {
        let sent = Arc::default();
        let answering = Answering { cut: cut.clone(), sent: Arc::clone(&sent) };
        let client = client(hand, &server(methods().streaming(answering)));
        let (connection, messages) = client.streaming("E");
        let heard = listening(hand, messages);
        connection.open();
        connection.send(()).await.expect("it is open");
        close(hand, connection).await;
        let heard = done(hand, "the end", &heard).await;
        assert_eq!(heard, *sent.lock().unwrap());
        assert!(heard.ends_with(&[100, 101, 102, 103, 104]));
        assert_usable(&client).await;
    });
}

#[test]
fn a_listener_goes_on_where_its_reader_was_dropped() {
    at_each_poll(async |hand, cut| {
        let client = client(hand, &server(methods().streaming(Echo)));
        let (connection, mut messages) = client.streaming("E");
        connection.open();
        let saying = connection.clone();
        let said = beside(hand, async move { say(&saying, 0..20, &mut Vec::new()).await });
        let mut heard = Vec::new();
        let _dropped = cut.of(listen(&mut messages, 20, &mut heard)).await;
        listen(&mut messages, 20, &mut heard).await;
        done(hand, "the sending", &said).await;
        assert_eq!(heard, Vec::from_iter(0..20));
        close(hand, connection).await;
        assert_eq!(messages.next().await, None);
        assert_usable(&client).await;
    });
}
