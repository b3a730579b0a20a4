//! What an operator gets to see: spans, events and their levels, on every transport.

#![allow(unreachable_pub, reason = "the modules share, and nobody else sees them")]

mod capture;

use std::io::{Error, Read, Write};
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt, stream};
use tracing::Level;
use wirestream::streaming::{StreamingEndpoint, StreamingError, StreamingSession};
use wirestream::{
    Access, Authentication, ClientConfig, Endpoint, Failed, MessageError, NoError, Receiver,
    RejectCode, Server, ServerBuilder, Session, StreamError, Token, Value, channel,
};
use wirestream_tests::canary::CANARY;
use wirestream_tests::{LONG, Net, Rig, TestClient, scenarios, soon, until};

use capture::{Told, Watching};

scenarios! {
    a_call_is_told_in_spans_from_its_begin_to_its_end,
    an_error_that_travels_is_no_warning,
    an_error_that_does_not_travel_is_told_once,
    a_reply_that_cannot_be_sent_is_told,
    a_panic_is_told_with_its_method,
    a_close_hook_that_panics_is_told,
    a_listener_that_panics_is_told,
    a_handler_of_a_streaming_endpoint_that_fails_or_panics_is_told,
    a_call_that_is_given_up_is_told_as_cancelled,
    a_lost_connection_is_told_with_its_calls,
    a_peer_that_breaks_a_rule_is_told_with_the_rule,
    a_caller_who_is_turned_away_is_told_without_the_token,
    an_authenticator_that_fails_is_told_and_no_token,
    ten_thousand_messages_are_told_in_a_handful_of_events,
    a_shutdown_is_told,
}

async fn add(_: Session, (a, b): (i64, i64), (): ()) -> Result<i64, NoError> {
    tracing::info!("adding");
    Ok(a + b)
}

async fn typed(_: Session, (): (), (): ()) -> Result<(), String> {
    Err(CANARY.into())
}

async fn too_large(_: Session, (): (), (): ()) -> Result<(), String> {
    Err(CANARY.repeat(1 << 10))
}

async fn untyped(_: Session, (): (), (): ()) -> Result<(), Failed> {
    Err(Error::other("the disk is full"))?
}

fn untyped_stream(
    _: Session,
    (): (),
    (): (),
) -> impl Stream<Item = Result<String, Failed>> + Send + 'static {
    stream::iter([Ok(CANARY.into()), Err(Error::other("the disk is full").into())])
}

async fn large(_: Session, (): (), (): ()) -> Result<String, NoError> {
    Ok("x".repeat(1 << 20))
}

async fn panics(_: Session, (): (), (): ()) -> Result<(), NoError> {
    panic!("on purpose")
}

async fn hooked(session: Session, (): (), (): ()) -> Result<(), NoError> {
    session.on_close(async || panic!("a hook, on purpose")).unwrap();
    Ok(())
}

fn listening(session: Session, (): (), (): ()) -> impl Stream<Item = Result<(), NoError>> {
    let listens = async move {
        let panics = |heard: Result<u8, MessageError>| panic!("it heard {}", heard.unwrap());
        session.messages().listen("news", panics).await.map(drop).unwrap();
        stream::once(async { Ok(()) }).chain(stream::pending())
    };
    listens.flatten_stream()
}

fn echo(
    _: Session,
    (): (),
    (messages,): (Receiver<String>,),
) -> impl Stream<Item = Result<String, NoError>> + Send + 'static {
    messages.filter_map(async |message| message.ok().map(Ok))
}

fn endless(
    _: Session,
    (): (),
    (): (),
) -> impl Stream<Item = Result<u64, NoError>> + Send + 'static {
    stream::iter([Ok(1)]).chain(stream::pending())
}

fn builder() -> ServerBuilder {
    Server::builder().endpoint(
        Endpoint::new("Example")
            .unary("add", add)
            .unary("typed", typed)
            .unary("too_large", too_large)
            .unary("untyped", untyped)
            .stream("untyped_stream", untyped_stream)
            .unary("large", large)
            .unary("panics", panics)
            .unary("hooked", hooked)
            .stream("listening", listening)
            .stream("echo", echo)
            .stream("endless", endless),
    )
}

async fn rig(net: Net) -> (Watching, Rig, TestClient) {
    let watching = Watching::begin().await;
    let rig = Rig::start(net, builder().build().unwrap()).await;
    let client = rig.lasting_client();
    (watching, rig, client)
}

fn names(told: &Told) -> (&str, &str) {
    (told.fields.get("endpoint"), told.fields.get("method"))
}

