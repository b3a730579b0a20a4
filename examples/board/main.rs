//! A board of 64 times 64 pixels in the browser: everybody sees everybody's at once.
//!
//! ```console
//! $ cargo run --example board
//! $ cargo run --example board -- --listen 0.0.0.0:8080    # for the phones in the same network
//! $ cargo run --example board -- --redis redis://127.0.0.1 --listen 127.0.0.1:8081    # one of several
//! ```
//!
//! The page and what it needs are compiled in; the page, the module and the WebSocket are on one port. With
//! `--redis`, all servers that use the same Redis have one board. With `--token`, only those get in whose page
//! has it behind the `#` of its address.

mod board;
mod page;
mod room;

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use wirestream_redis::RedisBus;
use wirestream_tokio::{Authentication, Failed, Server, Token, bind};

use room::{DrawingServer, Room};

const USAGE: &str = "board [--listen ADDRESS] [--redis URL] [--token TOKEN]";

#[derive(Default)]
struct Arguments {
    listen: Option<String>,
    redis: Option<String>,
    token: Option<String>,
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let place = match &*word {
            "--listen" => &mut arguments.listen,
            "--redis" => &mut arguments.redis,
            "--token" => &mut arguments.token,
            other => return Err(format!("what is {other}? {USAGE}")),
        };
        *place = Some(words.next().ok_or_else(|| format!("{word} takes a value: {USAGE}"))?);
    }
    Ok(arguments)
}

/// The usual port, or any that is free, where none is asked for.
async fn listener(address: Option<&str>) -> io::Result<TcpListener> {
    match address {
        Some(address) => bind(address).await,
        None => match bind("127.0.0.1:8080").await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => bind("127.0.0.1:0").await,
            bound => bound,
        },
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { listen, redis, token } = arguments()?;
    let room = Room::new(fastrand::u32(1..), redis.is_some());
    // Without a token of its own, the board is for everybody.
    let admit = move |given: Token| {
        let is_known = token.as_ref().is_none_or(|token| token.as_bytes() == given.as_bytes());
        let somebody = is_known.then(|| Authentication::new("somebody"));
        std::future::ready(Ok::<_, Failed>(somebody))
    };
    let drawing = DrawingServer::new(room.clone());
    let mut builder = Server::builder().authenticator(admit).endpoint(drawing);
    if let Some(url) = &redis {
        builder = builder.bus(RedisBus::new(url)?);
    }
    let server = builder.build()?;
    room.join(server.messages());
    if redis.is_some() {
        tokio::spawn(room.share());
    }

    let listener = listener(listen.as_deref()).await?;
    println!("The board is at http://{}", listener.local_addr()?);
    println!(
        "Open it in two windows, or on a phone, and draw: each sees the other's pixels at once."
    );
    println!(
        "Stop this program and start it again: the pages tell, and come back. Ctrl-C ends it."
    );
    let stopped = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(
        listener.tap_io(|socket| drop(socket.set_nodelay(true))),
        page::app(server.clone()),
    )
    .with_graceful_shutdown(stopped)
    .await?;
    // Those who watch would never end.
    server.shutdown(Duration::ZERO).await;
    Ok(())
}
