//! What a campaign begins with: the specification's test vectors, as the targets read them.

use serde_json::Value as Json;
use wirestream::{Fields, Object, Value, fuzz};

use crate::connection::step;

pub(crate) fn frames() -> Vec<Vec<u8>> {
    let files = [
        include_str!("../../spec/vectors/frames.json"),
        include_str!("../../spec/vectors/bad-frames.json"),
    ];
    let packets = files.iter().flat_map(|file| cases(file)).map(|case| hex(&case["hex"]));
    packets.filter(|packet| packet.len() < MOST).collect()
}

pub(crate) fn packets() -> Vec<Vec<u8>> {
    let mut packets = frames();
    // Runs of messages, which are taken in one piece: within a half's window, and beyond it.
    let small = [0x05, 0x03, 1, 1, 7];
    let large = [&[0x05, 0xd2, 0x01, 1, 1][..], &[7; 208]].concat();
    let mixed = [&small, &large[..], &small].concat();
    packets.extend([small.repeat(9), small.repeat(300), mixed.repeat(2)]);
    packets.iter().flat_map(|packet| (0..5).map(|state| prefixed(state, packet))).collect()
}

pub(crate) fn hellos() -> Vec<Vec<u8>> {
    let hellos = frames().into_iter().filter(|packet| packet.first() == Some(&1));
    hellos.flat_map(|packet| [0, 1].map(|role| prefixed(role, &packet[2..]))).collect()
}

/// Each case of the connections as steps, as far as there is a step for it.
pub(crate) fn connections() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for case in cases(include_str!("../../spec/vectors/connections.json")) {
        let server = if case["role"] == "server" { step::SERVER } else { 0 };
        let mut seed = vec![server];
        for steps in case["steps"].as_array().expect("steps") {
            for (name, content) in steps.as_object().expect("a step") {
                steps_of(name, content, &mut seed);
            }
        }
        seeds.extend(Some(seed).filter(|seed| seed.len() < MOST));
    }
    seeds
}

/// Longer seeds slow a campaign down more than they help it.
const MOST: usize = 2_000;

fn steps_of(name: &str, content: &Json, seed: &mut Vec<u8>) {
    let step: &[u8] = match name {
        "in" => {
            let packet = hex(content);
            let len = u16::try_from(packet.len()).unwrap_or(u16::MAX);
            seed.push(step::PACKET);
            seed.extend(len.to_le_bytes());
            seed.extend(packet.into_iter().take(len.into()));
            return;
        }
        "out" | "goodbye" => &[step::TRANSMIT],
        "time" => &[step::TIME, 250],
        "eof" => &[step::EOF],
        "text" => &[step::OTHER, 1],
        "set_token" => &[step::OTHER, 2, 5],
        "close" => &[step::CLOSE],
        "shutdown" => &[step::SHUTDOWN, 10],
        "open" | "open_refused" => &[step::OPEN, 2, 10, 0],
        "take_request" | "accept" => &[step::ACCEPT, 0],
        "reject" => &[step::REJECT, 0],
        "send" => &[step::SEND, 0, 1, 5, 0],
        "finish" => &[step::FINISH, 0, 1, 0],
        "fail" => &[step::FINISH, 0, 0, 3],
        "recv" | "recv_end" => &[step::RECV, 0, 1, 1],
        "stop" => &[step::STOP, 0, 1],
        "release" => &[step::RELEASE, 0],
        _ => &[],
    };
    seed.extend(step);
}

pub(crate) fn envelopes() -> Vec<Vec<u8>> {
    let sealed = [&[1, 2, 3, 4, 5, 6, 7, 8, 9][..], b"payload"].concat();
    vec![sealed[..8].to_vec(), sealed[..9].to_vec(), sealed, vec![2; 12], Vec::new()]
}

/// Calls that are opened, accepted, used in both directions and ended, in a few ways.
pub(crate) fn scripts() -> Vec<Vec<u8>> {
    const CALL: [u8; 8] = [2, 10, 50, 4, 3, 0, 41, 50];
    let usual = [0b10_10_10_10, 0xff, 5, 0];
    let narrow = [0; 7];
    let endings: [&[u8]; 8] = [
        &[16, 0, 5, 144, 0, 5],
        &[17, 0, 5, 145, 0, 5],
        &[27, 0, 50, 7, 155, 0],
        &[29, 0, 50, 7],
        &[31],
        &[32, 10, 38, 200],
        &[34],
        &[35, 2, 7, 0, 100, 50, 7],
    ];
    let mut seeds = Vec::new();
    for limits in [[&usual[..3], &usual].concat(), narrow.to_vec()] {
        for ending in endings {
            for size in [5, 0x90, 0x9b, 0xb3] {
                let talk = [7, 0, size, 135, 0, size, 50, 3, 147, 0, 9, 24, 0, 50, 2];
                seeds.push([&limits[..], &CALL, &talk, &talk, ending, &[50, 7]].concat());
            }
        }
    }
    seeds
}

