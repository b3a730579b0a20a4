use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use wirestream_websocket::ClientTls;

use crate::address::Address;
use crate::{ConfigError, RedisConfig, RedisErrorKind};

/// Puts TLS on a socket.
#[derive(Clone)]
pub(crate) struct Connector(TlsConnector);

impl Connector {
    /// For a `rediss://` URL what the settings say, or else the platform.
    pub(crate) fn of(address: &Address, config: &RedisConfig) -> Result<Option<Self>, ConfigError> {
        if !address.is_tls {
            return Ok(None);
        }
        let tls = config.tls.clone().map_or_else(ClientTls::platform, Ok);
        let tls = tls.map_err(|error| ConfigError::Tls(error.to_string().into()))?;
        // They are a WebSocket's, which is spoken over HTTP.
        let mut config = (**tls.config()).clone();
        config.alpn_protocols.clear();
        Ok(Some(Self(Arc::new(config).into())))
    }

    pub(crate) async fn secure(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, RedisErrorKind> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| RedisErrorKind::Tls(error.to_string().into()))?;
        self.0.connect(name, stream).await.map_err(|error| failure(&error))
    }
}

fn failure(error: &io::Error) -> RedisErrorKind {
    let detail = error.to_string().into();
    match error.kind() {
        io::ErrorKind::InvalidData => RedisErrorKind::Tls(detail),
        _ => RedisErrorKind::Unreachable(detail),
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector(..)")
    }
}
