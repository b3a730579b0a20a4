use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::vec as vec_of;
use proptest::prelude::*;
use serde::Serialize;

use super::decode::RawFrames;
use super::encode::{put_varint, varint_len};
use super::*;

/// A frame that owns what a [`Frame`] borrows.
#[derive(Clone, Debug)]
enum Owned {
    Plain(Frame<'static>),
    Open {
        call: u32,
        parameters: u8,
        method: String,
        fingerprint: Option<[u8; 8]>,
        token: Option<Vec<u8>>,
        metadata: Vec<(String, Vec<u8>)>,
        arguments: Vec<u8>,
    },
    Message(u32, u8, Vec<u8>),
    Begin(u32, u8, u32, Vec<u8>),
    More(u32, u8, Vec<u8>),
    Error(u32, u8, FaultCode, Vec<u8>),
}

impl Owned {
    fn frame(&self) -> Frame<'_> {
        match self {
            Self::Plain(frame) => frame.clone(),
            Self::Open { call, parameters, method, fingerprint, token, metadata, arguments } => {
                Frame::Open(Open {
                    call: *call,
                    parameters: *parameters,
                    method,
                    fingerprint: *fingerprint,
                    token: token.clone().map(Token::new),
                    metadata: metadata.iter().map(|(key, value)| (&**key, &**value)).collect(),
                    arguments,
                })
            }
            &Self::Message(call, half, ref payload) => Frame::Message { call, half, payload },
            &Self::Begin(call, half, total, ref payload) => {
                Frame::Begin { call, half, total, payload }
            }
            &Self::More(call, half, ref payload) => Frame::More { call, half, payload },
            &Self::Error(call, half, code, ref payload) => {
                Frame::Error { call, half, code, payload }
            }
        }
    }
}

/// Numbers of every encoded length, the edges among them.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        0..200u32,
        any::<u32>(),
        (0..5u32, 0..2u32).prop_map(|(sevens, less)| (1u32 << (7 * sevens)) - less),
        Just(u32::MAX),
    ]
}

fn big_number() -> impl Strategy<Value = u64> {
    prop_oneof![number().prop_map(u64::from), 0..=MAX_NUMBER, Just(MAX_NUMBER)]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec_of(any::<u8>(), 0..8), vec_of(any::<u8>(), 100..300)]
}

fn text() -> impl Strategy<Value = String> {
    ".{0,60}"
}

fn limits() -> impl Strategy<Value = Announced> {
    ([number(), number(), number(), number(), number(), number()], any::<u8>()).prop_map(
        |([message, chunk, request, half_window, connection_window, calls], parameters)| {
            Announced { message, chunk, request, half_window, connection_window, calls, parameters }
        },
    )
}

fn reject_code() -> impl Strategy<Value = RejectCode> {
    (0..8u64).prop_map(RejectCode::from_number)
}

fn hello() -> impl Strategy<Value = Owned> {
    let v1 = (big_number(), limits(), proptest::option::of(bytes())).prop_map(
        |(minor, limits, token)| Hello::V1 { minor, limits, token: token.map(Token::new) },
    );
    let other = big_number().prop_filter_map("a major version of another", |major| {
        (major != MAJOR).then_some(Hello::Other { major })
    });
    prop_oneof![v1, other].prop_map(|hello| Owned::Plain(Frame::Hello(hello)))
}

fn open() -> impl Strategy<Value = Owned> {
    let optional = (proptest::option::of(any::<[u8; 8]>()), proptest::option::of(bytes()));
    let metadata = vec_of((text(), bytes()), 0..4);
    (number(), any::<u8>(), text(), optional, metadata, bytes()).prop_map(
        |(call, parameters, method, (fingerprint, token), metadata, arguments)| Owned::Open {
            call,
            parameters,
            method,
            fingerprint,
            token,
            metadata,
            arguments,
        },
    )
}

