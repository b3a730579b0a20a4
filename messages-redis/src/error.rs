use std::fmt;

use wirestream::BusError;

/// Why Redis does not serve: where it was looked for, and what came back.
///
/// Neither this nor anything else that this crate says ever holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis at {target} {kind}")]
pub struct RedisError {
    /// Where Redis is, without the credentials.
    pub target: Box<str>,
    /// What happened.
    pub kind: RedisErrorKind,
}

/// What came of asking Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisErrorKind {
    /// There is no such host, nobody listens, or who listens hung up before they said anything.
    Unreachable(Box<str>),
    /// Nothing was answered in time.
    TimedOut,
    /// The TLS handshake failed.
    Tls(Box<str>),
    /// Somebody answers, in another protocol. This is also how a Redis looks that expects TLS where
    /// the URL says `redis://`.
    NotRedis,
    /// It does not know the protocol RESP3, or sharded channels where they are asked for.
    TooOld,
    /// The user or the password is wrong, or there has to be one.
    Credentials,
    /// The user may not do this: a command, or a channel, that its rights do not cover.
    Forbidden(Box<str>),
    /// It serves nobody just now: it loads, it runs a script, it has too many clients.
    Busy(Box<str>),
    /// It answered with another error.
    Refused(Box<str>),
    /// The connection was there and is over.
    Lost,
}

impl fmt::Display for RedisErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(detail) => write!(f, "cannot be reached: {detail}"),
            Self::TimedOut => f.write_str("did not answer in time"),
            Self::Tls(detail) => write!(f, "cannot be reached under TLS: {detail}"),
            Self::NotRedis => f.write_str("is no Redis, or expects TLS"),
            Self::TooOld => f.write_str("is too old"),
            Self::Credentials => f.write_str("refused the user or the password"),
            Self::Forbidden(detail) => write!(f, "forbade it: {detail}"),
            Self::Busy(detail) => write!(f, "is busy: {detail}"),
            Self::Refused(detail) => write!(f, "refused: {detail}"),
            Self::Lost => f.write_str("hung up"),
        }
    }
}

impl RedisErrorKind {
    /// What an error that Redis answered with means.
    ///
    /// Some quote what they were asked: of those that name an unknown command nothing is kept.
    pub(crate) fn answered(code: &str, detail: &str) -> Self {
        match code {
            "WRONGPASS" | "NOAUTH" => Self::Credentials,
            "NOPERM" => Self::Forbidden(detail.into()),
            "NOPROTO" => Self::TooOld,
            "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => {
                Self::Busy(detail.into())
            }
            "ERR" if detail.starts_with("unknown command") => Self::TooOld,
            "ERR" if detail.starts_with("max number of clients") => Self::Busy(detail.into()),
            "ERR" => Self::Refused(detail.into()),
            _ => Self::Refused(format!("{code} {detail}").into()),
        }
    }

    /// The same with the password taken out of what was answered: what stands between may quote it.
    pub(crate) fn without(self, password: &str) -> Self {
        let hidden = |detail: Box<str>| detail.replace(password, "***").into();
        match self {
            Self::Unreachable(detail) => Self::Unreachable(hidden(detail)),
            Self::Tls(detail) => Self::Tls(hidden(detail)),
            Self::Forbidden(detail) => Self::Forbidden(hidden(detail)),
            Self::Busy(detail) => Self::Busy(hidden(detail)),
            Self::Refused(detail) => Self::Refused(hidden(detail)),
            Self::TimedOut | Self::NotRedis | Self::TooOld | Self::Credentials | Self::Lost => self,
        }
    }

    /// What an error of the library means, of a connection that is being made.
    pub(crate) fn of_handshake(error: &redis::RedisError) -> Self {
        let hung_up = || Self::Unreachable("it hung up in the handshake".into());
        match error.kind() {
            // An answer that breaks off, as the library puts it.
            redis::ErrorKind::Parse if error.to_string().contains("end of input") => hung_up(),
            redis::ErrorKind::Parse => Self::NotRedis,
            redis::ErrorKind::RESP3NotSupported => Self::TooOld,
            redis::ErrorKind::AuthenticationFailed => Self::Credentials,
            redis::ErrorKind::Io => hung_up(),
            _ => Self::answered(error.code().unwrap_or("ERR"), error.detail().unwrap_or_default()),
        }
    }
}

impl From<RedisError> for BusError {
    fn from(error: RedisError) -> Self {
        let detail = error.to_string().into();
        match error.kind {
            RedisErrorKind::Unreachable(_) | RedisErrorKind::TimedOut | RedisErrorKind::Busy(_) => {
                Self::Unavailable { detail }
            }
            RedisErrorKind::Lost => Self::Lost { detail },
            RedisErrorKind::Tls(_)
            | RedisErrorKind::NotRedis
            | RedisErrorKind::TooOld
            | RedisErrorKind::Credentials
            | RedisErrorKind::Forbidden(_)
            | RedisErrorKind::Refused(_) => Self::Refused { detail },
        }
    }
}

/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The URL is none of Redis.
    #[error("not a URL of Redis: {0}")]
    Url(Box<str>),
    /// The URL asks for TLS, which takes the feature `tls`.
    #[error("rediss:// takes the feature `tls`")]
    NoTls,
    /// The TLS settings of the platform cannot be used.
    #[error("{0}")]
    Tls(Box<str>),
    /// The namespace is longer than 255 bytes, or has a brace in it.
    #[error("a namespace has at most 255 bytes, and no braces")]
    Namespace,
    /// A time is zero, or the shortest pause is longer than the longest.
    #[error("no time may be zero, and `retry_base` not longer than `retry_longest`")]
    Times,
    /// There has to be room for one largest message in the queue, and for less than 4 GiB.
    #[error("`queue` must hold a message of `message` bytes and 1 KiB more, and less than 4 GiB")]
    Queue,
    /// The system does not give the bus a thread.
    #[error("no thread: {0}")]
    Thread(Box<str>),
}
