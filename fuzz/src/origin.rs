//! The header `Origin` of a request, and `Host`.

use http::Request;
use http::header::{HOST, HeaderValue, ORIGIN};
use wirestream_websocket::{Origins, check_request};

/// An origin, and after a zero byte a host.
///
/// The page is let in only if its origin is one that is allowed, as a reader with one simple idea of
/// an origin sees it; and what can be allowed is let in once it is (R-WS-7).
pub fn origin(data: &[u8]) {
    let zero = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (origin, host) = (&data[..zero], data.get(zero + 1..).unwrap_or_default());
    let (Ok(of_page), Ok(asked_for)) =
        (HeaderValue::from_bytes(origin), HeaderValue::from_bytes(host))
    else {
        return;
    };
    assert!(admits(&Origins::any(), &of_page, &asked_for));
    assert!(!admits(&Origins::default(), &of_page, &asked_for), "a page was let in");

    let text = origin.to_ascii_lowercase();
    let ours = Origins::default().allow("https://app.example.com").expect("an origin");
    if admits(&ours, &of_page, &asked_for) {
        let rest = text.strip_prefix(b"https://app.example.com").expect("that host");
        assert!(rest.is_empty() || port(rest) == Some(443), "{}", text.escape_ascii());
    }
    if admits(&Origins::default().same_host(), &of_page, &asked_for) {
        let (default, authority) = match text.strip_prefix(b"https://") {
            Some(authority) => (443, authority),
            None => (80, text.strip_prefix(b"http://").expect("a page of the web")),
        };
        let host = host.to_ascii_lowercase();
        let ([page, of], [this, at]) = (parts(authority), parts(&host));
        assert!(page == this || page.starts_with(b"["), "{}", text.escape_ascii());
        assert_eq!(port(of).unwrap_or(default), port(at).unwrap_or(default));
    }
    let Ok(text) = std::str::from_utf8(origin) else { return };
    match Origins::default().allow(text) {
        Ok(listed) => {
            assert!(admits(&listed, &of_page, &asked_for), "{text} is allowed and was refused");
            assert!(!admits(&listed, &HeaderValue::from_static("null"), &asked_for));
        }
        Err(error) => assert!(error.to_string().contains(text)),
    }
}

fn admits(origins: &Origins, origin: &HeaderValue, host: &HeaderValue) -> bool {
    let mut request = Request::get("/")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "wirestream.v1")
        .body(())
        .expect("a request");
    request.headers_mut().insert(HOST, host.clone());
    request.headers_mut().insert(ORIGIN, origin.clone());
    check_request(&request, origins).is_ok()
}

/// The host, and what is behind it.
fn parts(authority: &[u8]) -> [&[u8]; 2] {
    let brackets = authority.iter().position(|&byte| byte == b']').map_or(0, |end| end + 1);
    let colon = authority.iter().skip(brackets).position(|&byte| byte == b':');
    let (host, port) = authority.split_at(colon.map_or(authority.len(), |at| brackets + at));
    [host, port]
}

/// `:` and a number, with as many zeros before it as one likes.
fn port(text: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(text.strip_prefix(b":")?).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}
