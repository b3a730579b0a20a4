use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::{TlsAcceptor, TlsConnector};
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wirestream_websocket::rustls::pki_types::ServerName;
use wirestream_websocket::{AcceptError, ClientTls, Origins, ServerTls, Side, check_for_tls};

use crate::accept::{dismiss, handshake};
use crate::paced::Paced;
use crate::runtime::timeout;
use crate::{MaybeTls, WebSocket};

/// As [`accept`](crate::accept), under TLS: `within` is for both handshakes together.
///
/// A client that does not begin with TLS is told in plain text that it has to.
///
/// # Errors
/// [`AcceptError`]; the stream is dropped.
pub async fn accept_tls<S>(
    stream: S,
    tls: &ServerTls,
    origins: &Origins,
    within: Duration,
) -> Result<WebSocket<MaybeTls<S>>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let accepting = async {
        let mut stream = Paced::below_tls(accept(Paced::new(stream), tls).await?);
        handshake(&mut stream, origins, true).await?;
        Ok(WebSocket::over(stream, Side::Server))
    };
    timeout(within, accepting).await.unwrap_or(Err(AcceptError::TimedOut))
}

async fn accept<S>(mut stream: Paced<S>, tls: &ServerTls) -> Result<MaybeTls<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut first = [0];
    stream.read_exact(&mut first).await?;
    if let Err((refusal, response)) = check_for_tls(first[0]) {
        stream.write_all(&response).await?;
        dismiss(&mut stream).await;
        return Err(AcceptError::Refused(refusal));
    }
    let accepting = TlsAcceptor::from(Arc::clone(tls.config())).accept_with(stream, |session| {
        // A slice of one byte is read whole.
        let _ = session.read_tls(&mut &first[..]);
    });
    match accepting.into_fallible().await {
        Ok(stream) => Ok(MaybeTls::secure(stream.into())),
        Err((error, mut stream)) => {
            // The alert that says why is on its way.
            dismiss(&mut stream).await;
            Err(error.into())
        }
    }
}

/// A client's side of the TLS handshake.
pub(crate) async fn connect<S>(
    stream: S,
    tls: &ClientTls,
    server: &ServerName<'static>,
) -> io::Result<MaybeTls<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connector = TlsConnector::from(Arc::clone(tls.config()));
    let stream = connector.connect(server.clone(), Paced::new(stream)).await?;
    Ok(MaybeTls::secure(stream.into()))
}
