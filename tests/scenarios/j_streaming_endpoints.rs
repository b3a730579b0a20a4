//! Group J: streaming endpoints, the older, manual way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Notify, mpsc};
use wirestream::streaming::{
    StreamingConnection, StreamingEndpoint, StreamingError, StreamingMessages, StreamingSession,
    StreamingStatus,
};
use wirestream::{
    Access, Authentication, CloseReason, Endpoint, Failed, LostReason, RejectCode, RetryPolicy,
    SendError, Server, StatusChanges, StreamError, Token, Value,
};
use wirestream_tests::canary::CANARY;
use wirestream_tests::{Net, Rig, scenarios, soon, until};

scenarios! {
    j1_a_stream_is_opened_handles_its_messages_in_order_and_is_closed_once_each,
    j1_what_is_sent_before_it_is_open_is_handled_after_it_is,
    j1_a_stream_that_is_given_up_or_lost_is_closed_too,
    j2_the_user_object_is_there_in_every_handler_and_gone_after_the_close,
    j3_a_protected_endpoint_is_not_opened_without_a_login,
    j4_messages_of_two_endpoints_on_one_connection_do_not_mix,
    j4_a_slow_handler_keeps_nobody_else_waiting,
    j5_a_handler_that_fails_or_panics_is_reported_and_the_stream_goes_on,
    j5_a_stream_that_fails_to_open_is_over,
    j6_one_users_message_is_forwarded_to_another,
    j7_a_stream_is_opened_closed_and_opened_again,
    j7_each_change_of_status_is_told_once,
    j7_closing_handles_what_was_sent_before,
    j7_what_is_sent_while_the_server_is_away_is_an_error_and_never_dropped,
    j7_the_policy_ends_the_attempts,
    j7_disconnecting_the_client_closes_it,
    j7_closing_ends_the_attempts,
    j7_a_dropped_connection_ends_the_listener,
    j7_a_dropped_listener_holds_nothing_up,
    j8_messages_keep_coming_on_the_same_listener_after_a_loss,
    j8_a_listener_that_is_slow_misses_nothing,
    j9_signing_in_opens_a_protected_endpoint_on_the_same_connection,
}

/// What an endpoint's handlers did, in order.
type Lines = mpsc::UnboundedReceiver<String>;

/// An endpoint that writes down what happens to it, and answers.
#[derive(Clone)]
struct Room {
    name: &'static str,
    log: mpsc::UnboundedSender<String>,
    /// Lets a message go on that says "wait".
    go: Arc<Notify>,
    sessions: Arc<Mutex<Vec<StreamingSession>>>,
}

impl Room {
    fn new(name: &'static str) -> (Self, Lines) {
        let (log, lines) = mpsc::unbounded_channel();
        (Self { name, log, go: Arc::default(), sessions: Arc::default() }, lines)
    }

    fn line(&self, line: impl Into<String>) {
        // The test may have seen enough.
        let _ = self.log.send(line.into());
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.name).streaming(self.clone())
    }

    fn server(&self) -> Server {
        Server::builder().endpoint(self.endpoint()).build().expect("a server")
    }

    /// The session of the stream that was opened last.
    fn session(&self) -> StreamingSession {
        self.sessions.lock().unwrap().last().expect("a session").clone()
    }
}

/// The user object: how many messages there were.
#[derive(Default)]
struct Count(Mutex<u32>);

impl StreamingEndpoint for Room {
    async fn stream_opened(&self, session: &StreamingSession) -> Result<(), Failed> {
        assert!(session.set(Count::default()).is_none());
        self.sessions.lock().unwrap().push(session.clone());
        self.line("opened");
        Ok(())
    }

    async fn handle_stream_message(
        &self,
        session: &StreamingSession,
        message: Value,
    ) -> Result<(), Failed> {
        let text = message.to_string();
        self.line(&*text);
        let count = session.get::<Count>().expect("the user object");
        *count.0.lock().unwrap() += 1;
        match text.as_str() {
            "fail" => return Err(std::io::Error::other("as asked").into()),
            "panic" => panic!("as asked"),
            "wait" => self.go.notified().await,
            "quiet" => return Ok(()),
            _ => {}
        }
        session.send_stream_message(format!("{}: {text}", self.name)).await?;
        Ok(())
    }

