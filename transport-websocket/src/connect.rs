use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Addresses of one name that are tried, at most.
const MAX_TRIED: usize = 8;

/// What an attempt to connect is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The addresses of the host.
    Lookup,
    /// A TCP connection to this one.
    Connect(SocketAddr),
    /// The server's part in the handshake of TLS.
    Tls,
    /// The server's answer.
    Handshake,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup => f.write_str("the name was not resolved"),
            Self::Connect(address) => write!(f, "no TCP connection to {address}"),
            Self::Tls => f.write_str("connected, but the TLS handshake did not end"),
            Self::Handshake => f.write_str("connected, but no answer to the handshake"),
        }
    }
}

/// Connects to one of a name's addresses, tried one after the other. One that stays silent does
/// not use up the others' time.
///
/// `connect` gives up after the time that it is given, and says so with `None`. When the time that
/// is left for all was used up, this waits for whoever keeps it to tell the attempt's end.
///
/// # Errors
/// In words, each address with what came back from it.
pub async fn connect_to_one_of<S, F>(
    found: impl IntoIterator<Item = SocketAddr>,
    time_left: impl Fn() -> Duration,
    stage: &mut Stage,
    connect: impl Fn(SocketAddr, Duration) -> F,
) -> Result<S, String>
where
    F: Future<Output = Option<io::Result<S>>>,
{
    let found: Vec<SocketAddr> = found.into_iter().take(MAX_TRIED).collect();
    let mut failures = Vec::new();
    for (left, &address) in (1..=found.len() as u32).rev().zip(&found) {
        *stage = Stage::Connect(address);
        let share = time_left().checked_div(left).unwrap_or_default();
        match connect(address, share).await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => failures.push(format!("{address}: {error}")),
            None if left == 1 => pending().await,
            None => failures.push(format!("{address}: no answer")),
        }
    }
    match failures.is_empty() {
        true => Err("the name has no address".into()),
        false => Err(failures.join("; ")),
    }
}
