use std::io;

use bytes::Bytes;
use tungstenite::Message;
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use wirestream::{TransportError, Violation};

/// What a message that was read means to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A packet.
    Packet(Bytes),
    /// A control frame, which tungstenite has seen to: read on.
    Nothing,
    /// The peer ends in order.
    End,
    /// The peer broke a rule.
    Violation(Violation),
}

/// What `message` means. A packet is a binary message, and nothing else is (R-PACKET-4).
pub(crate) fn incoming(message: Message) -> Incoming {
    match message {
        Message::Binary(packet) => Incoming::Packet(packet),
        Message::Text(_) => Incoming::Violation(Violation::TextMessage),
        Message::Close(_) => Incoming::End,
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Incoming::Nothing,
    }
}

/// What a failed read means; `None` is the ordinary end, which tungstenite reports as an error.
pub(crate) fn read_failure(error: Error) -> Option<TransportError> {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ReceivedAfterClosing) => None,
        // R-PACKET-2
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            Some(TransportError::Violation(Violation::PacketTooLarge))
        }
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Some(failure(
            io::ErrorKind::ConnectionReset,
            "the connection ended without a closing handshake",
        )),
        Error::Io(error) => Some(error.into()),
        error @ (Error::Tls(_)
        | Error::Capacity(CapacityError::TooManyHeaders)
        | Error::Protocol(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_)) => Some(failure(io::ErrorKind::InvalidData, &error.to_string())),
    }
}

/// The message that tells a peer that what it sent is no WebSocket's (R-WS-8).
pub(crate) fn accusation(error: &Error) -> Option<Message> {
    let code = match error {
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
        ) => return None,
        Error::Protocol(_) => CloseCode::Protocol,
        Error::Utf8(_) => CloseCode::Invalid,
        _ => return None,
    };
    Some(Message::Close(Some(CloseFrame { code, reason: "".into() })))
}

/// What a failed write means.
pub(crate) fn write_failure(error: Error) -> TransportError {
    match error {
        Error::Io(error) => error.into(),
        error @ (Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Tls(_)
        | Error::Capacity(_)
        | Error::Protocol(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_)) => failure(io::ErrorKind::BrokenPipe, &error.to_string()),
    }
}

/// The message that ends a connection in order, after its last packet (R-WS-2).
pub(crate) fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

fn failure(kind: io::ErrorKind, detail: &str) -> TransportError {
    TransportError::Io { kind, detail: detail.into() }
}
