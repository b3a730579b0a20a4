#![warn(clippy::arithmetic_side_effects)] // the numbers are the peer's

use alloc::vec::Vec;

use super::{
    AwayCode, FaultCode, Frame, Hello, MAJOR, MAX_FAULT, MAX_METADATA, MAX_NUMBER, MAX_TEXT,
    MAX_TOKEN, Open, kind,
};
use crate::limits::Announced;
use crate::{RejectCode, Rejection, Token, Violation};

/// Reads fields from the front of a slice; never past its end.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, Violation> {
        let (&first, rest) = self.0.split_first().ok_or(Violation::FrameMalformed)?;
        self.0 = rest;
        Ok(first)
    }

    /// R-VARINT-1, R-VARINT-2.
    #[inline]
    fn varint(&mut self) -> Result<u64, Violation> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(first.into());
        }
        self.long_varint(first)
    }

    fn long_varint(&mut self, first: u8) -> Result<u64, Violation> {
        let mut value = u64::from(first & 0x7f);
        for shift in (7..56).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte == 0 {
                return Err(Violation::VarintOverlong);
            }
            if byte < 0x80 {
                return if value <= MAX_NUMBER { Ok(value) } else { Err(Violation::VarintRange) };
            }
        }
        Err(Violation::VarintRange)
    }

    #[inline]
    fn u32(&mut self) -> Result<u32, Violation> {
        u32::try_from(self.varint()?).map_err(|_| Violation::VarintRange)
    }

    #[inline]
    fn u8(&mut self) -> Result<u8, Violation> {
        u8::try_from(self.varint()?).map_err(|_| Violation::VarintRange)
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Violation> {
        let len = usize::try_from(len).map_err(|_| Violation::FrameMalformed)?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Violation::FrameMalformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Violation> {
        let len = self.varint()?;
        self.take(len)
    }

    /// R-TEXT-1.
    fn text(&mut self) -> Result<&'a str, Violation> {
        let bytes = self.bytes()?;
        if bytes.len() > MAX_TEXT {
            return Err(Violation::FrameMalformed);
        }
        core::str::from_utf8(bytes).map_err(|_| Violation::FrameMalformed)
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Violation>,
    ) -> Result<Option<T>, Violation> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Violation::FrameMalformed),
        }
    }

    /// R-HELLO-7.
    fn token(&mut self) -> Result<Token, Violation> {
        let token = self.bytes()?;
        if token.len() > MAX_TOKEN {
            return Err(Violation::FrameMalformed);
        }
        Ok(Token::copy_from(token))
    }

    /// R-FRAME-3: nothing may trail.
    fn end(self) -> Result<(), Violation> {
        if self.0.is_empty() { Ok(()) } else { Err(Violation::FrameMalformed) }
    }
}

/// A frame whose fields have not been read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawFrame<'a> {
    pub(crate) kind: u8,
    pub(crate) body: &'a [u8],
}

/// The frames of a packet, their fields unread.
#[derive(Clone, Copy)]
pub(crate) struct RawFrames<'a>(Reader<'a>);

impl<'a> RawFrames<'a> {
    pub(crate) fn new(packet: &'a [u8]) -> Self {
        Self(Reader(packet))
    }

    /// What has not been read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0.0
    }

    /// R-FRAME-1, R-FRAME-2.
    #[inline]
    pub(crate) fn next_frame(&mut self) -> Result<Option<RawFrame<'a>>, Violation> {
        if self.0.0.is_empty() {
            return Ok(None);
        }
        let kind = self.0.byte().map_err(|_| Violation::FrameTruncated)?;
        let len = match self.0.varint() {
            Err(Violation::FrameMalformed) => return Err(Violation::FrameTruncated),
            len => len?,
        };
        let body = self.0.take(len).map_err(|_| Violation::FrameTruncated)?;
        Ok(Some(RawFrame { kind, body }))
    }
}

impl<'a> RawFrame<'a> {
    /// The call and the half that a frame about a half starts with, and what follows.
    #[inline]
    pub(crate) fn half(&self) -> Result<(u32, u8, &'a [u8]), Violation> {
        let mut reader = Reader(self.body);
        let call = reader.u32()?;
        let half = reader.u8()?;
        Ok((call, half, reader.0))
    }

