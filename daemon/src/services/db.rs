//! The cache's database over the wire.

use std::path::PathBuf;
use std::sync::Arc;

use skillmeat_proto::v1;
use tonic::{Request, Response, Status};
use v1::db_service_server::DbService;

use super::{STATUS, WORK, run};
use crate::app::{App, Current, Migration};
use crate::store::migrate::SCHEMA_VERSION;

pub(super) struct Service(pub(super) Arc<App>);

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

fn current(current: Current) -> v1::DbCurrentResponse {
    let (replaced_at, replaced_because) = current.replaced.unzip();
    v1::DbCurrentResponse {
        path: text(&current.path),
        state: current.state.to_owned(),
        schema: current.schema,
        known_schema: SCHEMA_VERSION,
        size_bytes: current.size_bytes,
        free_bytes: current.free_bytes,
        log_bytes: current.log_bytes,
        instance: current.instance,
        error: current.error.as_ref().map(Into::into),
        replaced_at,
        replaced_because: replaced_because.unwrap_or_default(),
        copies: current.copies.iter().map(|copy| text(copy)).collect(),
    }
}

fn migration(migration: Migration) -> v1::DbMigration {
    let (applied_at, program) = migration
        .applied
        .map(|applied| (applied.at, applied.program))
        .unzip();
    v1::DbMigration {
        version: migration.version,
        title: migration.title.to_owned(),
        applied: migration.is_applied,
        applied_at,
        program: program.unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl DbService for Service {
    async fn current(
        &self,
        _: Request<v1::DbCurrentRequest>,
    ) -> Result<Response<v1::DbCurrentResponse>, Status> {
        let answer = run(&self.0, &STATUS, |app| Ok(current(app.db_current())));
        Ok(Response::new(answer.await?))
    }

    async fn history(
        &self,
        _: Request<v1::DbHistoryRequest>,
    ) -> Result<Response<v1::DbHistoryResponse>, Status> {
        let history = run(&self.0, &STATUS, App::db_history).await?;
        Ok(Response::new(v1::DbHistoryResponse {
            migrations: history.into_iter().map(migration).collect(),
        }))
    }

    async fn migrate(
        &self,
        request: Request<v1::DbMigrateRequest>,
    ) -> Result<Response<v1::DbMigrateResponse>, Status> {
        let request = request.into_inner();
        let done = run(&self.0, &WORK, move |app| {
            app.db_migrate(request.target, request.down)
        })
        .await?;
        Ok(Response::new(v1::DbMigrateResponse {
            before: done.before,
            after: done.after,
            how: done.how.to_owned(),
        }))
    }

    async fn check(
        &self,
        request: Request<v1::DbCheckRequest>,
    ) -> Result<Response<v1::DbCheckResponse>, Status> {
        let thorough = request.into_inner().thorough;
        let checked = run(&self.0, &WORK, move |app| app.db_check(thorough)).await?;
        Ok(Response::new(v1::DbCheckResponse {
            findings: checked.findings,
            duration_us: u64::try_from(checked.took.as_micros()).unwrap_or(u64::MAX),
            rebuilding: checked.rebuilding,
        }))
    }

    async fn vacuum(
        &self,
        _: Request<v1::DbVacuumRequest>,
    ) -> Result<Response<v1::DbVacuumResponse>, Status> {
        let (before_bytes, after_bytes) = run(&self.0, &WORK, App::db_vacuum).await?;
        Ok(Response::new(v1::DbVacuumResponse {
            before_bytes,
            after_bytes,
        }))
    }

    async fn backup(
        &self,
        request: Request<v1::DbBackupRequest>,
    ) -> Result<Response<v1::DbBackupResponse>, Status> {
        let request = request.into_inner();
        let path = request.path.clone();
        let (size_bytes, schema) = run(&self.0, &WORK, move |app| {
            app.db_backup(&PathBuf::from(request.path), request.force)
        })
        .await?;
        Ok(Response::new(v1::DbBackupResponse {
            path,
            size_bytes,
            schema,
        }))
    }

    async fn restore(
        &self,
        request: Request<v1::DbRestoreRequest>,
    ) -> Result<Response<v1::DbRestoreResponse>, Status> {
        let path = PathBuf::from(request.into_inner().path);
        let schema = run(&self.0, &WORK, move |app| app.db_restore(&path)).await?;
        Ok(Response::new(v1::DbRestoreResponse { schema }))
    }
}
