use std::fmt;

use redis::{ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

use crate::{ConfigError, RedisError, RedisErrorKind};

/// Where Redis is and how to log in there, from a URL.
#[derive(Clone)]
pub(crate) struct Address {
    /// As errors call it: without credentials.
    target: Box<str>,
    pub(crate) place: Place,
    pub(crate) is_tls: bool,
    pub(crate) login: RedisConnectionInfo,
}

/// Where a socket leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(Box<str>, u16),
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

impl Address {
    /// # Errors
    /// The URL is none of Redis. The error does not quote it: it may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, ConfigError> {
        let wrong = |what: &str| ConfigError::Url(what.into());
        let mut url = redis::parse_redis_url(url).ok_or_else(|| {
            wrong("it is like redis://[user:password@]host[:port][/database], or rediss:// for TLS")
        })?;
        if url.fragment().is_some() {
            return Err(wrong("nothing may come after a #"));
        }
        let is_tls = matches!(url.scheme(), "rediss" | "valkeys");
        if is_tls && cfg!(not(feature = "tls")) {
            return Err(ConfigError::NoTls);
        }
        if is_tls && url.set_scheme("redis").is_err() {
            return Err(wrong("it has no host"));
        }
        let info = url.into_connection_info().map_err(|error| {
            // What the library says of a URL is fixed words, its kind aside.
            let words = error.to_string();
            wrong(words.split(" - ").next().unwrap_or("it cannot be used"))
        })?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Place::Tcp(host.as_str().into(), *port),
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Place::Unix(path.clone()),
            _ => return Err(wrong("it names neither a host nor a socket")),
        };
        let login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        // The fewer answers it waits for, the sooner it takes what a server says before it hangs up.
        let login = login.set_skip_set_lib_name();
        Ok(Self { target: target(&place, is_tls, login.db()), place, is_tls, login })
    }

    /// The same login at another node of the cluster.
    pub(crate) fn moved_to(&self, host: &str, port: u16) -> Self {
        let place = Place::Tcp(host.into(), port);
        Self { target: target(&place, self.is_tls, self.login.db()), place, ..self.clone() }
    }

    pub(crate) fn error(&self, kind: RedisErrorKind) -> RedisError {
        let password = self.login.password().filter(|password| !password.is_empty());
        let kind = match password {
            Some(password) => kind.without(password),
            None => kind,
        };
        RedisError { target: self.target.clone(), kind }
    }
}

fn target(place: &Place, is_tls: bool, database: i64) -> Box<str> {
    let scheme = if is_tls { "rediss" } else { "redis" };
    let target = match place {
        Place::Tcp(host, port) if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
        Place::Tcp(host, port) => format!("{scheme}://{host}:{port}"),
        #[cfg(unix)]
        Place::Unix(path) => format!("unix://{}", path.display()),
    };
    if database == 0 { target.into() } else { format!("{target}/{database}").into() }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target)
    }
}

/// Without the password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, Place, Option<String>, Option<String>) {
        let address = Address::parse(url).unwrap();
        let login = |part: Option<&str>| part.map(str::to_owned);
        let (user, password) = (login(address.login.username()), login(address.login.password()));
        (address.to_string(), address.place, user, password)
    }

    #[test]
    fn an_error_that_quotes_the_password_does_not_show_it() {
        let address = Address::parse("redis://:s3cret@127.0.0.1").expect("a URL");
        let answer = RedisErrorKind::answered("ERR", "cannot AUTH 's3cret' here");
        assert_eq!(
            address.error(answer).to_string(),
            "Redis at redis://127.0.0.1:6379 refused: cannot AUTH '***' here"
        );
    }

    #[test]
    fn a_url_says_where_redis_is_and_who_logs_in() {
        let tcp = |host: &str, port| Place::Tcp(host.into(), port);
        let some = |text: &str| Some(text.to_owned());
        for (url, target, place, user, password) in [
            ("redis://host", "redis://host:6379", tcp("host", 6379), None, None),
            ("valkey://host:1/2", "redis://host:1/2", tcp("host", 1), None, None),
            ("redis://[::1]:7", "redis://[::1]:7", tcp("::1", 7), None, None),
            ("redis://:p%40ss@h", "redis://h:6379", tcp("h", 6379), None, some("p@ss")),
            ("redis://me:pass@h", "redis://h:6379", tcp("h", 6379), some("me"), some("pass")),
            ("redis://h?protocol=resp2", "redis://h:6379", tcp("h", 6379), None, None),
        ] {
            assert_eq!(parsed(url), (target.to_owned(), place, user, password), "{url}");
        }
        #[cfg(unix)]
        {
            let place = Place::Unix("/run/redis.sock".into());
            let expected = ("unix:///run/redis.sock".to_owned(), place, None, None);
            assert_eq!(parsed("redis+unix:///run/redis.sock"), expected);
        }
    }

    #[test]
    fn what_is_no_url_of_redis_is_told_without_its_password() {
        for url in [
            "",
            "host:6379",
            "http://me:canary@host",
            "redis://me:canary@host/database",
            "redis://me:canary@host:port",
            "redis://me:canary@0.0.0.0",
            "redis://",
            "rediss://me:canary@host#insecure",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, ConfigError::Url(_)), "{url}: {error:?}");
            assert!(!format!("{error:?} {error}").contains("canary"), "{url}: {error}");
        }
        let address = Address::parse("redis://me:canary@host").unwrap();
        let error = address.error(RedisErrorKind::Lost);
        assert!(!format!("{address:?} {address} {error:?} {error}").contains("canary"));
    }

    #[test]
    fn tls_is_a_matter_of_the_scheme_and_of_the_feature() {
        let parsed = Address::parse("rediss://me:pass@host:1/3");
        if cfg!(feature = "tls") {
            let address = parsed.unwrap();
            assert!(address.is_tls);
            assert_eq!(address.to_string(), "rediss://host:1/3");
            assert_eq!(address.login.password(), Some("pass"));
            assert_eq!(address.moved_to("other", 2).to_string(), "rediss://other:2/3");
        } else {
            assert_eq!(parsed.unwrap_err(), ConfigError::NoTls);
        }
    }
}
