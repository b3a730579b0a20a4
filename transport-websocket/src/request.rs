use std::fmt;

use tungstenite::error::{Error, ProtocolError, SubProtocolError};
use tungstenite::handshake::client::{Request, Response, generate_key};
use tungstenite::http::StatusCode;
use tungstenite::http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use tungstenite::http::uri::{Authority, Uri};
use wirestream::wire::SUBPROTOCOL;
use wirestream::{ConnectError, ConnectErrorKind};

use crate::{Address, tls};

#[cfg(test)]
mod tests;

/// Headers that a client adds to its handshake. Their values may be secrets and are not shown.
#[derive(Clone, Default)]
pub struct Headers(HeaderMap);

/// A header that cannot be added to a handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not a header's name.
    #[error("{0:?} is not the name of an HTTP header")]
    Name(Box<str>),
    /// The value has characters that no header may have.
    #[error("the value of the HTTP header {0} is not valid")]
    Value(Box<str>),
    /// The handshake sets it itself.
    #[error("the HTTP header {0} belongs to the handshake")]
    Reserved(Box<str>),
}

impl Headers {
    /// Adds one; of two with one name both are sent.
    ///
    /// # Errors
    /// The header is not valid, or the handshake sets it itself.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        let parsed: HeaderName = name.parse().map_err(|_| HeaderError::Name(name.into()))?;
        if parsed == HOST
            || parsed == CONNECTION
            || parsed == UPGRADE
            || parsed.as_str().starts_with("sec-websocket-")
        {
            return Err(HeaderError::Reserved(name.into()));
        }
        let value = value.parse().map_err(|_| HeaderError::Value(name.into()))?;
        self.0.append(parsed, value);
        Ok(())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The handshake that a client sends: it offers the subprotocol (R-WS-1) and no extension
/// (R-WS-3).
pub fn request(address: &Address, headers: &Headers) -> Request {
    let mut request = Request::new(());
    *request.uri_mut() = address.uri().clone();
    *request.headers_mut() = headers.0.clone();
    let set = request.headers_mut();
    set.insert(HOST, host(address.uri()));
    set.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    set.insert(UPGRADE, HeaderValue::from_static("websocket"));
    set.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    set.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    if let Ok(key) = generate_key().parse() {
        set.insert(SEC_WEBSOCKET_KEY, key);
    }
    request
}

fn host(uri: &Uri) -> HeaderValue {
    let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
    HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static(""))
}

/// Checks what tungstenite leaves open of an answer that it took: that no extension was selected,
/// since none was offered (R-WS-3). It has checked the subprotocol itself (R-WS-1).
///
/// # Errors
/// [`ConnectErrorKind::NotWirestream`].
pub fn check_response(address: &Address, response: &Response) -> Result<(), ConnectError> {
    if response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        let detail = "the answer selects an extension that was not offered";
        return Err(address.error(ConnectErrorKind::NotWirestream, detail));
    }
    Ok(())
}

/// What it means that a client's handshake failed, of the WebSocket or of TLS below it.
pub fn handshake_failure(address: &Address, error: &Error) -> ConnectError {
    use ConnectErrorKind::{NotWirestream, Tls, Unreachable};
    let (kind, detail) = match error {
        Error::Io(error) => match tls::failure(error) {
            Some(detail) => (Tls, detail),
            None => (Unreachable, error.to_string()),
        },
        Error::Http(response) => {
            let kind = if is_passing(response.status()) { Unreachable } else { NotWirestream };
            (kind, in_words(response))
        }
        Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            (Unreachable, "the connection was closed without an answer".into())
        }
        // R-WS-1
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol | SubProtocolError::InvalidSubProtocol,
        )) => (NotWirestream, format!("the answer does not select the subprotocol {SUBPROTOCOL}")),
        Error::Protocol(ProtocolError::HttparseError(error)) => {
            (NotWirestream, format!("the answer is not HTTP: {error}"))
        }
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Tls(_)
        | Error::Capacity(_)
        | Error::Protocol(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::HttpFormat(_) => (NotWirestream, error.to_string()),
    };
    address.error(kind, detail)
}

/// Whether a status says that the server is away or overloaded for now, as a gateway does.
fn is_passing(status: StatusCode) -> bool {
    [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ]
    .contains(&status)
}

/// The status, and the first line of what came with it.
fn in_words(response: &Response) -> String {
    const MAX_EXCERPT: usize = 200;
    let body = response.body().as_deref().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let line = body.lines().next().unwrap_or_default();
    let excerpt: String = line.chars().filter(|c| !c.is_control()).take(MAX_EXCERPT).collect();
    let colon = if excerpt.is_empty() { "" } else { ": " };
    format!("HTTP {}{colon}{excerpt}", response.status())
}