async fn a_call_is_told_in_spans_from_its_begin_to_its_end(net: Net) {
    let (watching, rig, client) = rig(net).await;
    let sum = client.call("Example.add").arguments(&(1i64, 2i64)).unary::<i64>();
    assert_eq!(soon("the sum", sum).await, Ok(3));
    for end in watching.ends().await {
        assert_eq!((end.level, end.target), (Level::DEBUG, "wirestream::call"));
        assert_eq!(end.fields.get("end"), "finished");
        assert_eq!((end.of("call", "endpoint"), end.of("call", "method")), ("Example", "add"));
        assert_eq!(end.of("call", "call"), "1");
    }
    // What the method itself tells stands in the call's span.
    let own = watching.one("adding").await;
    let session: u64 = own.of("call", "session").parse().unwrap();
    assert!(session > 0);
    assert_eq!((own.of("call", "method"), own.of("connection", "side")), ("add", "server"));
    let peer = own.of("connection", "peer");
    assert_eq!(peer.starts_with("127.0.0.1:"), net != Net::Memory, "{peer:?}");
    client.disconnect();
    until("the ends", || watching.closed("connection").len() == 2).await;
    for side in ["client", "server"] {
        let spans = watching.closed("connection");
        let span = spans.iter().find(|told| told.fields.get("side") == side).unwrap();
        assert_eq!(span.level, Level::INFO);
        let end = if side == "client" { "closed here" } else { "closed by the peer" };
        assert_eq!(span.fields.get("end"), end);
    }
    assert_eq!(watching.closed("call").len(), 2);
    assert!(watching.closed("call").iter().all(|call| call.fields.get("end") == "finished"));
    assert_eq!(watching.at(Level::INFO).len(), 1, "{:#?}", watching.at(Level::INFO));
    watching.end(rig, client).await;
}

async fn an_error_that_travels_is_no_warning(net: Net) {
    let (watching, rig, client) = rig(net).await;
    let reply = client.call("Example.typed").unary_with_error::<(), String>();
    assert_eq!(soon("the error", reply).await, Err(StreamError::App(CANARY.into())));
    assert_eq!(watching.ends().await.map(|end| end.fields.get("end").to_owned()), ["failed"; 2]);
    assert!(watching.at(Level::INFO).is_empty(), "{:#?}", watching.at(Level::INFO));
    assert!(!watching.text().contains(CANARY));
    watching.end(rig, client).await;
}

async fn an_error_that_does_not_travel_is_told_once(net: Net) {
    let size = 3 + (CANARY.len() << 10); // three tell the length
    let too_large = format!("an error of {size} bytes, of which 4096 may travel");
    let full = "the disk is full";
    for (method, error) in
        [("untyped", full), ("untyped_stream", full), ("too_large", too_large.as_str())]
    {
        let (watching, rig, client) = rig(net).await;
        let mut reply = client.call(format!("Example.{method}")).stream::<String>();
        let end = soon("the error", async { while let Some(Ok(_)) = reply.next().await {} });
        end.await;
        let told = watching.one("the method failed").await;
        assert_eq!((told.level, told.target), (Level::WARN, "wirestream::call"));
        assert_eq!(told.fields.get("error"), error);
        assert_eq!(names(&told), ("Example", method));
        assert_eq!(told.fields.get("session"), told.of("call", "session"));
        assert_eq!(
            watching.ends().await.map(|end| end.fields.get("end").to_owned()),
            ["failed"; 2]
        );
        assert_eq!(watching.at(Level::INFO).len(), 1);
        assert!(!watching.text().contains(CANARY));
        watching.end(rig, client).await;
    }
}

async fn a_reply_that_cannot_be_sent_is_told(net: Net) {
    let (watching, rig, client) = rig(net).await;
    let reply = soon("the failure", client.call("Example.large").unary::<String>());
    assert_eq!(reply.await, Err(StreamError::Failed));
    let told = watching.one("the reply could not be sent").await;
    assert_eq!((told.level, names(&told)), (Level::WARN, ("Example", "large")));
    assert!(told.fields.get("error").starts_with("a message of 1048"), "{told:?}");
    watching.end(rig, client).await;
}