    async fn stream_closed(&self, session: &StreamingSession) {
        assert!(session.send_stream_message("late").await.is_err());
        let count = session.get::<Count>().expect("the user object");
        self.line(format!("closed after {}", *count.0.lock().unwrap()));
    }
}

async fn next_line(lines: &mut Lines) -> String {
    soon("a line in the log", lines.recv()).await.expect("a log")
}

async fn next(messages: &mut StreamingMessages) -> Result<String, StreamingError> {
    let message = soon("a message", messages.next()).await.expect("the connection is there");
    message.map(|message| message.to_string())
}

async fn send(connection: &StreamingConnection, message: &str) -> Result<(), SendError> {
    soon("room to send", connection.send(message)).await
}

async fn status(connection: &StreamingConnection, wanted: &StreamingStatus) {
    until(&format!("the status {wanted:?}"), || connection.status() == *wanted).await;
}

async fn closed(connection: &StreamingConnection) {
    status(connection, &StreamingStatus::Closed(None)).await;
}

/// Tries again at once, or nearly, for as long as the test runs.
fn soon_again() -> RetryPolicy {
    let (base, longest) = (Duration::from_millis(2), Duration::from_millis(20));
    RetryPolicy { attempts: u32::MAX, base, longest }
}

/// J1
async fn j1_a_stream_is_opened_handles_its_messages_in_order_and_is_closed_once_each(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let mut rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, mut messages) = client.streaming("Room");
    connection.open();
    connection.open(); // does nothing
    for n in 0..100 {
        connection.send(n).await.unwrap();
        assert_eq!(next(&mut messages).await, Ok(format!("Room: {n}")));
    }
    connection.close();
    connection.close(); // does nothing
    closed(&connection).await;
    assert_eq!(next_line(&mut lines).await, "opened");
    for n in 0..100 {
        assert_eq!(next_line(&mut lines).await, n.to_string());
    }
    assert_eq!(next_line(&mut lines).await, "closed after 100");
    // The log ends with the last that writes to it.
    rig.stop().await;
    drop((rig, client, connection, room));
    assert_eq!(soon("the end of the log", lines.recv()).await, None);
}

/// J1, A14
async fn j1_what_is_sent_before_it_is_open_is_handled_after_it_is(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, mut messages) = client.streaming("Room");
    let mut changes = connection.status_changes();
    assert_eq!(next_status(&mut changes).await, StreamingStatus::Closed(None));
    connection.open();
    // By the time anybody asks it may be open.
    assert_eq!(next_status(&mut changes).await, StreamingStatus::Opening);
    for n in 0..10 {
        assert_eq!(send(&connection, &n.to_string()).await, Ok(()));
    }
    assert_eq!(next_line(&mut lines).await, "opened");
    for n in 0..10 {
        assert_eq!(next_line(&mut lines).await, n.to_string());
        assert_eq!(next(&mut messages).await, Ok(format!("Room: {n}")));
    }
}

/// J1: by its caller, and with the connection; a handler that runs is dropped.
async fn j1_a_stream_that_is_given_up_or_lost_is_closed_too(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, messages) = client.streaming("Room");
    connection.open();
    assert_eq!(send(&connection, "wait").await, Ok(()));
    for line in ["opened", "wait"] {
        assert_eq!(next_line(&mut lines).await, line);
    }
    drop((connection, messages));
    assert_eq!(next_line(&mut lines).await, "closed after 1");

    let (connection, _messages) = client.streaming("Room");
    connection.open();
    assert_eq!(send(&connection, "wait").await, Ok(()));
    for line in ["opened", "wait"] {
        assert_eq!(next_line(&mut lines).await, line);
    }
    client.line.cut();
    assert_eq!(next_line(&mut lines).await, "closed after 1");
}

