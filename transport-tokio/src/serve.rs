use std::fmt;
use std::future::{self, Future};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wirestream::Server;
use wirestream_websocket::{
    AcceptError, Guests, Next, Origins, Patience, ServeConfig, ServerTls, report_failed_handshake,
};

#[cfg(feature = "tls")]
use crate::accept_tls;
use crate::{MaybeTls, Tokio, WebSocket, accept};

/// Listens on an address, such as `127.0.0.1:8080` or `[::]:8080`. Cancel-safe: dropped
/// before it resolves, nothing listens.
///
/// # Errors
/// The operating system's, of its kind, with the address in words.
pub async fn bind(address: impl ToSocketAddrs + fmt::Display) -> io::Result<TcpListener> {
    TcpListener::bind(&address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

/// Serves each client that connects to `listener`, until `shutdown` is ready; then takes no more,
/// tells the connected ones, gives running calls 30 s to finish, and returns when all are gone.
///
/// A client that sends garbage, or nothing, harms nobody else. When the process is out of file
/// descriptors, new clients wait; the server goes on.
///
/// Dropping the future stops taking connections in. Those that there are go on, and so does a
/// shutdown that has begun.
///
/// # Errors
/// The listener itself is unusable. The connected clients are told as at a shutdown.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn serve(
    listener: TcpListener,
    server: Server,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let handshake = server.limits().handshake;
    serve_with(listener, server, ServeConfig { handshake, ..ServeConfig::default() }, shutdown)
        .await
}

/// As [`serve`], with settings. Dropped, it does the same.
///
/// # Errors
/// As [`serve`].
///
/// # Panics
/// Outside a tokio runtime.
pub async fn serve_with(
    listener: TcpListener,
    server: Server,
    config: ServeConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let runtime: Arc<dyn wirestream::Runtime> = Arc::new(Tokio::current());
    let drain = config.drain;
    let handler = {
        let server = server.clone();
        move |socket, peer| {
            let runtime = Arc::clone(&runtime);
            server.serve_connection(runtime, Box::new(socket), Some(peer)).map(drop)
        }
    };
    let failed = {
        let server = server.clone();
        move || server.handshake_failed()
    };
    let listened = listen_and_tell(listener, config, handler, failed, shutdown).await;
    server.shutdown(drain).await;
    listened
}

/// Takes connections in and hands each to `handler`, in a task of its own, until `shutdown` is
/// ready. For a handler that does something else than [`serve`]. Connections go on after it;
/// [`ServeConfig::drain`] is not used.
///
/// Dropping the future stops taking connections in; handshakes in progress are given up, and
/// handlers that have begun go on.
///
/// # Errors
/// The listener itself is unusable.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn listen<H, F>(
    listener: TcpListener,
    config: ServeConfig,
    handler: H,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    H: Fn(WebSocket<MaybeTls<TcpStream>>, SocketAddr) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    listen_and_tell(listener, config, handler, || {}, shutdown).await
}

/// As [`listen`], telling `failed` of each handshake that does.
async fn listen_and_tell<H, F>(
    listener: TcpListener,
    config: ServeConfig,
    handler: H,
    failed: impl Fn() + Send + Sync + 'static,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    H: Fn(WebSocket<MaybeTls<TcpStream>>, SocketAddr) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let slots = config.handshakes.clamp(1, Semaphore::MAX_PERMITS);
    let handshakes = Arc::new(Semaphore::new(slots));
    let (stop, stopped) = watch::channel(());
    let intake = Intake {
        handshakes: Arc::clone(&handshakes),
        guests: Guests::new(config.handshakes_per_address),
        within: config.handshake,
        tls: config.tls,
        origins: Arc::new(config.origins),
        handler: Arc::new(handler),
        failed: Arc::new(failed),
        stopped,
    };
    // In a task of its own: the runtime polls the future of its `block_on` too rarely.
    let mut accepting = JoinSet::new();
    accepting.spawn(intake.run(listener));
    let ended = match select(pin!(accepting.join_next()), pin!(shutdown)).await {
        Either::Left((Some(Ok(error)), _)) => Err(error),
        Either::Left((Some(Err(error)), _)) => Err(io::Error::other(error)),
        Either::Left((None, _)) | Either::Right(_) => Ok(()),
    };
    accepting.shutdown().await;
    drop(stop);
    // Each handshake now is given up, or its handler has begun.
    let _ = handshakes.acquire_many(u32::try_from(slots).unwrap_or(u32::MAX)).await;
    ended
}