fn any_frame() -> impl Strategy<Value = Owned> {
    let half = || (number(), any::<u8>());
    let fault = (half(), 0..4u64, bytes()).prop_map(|((call, half), code, payload)| {
        let code = FaultCode::from_number(code);
        let payload = if code == FaultCode::App { payload } else { vec![] };
        Owned::Error(call, half, code, payload)
    });
    let plain = prop_oneof![
        number().prop_map(|call| Frame::Accept { call }),
        (number(), reject_code(), text()).prop_map(|(call, code, detail)| {
            Frame::Reject { call, rejection: Rejection::new(code, detail) }
        }),
        half().prop_map(|(call, half)| Frame::Close { call, half }),
        half().prop_map(|(call, half)| Frame::Stop { call, half }),
        (half(), number()).prop_map(|((call, half), amount)| Frame::Credit { call, half, amount }),
        Just(Frame::Ping),
        Just(Frame::Pong),
        (0..6u64, text()).prop_map(|(code, detail)| Frame::GoAway {
            code: AwayCode::from_number(code),
            detail: detail.into(),
        }),
        bytes().prop_map(|token| Frame::Token { token: Token::new(token) }),
        (kind::FIRST_SKIPPED..=kind::LAST_SKIPPED).prop_map(|kind| Frame::Unknown { kind }),
    ];
    prop_oneof![
        2 => hello(),
        3 => open(),
        2 => (half(), bytes()).prop_map(|((c, h), p)| Owned::Message(c, h, p)),
        1 => (half(), number(), bytes()).prop_map(|((c, h), total, p)| Owned::Begin(c, h, total, p)),
        1 => (half(), bytes()).prop_map(|((c, h), p)| Owned::More(c, h, p)),
        2 => fault,
        9 => plain.prop_map(Owned::Plain),
    ]
}

fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

fn varint(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, value);
    out
}

/// What a number field makes of these bytes, as the number of an `Accept` would be read, but for
/// the full range: the major version of a `Hello`.
fn read_varint(bytes: &[u8]) -> Result<u64, Violation> {
    let mut packet = vec![kind::HELLO];
    put_varint(&mut packet, bytes.len() as u64);
    packet.extend_from_slice(bytes);
    match frames(&packet).next() {
        Some(Ok(Frame::Hello(Hello::Other { major }))) => Ok(major),
        Some(Err(violation)) => Err(violation),
        other => panic!("{other:?}"),
    }
}

