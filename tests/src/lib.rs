//! What the scenarios share: a rig of one server and its clients on a transport, with a switch to
//! cut each connection, and waits that are bounded.
//!
//! With the feature `tls` and `WIRESTREAM_OVER_TLS=1` in the environment every rig is under TLS.

#![allow(missing_debug_implementations, reason = "nobody prints a rig")]

use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wirestream::wire::{Frame, Open, frames};
use wirestream::{
    BoxFuture, Client, ClientConfig, ConnectError, ConnectErrorKind, Dial, Limits, MemoryTransport,
    Runtime, Server, Timer, Transport, TransportError,
};
use wirestream_tokio::ServeConfig;

pub mod bus;
pub mod canary;
pub mod lobby;
#[path = "../../messages-redis/tests/real/server.rs"]
pub mod redis_server;
#[cfg(feature = "tls")]
mod tls;

/// The transports that every scenario runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// Within the process.
    Memory,
    /// WebSockets on loopback, on tokio.
    Tokio,
    /// WebSockets on loopback, on smol.
    Smol,
}

/// Longer than anything here takes, on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// Awaits `future`, or fails the test.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(LONG, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen within {LONG:?}"),
    }
}

/// Waits until `condition` holds, or fails the test.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A server, and what it takes to reach it.
pub struct Rig {
    /// The transport.
    pub net: Net,
    /// The server.
    pub server: Server,
    target: Target,
}

enum Target {
    /// The server, as long as it is there.
    Memory(Arc<Mutex<Option<Server>>>),
    Socket {
        address: SocketAddr,
        stop: Option<oneshot::Sender<()>>,
        serving: JoinHandle<()>,
    },
}

/// A client of a rig, and the switches on its connections.
pub struct TestClient {
    /// The client.
    pub client: Client,
    /// The dialler.
    pub line: Arc<Line>,
}

impl TestClient {
    /// A client that dials in a way of its own.
    pub fn new(net: Net, dial: Dialling, config: ClientConfig) -> Self {
        let line = Line { inner: dial, dials: AtomicUsize::new(0), cuts: Mutex::default() };
        let line = Arc::new(line);
        let dial: Arc<dyn Dial> = Arc::clone(&line) as _;
        let client = Client::new(runtime(net), dial, config).expect("valid limits");
        Self { client, line }
    }
}

impl std::ops::Deref for TestClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Rig {
    /// Serves `server` on `net`.
    pub async fn start(net: Net, server: Server) -> Self {
        let target = match net {
            Net::Memory => Target::Memory(Arc::new(Mutex::new(Some(server.clone())))),
            Net::Tokio | Net::Smol => {
                let address = "127.0.0.1:0".parse().expect("an address");
                serve_on(net, address, &server).await
            }
        };
        Self { net, server, target }
    }

    /// A client with limits that make lingering short.
    pub fn client(&self) -> TestClient {
        self.client_with(Limits { linger: Duration::from_millis(50), ..Limits::default() })
    }

    /// A client that keeps its connection between calls, however slow the machine is.
    pub fn lasting_client(&self) -> TestClient {
        self.client_with(Limits { linger: 2 * LONG, ..Limits::default() })
    }

    /// A client with limits of the test's own.
    pub fn client_with(&self, limits: Limits) -> TestClient {
        self.client_of(ClientConfig { limits, ..ClientConfig::default() })
    }

    /// A client with a configuration of the test's own.
    pub fn client_of(&self, config: ClientConfig) -> TestClient {
        TestClient::new(self.net, self.dial(config.limits.handshake), config)
    }

    /// A peer that is no client.
    pub async fn raw(&self) -> RawPeer {
        let dialled = soon("a connection", self.dial(LONG)()).await;
        RawPeer { transport: dialled.expect("a server") }
    }

    fn dial(&self, within: Duration) -> Dialling {
        match &self.target {
            Target::Memory(server) => {
                let server = Arc::clone(server);
                Box::new(move || {
                    let server = server.lock().expect("no panic").clone();
                    let Some(server) = server else { return Nobody.dial() };
                    let (here, there) = MemoryTransport::pair();
                    let runtime = runtime(Net::Memory);
                    tokio::spawn(server.serve_connection(runtime, Box::new(there), None));
                    Box::pin(async move { Ok(Box::new(here) as Box<dyn Transport>) })
                })
            }
            Target::Socket { address, .. } => {
                let scheme = if over_tls() { "wss" } else { "ws" };
                dial_url(self.net, &format!("{scheme}://{address}"), within)
            }
        }
    }

