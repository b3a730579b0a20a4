//! WebSocket libraries that are a `Stream + Sink` of messages.
use super::raw_tcp::{tokio_accept, tokio_bind, tokio_connect};
use crate::engine::*;
use crate::harness::*;
use bytes::Bytes;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

pub const PEERS: [&dyn Peer; 11] = [
    &Raw::<Tt>::new("tt", "tokio-tungstenite 0.30.0, flush per message", false),
    &Raw::<Tt>::new(
        "tt-batch",
        "tokio-tungstenite 0.30.0, feed; flush when idle or at 16 KiB",
        true,
    ),
    &Raw::<TtSmall>::new(
        "tt-batch-8k",
        "as tt-batch, 8 KiB read and write buffers instead of 128 KiB",
        true,
    ),
    &Raw::<Smol>::new(
        "smol-tt",
        "async-tungstenite 0.35.0 on smol 2.0.2, flush per message",
        false,
    ),
    &Raw::<Smol>::new("smol-tt-batch", "async-tungstenite 0.35.0 on smol 2.0.2, batch", true),
    &Raw::<Tw>::new("tokio-ws", "tokio-websockets 0.13.3, flush per message", false),
    &Raw::<Tw>::new("tokio-ws-batch", "tokio-websockets 0.13.3, batch", true),
    &Raw::<Yawc>::new("yawc", "yawc 0.5.0, flush per message", false),
    &Raw::<Yawc>::new("yawc-batch", "yawc 0.5.0, batch", true),
    &Raw::<Sockudo>::new("sockudo-ws", "sockudo-ws 3.1.0, flush per message", false),
    &Raw::<Sockudo>::new("sockudo-ws-batch", "sockudo-ws 3.1.0, batch", true),
];

macro_rules! tokio_lib {
    ($lib:ident, $conn:ty, |$a:ident| $accept:expr, |$c:ident| $connect:expr) => {
        pub struct $lib;
        impl Lib for $lib {
            type Conn = $conn;
            type Listener = TcpListener;
            fn block_on<T: 'static>(f: impl Future<Output = T> + 'static) -> T {
                tokio_block(f)
            }
            async fn bind() -> anyhow::Result<(TcpListener, u16)> {
                tokio_bind().await
            }
            async fn accept(l: &TcpListener) -> anyhow::Result<Self::Conn> {
                let $a = tokio_accept(l).await?;
                Ok(Ss::new($accept))
            }
            async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Conn> {
                let $c = tokio_connect(addr).await?;
                Ok(Ss::new($connect))
            }
        }
    };
}

use tokio_tungstenite::WebSocketStream as TtStream;
use tokio_tungstenite::tungstenite::Message as TtMsg;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
impl WsMsg for TtMsg {
    fn make(b: &Bytes) -> Self {
        TtMsg::Binary(b.clone())
    }
    fn len(&self) -> usize {
        TtMsg::len(self)
    }
}
tokio_lib!(
    Tt,
    Ss<TtStream<TcpStream>, TtMsg>,
    |s| tokio_tungstenite::accept_async(s).await?,
    |s| tokio_tungstenite::client_async("ws://127.0.0.1/", s).await?.0
);
/// `PEERS_RBUF` overrides the small read buffer, for a sweep.
pub fn rbuf(default: usize) -> usize {
    std::env::var("PEERS_RBUF").ok().and_then(|s| s.parse().ok()).unwrap_or(default)
}
pub fn small() -> Option<WebSocketConfig> {
    let n = rbuf(8192);
    Some(WebSocketConfig::default().read_buffer_size(n).write_buffer_size(n))
}
tokio_lib!(
    TtSmall,
    Ss<TtStream<TcpStream>, TtMsg>,
    |s| tokio_tungstenite::accept_async_with_config(s, small()).await?,
    |s| tokio_tungstenite::client_async_with_config("ws://127.0.0.1/", s, small()).await?.0
);