proptest! {
    /// R-FRAME-1.
    #[test]
    fn every_frame_decodes_to_what_was_encoded(owned in any_frame()) {
        let frame = owned.frame();
        let packet = encode(&frame);
        let decoded: Vec<_> = frames(&packet).collect();
        prop_assert_eq!(decoded, [Ok(frame)]);
    }

    /// R-PACKET-1, R-FRAME-1.
    #[test]
    fn frames_stand_back_to_back_in_a_packet(owned in vec_of(any_frame(), 1..6)) {
        let packet: Vec<u8> = owned.iter().flat_map(|owned| encode(&owned.frame())).collect();
        let decoded: Vec<_> = frames(&packet).collect();
        let expected: Vec<_> = owned.iter().map(|owned| Ok(owned.frame())).collect();
        prop_assert_eq!(decoded, expected);
    }

    /// R-FRAME-2.
    #[test]
    fn a_packet_that_is_cut_is_shorter_or_a_violation(owned in vec_of(any_frame(), 1..4)) {
        let whole: Vec<_> = owned.iter().map(|owned| Ok(owned.frame())).collect();
        let encoded: Vec<_> = owned.iter().map(|owned| encode(&owned.frame())).collect();
        let packet = encoded.concat();
        for cut in 0..packet.len() {
            let mut left = cut;
            let complete = encoded.iter().take_while(|frame| {
                let fits = frame.len() <= left;
                left -= if fits { frame.len() } else { 0 };
                fits
            }).count();
            let mut expected = whole[..complete].to_vec();
            if left > 0 {
                expected.push(Err(Violation::FrameTruncated));
            }
            let decoded: Vec<_> = frames(&packet[..cut]).collect();
            prop_assert_eq!(decoded, expected, "cut at {}", cut);
        }
    }

    /// R-FRAME-2, R-FRAME-3, R-FRAME-5, R-VARINT-1.
    #[test]
    fn random_bytes_are_canonical_or_a_violation(packet in vec_of(any::<u8>(), 0..200)) {
        check_canonical(&packet)?;
    }

    /// The same from nearer by: a valid packet with one byte changed.
    #[test]
    fn a_damaged_packet_is_canonical_or_a_violation(
        owned in vec_of(any_frame(), 1..4),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut packet: Vec<u8> = owned.iter().flat_map(|owned| encode(&owned.frame())).collect();
        let place = place.index(packet.len());
        packet[place] = byte;
        check_canonical(&packet)?;
    }

    /// R-VARINT-1, R-VARINT-2.
    #[test]
    fn numbers_are_read_as_they_were_written(value in big_number()) {
        prop_assume!(value != MAJOR);
        prop_assert_eq!(read_varint(&varint(value)), Ok(value));
        prop_assert_eq!(varint(value).len(), varint_len(value));
    }

    /// R-VARINT-2.
    #[test]
    fn numbers_beyond_53_bits_are_refused(value in MAX_NUMBER + 1..) {
        prop_assert_eq!(read_varint(&varint(value)), Err(Violation::VarintRange));
    }

    /// What is counted beforehand is what is written.
    #[test]
    fn a_body_is_as_long_as_was_announced(owned in any_frame()) {
        let frame = owned.frame();
        let body = frame.body_len();
        prop_assert_eq!(encode(&frame).len(), 1 + varint_len(body as u64) + body);
    }

    #[test]
    fn a_small_message_costs_at_most_six_bytes_more(
        call in 1..1u32 << 21,
        half in 0..=64u8,
        payload in vec_of(any::<u8>(), 0..=120),
    ) {
        let packet = encode(&Frame::Message { call, half, payload: &payload });
        prop_assert!(packet.len() - payload.len() <= 6);
        let mut header = Vec::new();
        MessageHeader::new(call, half, payload.len() as u32).put(&mut header);
        prop_assert_eq!(&packet, &[header, payload].concat());
    }

    #[test]
    fn a_message_of_any_size_begins_with_its_header(
        call in 1..=u32::MAX,
        half in 0..=255u8,
        len in 0..70_000usize,
    ) {
        let payload = vec![7; len];
        let mut message = Vec::new();
        MessageHeader::new(call, half, len as u32).put(&mut message);
        message.extend_from_slice(&payload);
        prop_assert_eq!(message, encode(&Frame::Message { call, half, payload: &payload }));
    }

    #[test]
    fn fields_are_encoded_as_postcard_encodes_them(owned in any_frame()) {
        let frame = owned.frame();
        let packet = encode(&frame);
        let raw = RawFrames::new(&packet).next_frame().unwrap().unwrap();
        prop_assert_eq!(raw.kind, packet[0]);
        prop_assert_eq!(raw.body, &postcard_body(&frame)[..]);
    }

    /// R-TEXT-1.
    #[test]
    fn a_long_text_is_cut_at_a_character(text in "[aäß€😀]{60,300}") {
        let detail: Box<str> = text.clone().into();
        let packet = encode(&Frame::GoAway { code: AwayCode::Done, detail });
        let Some(Ok(Frame::GoAway { detail, .. })) = frames(&packet).next() else {
            return Err(TestCaseError::fail("no GoAway"));
        };
        prop_assert!(text.starts_with(&*detail));
        let next = text[detail.len()..].chars().next();
        prop_assert!(next.is_none_or(|next| detail.len() + next.len_utf8() > MAX_TEXT));
        prop_assert!(detail.len() <= MAX_TEXT);
    }
}

/// What decodes encodes to the same bytes, but for what a reader is to read over or to take for
/// something else (R-FRAME-4, R-HELLO-3, R-HELLO-8, R-REJECT-1, R-ERROR-1, R-AWAY-3).
fn check_canonical(packet: &[u8]) -> Result<(), TestCaseError> {
    let decoded: Result<Vec<Frame<'_>>, Violation> = frames(packet).collect();
    let Ok(decoded) = decoded else { return Ok(()) };
    let again: Vec<u8> = decoded.iter().flat_map(encode).collect();
    let lossy = decoded.iter().any(|frame| match frame {
        Frame::Hello(_) | Frame::Unknown { .. } => true,
        Frame::Reject { rejection, .. } => rejection.code == RejectCode::Failed,
        Frame::Error { code, .. } => *code == FaultCode::Failed,
        Frame::GoAway { code, .. } => *code == AwayCode::Done,
        Frame::Open(_)
        | Frame::Accept { .. }
        | Frame::Message { .. }
        | Frame::Begin { .. }
        | Frame::More { .. }
        | Frame::Close { .. }
        | Frame::Stop { .. }
        | Frame::Credit { .. }
        | Frame::Token { .. }
        | Frame::Ping
        | Frame::Pong => false,
    });
    if !lossy {
        prop_assert_eq!(&again, packet);
    }
    let decoded_again: Result<Vec<Frame<'_>>, Violation> = frames(&again).collect();
    prop_assert_eq!(decoded_again, Ok(decoded));
    Ok(())
}