/// J2: one for each stream.
async fn j2_the_user_object_is_there_in_every_handler_and_gone_after_the_close(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    for messages_of_it in [3, 2] {
        let (connection, mut messages) = client.streaming("Room");
        connection.open();
        for _ in 0..messages_of_it {
            assert_eq!(send(&connection, "again").await, Ok(()));
            assert_eq!(next(&mut messages).await, Ok("Room: again".into()));
        }
        let session = room.session();
        let count = Arc::downgrade(&session.get::<Count>().expect("the user object"));
        connection.close();
        closed(&connection).await;
        soon("the close of the session", session.closed()).await;
        // Its handlers have seen it: each line of the log says so.
        let last = async {
            loop {
                let line = next_line(&mut lines).await;
                if line.starts_with("closed") {
                    return line;
                }
            }
        };
        assert_eq!(last.await, format!("closed after {messages_of_it}"));
        until("the user object is gone", || count.strong_count() == 0).await;
        assert!(session.get::<Count>().is_none());
    }
}

fn door() -> impl Fn(Token) -> std::future::Ready<Result<Option<Authentication>, Failed>> {
    |token| {
        let alice = Authentication::new("alice");
        std::future::ready(Ok((token.as_bytes() == CANARY.as_bytes()).then_some(alice)))
    }
}

fn refusal(status: StreamingStatus) -> RejectCode {
    match status {
        StreamingStatus::Closed(Some(StreamError::Rejected(rejection))) => rejection.code,
        other => panic!("{other:?}"),
    }
}

