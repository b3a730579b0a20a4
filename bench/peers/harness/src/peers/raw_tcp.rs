//! Plain TCP with a 4-byte length: the physical limit of one connection.
use crate::engine::*;
use crate::harness::*;
use bytes::{Buf, Bytes, BytesMut};
use std::future::poll_fn;
use std::io::{IoSlice, Read, Write};
use std::net::SocketAddr;
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const PEERS: [&dyn Peer; 3] = [
    &Raw::<Tokio>::new(
        "tcp",
        "tokio TcpStream, u32 length + payload, one write per message",
        false,
    ),
    &Raw::<Tokio>::new("tcp-batch", "the same, flushed when idle or at 16 KiB", true),
    &Raw::<Blocking> {
        name: "tcp-blocking",
        about: "std blocking TcpStream, no reactor at all",
        batch: true,
        only: Some((&["W1", "W2-32", "W2-1k", "W2-64k"], "blocking sockets: single pipe only")),
        lib: std::marker::PhantomData,
    },
];

pub struct TcpConn {
    s: TcpStream,
    r: BytesMut,
    w: Vec<u8>,
}

fn parse(r: &mut BytesMut) -> Option<Bytes> {
    if r.len() < 4 {
        return None;
    }
    let n = u32::from_le_bytes(r[..4].try_into().unwrap()) as usize;
    if r.len() < 4 + n {
        r.reserve(4 + n - r.len());
        return None;
    }
    r.advance(4);
    Some(r.split_to(n).freeze())
}

impl Duplex for TcpConn {
    type Msg = Bytes;
    fn make(b: &Bytes) -> Bytes {
        b.clone()
    }
    fn len(m: &Bytes) -> usize {
        m.len()
    }
    async fn recv(&mut self) -> anyhow::Result<Bytes> {
        loop {
            if let Some(m) = parse(&mut self.r) {
                return Ok(m);
            }
            self.r.reserve(4096);
            anyhow::ensure!(self.s.read_buf(&mut self.r).await? > 0, "closed");
        }
    }
    async fn recv_flushing(&mut self) -> anyhow::Result<Bytes> {
        loop {
            if let Some(m) = parse(&mut self.r) {
                return Ok(m);
            }
            self.r.reserve(4096);
            // Not even a try to read: what was asked for is answered first.
            self.flush().await?;
            anyhow::ensure!(self.s.read_buf(&mut self.r).await? > 0, "closed");
        }
    }
    async fn feed(&mut self, m: Bytes) -> anyhow::Result<()> {
        self.w.extend_from_slice(&(m.len() as u32).to_le_bytes());
        if m.len() < 8192 {
            self.w.extend_from_slice(&m);
            return Ok(());
        }
        let mut m = m;
        let mut done = 0;
        while done < self.w.len() {
            done +=
                self.s.write_vectored(&[IoSlice::new(&self.w[done..]), IoSlice::new(&m)]).await?;
        }
        m.advance(done - self.w.len());
        self.w.clear();
        self.s.write_all(&m).await?;
        Ok(())
    }
    async fn flush(&mut self) -> anyhow::Result<()> {
        if !self.w.is_empty() {
            self.s.write_all(&self.w).await?;
            self.w.clear();
        }
        Ok(())
    }
}

pub struct Tokio;
impl Lib for Tokio {
    type Conn = TcpConn;
    type Listener = TcpListener;
    fn block_on<T: 'static>(f: impl Future<Output = T> + 'static) -> T {
        tokio_block(f)
    }
    async fn bind() -> anyhow::Result<(TcpListener, u16)> {
        tokio_bind().await
    }
    async fn accept(l: &TcpListener) -> anyhow::Result<TcpConn> {
        let s = tokio_accept(l).await?;
        Ok(TcpConn { s, r: BytesMut::with_capacity(16384), w: vec![] })
    }
    async fn connect(a: SocketAddr) -> anyhow::Result<TcpConn> {
        let s = tokio_connect(a).await?;
        Ok(TcpConn { s, r: BytesMut::with_capacity(16384), w: vec![] })
    }
}

pub async fn tokio_bind() -> anyhow::Result<(TcpListener, u16)> {
    let s = tokio::net::TcpSocket::new_v4()?;
    s.bind(([127, 0, 0, 1], 0).into())?;
    let l = s.listen(1024)?;
    let p = l.local_addr()?.port();
    Ok((l, p))
}
pub async fn tokio_accept(l: &TcpListener) -> anyhow::Result<TcpStream> {
    let (s, _) = l.accept().await?;
    s.set_nodelay(true)?;
    Ok(s)
}
pub async fn tokio_connect(a: SocketAddr) -> anyhow::Result<TcpStream> {
    let s = TcpStream::connect(a).await?;
    s.set_nodelay(true)?;
    Ok(s)
}

pub struct BlockingConn {
    s: std::net::TcpStream,
    r: BytesMut,
    w: Vec<u8>,
}
pub struct Blocking;
impl Lib for Blocking {
    type Conn = BlockingConn;
    type Listener = std::net::TcpListener;
    fn block_on<T: 'static>(f: impl Future<Output = T> + 'static) -> T {
        futures::executor::block_on(f)
    }
    async fn bind() -> anyhow::Result<(Self::Listener, u16)> {
        let l = std::net::TcpListener::bind("127.0.0.1:0")?;
        let p = l.local_addr()?.port();
        Ok((l, p))
    }
    async fn accept(l: &Self::Listener) -> anyhow::Result<BlockingConn> {
        let (s, _) = l.accept()?;
        s.set_nodelay(true)?;
        Ok(BlockingConn { s, r: BytesMut::new(), w: vec![] })
    }
    async fn connect(a: SocketAddr) -> anyhow::Result<BlockingConn> {
        let s = std::net::TcpStream::connect(a)?;
        s.set_nodelay(true)?;
        Ok(BlockingConn { s, r: BytesMut::new(), w: vec![] })
    }
}
impl BlockingConn {
    fn fill(&mut self) -> anyhow::Result<()> {
        let old = self.r.len();
        self.r.resize(old + 65536, 0);
        let n = self.s.read(&mut self.r[old..])?;
        self.r.truncate(old + n);
        anyhow::ensure!(n > 0, "closed");
        Ok(())
    }
}
impl Duplex for BlockingConn {
    type Msg = Bytes;
    fn make(b: &Bytes) -> Bytes {
        b.clone()
    }
    fn len(m: &Bytes) -> usize {
        m.len()
    }
    async fn recv(&mut self) -> anyhow::Result<Bytes> {
        poll_fn(|_| Poll::Ready(())).await;
        loop {
            if let Some(m) = parse(&mut self.r) {
                return Ok(m);
            }
            self.fill()?;
        }
    }
    async fn recv_flushing(&mut self) -> anyhow::Result<Bytes> {
        if let Some(m) = parse(&mut self.r) {
            return Ok(m);
        }
        self.flush().await?;
        self.recv().await
    }
    async fn feed(&mut self, m: Bytes) -> anyhow::Result<()> {
        self.w.extend_from_slice(&(m.len() as u32).to_le_bytes());
        self.w.extend_from_slice(&m);
        Ok(())
    }
    async fn flush(&mut self) -> anyhow::Result<()> {
        self.s.write_all(&self.w)?;
        self.w.clear();
        Ok(())
    }
}