    /// The server's address, on a net that has addresses.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.target {
            Target::Memory(_) => None,
            Target::Socket { address, .. } => Some(*address),
        }
    }

    /// Stops the server at once: nobody can connect any more, and then its calls are lost. So who
    /// connects again when a call is lost finds no server.
    pub async fn stop(&mut self) {
        match &mut self.target {
            Target::Memory(server) => {
                *server.lock().expect("no panic") = None;
                soon("the shutdown", self.server.shutdown(Duration::ZERO)).await;
            }
            Target::Socket { stop, serving, .. } => {
                drop(stop.take());
                soon("the end of serving", serving).await.expect("serving does not panic");
            }
        }
    }

    /// Serves another server in the place of the one that was stopped.
    pub async fn restart(&mut self, server: Server) {
        match &mut self.target {
            Target::Memory(place) => *place.lock().expect("no panic") = Some(server.clone()),
            Target::Socket { address, .. } => {
                self.target = serve_on(self.net, *address, &server).await;
            }
        }
        self.server = server;
    }
}

async fn serve_on(net: Net, address: SocketAddr, server: &Server) -> Target {
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let server = server.clone();
    let (address, serving) = if net == Net::Smol {
        let listener = wirestream_smol::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        (address, tokio::spawn(serve_on_smol(listener, server, shutdown)))
    } else {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let config = serve_config(&server);
        let serving = wirestream_tokio::serve_with(listener, server, config, shutdown);
        (address, tokio::spawn(async move { drop(serving.await) }))
    };
    Target::Socket { address, stop: Some(stop), serving }
}

async fn serve_on_smol(
    listener: smol::net::TcpListener,
    server: Server,
    shutdown: impl Future<Output = ()>,
) {
    let config = serve_config(&server);
    let drain = config.drain;
    let runtime = OnSmol::new();
    let smol = runtime.smol.clone();
    let handler = {
        let server = server.clone();
        move |socket, peer| {
            let on_smol: Arc<dyn Runtime> = Arc::new(runtime.clone());
            let served = server.serve_connection(on_smol, Box::new(socket), Some(peer));
            runtime.beside_tokio(Box::pin(async move { drop(served.await) }))
        }
    };
    let _ = wirestream_smol::listen_on(smol, listener, config, handler, shutdown).await;
    server.shutdown(drain).await;
}

fn serve_config(server: &Server) -> ServeConfig {
    ServeConfig {
        handshake: server.limits().handshake,
        drain: Duration::ZERO,
        #[cfg(feature = "tls")]
        tls: over_tls().then(|| tls::TLS.server.clone()),
        ..ServeConfig::default()
    }
}

/// Whether rigs are under TLS.
pub fn over_tls() -> bool {
    let asked = std::env::var_os("WIRESTREAM_OVER_TLS").is_some();
    assert!(!asked || cfg!(feature = "tls"), "WIRESTREAM_OVER_TLS takes the feature `tls`");
    asked
}

/// What all scenarios on smol run on: two threads, as many as each scenario has on tokio.
static SMOL: LazyLock<Arc<smol::Executor<'static>>> = LazyLock::new(|| {
    let executor = Arc::new(smol::Executor::new());
    for _ in 0..2 {
        let executor = Arc::clone(&executor);
        std::thread::spawn(move || smol::block_on(executor.run(pending::<()>())));
    }
    executor
});

/// smol, where a scenario's methods find tokio's clock too, as they do wherever else they run.
#[derive(Clone)]
struct OnSmol {
    smol: wirestream_smol::Smol,
    tokio: Handle,
}

impl OnSmol {
    fn new() -> Self {
        Self { smol: wirestream_smol::Smol::on(Arc::clone(&SMOL)), tokio: Handle::current() }
    }

    fn beside_tokio(&self, mut future: BoxFuture<()>) -> BoxFuture<()> {
        let tokio = self.tokio.clone();
        Box::pin(poll_fn(move |cx| {
            let _clock = tokio.enter();
            future.as_mut().poll(cx)
        }))
    }
}

