use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;

use super::{ALPN, Pem, TlsError, provider, root_store};

/// What a server does for `wss://`: the certificate that it has, and which clients it requires one
/// of.
///
/// ```no_run
/// use wirestream_websocket::{Pem, ServeConfig, ServerTls};
///
/// # fn run() -> Result<(), wirestream_websocket::TlsError> {
/// let tls = ServerTls::builder(Pem::file("chain.pem"), Pem::file("key.pem")).build()?;
/// let config = ServeConfig { tls: Some(tls), ..ServeConfig::default() };
/// # Ok(())
/// # }
/// ```
///
/// For anything else there is `From<Arc<rustls::ServerConfig>>`: certificates by the name that a
/// client asks for, or renewed while the server runs, say. It keeps all but the ALPN protocols: a
/// WebSocket is spoken over `http/1.1` alone.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// Begins with a server's certificate and its private key, and requires none of clients. The
    /// server's own certificate is the first in the chain; then comes its issuer's, and so on.
    pub fn builder(chain: impl Into<Pem>, key: impl Into<Pem>) -> ServerTlsBuilder {
        ServerTlsBuilder { chain: chain.into(), key: key.into(), client_roots: Vec::new() }
    }

    /// The configuration for rustls.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.0
    }
}

impl From<Arc<ServerConfig>> for ServerTls {
    fn from(config: Arc<ServerConfig>) -> Self {
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self(Arc::new(config))
    }
}

/// Shows nothing, so no private key.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls(..)")
    }
}

/// Builds a [`ServerTls`].
#[derive(Clone, Debug)]
pub struct ServerTlsBuilder {
    chain: Pem,
    key: Pem,
    client_roots: Vec<Pem>,
}

impl ServerTlsBuilder {
    /// Refuses each client that has no certificate issued under one of these roots.
    pub fn require_clients_of(mut self, roots: impl Into<Pem>) -> Self {
        self.client_roots.push(roots.into());
        self
    }

    /// The settings. It reads files.
    ///
    /// # Errors
    /// A file, a certificate or the key cannot be used.
    pub fn build(self) -> Result<ServerTls, TlsError> {
        let provider = provider();
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut client_roots = Vec::new();
        for pem in self.client_roots {
            client_roots.extend(pem.certificates()?);
        }
        let config = if client_roots.is_empty() {
            config.with_no_client_auth()
        } else {
            let roots = root_store(client_roots)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let verifier =
                verifier.map_err(|error| TlsError::Unusable(error.to_string().into()))?;
            config.with_client_cert_verifier(verifier)
        };
        let config = config.with_single_cert(self.chain.certificates()?, self.key.key()?)?;
        Ok(Arc::new(config).into())
    }
}
