//! A client that takes next to nothing itself: a plain socket, and one packet of the core's.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use wirestream_protocol::{Config, Connection, Request, Role, Time};

/// The method whose reply says nothing and does not end.
pub(crate) const METHOD: &str = "Idle.wait";

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: wirestream.v1\r\n\r\n";

/// A client's first packet: `Hello`, and a call of [`METHOD`] if it is to have a stream.
pub(crate) fn first_packet(with_stream: bool) -> Vec<u8> {
    let client = Connection::new(Role::Client, Config::default(), Time::ZERO);
    let mut client = client.expect("the default limits are valid");
    if with_stream {
        let request = Request { method: METHOD.into(), ..Request::default() };
        client.open(&request).expect("a first call");
    }
    client.poll_transmit(Time::ZERO).expect("a packet").to_vec()
}

/// Connects, shakes hands, and sends one packet. What the server says is left to the system.
pub(crate) fn connect(address: SocketAddr, packet: &[u8]) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(UPGRADE.as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    // One whole binary message, under a mask of zeros.
    let len = u8::try_from(packet.len()).ok().filter(|&len| len < 126);
    let len = len.ok_or(io::ErrorKind::InvalidInput)?;
    socket.write_all(&[&[0x82, 0x80 | len, 0, 0, 0, 0], packet].concat())?;
    Ok(socket)
}