/// J3
async fn j3_a_protected_endpoint_is_not_opened_without_a_login(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let server = Server::builder().authenticator(door());
    let server = server.endpoint(room.endpoint().access(Access::Login)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.lasting_client();
    let (connection, mut messages) = client.streaming_with("Room", soon_again());
    for _ in 0..2 {
        connection.open();
        let Err(StreamingError::Interrupted(StreamError::Rejected(rejection))) =
            next(&mut messages).await
        else {
            panic!("not refused")
        };
        assert_eq!(rejection.code, RejectCode::Unauthenticated);
        assert_eq!(refusal(connection.status()), RejectCode::Unauthenticated);
        // It is not tried again, and nothing is sent.
        assert_eq!(send(&connection, "lost").await, Err(SendError::Stopped));
        assert!(messages.next().now_or_never().is_none());
    }
    client.set_token(Some(Token::new(CANARY))).unwrap();
    connection.open();
    assert_eq!(send(&connection, "hello").await, Ok(()));
    assert_eq!(next(&mut messages).await, Ok("Room: hello".into()));
    for line in ["opened", "hello"] {
        assert_eq!(next_line(&mut lines).await, line);
    }
    let user = room.session().authentication().map(|caller| caller.user().to_owned());
    assert_eq!(user.as_deref(), Some("alice"));

    // And a right that is taken back ends it, until somebody signs in.
    let alice = wirestream::Revocation::User("alice".into());
    assert_eq!(rig.server.revoke(&alice), 1);
    let revoked = StreamingError::Interrupted(StreamError::Revoked);
    assert_eq!(next(&mut messages).await, Err(revoked));
    let revoked = StreamingStatus::Closed(Some(StreamError::Revoked));
    assert_eq!(connection.status(), revoked);
    assert_eq!(next_line(&mut lines).await, "closed after 1");
    assert_eq!(client.line.dials(), 1);
}

/// J4: nor do two streams of one endpoint.
async fn j4_messages_of_two_endpoints_on_one_connection_do_not_mix(net: Net) {
    let (kitchen, mut in_the_kitchen) = Room::new("Kitchen");
    let (garden, mut in_the_garden) = Room::new("Garden");
    let server = Server::builder().endpoint(kitchen.endpoint()).endpoint(garden.endpoint());
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.client();
    let mut streams: Vec<_> =
        ["Kitchen", "Garden", "Kitchen"].map(|name| (name, client.streaming(name))).into();
    for (_, (connection, _)) in &streams {
        connection.open();
    }
    for n in 0..50 {
        for (place, (name, (connection, _))) in streams.iter().enumerate() {
            assert_eq!(send(connection, &format!("{n} to {name} {place}")).await, Ok(()));
        }
    }
    for (place, (name, (connection, messages))) in streams.iter_mut().enumerate() {
        for n in 0..50 {
            assert_eq!(next(messages).await, Ok(format!("{name}: {n} to {name} {place}")));
        }
        connection.close();
        closed(connection).await;
        assert!(messages.next().now_or_never().is_none());
    }
    for (lines, name, streams) in
        [(&mut in_the_kitchen, "Kitchen", 2), (&mut in_the_garden, "Garden", 1)]
    {
        let mut closed = 0;
        while closed < streams {
            let line = next_line(lines).await;
            assert!(line == "opened" || line == "closed after 50" || line.contains(name), "{line}");
            closed += usize::from(line.starts_with("closed"));
        }
    }
    assert_eq!(client.line.dials(), 1);
}

/// J4
async fn j4_a_slow_handler_keeps_nobody_else_waiting(net: Net) {
    let (room, _lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (slow, mut of_the_slow) = client.streaming("Room");
    slow.open();
    for text in ["wait", "behind it"] {
        assert_eq!(send(&slow, text).await, Ok(()));
    }
    let (other, mut of_the_other) = client.streaming("Room");
    other.open();
    for _ in 0..10 {
        assert_eq!(send(&other, "hello").await, Ok(()));
        assert_eq!(next(&mut of_the_other).await, Ok("Room: hello".into()));
    }
    assert!(of_the_slow.next().now_or_never().is_none());
    room.go.notify_one();
    assert_eq!(next(&mut of_the_slow).await, Ok("Room: wait".into()));
    assert_eq!(next(&mut of_the_slow).await, Ok("Room: behind it".into()));
}

/// J5: at its place among the messages, and to nobody else.
async fn j5_a_handler_that_fails_or_panics_is_reported_and_the_stream_goes_on(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, mut messages) = client.streaming("Room");
    let (other, mut of_the_other) = client.streaming("Room");
    connection.open();
    other.open();
    for text in ["one", "fail", "two", "panic", "three"] {
        assert_eq!(send(&connection, text).await, Ok(()));
    }
    assert_eq!(next(&mut messages).await, Ok("Room: one".into()));
    assert_eq!(next(&mut messages).await, Err(StreamingError::HandlerFailed));
    assert_eq!(next(&mut messages).await, Ok("Room: two".into()));
    assert_eq!(next(&mut messages).await, Err(StreamingError::HandlerFailed));
    assert_eq!(next(&mut messages).await, Ok("Room: three".into()));
    assert_eq!(connection.status(), StreamingStatus::Open);
    connection.close();
    closed(&connection).await;

    assert_eq!(send(&other, "hello").await, Ok(()));
    assert_eq!(next(&mut of_the_other).await, Ok("Room: hello".into()));
    until("it is closed", || lines.try_recv().is_ok_and(|line| line == "closed after 5")).await;
    assert_eq!(client.line.dials(), 1);
}

/// J5: and closed all the same, as it may have got half-way.
async fn j5_a_stream_that_fails_to_open_is_over(net: Net) {
    struct Shut(Room, bool);
    impl StreamingEndpoint for Shut {
        async fn stream_opened(&self, session: &StreamingSession) -> Result<(), Failed> {
            session.send_stream_message("half-way").await?;
            assert!(!self.1, "as asked");
            Err(std::io::Error::other("as asked").into())
        }

        async fn handle_stream_message(
            &self,
            _: &StreamingSession,
            _: Value,
        ) -> Result<(), Failed> {
            unreachable!("it was not opened")
        }

        async fn stream_closed(&self, _: &StreamingSession) {
            self.0.line("closed");
        }
    }
    let (room, mut lines) = Room::new("Room");
    let endpoint = |name: &str, panics| Endpoint::new(name).streaming(Shut(room.clone(), panics));
    let server = Server::builder().endpoint(endpoint("Fails", false));
    let rig = Rig::start(net, server.endpoint(endpoint("Panics", true)).build().unwrap()).await;
    let client = rig.client();
    for name in ["Fails", "Panics"] {
        let (connection, mut messages) = client.streaming(name);
        connection.open();
        // It may be refused already, or be taken and come to nothing.
        let _ = send(&connection, "hello").await;
        assert_eq!(next(&mut messages).await, Ok("half-way".into()));
        let failed = StreamError::Failed;
        let interrupted = StreamingError::Interrupted(failed.clone());
        assert_eq!(next(&mut messages).await, Err(interrupted));
        assert_eq!(connection.status(), StreamingStatus::Closed(Some(failed)));
        assert_eq!(next_line(&mut lines).await, "closed");
    }
}

/// J6: each user hears the channel of their own, on which others write to them.
async fn j6_one_users_message_is_forwarded_to_another(net: Net) {
    struct Mail;
    fn user(session: &StreamingSession) -> String {
        session.authentication().expect("a login").user().to_owned()
    }
    impl StreamingEndpoint for Mail {
        async fn stream_opened(&self, session: &StreamingSession) -> Result<(), Failed> {
            let channel = format!("user_{}", user(session));
            let mut letters = session.messages().subscribe::<String>(&channel).await?;
            let reader = session.clone();
            // It ends with the session, as its subscription does.
            tokio::spawn(async move {
                while let Some(Ok(letter)) = letters.next().await {
                    if reader.send_stream_message(letter).await.is_err() {
                        return;
                    }
                }
            });
            Ok(())
        }

        async fn handle_stream_message(
            &self,
            session: &StreamingSession,
            message: Value,
        ) -> Result<(), Failed> {
            let (to, text) = message.to::<(String, String)>()?;
            let letter = format!("{}: {text}", user(session));
            session.messages().post(&format!("user_{to}"), &letter).await?;
            Ok(())
        }
    }
    let authenticator = async |token: Token| {
        let name = token.as_bytes().strip_suffix(CANARY.as_bytes());
        let name = name.map(|name| String::from_utf8_lossy(name).into_owned());
        Ok(name.map(Authentication::new))
    };
    let mail = Endpoint::new("Mail").streaming(Mail).access(Access::Login);
    let server = Server::builder().authenticator(authenticator).endpoint(mail);
    let rig = Rig::start(net, server.build().unwrap()).await;
    let letter = |to: &str, text: &str| Value::from_serialize(&(to, text)).expect("a letter");
    let mut streams: Vec<_> = ["ann", "bob", "eve"]
        .map(|name| {
            let client = rig.client();
            let token = Token::new(format!("{name}{CANARY}"));
            client.set_token(Some(token)).expect("a short token");
            let (connection, messages) = client.streaming("Mail");
            connection.open();
            (connection, messages)
        })
        .into();
    for (connection, _) in &streams {
        status(connection, &StreamingStatus::Open).await;
    }
    let [(ann, to_ann), (bob, to_bob), (_eve, to_eve)] = &mut streams[..] else { unreachable!() };
    for n in 0..10 {
        ann.send(letter("bob", &format!("question {n}"))).await.unwrap();
        assert_eq!(next(to_bob).await, Ok(format!("ann: question {n}")));
        bob.send(letter("ann", &format!("answer {n}"))).await.unwrap();
        assert_eq!(next(to_ann).await, Ok(format!("bob: answer {n}")));
    }
    // Who is away does not hear it later.
    bob.close();
    closed(bob).await;
    ann.send(letter("bob", "are you there?")).await.unwrap();
    ann.send(letter("ann", "to myself")).await.unwrap();
    assert_eq!(next(to_ann).await, Ok("ann: to myself".into()));
    bob.open();
    status(bob, &StreamingStatus::Open).await;
    ann.send(letter("bob", "welcome back")).await.unwrap();
    assert_eq!(next(to_bob).await, Ok("ann: welcome back".into()));
    assert!(to_eve.next().now_or_never().is_none());
}

/// J7: with the listener that it has.
async fn j7_a_stream_is_opened_closed_and_opened_again(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.lasting_client();
    let (connection, mut messages) = client.streaming("Room");
    assert_eq!(connection.status(), StreamingStatus::Closed(None));
    assert_eq!(send(&connection, "too early").await, Err(SendError::Stopped));
    for n in 0..5 {
        connection.open();
        assert_eq!(send(&connection, &n.to_string()).await, Ok(()));
        assert_eq!(next(&mut messages).await, Ok(format!("Room: {n}")));
        connection.close();
        assert_eq!(send(&connection, "too late").await, Err(SendError::Stopped));
        // Also while it is still being closed.
        if n % 2 == 0 {
            closed(&connection).await;
        }
        for line in ["opened", &n.to_string(), "closed after 1"] {
            assert_eq!(next_line(&mut lines).await, line);
        }
    }
    assert_eq!(client.line.dials(), 1);
}

async fn next_status(changes: &mut StatusChanges<StreamingStatus>) -> StreamingStatus {
    soon("a change of status", changes.next()).await.expect("the connection is there")
}

/// J7
async fn j7_each_change_of_status_is_told_once(net: Net) {
    let (room, _lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, _messages) = client.streaming_with("Room", soon_again());
    let mut changes = connection.status_changes();
    let closed = StreamingStatus::Closed(None);
    assert_eq!(next_status(&mut changes).await, closed);
    connection.open();
    assert_eq!(next_status(&mut changes).await, StreamingStatus::Opening);
    assert_eq!(next_status(&mut changes).await, StreamingStatus::Open);
    client.line.cut();
    let waiting = next_status(&mut changes).await;
    assert!(matches!(waiting, StreamingStatus::Waiting(pause) if pause.as_millis() <= 2));
    assert_eq!(next_status(&mut changes).await, StreamingStatus::Opening);
    assert_eq!(next_status(&mut changes).await, StreamingStatus::Open);
    connection.close();
    assert_eq!(next_status(&mut changes).await, closed);
    drop(connection);
    assert_eq!(soon("the end of the changes", changes.next()).await, None);
}

/// J7
async fn j7_closing_handles_what_was_sent_before(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, mut messages) = client.streaming("Room");
    // Also if it is closed before it was open, and opened again before it was closed.
    let app = connection.clone();
    let sending = tokio::spawn(async move {
        for round in 0..2 {
            app.open();
            assert_eq!(send(&app, "wait").await, Ok(()));
            for n in 0..20 {
                assert_eq!(send(&app, &format!("{round} {n}")).await, Ok(()));
            }
            app.close();
        }
    });
    for round in 0..2 {
        for line in ["opened", "wait"] {
            assert_eq!(next_line(&mut lines).await, line);
        }
        room.go.notify_one();
        for n in 0..20 {
            assert_eq!(next_line(&mut lines).await, format!("{round} {n}"));
        }
        assert_eq!(next_line(&mut lines).await, "closed after 21");
        assert_eq!(next(&mut messages).await, Ok("Room: wait".into()));
        for n in 0..20 {
            assert_eq!(next(&mut messages).await, Ok(format!("Room: {round} {n}")));
        }
    }
    soon("the end of the sending", sending).await.unwrap();
    closed(&connection).await;
    assert!(messages.next().now_or_never().is_none());
}

