//! The frame decoder.

use bytes::BytesMut;
use wirestream_protocol::RejectCode;
use wirestream_protocol::wire::{self, AwayCode, FaultCode, Frame};

/// Frames are read one after the other, each from the bytes that are its own, until the first that is
/// none. What was read means the same once it is written again, and is the same bytes wherever a
/// reader reads over nothing.
pub fn frames(data: &[u8]) {
    let mut rest = data;
    let mut frames = wire::frames(data);
    while let Some(frame) = frames.next() {
        let raw = split(rest);
        let frame = match frame {
            Ok(frame) => frame,
            Err(violation) => {
                assert!(violation.rule().starts_with("R-"));
                assert_eq!(frames.next(), None, "a frame after {violation}");
                return;
            }
        };
        let (raw, behind) = raw.expect("a frame that ends within its packet");
        rest = behind;
        let mut again = BytesMut::new();
        frame.encode(&mut again);
        assert!(again.ends_with(&body(&again)[..frame.body_len()]), "{frame:?}");
        assert_eq!(wire::frames(&again).collect::<Vec<_>>(), [Ok(frame.clone())]);
        if is_written_as_read(&frame) {
            assert_eq!(again, raw, "{frame:?}");
        } else {
            assert!(again.len() <= raw.len(), "{frame:?} grew");
        }
    }
    assert!(rest.is_empty(), "{} bytes were passed over", rest.len());
}

/// The first frame of a packet and what is behind it, read as simply as can be (R-FRAME-1).
pub(crate) fn split(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len = 0_u64;
    for (place, &byte) in packet.iter().enumerate().skip(1).take(8) {
        len |= u64::from(byte & 0x7f) << (7 * (place - 1));
        if byte < 0x80 {
            let end = usize::try_from(len).ok()?.checked_add(place + 1)?;
            return packet.split_at_checked(end);
        }
    }
    None
}

/// What follows the kind and the length of a frame.
fn body(frame: &[u8]) -> &[u8] {
    let header = frame.iter().skip(1).take_while(|&&byte| byte >= 0x80).count() + 2;
    &frame[header..]
}

/// Whether nothing of the frame was read over: extensions, a later kind's body, or a code of a later
/// minor version, which is taken for a known one.
fn is_written_as_read(frame: &Frame<'_>) -> bool {
    match frame {
        Frame::Hello(_) | Frame::Unknown { .. } => false,
        Frame::Reject { rejection, .. } => rejection.code != RejectCode::Failed,
        Frame::Error { code, .. } => *code != FaultCode::Failed,
        Frame::GoAway { code, .. } => *code != AwayCode::Done,
        Frame::Open(_)
        | Frame::Accept { .. }
        | Frame::Message { .. }
        | Frame::Begin { .. }
        | Frame::More { .. }
        | Frame::Close { .. }
        | Frame::Stop { .. }
        | Frame::Credit { .. }
        | Frame::Ping
        | Frame::Pong
        | Frame::Token { .. } => true,
    }
}
