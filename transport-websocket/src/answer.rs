use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use wirestream::wire::SUBPROTOCOL;

use crate::tls;

#[cfg(test)]
mod tests;

/// The largest head of a request that is read, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;

/// How long a client that was turned away may take to read why.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// The first byte of a TLS handshake, and of nothing that is HTTP.
const TLS_HANDSHAKE: u8 = 0x16;

/// What to do with what a client has sent so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The request is not complete: read on, up to [`MAX_HEAD`] bytes in all.
    ReadOn,
    /// Write this; then the connection is a WebSocket.
    Accepted(Vec<u8>),
    /// Write this, then end the connection.
    Refused(Refusal, Vec<u8>),
}

/// Why a client was turned away. Its display is what the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It does not speak HTTP/1.1.
    #[error("this is not an HTTP/1.1 request")]
    NotHttp,
    /// Not a GET request.
    #[error("a WebSocket begins with a GET request")]
    Method,
    /// The request's head is too large.
    #[error("the request is too large")]
    TooLarge,
    /// A request for a page, not for a WebSocket.
    #[error("this is a Wirestream server: connect with a WebSocket")]
    NotUpgrade,
    /// Another version of the WebSocket protocol.
    #[error("the WebSocket version is not 13")]
    Version,
    /// The key is missing or malformed.
    #[error("Sec-WebSocket-Key is missing or malformed")]
    Key,
    /// The client does not offer the subprotocol (R-WS-1).
    #[error("offer the WebSocket subprotocol {SUBPROTOCOL} in Sec-WebSocket-Protocol")]
    Subprotocol,
    /// The client went on before it had the answer (R-WS-5).
    #[error("there are bytes after the request")]
    Trailing,
    /// TLS, to a server without it.
    #[error("this server does not speak TLS: connect with ws://")]
    Tls,
    /// Anything but TLS, to a server that requires it.
    #[error("this server speaks TLS: connect with wss://")]
    PlainText,
}

/// Why a client did not get through the handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// It was turned away, and was told why.
    #[error(transparent)]
    Refused(Refusal),
    /// It took longer than the handshake may.
    #[error("the handshake took longer than it may")]
    TimedOut,
    /// TLS failed: the client speaks something else, or one of the two does not trust the other.
    #[error("no secure connection: {detail}")]
    Tls {
        /// In words.
        detail: Arc<str>,
    },
    /// The stream failed.
    #[error("{detail}")]
    Io {
        /// The kind of failure.
        kind: io::ErrorKind,
        /// In words.
        detail: Arc<str>,
    },
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        match tls::failure(&error) {
            Some(detail) => Self::Tls { detail: detail.into() },
            None => Self::Io { kind: error.kind(), detail: error.to_string().into() },
        }
    }
}

/// Whether a client that must speak TLS begins to, by its first byte. If not, what it is told, in
/// plain text.
///
/// # Errors
/// [`Refusal::PlainText`], and what to write.
pub fn check_for_tls(first: u8) -> Result<(), (Refusal, Vec<u8>)> {
    match first {
        TLS_HANDSHAKE => Ok(()),
        _ => Err((Refusal::PlainText, Refusal::PlainText.response())),
    }
}

/// Answers a client's handshake, given all that it has sent so far.
///
/// The subprotocol is required and selected (R-WS-1); no extension ever is, whatever the client
/// offers (R-WS-3). Any path will do (R-WS-4).
pub fn answer(received: &[u8]) -> Answer {
    let checked = match Request::try_parse(received) {
        Ok(None) if received.len() < MAX_HEAD => return Answer::ReadOn,
        Ok(None) => Err(Refusal::TooLarge),
        Ok(Some((end, request))) => check(&request, received.len() - end),
        Err(_) if received.first() == Some(&TLS_HANDSHAKE) => Err(Refusal::Tls),
        Err(error) => Err(refusal(&error)),
    };
    match checked {
        Ok(response) => Answer::Accepted(response),
        Err(refusal) => Answer::Refused(refusal, refusal.response()),
    }
}

/// The checks in their order, each with its refusal. One of the request's `Origin` belongs here.
fn check(request: &Request, trailing: usize) -> Result<Vec<u8>, Refusal> {
    let mut response = create_response(request).map_err(|error| refusal(&error))?;
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let mut offered = offered.iter().filter_map(|value| value.to_str().ok());
    if !offered.any(|list| list.split(',').any(|name| name.trim() == SUBPROTOCOL)) {
        return Err(Refusal::Subprotocol);
    }
    if trailing > 0 {
        return Err(Refusal::Trailing);
    }
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let mut bytes = Vec::with_capacity(256);
    write_response(&mut bytes, &response).map_err(|_| Refusal::NotHttp)?;
    Ok(bytes)
}

fn refusal(error: &Error) -> Refusal {
    if matches!(error, Error::Capacity(CapacityError::TooManyHeaders)) {
        return Refusal::TooLarge;
    }
    let Error::Protocol(error) = error else { return Refusal::NotHttp };
    [
        (ProtocolError::WrongHttpMethod, Refusal::Method),
        (ProtocolError::MissingConnectionUpgradeHeader, Refusal::NotUpgrade),
        (ProtocolError::MissingUpgradeWebSocketHeader, Refusal::NotUpgrade),
        (ProtocolError::MissingSecWebSocketVersionHeader, Refusal::Version),
        (ProtocolError::MissingSecWebSocketKey, Refusal::Key),
        (ProtocolError::InvalidSecWebSocketKey, Refusal::Key),
    ]
    .into_iter()
    .find_map(|(of, refusal)| (of == *error).then_some(refusal))
    .unwrap_or(Refusal::NotHttp)
}

impl Refusal {
    /// A status, and the reason in a line of text (R-WS-6).
    fn response(self) -> Vec<u8> {
        let (status, header) = match self {
            Self::NotHttp
            | Self::Key
            | Self::Subprotocol
            | Self::Trailing
            | Self::Tls
            | Self::PlainText => ("400 Bad Request", ""),
            Self::Method => ("405 Method Not Allowed", "allow: GET\r\n"),
            Self::TooLarge => ("431 Request Header Fields Too Large", ""),
            Self::NotUpgrade => ("426 Upgrade Required", "upgrade: websocket\r\n"),
            Self::Version => {
                ("426 Upgrade Required", "upgrade: websocket\r\nsec-websocket-version: 13\r\n")
            }
        };
        let body = format!("{self}\n");
        let mut response = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{header}");
        let _infallible = write!(
            response,
            "content-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
            body.len(),
        );
        response.into_bytes()
    }
}
