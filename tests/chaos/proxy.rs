//! A TCP proxy that does to its connections what networks do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    Down,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// Both sockets are closed once so many bytes went that way.
    Cut(Way, usize),
    /// They are reset.
    Reset(Way, usize),
    /// Behind so many bytes, nothing arrives that way any more, and nobody is told.
    Hole(Way, usize),
    /// The same in both ways, from that moment on.
    BlackHole(Way, usize),
    /// Bytes come one by one, or a few at a time.
    Split(usize),
    /// What comes within a few milliseconds comes at once.
    Coalesce,
    /// Everything is late by so many milliseconds.
    Delay(u64),
}

/// Lets connections through to a server. One of them has the fault, the others none.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// With the fault on the connection that comes so many others after the first.
    pub(crate) async fn on_connection(which: usize, server: SocketAddr, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let is_it = count.fetch_add(1, Ordering::SeqCst) == which;
                let fault = if is_it { fault } else { Fault::Nothing };
                // It ends with its sockets.
                tokio::spawn(async move { drop(carry(client, server, fault).await) });
            }
        });
        Self { address, connections, serving }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn carry(client: TcpStream, server: SocketAddr, fault: Fault) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
        if matches!(fault, Fault::Reset(..)) {
            socket.set_zero_linger()?;
        }
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Shared, so that one way can fall silent with the other.
    let hole = Arc::<AtomicUsize>::default();
    let up = pump(Way::Up, from_client, to_server, fault, Arc::clone(&hole));
    let down = pump(Way::Down, from_server, to_client, fault, hole);
    match fault {
        // Whoever is done first ends both.
        Fault::Cut(..) | Fault::Reset(..) => tokio::select! {
            ended = up => ended,
            ended = down => ended,
        },
        _ => tokio::try_join!(up, down).map(drop),
    }
}

/// Carries bytes one way until they end, or the fault ends it.
async fn pump(
    way: Way,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    fault: Fault,
    hole: Arc<AtomicUsize>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut carried = 0;
    loop {
        let mut count = from.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        match fault {
            Fault::Cut(there, at) | Fault::Reset(there, at)
                if there == way && carried + count >= at =>
            {
                to.write_all(&buffer[..at - carried]).await?;
                return Ok(());
            }
            Fault::Hole(there, at) | Fault::BlackHole(there, at)
                if there == way && carried + count >= at =>
            {
                let rest = at.saturating_sub(carried);
                to.write_all(&buffer[..rest]).await?;
                carried += count;
                if matches!(fault, Fault::BlackHole(..)) {
                    hole.store(1, Ordering::SeqCst);
                }
                continue;
            }
            Fault::BlackHole(..) if hole.load(Ordering::SeqCst) == 1 => continue,
            Fault::Split(size) => {
                // tungstenite takes a handshake in very many pieces for an attack.
                let size = if carried < 1_024 { size.max(16) } else { size };
                carried += count;
                for piece in buffer[..count].chunks(size) {
                    to.write_all(piece).await?;
                    to.flush().await?;
                    tokio::task::yield_now().await;
                }
                continue;
            }
            Fault::Coalesce => {
                let more = async {
                    while count < buffer.len() {
                        match from.read(&mut buffer[count..]).await {
                            Ok(0) | Err(_) => break,
                            Ok(read) => count += read,
                        }
                    }
                };
                // What was read stays read if the time is up: a read is cancel-safe.
                let _ = timeout(Duration::from_millis(3), more).await;
            }
            Fault::Delay(time) => sleep(Duration::from_millis(time)).await,
            _ => {}
        }
        to.write_all(&buffer[..count]).await?;
        carried += count;
    }
    to.shutdown().await
}
