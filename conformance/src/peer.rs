//! A client that sends what it likes, and hears what comes.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use crate::bytes::{body, frames, number, shown};

pub(crate) const HELLO: u8 = 0x01;
pub(crate) const CREDIT: u8 = 0x0b;
const PING: &[u8] = &[0x0c, 0];
pub(crate) const PONG: &[u8] = &[0x0d, 0];

/// How long the server may take for anything.
const LONG: Duration = Duration::from_secs(10);

pub(crate) struct Peer {
    socket: WebSocket<TcpStream>,
    /// Frames that came and were not looked at.
    come: VecDeque<Vec<u8>>,
    /// What the server has granted for the first parameter of call 1, its window included.
    granted: u64,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Frame(Vec<u8>),
    /// The WebSocket was closed, with this code.
    Closed(Option<u16>),
}

impl Peer {
    pub(crate) fn connect(url: &str) -> Result<Self, String> {
        let fail = |error: &dyn std::fmt::Display| format!("cannot connect to {url}: {error}");
        let mut request = url.into_client_request().map_err(|error| fail(&error))?;
        let name = HeaderValue::from_static("wirestream.v1");
        request.headers_mut().insert("Sec-WebSocket-Protocol", name);
        let host = request.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = request.uri().port_u16().unwrap_or(80);
        let stream = TcpStream::connect((&*host, port)).map_err(|error| fail(&error))?;
        stream.set_read_timeout(Some(LONG)).map_err(|error| fail(&error))?;
        stream.set_nodelay(true).map_err(|error| fail(&error))?;
        let (socket, answer) =
            tungstenite::client(request, stream).map_err(|error| fail(&error))?;
        match answer.headers().get("Sec-WebSocket-Protocol") {
            Some(chosen) if chosen == "wirestream.v1" => {}
            _ => return Err("R-WS-1: the server has not chosen wirestream.v1".into()),
        }
        Ok(Self { socket, come: VecDeque::new(), granted: 0 })
    }

    /// Sends messages on the first parameter of call 1 until the server grants nothing more.
    pub(crate) fn exhaust(&mut self) -> Result<(), String> {
        let message = [&[5, 0x82, 0x80, 0x01, 1, 1][..], &[7; 16 * 1024]].concat();
        let mut used = 0;
        loop {
            // What is granted may come behind the first answer.
            for _ in 0..2 {
                self.packet(PING)?;
                while self.next()? != Heard::Frame(PONG.into()) {}
            }
            if used >= self.granted {
                return Ok(());
            }
            while used < self.granted {
                self.packet(&message)?;
                used += 16 * 1024;
            }
        }
    }

    fn look(&mut self, frame: &[u8]) {
        let mut fields = body(frame);
        let mut field = || number(&mut fields).unwrap_or_default();
        match frame[0] {
            // Version, message, chunk and request come before it.
            HELLO => self.granted += [0; 6].map(|_| field())[5],
            CREDIT if (field(), field()) == (1, 1) => self.granted += field(),
            _ => {}
        }
    }

    pub(crate) fn packet(&mut self, packet: &[u8]) -> Result<(), String> {
        self.send(Message::Binary(packet.to_vec().into()))
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), String> {
        self.send(Message::Text(text.into()))
    }

    fn send(&mut self, message: Message) -> Result<(), String> {
        self.socket.send(message).map_err(|error| format!("sending: {error}"))
    }

    pub(crate) fn next(&mut self) -> Result<Heard, String> {
        loop {
            if let Some(frame) = self.come.pop_front() {
                self.look(&frame);
                return Ok(Heard::Frame(frame));
            }
            match self.socket.read() {
                Ok(Message::Binary(packet)) => {
                    let cut = frames(&packet).filter(|frames| !frames.is_empty());
                    let Some(frames) = cut else {
                        return Err(format!("no packet (R-PACKET-1): {}", shown(&packet)));
                    };
                    self.come.extend(frames);
                }
                Ok(Message::Close(close)) => {
                    return Ok(Heard::Closed(close.map(|close| CloseCode::into(close.code))));
                }
                Ok(Message::Text(text)) => return Err(format!("a text message: {text}")),
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Err(tungstenite::Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Err(format!("nothing came within {LONG:?}"));
                }
                Err(error) => return Err(format!("the connection broke: {error}")),
            }
        }
    }
}
