//! TLS: whom a client and a server trust, and as whom they present themselves.

use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::{AlertDescription, CertificateError, RootCertStore};

mod client;
mod pem;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientTls, ClientTlsBuilder};
pub use pem::Pem;
pub use server::{ServerTls, ServerTlsBuilder};

/// A WebSocket begins with a request of HTTP/1.1, and with none of a later version.
const ALPN: &[u8] = b"http/1.1";

/// The settings of one side of TLS that cannot be used. It shows nothing of a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {path}: {detail}")]
    File {
        /// Its path.
        path: Box<str>,
        /// The kind of failure.
        kind: io::ErrorKind,
        /// In words.
        detail: Box<str>,
    },
    /// Not PEM, or broken off.
    #[error("{0} is not valid PEM")]
    Malformed(Box<str>),
    /// PEM in which there is no certificate.
    #[error("there is no certificate in {0}")]
    NoCertificate(Box<str>),
    /// PEM in which there is no private key.
    #[error("there is no private key in {0}")]
    NoKey(Box<str>),
    /// The private key is another certificate's.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// A certificate or a key of a kind that is not supported, or none at all.
    #[error("a certificate or its key cannot be used: {0}")]
    Unusable(Box<str>),
    /// The platform has no root certificates, and no others were given.
    #[error("the platform has no root certificates: {0}")]
    NoPlatformRoots(Box<str>),
    /// Nobody would be trusted: the platform's roots are left out, and no others were given.
    #[error("there is no root certificate to trust")]
    NoRoots,
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::KeyMismatch,
            error => Self::Unusable(error.to_string().into()),
        }
    }
}

/// Always *ring*, whatever else is built into the process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn root_store(roots: Vec<CertificateDer<'static>>) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    Ok(Arc::new(store))
}

/// What a failed read or write of a handshake says of TLS; `None` if it was the socket that failed.
pub(crate) fn failure(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(in_words)
}

fn in_words(error: &rustls::Error) -> String {
    /// A certificate may have names by the thousand.
    const MAX_WORDS: usize = 300;
    match error {
        rustls::Error::InvalidMessage(what) => {
            format!("the other end does not speak TLS: {what:?}")
        }
        rustls::Error::NoCertificatesPresented => {
            "the client has no certificate, and one is required".into()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server requires a certificate, and there is none".into()
        }
        rustls::Error::AlertReceived(alert) => format!("the other end refused: {alert:?}"),
        rustls::Error::InvalidCertificate(what) => match what {
            CertificateError::UnknownIssuer => {
                "the issuer of the certificate is not among the trusted roots".into()
            }
            // Of two authorities with one name.
            CertificateError::BadSignature => {
                "the certificate is not signed by the trusted root of its issuer's name".into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired".into()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet".into()
            }
            what => what.to_string().chars().take(MAX_WORDS).collect(),
        },
        error => error.to_string(),
    }
}
