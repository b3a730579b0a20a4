//! A runtime of one's own: two std threads, plain tungstenite, and the protocol crate alone.
use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tungstenite::handshake::server::{Request as Upgrade, Response};
use tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode};
use tungstenite::{ClientRequestBuilder, Error, Message, WebSocket};
use wirestream_protocol::wire::{MAX_PACKET, SUBPROTOCOL};
use wirestream_protocol::{
    Config, Connection, Event, Fault, Received, Request, Role, Time, Violation,
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs one endpoint until its connection is over. A socket that takes nothing more is tried again
/// every few milliseconds, so that reading never waits for writing.
fn drive(
    mut socket: WebSocket<TcpStream>,
    mut core: Connection,
    app: fn(&mut Connection, Event),
) -> Result {
    const TURN: Duration = Duration::from_millis(5);
    let start = Instant::now();
    let now = || Time::from_epoch(start.elapsed());
    let mut sent_at = now();
    socket.get_ref().set_write_timeout(Some(TURN))?;
    loop {
        while let Some(event) = core.poll_event() {
            app(&mut core, event);
        }
        let mut sent = socket.flush();
        while sent.is_ok()
            && let Some(packet) = core.poll_transmit(now())
        {
            sent = socket.send(Message::Binary(packet));
        }
        let Some(deadline) = core.poll_timeout() else { break };
        let wait = if sent.is_ok() { deadline.since(now()).max(TURN) } else { TURN };
        socket.get_ref().set_read_timeout(Some(wait))?;
        match socket.read() {
            Ok(Message::Binary(packet)) => core.handle_message(packet, now()),
            Ok(Message::Text(_)) => core.handle_violation(Violation::TextMessage),
            Ok(_) => {}
            Err(Error::Io(error)) if [TimedOut, WouldBlock].contains(&error.kind()) => {}
            Err(Error::Capacity(_)) => core.handle_violation(Violation::PacketTooLarge),
            Err(_) => core.handle_eof(),
        }
        core.handle_timeout(now());
        sent_at = if sent.is_ok() { now() } else { sent_at };
        if now().since(sent_at) > core.limits().stall {
            core.handle_stall();
        }
    }
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))?;
    socket.get_ref().set_read_timeout(Some(Duration::from_secs(1)))?;
    while socket.read().is_ok() {}
    Ok(())
}

/// The server's application: sends back whatever comes on the first parameter.
fn echo(core: &mut Connection, event: Event) {
    if let Event::Incoming(id) = event {
        let _ = core.call(id).map(|mut call| call.accept());
    } else if let Event::Ended(id, _) = event {
        core.release(id);
    } else if let Event::Readable(half) = event
        && let Some(reply) = core.call(half.call()).and_then(|call| call.outbound(0))
    {
        while let Some(Received::Message(message)) = core.recv(half) {
            if core.send(reply, message).is_err() {
                let _ = core.finish(reply, Err(Fault::Failed));
            }
        }
        let _ = core.finish(reply, Ok(()));
    }
}

fn main() -> Result {
    Ok(())
}
