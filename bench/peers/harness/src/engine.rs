//! Workload loops for anything that just carries messages both ways (raw
//! WebSocket libraries, length-delimited TCP). There is no multiplexing here:
//! W3 and W4 send `4-byte id + 64 bytes` messages on one pipe with the same
//! number outstanding, from one loop. That is the floor a multiplexer can
//! approach, not what it would itself cost.
//!
//! `eager`: every message is flushed. `batch`: messages are fed and flushed
//! only when nothing more can be read without waiting, or `CAP` bytes are fed.

use crate::harness::*;
use bytes::Bytes;
use futures::channel::mpsc;
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{Sink, SinkExt, Stream};
use std::cell::RefCell;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

pub trait Duplex: 'static {
    type Msg;
    fn make(b: &Bytes) -> Self::Msg;
    fn len(m: &Self::Msg) -> usize;
    async fn recv(&mut self) -> anyhow::Result<Self::Msg>;
    /// As `recv`, but flush before waiting if nothing is at hand.
    async fn recv_flushing(&mut self) -> anyhow::Result<Self::Msg>;
    async fn feed(&mut self, m: Self::Msg) -> anyhow::Result<()>;
    async fn flush(&mut self) -> anyhow::Result<()>;
}

pub trait Lib: Sync + 'static {
    type Conn: Duplex;
    type Listener;
    fn block_on<T: 'static>(f: impl Future<Output = T> + 'static) -> T;
    async fn bind() -> anyhow::Result<(Self::Listener, u16)>;
    async fn accept(l: &Self::Listener) -> anyhow::Result<Self::Conn>;
    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Conn>;
}

/// How many fed bytes force a flush in batch mode.
pub fn cap() -> usize {
    std::env::var("PEERS_CAP").ok().and_then(|s| s.parse().ok()).unwrap_or(16 * 1024)
}

pub struct Raw<L> {
    pub name: &'static str,
    pub about: &'static str,
    pub batch: bool,
    pub only: Option<(&'static [&'static str], &'static str)>,
    pub lib: PhantomData<fn() -> L>,
}

impl<L> Raw<L> {
    pub const fn new(name: &'static str, about: &'static str, batch: bool) -> Self {
        Raw { name, about, batch, only: None, lib: PhantomData }
    }
}

impl<L: Lib> Peer for Raw<L> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
    fn supports(&self, work: Work) -> Result<(), &'static str> {
        match self.only {
            Some((works, why)) if !works.iter().any(|w| Work::by_name(w) == Some(work)) => Err(why),
            _ => Ok(()),
        }
    }
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()> {
        let batch = self.batch;
        L::block_on(async move {
            let (l, port) = L::bind().await?;
            ready(port);
            match work {
                Work::Fan { .. } => fan_server::<L>(&l).await,
                Work::Push { size } => push_server(L::accept(&l).await?, size, batch).await,
                _ => echo_server(L::accept(&l).await?, batch).await,
            }
        })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        let batch = self.batch;
        L::block_on(async move {
            match work {
                Work::Loaded { .. } => anyhow::bail!("not measured"),
                Work::Fan { conns } => fan_client::<L>(conns, addr, meter).await,
                Work::Echo { size } => {
                    let mut c = L::connect(addr).await?;
                    let b = Bytes::from(payload(size));
                    loop {
                        c.feed(L::Conn::make(&b)).await?;
                        c.flush().await?;
                        let m = c.recv().await?;
                        debug_assert_eq!(L::Conn::len(&m), size);
                        meter.hit();
                    }
                }
                Work::Push { size } => {
                    let mut c = L::connect(addr).await?;
                    c.feed(L::Conn::make(&Bytes::from_static(b"go"))).await?;
                    c.flush().await?;
                    loop {
                        let m = c.recv().await?;
                        anyhow::ensure!(L::Conn::len(&m) == size, "length");
                        meter.hit();
                    }
                }
                Work::Mux { streams, window } => {
                    window_client(L::connect(addr).await?, streams * window, batch, meter).await
                }
                Work::Churn { outstanding } => {
                    window_client(L::connect(addr).await?, outstanding, batch, meter).await
                }
            }
        })
    }
}

async fn echo_server<D: Duplex>(mut c: D, batch: bool) -> anyhow::Result<()> {
    let (cap, mut fed) = (cap(), 0);
    loop {
        if batch {
            let m = c.recv_flushing().await?;
            fed += D::len(&m);
            c.feed(m).await?;
            if fed >= cap {
                c.flush().await?;
                fed = 0;
            }
        } else {
            let m = c.recv().await?;
            c.feed(m).await?;
            c.flush().await?;
        }
    }
}

async fn push_server<D: Duplex>(mut c: D, size: usize, batch: bool) -> anyhow::Result<()> {
    c.recv().await?;
    let b = Bytes::from(payload(size));
    let (cap, mut fed) = (cap(), 0);
    loop {
        c.feed(D::make(&b)).await?;
        fed += size;
        if !batch || fed >= cap {
            c.flush().await?;
            fed = 0;
        }
    }
}

async fn window_client<D: Duplex>(
    mut c: D,
    target: usize,
    batch: bool,
    meter: Meter,
) -> anyhow::Result<()> {
    let size = MUX_SIZE + 4;
    let b = Bytes::from(payload(size));
    let mut out = target.min(64);
    for _ in 0..out {
        c.feed(D::make(&b)).await?;
        if !batch {
            c.flush().await?;
        }
    }
    c.flush().await?;
    let (cap, mut fed) = (cap(), 0);
    loop {
        let m = if batch { c.recv_flushing().await? } else { c.recv().await? };
        anyhow::ensure!(D::len(&m) == size, "length");
        meter.hit();
        c.feed(m).await?;
        fed += size;
        // A slow start, so that the first burst cannot fill both directions.
        if out < target {
            out += 1;
            c.feed(D::make(&b)).await?;
        }
        if !batch || fed >= cap {
            c.flush().await?;
            fed = 0;
        }
    }
}

