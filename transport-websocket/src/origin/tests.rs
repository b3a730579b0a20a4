use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};

use super::{OriginError, Origins};

fn headers(host: &str, origins: &[&str]) -> HeaderMap {
    let host = (HOST, host);
    let origins = origins.iter().map(|origin| (ORIGIN, *origin));
    let value = |(name, value)| -> (HeaderName, _) {
        (name, HeaderValue::from_bytes(str::as_bytes(value)).unwrap())
    };
    [host].into_iter().chain(origins).fold(HeaderMap::new(), |mut headers, header| {
        let (name, value) = value(header);
        headers.append(name, value);
        headers
    })
}

#[track_caller]
fn check(origins: &Origins, origin: &str, admitted: bool) {
    let found = origins.admit(&headers("server:8080", &[origin]), false);
    assert_eq!(found, admitted, "{origin:?} under {origins:?}");
}

/// Admits and refuses by one entry.
fn check_listed(listed: &str, same: &[&str], others: &[&str]) {
    let origins = Origins::default().allow(listed).unwrap();
    same.iter().for_each(|origin| check(&origins, origin, true));
    others.iter().for_each(|origin| check(&origins, origin, false));
}

/// R-WS-7
#[test]
fn an_origin_is_its_scheme_its_host_and_its_port() {
    check_listed(
        "https://app.example.com",
        &["https://app.example.com", "https://app.example.com:443", "HTTPS://App.Example.COM"],
        &[
            "http://app.example.com",
            "http://app.example.com:443",
            "https://app.example.com:8443",
            "https://app.example.com:80",
            "https://example.com",
            "https://app.example.com.evil.com",
            "https://evil-app.example.com",
            "https://evilapp.example.com",
            "https://app.example.com.",
            "https://app-example.com",
            "https://app.example.co",
            "https://app.example.com@evil.com",
            "https://evil.com/app.example.com",
            "https://evil.com#app.example.com",
            "wss://app.example.com",
            "app.example.com",
            "//app.example.com",
            "https:app.example.com",
        ],
    );
    check_listed(
        "http://localhost:3000",
        &["http://localhost:3000", "http://LOCALHOST:3000"],
        &[
            "http://localhost",
            "http://localhost:30000",
            "http://localhost:300",
            "http://localhost:3001",
            "https://localhost:3000",
            "http://127.0.0.1:3000",
            "http://localhost:3000/",
            "http://localhost:+3000",
            "http://localhost:3000:3000",
            "http://localhost:",
            "http://localhost:68536",
        ],
    );
    check_listed("http://Example.com:80", &["http://example.com"], &["https://example.com"]);
    check_listed(
        "tauri://localhost",
        &["tauri://localhost"],
        &["http://localhost", "https://localhost", "tauri://localhost:80", "xtauri://localhost"],
    );
}

/// R-WS-7
#[test]
fn an_ipv6_address_has_one_spelling() {
    check_listed(
        "http://[::1]:8080",
        &["http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080"],
        &[
            "http://[::2]:8080",
            "http://[::1]",
            "http://::1:8080",
            "http://[::1]8080",
            "http://[::1]:8080]",
            "http://[::1%25lo]:8080",
            "http://127.0.0.1:8080",
        ],
    );
    check_listed("https://[2001:DB8::A]", &["https://[2001:db8::a]:443"], &[]);
}

/// R-WS-7
#[test]
fn what_is_no_origin_or_more_than_one_is_refused() {
    let listed = Origins::default().allow("https://a.example").unwrap().same_host();
    for origin in
        ["", "null", "NULL", " ", "*", "https://", "file://", "https://a.example https://a.example"]
    {
        check(&listed, origin, false);
    }
    let both = headers("server", &["https://a.example", "https://a.example"]);
    assert!(!listed.admit(&both, false));
    let mut odd = headers("server", &[]);
    odd.insert(ORIGIN, HeaderValue::from_bytes(b"https://a.example\xff").unwrap());
    assert!(!listed.admit(&odd, false));
}

/// R-WS-7
#[test]
fn who_is_no_page_is_admitted_and_a_page_is_not_unless_it_is_allowed() {
    for origins in [
        Origins::default(),
        Origins::default().same_host(),
        Origins::any(),
        Origins::default().allow("http://a").unwrap(),
    ] {
        assert!(origins.admit(&headers("server:8080", &[]), false));
        check(&origins, "null", origins == Origins::any());
        check(&origins, "https://b", origins == Origins::any());
    }
    check(&Origins::default(), "http://server:8080", false);
    check(&Origins::any(), "http://server:8080", true);
}

/// R-WS-7
#[test]
fn the_same_host_is_the_one_that_was_asked_for() {
    let origins = Origins::default().same_host();
    for (host, origin, admitted) in [
        ("server:8080", "http://server:8080", true),
        ("Server:8080", "http://sERVER:8080", true),
        ("server", "http://server", true),
        ("server:80", "http://server", true),
        ("server", "https://server", true),
        ("[::1]:8080", "http://[::1]:8080", true),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", true),
        ("server:8080", "http://server", false),
        ("server:8080", "http://server:8081", false),
        ("server", "http://server:8080", false),
        ("server:80", "https://server", false),
        ("server", "http://server.evil.com", false),
        ("server", "http://evil.server", false),
        ("server", "tauri://server", false),
        ("localhost:8080", "http://127.0.0.1:8080", false),
        ("", "http://server", false),
        ("user@server", "http://server", false),
    ] {
        let found = origins.admit(&headers(host, &[origin]), false);
        assert_eq!(found, admitted, "{origin} at {host}");
    }
    let mut twice = headers("server", &["http://server"]);
    twice.append(HOST, HeaderValue::from_static("server"));
    assert!(!origins.admit(&twice, false));
    twice.remove(HOST);
    assert!(!origins.admit(&twice, false));
}

/// R-WS-7
#[test]
fn a_page_without_tls_is_not_of_the_host_that_is_under_tls() {
    let origins = Origins::default().same_host();
    assert!(origins.admit(&headers("server", &["https://server"]), true));
    assert!(!origins.admit(&headers("server", &["http://server"]), true));
    assert!(!origins.admit(&headers("server:8443", &["http://server:8443"]), true));
    let listed = origins.allow("http://server").unwrap();
    assert!(listed.admit(&headers("server", &["http://server"]), true));
}

#[test]
fn what_cannot_be_listed_is_told() {
    for origin in [
        "",
        "null",
        "*",
        "https://*.example.com",
        "example.com",
        "https://example.com/",
        "https://user@example.com",
        "https://bücher.example",
        "1http://example.com",
        "https://example.com:65536",
        "http://[::1",
    ] {
        let error = Origins::default().allow(origin).unwrap_err();
        assert_eq!(error, OriginError(origin.into()));
        assert!(error.to_string().starts_with(&format!("`{origin}` is not an origin")), "{error}");
    }
}
