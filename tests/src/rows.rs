//! All rows that a daemon serves, to compare them with those of another one.

use std::collections::BTreeMap;
use std::time::SystemTime;

use skillmeat_proto::v1;
use skillmeat_proto::v1::artifact_service_client::ArtifactServiceClient as Artifacts;

use crate::client::Rpc;

/// The most that a page may hold.
const PAGE: u32 = 1000;

/// The summaries of all artifacts of all collections.
///
/// # Panics
/// If the daemon does not answer.
#[track_caller]
pub fn summaries(rpc: &Rpc) -> Vec<v1::ArtifactSummary> {
    let mut client = Artifacts::new(rpc.channel());
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListArtifactsRequest {
            all_collections: true,
            page_size: PAGE,
            page_token,
            ..Default::default()
        };
        let page = rpc.wait(client.list(request)).unwrap().into_inner();
        all.extend(page.artifacts);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

/// Whether every row has been compared with its files since this moment.
///
/// # Panics
/// If the daemon does not answer.
#[track_caller]
pub fn are_verified_since(rpc: &Rpc, moment: SystemTime) -> bool {
    let request = v1::ListArtifactsRequest {
        all_collections: true,
        page_size: 1,
        ..Default::default()
    };
    let page = rpc.wait(Artifacts::new(rpc.channel()).list(request));
    let freshness = page.unwrap().into_inner().freshness.unwrap();
    let moment = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let at = freshness.verified_at.and_then(|at| u128::try_from(at).ok());
    freshness.complete && at.is_some_and(|at| at > moment.as_nanos())
}

/// Everything known of every artifact, by collection and id, without what tells when it was learnt.
///
/// # Panics
/// If the daemon does not answer.
#[track_caller]
pub fn artifacts(rpc: &Rpc) -> BTreeMap<(String, String), v1::Artifact> {
    let mut client = Artifacts::new(rpc.channel());
    let shown = summaries(rpc).into_iter().map(|row| {
        let request = v1::ShowArtifactRequest {
            collection: row.collection.clone(),
            artifact: Some(v1::ArtifactRef {
                kind: row.kind.clone(),
                name: row.name.clone(),
            }),
        };
        let shown = rpc.wait(client.show(request)).unwrap().into_inner();
        let mut artifact = shown.artifact.unwrap();
        let mut summary = artifact.summary.take().unwrap();
        (summary.synced_at, summary.stale) = (0, false);
        artifact.summary = Some(summary);
        ((row.collection, row.id), artifact)
    });
    shown.collect()
}

/// The names of what differs, for a message that can be read.
pub fn differences<V: PartialEq>(
    one: &BTreeMap<(String, String), V>,
    other: &BTreeMap<(String, String), V>,
) -> Vec<String> {
    let keys = one.keys().chain(other.keys());
    let mut names: Vec<String> = keys
        .filter(|key| one.get(*key) != other.get(*key))
        .map(|(collection, id)| format!("{collection}/{id}"))
        .collect();
    names.sort();
    names.dedup();
    names
}