async fn a_panic_is_told_with_its_method(net: Net) {
    let (watching, rig, client) = rig(net).await;
    let reply = soon("the failure", client.call("Example.panics").unary::<()>());
    assert_eq!(reply.await, Err(StreamError::Failed));
    let told = watching.one("the method panicked").await;
    assert_eq!((told.level, told.target), (Level::ERROR, "wirestream::call"));
    assert_eq!((told.fields.get("panic"), names(&told)), ("on purpose", ("Example", "panics")));
    assert!(!told.fields.get("session").is_empty());
    assert_eq!(watching.ends().await.map(|end| end.fields.get("end").to_owned()), ["failed"; 2]);
    watching.end(rig, client).await;
}

async fn a_close_hook_that_panics_is_told(net: Net) {
    let (watching, rig, client) = rig(net).await;
    assert_eq!(soon("the end", client.call("Example.hooked").unary::<()>()).await, Ok(()));
    let told = watching.one("a close hook panicked").await;
    assert_eq!((told.level, names(&told)), (Level::ERROR, ("Example", "hooked")));
    assert_eq!(told.fields.get("panic"), "a hook, on purpose");
    watching.end(rig, client).await;
}

/// Within the span of its call.
async fn a_listener_that_panics_is_told(net: Net) {
    let (watching, rig, client) = rig(net).await;
    let mut reply = client.call("Example.listening").stream::<()>();
    assert_eq!(soon("a listener", reply.next()).await, Some(Ok(())));
    assert_eq!(soon("a message", rig.server.messages().post("news", &1_u8)).await, Ok(()));
    let told = watching.one("a listener panicked").await;
    assert_eq!((told.level, told.target), (Level::ERROR, "wirestream::call"));
    assert_eq!((told.fields.get("channel"), told.fields.get("panic")), ("news", "it heard 1"));
    assert_eq!(told.of("call", "method"), "listening");
    drop(reply);
    watching.end(rig, client).await;
}

async fn a_handler_of_a_streaming_endpoint_that_fails_or_panics_is_told(net: Net) {
    struct Desk;
    impl StreamingEndpoint for Desk {
        async fn handle_stream_message(
            &self,
            _: &StreamingSession,
            message: Value,
        ) -> Result<(), Failed> {
            assert_eq!(message, Value::from("fail"), "a handler, on purpose");
            Err(Error::other("the desk is locked").into())
        }
    }
    let watching = Watching::begin().await;
    let server = Server::builder().endpoint(Endpoint::new("Desk").streaming(Desk));
    let rig = Rig::start(net, server.build().unwrap()).await;
    let client = rig.lasting_client();
    let (connection, mut messages) = client.streaming("Desk");
    connection.open();
    for (text, event, level, field, said) in [
        ("fail", "the method failed", Level::WARN, "error", "the desk is locked"),
        ("panic", "the method panicked", Level::ERROR, "panic", "a handler, on purpose"),
    ] {
        assert_eq!(soon("it is sent", connection.send(text)).await, Ok(()));
        let heard = soon("a report", messages.next()).await;
        assert_eq!(heard, Some(Err(StreamingError::HandlerFailed)));
        let told = watching.one(event).await;
        assert_eq!((told.level, names(&told)), (level, ("Desk", "stream")));
        assert!(told.fields.get(field).contains(said), "{told:?}");
        assert_eq!(told.fields.get("session"), told.of("call", "session"));
    }
    drop((connection, messages));
    watching.end(rig, client).await;
}

async fn a_call_that_is_given_up_is_told_as_cancelled(net: Net) {
    let (watching, rig, client) = rig(net).await;
    let mut reply = client.call("Example.endless").stream::<u64>();
    assert_eq!(soon("an item", reply.next()).await, Some(Ok(1)));
    drop(reply);
    let ends = watching.ends().await;
    assert_eq!(ends.map(|end| end.fields.get("end").to_owned()), ["cancelled"; 2]);
    assert!(watching.at(Level::INFO).is_empty());
    watching.end(rig, client).await;
}

async fn a_lost_connection_is_told_with_its_calls(net: Net) {
    let (watching, rig, client) = rig(net).await;
    let mut reply = client.call("Example.endless").stream::<u64>();
    assert_eq!(soon("an item", reply.next()).await, Some(Ok(1)));
    client.line.cut();
    assert!(matches!(soon("the loss", reply.next()).await, Some(Err(StreamError::Lost(_)))));
    assert_eq!(watching.ends().await.map(|end| end.fields.get("end").to_owned()), ["lost"; 2]);
    until("both ends", || watching.events("the connection has ended").len() == 2).await;
    for told in watching.events("the connection has ended") {
        assert_eq!((told.level, told.fields.get("reason")), (Level::DEBUG, "the transport ended"));
    }
    // A network that comes and goes is nobody's mistake.
    assert!(watching.at(Level::INFO).is_empty());
    watching.end(rig, client).await;
}

