//! Conversions that several services share.

use skillmeat_proto::v1;
use skillmeat_shared::artifact::Problem;
use skillmeat_shared::collection::ratings::Ratings;
use skillmeat_shared::reconcile::Failure;

use crate::app::{App, Freshness, Outdated, Tally};
use crate::store::list::Summary;

pub(super) fn freshness(freshness: &Freshness) -> v1::Freshness {
    v1::Freshness {
        verified_at: freshness.verified_at.map(|at| at.0),
        stale: freshness.stale,
        complete: freshness.complete,
        outdated: freshness.outdated.iter().map(outdated).collect(),
        catching_up: freshness.catching_up,
    }
}

fn outdated(outdated: &Outdated) -> v1::Outdated {
    v1::Outdated {
        collection: outdated.collection.clone(),
        state: outdated.state.to_owned(),
        reason: outdated.reason.clone(),
    }
}

fn failure(failure: &Failure) -> v1::ReconcileFailure {
    v1::ReconcileFailure {
        collection: failure.collection.clone(),
        path: failure.path.clone(),
        reason: failure.reason.clone(),
    }
}

pub(super) fn problem(problem: Problem) -> v1::Problem {
    v1::Problem {
        code: problem.code,
        message: problem.message,
        path: problem.path,
        line: problem.line,
    }
}

pub(super) fn summary(app: &App, ratings: &Ratings, row: Summary) -> v1::ArtifactSummary {
    let stale = app.is_stale(&row);
    let id = [&row.kind, ":", &row.name].concat();
    v1::ArtifactSummary {
        stale,
        rating: ratings.of(&row.collection, &id).map(u32::from),
        id,
        name: row.name,
        kind: row.kind,
        collection: row.collection,
        path: row.path,
        status: row.status,
        origin: row.origin,
        description: row.description,
        title: row.title,
        author: row.author,
        license: row.license,
        version: row.version,
        tags: row.tags,
        tools: row.tools,
        aliases: row.aliases,
        scope: row.scope,
        source: row.source,
        origin_source: row.origin_source,
        version_spec: row.version_spec,
        resolved_sha: row.resolved_sha,
        resolved_version: row.resolved_version,
        content_hash: row.content_hash,
        structure_hash: row.structure_hash,
        file_count: row.file_count,
        size: row.size,
        parse_status: row.parse_status,
        synced_at: row.synced_at,
        updated_at: row.updated_at,
        problem_count: row.problem_count,
        groups: row.groups,
    }
}

pub(super) fn tally(tally: &Tally) -> v1::ReconcileReport {
    v1::ReconcileReport {
        reason: tally.reason.to_owned(),
        finished_at: tally.finished_at.0,
        duration_us: u64::try_from(tally.duration.as_micros()).unwrap_or(u64::MAX),
        collections: tally.collections,
        verified: tally.counts.verified,
        read: tally.counts.read,
        added: tally.counts.added,
        changed: tally.counts.changed,
        removed: tally.counts.removed,
        failed: tally.counts.failed,
        failures: tally.counts.failures.iter().map(failure).collect(),
    }
}
