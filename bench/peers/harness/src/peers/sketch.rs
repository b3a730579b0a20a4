//! NOT a peer and not 'ours': a 250-line sketch of streams over one
//! tokio-tungstenite connection (a driver task, one task and one channel per
//! stream), to measure what three ways of writing cost:
//!  eager     one WebSocket message and one flush per protocol frame
//!  feed      one WebSocket message per frame, flush when idle or at 16 KiB
//!  coalesce  all frames at hand in ONE WebSocket message, flush when idle or at 16 KiB
//! No credit, no typed payload: a lower bound for such a design.
use super::raw_tcp::{tokio_accept, tokio_bind, tokio_connect};
use crate::engine::{Fan, cap};
use crate::harness::*;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

#[derive(Clone, Copy, PartialEq)]
enum How {
    Eager,
    Feed,
    Coalesce,
}
struct Sketch {
    name: &'static str,
    about: &'static str,
    how: How,
}
pub const PEERS: [&dyn Peer; 3] = [
    &Sketch {
        name: "sketch-eager",
        about: "sketch of a mux over tungstenite: flush per frame",
        how: How::Eager,
    },
    &Sketch { name: "sketch-feed", about: "the same: feed many, one flush", how: How::Feed },
    &Sketch {
        name: "sketch-coalesce",
        about: "the same: many frames in one WebSocket message",
        how: How::Coalesce,
    },
];

const DATA: u8 = 0;
const OPEN: u8 = 1;
const FIN: u8 = 2;

struct Frame {
    id: u32,
    kind: u8,
    data: Bytes,
}
fn put_varint(b: &mut BytesMut, mut v: u64) {
    while v >= 0x80 {
        b.put_u8(v as u8 | 0x80);
        v >>= 7;
    }
    b.put_u8(v as u8);
}
fn get_varint(b: &mut Bytes) -> u64 {
    let (mut v, mut s) = (0, 0);
    loop {
        let x = b.get_u8();
        v |= ((x & 0x7f) as u64) << s;
        if x < 0x80 {
            return v;
        }
        s += 7;
    }
}

type Incoming = mpsc::UnboundedSender<Bytes>;
#[derive(Clone)]
struct Conn {
    out: mpsc::Sender<Frame>,
    streams: Arc<Mutex<HashMap<u32, Incoming>>>,
}
struct Stream {
    id: u32,
    out: mpsc::Sender<Frame>,
    rx: mpsc::UnboundedReceiver<Bytes>,
}
impl Stream {
    async fn send(&self, kind: u8, data: Bytes) -> anyhow::Result<()> {
        Ok(self.out.send(Frame { id: self.id, kind, data }).await?)
    }
}

fn config() -> Option<WebSocketConfig> {
    Some(
        WebSocketConfig::default()
            .read_buffer_size(super::raw_ws::rbuf(16384))
            .write_buffer_size(65536),
    )
}