/// The same fields through serde and postcard, with what follows them as it is.
fn postcard_body(frame: &Frame<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    struct HelloFields {
        major: u64,
        minor: u64,
        message: u32,
        chunk: u32,
        request: u32,
        half_window: u32,
        connection_window: u32,
        calls: u32,
        parameters: u32,
        token: Option<Vec<u8>>,
        extensions: Vec<(u64, Vec<u8>)>,
    }
    #[derive(Serialize)]
    struct OpenFields<'a> {
        call: u32,
        parameters: u32,
        method: &'a str,
        fingerprint: Option<[u8; 8]>,
        token: Option<Vec<u8>>,
        metadata: Vec<(&'a str, &'a [u8])>,
    }
    fn fields(fields: &impl Serialize, rest: &[u8]) -> Vec<u8> {
        let mut body = postcard::to_allocvec(fields).unwrap();
        body.extend_from_slice(rest);
        body
    }
    // postcard writes a `u8` as it is: the wire's small numbers are its wider ones.
    let wide = u32::from;
    match frame {
        Frame::Hello(Hello::Other { major }) => fields(major, &[]),
        Frame::Hello(Hello::V1 { minor, limits, token }) => {
            let hello = HelloFields {
                major: MAJOR,
                minor: *minor,
                message: limits.message,
                chunk: limits.chunk,
                request: limits.request,
                half_window: limits.half_window,
                connection_window: limits.connection_window,
                calls: limits.calls,
                parameters: limits.parameters.into(),
                token: token.as_ref().map(|token| token.as_bytes().to_vec()),
                extensions: vec![],
            };
            fields(&hello, &[])
        }
        Frame::Open(open) => {
            let head = OpenFields {
                call: open.call,
                parameters: open.parameters.into(),
                method: open.method,
                fingerprint: open.fingerprint,
                token: open.token.as_ref().map(|token| token.as_bytes().to_vec()),
                metadata: open.metadata.clone(),
            };
            fields(&head, open.arguments)
        }
        Frame::Accept { call } => fields(call, &[]),
        Frame::Reject { call, rejection } => {
            fields(&(call, wide(rejection.code.number()), &*rejection.detail), &[])
        }
        Frame::Message { call, half, payload } | Frame::More { call, half, payload } => {
            fields(&(call, wide(*half)), payload)
        }
        Frame::Begin { call, half, total, payload } => fields(&(call, wide(*half), total), payload),
        Frame::Close { call, half } | Frame::Stop { call, half } => {
            fields(&(call, wide(*half)), &[])
        }
        Frame::Error { call, half, code, payload } => {
            fields(&(call, wide(*half), wide(code.number())), payload)
        }
        Frame::Credit { call, half, amount } => fields(&(call, wide(*half), amount), &[]),
        Frame::Ping | Frame::Pong | Frame::Unknown { .. } => vec![],
        Frame::GoAway { code, detail } => fields(&(wide(code.number()), &**detail), &[]),
        Frame::Token { token } => fields(&token.as_bytes(), &[]),
    }
}

/// R-VARINT-1, R-VARINT-2.
#[test]
fn numbers_at_the_edges_of_their_lengths() {
    for (value, bytes) in [
        (0, &[0x00][..]),
        (127, &[0x7f]),
        (128, &[0x80, 0x01]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 0x01]),
        (MAX_NUMBER, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    ] {
        assert_eq!(varint(value), bytes);
        assert_eq!(read_varint(bytes), Ok(value));
    }
    for (bytes, violation) in [
        (&[0x80, 0x00][..], Violation::VarintOverlong),
        (&[0xff, 0x00], Violation::VarintOverlong),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], Violation::VarintOverlong),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], Violation::VarintRange),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], Violation::VarintRange),
        (&[0xff; 10], Violation::VarintRange),
        (&[0x80], Violation::FrameMalformed),
        (&[], Violation::FrameMalformed),
    ] {
        assert_eq!(read_varint(bytes), Err(violation), "{bytes:02x?}");
    }
}

