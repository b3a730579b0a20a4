//! Raw tokio-tungstenite: no streams, no credit, no types; for the echoing streams one loop echoes
//! as many messages as all of them have under way. That is the floor, not what streams cost.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::work::{ECHO_SIZE, Meter, OUTSTANDING, Rate, Work, block_on, pin};

type Socket = WebSocketStream<TcpStream>;

/// Fed bytes that force a flush in batches.
const FULL: usize = 16 * 1024;

pub(crate) fn measure(work: Work, batch: bool) -> Rate {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        pin(1);
        block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("the client waits");
            let (stream, _) = listener.accept().await.expect("the client");
            stream.set_nodelay(true).expect("TCP");
            let socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
            let serve = async {
                match work {
                    Work::Push(size) => push(socket, size, batch).await,
                    Work::PingPong | Work::Echo(_) | Work::Calls(_) => echo(socket, batch).await,
                }
            };
            tokio::select! {
                _ = serve => {}
                _ = stopped => {}
            }
        });
    });
    let address = told.recv().expect("the server's address");
    pin(0);
    let rate = block_on(async move {
        let stream = TcpStream::connect(address).await.expect("the server");
        stream.set_nodelay(true).expect("TCP");
        let (socket, _) =
            tokio_tungstenite::client_async("ws://localhost/", stream).await.expect("a handshake");
        let meter = Meter::default();
        let load = tokio::task::spawn_local({
            let meter = meter.clone();
            async move {
                match work {
                    Work::Push(_) => pull(socket, &meter).await,
                    Work::PingPong => window(socket, 32, 1, batch, &meter).await,
                    Work::Calls(calls) => {
                        window(socket, ECHO_SIZE + 4, calls, batch, &meter).await;
                    }
                    Work::Echo(streams) => {
                        window(socket, ECHO_SIZE + 4, streams * OUTSTANDING, batch, &meter).await;
                    }
                }
            }
        });
        let rate = meter.rate().await;
        load.abort();
        rate
    });
    drop(stop);
    server.join().expect("the server does not panic");
    rate
}

async fn push(mut socket: Socket, size: usize, batch: bool) {
    let message = Message::Binary(Bytes::from(vec![7; size]));
    let mut fed = 0;
    while socket.feed(message.clone()).await.is_ok() {
        fed += size;
        if !batch || fed >= FULL {
            fed = 0;
            if socket.flush().await.is_err() {
                return;
            }
        }
    }
}

async fn pull(mut socket: Socket, meter: &Meter) {
    while let Some(Ok(_)) = socket.next().await {
        meter.hit();
    }
}

/// The next message; what was fed is flushed before waiting.
async fn next(socket: &mut Socket) -> Option<Message> {
    if let Poll::Ready(message) = poll_fn(|cx| Poll::Ready(socket.poll_next_unpin(cx))).await {
        return message?.ok();
    }
    socket.flush().await.ok()?;
    socket.next().await?.ok()
}

async fn echo(mut socket: Socket, batch: bool) {
    let mut fed = 0;
    while let Some(message) = next(&mut socket).await {
        fed += message.len();
        if socket.feed(message).await.is_err() {
            return;
        }
        if !batch || fed >= FULL {
            fed = 0;
            if socket.flush().await.is_err() {
                return;
            }
        }
    }
}

async fn window(mut socket: Socket, size: usize, outstanding: usize, batch: bool, meter: &Meter) {
    let message = Message::Binary(Bytes::from(vec![7; size]));
    let (mut under_way, mut fed) = (0, 0);
    loop {
        // A slow start, so that the first burst cannot fill both directions.
        let start =
            if under_way == 0 { outstanding.min(64) } else { outstanding.min(under_way + 1) };
        for _ in under_way..start {
            socket.feed(message.clone()).await.expect("the server");
        }
        under_way = start;
        let Some(reply) = next(&mut socket).await else { return };
        meter.hit();
        fed += size;
        socket.feed(reply).await.expect("the server");
        if !batch || fed >= FULL {
            fed = 0;
            socket.flush().await.expect("the server");
        }
    }
}