pub struct Smol;
impl Lib for Smol {
    type Conn = Ss<async_tungstenite::WebSocketStream<smol::net::TcpStream>, TtMsg>;
    type Listener = smol::net::TcpListener;
    fn block_on<T: 'static>(f: impl Future<Output = T> + 'static) -> T {
        smol::block_on(f)
    }
    async fn bind() -> anyhow::Result<(Self::Listener, u16)> {
        let l = smol::net::TcpListener::bind("127.0.0.1:0").await?;
        let p = l.local_addr()?.port();
        Ok((l, p))
    }
    async fn accept(l: &Self::Listener) -> anyhow::Result<Self::Conn> {
        let (s, _) = l.accept().await?;
        s.set_nodelay(true)?;
        Ok(Ss::new(async_tungstenite::accept_async(s).await?))
    }
    async fn connect(addr: SocketAddr) -> anyhow::Result<Self::Conn> {
        let s = smol::net::TcpStream::connect(addr).await?;
        s.set_nodelay(true)?;
        Ok(Ss::new(async_tungstenite::client_async("ws://127.0.0.1/", s).await?.0))
    }
}

use tokio_websockets::{
    ClientBuilder, Message as TwMsg, ServerBuilder, WebSocketStream as TwStream,
};
impl WsMsg for TwMsg {
    fn make(b: &Bytes) -> Self {
        TwMsg::binary(b.clone())
    }
    fn len(&self) -> usize {
        self.as_payload().len()
    }
}
tokio_lib!(Tw, Ss<TwStream<TcpStream>, TwMsg>, |s| ServerBuilder::new().accept(s).await?.1, |s| {
    ClientBuilder::new().uri("ws://127.0.0.1/")?.connect_on(s).await?.0
});

use yawc::{Frame as YaMsg, Options as YaOptions, Role as YaRole, WebSocket as YaStream};
impl WsMsg for YaMsg {
    fn make(b: &Bytes) -> Self {
        YaMsg::binary(b.clone())
    }
    fn len(&self) -> usize {
        self.payload().len()
    }
}
/// yawc's Stream yields frames, not results.
pub struct YaResult<S>(YaStream<S>);
impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> futures::Stream for YaResult<S> {
    type Item = Result<YaMsg, std::io::Error>;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        futures::StreamExt::poll_next_unpin(&mut self.0, cx).map(|o| o.map(Ok))
    }
}
impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> futures::Sink<YaMsg> for YaResult<S> {
    type Error = yawc::WebSocketError;
    fn poll_ready(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        futures::SinkExt::poll_ready_unpin(&mut self.0, cx)
    }
    fn start_send(mut self: std::pin::Pin<&mut Self>, m: YaMsg) -> Result<(), Self::Error> {
        futures::SinkExt::start_send_unpin(&mut self.0, m)
    }
    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        futures::SinkExt::poll_flush_unpin(&mut self.0, cx)
    }
    fn poll_close(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        futures::SinkExt::poll_close_unpin(&mut self.0, cx)
    }
}
tokio_lib!(
    Yawc,
    Ss<YaResult<TcpStream>, YaMsg>,
    |s| YaResult(YaStream::from_stream(s, YaRole::Server, YaOptions::default())?),
    |s| YaResult(YaStream::from_stream(s, YaRole::Client, YaOptions::default())?)
);

use sockudo_ws::{
    Config as SoConfig, Message as SoMsg, Role as SoRole, WebSocketStream as SoStream,
};
impl WsMsg for SoMsg {
    fn make(b: &Bytes) -> Self {
        SoMsg::Binary(b.clone())
    }
    fn len(&self) -> usize {
        match self {
            SoMsg::Binary(b) => b.len(),
            _ => 0,
        }
    }
}
tokio_lib!(
    Sockudo,
    Ss<SoStream<TcpStream>, SoMsg>,
    |s| SoStream::from_raw(s, SoRole::Server, SoConfig::default()),
    |s| SoStream::from_raw(s, SoRole::Client, SoConfig::default())
);