    /// Reads the fields, each with its range, and makes sure that nothing trails (R-FRAME-3).
    pub(crate) fn parse(self) -> Result<Frame<'a>, Violation> {
        let mut reader = Reader(self.body);
        let frame = match self.kind {
            kind::HELLO => return hello(reader).map(Frame::Hello),
            kind::OPEN => return open(reader).map(Frame::Open),
            kind::ACCEPT => Frame::Accept { call: reader.u32()? },
            kind::REJECT => {
                let call = reader.u32()?;
                let code = RejectCode::from_number(reader.varint()?);
                Frame::Reject { call, rejection: Rejection::new(code, reader.text()?) }
            }
            kind::MESSAGE => {
                let (call, half, payload) = self.half()?;
                return Ok(Frame::Message { call, half, payload });
            }
            kind::BEGIN => {
                let (call, half, rest) = self.half()?;
                let mut reader = Reader(rest);
                let total = reader.u32()?;
                return Ok(Frame::Begin { call, half, total, payload: reader.0 });
            }
            kind::MORE => {
                let (call, half, payload) = self.half()?;
                return Ok(Frame::More { call, half, payload });
            }
            kind::CLOSE => Frame::Close { call: reader.u32()?, half: reader.u8()? },
            kind::ERROR => {
                let (call, half, rest) = self.half()?;
                let mut reader = Reader(rest);
                let code = FaultCode::from_number(reader.varint()?);
                let payload = reader.0;
                match code {
                    FaultCode::App if payload.len() <= MAX_FAULT => {}
                    FaultCode::App => return Err(Violation::FrameMalformed),
                    FaultCode::Failed | FaultCode::Cancelled | FaultCode::Revoked => {
                        reader.end()?;
                    }
                } // R-ERROR-2
                return Ok(Frame::Error { call, half, code, payload });
            }
            kind::STOP => Frame::Stop { call: reader.u32()?, half: reader.u8()? },
            kind::CREDIT => {
                Frame::Credit { call: reader.u32()?, half: reader.u8()?, amount: reader.u32()? }
            }
            kind::PING => Frame::Ping,
            kind::PONG => Frame::Pong,
            kind::GO_AWAY => Frame::GoAway {
                code: AwayCode::from_number(reader.varint()?),
                detail: reader.text()?.into(),
            },
            kind::TOKEN => Frame::Token { token: reader.token()? },
            kind::FIRST_SKIPPED..=kind::LAST_SKIPPED => {
                return Ok(Frame::Unknown { kind: self.kind }); // R-FRAME-4
            }
            0 | 0x80..=0xff => return Err(Violation::FrameKind(self.kind)), // R-FRAME-5
        };
        reader.end()?;
        Ok(frame)
    }
}

fn hello(mut reader: Reader<'_>) -> Result<Hello, Violation> {
    let major = reader.varint()?;
    if major != MAJOR {
        return Ok(Hello::Other { major }); // R-HELLO-3: the rest may mean anything
    }
    let minor = reader.varint()?;
    let limits = Announced {
        message: reader.u32()?,
        chunk: reader.u32()?,
        request: reader.u32()?,
        half_window: reader.u32()?,
        connection_window: reader.u32()?,
        calls: reader.u32()?,
        parameters: reader.u8()?,
    };
    let token = reader.option(Reader::token)?;
    for _ in 0..reader.varint()? {
        // R-HELLO-8: extensions that are not known are read over.
        reader.varint()?;
        reader.bytes()?;
    }
    reader.end()?;
    Ok(Hello::V1 { minor, limits, token })
}

fn open(mut reader: Reader<'_>) -> Result<Open<'_>, Violation> {
    let call = reader.u32()?;
    let parameters = reader.u8()?;
    let method = reader.text()?;
    let fingerprint = reader.option(|reader| {
        let bytes = reader.take(8)?;
        <[u8; 8]>::try_from(bytes).map_err(|_| Violation::FrameMalformed)
    })?;
    let token = reader.option(Reader::token)?;
    let entries = reader.varint()?;
    if entries > MAX_METADATA as u64 {
        return Err(Violation::FrameMalformed); // R-OPEN-9
    }
    let mut metadata = Vec::new();
    for _ in 0..entries {
        metadata.push((reader.text()?, reader.bytes()?));
    }
    Ok(Open { call, parameters, method, fingerprint, token, metadata, arguments: reader.0 })
}
