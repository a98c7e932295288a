//! Calls by their request alone: a request belongs to one method, which says where to send it and what comes
//! back. Bytes travel; so one piece of code calls every method, where generated clients bring one for each.

use prost::Message;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// A request, and the method that it is for.
pub trait Call: Message {
    /// What the method answers; of a stream, one message of it.
    type Answer: Message + Default;
    /// The method's path on the wire.
    const PATH: &'static str;
}

include!(concat!(env!("OUT_DIR"), "/calls.rs"));

/// Decodes an answer.
///
/// # Errors
/// If the bytes are no such message.
pub fn answer<A: Message + Default>(bytes: Bytes) -> Result<A, Status> {
    A::decode(bytes).map_err(|error| Status::internal(format!("the answer can't be read: {error}")))
}

/// Messages as they are on the wire.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
