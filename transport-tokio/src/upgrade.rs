use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use wirestream::{Runtime, Server, Transport, TransportError};
use wirestream_websocket::{
    AcceptError, Origins, Refusal, Side, check_request, report_failed_handshake,
};

use crate::{Tokio, WebSocket};

/// Answers a request to an HTTP server that is built on hyper 1, axum say: a WebSocket's handshake
/// makes its connection one of `server`'s, anything else is refused in words.
///
/// The request is checked as [`accept`](crate::accept) does it, its `Origin` against `origins`. The
/// response is to be sent as it is; then the connection is served, in a task of its own. From now on
/// it has [`Limits::handshake`](wirestream::Limits::handshake) for all that comes before a client's
/// first packet, and counts among [`Server::connections`]. `peer` is what
/// [`Session::peer`](wirestream::Session::peer) tells; who stands behind a proxy may take it from a
/// header.
///
/// ```no_run
/// use axum::Router;
/// use axum::extract::Request;
/// use axum::routing::any;
/// use wirestream_tokio::{Origins, Server, upgrade};
///
/// # async fn run(server: Server) -> std::io::Result<()> {
/// # let told_to_stop = std::future::pending();
/// let mounted = server.clone();
/// let origins = Origins::default().same_host();
/// let app: Router = Router::new()
///     .route("/rt", any(async move |request: Request| upgrade(request, &mounted, &origins, None)));
///
/// let listener = wirestream_tokio::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, app).with_graceful_shutdown(told_to_stop).await?;
/// // No more requests come in. The connections are the server's, and are told now.
/// server.shutdown(std::time::Duration::from_secs(30)).await;
/// # Ok(())
/// # }
/// ```
///
/// The listener is the HTTP server's, and so are its sockets' options: small messages are faster
/// with `TCP_NODELAY`, for which axum has `ListenerExt::tap_io`.
///
/// # Panics
/// Outside a tokio runtime.
pub fn upgrade<B>(
    mut request: Request<B>,
    server: &Server,
    origins: &Origins,
    peer: Option<SocketAddr>,
) -> Response<String> {
    let is_handed_over = request.extensions().get::<OnUpgrade>().is_some();
    let response = match check_request(&request, origins) {
        Ok(response) if is_handed_over => response,
        checked => {
            let refusal = checked.err().unwrap_or(Refusal::NotHandedOver);
            report_failed_handshake(peer, &AcceptError::Refused(refusal));
            server.handshake_failed();
            return refusal.response();
        }
    };
    let runtime: Arc<dyn Runtime> = Arc::new(Tokio::current());
    let transport = Upgrading::Waiting(hyper::upgrade::on(&mut request));
    let serving = server.serve_connection(Arc::clone(&runtime), Box::new(transport), peer);
    let mut serving = Box::pin(serving.map(|_reason| ()));
    // It counts among the server's connections before the response goes out, so that a shutdown
    // misses nobody.
    if (&mut serving).now_or_never().is_none() {
        runtime.spawn(serving);
    }
    response
}

/// A connection that is about to be a WebSocket.
#[expect(clippy::large_enum_variant, reason = "boxed as a whole, for the sake of the large one")]
enum Upgrading {
    Waiting(OnUpgrade),
    Done(WebSocket<TokioIo<Upgraded>>),
}

impl Upgrading {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<&mut WebSocket<TokioIo<Upgraded>>, TransportError>> {
        if let Self::Waiting(upgrade) = self {
            let upgraded = ready!(Pin::new(upgrade).poll_unpin(cx));
            let upgraded = upgraded.map_err(|error| io::Error::other(error.to_string()))?;
            *self = Self::Done(WebSocket::upgraded(TokioIo::new(upgraded), Side::Server));
        }
        match self {
            Self::Done(socket) => Poll::Ready(Ok(socket)),
            Self::Waiting(_) => Poll::Pending,
        }
    }
}

impl Transport for Upgrading {
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, TransportError>>> {
        match ready!(self.poll(cx)) {
            Ok(socket) => socket.poll_recv(cx),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        packet: &mut Bytes,
    ) -> Poll<Result<(), TransportError>> {
        ready!(self.poll(cx))?.poll_send(cx, packet)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        ready!(self.poll(cx))?.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        match self {
            Self::Done(socket) => socket.poll_close(cx),
            Self::Waiting(_) => Poll::Ready(Ok(())),
        }
    }

    fn written(&self) -> u64 {
        match self {
            Self::Done(socket) => socket.written(),
            Self::Waiting(_) => 0,
        }
    }
}

impl fmt::Debug for Upgrading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(_) => "Waiting(..)",
            Self::Done(_) => "Done(..)",
        })
    }
}
