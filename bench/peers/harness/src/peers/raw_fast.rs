//! fastwebsockets: read and write halves, no sink. `batch` puts a 64 KiB
//! `BufWriter` under the write half.
use super::raw_tcp::{tokio_accept, tokio_bind, tokio_connect};
use crate::engine::*;
use crate::harness::*;
use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocketError, WebSocketRead, WebSocketWrite};
use std::net::SocketAddr;
use std::pin::pin;
use tokio::io::BufWriter;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

pub const PEERS: [&dyn Peer; 2] = [
    &Raw::<Fast<false>>::new("fastws", "fastwebsockets 0.10.0, one write per message", false),
    &Raw::<Fast<true>>::new("fastws-batch", "fastwebsockets 0.10.0 over a BufWriter, batch", true),
];

pub struct Conn {
    r: WebSocketRead<OwnedReadHalf>,
    w: W,
}
enum W {
    Plain(WebSocketWrite<OwnedWriteHalf>),
    Buf(WebSocketWrite<BufWriter<OwnedWriteHalf>>),
}

async fn read(r: &mut WebSocketRead<OwnedReadHalf>) -> anyhow::Result<bytes::BytesMut> {
    let f = r.read_frame::<_, WebSocketError>(&mut |_| std::future::ready(Ok(()))).await?;
    anyhow::ensure!(f.opcode == OpCode::Binary, "closed");
    match f.payload {
        Payload::Bytes(b) => Ok(b),
        other => Ok(bytes::BytesMut::from(&other[..])),
    }
}

impl Duplex for Conn {
    type Msg = bytes::BytesMut;
    fn make(b: &Bytes) -> Self::Msg {
        bytes::BytesMut::from(&b[..])
    }
    fn len(m: &Self::Msg) -> usize {
        m.len()
    }
    async fn recv(&mut self) -> anyhow::Result<Self::Msg> {
        read(&mut self.r).await
    }
    async fn recv_flushing(&mut self) -> anyhow::Result<Self::Msg> {
        // Not cancel-safe, so poll once, flush, then poll the same future on.
        let Conn { r, w } = self;
        let mut f = pin!(read(r));
        if let std::task::Poll::Ready(m) = futures::poll!(f.as_mut()) {
            return m;
        }
        match w {
            W::Plain(w) => w.flush().await?,
            W::Buf(w) => w.flush().await?,
        }
        f.await
    }
    async fn feed(&mut self, m: Self::Msg) -> anyhow::Result<()> {
        let f = Frame::binary(Payload::Bytes(m));
        match &mut self.w {
            W::Plain(w) => w.write_frame(f).await?,
            W::Buf(w) => w.write_frame(f).await?,
        }
        Ok(())
    }
    async fn flush(&mut self) -> anyhow::Result<()> {
        match &mut self.w {
            W::Plain(w) => w.flush().await?,
            W::Buf(w) => w.flush().await?,
        }
        Ok(())
    }
}

pub struct Fast<const BUF: bool>;
fn conn<const BUF: bool>(s: TcpStream, role: Role) -> Conn {
    let (r, w) = s.into_split();
    if BUF {
        let w = BufWriter::with_capacity(65536, w);
        let (r, w) = fastwebsockets::after_handshake_split(r, w, role);
        Conn { r, w: W::Buf(w) }
    } else {
        let (r, w) = fastwebsockets::after_handshake_split(r, w, role);
        Conn { r, w: W::Plain(w) }
    }
}
impl<const BUF: bool> Lib for Fast<BUF> {
    type Conn = Conn;
    type Listener = TcpListener;
    fn block_on<T: 'static>(f: impl Future<Output = T> + 'static) -> T {
        tokio_block(f)
    }
    async fn bind() -> anyhow::Result<(TcpListener, u16)> {
        tokio_bind().await
    }
    async fn accept(l: &TcpListener) -> anyhow::Result<Conn> {
        Ok(conn::<BUF>(tokio_accept(l).await?, Role::Server))
    }
    async fn connect(a: SocketAddr) -> anyhow::Result<Conn> {
        Ok(conn::<BUF>(tokio_connect(a).await?, Role::Client))
    }
}
