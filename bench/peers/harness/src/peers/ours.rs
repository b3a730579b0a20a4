//! Wirestream through its public API on both sides: real streams, credit, typed messages.
use crate::engine::Fan;
use crate::harness::*;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::future::{Future, pending, ready};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use wirestream_tokio::{
    Client, ClientConfig, Endpoint, IncomingCall, Limits, NoError, Receiver, Sender, ServeConfig,
    Server, Session, channel,
};

pub const PEERS: [&dyn Peer; 3] = [
    &Ours::<Tokio, Bytes> {
        name: "ours",
        about: "Wirestream on tokio, opaque bytes as its messages",
        of: PhantomData,
    },
    &Ours::<Smol, Bytes> { name: "ours-smol", about: "the same on smol", of: PhantomData },
    &Ours::<Tokio, Typed> {
        name: "ours-typed",
        about: "Wirestream on tokio, a struct of the same size as its messages",
        of: PhantomData,
    },
];

struct Ours<R, M> {
    name: &'static str,
    about: &'static str,
    of: PhantomData<fn() -> (R, M)>,
}

/// What messages are made of.
trait Message: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    const ANY_SIZE: bool;
    fn of(size: usize) -> Self;
    fn size(&self) -> usize;
}

impl Message for Bytes {
    const ANY_SIZE: bool = true;
    fn of(size: usize) -> Self {
        payload(size).into()
    }
    fn size(&self) -> usize {
        self.len()
    }
}

/// What a game would send of each player: 64 bytes as it is encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Typed {
    id: u64,
    name: String,
    position: [f32; 3],
    velocity: [f32; 3],
    facing: [f32; 4],
    health: Option<u16>,
    score: i32,
    is_jumping: bool,
}

impl Message for Typed {
    const ANY_SIZE: bool = false;
    fn of(_: usize) -> Self {
        Self {
            id: 1 << 45,
            name: "somebody".into(),
            position: [1.5, -2.5, 1e9],
            velocity: [0.5, 0.0, -1.0],
            facing: [0.0, 0.0, 0.0, 1.0],
            health: Some(100),
            score: -2_000_000_000,
            is_jumping: true,
        }
    }
    fn size(&self) -> usize {
        MUX_SIZE
    }
}

/// A runtime of one thread, and the adapter for it.
trait Runtime: 'static {
    fn block_on<T: 'static>(f: impl Future<Output = T> + 'static) -> T;
    fn spawn(f: impl Future<Output = ()> + Send + 'static);
    fn serve(
        server: Server,
        config: ServeConfig,
        ready: fn(u16),
    ) -> impl Future<Output = anyhow::Result<()>>;
    fn client(addr: SocketAddr, config: ClientConfig) -> Client;
}

struct Tokio;

impl Runtime for Tokio {
    fn block_on<T: 'static>(f: impl Future<Output = T> + 'static) -> T {
        tokio_block(f)
    }
    fn spawn(f: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(f);
    }
    async fn serve(server: Server, config: ServeConfig, ready: fn(u16)) -> anyhow::Result<()> {
        let l = wirestream_tokio::bind("127.0.0.1:0").await?;
        ready(l.local_addr()?.port());
        Ok(wirestream_tokio::serve_with(l, server, config, pending()).await?)
    }
    fn client(addr: SocketAddr, config: ClientConfig) -> Client {
        let dialer = wirestream_tokio::Dialer::new(&format!("ws://{addr}"));
        dialer.client(config).expect("valid limits")
    }
}

struct Smol;

thread_local! {
    static EXECUTOR: Arc<smol::Executor<'static>> = Arc::default();
}

fn executor() -> Arc<smol::Executor<'static>> {
    EXECUTOR.with(Arc::clone)
}

impl Runtime for Smol {
    fn block_on<T: 'static>(f: impl Future<Output = T> + 'static) -> T {
        smol::block_on(executor().run(f))
    }
    fn spawn(f: impl Future<Output = ()> + Send + 'static) {
        executor().spawn(f).detach();
    }
    async fn serve(server: Server, config: ServeConfig, ready: fn(u16)) -> anyhow::Result<()> {
        let l = wirestream_smol::bind("127.0.0.1:0").await?;
        ready(l.local_addr()?.port());
        let smol = wirestream_smol::Smol::on(executor());
        Ok(wirestream_smol::serve_on(smol, l, server, config, pending()).await?)
    }
    fn client(addr: SocketAddr, config: ClientConfig) -> Client {
        let dialer = wirestream_smol::Dialer::new(&format!("ws://{addr}"));
        let smol = wirestream_smol::Smol::on(executor());
        dialer.client_on(smol, config).expect("valid limits")
    }
}

/// The defaults, with room for as many streams as are measured.
fn limits() -> Limits {
    Limits { calls: 11_000, ..Limits::default() }
}

fn server<M: Message>() -> anyhow::Result<Server> {
    let fans: Arc<Mutex<Vec<Arc<Sender<M>>>>> = Arc::default();
    let all = fans.clone();
    let bench = Endpoint::new("Bench")
        .stream("push", |_: Session, (size,): (u32,), (): ()| {
            let m = M::of(size as usize);
            stream::repeat_with(move || Ok::<_, NoError>(m.clone()))
        })
        .stream("echo", |_: Session, (): (), (messages,): (Receiver<M>,)| {
            messages.filter_map(|m| ready(m.ok().map(Ok::<_, NoError>)))
        })
        .unary("once", async |_: Session, (m,): (M,), (): ()| Ok::<_, NoError>(m))
        .method("fan", move |call: IncomingCall| {
            let fans = fans.clone();
            async move {
                let prepared = call.prepare::<(), ()>();
                let Some((mut accepted, (), ())) = prepared else { return };
                let Some(reply) = accepted.reply::<M, NoError>() else { return };
                let reply = Arc::new(reply);
                if reply.send(M::of(MUX_SIZE)).await.is_ok() {
                    fans.lock().unwrap().push(reply.clone());
                    reply.closed().await;
                }
            }
        })
        .unary("go", move |_: Session, (): (), (): ()| {
            let all = all.lock().unwrap().clone();
            async move {
                let m = M::of(MUX_SIZE);
                for reply in all {
                    let _ = reply.send(m.clone()).await;
                }
                Ok::<_, NoError>(())
            }
        });
    Ok(Server::builder().endpoint(bench).limits(limits()).build()?)
}

