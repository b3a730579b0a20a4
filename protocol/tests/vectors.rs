//! Runs the test vectors of `spec/vectors`, which are data so that every implementation can.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Deserializer};
use wirestream_protocol::wire::{AwayCode, FaultCode, Frame, Hello, Open, frames};
use wirestream_protocol::{
    Announced, CallId, CloseReason, Config, Connection, End, Event, Fault, Inbound, Limits,
    OpenError, Outbound, Outcome, Received, RejectCode, Rejection, Request, Role, SendError, Time,
    Token, Violation,
};

const FRAMES: &str = include_str!("../../spec/vectors/frames.json");
const BAD_FRAMES: &str = include_str!("../../spec/vectors/bad-frames.json");
const CONNECTIONS: &str = include_str!("../../spec/vectors/connections.json");

/// Every frame decodes to its fields, and its fields encode to it (R-FRAME-1, R-FRAME-4,
/// R-VARINT-1, R-TEXT-1, R-REJECT-1, R-ERROR-1, R-AWAY-3, R-HELLO-7, R-HELLO-8).
#[test]
fn frames_mean_what_the_vectors_say() {
    let cases: Vec<FrameCase> = read(FRAMES);
    assert_eq!(cases.len(), 92);
    for case in cases {
        let packet = hex(&case.hex);
        let decoded: Vec<_> = frames(&packet).collect();
        case.frame.with(|expected| {
            assert_eq!(decoded, [Ok(expected.clone())], "{}", case.name);
            let mut encoded = BytesMut::new();
            expected.encode(&mut encoded);
            assert_eq!(encoded[..] == packet[..], case.encodes, "{}: {encoded:02x?}", case.name);
        });
    }
}

/// Every bad packet breaks the rule that is named (R-FRAME-2, R-FRAME-3, R-FRAME-5, R-VARINT-1,
/// R-VARINT-2, R-TEXT-1, R-HELLO-7, R-OPEN-9, R-ERROR-2).
#[test]
fn bad_frames_break_the_rule_that_the_vectors_name() {
    let cases: Vec<BadFrameCase> = read(BAD_FRAMES);
    assert_eq!(cases.len(), 77);
    for case in cases {
        let packet = hex(&case.hex);
        let violation = frames(&packet).find_map(Result::err);
        assert_eq!(violation.map(Violation::rule), Some(&*case.rule), "{}", case.name);
    }
}

/// Every sequence goes as it is written, and the credit's books are in order after each step
/// (R-CREDIT-8). Each case names the rules that it is about.
#[test]
fn connections_go_as_the_vectors_say() {
    let cases: Vec<ConnectionCase> = read(CONNECTIONS);
    assert_eq!(cases.len(), 204);
    for case in cases {
        assert!(!case.rules.is_empty(), "{}", case.name);
        let mut run = Run::new(&case);
        for (number, step) in case.steps.iter().enumerate() {
            run.place = format!("{}, step {number} ({step:?})", case.name);
            run.step(step);
            assert_eq!(run.connection.audit(), Ok(()), "{}", run.place);
        }
        let end = run.connection.closed().map(close_reason);
        assert_eq!(end, case.end, "{}", case.name);
    }
}

