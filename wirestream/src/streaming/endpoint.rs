use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use wirestream_protocol::Fault;

use super::{CONTRACT, METHOD, Reply, StreamingSession};
use crate::receiver::Receiver;
use crate::report;
use crate::server::{Accepted, Endpoint, Failed};
use crate::session::Session;
use crate::value::Value;

/// The server's side of a streaming endpoint: what happens when a stream is opened, when a message
/// comes in, and when it is closed. Implemented with plain `async fn`s.
///
/// For each stream that is opened, [`stream_opened`](Self::stream_opened) runs first, then
/// [`handle_stream_message`](Self::handle_stream_message) for each message, one at a time and in
/// order, then [`stream_closed`](Self::stream_closed), once. A handler that takes long keeps the
/// messages behind it waiting, and nobody else. When the stream is over (its caller closed it, gave
/// it up or was lost, or a right was revoked) a handler that runs still is dropped where it stands.
pub trait StreamingEndpoint: Send + Sync + 'static {
    /// A stream was opened. If this fails or panics, the caller is told that the stream failed, and
    /// it is over.
    fn stream_opened(
        &self,
        session: &StreamingSession,
    ) -> impl Future<Output = Result<(), Failed>> + Send {
        let _ = session;
        async { Ok(()) }
    }

    /// A message came in. If this fails or panics, the caller's listener is told
    /// [`StreamingError::HandlerFailed`](super::StreamingError::HandlerFailed), without detail, and
    /// the stream goes on. The detail is [told here](crate::guide::watching).
    fn handle_stream_message(
        &self,
        session: &StreamingSession,
        message: Value,
    ) -> impl Future<Output = Result<(), Failed>> + Send;

    /// The stream is over, after `stream_opened` began, whatever became of that. The user object is
    /// there still; nothing can be sent any more. It is a [close hook](crate::Session::on_close), the
    /// session's first, and delays nobody.
    fn stream_closed(&self, session: &StreamingSession) -> impl Future<Output = ()> + Send {
        let _ = session;
        async {}
    }
}

impl Endpoint {
    /// Adds a [streaming endpoint](crate::streaming): a method named `stream`, which
    /// [`Client::streaming`](crate::Client::streaming) calls. It is the method that was added last,
    /// for [`access`](Self::access).
    pub fn streaming(self, endpoint: impl StreamingEndpoint) -> Self {
        let endpoint = Arc::new(endpoint);
        let method = self.method(METHOD, move |call| {
            let endpoint = Arc::clone(&endpoint);
            async move {
                let Some((accepted, (), (messages,))) = call.prepare() else { return };
                serve(endpoint, accepted, messages).await;
            }
        });
        method.contract(&CONTRACT)
    }
}

async fn serve<S: StreamingEndpoint>(
    endpoint: Arc<S>,
    mut accepted: Accepted,
    mut messages: Receiver<Value>,
) {
    let Some(reply) = accepted.reply() else { return };
    let session = StreamingSession { session: accepted.session().clone(), reply: Arc::new(reply) };
    let (closing, closed) = (Arc::clone(&endpoint), session.clone());
    // It is open: its handler runs.
    let _ = session.on_close(move || async move { closing.stream_closed(&closed).await });

    if !succeeded(&session, async || endpoint.stream_opened(&session).await).await {
        return session.reply.end_shared(Err(Fault::Failed));
    }
    let mut told = session.reply.send(Reply::Opened).await;
    while told.is_ok() {
        let message = match messages.next().await {
            Some(Ok(message)) => message,
            Some(Err(_)) => return session.reply.end_shared(Err(Fault::Failed)),
            None => break,
        };
        let handled = async || endpoint.handle_stream_message(&session, message).await;
        if !succeeded(&session, handled).await {
            told = session.reply.send(Reply::HandlerFailed).await;
        }
    }
    session.reply.end_shared(Ok(()));
}

/// Whether a handler did its work: neither failed nor panicked. If not, that is told here: the
/// caller learns no detail.
async fn succeeded(session: &Session, handler: impl AsyncFnOnce() -> Result<(), Failed>) -> bool {
    match AssertUnwindSafe(handler()).catch_unwind().await {
        Ok(Ok(())) => return true,
        Ok(Err(failure)) => report::method_failed(session, &failure),
        Err(panic) => report::method_panicked(session, panic),
    }
    false
}
