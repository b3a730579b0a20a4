//! A server for the tests of clients in other languages: the methods of the scenarios, on tokio or on
//! smol, at a loopback address that it prints. It shuts down when its standard input ends.
//!
//! `scenario-server tokio|smol [ADDRESS]`

mod methods;

use std::io::{self, Write};
use std::time::Duration;

use wirestream::{Limits, Server};
use wirestream_tokio::{Origins, ServeConfig};

/// How long running calls have at a shutdown.
const DRAIN: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let runtime = arguments.next().unwrap_or_default();
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".into());
    let limits = Limits { message: 1 << 21, connection_window: 1 << 22, ..Limits::default() };
    let server = methods::server(limits)?;
    match &*runtime {
        "tokio" => on_tokio(server, &address)?,
        "smol" => on_smol(server, &address)?,
        other => return Err(format!("no runtime is called {other:?}: tokio or smol").into()),
    }
    Ok(())
}

fn config() -> ServeConfig {
    // The tests' pages come from other ports.
    ServeConfig { drain: DRAIN, origins: Origins::any(), ..ServeConfig::default() }
}

/// Tells where the server is.
fn tell(address: std::net::SocketAddr) -> io::Result<()> {
    println!("{address}");
    io::stdout().flush()
}

/// Waits for the end of standard input.
fn told_to_stop() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}

#[tokio::main]
async fn on_tokio(server: Server, address: &str) -> io::Result<()> {
    let listener = wirestream_tokio::bind(address).await?;
    tell(listener.local_addr()?)?;
    let stop = async { drop(tokio::task::spawn_blocking(told_to_stop).await) };
    wirestream_tokio::serve_with(listener, server, config(), stop).await
}

fn on_smol(server: Server, address: &str) -> io::Result<()> {
    smol::block_on(async {
        let listener = wirestream_smol::bind(address).await?;
        tell(listener.local_addr()?)?;
        wirestream_smol::serve_with(listener, server, config(), smol::unblock(told_to_stop)).await
    })
}
