//! A payload as its bytes, through a codec that wants types.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// All the bytes of one payload. In postcard a tuple of bytes is those bytes, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = serializer.serialize_tuple(self.0.len())?;
        for byte in &self.0 {
            bytes.serialize_element(byte)?;
        }
        bytes.end()
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes to the end")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut bytes = Vec::new();
                // Any byte is a byte: the one thing that can go wrong is that there is none left.
                while let Ok(Some(byte)) = seq.next_element() {
                    bytes.push(byte);
                }
                Ok(Raw(bytes))
            }
        }

        deserializer.deserialize_tuple(usize::MAX, Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_goes_through_postcard_as_it_is() {
        for bytes in [vec![], vec![0], vec![0xff, 0x80, 1], vec![7; 70_000]] {
            let written = postcard::to_extend(&Raw(bytes.clone()), Vec::new());
            assert_eq!(written.as_ref(), Ok(&bytes));
            assert_eq!(postcard::take_from_bytes(&bytes), Ok((Raw(bytes.clone()), &[][..])));
        }
    }
}