impl Runtime for OnSmol {
    fn spawn(&self, future: BoxFuture<()>) {
        self.smol.spawn(self.beside_tokio(future));
    }

    fn timer(&self) -> Box<dyn Timer> {
        self.smol.timer()
    }
}

type Dialled = Result<Box<dyn Transport>, ConnectError>;

/// A way to dial.
pub type Dialling = Box<dyn Fn() -> BoxFuture<Dialled> + Send + Sync>;

/// Dials a WebSocket server at an address.
pub fn dial_address(net: Net, address: SocketAddr, within: Duration) -> Dialling {
    dial_url(net, &format!("ws://{address}"), within)
}

/// Dials a WebSocket server at a URL.
pub fn dial_url(net: Net, url: &str, within: Duration) -> Dialling {
    if net == Net::Smol {
        let dial = wirestream_smol::Dialer::new(url).within(within);
        #[cfg(feature = "tls")]
        let dial = dial.tls(tls::TLS.client.clone());
        return Box::new(move || dial.dial());
    }
    let dial = wirestream_tokio::Dialer::new(url).within(within);
    #[cfg(feature = "tls")]
    let dial = dial.tls(tls::TLS.client.clone());
    Box::new(move || dial.dial())
}

/// Dials, counts, and can cut or stall what it has dialled.
pub struct Line {
    inner: Dialling,
    dials: AtomicUsize,
    cuts: Mutex<Vec<Arc<Mutex<Switch>>>>,
}

#[derive(Default)]
struct Switch {
    cut: bool,
    stalled: bool,
    waker: Option<Waker>,
    /// A stalled transport that its client has dropped: the server must not hear of that.
    kept: Option<Box<dyn Transport>>,
}

impl Line {
    /// How many attempts to connect there were.
    pub fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    /// Cuts every connection that was made so far: no word of farewell, in either direction.
    pub fn cut(&self) {
        for switch in self.cuts.lock().expect("no panic").drain(..) {
            let mut switch = switch.lock().expect("no panic");
            switch.cut = true;
            if let Some(waker) = switch.waker.take() {
                waker.wake();
            }
        }
    }
}

impl Line {
    /// Stalls every connection that was made so far, as a network does that drops every packet:
    /// none arrives any more, in either direction, and nobody hears of an error or an end.
    pub fn stall(&self) {
        for switch in self.cuts.lock().expect("no panic").iter() {
            switch.lock().expect("no panic").stalled = true;
        }
    }
}

impl Dial for Line {
    fn dial(&self) -> BoxFuture<Dialled> {
        self.dials.fetch_add(1, Ordering::SeqCst);
        let switch = Arc::<Mutex<Switch>>::default();
        self.cuts.lock().expect("no panic").push(Arc::clone(&switch));
        let dialled = (self.inner)();
        Box::pin(async move {
            let inner = Some(dialled.await?);
            Ok(Box::new(Cuttable { inner, switch, heard_end: false }) as Box<dyn Transport>)
        })
    }
}

/// A transport that can be cut or stalled.
struct Cuttable {
    inner: Option<Box<dyn Transport>>,
    switch: Arc<Mutex<Switch>>,
    /// Whether the transport ended while it was stalled.
    heard_end: bool,
}

impl Cuttable {
    fn inner(&mut self, cx: &Context<'_>) -> Result<&mut Box<dyn Transport>, TransportError> {
        let mut switch = self.switch.lock().expect("no panic");
        if switch.cut {
            self.inner = None; // drops the socket
        }
        switch.waker = Some(cx.waker().clone());
        drop(switch);
        self.inner
            .as_mut()
            .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut").into())
    }
}

impl Cuttable {
    fn is_stalled(&self) -> bool {
        self.switch.lock().expect("no panic").stalled
    }

    /// Drops whatever comes, the end included.
    fn swallow(&mut self, cx: &mut Context<'_>) -> Result<(), TransportError> {
        while !self.heard_end {
            match self.inner(cx)?.poll_recv(cx) {
                Poll::Ready(Some(Ok(_packet))) => {}
                Poll::Ready(Some(Err(_)) | None) => self.heard_end = true,
                Poll::Pending => break,
            }
        }
        Ok(())
    }
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        let mut switch = self.switch.lock().expect("no panic");
        if switch.stalled {
            switch.kept = self.inner.take();
        }
    }
}