async fn a_peer_that_breaks_a_rule_is_told_with_the_rule(net: Net) {
    let (watching, rig, client) = rig(net).await;
    let mut peer = rig.raw().await;
    peer.say_hello().await;
    peer.send_packet(format!("{CANARY} is no frame").into_bytes().into()).await;
    peer.rest().await;
    let told = watching.one("the peer broke a rule").await;
    assert_eq!((told.level, told.target), (Level::WARN, "wirestream::connection"));
    assert!(told.fields.get("rule").starts_with("R-FRAME-"), "{told:?}");
    assert_eq!(told.of("connection", "side"), "server");
    assert!(!watching.text().contains(CANARY));
    watching.end(rig, client).await;
}

async fn authenticator(token: Token) -> Result<Option<Authentication>, Failed> {
    match token.as_bytes().strip_prefix(CANARY.as_bytes()) {
        Some(b" fails") => Err(Error::other("the user store is down").into()),
        Some(b" panics") => panic!("an authenticator, on purpose"),
        Some(b" alice") => Ok(Some(Authentication::new("alice"))),
        _ => Ok(None),
    }
}

async fn guarded(net: Net, token: &str) -> (Watching, Rig, TestClient) {
    let watching = Watching::begin().await;
    let door = Endpoint::new("Door").unary("add", add).access(Access::Login);
    let server = builder().endpoint(door).authenticator(authenticator).build().unwrap();
    let rig = Rig::start(net, server).await;
    let token = Some(Token::new(format!("{CANARY} {token}")));
    let client = rig.client_of(ClientConfig { token, ..ClientConfig::default() });
    (watching, rig, client)
}

async fn enter(client: &TestClient) -> Result<i64, StreamError> {
    let sum = client.call("Door.add").arguments(&(1i64, 2i64)).unary::<i64>();
    soon("an answer", sum).await
}

async fn a_caller_who_is_turned_away_is_told_without_the_token(net: Net) {
    let (watching, rig, client) = guarded(net, "nobody").await;
    let Err(StreamError::Rejected(refused)) = enter(&client).await else { panic!("let in") };
    assert_eq!(refused.code, RejectCode::Unauthenticated);
    for end in watching.ends().await {
        assert_eq!(end.level, Level::DEBUG);
        assert_eq!(
            (end.fields.get("end"), end.fields.get("code")),
            ("rejected", "unauthenticated")
        );
        assert_eq!(end.of("call", "endpoint"), "Door");
    }
    assert!(watching.at(Level::INFO).is_empty());
    assert!(!watching.text().contains(CANARY));
    watching.end(rig, client).await;
}

async fn an_authenticator_that_fails_is_told_and_no_token(net: Net) {
    let (watching, rig, client) = guarded(net, "fails").await;
    let failed = Err(StreamError::Rejected(RejectCode::Failed.into()));
    assert_eq!(enter(&client).await, failed);
    let told = watching.one("the authenticator failed").await;
    assert_eq!((told.level, told.fields.get("error")), (Level::WARN, "the user store is down"));
    assert_eq!(told.of("call", "endpoint"), "Door");
    client.set_token(Some(Token::new(format!("{CANARY} panics")))).unwrap();
    assert_eq!(enter(&client).await, failed);
    let told = watching.one("the authenticator panicked").await;
    assert_eq!(told.level, Level::ERROR);
    assert_eq!(told.fields.get("panic"), "an authenticator, on purpose");
    client.set_token(Some(Token::new(format!("{CANARY} alice")))).unwrap();
    assert_eq!(enter(&client).await, Ok(3));
    assert!(!watching.text().contains(CANARY));
    watching.end(rig, client).await;
}

async fn ten_thousand_messages_are_told_in_a_handful_of_events(net: Net) {
    const MESSAGES: usize = 10_000;
    let (watching, rig, client) = rig(net).await;
    let (input, messages) = channel::<String>();
    let mut replies = client.call("Example.echo").parameter(messages).stream::<String>();
    let send = async {
        for _ in 0..MESSAGES {
            input.send(CANARY.into()).await.unwrap();
        }
        input.finish();
    };
    let receive = async {
        let mut count = 0;
        while let Some(reply) = replies.next().await {
            assert_eq!(reply.as_deref(), Ok(CANARY));
            count += 1;
        }
        count
    };
    assert_eq!(futures_util::future::join(send, receive).await.1, MESSAGES);
    watching.ends().await;
    let (events, spans) = watching.counts();
    // Two connections and two calls: a span each, a beginning each, and two calls' ends.
    assert_eq!((events, spans), (6, 4), "{}", watching.text());
    assert!(watching.at(Level::INFO).is_empty());
    assert!(!watching.text().contains(CANARY));
    watching.end(rig, client).await;
}

