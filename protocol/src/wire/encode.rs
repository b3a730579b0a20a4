use alloc::vec::Vec;
use bytes::BufMut;

use crate::Token;

use super::{Frame, Hello, MAJOR, Open, cut_text, kind};

/// Appends a number in as few bytes as it needs (R-VARINT-1).
#[inline]
pub(crate) fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while let high @ 1.. = value >> 7 {
        out.put_u8(low7(value) | 0x80);
        value = high;
    }
    out.put_u8(low7(value));
}

#[inline]
fn low7(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// How many bytes [`put_varint`] appends.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// A number below 2^49 as [`put_varint`] appends it, from the lowest byte up, and its length.
#[inline]
fn small_varint(value: u64) -> (u64, usize) {
    match value {
        ..0x80 => (value, 1),
        0x80..0x4000 => (value & 0x7f | 0x80 | value >> 7 << 8, 2),
        0x4000.. => {
            let (rest, len) = small_varint(value >> 7);
            (value & 0x7f | 0x80 | rest << 8, len + 1)
        }
    }
}

/// What stands before a message's payload: a kind and three numbers, 13 bytes at most. Put together
/// in registers: to read from memory what was just written there in pieces takes long.
pub(crate) struct MessageHeader {
    bytes: u128,
    len: usize,
}

impl MessageHeader {
    /// What [`put`](Self::put) needs room for.
    pub(crate) const ROOM: usize = size_of::<u128>();

    #[inline]
    pub(crate) fn new(call: u32, half: u8, payload_len: u32) -> Self {
        let ((call, call_len), (half, half_len)) =
            (small_varint(call.into()), small_varint(half.into()));
        let (whose, whose_len) = (call | half << (8 * call_len), call_len + half_len);
        let (body, body_len) = small_varint(u64::from(payload_len) + whose_len as u64);
        let bytes = u128::from(kind::MESSAGE)
            | u128::from(body) << 8
            | u128::from(whose) << (8 * (1 + body_len));
        Self { bytes, len: 1 + body_len + whose_len }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes it over a place of its size.
    #[inline]
    pub(crate) fn copy_to(&self, place: &mut [u8]) {
        for (place, byte) in place.iter_mut().zip(self.bytes.to_le_bytes()) {
            *place = byte;
        }
    }

    #[inline]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.len;
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.truncate(end);
    }
}

/// The size of a field-by-field body, and the body itself, from one list of fields.
trait Sink {
    fn byte(&mut self, byte: u8);
    fn varint(&mut self, value: u64);
    fn slice(&mut self, slice: &[u8]);

    fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(cut_text(text).as_bytes());
    }

    fn option(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.byte(0),
            Some(bytes) => {
                self.byte(1);
                self.bytes(bytes);
            }
        }
    }
}

#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    fn byte(&mut self, _: u8) {
        self.0 += 1;
    }

    fn varint(&mut self, value: u64) {
        self.0 += varint_len(value);
    }

    fn slice(&mut self, slice: &[u8]) {
        self.0 += slice.len();
    }
}

struct Write<'a, B>(&'a mut B);

impl<B: BufMut> Sink for Write<'_, B> {
    fn byte(&mut self, byte: u8) {
        self.0.put_u8(byte);
    }

    fn varint(&mut self, value: u64) {
        put_varint(self.0, value);
    }

    fn slice(&mut self, slice: &[u8]) {
        self.0.put_slice(slice);
    }
}

impl Frame<'_> {
    /// Appends the frame: kind, length, body (R-FRAME-1).
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(self.kind());
        put_varint(out, self.body_len() as u64);
        self.body(&mut Write(out));
    }

    /// The length of the frame's body, in bytes.
    pub fn body_len(&self) -> usize {
        let mut count = Count::default();
        self.body(&mut count);
        count.0
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => kind::HELLO,
            Self::Open(_) => kind::OPEN,
            Self::Accept { .. } => kind::ACCEPT,
            Self::Reject { .. } => kind::REJECT,
            Self::Message { .. } => kind::MESSAGE,
            Self::Begin { .. } => kind::BEGIN,
            Self::More { .. } => kind::MORE,
            Self::Close { .. } => kind::CLOSE,
            Self::Error { .. } => kind::ERROR,
            Self::Stop { .. } => kind::STOP,
            Self::Credit { .. } => kind::CREDIT,
            Self::Ping => kind::PING,
            Self::Pong => kind::PONG,
            Self::GoAway { .. } => kind::GO_AWAY,
            Self::Token { .. } => kind::TOKEN,
            Self::Unknown { kind } => *kind,
        }
    }

    fn body(&self, out: &mut impl Sink) {
        match self {
            Self::Hello(hello) => hello.body(out),
            Self::Open(open) => open.body(out),
            Self::Accept { call } => out.varint((*call).into()),
            Self::Reject { call, rejection } => {
                out.varint((*call).into());
                out.varint(rejection.code.number().into());
                out.text(&rejection.detail);
            }
            Self::Message { call, half, payload } | Self::More { call, half, payload } => {
                put_half(out, *call, *half);
                out.slice(payload);
            }
            Self::Begin { call, half, total, payload } => {
                put_half(out, *call, *half);
                out.varint((*total).into());
                out.slice(payload);
            }
            Self::Close { call, half } | Self::Stop { call, half } => put_half(out, *call, *half),
            Self::Error { call, half, code, payload } => {
                put_half(out, *call, *half);
                out.varint(code.number().into());
                out.slice(payload);
            }
            Self::Credit { call, half, amount } => {
                put_half(out, *call, *half);
                out.varint((*amount).into());
            }
            Self::Token { token } => out.bytes(token.as_bytes()),
            Self::Ping | Self::Pong | Self::Unknown { .. } => {}
            Self::GoAway { code, detail } => {
                out.varint(code.number().into());
                out.text(detail);
            }
        }
    }
}

fn put_half(out: &mut impl Sink, call: u32, half: u8) {
    out.varint(call.into());
    out.varint(half.into());
}

impl Hello {
    fn body(&self, out: &mut impl Sink) {
        match self {
            Self::Other { major } => out.varint(*major),
            Self::V1 { minor, limits, token } => {
                out.varint(MAJOR);
                out.varint(*minor);
                for limit in [
                    limits.message,
                    limits.chunk,
                    limits.request,
                    limits.half_window,
                    limits.connection_window,
                    limits.calls,
                    limits.parameters.into(),
                ] {
                    out.varint(limit.into());
                }
                out.option(token.as_ref().map(Token::as_bytes));
                out.varint(0); // no extensions
            }
        }
    }
}

impl Open<'_> {
    fn body(&self, out: &mut impl Sink) {
        out.varint(self.call.into());
        out.varint(self.parameters.into());
        out.text(self.method);
        match self.fingerprint {
            None => out.byte(0),
            Some(fingerprint) => {
                out.byte(1);
                out.slice(&fingerprint);
            }
        }
        out.option(self.token.as_ref().map(Token::as_bytes));
        out.varint(self.metadata.len() as u64);
        for (key, value) in &self.metadata {
            out.text(key);
            out.bytes(value);
        }
        out.slice(self.arguments);
    }
}
