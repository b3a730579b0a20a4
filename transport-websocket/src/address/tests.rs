use wirestream::ConnectErrorKind;

use super::Address;

#[test]
fn a_url_says_host_and_port() {
    for (url, host, port, target) in [
        ("ws://localhost:8080/streams", "localhost", 8080, "ws://localhost:8080/streams"),
        ("ws://example.com", "example.com", 80, "ws://example.com/"),
        ("ws://[::1]:9000", "::1", 9000, "ws://[::1]:9000/"),
        ("ws://10.0.0.1:1/@me", "10.0.0.1", 1, "ws://10.0.0.1:1/@me"),
    ] {
        let address = Address::parse(url).unwrap();
        assert_eq!((address.host(), address.port()), (host, port), "{url}");
        assert_eq!(&*address.error(ConnectErrorKind::TimedOut, "").target, target);
    }
}

#[test]
fn a_query_is_sent_and_never_shown() {
    let address = Address::parse("ws://localhost:8080/streams?key=canary").unwrap();
    assert_eq!(address.uri().query(), Some("key=canary"));
    assert_eq!(
        &*address.error(ConnectErrorKind::TimedOut, "").target,
        "ws://localhost:8080/streams"
    );
}

#[test]
fn what_is_not_a_usable_url_is_refused_in_words() {
    for (url, detail) in [
        #[cfg(not(feature = "tls"))]
        ("wss://example.com", "wss:// needs the feature `tls`, which is missing"),
        ("http://example.com", "a URL that starts with ws:// or wss:// is needed"),
        ("example.com", "a URL that starts with ws:// or wss:// is needed"),
        ("/path", "a URL that starts with ws:// or wss:// is needed"),
        ("ws://example.com:0", "nobody listens on port 0"),
        ("ws://example.com:66000", "the port is not a number up to 65535"),
        ("ws://example.com/#part", "a WebSocket URL has no fragment (#)"),
        ("ws://[]:80/", "no host in it"),
        ("ws://a[::1]:80/", "brackets stand around an IPv6 address, and nowhere else"),
        ("ws://[localhost]/", "brackets stand around an IPv6 address, and nowhere else"),
    ] {
        let error = Address::parse(url).unwrap_err();
        assert_eq!(error.kind, ConnectErrorKind::Address, "{url}");
        assert_eq!(&*error.detail, detail, "{url}");
        assert!(!error.kind.is_retryable());
    }
    for url in ["", "ws://", "ws:///path", "ws://a b", "ws://exämple.com", "\0"] {
        assert_eq!(Address::parse(url).unwrap_err().kind, ConnectErrorKind::Address, "{url:?}");
    }
}

#[test]
fn credentials_in_a_url_are_refused_and_not_shown() {
    for url in [
        "ws://canary:secret@example.com/path",
        "ws://canary@example.com",
        "ws://canary:sec/ret@example.com",
        "ws://canary:sec ret@example.com",
        "wss://canary:secret@example.com/?token=canary",
        "canary:secret@example.com",
        "ws://@/canary:secret@example.com:x",
    ] {
        let error = Address::parse(url).unwrap_err();
        assert_eq!(error.kind, ConnectErrorKind::Address, "{url}");
        let shown = format!("{error} {error:?}");
        for secret in ["canary", "secret", "sec", "ret"] {
            assert!(!shown.contains(secret), "{url}: {shown}");
        }
    }
}

#[test]
fn an_adapter_without_tls_never_dials_wss_in_the_clear() {
    let plain = |url| Address::parse(url).and_then(|address| address.check_plain());
    assert_eq!(plain("ws://example.com"), Ok(()));
    for url in ["wss://example.com", "wss://example.com:80/path"] {
        let error = plain(url).unwrap_err();
        assert_eq!(error.kind, ConnectErrorKind::Address, "{url}");
        assert_eq!(&*error.detail, "wss:// needs the feature `tls`, which is missing", "{url}");
    }
}
