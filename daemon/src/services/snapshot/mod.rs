//! Snapshots over the wire.

mod convert;

use std::pin::Pin;
use std::sync::Arc;

use skillmeat_proto::{error_to_status, v1};
use skillmeat_shared::Code;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use v1::snapshot_service_server::SnapshotService;

use super::change::{self, ChangeStream};
use super::{WORK, once_built, read, run};
use crate::app::{Actor, App};
use convert::{
    absolute, created, difference, event, gone, problem, retention, rollback_request, snapshot,
};

pub(super) struct Service(pub(super) Arc<App>);

/// Messages of a snapshot that may wait for a slow client; progress beyond that is lost.
const QUEUE: usize = 16;

type CreateMessage = Result<v1::CreateSnapshotEvent, Status>;

#[tonic::async_trait]
impl SnapshotService for Service {
    type CreateStream = Pin<Box<dyn Stream<Item = CreateMessage> + Send>>;
    type RollbackStream = ChangeStream;

    async fn create(
        &self,
        request: Request<v1::CreateSnapshotRequest>,
    ) -> Result<Response<Self::CreateStream>, Status> {
        let request = request.into_inner();
        let (sender, receiver) = tokio::sync::mpsc::channel(QUEUE);
        let app = Arc::clone(&self.0);
        tokio::spawn(async move {
            let progress = sender.clone();
            let made = once_built(&app, &WORK, move |app| {
                let tell = |files| drop(progress.try_send(Ok(event(files, None))));
                app.create_snapshot(&request.collection, &request.message, &tell)
            });
            let last = made
                .await
                .map(|made| event(made.files(), Some(created(made))));
            // A client that has left hears nothing of it; the snapshot stays.
            drop(sender.send(last).await);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn list(
        &self,
        request: Request<v1::ListSnapshotsRequest>,
    ) -> Result<Response<v1::ListSnapshotsResponse>, Status> {
        let request = request.into_inner();
        let limit = match request.limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let listed = read(&self.0, move |app| {
            app.snapshots(&request.collection, request.all_collections, limit)
        });
        let (snapshots, total, problems) = listed.await?;
        Ok(Response::new(v1::ListSnapshotsResponse {
            snapshots: snapshots.into_iter().map(snapshot).collect(),
            total,
            problems: problems.into_iter().map(problem).collect(),
        }))
    }

    async fn show(
        &self,
        request: Request<v1::ShowSnapshotRequest>,
    ) -> Result<Response<v1::ShowSnapshotResponse>, Status> {
        let request = request.into_inner();
        let shown = run(&self.0, &WORK, move |app| {
            app.snapshot(&request.collection, &request.id)
        });
        let (view, held) = shown.await?;
        let artifacts = held.into_iter().map(|one| v1::SnapshotArtifact {
            id: one.id.to_string(),
            path: one.path,
            files: one.files,
            bytes: one.bytes,
        });
        Ok(Response::new(v1::ShowSnapshotResponse {
            snapshot: Some(snapshot(view)),
            artifacts: artifacts.collect(),
        }))
    }

    async fn diff(
        &self,
        request: Request<v1::DiffSnapshotsRequest>,
    ) -> Result<Response<v1::DiffSnapshotsResponse>, Status> {
        let request = request.into_inner();
        let compared = run(&self.0, &WORK, move |app| {
            app.compare_snapshots(&request.collection, &request.before, &request.after)
        });
        let compared = compared.await?;
        Ok(Response::new(v1::DiffSnapshotsResponse {
            collection: compared.collection,
            changes: compared.differences.into_iter().map(difference).collect(),
            truncated: compared.truncated,
        }))
    }

    async fn verify(
        &self,
        request: Request<v1::VerifySnapshotsRequest>,
    ) -> Result<Response<v1::VerifySnapshotsResponse>, Status> {
        let request = request.into_inner();
        let verified = once_built(&self.0, &WORK, move |app| {
            app.verify_snapshots(&request.collection, request.all_collections, &request.ids)
        });
        let (verified, problems) = verified.await?;
        let snapshots = verified.into_iter().map(|(view, problems)| {
            let code = if view.is_ours() {
                Code::HistoryDamaged
            } else {
                Code::ArchiveInvalid
            };
            let problems = problems.into_iter().map(|(path, message)| v1::Problem {
                code: code.as_str().to_owned(),
                message,
                path: (!path.is_empty()).then_some(path),
                line: None,
            });
            v1::VerifiedSnapshot {
                id: view.id,
                collection: view.collection,
                problems: problems.collect(),
            }
        });
        Ok(Response::new(v1::VerifySnapshotsResponse {
            snapshots: snapshots.collect(),
            problems: problems.into_iter().map(problem).collect(),
        }))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteSnapshotsRequest>,
    ) -> Result<Response<v1::DeleteSnapshotsResponse>, Status> {
        let request = request.into_inner();
        let deleted = run(&self.0, &WORK, move |app| {
            app.delete_snapshots(&request.collection, &request.ids)
        });
        Ok(Response::new(gone(deleted.await?)))
    }

    async fn prune(
        &self,
        request: Request<v1::PruneSnapshotsRequest>,
    ) -> Result<Response<v1::DeleteSnapshotsResponse>, Status> {
        let request = request.into_inner();
        let pruned = once_built(&self.0, &WORK, move |app| {
            let retention = retention(&request, app.retention());
            let (name, all) = (&request.collection, request.all_collections);
            app.prune_snapshots(Actor::CommandLine, name, all, retention, request.dry_run)
        });
        Ok(Response::new(gone(pruned.await?)))
    }

    async fn export(
        &self,
        request: Request<v1::ExportSnapshotRequest>,
    ) -> Result<Response<v1::ExportSnapshotResponse>, Status> {
        let request = request.into_inner();
        let path = absolute(&request.path).map_err(|error| error_to_status(&error))?;
        let written = run(&self.0, &WORK, move |app| {
            app.export_snapshot(&request.collection, &request.id, &path, request.force)
                .map(|written| (path.display().to_string(), written))
        });
        let (path, (size_bytes, notes)) = written.await?;
        Ok(Response::new(v1::ExportSnapshotResponse {
            path,
            size_bytes,
            notes,
        }))
    }

    async fn import(
        &self,
        request: Request<v1::ImportSnapshotRequest>,
    ) -> Result<Response<v1::Snapshot>, Status> {
        let request = request.into_inner();
        let path = absolute(&request.path).map_err(|error| error_to_status(&error))?;
        let imported = once_built(&self.0, &WORK, move |app| {
            app.import_snapshot(&request.collection, &path, &request.message)
        });
        let (view, notes) = imported.await?;
        Ok(Response::new(v1::Snapshot {
            notes,
            ..snapshot(view)
        }))
    }

    async fn rollback(
        &self,
        request: Request<v1::RollbackRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = request.into_inner();
        let is_nothing = request.nothing;
        let request = rollback_request(request).map_err(|error| error_to_status(&error))?;
        Ok(change::stream(&self.0, move |app, caller| {
            let mut summary = app.roll_back(&request, caller)?;
            summary.dry_run &= !(is_nothing && summary.steps.is_empty());
            Ok(summary)
        })
        .await)
    }

    async fn collect(
        &self,
        request: Request<v1::CollectRequest>,
    ) -> Result<Response<v1::CollectResponse>, Status> {
        let dry_run = request.into_inner().dry_run;
        let done = run(&self.0, &WORK, move |app| {
            app.collect_garbage(Actor::CommandLine, dry_run)
        })
        .await?;
        Ok(Response::new(v1::CollectResponse {
            operations: done.collected.operations,
            objects: done.collected.objects,
            bytes: done.collected.bytes,
            left: done.collected.left,
            size_bytes: done.size_bytes,
            needed: done.collected.needed,
            warnings: done.warnings,
        }))
    }
}