/// J7
async fn j7_what_is_sent_while_the_server_is_away_is_an_error_and_never_dropped(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let mut rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, mut messages) = client.streaming_with("Room", soon_again());
    connection.open();
    assert_eq!(send(&connection, "before").await, Ok(()));
    assert_eq!(next(&mut messages).await, Ok("Room: before".into()));
    rig.stop().await;
    let lost = soon("the interruption", messages.next()).await.expect("an item");
    assert!(matches!(lost, Err(StreamingError::Interrupted(StreamError::Lost(_)))));
    for n in 0..20 {
        let sent = send(&connection, &format!("away {n}")).await;
        assert!(matches!(sent, Err(SendError::Lost(_))), "{sent:?}");
    }
    let (room, mut later) = Room::new("Room");
    rig.restart(room.server()).await;
    status(&connection, &StreamingStatus::Open).await;
    assert_eq!(send(&connection, "after").await, Ok(()));
    assert_eq!(next(&mut messages).await, Ok("Room: after".into()));
    for line in ["opened", "before", "closed after 1"] {
        assert_eq!(next_line(&mut lines).await, line);
    }
    // Nothing of what failed came late.
    for line in ["opened", "after"] {
        assert_eq!(next_line(&mut later).await, line);
    }
}

/// J7: at last with the reason, for the listener too.
async fn j7_the_policy_ends_the_attempts(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let mut rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let policy = RetryPolicy { attempts: 3, ..soon_again() };
    let (connection, mut messages) = client.streaming_with("Room", policy);
    let mut changes = connection.status_changes();
    connection.open();
    assert_eq!(next_line(&mut lines).await, "opened");
    status(&connection, &StreamingStatus::Open).await;
    rig.stop().await;
    let lost = soon("the interruption", messages.next()).await.expect("an item");
    assert!(matches!(lost, Err(StreamingError::Interrupted(StreamError::Lost(_)))));
    let given_up = soon("the end", messages.next()).await.expect("an item");
    let Err(StreamingError::Interrupted(reason)) = given_up else { panic!("{given_up:?}") };
    assert!(matches!(reason, StreamError::Lost(LostReason::Connect(_))), "{reason:?}");
    assert_eq!(connection.status(), StreamingStatus::Closed(Some(reason)));
    assert_eq!(client.line.dials(), 1 + 3);
    let mut pauses = 0;
    while let Some(change) = changes.next().now_or_never().flatten() {
        pauses += usize::from(matches!(change, StreamingStatus::Waiting(_)));
    }
    assert_eq!(pauses, 3);
    assert!(matches!(send(&connection, "lost").await, Err(SendError::Lost(_))));

    // And it can be opened by hand.
    let (room, _lines) = Room::new("Room");
    rig.restart(room.server()).await;
    connection.open();
    assert_eq!(send(&connection, "hello").await, Ok(()));
    assert_eq!(next(&mut messages).await, Ok("Room: hello".into()));
}

