//! remoc: remote channels multiplexed over TCP.
use super::raw_tcp::{tokio_accept, tokio_bind, tokio_connect};
use crate::engine::Fan;
use crate::harness::*;
use bytes::Bytes;
use remoc::prelude::*;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

pub const PEERS: [&dyn Peer; 1] = [&Remoc];
struct Remoc;

#[derive(serde::Serialize, serde::Deserialize)]
enum Open {
    Echo(rch::mpsc::Sender<Bytes>, rch::mpsc::Receiver<Bytes>),
    Push(rch::mpsc::Sender<Bytes>),
    Unary(Bytes, rch::oneshot::Sender<Bytes>),
    Go,
}
type Opener = rch::mpsc::Sender<Open>;
type Opened = rch::mpsc::Receiver<Open>;

async fn connect(addr: SocketAddr) -> anyhow::Result<Opener> {
    let (r, w) = tokio_connect(addr).await?.into_split();
    let (conn, mut tx, _rx): (_, rch::base::Sender<Opened>, rch::base::Receiver<()>) =
        remoc::Connect::io(remoc::Cfg::default(), r, w).await?;
    tokio::spawn(conn);
    let (otx, orx) = rch::mpsc::channel();
    tx.send(orx).await.map_err(|e| anyhow::anyhow!("{e:?}"))?;
    tokio::task::spawn_local(async move {
        let _keep = (tx, _rx);
        std::future::pending::<()>().await
    });
    Ok(otx)
}
fn e<E: std::fmt::Debug>(e: E) -> anyhow::Error {
    anyhow::anyhow!("{e:?}")
}

impl Peer for Remoc {
    fn name(&self) -> &'static str {
        "remoc"
    }
    fn about(&self) -> &'static str {
        "remoc 0.20.5 channels over TCP (postbag codec)"
    }
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()> {
        tokio_block(async move {
            let (l, port) = tokio_bind().await?;
            ready(port);
            let fans: Rc<RefCell<Vec<rch::mpsc::Sender<Bytes>>>> = Rc::default();
            loop {
                let (r, w) = tokio_accept(&l).await?.into_split();
                let fans = fans.clone();
                tokio::task::spawn_local(async move {
                    let (conn, _tx, mut rx): (
                        _,
                        rch::base::Sender<()>,
                        rch::base::Receiver<Opened>,
                    ) = remoc::Connect::io(remoc::Cfg::default(), r, w).await.unwrap();
                    tokio::spawn(conn);
                    let mut opened = rx.recv().await.unwrap().unwrap();
                    while let Ok(Some(o)) = opened.recv().await {
                        match o {
                            Open::Echo(tx, mut rx) => {
                                tokio::spawn(async move {
                                    while let Ok(Some(m)) = rx.recv().await {
                                        if tx.send(m).await.is_err() {
                                            break;
                                        }
                                    }
                                });
                            }
                            Open::Push(tx) => match work {
                                Work::Push { size } => {
                                    let b = Bytes::from(payload(size));
                                    while tx.send(b.clone()).await.is_ok() {}
                                }
                                _ => {
                                    let _ = tx.send(Bytes::from_static(b"hi")).await;
                                    fans.borrow_mut().push(tx);
                                }
                            },
                            Open::Unary(m, tx) => drop(tx.send(m)),
                            Open::Go => {
                                let mut all = std::mem::take(&mut *fans.borrow_mut());
                                let b = Bytes::from(payload(MUX_SIZE));
                                for tx in &mut all {
                                    let _ = tx.send(b.clone()).await;
                                }
                                fans.borrow_mut().append(&mut all);
                            }
                        }
                    }
                });
            }
        })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        tokio_block(async move {
            let o = connect(addr).await?;
            let echo = async |streams: usize, window: usize, size: usize| -> anyhow::Result<()> {
                let mut set = tokio::task::JoinSet::new();
                for _ in 0..streams {
                    let o = o.clone();
                    set.spawn(async move {
                        let (tx, srx) = rch::mpsc::channel();
                        let (stx, mut rx) = rch::mpsc::channel();
                        drop(o.send(Open::Echo(stx, srx)).await.map_err(e)?);
                        let b = Bytes::from(payload(size));
                        for _ in 0..window {
                            drop(tx.send(b.clone()).await.map_err(e)?);
                        }
                        loop {
                            let m: Bytes = rx.recv().await?.unwrap();
                            anyhow::ensure!(m.len() == size, "length");
                            meter.hit();
                            drop(tx.send(m).await.map_err(e)?);
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
                    let (tx, mut rx) = rch::mpsc::channel();
                    drop(o.send(Open::Push(tx)).await.map_err(e)?);
                    loop {
                        let m: Bytes = rx.recv().await?.unwrap();
                        anyhow::ensure!(m.len() == size, "length");
                        meter.hit();
                    }
                }
                Work::Churn { outstanding } => {
                    let mut set = tokio::task::JoinSet::new();
                    for _ in 0..outstanding {
                        let o = o.clone();
                        set.spawn(async move {
                            let b = Bytes::from(payload(MUX_SIZE));
                            loop {
                                let (tx, rx) = rch::oneshot::channel();
                                drop(o.send(Open::Unary(b.clone(), tx)).await.map_err(e)?);
                                let m: Bytes = rx.await?;
                                anyhow::ensure!(m.len() == MUX_SIZE, "length");
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
                        let o = connect(addr).await?;
                        let (tx, mut rx) = rch::mpsc::channel::<Bytes, remoc::codec::Default>();
                        drop(o.send(Open::Push(tx)).await.map_err(e)?);
                        rx.recv().await?;
                        keep.push(o);
                        let fan = fan.clone();
                        tokio::spawn(async move {
                            while let Ok(Some(_)) = rx.recv().await {
                                fan.got();
                            }
                        });
                    }
                    fan.rounds(rx, meter, async move || {
                        drop(o.send(Open::Go).await.map_err(e)?);
                        Ok(())
                    })
                    .await
                }
            }
        })
    }
}