/// The examples in the specification's prose are frames, and canonical ones (R-FRAME-3).
#[test]
fn the_examples_of_the_specification_decode() {
    let pages = [
        include_str!("../../spec/wire.md"),
        include_str!("../../spec/implementing.md"),
        include_str!("../../spec/payloads.md"),
    ];
    let examples: Vec<_> = pages.iter().flat_map(|page| page.split("```hex\n").skip(1)).collect();
    assert_eq!(examples.len(), 11);
    for example in examples {
        let lines = example.split("```").next().unwrap().lines();
        let digits = lines.filter_map(|line| line.split("  ").next());
        let packet = hex(&digits.collect::<Vec<_>>().join(" "));
        let mut again = BytesMut::new();
        for frame in frames(&packet) {
            frame.unwrap_or_else(|violation| panic!("{violation}: {example}")).encode(&mut again);
        }
        assert_eq!(again, packet, "{example}");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameCase {
    name: String,
    hex: String,
    /// Whether the fields encode to the same bytes: not where a reader read over something.
    encodes: bool,
    frame: FrameFields,
}

#[derive(Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
enum FrameFields {
    Hello {
        major: u64,
        minor: u64,
        limits: LimitFields,
        #[serde(deserialize_with = "nullable")]
        token: Option<String>,
    },
    HelloOther {
        major: u64,
    },
    Open {
        call: u32,
        parameters: u8,
        method: String,
        #[serde(deserialize_with = "nullable")]
        fingerprint: Option<String>,
        #[serde(deserialize_with = "nullable")]
        token: Option<String>,
        metadata: Vec<MetadataFields>,
        arguments: String,
    },
    Accept {
        call: u32,
    },
    Reject {
        call: u32,
        code: String,
        detail: String,
    },
    Message {
        call: u32,
        half: u8,
        payload: String,
    },
    Begin {
        call: u32,
        half: u8,
        total: u32,
        payload: String,
    },
    More {
        call: u32,
        half: u8,
        payload: String,
    },
    Close {
        call: u32,
        half: u8,
    },
    Error {
        call: u32,
        half: u8,
        code: String,
        payload: String,
    },
    Stop {
        call: u32,
        half: u8,
    },
    Credit {
        call: u32,
        half: u8,
        amount: u32,
    },
    Ping {},
    Pong {},
    GoAway {
        code: String,
        detail: String,
    },
    Token {
        token: String,
    },
    Unknown {
        number: u8,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitFields {
    message: u32,
    chunk: u32,
    request: u32,
    half_window: u32,
    connection_window: u32,
    calls: u32,
    parameters: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetadataFields {
    key: String,
    value: String,
}

impl FrameFields {
    /// Lends the frame that these fields describe.
    fn with(&self, look: impl FnOnce(&Frame<'_>)) {
        let token = |hexed: &Option<String>| hexed.as_ref().map(|token| Token::new(hex(token)));
        match self {
            Self::Hello { major, minor, limits, token: hexed } => {
                assert_eq!(*major, 1);
                let limits = Announced {
                    message: limits.message,
                    chunk: limits.chunk,
                    request: limits.request,
                    half_window: limits.half_window,
                    connection_window: limits.connection_window,
                    calls: limits.calls,
                    parameters: limits.parameters,
                };
                look(&Frame::Hello(Hello::V1 { minor: *minor, limits, token: token(hexed) }));
            }
            Self::HelloOther { major } => look(&Frame::Hello(Hello::Other { major: *major })),
            Self::Open {
                call,
                parameters,
                method,
                fingerprint,
                token: hexed,
                metadata,
                arguments,
            } => {
                let values: Vec<_> = metadata.iter().map(|entry| hex(&entry.value)).collect();
                let keys = metadata.iter().map(|entry| &*entry.key);
                look(&Frame::Open(Open {
                    call: *call,
                    parameters: *parameters,
                    method,
                    fingerprint: fingerprint
                        .as_ref()
                        .map(|bytes| hex(bytes)[..].try_into().unwrap()),
                    token: token(hexed),
                    metadata: keys.zip(values.iter().map(|value| &**value)).collect(),
                    arguments: &hex(arguments),
                }));
            }
            &Self::Accept { call } => look(&Frame::Accept { call }),
            Self::Reject { call, code, detail } => {
                let rejection = Rejection::new(reject_code(code), &**detail);
                look(&Frame::Reject { call: *call, rejection });
            }
            &Self::Message { call, half, ref payload } => {
                look(&Frame::Message { call, half, payload: &hex(payload) });
            }
            &Self::Begin { call, half, total, ref payload } => {
                look(&Frame::Begin { call, half, total, payload: &hex(payload) });
            }
            &Self::More { call, half, ref payload } => {
                look(&Frame::More { call, half, payload: &hex(payload) });
            }
            &Self::Close { call, half } => look(&Frame::Close { call, half }),
            &Self::Error { call, half, ref code, ref payload } => {
                let code = match &**code {
                    "Failed" => FaultCode::Failed,
                    "App" => FaultCode::App,
                    "Cancelled" => FaultCode::Cancelled,
                    "Revoked" => FaultCode::Revoked,
                    other => panic!("unknown code {other}"),
                };
                look(&Frame::Error { call, half, code, payload: &hex(payload) });
            }
            &Self::Stop { call, half } => look(&Frame::Stop { call, half }),
            &Self::Credit { call, half, amount } => look(&Frame::Credit { call, half, amount }),
            Self::Ping {} => look(&Frame::Ping),
            Self::Pong {} => look(&Frame::Pong),
            Self::GoAway { code, detail } => {
                let code = match &**code {
                    "Shutdown" => AwayCode::Shutdown,
                    "Done" => AwayCode::Done,
                    "Violation" => AwayCode::Violation,
                    "Version" => AwayCode::Version,
                    "Timeout" => AwayCode::Timeout,
                    "Expired" => AwayCode::Expired,
                    other => panic!("unknown code {other}"),
                };
                look(&Frame::GoAway { code, detail: (&**detail).into() });
            }
            Self::Token { token } => look(&Frame::Token { token: Token::new(hex(token)) }),
            &Self::Unknown { number } => look(&Frame::Unknown { kind: number }),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BadFrameCase {
    name: String,
    hex: String,
    rule: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionCase {
    name: String,
    rules: Vec<String>,
    role: RoleName,
    limits: LimitChanges,
    steps: Vec<Step>,
    #[serde(deserialize_with = "nullable")]
    end: Option<EndCase>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    Client,
    Server,
}

/// What differs from the defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitChanges {
    message: Option<u32>,
    chunk: Option<u32>,
    request: Option<u32>,
    half_window: Option<u32>,
    connection_window: Option<u32>,
    calls: Option<u32>,
    parameters: Option<u8>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndCase {
    reason: String,
    #[serde(deserialize_with = "nullable")]
    rule: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    In(String),
    Out(String),
    Goodbye { code: u8, starts: String },
    Minor(u64),
    Text {},
    Eof {},
    Time(u64),
    Close {},
    Shutdown { seconds: u64 },
    Open { method: String, parameters: u8, arguments: String },
    OpenRefused { error: String },
    TakeRequest { call: u32, token: Option<String> },
    SetToken(String),
    Accept { call: u32 },
    Reject { call: u32, code: String, detail: String },
    AnswerTooLate { call: u32 },
    Send { call: u32, half: u8, payload: String, result: String },
    Finish { call: u32, half: u8 },
    Fail { call: u32, half: u8, code: String, payload: String },
    Recv { call: u32, half: u8, message: String },
    RecvEnd { call: u32, half: u8, end: String },
    Nothing { call: u32, half: u8 },
    Stop { call: u32, half: u8 },
    Release { call: u32 },
    Ended { call: u32, outcome: String },
}

/// One case on its way.
struct Run {
    connection: Connection,
    calls: BTreeMap<u32, CallId>,
    /// Halves are asked for while their call lives, and used after it too.
    outbound: BTreeMap<(u32, u8), Outbound>,
    inbound: BTreeMap<(u32, u8), Inbound>,
    ended: BTreeMap<u32, String>,
    now: Time,
    place: String,
}

impl Run {
    fn new(case: &ConnectionCase) -> Self {
        let (role, changes) = (case.role, &case.limits);
        let role = match role {
            RoleName::Client => Role::Client,
            RoleName::Server => Role::Server,
        };
        let mut limits = Limits::default();
        limits.message = changes.message.unwrap_or(limits.message);
        limits.chunk = changes.chunk.unwrap_or(limits.chunk);
        limits.request = changes.request.unwrap_or(limits.request);
        limits.half_window = changes.half_window.unwrap_or(limits.half_window);
        limits.connection_window = changes.connection_window.unwrap_or(limits.connection_window);
        limits.calls = changes.calls.unwrap_or(limits.calls);
        limits.parameters = changes.parameters.unwrap_or(limits.parameters);
        let config = Config { limits, token: None };
        Self {
            connection: Connection::new(role, config, Time::ZERO).unwrap(),
            calls: BTreeMap::new(),
            outbound: BTreeMap::new(),
            inbound: BTreeMap::new(),
            ended: BTreeMap::new(),
            now: Time::ZERO,
            place: String::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        let place = &*self.place;
        match step {
            Step::In(packet) => self.connection.handle_message(hex(packet), self.now),
            Step::Out(expected) => {
                let packet = self.connection.poll_transmit(self.now).unwrap_or_default();
                assert_eq!(packet, hex(expected), "{place}");
            }
            Step::Goodbye { code, starts } => {
                let packet = self.connection.poll_transmit(self.now).unwrap_or_default();
                let last = frames(&packet).last();
                let Some(Ok(Frame::GoAway { code: found, detail })) = last else {
                    panic!("{place}: no GoAway in {packet:02x?}")
                };
                assert_eq!(away_number(found), *code, "{place}");
                assert!(detail.starts_with(starts), "{place}: {detail}");
            }
            Step::Minor(minor) => {
                assert_eq!(self.connection.minor_version(), Some(*minor), "{place}");
            }
            Step::Text {} => self.connection.handle_violation(Violation::TextMessage),
            Step::Eof {} => self.connection.handle_eof(),
            Step::Time(seconds) => {
                self.now = Time::from_epoch(Duration::from_secs(*seconds));
                self.connection.handle_timeout(self.now);
            }
            Step::Close {} => self.connection.close(),
            Step::Shutdown { seconds } => {
                self.connection.shutdown(self.now + Duration::from_secs(*seconds));
            }
            Step::Open { method, parameters, arguments } => {
                let request = Request {
                    method: method.clone(),
                    parameters: *parameters,
                    arguments: hex(arguments),
                    ..Request::default()
                };
                let id = self.connection.open(&request).unwrap();
                self.know(id);
            }
            Step::OpenRefused { error } => {
                let refusal = self.connection.open(&Request::default()).unwrap_err();
                assert_eq!((refusal, &**error), (OpenError::GoingAway, "going-away"), "{place}");
            }
            Step::TakeRequest { call, token } => {
                let id = self.call(*call);
                let request = self.connection.call(id).unwrap().take_request();
                let found = request.expect("the call has a request").token;
                let expected = token.as_ref().map(|token| Token::new(hex(token)));
                assert_eq!(found, expected, "{}", self.place);
            }
            Step::SetToken(token) => {
                self.connection.set_token(Token::new(hex(token))).unwrap();
            }
            &Step::Accept { call } => {
                let id = self.call(call);
                self.connection.call(id).unwrap().accept().unwrap();
                self.know(id);
            }
            Step::Reject { call, code, detail } => {
                let id = self.call(*call);
                let rejection = Rejection::new(reject_code(code), &**detail);
                self.connection.call(id).unwrap().reject(rejection).unwrap();
            }
            &Step::AnswerTooLate { call } => {
                let id = self.call(call);
                assert!(self.connection.call(id).unwrap().accept().is_err(), "{}", self.place);
            }
            Step::Send { call, half, payload, result } => {
                let sent = self.connection.send(self.outbound[&(*call, *half)], hex(payload));
                assert_eq!(send_result(&sent), &**result, "{place}");
            }
            &Step::Finish { call, half } => {
                self.connection.finish(self.outbound[&(call, half)], Ok(())).unwrap();
            }
            Step::Fail { call, half, code, payload } => {
                assert_eq!(code, "App", "{place}");
                let fault = Fault::App(hex(payload));
                self.connection.finish(self.outbound[&(*call, *half)], Err(fault)).unwrap();
            }
            Step::Recv { call, half, message } => {
                let received = self.connection.recv(self.inbound[&(*call, *half)]);
                assert_eq!(received, Some(Received::Message(hex(message))), "{place}");
            }
            Step::RecvEnd { call, half, end } => {
                let received = self.connection.recv(self.inbound[&(*call, *half)]);
                let Some(Received::End(found)) = received else { panic!("{place}: {received:?}") };
                assert_eq!(end_name(&found), *end, "{place}");
            }
            &Step::Nothing { call, half } => {
                let received = self.connection.recv(self.inbound[&(call, half)]);
                assert_eq!(received, None, "{place}");
            }
            &Step::Stop { call, half } => self.connection.stop(self.inbound[&(call, half)]),
            &Step::Release { call } => {
                let id = self.call(call);
                self.connection.release(id);
            }
            Step::Ended { call, outcome } => {
                self.take_events();
                assert_eq!(self.ended.get(call), Some(outcome), "{}", self.place);
            }
        }
    }

    fn call(&mut self, number: u32) -> CallId {
        self.take_events();
        self.calls[&number]
    }

    fn take_events(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Incoming(id) => {
                    self.calls.insert(number(id), id);
                }
                Event::Ended(id, outcome) => {
                    let again = self.ended.insert(number(id), outcome_name(&outcome).into());
                    assert_eq!(again, None, "{}: a call ends once", self.place);
                }
                Event::Accepted(_)
                | Event::Readable(_)
                | Event::Writable(_)
                | Event::Stopped(_)
                | Event::Closed(_) => {}
                other => panic!("{}: no name for {other:?}", self.place),
            }
        }
    }

    fn know(&mut self, id: CallId) {
        let call = self.connection.call(id).unwrap();
        self.calls.insert(number(id), id);
        for half in 0..=16 {
            self.outbound.extend(call.outbound(half).map(|out| ((number(id), half), out)));
            self.inbound.extend(call.inbound(half).map(|inn| ((number(id), half), inn)));
        }
    }
}

fn number(id: CallId) -> u32 {
    id.to_string().parse().unwrap()
}

/// Hex digits; spaces are for the eye, and `61*200` is the byte 61 two hundred times.
fn hex(text: &str) -> Bytes {
    let mut bytes = Vec::new();
    for word in text.split_ascii_whitespace() {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        let pairs = digits.as_bytes().chunks_exact(2);
        assert!(pairs.remainder().is_empty(), "{word} has an odd number of digits");
        let part: Vec<u8> = pairs
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        bytes.extend(part.repeat(times.parse().unwrap()));
    }
    bytes.into()
}

fn read<T: for<'a> Deserialize<'a>>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

/// An `Option` that must be written, if only as `null`.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    json: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(json)
}

fn reject_code(name: &str) -> RejectCode {
    match name {
        "Failed" => RejectCode::Failed,
        "NotFound" => RejectCode::NotFound,
        "InvalidArguments" => RejectCode::InvalidArguments,
        "Unauthenticated" => RejectCode::Unauthenticated,
        "Forbidden" => RejectCode::Forbidden,
        "Busy" => RejectCode::Busy,
        "Unavailable" => RejectCode::Unavailable,
        "ContractMismatch" => RejectCode::ContractMismatch,
        other => panic!("unknown code {other}"),
    }
}

fn away_number(code: AwayCode) -> u8 {
    match code {
        AwayCode::Shutdown => 0,
        AwayCode::Done => 1,
        AwayCode::Violation => 2,
        AwayCode::Version => 3,
        AwayCode::Timeout => 4,
        AwayCode::Expired => 5,
    }
}

fn send_result(result: &Result<(), SendError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(SendError::Blocked) => "blocked",
        Err(SendError::Stopped) => "stopped",
        Err(SendError::Finished) => "finished",
        Err(SendError::CallOver) => "over",
        Err(SendError::Lost(_)) => "lost",
        Err(SendError::TooLarge { .. }) => "too-large",
        Err(other) => panic!("no name for {other:?}"),
    }
}

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Finished => "finished",
        Outcome::Failed => "failed",
        Outcome::Rejected(_) => "rejected",
        Outcome::Cancelled => "cancelled",
        Outcome::Lost(_) => "lost",
        other => panic!("no name for {other:?}"),
    }
}

fn end_name(end: &End) -> String {
    match end {
        End::Finished => "finished".into(),
        End::Fault(Fault::App(payload)) => format!("fault App {payload:x}"),
        End::Fault(fault) => format!("fault {fault:?}"),
        End::Rejected(_) => "rejected".into(),
        End::CallOver => "over".into(),
        End::Lost(_) => "lost".into(),
        other => panic!("no name for {other:?}"),
    }
}

fn close_reason(reason: &CloseReason) -> EndCase {
    let (name, rule) = match reason {
        CloseReason::Local => ("local", None),
        CloseReason::Peer => ("peer", None),
        CloseReason::Idle => ("idle", None),
        CloseReason::Drained => ("drained", None),
        CloseReason::DrainExpired => ("drain-expired", None),
        CloseReason::Violation(violation) => ("violation", Some(violation.rule().into())),
        CloseReason::Accused(_) => ("accused", None),
        CloseReason::Version { .. } => ("version", None),
        CloseReason::VersionRefused(_) => ("version-refused", None),
        CloseReason::HandshakeTimeout => ("handshake-timeout", None),
        CloseReason::Timeout => ("timeout", None),
        CloseReason::MessageTimeout => ("message-timeout", None),
        CloseReason::PeerTimeout(_) => ("peer-timeout", None),
        CloseReason::Stalled => ("stalled", None),
        CloseReason::Eof => ("eof", None),
        other => panic!("no name for {other:?}"),
    };
    EndCase { reason: name.into(), rule }
}
