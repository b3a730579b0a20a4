//! tarpc: request/response RPC over length-delimited TCP + bincode.
use super::raw_tcp::{tokio_accept, tokio_bind, tokio_connect};
use crate::harness::*;
use futures::StreamExt;
use std::net::SocketAddr;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context};
use tokio_util::codec::LengthDelimitedCodec;

pub const PEERS: [&dyn Peer; 1] = [&Tarpc];
struct Tarpc;

#[tarpc::service]
trait Rpc {
    async fn echo(data: bytes::Bytes) -> bytes::Bytes;
}
#[derive(Clone)]
struct Svc;
impl Rpc for Svc {
    async fn echo(self, _: context::Context, data: bytes::Bytes) -> bytes::Bytes {
        data
    }
}

impl Peer for Tarpc {
    fn name(&self) -> &'static str {
        "tarpc"
    }
    fn about(&self) -> &'static str {
        "tarpc 0.38.0 over TCP + bincode (calls only)"
    }
    fn supports(&self, work: Work) -> Result<(), &'static str> {
        match work {
            Work::Push { .. } | Work::Fan { .. } => Err("no streams, no server push"),
            _ => Ok(()),
        }
    }
    fn serve(&'static self, _: Work, ready: fn(u16)) -> anyhow::Result<()> {
        tokio_block(async move {
            let (l, port) = tokio_bind().await?;
            ready(port);
            let s = tokio_accept(&l).await?;
            let t = tarpc::serde_transport::new(
                LengthDelimitedCodec::builder().new_framed(s),
                Bincode::default(),
            );
            BaseChannel::with_defaults(t)
                .execute(Svc.serve())
                .for_each(|r| async move {
                    tokio::spawn(r);
                })
                .await;
            Ok(())
        })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        tokio_block(async move {
            let s = tokio_connect(addr).await?;
            let t = tarpc::serde_transport::new(
                LengthDelimitedCodec::builder().new_framed(s),
                Bincode::default(),
            );
            let mut cfg = client::Config::default();
            cfg.max_in_flight_requests = 100_000;
            cfg.pending_request_buffer = 10_000;
            let c = RpcClient::new(cfg, t).spawn();
            let (tasks, size) = match work {
                Work::Echo { size } => (1, size),
                Work::Mux { streams, window } => (streams * window, MUX_SIZE),
                Work::Churn { outstanding } => (outstanding, MUX_SIZE),
                _ => unreachable!(),
            };
            let mut set = tokio::task::JoinSet::new();
            for _ in 0..tasks {
                let c = c.clone();
                set.spawn(async move {
                    let m = bytes::Bytes::from(payload(size));
                    loop {
                        let r = c.echo(context::current(), m.clone()).await?;
                        anyhow::ensure!(r.len() == size, "length");
                        meter.hit();
                    }
                    #[allow(unreachable_code)]
                    anyhow::Ok(())
                });
            }
            set.join_next().await.unwrap()?
        })
    }
}
