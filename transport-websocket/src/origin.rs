use std::net::Ipv6Addr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

#[cfg(test)]
mod tests;

/// Which web pages may connect (R-WS-7).
///
/// A browser lets any page connect to any server, and says in the header `Origin` where the page
/// comes from. Refusing it is up to the server, and it must: otherwise whatever page somebody looks
/// at reaches the servers that only their machine can reach. So by default no page may connect.
/// Whoever sends no `Origin` may: that is no browser, and could send what it likes. It is no check
/// of who the user is, which is what a token is for.
///
/// ```
/// use wirestream_websocket::Origins;
///
/// # fn run() -> Result<(), wirestream_websocket::OriginError> {
/// let ours = Origins::default().allow("https://app.example.com")?.allow("http://localhost:3000")?;
/// let pages_of_this_server = Origins::default().same_host();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    same_host: bool,
    listed: Vec<Origin>,
}

impl Origins {
    /// Every page of everybody. For servers that have nothing to tell that is not public.
    pub fn any() -> Self {
        Self { any: true, ..Self::default() }
    }

    /// Allows pages of this origin too: a scheme, a host, and a port unless it is the scheme's own,
    /// as in `https://app.example.com` or `http://127.0.0.1:8080`. All three must be equal.
    ///
    /// Pages without an origin, which browsers call `null`, cannot be listed: a sandboxed frame of
    /// anybody's is one of them.
    ///
    /// # Errors
    /// It is not an origin; a URL with a path is none.
    pub fn allow(mut self, origin: &str) -> Result<Self, OriginError> {
        match Origin::parse(origin) {
            Some(origin) => self.listed.push(origin),
            None => return Err(OriginError(origin.into())),
        }
        Ok(self)
    }

    /// Allows pages from where the client connects to, too: those whose host and port are the ones
    /// in the request's `Host`. Behind a proxy that must be the `Host` that the browser has sent.
    /// Where this process ends TLS for the connection itself, pages without TLS stay refused.
    ///
    /// Where the server can be reached by an address only, as on loopback or in a private network,
    /// [`allow`](Self::allow) is stronger: somebody else's domain may be made to lead there, and
    /// then its pages count as of the same host.
    pub fn same_host(mut self) -> Self {
        self.same_host = true;
        self
    }

    /// Whether a request with these headers comes from a page that may connect, or from none.
    /// `under_tls` if it is known to have come under TLS.
    pub(crate) fn admit(&self, headers: &HeaderMap, under_tls: bool) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        if self.any {
            return true;
        }
        let origin = origin.to_str().ok().and_then(Origin::parse);
        let (Some(origin), None) = (origin, origins.next()) else { return false };
        self.listed.contains(&origin) || (self.same_host && origin.is_asked_for(headers, under_tls))
    }
}

/// What was to be allowed is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin: a browser writes scheme://host or scheme://host:port")]
pub struct OriginError(Box<str>);

/// Where a page comes from, in one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: Box<str>,
    host: Box<str>,
    /// None for a scheme that has no port of its own.
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let (host, port) = host_and_port(authority)?;
        let port = port.or(port_of(&scheme));
        is_scheme.then(|| Self { scheme: scheme.into(), host, port })
    }

    /// Whether this is where the request goes to.
    fn is_asked_for(&self, headers: &HeaderMap, under_tls: bool) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Some((host, port)) = host.to_str().ok().and_then(host_and_port) else { return false };
        let is_of_the_web = match &*self.scheme {
            "https" => true,
            // What stands before this server may have ended TLS: then nobody knows here.
            "http" => !under_tls,
            _ => false,
        };
        is_of_the_web && host == self.host && port.or(port_of(&self.scheme)) == self.port
    }
}

fn port_of(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// A host in one spelling, and the port if there is one. No credentials, no path, no escapes.
fn host_and_port(authority: &str) -> Option<(Box<str>, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if host.is_empty() || !host.bytes().all(is_part) {
                return None;
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        Some(_) => return None,
    };
    Some((host.into(), port))
}
