use std::io;
use std::time::Duration;

use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wirestream_websocket::{AcceptError, Answer, FAREWELL, MAX_HEAD, Origins, Side, answer};

use crate::WebSocket;
use crate::paced::Paced;
use crate::runtime::timeout;

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
    stream: S,
    origins: &Origins,
    within: Duration,
) -> Result<WebSocket<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = Paced::new(stream);
    match timeout(within, handshake(&mut stream, origins, false)).await {
        Some(done) => done.map(|()| WebSocket::over(stream, Side::Server)),
        None => Err(AcceptError::TimedOut),
    }
}

pub(crate) async fn handshake<S>(
    stream: &mut Paced<S>,
    origins: &Origins,
    under_tls: bool,
) -> Result<(), AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut received = Vec::new();
    loop {
        let mut bytes = [0; 1024];
        let room = bytes.len().min(MAX_HEAD - received.len());
        match stream.read(&mut bytes[..room]).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => received.extend_from_slice(&bytes[..read]),
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
pub(crate) async fn dismiss<S>(stream: &mut Paced<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let reading = async {
        stream.close().await?;
        smol::io::copy(stream, smol::io::sink()).await
    };
    let _ = timeout(FAREWELL, reading).await;
}
