//! yamux over TCP: byte streams multiplexed on one connection, no RPC.
//! Messages are length-delimited inside each stream.
use super::raw_tcp::{tokio_accept, tokio_bind, tokio_connect};
use crate::engine::Fan;
use crate::harness::*;
use bytes::{Buf, Bytes, BytesMut};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use yamux::{Config, Connection, Mode, Stream};

pub const PEERS: [&dyn Peer; 1] = [&Yamux];
struct Yamux;

fn conn(s: TcpStream, mode: Mode) -> Connection<Compat<TcpStream>> {
    let mut cfg = Config::default();
    cfg.set_max_num_streams(4096);
    Connection::new(s.compat(), cfg, mode)
}

#[derive(Clone)]
struct Opener(mpsc::UnboundedSender<oneshot::Sender<Stream>>);
impl Opener {
    async fn connect(addr: SocketAddr) -> anyhow::Result<Opener> {
        let mut c = conn(tokio_connect(addr).await?, Mode::Client);
        let (tx, mut rx) = mpsc::unbounded_channel::<oneshot::Sender<Stream>>();
        let mut waiting: Option<oneshot::Sender<Stream>> = None;
        tokio::task::spawn_local(poll_fn(move |cx| {
            loop {
                if waiting.is_none() {
                    if let Poll::Ready(Some(w)) = rx.poll_recv(cx) {
                        waiting = Some(w);
                    }
                }
                if waiting.is_some() {
                    if let Poll::Ready(Ok(s)) = c.poll_new_outbound(cx) {
                        let _ = waiting.take().unwrap().send(s);
                        continue;
                    }
                }
                return match c.poll_next_inbound(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(_) => Poll::Ready(()),
                    Poll::Pending => Poll::Pending,
                };
            }
        }));
        Ok(Opener(tx))
    }
    async fn open(&self) -> anyhow::Result<Msgs> {
        let (tx, rx) = oneshot::channel();
        self.0.send(tx)?;
        Ok(Msgs { s: rx.await?, r: BytesMut::new(), w: vec![] })
    }
}

struct Msgs {
    s: Stream,
    r: BytesMut,
    w: Vec<u8>,
}
impl Msgs {
    async fn recv(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            if self.r.len() >= 4 {
                let n = u32::from_le_bytes(self.r[..4].try_into().unwrap()) as usize;
                if self.r.len() >= 4 + n {
                    self.r.advance(4);
                    return Ok(Some(self.r.split_to(n).freeze()));
                }
            }
            let old = self.r.len();
            self.r.resize(old + 4096, 0);
            let n = self.s.read(&mut self.r[old..]).await?;
            self.r.truncate(old + n);
            if n == 0 {
                return Ok(None);
            }
        }
    }
    async fn send(&mut self, m: &[u8]) -> anyhow::Result<()> {
        self.w.clear();
        self.w.extend_from_slice(&(m.len() as u32).to_le_bytes());
        self.w.extend_from_slice(m);
        self.s.write_all(&self.w).await?;
        Ok(())
    }
}

impl Peer for Yamux {
    fn name(&self) -> &'static str {
        "yamux"
    }
    fn about(&self) -> &'static str {
        "yamux 0.14.1 byte streams over TCP, u32 length + payload inside"
    }
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()> {
        tokio_block(async move {
            let (l, port) = tokio_bind().await?;
            ready(port);
            let fans: Rc<RefCell<Vec<Msgs>>> = Rc::default();
            loop {
                let mut c = conn(tokio_accept(&l).await?, Mode::Server);
                let fans = fans.clone();
                tokio::task::spawn_local(async move {
                    while let Some(Ok(s)) = poll_fn(|cx| c.poll_next_inbound(cx)).await {
                        let fans = fans.clone();
                        let mut m = Msgs { s, r: BytesMut::new(), w: vec![] };
                        tokio::task::spawn_local(async move {
                            while let Some(b) = m.recv().await? {
                                match work {
                                    Work::Push { size } => {
                                        let b = payload(size);
                                        loop {
                                            m.send(&b).await?;
                                        }
                                    }
                                    Work::Fan { .. } if &b[..] == b"hi" => {
                                        m.send(&b).await?;
                                        fans.borrow_mut().push(m);
                                        return Ok(());
                                    }
                                    Work::Fan { .. } => {
                                        let mut all = std::mem::take(&mut *fans.borrow_mut());
                                        let b = payload(MUX_SIZE);
                                        for c in &mut all {
                                            c.send(&b).await?;
                                        }
                                        fans.borrow_mut().append(&mut all);
                                    }
                                    _ => m.send(&b).await?,
                                }
                            }
                            m.s.close().await?;
                            anyhow::Ok(())
                        });
                    }
                });
            }
        })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        tokio_block(async move {
            let o = Opener::connect(addr).await?;
            let echo = async |streams: usize, window: usize, size: usize| -> anyhow::Result<()> {
                let mut set = tokio::task::JoinSet::new();
                for _ in 0..streams {
                    let o = o.clone();
                    set.spawn_local(async move {
                        let mut m = o.open().await?;
                        let b = payload(size);
                        for _ in 0..window {
                            m.send(&b).await?;
                        }
                        loop {
                            let r = m.recv().await?.unwrap();
                            anyhow::ensure!(r.len() == size, "length");
                            meter.hit();
                            m.send(&r).await?;
                        }
                        #[allow(unreachable_code)]
                        anyhow::Ok(())
                    });
                }
                set.join_next().await.unwrap()?
            };
            match work {
                Work::Loaded { .. } => anyhow::bail!("not measured"),
                Work::Echo { size } => echo(1, 1, size).await,
                Work::Mux { streams, window } => echo(streams, window, MUX_SIZE).await,
                Work::Push { size } => {
                    let mut m = o.open().await?;
                    m.send(b"go").await?;
                    loop {
                        let r = m.recv().await?.unwrap();
                        anyhow::ensure!(r.len() == size, "length");
                        meter.hit();
                    }
                }
                Work::Churn { outstanding } => {
                    let mut set = tokio::task::JoinSet::new();
                    for _ in 0..outstanding {
                        let o = o.clone();
                        set.spawn_local(async move {
                            let b = payload(MUX_SIZE);
                            loop {
                                let mut m = o.open().await?;
                                m.send(&b).await?;
                                m.s.close().await?;
                                let r = m.recv().await?.unwrap();
                                anyhow::ensure!(r.len() == MUX_SIZE, "length");
                                anyhow::ensure!(m.recv().await?.is_none(), "end");
                                meter.hit();
                            }
                            #[allow(unreachable_code)]
                            anyhow::Ok(())
                        });
                    }
                    set.join_next().await.unwrap()?
                }
                Work::Fan { conns } => {
                    let mut control = o.open().await?;
                    meter.rss_before();
                    let (fan, rx) = Fan::new(conns);
                    let mut keep = vec![];
                    for _ in 0..conns {
                        let o = Opener::connect(addr).await?;
                        let mut m = o.open().await?;
                        m.send(b"hi").await?;
                        m.recv().await?;
                        keep.push(o);
                        let fan = fan.clone();
                        tokio::task::spawn_local(async move {
                            while let Ok(Some(_)) = m.recv().await {
                                fan.got();
                            }
                        });
                    }
                    fan.rounds(rx, meter, async move || control.send(b"go").await).await
                }
            }
        })
    }
}
