//! A server that is mounted in another HTTP server: axum's, and plain hyper.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wirestream_tokio::{
    ClientConfig, ConnectErrorKind, Dialer, Limits, Origins, Receiver, Refusal, Server, Session,
    StreamError, channel, client, endpoint, upgrade,
};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[endpoint]
trait Example {
    fn echo(&self, session: &Session, messages: Receiver<String>) -> impl Stream<Item = String>;

    async fn peer(&self, session: &Session) -> Option<SocketAddr>;
}

struct Service;

impl Example for Service {
    fn echo(&self, _: &Session, messages: Receiver<String>) -> impl Stream<Item = String> {
        messages.filter_map(async |message| message.ok())
    }

    async fn peer(&self, session: &Session) -> Option<SocketAddr> {
        session.peer()
    }
}

fn server_with(limits: Limits) -> Server {
    Server::builder().limits(limits).endpoint(ExampleServer::new(Service)).build().unwrap()
}

/// An axum server with a page, Wirestream beside it, and a layer that sees every request.
struct App {
    address: SocketAddr,
    server: Server,
    seen: Arc<Mutex<Vec<String>>>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl App {
    async fn start(origins: Origins) -> Self {
        let server = server_with(Limits::default());
        let mounted = server.clone();
        let mount = async move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
            upgrade(request, &mounted, &origins, Some(peer))
        };
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let seeing = Arc::clone(&seen);
        let layer = from_fn(move |request: Request, next: Next| {
            seeing.lock().unwrap().push(request.uri().path().into());
            async move {
                match request.headers().contains_key("x-stranger") {
                    true => (StatusCode::UNAUTHORIZED, "no strangers").into_response(),
                    false => next.run(request).await,
                }
            }
        });
        let app = Router::new().route("/rt", any(mount)).route("/page", get(async || "a page"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let app = app.layer(layer).into_make_service_with_connect_info::<SocketAddr>();
        let serving =
            axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, server, seen, stop, serving }
    }

    fn url(&self) -> String {
        format!("ws://{}/rt", self.address)
    }

    async fn raw(&self) -> Raw {
        Raw(TcpStream::connect(self.address).await.unwrap())
    }
}

/// A raw HTTP client.
struct Raw(TcpStream);

impl Raw {
    /// Sends a request, and reads its answer: the head, and a body of the length that it tells.
    async fn ask(&mut self, request: &str) -> (String, String) {
        soon(async {
            self.0.write_all(request.as_bytes()).await.unwrap();
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                head.push(self.0.read_u8().await.unwrap().into());
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            self.0.read_exact(&mut body).await.unwrap();
            (head, String::from_utf8(body).unwrap())
        })
        .await
    }
}

/// The handshake of a client in order, and its header lines.
const UPGRADE: &str = "GET /rt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: wirestream.v1\r\n\r\n";
const PAGE: &str = "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Sends messages of a size through a server and back.
async fn assert_echoes(url: &str, messages: usize, size: usize) {
    let messages = vec!["x".repeat(size); messages];
    let replies = ExampleClient::new(client(url)).echo(stream::iter(messages.clone()));
    let replies: Vec<String> = soon(replies.try_collect()).await.unwrap();
    assert!(replies == messages);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_work_over_a_mounted_path_and_other_routes_beside_it() {
    let app = App::start(Origins::default()).await;
    assert_echoes(&app.url(), 1_000, 10).await;
    assert_echoes(&app.url(), 5, 200 * 1024).await;
    let peer = soon(ExampleClient::new(client(&app.url())).peer()).await.unwrap();
    assert!(peer.is_some_and(|peer| peer.ip().is_loopback() && peer != app.address), "{peer:?}");

    let (head, body) = app.raw().await.ask(PAGE).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "a page");
    let seen = app.seen.lock().unwrap().clone();
    assert_eq!(seen, ["/rt", "/rt", "/rt", "/page"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_of_the_http_server_may_refuse_a_client() {
    let app = App::start(Origins::default()).await;
    let stranger = Dialer::new(&app.url()).header("x-stranger", "yes").unwrap();
    let error = soon(stranger.connect()).await.unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::NotWirestream);
    assert_eq!(&*error.detail, "HTTP 401 Unauthorized: no strangers");
    let elsewhere = Dialer::new(&format!("ws://{}/page", app.address));
    let error = soon(elsewhere.connect()).await.unwrap_err();
    assert_eq!(error.kind, ConnectErrorKind::NotWirestream, "{error}");
    assert_eq!(app.server.connections(), 0);
}

/// R-WS-1, R-WS-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_gets_the_subprotocol_and_no_extension() {
    let app = App::start(Origins::default()).await;
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let (head, _) = app.raw().await.ask(&UPGRADE.replace("\r\n\r\n", offer)).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("\r\nsec-websocket-protocol: wirestream.v1\r\n"), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    assert!(!head.contains("extensions"), "{head}");
}

/// R-WS-6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_get_their_status_and_leave_the_connection_to_the_http_server() {
    let app = App::start(Origins::default()).await;
    let mut raw = app.raw().await;
    let version = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8");
    for (from, to, status, refusal) in [
        ("GET ", "POST ", "405", Refusal::Method),
        ("Upgrade: websocket\r\n", "", "426", Refusal::NotUpgrade),
        ("Connection: Upgrade\r\n", "", "426", Refusal::NotUpgrade),
        (version.0, version.1, "426", Refusal::Version),
        ("dGhlIHNhbXBsZSBub25jZQ==", "x", "400", Refusal::Key),
        ("wirestream.v1", "chat", "400", Refusal::Subprotocol),
        ("Host: localhost", "Host: localhost\r\nOrigin: http://x", "403", Refusal::Origin),
    ] {
        let (head, body) = raw.ask(&UPGRADE.replace(from, to)).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(body, format!("{refusal}\n"));
        assert_eq!(head.contains("sec-websocket-version: 13\r\n"), refusal == Refusal::Version);
        let (head, body) = raw.ask(PAGE).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(body, "a page");
    }
    let (head, _) = app.raw().await.ask(&UPGRADE.replace("HTTP/1.1", "HTTP/1.0")).await;
    assert!(head.contains(" 400 "), "{head}");
    assert_eq!(app.server.connections(), 0);
    assert_eq!(app.server.metrics().handshakes_failed, 8);
}

/// R-WS-7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g12_a_mounted_server_refuses_pages_unless_their_origin_is_allowed() {
    let origins = Origins::default().allow("https://app.example.com").unwrap().same_host();
    let app = App::start(origins).await;
    let host = format!("Host: {}", app.address);
    let own = format!("http://{}", app.address);
    for (origins, status) in [
        (&[][..], 101),
        (&["https://app.example.com"], 101),
        (&["HTTPS://App.Example.com:443"], 101),
        (&[&*own], 101),
        (&["null"], 403),
        (&["https://app.example.com:8443"], 403),
        (&["http://app.example.com"], 403),
        (&["https://app.example.com.evil.com"], 403),
        (&["https://evilapp.example.com"], 403),
        (&["http://127.0.0.1"], 403),
        (&["https://app.example.com", "https://app.example.com"], 403),
    ] {
        let lines: String = origins.iter().map(|origin| format!("\r\nOrigin: {origin}")).collect();
        let request = UPGRADE.replace("Host: localhost", &(host.clone() + &lines));
        let (head, _) = app.raw().await.ask(&request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{origins:?}: {head}");
    }
}

/// E17
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_shutdown_lets_calls_finish_after_the_http_server_has_ended() {
    let app = App::start(Origins::default()).await;
    let example = ExampleClient::new(client(&app.url()));
    let (input, messages) = channel();
    let mut replies = example.echo(messages);
    input.send("before".to_string()).await.unwrap();
    assert_eq!(soon(replies.next()).await, Some(Ok("before".into())));
    app.stop.send(()).unwrap();
    // The mounted connection does not hold up the HTTP server.
    soon(app.serving).await.unwrap();

    let server = app.server.clone();
    let shutdown = tokio::spawn(async move { server.shutdown(PATIENCE).await });
    // A new call does not come in, once the client has heard; the running one goes on.
    let refused = soon(async {
        loop {
            if let Err(refused) = example.peer().await {
                break refused;
            }
        }
    })
    .await;
    assert!(refused.is_retryable(), "{refused:?}");
    input.send("after".to_string()).await.unwrap();
    assert_eq!(soon(replies.next()).await, Some(Ok("after".into())));
    assert_eq!(app.server.connections(), 1);
    assert!(!shutdown.is_finished());
    input.finish();
    assert_eq!(soon(replies.next()).await, None);
    soon(shutdown).await.unwrap();
    assert_eq!(app.server.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_never_completes_counts_at_once_and_ends_at_the_deadline() {
    let server = server_with(Limits { handshake: SHORT, ..Limits::default() });
    let mounted = server.clone();
    let mount = async move |request: Request| -> Response {
        let response = upgrade(request, &mounted, &Origins::default(), None);
        assert_eq!((response.status().as_u16(), mounted.connections()), (101, 1));
        pending().await
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/rt", any(mount));
    let _serving = tokio::spawn(async { axum::serve(listener, app).await });
    let mut raw = TcpStream::connect(address).await.unwrap();
    raw.write_all(UPGRADE.as_bytes()).await.unwrap();
    until(|| server.connections() == 1).await;
    until(|| server.connections() == 0).await;
    soon(server.shutdown(PATIENCE)).await;
}

/// Serves connections with plain hyper, each by `serve`.
async fn on_hyper<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_hyper_hands_connections_over_as_well() {
    let server = server_with(Limits::default());
    let mounted = server.clone();
    let address = on_hyper(move |stream| {
        let mounted = mounted.clone();
        let peer = stream.peer_addr().ok();
        let service = service_fn(move |request| {
            let response = upgrade(request, &mounted, &Origins::default(), peer);
            async { Ok::<_, Infallible>(response) }
        });
        let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        async { serving.with_upgrades().await.unwrap() }
    })
    .await;
    let url = format!("ws://{address}/any/path");
    assert_echoes(&url, 1_000, 10).await;
    assert_echoes(&url, 5, 200 * 1024).await;
    assert!(soon(ExampleClient::new(client(&url)).peer()).await.unwrap().is_some());
    soon(server.shutdown(Duration::ZERO)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hands_nothing_over_harms_its_own_clients_alone() {
    let server = server_with(Limits::default());
    let mounted = server.clone();
    // Without `with_upgrades`.
    let address = on_hyper(move |stream| {
        let mounted = mounted.clone();
        let service = service_fn(move |request| {
            let response = upgrade(request, &mounted, &Origins::default(), None);
            async { Ok::<_, Infallible>(response) }
        });
        let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        async { drop(serving.await) }
    })
    .await;
    let client = Dialer::new(&format!("ws://{address}")).client(ClientConfig::default()).unwrap();
    let lost = soon(ExampleClient::new(client).peer()).await.unwrap_err();
    assert!(matches!(lost, StreamError::Lost(_)), "{lost:?}");
    until(|| server.connections() == 0).await;

    // A request that does not come from hyper, or has lost its extensions on the way.
    let mut request = Request::builder().uri("/rt");
    for line in UPGRADE.lines().skip(1).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let response = upgrade(request.body(()).unwrap(), &server, &Origins::default(), None);
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(*response.body(), format!("{}\n", Refusal::NotHandedOver));
    assert_eq!(server.connections(), 0);
}