/// J7: it would come back by itself otherwise.
async fn j7_disconnecting_the_client_closes_it(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, mut messages) = client.streaming_with("Room", soon_again());
    connection.open();
    assert_eq!(next_line(&mut lines).await, "opened");
    client.disconnect();
    let reason = StreamError::Lost(LostReason::Closed(CloseReason::Local));
    assert_eq!(next(&mut messages).await, Err(StreamingError::Interrupted(reason.clone())));
    assert_eq!(connection.status(), StreamingStatus::Closed(Some(reason)));
    assert_eq!(next_line(&mut lines).await, "closed after 0");
    assert_eq!(client.line.dials(), 1);
}

/// J7: at once, and it may be opened again at once.
async fn j7_closing_ends_the_attempts(net: Net) {
    let (room, _lines) = Room::new("Room");
    let mut rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let hour = Duration::from_secs(3_600);
    let policy = RetryPolicy { attempts: u32::MAX, base: 1_000 * hour, longest: 1_000 * hour };
    let (connection, mut messages) = client.streaming_with("Room", policy);
    rig.stop().await;
    connection.open();
    let is_waiting = || matches!(connection.status(), StreamingStatus::Waiting(_));
    until("the pause", is_waiting).await;
    connection.close();
    closed(&connection).await;

    connection.open();
    until("the pause", is_waiting).await;
    let (room, _lines) = Room::new("Room");
    rig.restart(room.server()).await;
    connection.close();
    connection.open();
    assert_eq!(send(&connection, "hello").await, Ok(()));
    assert_eq!(next(&mut messages).await, Ok("Room: hello".into()));
}