fn echo<M: Message>(client: &Client) -> (Sender<M>, Receiver<M>) {
    let (input, messages) = channel::<M>();
    let replies = client.call("Bench.echo").parameter(messages).stream();
    (input, replies)
}

fn check<M: Message>(m: &M, size: usize) -> anyhow::Result<()> {
    anyhow::ensure!(m.size() == size, "length");
    Ok(())
}

/// One stream on which a message goes there and back, over and over.
async fn ping<M: Message>(client: &Client, size: usize, meter: Meter) -> anyhow::Result<()> {
    let (input, mut replies) = echo::<M>(client);
    let m = M::of(size);
    loop {
        input.send(m.clone()).await?;
        check(&replies.next().await.unwrap()?, size)?;
        meter.hit();
    }
}

impl<R: Runtime, M: Message> Ours<R, M> {
    async fn measure(&self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        let config = || ClientConfig { limits: limits(), ..ClientConfig::default() };
        let client = R::client(addr, config());
        let push = |size: usize| {
            let call = client.call("Bench.push").arguments(&(size as u32,));
            call.stream::<M>()
        };
        match work {
            Work::Echo { size } => ping::<M>(&client, size, meter).await,
            Work::Push { size } => {
                let mut messages = push(size);
                loop {
                    check(&messages.next().await.unwrap()?, size)?;
                    meter.hit();
                }
            }
            Work::Loaded { size, load } => {
                let mut messages = push(load);
                R::spawn(async move { while let Some(Ok(_)) = messages.next().await {} });
                ping::<M>(&client, size, meter).await
            }
            Work::Mux { streams, window } => {
                // Connects, as the others have done by now. Streams that are opened before the server has
                // said how much they may send begin with one message, and the rest of the window
                // stays one batch behind it for good.
                client.call("Bench.go").unary::<()>().await?;
                for _ in 0..streams {
                    let (input, replies) = echo::<M>(&client);
                    R::spawn(async move {
                        let first = stream::iter(std::iter::repeat_n(M::of(MUX_SIZE), window));
                        input.send_all(first).await.expect("the server");
                        let again = replies.map(|m| {
                            let m = m.expect("the server");
                            check(&m, MUX_SIZE).unwrap();
                            meter.hit();
                            m
                        });
                        input.send_all(again).await.expect("the server");
                    });
                }
                pending().await
            }
            Work::Churn { outstanding } => {
                for _ in 0..outstanding {
                    let client = client.clone();
                    R::spawn(async move {
                        let m = M::of(MUX_SIZE);
                        loop {
                            let call = client.call("Bench.once").arguments(&(&m,));
                            let reply = call.unary::<M>().await.expect("the server");
                            check(&reply, MUX_SIZE).unwrap();
                            meter.hit();
                        }
                    });
                }
                pending().await
            }
            Work::Fan { conns } => {
                client.call("Bench.go").unary::<()>().await?;
                meter.rss_before();
                let (fan, rx) = Fan::new(conns);
                let mut keep = vec![];
                for _ in 0..conns {
                    let client = R::client(addr, config());
                    let mut messages = client.call("Bench.fan").stream::<M>();
                    check(&messages.next().await.unwrap()?, MUX_SIZE)?;
                    keep.push(client);
                    let fan = fan.clone();
                    R::spawn(async move {
                        while let Some(Ok(_)) = messages.next().await {
                            fan.got();
                        }
                    });
                }
                let go = async || Ok(client.call("Bench.go").unary::<()>().await?);
                fan.rounds(rx, meter, go).await
            }
        }
    }
}

impl<R: Runtime, M: Message> Peer for Ours<R, M> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
    fn supports(&self, work: Work) -> Result<(), &'static str> {
        match work {
            Work::Echo { .. } | Work::Push { .. } | Work::Loaded { .. } if !M::ANY_SIZE => {
                Err("the struct has one size")
            }
            _ => Ok(()),
        }
    }
    fn shares_a_connection(&self) -> bool {
        M::ANY_SIZE
    }
    fn serve(&'static self, work: Work, ready: fn(u16)) -> anyhow::Result<()> {
        // All from one address, and as fast as they can.
        let at_once = match work {
            Work::Fan { conns } => conns + 1,
            _ => 1,
        };
        let config = ServeConfig {
            handshakes: at_once,
            handshakes_per_address: at_once,
            ..ServeConfig::default()
        };
        let server = server::<M>()?;
        R::block_on(async move { R::serve(server, config, ready).await })
    }
    fn drive(&'static self, work: Work, addr: SocketAddr, meter: Meter) -> anyhow::Result<()> {
        R::block_on(async move { self.measure(work, addr, meter).await })
    }
}

#[test]
fn the_struct_takes_as_many_bytes_as_are_said() {
    let encoded = postcard::to_allocvec(&Typed::of(MUX_SIZE)).unwrap();
    assert_eq!(encoded.len(), MUX_SIZE);
}
