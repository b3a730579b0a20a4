use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderValue, SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING,
};
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response_with_body, write_response};
use wirestream::wire::SUBPROTOCOL;

use crate::{Origins, Refusal, tls};

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
    /// Too many clients of its address are in their handshakes. It was told nothing.
    #[error("too many handshakes at a time of {address}")]
    TooMany {
        /// Where it comes from.
        address: IpAddr,
    },
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
        _ => Err((Refusal::PlainText, last(Refusal::PlainText))),
    }
}

/// Answers a client's handshake, given all that it has sent so far; `under_tls` if it came so.
///
/// Any path will do (R-WS-4). For the rest see [`check_request`].
pub fn answer(received: &[u8], origins: &Origins, under_tls: bool) -> Answer {
    let checked = match Request::try_parse(received) {
        Ok(None) if received.len() < MAX_HEAD => return Answer::ReadOn,
        Ok(None) => Err(Refusal::TooLarge),
        Ok(Some((end, request))) => match check(&request, origins, under_tls) {
            Ok(_) if end < received.len() => Err(Refusal::Trailing),
            checked => checked,
        },
        Err(_) if received.first() == Some(&TLS_HANDSHAKE) => Err(Refusal::Tls),
        Err(error) => Err(refusal(&error)),
    };
    match checked {
        Ok(response) => Answer::Accepted(bytes(&response)),
        Err(refusal) => Answer::Refused(refusal, last(refusal)),
    }
}

/// Checks a client's handshake that an HTTP server has read: the response to send, after which the
/// connection is a WebSocket.
///
/// The method, the version and the headers must be those of a WebSocket; the page that it comes
/// from, if any, one of `origins` (R-WS-7). The subprotocol is required and selected (R-WS-1); no
/// extension ever is, whatever the client offers (R-WS-3).
///
/// # Errors
/// What to answer instead is [`Refusal::response`].
pub fn check_request<B>(
    request: &http::Request<B>,
    origins: &Origins,
) -> Result<Response<String>, Refusal> {
    check(request, origins, false)
}

fn check<B>(
    request: &http::Request<B>,
    origins: &Origins,
    under_tls: bool,
) -> Result<Response<String>, Refusal> {
    let mut response =
        create_response_with_body(request, String::new).map_err(|error| refusal(&error))?;
    let headers = request.headers();
    if !origins.admit(headers, under_tls) {
        return Err(Refusal::Origin);
    }
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let mut offered = offered.iter().filter_map(|value| value.to_str().ok());
    if !offered.any(|list| list.split(',').any(|name| name.trim() == SUBPROTOCOL)) {
        return Err(Refusal::Subprotocol);
    }
    let length = headers.get(CONTENT_LENGTH);
    if headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length != "0") {
        return Err(Refusal::Trailing);
    }
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
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

/// A refusal as the last thing on its connection.
fn last(refusal: Refusal) -> Vec<u8> {
    let mut response = refusal.response();
    let length = response.body().len();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    bytes(&response)
}

fn bytes(response: &Response<String>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    write_response(&mut bytes, response).expect("a vector takes it, and the headers are text");
    bytes.extend_from_slice(response.body().as_bytes());
    bytes
}
