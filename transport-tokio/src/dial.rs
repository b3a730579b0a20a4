use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::client_async_with_config;
use wirestream::{
    BoxFuture, Client, ClientConfig, ConnectError, ConnectErrorKind, Dial, Limits, LimitsError,
    Transport,
};
use wirestream_websocket::{
    Address, HeaderError, Headers, check_response, config, handshake_failure, request,
};

use crate::{Tokio, WebSocket};

/// Addresses of one name that are tried, at most.
const MAX_TRIED: usize = 8;

/// A client of the server at a `ws://host:port/path` URL, on the current runtime, with the default
/// limits and without a token. It connects with its first call; a URL that cannot be used is told
/// by that call.
///
/// # Panics
/// Outside a tokio runtime.
pub fn client(url: &str) -> Client {
    Dialer::new(url).client(ClientConfig::default()).expect("the default limits agree")
}

/// How a connection to a server is made.
///
/// ```no_run
/// use wirestream::{ClientConfig, Limits};
/// use wirestream_tokio::Dialer;
///
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let limits = Limits { calls: 1_000, ..Limits::default() };
/// let client = Dialer::new("ws://127.0.0.1:8080/streams")
///     .header("origin", "https://example.com")?
///     .client(ClientConfig { limits, ..ClientConfig::default() })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dialer {
    address: Result<Address, ConnectError>,
    headers: Headers,
    within: Duration,
}

impl Dialer {
    /// Dials the server at this URL. One that cannot be used is told when it is dialled.
    pub fn new(url: &str) -> Self {
        let within = Limits::default().handshake;
        Self { address: Address::parse(url), headers: Headers::default(), within }
    }

    /// Adds a header to the handshake.
    ///
    /// # Errors
    /// The header is not valid, or the handshake sets it itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        self.headers.add(name, value)?;
        Ok(self)
    }

    /// How long an attempt may take from the name's lookup to the end of the handshake. 5 s.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// A client that dials so, on the current runtime, each attempt within
    /// [`Limits::handshake`].
    ///
    /// # Errors
    /// The limits do not agree with one another.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn client(self, config: ClientConfig) -> Result<Client, LimitsError> {
        let dialer = self.within(config.limits.handshake);
        Client::new(Arc::new(Tokio::current()), Arc::new(dialer), config)
    }

    /// Makes one attempt to connect. Dropping the future gives it up.
    ///
    /// # Errors
    /// What was tried, and what came back.
    pub async fn connect(&self) -> Result<WebSocket<TcpStream>, ConnectError> {
        let address = self.address.as_ref().map_err(ConnectError::clone)?;
        let deadline = Instant::now() + self.within;
        let mut stage = Stage::Lookup;
        let attempt = self.attempt(address, deadline, &mut stage);
        match timeout_at(deadline, attempt).await {
            Ok(result) => result,
            Err(_elapsed) => {
                let detail = format!("{stage} within {:?}", self.within);
                Err(address.error(ConnectErrorKind::TimedOut, detail))
            }
        }
    }

    async fn attempt(
        &self,
        address: &Address,
        deadline: Instant,
        stage: &mut Stage,
    ) -> Result<WebSocket<TcpStream>, ConnectError> {
        let unreachable = |detail: String| address.error(ConnectErrorKind::Unreachable, detail);
        let found = lookup_host((address.host(), address.port())).await;
        let found = found.map_err(|error| unreachable(format!("no such host: {error}")))?;
        let found: Vec<SocketAddr> = found.take(MAX_TRIED).collect();
        let stream = connect_to_one_of(&found, deadline, stage).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        *stage = Stage::Handshake;
        let request = request(address, &self.headers);
        let (stream, response) = client_async_with_config(request, stream, Some(config()))
            .await
            .map_err(|error| handshake_failure(address, &error))?;
        check_response(address, &response)?;
        Ok(WebSocket::new(stream))
    }
}

impl Dial for Dialer {
    fn dial(&self) -> BoxFuture<Result<Box<dyn Transport>, ConnectError>> {
        let dialer = self.clone();
        Box::pin(async move {
            let socket = dialer.connect().await?;
            Ok(Box::new(socket) as Box<dyn Transport>)
        })
    }
}

/// Tries one address after the other. One that stays silent does not use up the others' time.
async fn connect_to_one_of(
    found: &[SocketAddr],
    deadline: Instant,
    stage: &mut Stage,
) -> Result<TcpStream, String> {
    let mut failures = Vec::new();
    for (tried, &address) in found.iter().enumerate() {
        *stage = Stage::Connect(address);
        let left = u32::try_from(found.len() - tried).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failures.push(format!("{address}: {error}")),
            // The last share ends with the deadline, which tells of it.
            Err(_elapsed) if left == 1 => std::future::pending().await,
            Err(_elapsed) => failures.push(format!("{address}: no answer")),
        }
    }
    match failures.is_empty() {
        true => Err("the name has no address".into()),
        false => Err(failures.join("; ")),
    }
}

/// What an attempt is waiting for.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Lookup,
    Connect(SocketAddr),
    Handshake,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup => f.write_str("the name was not resolved"),
            Self::Connect(address) => write!(f, "no TCP connection to {address}"),
            Self::Handshake => f.write_str("connected, but no answer to the handshake"),
        }
    }
}
