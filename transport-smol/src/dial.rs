use std::sync::Arc;
use std::time::{Duration, Instant};

use async_tungstenite::client_async_with_config;
use smol::net::{TcpStream, resolve};
use wirestream::{
    BoxFuture, Client, ClientConfig, ConnectError, ConnectErrorKind, Dial, Limits, LimitsError,
    Transport,
};
#[cfg(feature = "tls")]
use wirestream_websocket::ClientTls;
use wirestream_websocket::{
    Address, HeaderError, Headers, Stage, check_response, config, connect_to_one_of,
    handshake_failure, request,
};

use crate::paced::Paced;
use crate::runtime::timeout;
use crate::{MaybeTls, Smol, WebSocket};

/// A client of the server at a `ws://host:port/path` or `wss://` URL, on the global executor, with the default
/// limits and without a token. It connects with its first call; a URL that cannot be used is told
/// by that call.
pub fn client(url: &str) -> Client {
    Dialer::new(url).client(ClientConfig::default()).expect("the default limits agree")
}

/// How a connection to a server is made.
///
/// ```no_run
/// use wirestream::{ClientConfig, Limits};
/// use wirestream_smol::Dialer;
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
    /// As the platform has it, unless there is something here.
    #[cfg(feature = "tls")]
    tls: Option<ClientTls>,
}

impl Dialer {
    /// Dials the server at this URL. One that cannot be used is told when it is dialled.
    pub fn new(url: &str) -> Self {
        let within = Limits::default().handshake;
        Self {
            address: Address::parse(url),
            headers: Headers::default(),
            within,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Adds a header to the handshake.
    ///
    /// # Errors
    /// The header is not valid, or the handshake sets it itself.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        self.headers.add(name, value)?;
        Ok(self)
    }

    /// Whom to trust under a `wss://` URL, and which certificate to have there. The server's must
    /// be issued under the platform's roots, for the host in the URL, unless this says otherwise.
    /// A `ws://` URL is plain text all the same.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long an attempt may take from the name's lookup to the end of the last handshake. 5 s.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// A client that dials so, on the global executor, each attempt within
    /// [`Limits::handshake`].
    ///
    /// # Errors
    /// The limits do not agree with one another.
    pub fn client(self, config: ClientConfig) -> Result<Client, LimitsError> {
        self.client_on(Smol::global(), config)
    }

    /// As [`client`](Self::client), on an executor of your own.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub fn client_on(self, runtime: Smol, config: ClientConfig) -> Result<Client, LimitsError> {
        let dialer = self.within(config.limits.handshake);
        Client::new(Arc::new(runtime), Arc::new(dialer), config)
    }

    /// Makes one attempt to connect. Dropping the future gives it up.
    ///
    /// # Errors
    /// What was tried, and what came back.
    pub async fn connect(&self) -> Result<WebSocket<MaybeTls<TcpStream>>, ConnectError> {
        let address = self.address.as_ref().map_err(ConnectError::clone)?;
        let mut stage = Stage::Lookup;
        match timeout(self.within, self.attempt(address, &mut stage)).await {
            Some(result) => result,
            None => {
                let detail = format!("{stage} within {:?}", self.within);
                Err(address.error(ConnectErrorKind::TimedOut, detail))
            }
        }
    }

    async fn attempt(
        &self,
        address: &Address,
        stage: &mut Stage,
    ) -> Result<WebSocket<MaybeTls<TcpStream>>, ConnectError> {
        #[cfg(not(feature = "tls"))]
        address.check_plain()?;
        let began = Instant::now();
        let time_left = || self.within.saturating_sub(began.elapsed());
        let unreachable = |detail: String| address.error(ConnectErrorKind::Unreachable, detail);
        let found = resolve((address.host(), address.port())).await;
        let found = found.map_err(|error| unreachable(format!("no such host: {error}")))?;
        let stream = connect_to_one_of(found, time_left, stage, async |address, share| {
            timeout(share, TcpStream::connect(address)).await
        });
        let stream = stream.await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        #[cfg(feature = "tls")]
        let stream = self.secure(stream, address, stage).await?;
        #[cfg(not(feature = "tls"))]
        let stream = MaybeTls::plain(stream);
        *stage = Stage::Handshake;
        let request = request(address, &self.headers);
        let (stream, response) =
            client_async_with_config(request, Paced::below_tls(stream), Some(config()))
                .await
                .map_err(|error| handshake_failure(address, &error))?;
        check_response(address, &response)?;
        Ok(WebSocket::new(stream))
    }

    #[cfg(feature = "tls")]
    async fn secure(
        &self,
        stream: TcpStream,
        address: &Address,
        stage: &mut Stage,
    ) -> Result<MaybeTls<TcpStream>, ConnectError> {
        let Some(server) = address.server_name() else { return Ok(MaybeTls::plain(stream)) };
        *stage = Stage::Tls;
        let tls = self.tls.clone().map_or_else(ClientTls::platform, Ok);
        let tls = tls.map_err(|error| address.error(ConnectErrorKind::Tls, error.to_string()))?;
        let secured = crate::tls::connect(stream, &tls, server).await;
        secured.map_err(|error| handshake_failure(address, &error.into()))
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
