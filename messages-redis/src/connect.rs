use std::io;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, PushInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::address::{Address, Place};
use crate::{ConfigError, RedisConfig, RedisError, RedisErrorKind};

/// Makes connections to Redis.
///
/// The sockets are our own, the protocol on them is the library's. So a connection that hangs can be
/// dropped, and TLS has the crypto that we say, whatever else the process has linked.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) address: Address,
    pub(crate) config: RedisConfig,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Connector>,
}

/// A connection. Dropping it closes the socket.
pub(crate) struct Link {
    pub(crate) commands: MultiplexedConnection,
    driver: JoinSet<()>,
}

impl Link {
    /// Resolves once the connection is over. Cancel-safe.
    pub(crate) async fn lost(&mut self) {
        // A driver that panics ends like one whose socket is closed.
        let _ = self.driver.join_next().await;
    }
}

/// What no one listens to.
fn ignore(_: PushInfo) -> Result<(), ()> {
    Ok(())
}

impl Dialer {
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn new(url: &str, config: RedisConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let address = Address::parse(url)?;
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: crate::tls::Connector::of(&address, &config)?,
            address,
            config,
        })
    }

    /// The same at another node of the cluster.
    pub(crate) fn moved_to(&self, host: &str, port: u16) -> Self {
        Self { address: self.address.moved_to(host, port), ..self.clone() }
    }

    /// Makes one attempt to connect, for commands alone.
    pub(crate) async fn connect(&self) -> Result<Link, RedisError> {
        self.connect_with(ignore).await
    }

    /// Makes one attempt to connect, and hands what comes without being asked for to `pushes`, on
    /// the task that reads the socket.
    pub(crate) async fn connect_with(
        &self,
        pushes: impl AsyncPushSender,
    ) -> Result<Link, RedisError> {
        match timeout(self.config.connect, self.attempt(pushes)).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(kind)) => Err(self.address.error(kind)),
            Err(_elapsed) => Err(self.address.error(RedisErrorKind::TimedOut)),
        }
    }

    async fn attempt(&self, pushes: impl AsyncPushSender) -> Result<Link, RedisErrorKind> {
        match &self.address.place {
            Place::Tcp(host, port) => {
                let stream = TcpStream::connect((&**host, *port)).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                #[cfg(feature = "tls")]
                if let Some(tls) = &self.tls {
                    return self.shake_hands(tls.secure(host, stream).await?, pushes).await;
                }
                self.shake_hands(stream, pushes).await
            }
            #[cfg(unix)]
            Place::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(unreachable)?;
                self.shake_hands(stream, pushes).await
            }
        }
    }

    async fn shake_hands<S>(
        &self,
        stream: S,
        pushes: impl AsyncPushSender,
    ) -> Result<Link, RedisErrorKind>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // Time is watched over by who uses the connection.
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender(pushes);
        let login = &self.address.login;
        let connecting = MultiplexedConnection::new_with_config(login, stream, config);
        let (commands, driver) =
            connecting.await.map_err(|error| RedisErrorKind::of_handshake(&error))?;
        let mut drivers = JoinSet::new();
        drivers.spawn(driver);
        introduce(commands.clone()).await;
        Ok(Link { commands, driver: drivers })
    }
}

/// Tells an operator who this is, as far as this version of Redis and our rights there let us.
async fn introduce(mut commands: MultiplexedConnection) {
    let mut pipeline = redis::pipe();
    for (key, value) in [("LIB-NAME", "wirestream"), ("LIB-VER", env!("CARGO_PKG_VERSION"))] {
        pipeline.cmd("CLIENT").arg("SETINFO").arg(key).arg(value);
    }
    let _ = commands.send_packed_commands(&pipeline, 0, 2).await;
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn unreachable(error: io::Error) -> RedisErrorKind {
    RedisErrorKind::Unreachable(error.to_string().into())
}