pub(crate) fn payloads() -> Vec<Vec<u8>> {
    let files = [
        include_str!("../../spec/vectors/payloads.json"),
        include_str!("../../spec/vectors/bad-payloads.json"),
    ];
    let payloads = files.iter().flat_map(|file| cases(file)).map(|case| hex(&case["hex"]));
    let mut payloads: Vec<_> = payloads.filter(|payload| payload.len() < MOST).collect();
    payloads.extend([vec![1; 64], vec![0; 64], vec![0xff, 0xff, 0xff, 0xff, 0x0f]]);
    (0..12).flat_map(|kind| payloads.iter().map(move |payload| prefixed(kind, payload))).collect()
}

pub(crate) fn values() -> Vec<Vec<u8>> {
    let object = |name: &str, variant: Option<&str>, fields| -> Value {
        Object { name: name.into(), variant: variant.map(Into::into), fields }.into()
    };
    let account = Fields::Named(vec![
        ("id".into(), Value::from(u128::MAX)),
        ("initial".into(), Value::from('x')),
        ("position".into(), Value::List(vec![1.5_f32.into(), 2.5_f64.into()])),
        ("roles".into(), Value::List(vec![object("Role", Some("Guest"), Fields::Unit)])),
        ("settings".into(), Value::Map(Vec::new())),
        ("parent".into(), Value::Null),
        ("extra".into(), Value::Some(Box::new(Value::Null))),
    ]);
    let member = Fields::Tuple(vec![7.into()]);
    let values = [
        Value::Null,
        true.into(),
        (-300).into(),
        u128::MAX.into(),
        1.5_f32.into(),
        f64::NAN.into(),
        "text".into(),
        Value::Bytes(vec![0; 20]),
        Value::List(vec![1.into(), 2.5_f32.into(), Value::List(vec!["a".into()])]),
        Value::Map(vec![("a".into(), Value::List(vec![1.into(), Value::Null]))]),
        object("Role", Some("Member"), member),
        object("Account", None, account),
        Value::Some(Box::new(Value::Some(Box::new(Value::Null)))),
    ];
    values.iter().map(|value| fuzz::encode(value).expect("a value")).collect()
}

pub(crate) fn handshakes() -> Vec<Vec<u8>> {
    const GOOD: &str = "GET /path HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive, Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: chat, wirestream.v1\r\n";
    let more = [
        "",
        "Origin: https://app.example.com\r\n",
        "Origin: http://localhost:8080\r\n",
        "Origin: null\r\nOrigin: null\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
    ];
    let mut requests: Vec<String> = more.iter().map(|more| format!("{GOOD}{more}\r\n")).collect();
    requests.push(format!("{GOOD}\r\n\u{1}"));
    requests.push(GOOD.replace("GET", "POST") + "\r\n");
    requests.push(GOOD.replace("13", "8") + "\r\n");
    requests.push("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".into());
    requests.push("\u{16}\u{3}\u{1}".into());
    let flags = [0, 1, 2, 3, 0x86];
    let with = |request: &String| flags.map(|flags| prefixed(flags, request.as_bytes()));
    requests.iter().flat_map(with).collect()
}

pub(crate) fn origins() -> Vec<Vec<u8>> {
    [
        "https://app.example.com\0app.example.com",
        "HTTPS://APP.EXAMPLE.COM:0443\0app.example.com:443",
        "http://127.0.0.1:8080\u{0}127.0.0.1:8080",
        "http://[::1]\0[0:0::1]:80",
        "https://app.example.com.evil\0app.example.com",
        "https://app.example.com@evil\0",
        "null\0localhost",
        "chrome-extension://abcdef\0",
        "https://app.example.com/\0",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}

pub(crate) fn addresses() -> Vec<Vec<u8>> {
    [
        "ws://127.0.0.1:8080",
        "ws://localhost",
        "WS://[::1]:9000/path?query",
        "wss://example.com/a/b",
        "ws://user:password@example.com",
        "ws://example.com:0",
        "ws://example.com:70000",
        "ws://example.com#fragment",
        "http://example.com",
        "example.com",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect()
}

fn prefixed(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}

fn cases(file: &str) -> Vec<Json> {
    serde_json::from_str(file).expect("a list of cases")
}

/// As `spec/vectors/README.md` says.
fn hex(text: &Json) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.as_str().expect("digits").split_whitespace() {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        let byte = |place| u8::from_str_radix(&digits[place..place + 2], 16).expect("a byte");
        let part: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        bytes.extend(part.repeat(times.parse().expect("how many times")));
    }
    bytes
}