impl Conn {
    fn start(
        mut ws: WebSocketStream<TcpStream>,
        how: How,
        accept: impl Fn(Stream) + Send + 'static,
    ) -> Conn {
        let (out, mut rx) = mpsc::channel::<Frame>(1024);
        let streams: Arc<Mutex<HashMap<u32, Incoming>>> = Arc::default();
        let handle = Conn { out: out.clone(), streams: streams.clone() };
        let conn = handle.clone();
        let cap = cap();
        let (mut fed, mut dirty) = (0usize, false);
        let mut batch = BytesMut::with_capacity(2 * cap);
        let mut pending: Vec<Frame> = Vec::with_capacity(64);
        let driver = poll_fn(move |cx| {
            loop {
                let mut progress = false;
                // Out.
                while ws.poll_ready_unpin(cx).is_ready() {
                    if pending.is_empty() && rx.poll_recv_many(cx, &mut pending, 64).is_pending() {
                        break;
                    }
                    if pending.is_empty() {
                        return Poll::Ready(()); // all senders gone
                    }
                    progress = true;
                    dirty = true;
                    match how {
                        How::Coalesce => {
                            for f in pending.drain(..) {
                                put_varint(&mut batch, (f.id as u64) << 2 | f.kind as u64);
                                put_varint(&mut batch, f.data.len() as u64);
                                batch.extend_from_slice(&f.data);
                                if batch.len() >= cap {
                                    let m = batch.split().freeze();
                                    batch.reserve(cap);
                                    let _ = ws.start_send_unpin(Message::Binary(m));
                                    let _ = ws.poll_flush_unpin(cx);
                                }
                            }
                        }
                        _ => {
                            for f in pending.drain(..) {
                                let mut b = BytesMut::with_capacity(f.data.len() + 6);
                                put_varint(&mut b, (f.id as u64) << 2 | f.kind as u64);
                                b.extend_from_slice(&f.data);
                                fed += b.len();
                                let _ = ws.start_send_unpin(Message::Binary(b.freeze()));
                                if how == How::Eager || fed >= cap {
                                    fed = 0;
                                    let _ = ws.poll_flush_unpin(cx);
                                }
                            }
                        }
                    }
                }
                // In. Then let the streams' tasks run: without this yield a
                // fast sender starves them and their queues grow for ever.
                let mut full = true;
                let mut frames = 0;
                while frames < 64 {
                    match ws.poll_next_unpin(cx) {
                        Poll::Ready(Some(Ok(Message::Binary(mut b)))) => {
                            progress = true;
                            while b.has_remaining() {
                                frames += 1;
                                let head = get_varint(&mut b);
                                let data = match how {
                                    How::Coalesce => {
                                        let n = get_varint(&mut b) as usize;
                                        b.split_to(n)
                                    }
                                    _ => std::mem::take(&mut b),
                                };
                                let (id, kind) = ((head >> 2) as u32, head as u8 & 3);
                                let mut map = streams.lock().unwrap();
                                if kind & OPEN != 0 {
                                    let (tx, rx) = mpsc::unbounded_channel();
                                    let _ = tx.send(data);
                                    if kind & FIN == 0 {
                                        map.insert(id, tx);
                                    }
                                    accept(Stream { id, out: conn.out.clone(), rx });
                                } else if let Some(tx) = map.get(&id) {
                                    let _ = tx.send(data);
                                    if kind & FIN != 0 {
                                        map.remove(&id);
                                    }
                                }
                            }
                        }
                        Poll::Ready(_) => return Poll::Ready(()),
                        Poll::Pending => {
                            full = false;
                            break;
                        }
                    }
                }
                if full {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                if !progress {
                    if !batch.is_empty() && ws.poll_ready_unpin(cx).is_ready() {
                        let m = batch.split().freeze();
                        batch.reserve(64);
                        let _ = ws.start_send_unpin(Message::Binary(m));
                    }
                    if dirty && ws.poll_flush_unpin(cx).is_ready() {
                        dirty = !batch.is_empty();
                        fed = 0;
                    }
                    return Poll::Pending;
                }
            }
        });
        tokio::spawn(tokio::task::unconstrained(driver));
        handle
    }
    fn open(&self, id: u32) -> Stream {
        let (tx, rx) = mpsc::unbounded_channel();
        self.streams.lock().unwrap().insert(id, tx);
        Stream { id, out: self.out.clone(), rx }
    }
    async fn connect(addr: SocketAddr, how: How) -> anyhow::Result<Conn> {
        let s = tokio_connect(addr).await?;
        let (ws, _) =
            tokio_tungstenite::client_async_with_config("ws://127.0.0.1/", s, config()).await?;
        Ok(Conn::start(ws, how, |_| {}))
    }
}

impl Peer for Sketch {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()> {
        tokio_block(async move {
            let (l, port) = tokio_bind().await?;
            ready(port);
            let fans: Arc<Mutex<Vec<Stream>>> = Arc::default();
            loop {
                let s = tokio_accept(&l).await?;
                let ws = tokio_tungstenite::accept_async_with_config(s, config()).await?;
                let fans = fans.clone();
                Conn::start(ws, self.how, move |mut s: Stream| {
                    let fans = fans.clone();
                    tokio::spawn(async move {
                        while let Some(b) = s.rx.recv().await {
                            match work {
                                Work::Push { size } => {
                                    let b = Bytes::from(payload(size));
                                    loop {
                                        s.send(DATA, b.clone()).await?;
                                    }
                                }
                                Work::Churn { .. } => return s.send(DATA | FIN, b).await,
                                Work::Fan { .. } if &b[..] == b"hi" => {
                                    s.send(DATA, b).await?;
                                    fans.lock().unwrap().push(s);
                                    return Ok(());
                                }
                                Work::Fan { .. } => {
                                    let mut all = std::mem::take(&mut *fans.lock().unwrap());
                                    let b = Bytes::from(payload(MUX_SIZE));
                                    for c in &all {
                                        c.send(DATA, b.clone()).await?;
                                    }
                                    fans.lock().unwrap().append(&mut all);
                                }
                                _ => s.send(DATA, b).await?,
                            }
                        }
                        anyhow::Ok(())
                    });
                });
            }
        })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        let how = self.how;
        tokio_block(async move {
            let c = Conn::connect(addr, how).await?;
            let echo = async |streams: usize, window: usize, size: usize| -> anyhow::Result<()> {
                let mut set = tokio::task::JoinSet::new();
                for id in 0..streams {
                    let mut s = c.open(id as u32 + 1);
                    set.spawn(async move {
                        let b = Bytes::from(payload(size));
                        s.send(OPEN, b.clone()).await?;
                        for _ in 1..window {
                            s.send(DATA, b.clone()).await?;
                        }
                        while let Some(m) = s.rx.recv().await {
                            anyhow::ensure!(m.len() == size, "length");
                            meter.hit();
                            s.send(DATA, m).await?;
                        }
                        anyhow::bail!("ended")
                    });
                }
                set.join_next().await.unwrap()?
            };
            match work {
                Work::Loaded { .. } => anyhow::bail!("not measured"),
                Work::Echo { size } => echo(1, 1, size).await,
                Work::Mux { streams, window } => echo(streams, window, MUX_SIZE).await,
                Work::Push { size } => {
                    let mut s = c.open(1);
                    s.send(OPEN, Bytes::from_static(b"go")).await?;
                    // Unconstrained: the queue is unbounded (a real design has
                    // credit), so the reader must be able to empty it in a turn.
                    tokio::task::unconstrained(async {
                        while let Some(m) = s.rx.recv().await {
                            anyhow::ensure!(m.len() == size, "length");
                            meter.hit();
                        }
                        anyhow::bail!("ended")
                    })
                    .await
                }
                Work::Churn { outstanding } => {
                    let mut set = tokio::task::JoinSet::new();
                    let next = Arc::new(std::sync::atomic::AtomicU32::new(1));
                    for _ in 0..outstanding {
                        let c = c.clone();
                        let next = next.clone();
                        set.spawn(async move {
                            let b = Bytes::from(payload(MUX_SIZE));
                            loop {
                                let id = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                                let mut s = c.open(id & 0x3fff_ffff);
                                s.send(OPEN | FIN, b.clone()).await?;
                                let m = s.rx.recv().await;
                                anyhow::ensure!(m.map(|m| m.len()) == Some(MUX_SIZE), "length");
                                meter.hit();
                            }
                            #[allow(unreachable_code)]
                            anyhow::Ok(())
                        });
                    }
                    set.join_next().await.unwrap()?
                }
                Work::Fan { conns } => {
                    let control = c.open(1);
                    control.send(OPEN, Bytes::from_static(b"go")).await?;
                    meter.rss_before();
                    let (fan, rx) = Fan::new(conns);
                    let mut keep = vec![];
                    for _ in 0..conns {
                        let c = Conn::connect(addr, how).await?;
                        let mut s = c.open(1);
                        s.send(OPEN, Bytes::from_static(b"hi")).await?;
                        s.rx.recv().await;
                        keep.push(c);
                        let fan = fan.clone();
                        tokio::spawn(async move {
                            while s.rx.recv().await.is_some() {
                                fan.got();
                            }
                        });
                    }
                    fan.rounds(rx, meter, async move || {
                        control.send(DATA, Bytes::from_static(b"go")).await
                    })
                    .await
                }
            }
        })
    }
}
