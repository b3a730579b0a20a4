use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Reply;
use crate::error::SendError;
use crate::sender::Sender;
use crate::session::Session;
use crate::value::Value;

/// One stream of a streaming endpoint, as its handlers see it: the [`Session`] of the call that it
/// is, where user objects are kept, and the way back to the caller. Clones are the same.
#[derive(Clone)]
pub struct StreamingSession {
    pub(super) session: Session,
    pub(super) reply: Arc<Sender<Reply>>,
}

impl StreamingSession {
    /// Sends a message to the caller: resolves once it is taken, within what the caller has room
    /// for. Any task may send, for as long as the stream is open.
    ///
    /// Cancel-safe: dropped before it resolves, the message was not sent.
    ///
    /// # Errors
    /// [`SendError`], as of [`Sender::send`]; the stream goes on after `TooLarge` and `Encode`.
    pub async fn send_stream_message(&self, message: impl Into<Value>) -> Result<(), SendError> {
        let message = message.into();
        self.reply.send(Reply::Message(message)).await
    }
}

impl Deref for StreamingSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl fmt::Debug for StreamingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamingSession").field(&self.session).finish()
    }
}
