use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "tls")]
use futures_rustls::TlsStream;
use smol::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "tls")]
use wirestream_websocket::rustls::pki_types::CertificateDer;

use crate::paced::Paced;

/// A stream, with TLS on it or without.
pub struct MaybeTls<S>(Kind<S>);

enum Kind<S> {
    Plain(S),
    #[cfg(feature = "tls")]
    /// Paced below TLS too, whose records may be many for each byte that comes out.
    Tls(Box<TlsStream<Paced<S>>>),
}

impl<S> MaybeTls<S> {
    pub(crate) fn plain(stream: S) -> Self {
        Self(Kind::Plain(stream))
    }

    #[cfg(feature = "tls")]
    pub(crate) fn secure(stream: TlsStream<Paced<S>>) -> Self {
        Self(Kind::Tls(Box::new(stream)))
    }

    pub(crate) fn below_tls(&self) -> Option<&Paced<S>> {
        match &self.0 {
            Kind::Plain(_) => None,
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => Some(stream.get_ref().0),
        }
    }

    /// The stream below.
    pub fn get_ref(&self) -> &S {
        match &self.0 {
            Kind::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => stream.get_ref().0.get_ref(),
        }
    }

    /// The certificates that the peer has shown, its own first; of a client it is one that was
    /// required, and verified.
    #[cfg(feature = "tls")]
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match &self.0 {
            Kind::Plain(_) => None,
            Kind::Tls(stream) => stream.get_ref().1.peer_certificates(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for MaybeTls<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_read(cx, bytes),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => Pin::new(stream).poll_read(cx, bytes),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MaybeTls<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Plain(stream) => Pin::new(stream).poll_close(cx),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}

impl<S> fmt::Debug for MaybeTls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Plain(_) => "Plain(..)",
            #[cfg(feature = "tls")]
            Kind::Tls(_) => "Tls(..)",
        })
    }
}
