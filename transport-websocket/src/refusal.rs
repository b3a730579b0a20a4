use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Response, StatusCode};
use wirestream::wire::SUBPROTOCOL;

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
    /// It comes from a page that is not among the server's [`Origins`](crate::Origins) (R-WS-7).
    #[error("pages of this Origin may not connect to this server")]
    Origin,
    /// The client does not offer the subprotocol (R-WS-1).
    #[error("offer the WebSocket subprotocol {SUBPROTOCOL} in Sec-WebSocket-Protocol")]
    Subprotocol,
    /// The request has a body, or the client went on before it had the answer (R-WS-5).
    #[error("there are bytes after the request")]
    Trailing,
    /// TLS, to a server without it.
    #[error("this server does not speak TLS: connect with ws://")]
    Tls,
    /// Anything but TLS, to a server that requires it.
    #[error("this server speaks TLS: connect with wss://")]
    PlainText,
    /// The HTTP server that this one is mounted in does not hand connections over.
    #[error("the HTTP server does not hand this connection over")]
    NotHandedOver,
}

impl Refusal {
    /// Its status (R-WS-6).
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotHttp
            | Self::Key
            | Self::Subprotocol
            | Self::Trailing
            | Self::Tls
            | Self::PlainText => StatusCode::BAD_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotHandedOver => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What to answer: its status, and the reason in a line of text (R-WS-6).
    pub fn response(self) -> Response<String> {
        let mut response = Response::new(format!("{self}\n"));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if self == Self::Method {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        if self.status() == StatusCode::UPGRADE_REQUIRED {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        if self == Self::Version {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}
