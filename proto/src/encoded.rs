//! Answers that are encoded where they are read.

use std::fmt;
use std::marker::PhantomData;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};

/// A message that is encoded already, part by part: what a part is made of comes and goes on the thread that reads it,
/// and only bytes are handed to the one that sends them. A page of fifty artifacts would be a thousand strings.
pub struct Encoded<M> {
    bytes: Vec<u8>,
    of: PhantomData<fn() -> M>,
}

/// Room for the first parts, in bytes: a page of fifty artifacts.
const ROOM: usize = 32 * 1024;

impl<M: Message> Encoded<M> {
    /// Adds a part: lists grow by what it has, other fields are those of the last part that has them. That is what
    /// encoded messages mean that stand one after the other.
    pub fn add(&mut self, part: &M) {
        if self.bytes.is_empty() {
            self.bytes.reserve(ROOM);
        }
        // A vector always has room for more.
        part.encode(&mut self.bytes).ok();
    }
}

impl<M> Default for Encoded<M> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            of: PhantomData,
        }
    }
}

impl<M: Message> From<M> for Encoded<M> {
    fn from(whole: M) -> Self {
        let mut encoded = Self::default();
        encoded.add(&whole);
        encoded
    }
}

impl<M> fmt::Debug for Encoded<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} bytes)", self.bytes.len())
    }
}

impl<M> Message for Encoded<M> {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.bytes);
    }

    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Nobody reads with it.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buffer, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::ListArtifactsResponse;

    #[test]
    fn parts_add_up_to_one_message() {
        let part = |collection: &str, total| ListArtifactsResponse {
            collections: vec![collection.to_owned()],
            total,
            ..Default::default()
        };
        let mut encoded = Encoded::default();
        encoded.add(&part("one", 1));
        encoded.add(&part("two", 0));
        encoded.add(&part("three", 3));
        let bytes = encoded.encode_to_vec();
        let whole = ListArtifactsResponse::decode(bytes.as_slice()).unwrap();
        assert_eq!(whole.collections, ["one", "two", "three"]);
        assert_eq!(whole.total, 3);
        assert_eq!(bytes.len(), encoded.encoded_len());
    }
}
