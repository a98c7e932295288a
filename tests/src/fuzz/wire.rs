//! Messages of the protocol, and errors in the details of a status.

use prost::Message;
use skillmeat_proto::{status_to_error, v1};

/// What decodes also encodes, to the same message.
fn round<M: Message + Default>(bytes: &[u8]) {
    if let Ok(message) = M::decode(bytes) {
        let written = message.encode_to_vec();
        assert_eq!(written.len(), message.encoded_len());
        let again = M::decode(written.as_slice()).unwrap();
        // By their bytes: a number that is none does not equal itself.
        assert_eq!(again.encode_to_vec(), written);
    }
}

pub(super) fn check(bytes: &[u8]) {
    round::<v1::ListArtifactsRequest>(bytes);
    round::<v1::ListArtifactsResponse>(bytes);
    round::<v1::ShowArtifactRequest>(bytes);
    round::<v1::ShowArtifactResponse>(bytes);
    round::<v1::AddArtifactsRequest>(bytes);
    round::<v1::AddArtifactsEvent>(bytes);
    round::<v1::CompleteNamesRequest>(bytes);
    round::<v1::SearchRequest>(bytes);
    round::<v1::SearchResponse>(bytes);
    round::<v1::CacheStatusResponse>(bytes);
    round::<v1::InvalidateCacheRequest>(bytes);
    round::<v1::CreateCollectionRequest>(bytes);
    round::<v1::ShowCollectionResponse>(bytes);
    round::<v1::StatusResponse>(bytes);
    round::<v1::SubscribeRequest>(bytes);
    round::<v1::Event>(bytes);
    let status = tonic::Status::with_details(
        tonic::Code::Internal,
        "a message",
        tonic::codegen::Bytes::copy_from_slice(bytes),
    );
    let error = status_to_error(&status);
    assert!(!error.message.is_empty());
}
