//! Socket.IO: socketioxide server. Clients: rust_socketio for W1/W2/W4, and a
//! bare tokio-tungstenite speaking Engine.IO for W5 (a thousand rust_socketio
//! clients would measure the client). JSON strings as payload. There are no
//! streams, so W4 is an event with its answer and W3 is not applicable.
use super::raw_tcp::{tokio_bind, tokio_connect};
use crate::engine::Fan;
use crate::harness::*;
use futures::{FutureExt, SinkExt, StreamExt};
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Payload, TransportType};
use socketioxide::SocketIo;
use socketioxide::extract::{Data, SocketRef};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

pub const PEERS: [&dyn Peer; 1] = [&SocketIoPeer];
struct SocketIoPeer;

fn text(n: usize) -> String {
    String::from_utf8(payload(n)).unwrap()
}

async fn eio(
    addr: SocketAddr,
) -> anyhow::Result<tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>> {
    let s = tokio_connect(addr).await?;
    let url = "ws://127.0.0.1/socket.io/?EIO=4&transport=websocket";
    let (mut ws, _) =
        tokio_tungstenite::client_async_with_config(url, s, super::raw_ws::small()).await?;
    ws.next().await; // 0{...}
    ws.send(Message::text("40")).await?;
    ws.next().await; // 40{...}
    Ok(ws)
}

impl Peer for SocketIoPeer {
    fn name(&self) -> &'static str {
        "socketio"
    }
    fn about(&self) -> &'static str {
        "socketioxide 0.18.9 (axum 0.8) + rust_socketio 0.6.0; JSON strings"
    }
    fn supports(&self, work: Work) -> Result<(), &'static str> {
        match work {
            Work::Mux { .. } => Err("no streams within a connection"),
            _ => Ok(()),
        }
    }
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()> {
        tokio_block(async move {
            let (l, port) = tokio_bind().await?;
            let (layer, io) = SocketIo::builder().max_buffer_size(4096).build_layer();
            let fans: Arc<Mutex<Vec<SocketRef>>> = Arc::default();
            io.ns("/", async move |s: SocketRef| {
                let all = fans.clone();
                s.on("m", async move |s: SocketRef, Data::<String>(m)| match work {
                    Work::Push { size } => {
                        let m = text(size);
                        tokio::spawn(async move {
                            loop {
                                match s.emit("m", &m) {
                                    Ok(()) => {}
                                    Err(_) if s.connected() => tokio::task::yield_now().await,
                                    Err(_) => break,
                                }
                            }
                        });
                    }
                    Work::Fan { .. } if m == "hi" => {
                        let _ = s.emit("m", &m);
                        all.lock().unwrap().push(s);
                    }
                    Work::Fan { .. } => {
                        let m = text(MUX_SIZE);
                        for s in all.lock().unwrap().iter() {
                            let _ = s.emit("m", &m);
                        }
                    }
                    _ => drop(s.emit("m", &m)),
                });
            });
            let app = axum::Router::new().layer(layer);
            ready(port);
            use axum::serve::ListenerExt;
            let l = l.tap_io(|s| drop(s.set_nodelay(true)));
            axum::serve(l, app).await?;
            Ok(())
        })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        tokio_block(async move {
            let (out, size, answer) = match work {
                Work::Echo { size } => (1, size, true),
                Work::Churn { outstanding } => (outstanding, MUX_SIZE, true),
                Work::Push { size } => (1, size, false),
                Work::Mux { .. } | Work::Loaded { .. } => anyhow::bail!("not measured"),
                Work::Fan { conns } => {
                    let mut control = eio(addr).await?;
                    meter.rss_before();
                    let (fan, rx) = Fan::new(conns);
                    for _ in 0..conns {
                        let mut ws = eio(addr).await?;
                        ws.send(Message::text(r#"42["m","hi"]"#)).await?;
                        ws.next().await;
                        let fan = fan.clone();
                        tokio::spawn(async move {
                            while let Some(Ok(m)) = ws.next().await {
                                if m.len() > 4 {
                                    fan.got();
                                }
                            }
                        });
                    }
                    return fan
                        .rounds(rx, meter, async move || {
                            Ok(control.send(Message::text(r#"42["m","go"]"#)).await?)
                        })
                        .await;
                }
            };
            let c = ClientBuilder::new(format!("http://{addr}/"))
                .transport_type(TransportType::Websocket)
                .on("m", move |p: Payload, c: Client| {
                    async move {
                        meter.hit();
                        if answer {
                            let Payload::Text(v) = p else { panic!("not text") };
                            assert_eq!(v[0].as_str().map(str::len), Some(size));
                            c.emit("m", v[0].clone()).await.unwrap();
                        }
                    }
                    .boxed()
                })
                .connect()
                .await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
            for _ in 0..out {
                c.emit("m", serde_json::json!(text(size))).await?;
            }
            std::future::pending::<()>().await;
            Ok(())
        })
    }
}
