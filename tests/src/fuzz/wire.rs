//! Messages of the protocol, and errors in the details of a status.

use prost::Message;
use skillmeat_proto::status_to_error;

/// What decodes also encodes, to the same message.
fn round<M: Message + Default>(bytes: &[u8]) {
    if let Ok(message) = M::decode(bytes) {
        let written = message.encode_to_vec();
        assert_eq!(written.len(), message.encoded_len());
        let again = M::decode(written.as_slice()).unwrap();
        // By their bytes, as a number that is none does not equal itself; sorted, as the entries of a map have no order.
        let sorted = |mut bytes: Vec<u8>| {
            bytes.sort_unstable();
            bytes
        };
        assert_eq!(sorted(again.encode_to_vec()), sorted(written));
    }
}

macro_rules! all_round {
    ($($message:ty),*) => {
        fn every_message(bytes: &[u8]) {
            $(round::<$message>(bytes);)*
        }
    };
}

skillmeat_proto::with_messages!(all_round);

pub(super) fn check(bytes: &[u8]) {
    every_message(bytes);
    let status = tonic::Status::with_details(
        tonic::Code::Internal,
        "a message",
        tonic::codegen::Bytes::copy_from_slice(bytes),
    );
    let error = status_to_error(&status);
    assert!(!error.message.is_empty());
}
