use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use wirestream_websocket::{AcceptError, Answer, FAREWELL, MAX_HEAD, Origins, Side, answer};

use crate::WebSocket;

/// Answers the handshake of a client on a fresh stream, `within` a time that nothing extends.
///
/// The subprotocol `wirestream.v1` is required and selected (R-WS-1), an extension never is
/// (R-WS-3). A page of a browser must be one of `origins` (R-WS-7). A client that asks for anything
/// else is told in plain text what is needed.
///
/// Not cancel-safe: dropping the future drops the stream.
///
/// # Errors
/// [`AcceptError`]; the stream is dropped.
pub async fn accept<S>(
    mut stream: S,
    origins: &Origins,
    within: Duration,
) -> Result<WebSocket<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(within, handshake(&mut stream, origins, false)).await {
        Ok(done) => done.map(|()| WebSocket::upgraded(stream, Side::Server)),
        Err(_elapsed) => Err(AcceptError::TimedOut),
    }
}

pub(crate) async fn handshake<S>(
    stream: &mut S,
    origins: &Origins,
    under_tls: bool,
) -> Result<(), AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut received = Vec::with_capacity(1024);
    loop {
        let room = (MAX_HEAD - received.len()) as u64;
        if (&mut *stream).take(room).read_buf(&mut received).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match answer(&received, origins, under_tls) {
            Answer::ReadOn => {}
            Answer::Accepted(response) => {
                stream.write_all(&response).await?;
                stream.flush().await?;
                return Ok(());
            }
            Answer::Refused(refusal, response) => {
                stream.write_all(&response).await?;
                dismiss(stream).await;
                return Err(AcceptError::Refused(refusal));
            }
        }
    }
}

/// Ends the connection of a client that was turned away, once it can have read why: a socket that
/// is closed with unread bytes is reset, and what was written last may be lost.
pub(crate) async fn dismiss<S>(stream: &mut S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let reading = async {
        stream.shutdown().await?;
        tokio::io::copy(stream, &mut tokio::io::sink()).await
    };
    let _ = timeout(FAREWELL, reading).await;
}