impl Transport for Cuttable {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        if self.is_stalled() {
            return match self.swallow(cx) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Some(Err(error))),
            };
        }
        match self.inner(cx) {
            Ok(inner) => inner.poll_recv(cx),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        let stalled = self.is_stalled();
        let inner = self.inner(cx)?;
        if stalled { Poll::Ready(Ok(())) } else { inner.poll_send(cx, packet) }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let stalled = self.is_stalled();
        let inner = self.inner(cx)?;
        if stalled { Poll::Ready(Ok(())) } else { inner.poll_flush(cx) }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        let stalled = self.is_stalled();
        let inner = self.inner(cx)?;
        if stalled { Poll::Ready(Ok(())) } else { inner.poll_close(cx) }
    }
}

/// A dialler that finds nobody.
pub struct Nobody;

impl Dial for Nobody {
    fn dial(&self) -> BoxFuture<Dialled> {
        Box::pin(async {
            Err(ConnectError {
                target: "nobody".into(),
                kind: ConnectErrorKind::Unreachable,
                detail: "nobody is there".into(),
            })
        })
    }
}

/// A peer that is no client: it sends the frames that a test likes, and sees every packet.
pub struct RawPeer {
    transport: Box<dyn Transport>,
}

impl RawPeer {
    /// A peer on a transport of the test's own.
    pub fn over(transport: impl Transport) -> Self {
        Self { transport: Box::new(transport) }
    }

    /// Sends frames, in one packet.
    pub async fn send(&mut self, frames: &[Frame<'_>]) {
        let mut packet = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut packet));
        self.send_packet(packet.into()).await;
    }

    /// Sends a packet.
    pub async fn send_packet(&mut self, mut packet: Bytes) {
        let sending = poll_fn(|cx| self.transport.poll_send(cx, &mut packet));
        soon("room for a packet", sending).await.expect("a connection");
        let flushing = poll_fn(|cx| self.transport.poll_flush(cx));
        soon("the flush of a packet", flushing).await.expect("a connection");
    }

    /// The next packet; `None` once the server has ended the connection.
    pub async fn receive(&mut self) -> Option<Bytes> {
        let received = soon("a packet", poll_fn(|cx| self.transport.poll_recv(cx))).await;
        received.and_then(Result::ok)
    }

    /// Whether the server has not ended the connection. What has come in is passed over.
    pub fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.transport.poll_recv(&mut cx) {
                Poll::Pending => return true,
                Poll::Ready(Some(Ok(_packet))) => {}
                Poll::Ready(Some(Err(_)) | None) => return false,
            }
        }
    }

    /// The packets until the server has ended the connection.
    pub async fn rest(&mut self) -> Vec<Bytes> {
        let mut packets = Vec::new();
        while let Some(packet) = self.receive().await {
            packets.push(packet);
        }
        packets
    }

    /// Reads the server's `Hello` and answers with its very limits.
    pub async fn say_hello(&mut self) -> Frame<'static> {
        let packet = self.receive().await.expect("a packet");
        let Some(Ok(Frame::Hello(hello))) = frames(&packet).next() else { panic!("no Hello") };
        let hello = Frame::Hello(hello);
        self.send(std::slice::from_ref(&hello)).await;
        hello
    }
}

/// A request without parameters, arguments or anything else.
pub fn open(call: u32, method: &str) -> Frame<'_> {
    Frame::Open(Open {
        call,
        parameters: 0,
        method,
        fingerprint: None,
        token: None,
        metadata: Vec::new(),
        arguments: &[],
    })
}

/// One test on each transport for each scenario: `async fn name(net: Net)` gets the tests
/// `name::in_memory`, `name::on_tokio` and `name::on_smol`.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_memory() {
                $crate::soon(stringify!($name), super::$name($crate::Net::Memory)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_tokio() {
                $crate::soon(stringify!($name), super::$name($crate::Net::Tokio)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_smol() {
                $crate::soon(stringify!($name), super::$name($crate::Net::Smol)).await;
            }
        }
    )* };
}

/// Where the connections of a net run, for scenarios that make clients of their own.
pub fn runtime(net: Net) -> Arc<dyn Runtime> {
    match net {
        Net::Memory | Net::Tokio => Arc::new(wirestream_tokio::Tokio::current()),
        Net::Smol => Arc::new(OnSmol::new()),
    }
}

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