async fn a_shutdown_is_told(net: Net) {
    let (watching, rig, client) = rig(net).await;
    let mut reply = client.call("Example.endless").stream::<u64>();
    assert_eq!(soon("an item", reply.next()).await, Some(Ok(1)));
    soon("the end", rig.server.shutdown(Duration::ZERO)).await;
    let told = &watching.events("the server shuts down")[0];
    assert_eq!((told.level, told.fields.get("connections")), (Level::INFO, "1"));
    assert!(!watching.events("the server has shut down").is_empty());
    watching.end(rig, client).await;
}

/// A page, where a WebSocket is wanted: what a scanner of ports asks for.
fn ask_for_a_page(address: std::net::SocketAddr) {
    let mut raw = std::net::TcpStream::connect(address).unwrap();
    write!(raw, "GET /?token={CANARY} HTTP/1.1\r\nHost: a\r\nCookie: {CANARY}\r\n\r\n").unwrap();
    raw.read_to_end(&mut Vec::new()).unwrap();
}

async fn told_of_a_refused_handshake(watching: &Watching, server: &Server) {
    let told = watching.one("a handshake failed").await;
    assert_eq!((told.level, told.target), (Level::DEBUG, "wirestream::accept"));
    assert!(told.fields.get("peer").starts_with("127.0.0.1:"), "{told:?}");
    assert!(told.fields.get("reason").contains("WebSocket"), "{told:?}");
    assert!(!watching.text().contains(CANARY));
    until("the count", || server.metrics().handshakes_failed == 1).await;
    assert_eq!(server.metrics().connections_begun, 0);
}

#[tokio::test]
async fn a_refused_handshake_is_told_and_counted_on_tokio() {
    let watching = Watching::begin().await;
    let server = builder().build().unwrap();
    let listener = wirestream_tokio::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving =
        tokio::spawn(wirestream_tokio::serve(listener, server.clone(), std::future::pending()));
    tokio::task::spawn_blocking(move || ask_for_a_page(address)).await.unwrap();
    told_of_a_refused_handshake(&watching, &server).await;
    serving.abort();
}

#[tokio::test]
async fn a_refused_handshake_is_told_and_counted_on_smol() {
    let watching = Watching::begin().await;
    let server = builder().build().unwrap();
    let listener = wirestream_smol::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = wirestream_smol::serve(listener, server.clone(), std::future::pending());
    let serving = tokio::spawn(serving.map(drop));
    tokio::task::spawn_blocking(move || ask_for_a_page(address)).await.unwrap();
    told_of_a_refused_handshake(&watching, &server).await;
    serving.abort();
}

/// A client that finds nobody says so, and shows nothing of what is secret in its URL.
#[tokio::test]
async fn an_attempt_that_fails_is_told_and_counted() {
    let watching = Watching::begin().await;
    let url = format!("ws://{CANARY}@127.0.0.1:1/?token={CANARY}");
    let client = TestClient::new(
        Net::Tokio,
        wirestream_tests::dial_url(Net::Tokio, &url, LONG),
        ClientConfig::default(),
    );
    let call = client.call("Example.add").arguments(&(1i64, 2i64)).unary::<i64>();
    assert!(matches!(soon("the failure", call).await, Err(StreamError::Lost(_))));
    let told = watching.one("no connection could be made").await;
    assert_eq!((told.level, told.target), (Level::DEBUG, "wirestream::connection"));
    assert!(told.fields.get("reason").contains("127.0.0.1:1"), "{told:?}");
    assert_eq!(client.metrics().handshakes_failed, 1);
    assert!(!watching.text().contains(CANARY));
}

/// A listener out of descriptors is the operator's to know.
#[tokio::test]
async fn a_failure_to_accept_is_a_warning() {
    let watching = Watching::begin().await;
    let mut patience = wirestream_websocket::Patience::default();
    patience.after(&Error::from_raw_os_error(24));
    let told = watching.one("no client can be accepted at this time").await;
    assert_eq!((told.level, told.target), (Level::WARN, "wirestream::accept"));
    assert_eq!(told.fields.get("pause"), "5ms");
    assert!(told.fields.get("reason").contains("os error 24"), "{told:?}");
}
