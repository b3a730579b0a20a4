//! A server that is mounted in an HTTP server on smol: hyper, by hand.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::net::{TcpListener, TcpStream};
use smol_hyper::rt::FuturesIo;
use wirestream_smol::{
    Origins, Receiver, Server, Session, Side, Smol, Stream, StreamExt, TryStreamExt, WebSocket,
    check_request, client, endpoint,
};

#[endpoint]
trait Example {
    fn echo(&self, session: &Session, messages: Receiver<String>) -> impl Stream<Item = String>;
}

struct Service;

impl Example for Service {
    fn echo(&self, session: &Session, messages: Receiver<String>) -> impl Stream<Item = String> {
        assert!(session.peer().is_some());
        messages.filter_map(async |message| message.ok())
    }
}

/// What an HTTP server does with each request: there is a page, and Wirestream beside it.
fn answer(mut request: Request<Incoming>, server: &Server, peer: SocketAddr) -> Response<String> {
    if request.uri().path() != "/rt" {
        return Response::new("a page".into());
    }
    let origins = Origins::default().same_host();
    let response = match check_request(&request, &origins) {
        Ok(response) => response,
        Err(refusal) => return refusal.response(),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let server = server.clone();
    smol::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let parts = upgraded.downcast::<FuturesIo<TcpStream>>().unwrap();
        // A client sends nothing before it has the answer (R-WS-5).
        if !parts.read_buf.is_empty() {
            return;
        }
        let socket = WebSocket::upgraded(parts.io.into_inner(), Side::Server);
        let runtime = Arc::new(Smol::global());
        let _reason = server.serve_connection(runtime, Box::new(socket), Some(peer)).await;
    })
    .detach();
    response
}

async fn serve(stream: TcpStream, server: Server) {
    let peer = stream.peer_addr().unwrap();
    let service = service_fn(move |request| {
        let response = answer(request, &server, peer);
        async { Ok::<_, Infallible>(response) }
    });
    let serving = http1::Builder::new().serve_connection(FuturesIo::new(stream), service);
    let _ = serving.with_upgrades().await;
}

/// An HTTP server, and the server that is mounted in it.
fn start() -> (SocketAddr, Server) {
    let server = Server::builder().endpoint(ExampleServer::new(Service)).build().unwrap();
    let listener = smol::block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let mounted = server.clone();
    smol::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            smol::spawn(serve(stream, mounted.clone())).detach();
        }
    })
    .detach();
    (address, server)
}

/// The head of the answer to a request, and what comes behind it until the end.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut raw = std::net::TcpStream::connect(address).unwrap();
    raw.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    raw.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn calls_work_over_a_socket_that_an_http_server_has_upgraded() {
    let (address, server) = start();
    let late = async {
        smol::Timer::after(Duration::from_secs(20)).await;
        panic!("it takes too long")
    };
    smol::block_on(smol::future::or(late, async {
        let example = ExampleClient::new(client(&format!("ws://{address}/rt")));
        for (messages, size) in [(1_000, 10), (5, 200 * 1024)] {
            let messages = vec!["x".repeat(size); messages];
            let replies = example.echo(smol::stream::iter(messages.clone()));
            assert!(replies.try_collect::<Vec<_>>().await.unwrap() == messages);
        }
        assert_eq!(server.connections(), 1);
        server.shutdown(Duration::from_secs(20)).await;
        assert_eq!(server.connections(), 0);
    }));
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(ask(address, page).ends_with("\r\n\r\na page"));
}

/// R-WS-6
#[test]
fn wrong_requests_to_the_mounted_path_are_refused_in_words() {
    let (address, server) = start();
    let request = "GET /rt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = ask(address, request);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let origin = format!("{}: https://evil.example\r\nSec-", header::ORIGIN);
    let answer = ask(address, &request.replacen("Sec-", &origin, 1));
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.ends_with("pages of this Origin may not connect to this server\n"), "{answer}");
    assert_eq!(server.connections(), 0);
}
