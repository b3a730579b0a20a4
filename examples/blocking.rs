//! A runtime of one's own: two std threads, plain tungstenite, and the protocol crate alone. As both
//! ends are in here, neither asks for the subprotocol; the protocol's front page shows that too.
use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tungstenite::{Error, Message, WebSocket, accept, client::client};
use wirestream_protocol::{Config, Connection, Event, Received, Request, Role, Time, Violation};

/// The run loop: events and packets out, the deadline, a packet in; until the connection is over.
fn drive(mut socket: WebSocket<TcpStream>, mut core: Connection) -> tungstenite::Result<()> {
    let start = Instant::now();
    let now = || Time::from_epoch(start.elapsed());
    loop {
        while let Some(event) = core.poll_event() {
            application(&mut core, &event);
        }
        while let Some(packet) = core.poll_transmit(now()) {
            socket.send(Message::Binary(packet))?;
        }
        let Some(deadline) = core.poll_timeout() else { return socket.close(None) };
        let wait = deadline.since(now()).max(Duration::from_millis(1));
        socket.get_ref().set_read_timeout(Some(wait))?;
        match socket.read() {
            Ok(Message::Binary(packet)) => core.handle_message(packet, now()),
            Ok(Message::Text(_)) => core.handle_violation(Violation::TextMessage),
            Ok(_) => {}
            Err(Error::Io(error)) if [TimedOut, WouldBlock].contains(&error.kind()) => {}
            Err(_) => core.handle_eof(),
        }
        core.handle_timeout(now());
    }
}

/// The server sends back what comes on a call; the client prints what comes back, and leaves.
fn application(core: &mut Connection, event: &Event) {
    if let Event::Incoming(id) = *event {
        core.call(id).and_then(|mut call| call.accept().ok()).expect("a call that nobody answered");
    } else if let Event::Readable(half) = *event {
        while let Some(Received::Message(message)) = core.recv(half) {
            let Some(reply) = core.call(half.call()).and_then(|call| call.outbound(0)) else {
                println!("Received message: {}", String::from_utf8_lossy(&message));
                return core.close();
            };
            core.send(reply, message).expect("room for a short message");
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let core = |role| Connection::new(role, Config::default(), Time::ZERO);
    let (listener, server) = (TcpListener::bind("127.0.0.1:0")?, core(Role::Server)?);
    let stream = TcpStream::connect(listener.local_addr()?)?;
    std::thread::spawn(move || drive(accept(listener.accept()?.0).expect("a handshake"), server));
    let (socket, mut core) = (client("ws://localhost", stream)?.0, core(Role::Client)?);
    let request = Request { method: "Example.echo".into(), parameters: 1, ..Request::default() };
    let call = core.open(&request)?;
    let words = core.call(call).and_then(|call| call.outbound(1)).ok_or("no parameter")?;
    core.send(words, b"Hello")?;
    Ok(drive(socket, core)?)
}
