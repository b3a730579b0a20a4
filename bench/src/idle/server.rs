//! A server in a process of its own, which tells on its standard output where it listens, and for
//! each line that comes in how many connections and streams it has.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use futures_util::{StreamExt, stream};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wirestream_smol::smol;
use wirestream_tokio::{Endpoint, NoError, Server, Session};

use super::Kind;
use super::client::METHOD;
use crate::work::block_on;

const ANY_PORT: &str = "127.0.0.1:0";
/// As Wirestream's.
const READ_BUFFER: usize = 2 * 1024;

/// Connections of the raw server, and those of them that have had a message.
static RAW: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Serves until nobody listens to it any more.
pub(crate) fn run(kind: Kind) {
    let (name, method) = METHOD.split_once('.').expect("an endpoint and a method");
    let idle = Endpoint::new(name)
        .stream(method, |_: Session, (): (), (): ()| stream::pending::<Result<u32, NoError>>());
    let server = Server::builder().endpoint(idle).build().expect("a server");
    let (tell, told) = channel();
    std::thread::spawn({
        let server = server.clone();
        move || match kind {
            Kind::Raw => block_on(raw(&tell)),
            Kind::Tokio => block_on(on_tokio(server, &tell)),
            Kind::Smol => smol::block_on(on_smol(server, &tell)),
        }
    });
    say(&told.recv().expect("an address"));
    for _ in std::io::stdin().lock().lines() {
        let metrics = server.metrics();
        let [connections, streams] = match kind {
            Kind::Raw => RAW.each_ref().map(|count| count.load(Ordering::Relaxed)),
            Kind::Tokio | Kind::Smol => [metrics.connections_open, metrics.calls_open]
                .map(|count| usize::try_from(count).expect("a small number")),
        };
        say(&format!("{connections} {streams}"));
    }
}

fn say(line: &impl std::fmt::Display) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}

async fn on_tokio(server: Server, tell: &Sender<SocketAddr>) {
    let listener = wirestream_tokio::bind(ANY_PORT).await.expect("a port");
    tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
    let served = wirestream_tokio::serve(listener, server, std::future::pending()).await;
    served.expect("a listener");
}

async fn on_smol(server: Server, tell: &Sender<SocketAddr>) {
    let listener = wirestream_smol::bind(ANY_PORT).await.expect("a port");
    tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
    let served = wirestream_smol::serve(listener, server, std::future::pending()).await;
    served.expect("a listener");
}

async fn raw(tell: &Sender<SocketAddr>) {
    let listener = TcpListener::bind(ANY_PORT).await.expect("a port");
    tell.send(listener.local_addr().expect("an address")).expect("somebody waits");
    loop {
        let (stream, _) = listener.accept().await.expect("a client");
        tokio::spawn(read(stream));
    }
}

/// Reads messages for as long as any come.
async fn read(stream: TcpStream) {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
    let socket = accept_async_with_config(stream, Some(config)).await;
    let mut socket = socket.expect("a handshake");
    let [connections, messages] = &RAW;
    connections.fetch_add(1, Ordering::Relaxed);
    while let Some(Ok(_)) = socket.next().await {
        messages.fetch_add(1, Ordering::Relaxed);
    }
}