/// J7: behind what it has.
async fn j7_a_dropped_connection_ends_the_listener(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (never_opened, mut messages) = client.streaming("Room");
    drop(never_opened);
    assert_eq!(soon("the end", messages.next()).await, None);

    let (connection, mut messages) = client.streaming("Room");
    connection.open();
    let clone = connection.clone();
    drop(connection);
    assert_eq!(send(&clone, "hello").await, Ok(()));
    assert_eq!(next(&mut messages).await, Ok("Room: hello".into()));
    drop(clone);
    assert_eq!(soon("the end", messages.next()).await, None);
    for line in ["opened", "hello", "closed after 1"] {
        assert_eq!(next_line(&mut lines).await, line);
    }
}

/// J7
async fn j7_a_dropped_listener_holds_nothing_up(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, messages) = client.streaming_with("Room", soon_again());
    drop(messages);
    connection.open();
    // The server may see the cut later than the client, and close behind the next opening.
    let mut closed = 0;
    let mut but_closed = async |lines: &mut Lines| loop {
        match next_line(lines).await {
            line if line == "closed after 100" => closed += 1,
            line => return line,
        }
    };
    for _ in 0..2 {
        assert_eq!(but_closed(&mut lines).await, "opened");
        status(&connection, &StreamingStatus::Open).await;
        for n in 0..100 {
            assert_eq!(send(&connection, &n.to_string()).await, Ok(()));
            assert_eq!(but_closed(&mut lines).await, n.to_string());
        }
        client.line.cut();
    }
    for _ in closed..2 {
        assert_eq!(next_line(&mut lines).await, "closed after 100");
    }
}

