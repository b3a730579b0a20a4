//! What the public WebSocket suite is run against: an adapter that sends back each packet it receives.
//!
//! `autobahn-peer tokio|smol server` listens at a loopback address that it prints, until it is killed.
//! `autobahn-peer tokio|smol client URL AGENT` asks the suite's server at `URL` for each of its cases,
//! and then for its reports.

use std::error::Error;
use std::future::{Future, pending, poll_fn};
use std::io::{self, Write};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use wirestream::{Runtime, Timer, Transport, TransportError};
use wirestream_smol::Smol;
use wirestream_tests::{LONG, Net, dial_url};
use wirestream_tokio::{ServeConfig, Tokio};

/// How long a transport may take to end in order, as it may below a connection.
const CLOSING: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["tokio", "server"] => on_tokio(serve_on_tokio())?,
        ["tokio", "client", url, agent] => on_tokio(run_cases(Net::Tokio, url, agent))?,
        ["smol", "server"] => smol::block_on(serve_on_smol())?,
        ["smol", "client", url, agent] => smol::block_on(run_cases(Net::Smol, url, agent))?,
        _ => return Err("autobahn-peer tokio|smol server, or tokio|smol client URL AGENT".into()),
    }
    Ok(())
}

#[tokio::main]
async fn on_tokio<T>(doing: impl Future<Output = T>) -> T {
    doing.await
}

async fn serve_on_tokio() -> io::Result<()> {
    let listener = wirestream_tokio::bind("127.0.0.1:0").await?;
    tell(listener.local_addr()?)?;
    let runtime = Tokio::current();
    let echo = move |socket, _peer| echo(socket, runtime.timer());
    wirestream_tokio::listen(listener, ServeConfig::default(), echo, pending()).await
}

async fn serve_on_smol() -> io::Result<()> {
    let listener = wirestream_smol::bind("127.0.0.1:0").await?;
    tell(listener.local_addr()?)?;
    let runtime = Smol::global();
    let echo = move |socket, _peer| echo(socket, runtime.timer());
    wirestream_smol::listen(listener, ServeConfig::default(), echo, pending()).await
}

/// Tells where the server is.
fn tell(address: std::net::SocketAddr) -> io::Result<()> {
    println!("{address}");
    io::stdout().flush()
}

/// Goes through the cases of the suite's server, one connection each.
async fn run_cases(net: Net, url: &str, agent: &str) -> Result<(), Box<dyn Error>> {
    let runtime: Arc<dyn Runtime> = match net {
        Net::Smol => Arc::new(Smol::global()),
        Net::Tokio | Net::Memory => Arc::new(Tokio::current()),
    };
    let dial = async |path: String| dial_url(net, &format!("{url}{path}"), LONG)().await;

    let mut asking = dial("/getCaseCount".into()).await?;
    let count = poll_fn(|cx| asking.poll_recv(cx)).await.ok_or("the suite tells no count")??;
    let count: usize = str::from_utf8(&count)?.parse()?;
    echo(asking, runtime.timer()).await;
    for case in 1..=count {
        let transport = dial(format!("/runCase?case={case}&agent={agent}")).await?;
        echo(transport, runtime.timer()).await;
    }
    let done = dial(format!("/updateReports?agent={agent}")).await?;
    echo(done, runtime.timer()).await;
    Ok(())
}

/// Sends each packet back until the transport ends, and ends it as a connection does that owns it: in
/// order behind a violation, and at once behind its own end or failure.
async fn echo(mut transport: impl Transport, mut timer: Box<dyn Timer>) {
    loop {
        match poll_fn(|cx| transport.poll_recv(cx)).await {
            Some(Ok(packet)) => {
                if send(&mut transport, packet).await.is_err() {
                    return;
                }
            }
            Some(Err(TransportError::Violation(_))) => break,
            Some(Err(_)) | None => return,
        }
    }
    let deadline = timer.now() + CLOSING;
    poll_fn(|cx| match timer.poll_until(cx, deadline) {
        Poll::Ready(()) => Poll::Ready(()),
        // How it ended is for the suite to judge.
        Poll::Pending => transport.poll_close(cx).map(drop),
    })
    .await;
}

async fn send(transport: &mut impl Transport, mut packet: Bytes) -> Result<(), TransportError> {
    poll_fn(|cx| transport.poll_send(cx, &mut packet)).await?;
    poll_fn(|cx| transport.poll_flush(cx)).await
}
