//! Bytes as the cases write them, and frames as they lie in packets.

use std::fmt::Write;

use serde::{Deserialize, Deserializer, de::Error};

/// Bytes, written as hexadecimal digits. Spaces are for the eye; `61*200` stands for the byte `61` two
/// hundred times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text).map(Self).ok_or_else(|| D::Error::custom(format!("no bytes: {text}")))
    }
}

fn read(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        let (digits, times) = match word.split_once('*') {
            Some((digits, times)) => (digits, times.parse().ok()?),
            None => (word, 1),
        };
        let pairs = digits.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        });
        let mut read = pairs.collect::<Option<Vec<u8>>>()?;
        // What comes before the last byte comes once.
        let last = read.pop()?;
        bytes.append(&mut read);
        bytes.resize(bytes.len() + times, last);
    }
    Some(bytes)
}

/// Bytes for people, cut short.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(24) {
        let _ = write!(text, "{byte:02x} ");
    }
    text.pop();
    if bytes.len() > 24 {
        let _ = write!(text, " and {} more bytes", bytes.len() - 24);
    }
    text
}

/// The frames of a packet, whole, each as its bytes; `None` if they do not fill it (R-FRAME-1).
pub(crate) fn frames(mut packet: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    while let Some((_, mut rest)) = packet.split_first() {
        let length = number(&mut rest)?;
        let end = packet.len() - rest.len() + usize::try_from(length).ok()?;
        let (frame, behind) = packet.split_at_checked(end)?;
        frames.push(frame.to_vec());
        packet = behind;
    }
    Some(frames)
}

/// What a frame holds behind its kind and its length.
pub(crate) fn body(frame: &[u8]) -> &[u8] {
    let mut rest = frame.get(1..).unwrap_or_default();
    number(&mut rest).map_or(&[], |_| rest)
}

/// R-VARINT-1.
pub(crate) fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_are_written() {
        assert_eq!(read("0c00 0d 07*3 0102*2"), Some(vec![0x0c, 0, 0x0d, 7, 7, 7, 1, 2, 2]));
        assert_eq!(read(""), Some(vec![]));
        for wrong in ["0", "0g", "01*", "*2", "01*x"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_packet_is_cut_into_its_frames() {
        let packet = [0x0c, 0, 5, 4, 1, 1, 0x68, 0x69, 0x10, 0x81, 0, 7];
        let cut: Vec<&[u8]> = vec![&packet[..2], &packet[2..8], &packet[8..]];
        assert_eq!(frames(&packet), Some(cut.iter().map(|frame| frame.to_vec()).collect()));
        assert_eq!(body(&packet[2..8]), [1, 1, 0x68, 0x69]);
        for end in [1, 3, 7, 9, 11] {
            assert_eq!(frames(&packet[..end]), None, "{end}");
        }
    }
}