/// R-FRAME-4, R-FRAME-5.
#[test]
fn all_256_kinds_are_known_skipped_or_refused() {
    for kind in 0..=u8::MAX {
        let packet = [kind, 0];
        let found = frames(&packet).next();
        match kind {
            kind::HELLO..=kind::CLOSE
            | kind::ERROR..=kind::CREDIT
            | kind::GO_AWAY
            | kind::TOKEN => {
                assert_eq!(found, Some(Err(Violation::FrameMalformed)), "{kind}");
            }
            kind::PING => assert_eq!(found, Some(Ok(Frame::Ping))),
            kind::PONG => assert_eq!(found, Some(Ok(Frame::Pong))),
            kind::FIRST_SKIPPED..=kind::LAST_SKIPPED => {
                assert_eq!(found, Some(Ok(Frame::Unknown { kind })));
            }
            0 | 0x80.. => assert_eq!(found, Some(Err(Violation::FrameKind(kind)))),
        }
    }
}

/// A violation is the last thing that is seen of a packet.
#[test]
fn nothing_is_read_behind_a_violation() {
    let packet = [kind::PING, 0, 0xff, 0, kind::PING, 0];
    let seen: Vec<_> = frames(&packet).collect();
    assert_eq!(seen, [Ok(Frame::Ping), Err(Violation::FrameKind(0xff))]);
}

/// R-CREDIT-1.
#[test]
fn a_payload_costs_its_length_and_never_less_than_the_minimum() {
    assert_eq!([0, 1, 63, 64, 65, 16_384].map(cost), [64, 64, 64, 64, 65, 16_384]);
    assert_eq!(cost(usize::MAX), u32::MAX);
}

/// R-HELLO-7, R-OPEN-9, R-ERROR-2.
#[test]
fn a_field_at_its_limit_is_read_and_one_beyond_it_is_malformed() {
    let check = |frame: &Frame<'_>, expected: Result<(), Violation>| {
        let packet = encode(frame);
        let read = frames(&packet).next().expect("a frame");
        assert_eq!(read.map(|read| assert_eq!(read, *frame)), expected);
    };
    for (beyond, expected) in [(0, Ok(())), (1, Err(Violation::FrameMalformed))] {
        let token = vec![7; MAX_TOKEN + beyond];
        check(&Frame::Token { token: Token::new(token) }, expected);
        let payload = &vec![7; MAX_FAULT + beyond][..];
        check(&Frame::Error { call: 1, half: 0, code: FaultCode::App, payload }, expected);
        check(
            &Frame::Open(Open {
                call: 1,
                parameters: 0,
                method: "m",
                fingerprint: None,
                token: None,
                metadata: vec![("key", b"value".as_slice()); MAX_METADATA + beyond],
                arguments: b"",
            }),
            expected,
        );
    }
}

/// What peers in other languages count on.
#[test]
fn the_limits_of_the_wire_are_those_of_the_specification() {
    assert_eq!((MAX_PACKET, FULL_PACKET, MINIMUM_CHARGE), (131_072, 16_384, 64));
    assert_eq!((MAX_TEXT, MAX_TOKEN, MAX_FAULT, MAX_METADATA), (255, 4_096, 4_096, 64));
    assert_eq!(MAX_NUMBER, 9_007_199_254_740_991);
}

/// R-ERROR-1, R-AWAY-3, R-REJECT-1.
#[test]
fn every_code_is_read_as_it_is_written_and_an_unknown_one_as_the_mildest() {
    use {AwayCode as A, FaultCode as F, RejectCode as R};
    for (number, code) in (0..).zip([F::Failed, F::App, F::Cancelled, F::Revoked]) {
        assert_eq!((code.number(), F::from_number(number.into())), (number, code));
    }
    let aways = [A::Shutdown, A::Done, A::Violation, A::Version, A::Timeout, A::Expired];
    for (number, code) in (0..).zip(aways) {
        assert_eq!((code.number(), A::from_number(number.into())), (number, code));
    }
    let rejects = [
        R::Failed,
        R::NotFound,
        R::InvalidArguments,
        R::Unauthenticated,
        R::Forbidden,
        R::Busy,
        R::Unavailable,
        R::ContractMismatch,
    ];
    for (number, code) in (0..).zip(rejects) {
        assert_eq!((code.number(), R::from_number(number.into())), (number, code));
    }
    for unknown in [8, MAX_NUMBER] {
        assert_eq!(F::from_number(unknown), F::Failed);
        assert_eq!(A::from_number(unknown), A::Done);
        assert_eq!(R::from_number(unknown), R::Failed);
    }
}
