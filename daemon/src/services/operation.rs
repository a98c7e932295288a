//! Operations over the wire.

use std::sync::Arc;

use skillmeat_proto::v1;
use tonic::{Request, Response, Status};
use v1::operation_service_server::OperationService;

use super::change::{self, ChangeStream};
use super::{READ, run};
use crate::app::{App, ChangedFile, LogRequest};
use crate::store::history::operation::Operation;

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl OperationService for Service {
    async fn list(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsResponse>, Status> {
        let request = request.into_inner();
        let request = LogRequest {
            collection: request.collection,
            artifact: request.artifact,
            limit: request.limit,
            before: number(request.before),
        };
        let listed = run(&self.0, &READ, move |app| {
            let (operations, more) = app.operations(&request)?;
            let is_end = !more || request.before.is_none();
            let lost = is_end.then(|| app.history_loss()).flatten();
            Ok((operations, more, lost))
        });
        let (operations, more, lost) = listed.await?;
        Ok(Response::new(v1::ListOperationsResponse {
            operations: operations.into_iter().map(operation).collect(),
            more,
            lost: lost.unwrap_or_default(),
        }))
    }

    async fn show(
        &self,
        request: Request<v1::ShowOperationRequest>,
    ) -> Result<Response<v1::ShowOperationResponse>, Status> {
        let id = number(request.into_inner().id);
        let shown = run(&self.0, &READ, move |app| app.operation(id)).await?;
        Ok(Response::new(v1::ShowOperationResponse {
            operation: Some(operation(shown.operation)),
            files: shown.files.into_iter().map(file).collect(),
            cut: shown.cut,
        }))
    }

    type UndoStream = ChangeStream;

    async fn undo(
        &self,
        request: Request<v1::UndoRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let request = request.into_inner();
        let id = number(request.id);
        Ok(change::stream(&self.0, move |app, caller| {
            app.undo(id, request.dry_run, caller)
        })
        .await)
    }

    type RedoStream = ChangeStream;

    async fn redo(
        &self,
        request: Request<v1::RedoRequest>,
    ) -> Result<Response<ChangeStream>, Status> {
        let dry_run = request.into_inner().dry_run;
        Ok(change::stream(&self.0, move |app, caller| app.redo(dry_run, caller)).await)
    }
}

/// A number as the history has it; 0 stands for none. What is too large exists nowhere.
fn number(id: u64) -> Option<i64> {
    (id != 0).then(|| i64::try_from(id).unwrap_or(i64::MAX))
}

fn wire(id: i64) -> u64 {
    u64::try_from(id).unwrap_or_default()
}

fn operation(operation: Operation) -> v1::Operation {
    v1::Operation {
        id: wire(operation.id),
        at: operation.at.0,
        finished_at: operation.finished_at.map(|at| at.0),
        actor: operation.actor,
        verb: operation.verb,
        what: operation.what,
        state: operation.state.as_str().to_owned(),
        undoes: operation.undoes.map(wire),
    }
}

fn file(file: ChangedFile) -> v1::ChangedFile {
    v1::ChangedFile {
        collection: file.collection,
        path: file.path,
        action: file.action.to_owned(),
        size_before: file.size_before,
        size_after: file.size_after,
        diff: file.diff,
        binary: file.binary,
    }
}
