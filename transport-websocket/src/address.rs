use std::net::Ipv6Addr;
use std::sync::Arc;

#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;
use tungstenite::http::Uri;
use wirestream::{ConnectError, ConnectErrorKind};

#[cfg(test)]
mod tests;

/// Where a client connects to: what a `ws://host:port/path` or `wss://` URL says.
///
/// Credentials have no place in it: a URL ends up in logs and error messages. A token goes with
/// the connection instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    host: Box<str>,
    port: u16,
    target: Arc<str>,
    /// Under TLS.
    #[cfg(feature = "tls")]
    server_name: Option<ServerName<'static>>,
}

/// Why `wss://` is refused.
const WITHOUT_TLS: &str = "wss:// needs the feature `tls`, which is missing";

impl Address {
    /// Reads a URL. Where no port is given it is 80, or 443 for `wss://`.
    ///
    /// # Errors
    /// [`ConnectErrorKind::Address`] for anything but `ws://` and, with the feature
    /// `tls`, `wss://`; for a URL with credentials or a
    /// fragment, and for what is no URL at all. The error shows no credentials.
    pub fn parse(url: &str) -> Result<Self, ConnectError> {
        let unusable = |detail: &str| ConnectError {
            target: without_credentials(url).into(),
            kind: ConnectErrorKind::Address,
            detail: detail.into(),
        };
        let uri: Uri = url.parse().map_err(|error| unusable(&format!("not a URL: {error}")))?;
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") if cfg!(feature = "tls") => true,
            Some("wss") => {
                return Err(unusable(WITHOUT_TLS));
            }
            Some(_) | None => {
                return Err(unusable("a URL that starts with ws:// or wss:// is needed"));
            }
        };
        let Some(authority) = uri.authority() else { return Err(unusable("no host in it")) };
        if authority.as_str().contains('@') {
            return Err(unusable("credentials do not belong in a URL"));
        }
        if url.contains('#') {
            return Err(unusable("a WebSocket URL has no fragment (#)"));
        }
        let host = authority.host();
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = in_brackets.unwrap_or(host);
        if host.is_empty() {
            return Err(unusable("no host in it"));
        }
        if host.contains(['[', ']'])
            || in_brackets.is_some_and(|ip| ip.parse::<Ipv6Addr>().is_err())
        {
            return Err(unusable("brackets stand around an IPv6 address, and nowhere else"));
        }
        let named_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(0) => return Err(unusable("nobody listens on port 0")),
            Some(port) => port,
            None if named_port => return Err(unusable("the port is not a number up to 65535")),
            None if secure => 443,
            None => 80,
        };
        let scheme = if secure { "wss" } else { "ws" };
        let target = format!("{scheme}://{authority}{}", uri.path()).into();
        #[cfg(feature = "tls")]
        let server_name = secure
            .then(|| ServerName::try_from(host.to_owned()))
            .transpose()
            .map_err(|_| unusable("no certificate can be for such a host"))?;
        Ok(Self {
            host: host.into(),
            port,
            target,
            #[cfg(feature = "tls")]
            server_name,
            uri,
        })
    }

    /// The host's name or IP address, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For an adapter that is built without TLS, where another one in the same program may have it.
    ///
    /// # Errors
    /// [`ConnectErrorKind::Address`] under `wss://`: it is refused, never dialled in the clear.
    pub fn check_plain(&self) -> Result<(), ConnectError> {
        match self.uri.scheme_str() {
            Some("wss") => Err(self.error(ConnectErrorKind::Address, WITHOUT_TLS)),
            _ => Ok(()),
        }
    }

    /// Whom the server's certificate must be for, under `wss://`.
    #[cfg(feature = "tls")]
    pub fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// An error about this address.
    pub fn error(&self, kind: ConnectErrorKind, detail: impl Into<Arc<str>>) -> ConnectError {
        ConnectError { target: Arc::clone(&self.target), kind, detail: detail.into() }
    }
}

/// What of an unusable URL may be shown: nothing that could be a name, a password or a token.
fn without_credentials(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let shown = rest.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{shown}")
}
