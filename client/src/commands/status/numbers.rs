//! How many artifacts there are, of all collections or of one.

use std::collections::BTreeMap;

use skillmeat_proto::v1;

use super::counts;
use crate::commands::{Context, Outcome};
use crate::connect::Session;

/// Takes the numbers of the collections: those of the daemon are of another moment.
pub(super) fn count(status: &mut v1::StatusResponse, collections: &[v1::Collection]) {
    let mut by_status = BTreeMap::new();
    for one in collections.iter().flat_map(|one| &one.by_status) {
        *by_status.entry(one.name.clone()).or_insert(0) += one.count;
    }
    status.artifacts = collections.iter().map(|one| one.artifacts).sum();
    status.stale_artifacts = collections.iter().map(|one| one.stale).sum();
    let counts = by_status.into_iter();
    status.artifacts_by_status = counts
        .map(|(name, count)| v1::StatusCount { name, count })
        .collect();
}

/// How many artifacts there are, if that is known.
pub(super) fn show(context: &mut Context, known: Option<&v1::StatusResponse>) -> Outcome {
    let out = &mut context.out;
    let Some(status) = known else {
        return Ok(out.field("artifacts", "not known")?);
    };
    let by_status = counts(
        status
            .artifacts_by_status
            .iter()
            .map(|count| (count.name.as_str(), count.count)),
    );
    let by_status = if by_status.is_empty() {
        by_status
    } else {
        format!(" ({by_status})")
    };
    out.field("artifacts", &format!("{}{by_status}", status.artifacts))?;
    Ok(out.field("stale", &status.stale_artifacts.to_string())?)
}

/// One collection; what the status counts and watches is narrowed to it.
pub(super) async fn only(
    session: &Session,
    status: &mut v1::StatusResponse,
    name: String,
) -> skillmeat_shared::Result<v1::Collection> {
    let answer: v1::ShowCollectionResponse =
        session.call(v1::ShowCollectionRequest { name }).await?;
    let one = answer.collection.unwrap_or_default();
    count(status, std::slice::from_ref(&one));
    status.roots.retain(|root| root.collection == one.name);
    Ok(one)
}