struct Intake<H> {
    /// One permit for each handshake in progress.
    handshakes: Arc<Semaphore>,
    guests: Guests,
    within: Duration,
    tls: Option<ServerTls>,
    origins: Arc<Origins>,
    handler: Arc<H>,
    failed: Arc<dyn Fn() + Send + Sync>,
    /// Fails to wait once no more connections are wanted.
    stopped: watch::Receiver<()>,
}

impl<H, F> Intake<H>
where
    H: Fn(WebSocket<MaybeTls<TcpStream>>, SocketAddr) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    /// Accepts for as long as the listener lives, and says how it ended.
    async fn run(self, listener: TcpListener) -> io::Error {
        let mut patience = Patience::default();
        loop {
            let Ok(slot) = Arc::clone(&self.handshakes).acquire_owned().await else {
                return io::Error::other("the listener was closed");
            };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    patience = Patience::default();
                    match self.guests.admit(peer) {
                        Ok(place) => {
                            tokio::spawn(self.connection(stream, peer, (slot, place)));
                        }
                        Err(error) => self.turned_away(peer, &error),
                    }
                }
                Err(error) => match patience.after(&error) {
                    Next::Now => {}
                    Next::In(pause) => sleep(pause).await,
                    Next::Never => return error,
                },
            }
        }
    }

    fn turned_away(&self, peer: SocketAddr, error: &AcceptError) {
        report_failed_handshake(Some(peer), error);
        (self.failed)();
    }

    /// One connection: its handshakes, then its handler.
    fn connection<P: Send + 'static>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        slot: P,
    ) -> impl Future<Output = ()> + Send + use<H, F, P> {
        let handler = Arc::clone(&self.handler);
        let failed = Arc::clone(&self.failed);
        let within = self.within;
        let tls = self.tls.clone();
        let origins = Arc::clone(&self.origins);
        let mut stopped = self.stopped.clone();
        async move {
            // A socket that refuses the option works without it.
            let _ = stream.set_nodelay(true);
            let socket = {
                // Boxed: its room is free again once the connection begins.
                let handshake = Box::pin(accept_any(stream, tls, &origins, within));
                match select(handshake, pin!(stopped.changed())).await {
                    Either::Left((Ok(socket), _)) => socket,
                    Either::Left((Err(error), _)) => {
                        report_failed_handshake(Some(peer), &error);
                        return failed();
                    }
                    Either::Right(_) => return,
                }
            };
            let mut served = pin!(handler(socket, peer));
            // The handler has begun before the slot is free, so that a shutdown misses nobody.
            let begun = future::poll_fn(|cx| std::task::Poll::Ready(served.as_mut().poll(cx)));
            if begun.await.is_pending() {
                drop(slot);
                served.await;
            }
        }
    }
}

async fn accept_any(
    stream: TcpStream,
    tls: Option<ServerTls>,
    origins: &Origins,
    within: Duration,
) -> Result<WebSocket<MaybeTls<TcpStream>>, AcceptError> {
    match tls {
        None => accept(MaybeTls::plain(stream), origins, within).await,
        #[cfg(feature = "tls")]
        Some(tls) => accept_tls(stream, &tls, origins, within).await,
        // Of another adapter in the same program, which has the feature: not to be served in the clear.
        #[cfg(not(feature = "tls"))]
        Some(_) => Err(AcceptError::Tls { detail: "the feature `tls` is missing".into() }),
    }
}
