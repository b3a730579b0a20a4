//! The request that a client's WebSocket begins with.

use wirestream::wire::SUBPROTOCOL;
use wirestream_websocket::{Answer, MAX_HEAD, Origins, answer};

use crate::input::Input;

/// The first byte says which pages are allowed and where the request is cut, the others are it.
///
/// However it is cut, what a client is told does not change once it is told; whoever is let in has
/// sent a whole request, which is a WebSocket's, and comes from no page that is not allowed; whoever
/// is not reads why.
pub fn handshake(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let request = input.rest();
    let origins = match flags & 3 {
        0 => Origins::default(),
        1 => Origins::any(),
        2 => Origins::default().same_host(),
        _ => Origins::default().allow("https://app.example.com").expect("an origin"),
    };
    let under_tls = flags & 4 != 0;
    let whole = answer(request, &origins, under_tls);
    let cut = request.len() * usize::from(flags >> 3) / 31;
    match (answer(&request[..cut], &origins, under_tls), &whole) {
        (Answer::ReadOn, _) => {}
        (Answer::Accepted(_), whole) if cut < request.len() => {
            assert!(matches!(whole, Answer::Refused(..)), "it went on too early");
        }
        (Answer::Refused(..), Answer::Refused(..)) => {}
        (told, whole) => assert_eq!(&told, whole),
    }
    match whole {
        Answer::ReadOn => assert!(request.len() < MAX_HEAD),
        Answer::Accepted(response) => {
            let head = lines(request);
            let response = lines(&response);
            assert!(head[0].starts_with("get "), "{}", head[0]);
            assert!(values(&head, "sec-websocket-protocol").any(|list| list.contains(SUBPROTOCOL)));
            assert_eq!(values(&head, "sec-websocket-version").next(), Some("13"));
            assert!(values(&head, "upgrade").any(|to| to == "websocket"));
            let pages = values(&head, "origin").count();
            assert!(pages == 0 || flags & 3 != 0, "a page was let in");
            assert!(pages <= 1 || flags & 3 == 1, "two pages were let in");
            assert!(response[0].starts_with("http/1.1 101 "));
            assert!(values(&response, "sec-websocket-protocol").eq([SUBPROTOCOL]));
            assert_eq!(values(&response, "sec-websocket-extensions").count(), 0);
            assert_eq!(values(&response, "sec-websocket-accept").count(), 1);
        }
        Answer::Refused(refusal, response) => {
            let told = lines(&response);
            let status = format!("http/1.1 {} ", refusal.status().as_u16());
            assert!(told[0].starts_with(&status), "{}", told[0]);
            assert!(values(&told, "connection").any(|value| value == "close"));
            let body = refusal.response().into_body();
            assert!(values(&told, "content-length").eq([&*body.len().to_string()]));
            assert!(response.ends_with(body.as_bytes()));
        }
    }
}

/// The lines of a head, in lower case.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let text = text.trim_start_matches(['\r', '\n']);
    text.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

/// The values of a header.
fn values<'a>(lines: &'a [String], name: &'a str) -> impl Iterator<Item = &'a str> {
    lines.iter().skip(1).filter_map(move |line| {
        let (of, value) = line.split_once(':')?;
        (of == name).then(|| value.trim())
    })
}
