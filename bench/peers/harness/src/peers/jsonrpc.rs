//! jsonrpsee over WebSocket: method calls (it has no bidi streams) and
//! subscriptions. Payloads are JSON strings.
use crate::engine::Fan;
use crate::harness::*;
use jsonrpsee::core::client::{ClientT, Subscription, SubscriptionClientT};
use jsonrpsee::server::{RpcModule, Server, ServerConfig, SubscriptionMessage};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use jsonrpsee::{SubscriptionSink, rpc_params};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

pub const PEERS: [&dyn Peer; 1] = [&JsonRpc];
struct JsonRpc;

struct Ctx {
    work: Work,
    fans: Mutex<Vec<SubscriptionSink>>,
}

fn text(n: usize) -> String {
    String::from_utf8(payload(n)).unwrap()
}
fn item(n: usize) -> SubscriptionMessage {
    SubscriptionMessage::from(serde_json::value::to_raw_value(&text(n)).unwrap())
}

async fn connect(addr: SocketAddr) -> anyhow::Result<WsClient> {
    Ok(WsClientBuilder::new()
        .max_concurrent_requests(100_000)
        .max_buffer_capacity_per_subscription(1 << 20)
        .build(format!("ws://{addr}"))
        .await?)
}

impl Peer for JsonRpc {
    fn name(&self) -> &'static str {
        "jsonrpsee"
    }
    fn about(&self) -> &'static str {
        "jsonrpsee 0.26.1 over WebSocket; calls for W1/W3/W4, subscriptions for W2/W5, JSON strings"
    }
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()> {
        tokio_block(async move {
            let cfg = ServerConfig::builder()
                .max_connections(10_000)
                .max_subscriptions_per_connection(10_000)
                .ws_only()
                .build();
            let s = Server::builder().set_config(cfg).build("127.0.0.1:0").await?;
            let port = s.local_addr()?.port();
            let mut m = RpcModule::new(Ctx { work, fans: Mutex::default() });
            m.register_method("echo", |p, _, _| p.one::<String>())?;
            m.register_async_method("go", |_, ctx, _| async move {
                let mut all = std::mem::take(&mut *ctx.fans.lock().unwrap());
                let it = item(MUX_SIZE);
                for s in &mut all {
                    let _ = s.send(it.clone()).await;
                }
                ctx.fans.lock().unwrap().append(&mut all);
                "ok"
            })?;
            m.register_subscription(
                "sub",
                "item",
                "unsub",
                |_, pending, ctx: Arc<Ctx>, _| async move {
                    let sink = pending.accept().await.unwrap();
                    match ctx.work {
                        Work::Push { size } => {
                            let it = item(size);
                            while sink.send(it.clone()).await.is_ok() {}
                        }
                        _ => {
                            let _ = sink.send(item(2)).await;
                            ctx.fans.lock().unwrap().push(sink);
                        }
                    }
                },
            )?;
            let h = s.start(m);
            ready(port);
            h.stopped().await;
            Ok(())
        })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        tokio_block(async move {
            let c = Arc::new(connect(addr).await?);
            let calls = async |tasks: usize, size: usize| -> anyhow::Result<()> {
                let mut set = tokio::task::JoinSet::new();
                for _ in 0..tasks {
                    let c = c.clone();
                    set.spawn(async move {
                        let m = text(size);
                        loop {
                            let r: String = c.request("echo", rpc_params![&m]).await?;
                            anyhow::ensure!(r.len() == size, "length");
                            meter.hit();
                        }
                        #[allow(unreachable_code)]
                        anyhow::Ok(())
                    });
                }
                set.join_next().await.unwrap()?
            };
            match work {
                Work::Loaded { .. } => anyhow::bail!("not measured"),
                Work::Echo { size } => calls(1, size).await,
                Work::Mux { streams, window } => calls(streams * window, MUX_SIZE).await,
                Work::Churn { outstanding } => calls(outstanding, MUX_SIZE).await,
                Work::Push { size } => {
                    let mut s: Subscription<String> =
                        c.subscribe("sub", rpc_params![], "unsub").await?;
                    loop {
                        let r = s.next().await.ok_or_else(|| anyhow::anyhow!("lagged"))??;
                        anyhow::ensure!(r.len() == size, "length");
                        meter.hit();
                    }
                }
                Work::Fan { conns } => {
                    meter.rss_before();
                    let (fan, rx) = Fan::new(conns);
                    let mut keep = vec![];
                    for _ in 0..conns {
                        let c = connect(addr).await?;
                        let mut s: Subscription<String> =
                            c.subscribe("sub", rpc_params![], "unsub").await?;
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
                        let _: String = c.request("go", rpc_params![]).await?;
                        Ok(())
                    })
                    .await
                }
            }
        })
    }
}
