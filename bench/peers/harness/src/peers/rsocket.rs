//! rsocket_rust over TCP: request_response, request_stream, request_channel.
use crate::engine::Fan;
use crate::harness::*;
use futures::StreamExt;
use rsocket_rust::prelude::*;
use rsocket_rust_transport_tcp::{TcpClientTransport, TcpServerTransport};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

pub const PEERS: [&dyn Peer; 1] = [&RSocketPeer];
struct RSocketPeer;
type Fans = Arc<Mutex<Vec<mpsc::Sender<rsocket_rust::Result<Payload>>>>>;

struct Svc(Work, Fans);

fn msg(n: usize) -> Payload {
    Payload::builder().set_data(payload(n)).build()
}

#[rsocket_rust::async_trait]
impl RSocket for Svc {
    async fn metadata_push(&self, _: Payload) -> rsocket_rust::Result<()> {
        Ok(())
    }
    async fn fire_and_forget(&self, _: Payload) -> rsocket_rust::Result<()> {
        Ok(())
    }
    async fn request_response(&self, req: Payload) -> rsocket_rust::Result<Option<Payload>> {
        if let Work::Fan { .. } = self.0 {
            let all = self.1.lock().unwrap().clone();
            for tx in all {
                let _ = tx.send(Ok(msg(MUX_SIZE))).await;
            }
        }
        Ok(Some(req))
    }
    fn request_stream(&self, req: Payload) -> Flux<rsocket_rust::Result<Payload>> {
        match self.0 {
            Work::Push { size } => {
                let m = msg(size);
                Box::pin(futures::stream::repeat_with(move || Ok(m.clone())))
            }
            _ => {
                let (tx, rx) = mpsc::channel(4);
                let _ = tx.try_send(Ok(req));
                self.1.lock().unwrap().push(tx);
                Box::pin(ReceiverStream::new(rx))
            }
        }
    }
    fn request_channel(
        &self,
        reqs: Flux<rsocket_rust::Result<Payload>>,
    ) -> Flux<rsocket_rust::Result<Payload>> {
        reqs
    }
}

async fn connect(addr: SocketAddr) -> anyhow::Result<rsocket_rust::Client> {
    RSocketFactory::connect()
        .transport(TcpClientTransport::from(addr))
        .setup(Payload::from("READY!"))
        .start()
        .await
}

impl Peer for RSocketPeer {
    fn name(&self) -> &'static str {
        "rsocket"
    }
    fn about(&self) -> &'static str {
        "rsocket_rust 0.7.5 over TCP"
    }
    fn supports(&self, work: Work) -> Result<(), &'static str> {
        match work {
            Work::Push { .. } => Err("no flow control: the server queues without bound"),
            _ => Ok(()),
        }
    }
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()> {
        tokio_block(async move {
            // The transport binds by itself and does not tell the port: find a free one.
            let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let addr: SocketAddr = ([127, 0, 0, 1], port).into();
            let fans = Fans::default();
            let serve = RSocketFactory::receive()
                .transport(TcpServerTransport::from(addr))
                .acceptor(Box::new(move |_, _| Ok(Box::new(Svc(work, fans.clone())))))
                .serve();
            tokio::spawn(serve);
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            ready(port);
            std::future::pending::<()>().await;
            Ok(())
        })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        tokio_block(async move {
            let c = connect(addr).await?;
            let echo = async |streams: usize, window: usize, size: usize| -> anyhow::Result<()> {
                let mut set = tokio::task::JoinSet::new();
                for _ in 0..streams {
                    let c = c.clone();
                    set.spawn(async move {
                        let (tx, rx) = mpsc::channel(16);
                        for _ in 0..window {
                            tx.send(Ok(msg(size))).await?;
                        }
                        let mut r = c.request_channel(Box::pin(ReceiverStream::new(rx)));
                        while let Some(m) = r.next().await {
                            let m = m?;
                            anyhow::ensure!(m.data().map(|d| d.len()) == Some(size), "length");
                            meter.hit();
                            tx.send(Ok(m)).await?;
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
                    let mut s = c.request_stream(msg(2));
                    while let Some(m) = s.next().await {
                        anyhow::ensure!(m?.data().map(|d| d.len()) == Some(size), "length");
                        meter.hit();
                    }
                    anyhow::bail!("ended")
                }
                Work::Churn { outstanding } => {
                    let mut set = tokio::task::JoinSet::new();
                    for _ in 0..outstanding {
                        let c = c.clone();
                        set.spawn(async move {
                            let m = msg(MUX_SIZE);
                            loop {
                                let r = c.request_response(m.clone()).await?;
                                anyhow::ensure!(r.is_some(), "empty");
                                meter.hit();
                            }
                            #[allow(unreachable_code)]
                            anyhow::Ok(())
                        });
                    }
                    set.join_next().await.unwrap()?
                }
                Work::Fan { conns } => {
                    meter.rss_before();
                    let (fan, rx) = Fan::new(conns);
                    let mut keep = vec![];
                    for _ in 0..conns {
                        let c = connect(addr).await?;
                        let mut s = c.request_stream(msg(2));
                        s.next().await;
                        keep.push(c);
                        let fan = fan.clone();
                        tokio::spawn(async move {
                            while let Some(Ok(_)) = s.next().await {
                                fan.got();
                            }
                        });
                    }
                    fan.rounds(rx, meter, async move || {
                        c.request_response(msg(2)).await?;
                        Ok(())
                    })
                    .await
                }
            }
        })
    }
}