/// J8: each loss is told, at its place.
async fn j8_messages_keep_coming_on_the_same_listener_after_a_loss(net: Net) {
    let (room, _lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, mut messages) = client.streaming_with("Room", soon_again());
    connection.open();
    for n in 0..5 {
        status(&connection, &StreamingStatus::Open).await;
        assert_eq!(client.line.dials(), 1 + n);
        assert_eq!(send(&connection, &n.to_string()).await, Ok(()));
        assert_eq!(next(&mut messages).await, Ok(format!("Room: {n}")));
        client.line.cut();
        let lost = soon("the interruption", messages.next()).await.expect("an item");
        assert!(matches!(lost, Err(StreamingError::Interrupted(StreamError::Lost(_)))), "{lost:?}");
    }
}

/// J8: what came before a loss comes before it is told.
async fn j8_a_listener_that_is_slow_misses_nothing(net: Net) {
    let (room, mut lines) = Room::new("Room");
    let rig = Rig::start(net, room.server()).await;
    let client = rig.client();
    let (connection, mut messages) = client.streaming_with("Room", soon_again());
    connection.open();
    for n in 0..200 {
        assert_eq!(send(&connection, &n.to_string()).await, Ok(()));
    }
    connection.close();
    while next_line(&mut lines).await != "closed after 200" {}
    // All of it waits for the listener, most of it in the call's window.
    for n in 0..100 {
        assert_eq!(next(&mut messages).await, Ok(format!("Room: {n}")));
    }
    client.line.cut();
    for n in 100..200 {
        match next(&mut messages).await {
            Ok(message) => assert_eq!(message, format!("Room: {n}")),
            // It was cut off on its way, and the listener is told so.
            Err(StreamingError::Interrupted(_)) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// J9
async fn j9_signing_in_opens_a_protected_endpoint_on_the_same_connection(net: Net) {
    let (public, _lines) = Room::new("Public");
    let (private, _lines) = Room::new("Private");
    let server = Server::builder().authenticator(door()).endpoint(public.endpoint());
    let server = server.endpoint(private.endpoint().access(Access::Login)).build().unwrap();
    let rig = Rig::start(net, server).await;
    let client = rig.client();
    let (public, mut of_the_public) = client.streaming("Public");
    let (private, mut of_the_private) = client.streaming("Private");
    public.open();
    assert_eq!(send(&public, "hello").await, Ok(()));
    assert_eq!(next(&mut of_the_public).await, Ok("Public: hello".into()));
    private.open();
    assert!(next(&mut of_the_private).await.is_err());
    assert_eq!(refusal(private.status()), RejectCode::Unauthenticated);

    client.set_token(Some(Token::new(CANARY))).unwrap();
    private.open();
    assert_eq!(send(&private, "secret").await, Ok(()));
    assert_eq!(next(&mut of_the_private).await, Ok("Private: secret".into()));
    assert_eq!(send(&public, "still here").await, Ok(()));
    assert_eq!(next(&mut of_the_public).await, Ok("Public: still here".into()));
    assert_eq!(client.line.dials(), 1);
}
