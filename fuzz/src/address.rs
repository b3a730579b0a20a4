//! The URL that a client connects to.

use http::header::HOST;
use wirestream::ConnectErrorKind;
use wirestream_websocket::{Address, Headers, request};

const SECRET: &str = "canary";

/// What is a URL has a host and a port, and its handshake asks for them; of what is none no
/// credentials are shown.
pub fn address(data: &[u8]) {
    let Ok(url) = std::str::from_utf8(data) else { return };
    match Address::parse(url) {
        Ok(address) => {
            assert!(!address.host().is_empty() && !address.host().contains(['@', '/', '[', ']']));
            assert_ne!(address.port(), 0);
            // Of the second where another crate of the build has the feature `tls`.
            let scheme = url.split("://").next().unwrap_or_default();
            assert!(
                ["ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)),
                "{scheme}"
            );
            let request = request(&address, &Headers::default());
            let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
            let host = host.expect("a host that is text");
            assert!(host.contains(address.host()) && url.contains(host), "{host}");
            let shown = address.error(ConnectErrorKind::Unreachable, "").to_string();
            assert!(!shown.contains('?'), "{shown}");
        }
        Err(error) => assert_eq!(error.kind, ConnectErrorKind::Address),
    }
    let with_credentials = format!("ws://user:{SECRET}@{url}");
    if !url.contains(SECRET)
        && let Err(error) = Address::parse(&with_credentials)
    {
        assert!(!error.to_string().contains(SECRET), "{error}");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    } else if let Ok(address) = Address::parse(&with_credentials) {
        panic!("{address:?} has credentials");
    }
}
