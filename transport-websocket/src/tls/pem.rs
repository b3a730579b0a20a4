use std::fmt;
use std::path::PathBuf;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// Certificates or a private key as PEM: text, or a file with it, which is read when the settings
/// are built.
///
/// ```
/// use wirestream_websocket::Pem;
///
/// let from_a_file = Pem::file("/etc/wirestream/chain.pem");
/// let given = Pem::from("-----BEGIN CERTIFICATE-----\n...");
/// # drop((from_a_file, given));
/// ```
#[derive(Clone)]
pub struct Pem(Source);

#[derive(Clone)]
enum Source {
    Text(Vec<u8>),
    File(PathBuf),
}

impl Pem {
    /// A file with PEM.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// Every certificate, of which there is at least one.
    pub(super) fn certificates(self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let (name, text) = self.read()?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found {
            Ok(found) if found.is_empty() => Err(TlsError::NoCertificate(name)),
            Ok(found) => Ok(found),
            Err(_) => Err(TlsError::Malformed(name)),
        }
    }

    /// The first private key.
    pub(super) fn key(self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let (name, text) = self.read()?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            Error::NoItemsFound => TlsError::NoKey(name),
            // Its words may quote the key.
            _ => TlsError::Malformed(name),
        })
    }

    /// The text, and what to call it.
    fn read(self) -> Result<(Box<str>, Vec<u8>), TlsError> {
        let path = match self.0 {
            Source::Text(text) => return Ok(("the PEM text".into(), text)),
            Source::File(path) => path,
        };
        let name: Box<str> = path.display().to_string().into();
        match std::fs::read(path) {
            Ok(text) => Ok((name, text)),
            Err(error) => Err(TlsError::File {
                path: name,
                kind: error.kind(),
                detail: error.to_string().into(),
            }),
        }
    }
}

impl From<Vec<u8>> for Pem {
    fn from(text: Vec<u8>) -> Self {
        Self(Source::Text(text))
    }
}

impl From<&[u8]> for Pem {
    fn from(text: &[u8]) -> Self {
        text.to_vec().into()
    }
}

impl From<String> for Pem {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&str> for Pem {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

/// Shows a path, and nothing of a text, which may be a private key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Text(_) => f.write_str("Pem(..)"),
            Source::File(path) => f.debug_tuple("Pem").field(path).finish(),
        }
    }
}