async fn fan_server<L: Lib>(l: &L::Listener) -> anyhow::Result<()> {
    let mut control = L::accept(l).await?;
    let conns: Rc<RefCell<Vec<L::Conn>>> = Rc::default();
    let c2 = conns.clone();
    let accepting = async move {
        loop {
            let mut c = L::accept(l).await?;
            let m = c.recv().await?;
            c.feed(m).await?;
            c.flush().await?;
            c2.borrow_mut().push(c);
        }
        #[allow(unreachable_code)]
        anyhow::Ok(())
    };
    let rounds = async move {
        let b = Bytes::from(payload(MUX_SIZE));
        loop {
            control.recv().await?;
            let mut all = std::mem::take(&mut *conns.borrow_mut());
            for c in &mut all {
                c.feed(L::Conn::make(&b)).await?;
                c.flush().await?;
            }
            conns.borrow_mut().append(&mut all);
        }
        #[allow(unreachable_code)]
        anyhow::Ok(())
    };
    futures::try_join!(accepting, rounds)?;
    Ok(())
}

/// Counts a round of the fan-out; runtime-agnostic.
pub struct Fan {
    n: usize,
    got: AtomicUsize,
    tx: mpsc::UnboundedSender<()>,
}
impl Fan {
    pub fn new(n: usize) -> (Arc<Fan>, mpsc::UnboundedReceiver<()>) {
        let (tx, rx) = mpsc::unbounded();
        (Arc::new(Fan { n, got: AtomicUsize::new(0), tx }), rx)
    }
    /// One connection received this round's message.
    pub fn got(&self) {
        let g = self.got.load(Ordering::Relaxed) + 1;
        if g == self.n {
            self.got.store(0, Ordering::Relaxed);
            let _ = self.tx.unbounded_send(());
        } else {
            self.got.store(g, Ordering::Relaxed);
        }
    }
    /// Go, wait for all, again; memory is read after the second round.
    pub async fn rounds(
        &self,
        mut rx: mpsc::UnboundedReceiver<()>,
        meter: Meter,
        mut go: impl AsyncFnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for round in 0.. {
            go().await?;
            rx.next().await;
            if round == 1 {
                meter.rss_after(self.n);
            }
            meter.hit_n(self.n as u64);
        }
        Ok(())
    }
}

async fn fan_client<L: Lib>(n: usize, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
    let mut control = L::connect(addr).await?;
    meter.rss_before();
    let (fan, rx) = Fan::new(n);
    let mut all = FuturesUnordered::new();
    for _ in 0..n {
        let mut c = L::connect(addr).await?;
        c.feed(L::Conn::make(&Bytes::from_static(b"hi"))).await?;
        c.flush().await?;
        c.recv().await?;
        let fan = fan.clone();
        all.push(async move {
            loop {
                let m = c.recv().await?;
                anyhow::ensure!(L::Conn::len(&m) == MUX_SIZE, "length");
                fan.got();
            }
            #[allow(unreachable_code)]
            anyhow::Ok(())
        });
    }
    let rounds = fan.rounds(rx, meter, async move || {
        control.feed(L::Conn::make(&Bytes::from_static(b"go"))).await?;
        control.flush().await
    });
    let (a, b) = futures::join!(all.next(), rounds);
    a.transpose()?;
    b
}

/// Any `Stream + Sink` of WebSocket messages is a `Duplex`.
pub struct Ss<W, M>(pub W, pub PhantomData<M>);
impl<W, M> Ss<W, M> {
    pub fn new(w: W) -> Self {
        Ss(w, PhantomData)
    }
}
pub trait WsMsg: 'static {
    fn make(b: &Bytes) -> Self;
    fn len(&self) -> usize;
}
impl<W, M, E1, E2> Duplex for Ss<W, M>
where
    M: WsMsg,
    W: Stream<Item = Result<M, E1>> + Sink<M, Error = E2> + Unpin + 'static,
    E1: std::error::Error + Send + Sync + 'static,
    E2: std::error::Error + Send + Sync + 'static,
{
    type Msg = M;
    fn make(b: &Bytes) -> M {
        M::make(b)
    }
    fn len(m: &M) -> usize {
        m.len()
    }
    #[inline]
    async fn recv(&mut self) -> anyhow::Result<M> {
        Ok(self.0.next().await.ok_or_else(|| anyhow::anyhow!("closed"))??)
    }
    #[inline]
    async fn recv_flushing(&mut self) -> anyhow::Result<M> {
        if let Poll::Ready(m) = poll_fn(|cx| Poll::Ready(self.0.poll_next_unpin(cx))).await {
            return Ok(m.ok_or_else(|| anyhow::anyhow!("closed"))??);
        }
        self.flush().await?;
        self.recv().await
    }
    #[inline]
    async fn feed(&mut self, m: M) -> anyhow::Result<()> {
        Ok(self.0.feed(m).await?)
    }
    #[inline]
    async fn flush(&mut self) -> anyhow::Result<()> {
        Ok(SinkExt::<M>::flush(&mut self.0).await?)
    }
}
