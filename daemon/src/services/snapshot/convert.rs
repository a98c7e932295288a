//! What snapshots are on the wire.

use std::path::PathBuf;

use skillmeat_proto::v1;
use skillmeat_shared::history::retention::Retention;
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{Code, Error};

use crate::app::{Difference, Made, RollbackRequest, SnapshotView};
use crate::services::wire;

pub(super) const fn event(
    files: u64,
    done: Option<v1::CreatedSnapshot>,
) -> v1::CreateSnapshotEvent {
    v1::CreateSnapshotEvent { files, done }
}

pub(super) fn created(made: Made) -> v1::CreatedSnapshot {
    v1::CreatedSnapshot {
        snapshot: Some(snapshot(made.snapshot)),
        read: made.read,
        left_out: made.left_out.into_iter().map(wire::problem).collect(),
    }
}

pub(super) fn snapshot(view: SnapshotView) -> v1::Snapshot {
    v1::Snapshot {
        id: view.id,
        collection: view.collection,
        at: view.at.0,
        message: view.message,
        origin: view.origin,
        artifacts: view.artifacts,
        files: view.files,
        bytes: view.bytes,
        stored: view.stored,
        archive: view
            .archive
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
        problem: view.problem.unwrap_or_default().to_owned(),
        notes: Vec::new(),
    }
}

pub(super) fn gone(views: Vec<SnapshotView>) -> v1::DeleteSnapshotsResponse {
    v1::DeleteSnapshotsResponse {
        snapshots: views.into_iter().map(snapshot).collect(),
    }
}

pub(super) fn problem(error: Error) -> v1::Problem {
    v1::Problem {
        code: error.code.as_str().to_owned(),
        message: error.message,
        path: error.path.map(|path| path.display().to_string()),
        line: error.line,
    }
}

pub(super) fn difference(one: Difference) -> v1::SnapshotChange {
    v1::SnapshotChange {
        change: one.change.to_owned(),
        path: one.path,
        artifact: one.artifact.unwrap_or_default(),
        before_bytes: one.before_bytes,
        after_bytes: one.after_bytes,
    }
}

/// What is asked for over what is configured.
pub(super) fn retention(request: &v1::PruneSnapshotsRequest, configured: Retention) -> Retention {
    Retention {
        last: request.keep_last.unwrap_or(configured.last),
        daily: request.keep_daily.unwrap_or(configured.daily),
        weekly: request.keep_weekly.unwrap_or(configured.weekly),
        monthly: request.keep_monthly.unwrap_or(configured.monthly),
    }
}

pub(super) fn rollback_request(request: v1::RollbackRequest) -> Result<RollbackRequest, Error> {
    let artifacts = request.artifacts.into_iter().map(|named| {
        let kind = match named.kind.as_str() {
            "" => None,
            kind => Some(kind.parse()?),
        };
        Ok(ArtifactRef {
            kind,
            name: named.name,
        })
    });
    Ok(RollbackRequest {
        collection: request.collection,
        id: request.id,
        artifacts: artifacts.collect::<Result<_, Error>>()?,
        restore: request.restore,
        dry_run: request.dry_run,
    })
}

pub(super) fn absolute(path: &str) -> Result<PathBuf, Error> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    let message = format!("`{}` is not absolute", path.display());
    Err(Error::new(Code::InvalidArgument, message))
}
