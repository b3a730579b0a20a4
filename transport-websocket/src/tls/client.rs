use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls_platform_verifier::Verifier;

use super::{ALPN, Pem, TlsError, provider, root_store};

/// What a client does for `wss://`: whom it trusts, and the certificate that it has itself, if any.
///
/// It trusts whom the platform trusts, unless told otherwise: on Linux and the BSDs the root
/// certificates of the system (or of the environment's `SSL_CERT_FILE` and `SSL_CERT_DIR`), on
/// Windows and Apple's systems the system's own judgement.
///
/// ```no_run
/// use wirestream_websocket::{ClientTls, Pem};
///
/// # fn run() -> Result<(), wirestream_websocket::TlsError> {
/// let tls = ClientTls::builder()
///     .roots(Pem::file("our-root.pem"))
///     .certificate(Pem::file("client.pem"), Pem::file("client.key"))
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// For anything else there is `From<Arc<rustls::ClientConfig>>`, which keeps all but the ALPN
/// protocols: a WebSocket is spoken over `http/1.1` alone.
#[derive(Clone)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// Begins with a client that trusts whom the platform trusts, and has no certificate.
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder { roots: Vec::new(), platform: true, certificate: None }
    }

    /// What a client does that was told nothing. The platform's root certificates are read once in
    /// a process.
    ///
    /// # Errors
    /// The platform has none.
    pub fn platform() -> Result<Self, TlsError> {
        static PLATFORM: OnceLock<ClientTls> = OnceLock::new();
        if let Some(tls) = PLATFORM.get() {
            return Ok(tls.clone());
        }
        let tls = Self::builder().build()?;
        Ok(PLATFORM.get_or_init(|| tls).clone())
    }

    /// The configuration for rustls.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.0
    }
}

impl From<Arc<ClientConfig>> for ClientTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self(Arc::new(config))
    }
}

/// Shows nothing, so no private key.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls(..)")
    }
}

/// Builds a [`ClientTls`].
#[derive(Clone, Debug)]
pub struct ClientTlsBuilder {
    roots: Vec<Pem>,
    platform: bool,
    certificate: Option<(Pem, Pem)>,
}

impl ClientTlsBuilder {
    /// Trusts these root certificates too.
    pub fn roots(mut self, roots: impl Into<Pem>) -> Self {
        self.roots.push(roots.into());
        self
    }

    /// Trusts the given roots alone, and nobody for being trusted by the platform.
    pub fn without_platform_roots(mut self) -> Self {
        self.platform = false;
        self
    }

    /// Shows the server this certificate if it asks for one: the chain, with the client's own
    /// certificate first, and its private key.
    pub fn certificate(mut self, chain: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        self.certificate = Some((chain.into(), key.into()));
        self
    }

    /// The settings. It reads files, those of the platform too.
    ///
    /// # Errors
    /// A file, a certificate or the key cannot be used, or there is nobody to trust.
    pub fn build(self) -> Result<ClientTls, TlsError> {
        let provider = provider();
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut roots = Vec::new();
        for pem in self.roots {
            roots.extend(pem.certificates()?);
        }
        let config = match (self.platform, roots.is_empty()) {
            (true, no_others) => {
                let verifier = Verifier::new_with_extra_roots(roots, provider);
                let verifier = verifier.map_err(|error| match no_others {
                    true => TlsError::NoPlatformRoots(error.to_string().into()),
                    false => error.into(),
                })?;
                config.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            (false, false) => config.with_root_certificates(root_store(roots)?),
            (false, true) => return Err(TlsError::NoRoots),
        };
        let config = match self.certificate {
            Some((chain, key)) => {
                config.with_client_auth_cert(chain.certificates()?, key.key()?)?
            }
            None => config.with_no_client_auth(),
        };
        Ok(Arc::new(config).into())
    }
}
