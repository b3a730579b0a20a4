//! tonic: gRPC bidi streams and unary calls, prost `bytes` payload.
use super::raw_tcp::tokio_bind;
use crate::engine::Fan;
use crate::harness::*;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Request, Response, Status, Streaming};

mod pb {
    tonic::include_proto!("bench.Bench");
}
use pb::bench_client::BenchClient;
use pb::bench_server::{Bench, BenchServer};

#[derive(Clone, PartialEq, prost::Message)]
pub struct Msg {
    #[prost(bytes = "bytes", tag = "1")]
    pub data: Bytes,
}

pub const PEERS: [&dyn Peer; 2] =
    [&Grpc { name: "tonic", tuned: false }, &Grpc { name: "tonic-tuned", tuned: true }];

struct Grpc {
    name: &'static str,
    tuned: bool,
}

type Out = Pin<Box<dyn Stream<Item = Result<Msg, Status>> + Send>>;
struct Svc {
    work: Work,
    fans: Arc<Mutex<Vec<mpsc::Sender<Result<Msg, Status>>>>>,
}

#[tonic::async_trait]
impl Bench for Svc {
    async fn unary(&self, r: Request<Msg>) -> Result<Response<Msg>, Status> {
        if let Work::Fan { .. } = self.work {
            let all = self.fans.lock().unwrap().clone();
            let m = Msg { data: payload(MUX_SIZE).into() };
            for tx in all {
                let _ = tx.send(Ok(m.clone())).await;
            }
        }
        Ok(Response::new(r.into_inner()))
    }
    type PushStream = Out;
    async fn push(&self, _: Request<Msg>) -> Result<Response<Out>, Status> {
        let (Work::Push { size } | Work::Loaded { load: size, .. }) = self.work else {
            return Err(Status::internal("no push"));
        };
        let m = Msg { data: payload(size).into() };
        Ok(Response::new(Box::pin(futures::stream::repeat_with(move || Ok(m.clone())))))
    }
    type BidiStream = Out;
    async fn bidi(&self, r: Request<Streaming<Msg>>) -> Result<Response<Out>, Status> {
        if let Work::Fan { .. } = self.work {
            let (tx, rx) = mpsc::channel(4);
            let mut inbound = r.into_inner();
            let fans = self.fans.clone();
            tokio::spawn(async move {
                while let Some(Ok(m)) = inbound.next().await {
                    fans.lock().unwrap().push(tx.clone());
                    let _ = tx.send(Ok(m)).await;
                }
            });
            return Ok(Response::new(Box::pin(ReceiverStream::new(rx))));
        }
        Ok(Response::new(Box::pin(r.into_inner())))
    }
}

impl Grpc {
    async fn connect(&self, addr: SocketAddr) -> anyhow::Result<BenchClient<Channel>> {
        let mut e = Endpoint::from_shared(format!("http://{addr}"))?;
        if self.tuned {
            e = e.initial_stream_window_size(4 << 20).initial_connection_window_size(16 << 20);
        }
        Ok(BenchClient::new(e.connect().await?))
    }
}

async fn open(c: &mut BenchClient<Channel>) -> anyhow::Result<(mpsc::Sender<Msg>, Streaming<Msg>)> {
    let (tx, rx) = mpsc::channel(16);
    let inbound = c.bidi(ReceiverStream::new(rx)).await?.into_inner();
    Ok((tx, inbound))
}

impl Peer for Grpc {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        match self.tuned {
            false => "tonic 0.14.9 + prost 0.14.6, HTTP/2 over TCP, default windows",
            true => "the same, 4 MiB stream / 16 MiB connection windows",
        }
    }
    fn shares_a_connection(&self) -> bool {
        true
    }
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()> {
        tokio_block(async move {
            let (l, port) = tokio_bind().await?;
            ready(port);
            let mut b = Server::builder().max_concurrent_streams(None);
            if self.tuned {
                b = b.initial_stream_window_size(4 << 20).initial_connection_window_size(16 << 20);
            }
            let svc = BenchServer::new(Svc { work, fans: Arc::default() });
            b.add_service(svc)
                .serve_with_incoming(TcpIncoming::from(l).with_nodelay(Some(true)))
                .await?;
            Ok(())
        })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        tokio_block(async move {
            let mut c = self.connect(addr).await?;
            match work {
                Work::Echo { size } | Work::Loaded { size, .. } => {
                    if let Work::Loaded { .. } = work {
                        let mut rx = c.push(Msg::default()).await?.into_inner();
                        tokio::spawn(async move { while let Ok(Some(_)) = rx.message().await {} });
                    }
                    let (tx, mut rx) = open(&mut c).await?;
                    let m = Msg { data: payload(size).into() };
                    loop {
                        tx.send(m.clone()).await?;
                        let r = rx.message().await?.unwrap();
                        anyhow::ensure!(r.data.len() == size, "length");
                        meter.hit();
                    }
                }
                Work::Push { size } => {
                    let mut rx = c.push(Msg::default()).await?.into_inner();
                    loop {
                        let r = rx.message().await?.unwrap();
                        anyhow::ensure!(r.data.len() == size, "length");
                        meter.hit();
                    }
                }
                Work::Mux { streams, window } => {
                    let mut set = tokio::task::JoinSet::new();
                    for _ in 0..streams {
                        let mut c = c.clone();
                        set.spawn(async move {
                            let (tx, mut rx) = open(&mut c).await?;
                            let m = Msg { data: payload(MUX_SIZE).into() };
                            for _ in 0..window {
                                tx.send(m.clone()).await?;
                            }
                            loop {
                                let r = rx.message().await?.unwrap();
                                anyhow::ensure!(r.data.len() == MUX_SIZE, "length");
                                meter.hit();
                                tx.send(r).await?;
                            }
                            #[allow(unreachable_code)]
                            anyhow::Ok(())
                        });
                    }
                    set.join_next().await.unwrap()?
                }
                Work::Churn { outstanding } => {
                    let mut set = tokio::task::JoinSet::new();
                    for _ in 0..outstanding {
                        let mut c = c.clone();
                        set.spawn(async move {
                            let m = Msg { data: payload(MUX_SIZE).into() };
                            loop {
                                let r = c.unary(m.clone()).await?.into_inner();
                                anyhow::ensure!(r.data.len() == MUX_SIZE, "length");
                                meter.hit();
                            }
                            #[allow(unreachable_code)]
                            anyhow::Ok(())
                        });
                    }
                    set.join_next().await.unwrap()?
                }
                Work::Fan { conns } => {
                    c.push(Msg::default()).await.ok();
                    meter.rss_before();
                    let (fan, rx) = Fan::new(conns);
                    let mut keep = vec![];
                    for _ in 0..conns {
                        let mut c = self.connect(addr).await?;
                        let (tx, mut rx) = open(&mut c).await?;
                        tx.send(Msg { data: Bytes::from_static(b"hi") }).await?;
                        rx.message().await?;
                        keep.push((c, tx));
                        let fan = fan.clone();
                        tokio::spawn(async move {
                            while let Ok(Some(_)) = rx.message().await {
                                fan.got();
                            }
                        });
                    }
                    fan.rounds(rx, meter, async move || {
                        c.unary(Msg::default()).await?;
                        Ok(())
                    })
                    .await
                }
            }
        })
    }
}
