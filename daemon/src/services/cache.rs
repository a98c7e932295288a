//! The cache over the wire.

use std::sync::Arc;

use skillmeat_proto::v1;
use tonic::{Request, Response, Status};
use v1::cache_service_server::CacheService;

use super::{WORK, read, run, wire};
use crate::app::App;
use crate::store::migrate::SCHEMA_VERSION;

pub(super) struct Service(pub(super) Arc<App>);

#[tonic::async_trait]
impl CacheService for Service {
    async fn status(
        &self,
        _: Request<v1::CacheStatusRequest>,
    ) -> Result<Response<v1::CacheStatusResponse>, Status> {
        let answer = read(&self.0, |app| {
            let status = app.cache_status()?;
            let config = app.config();
            let (reads, reads_from_rows) = app.counters().reads();
            let (ingest_successes, ingest_failures) = app.counters().ingests();
            Ok(v1::CacheStatusResponse {
                total_artifacts: status.artifacts,
                total_collections: status.collections,
                size_bytes: status.size_bytes,
                max_size_bytes: status.max_size_bytes,
                last_refresh: status.last_refresh.map(|at| at.0),
                metadata_ttl_seconds: config.config.cache_metadata_ttl.as_secs(),
                ttl_seconds: config.config.cache_ttl.as_secs(),
                stale_artifacts: status.stale,
                reads,
                reads_from_rows,
                hit_rate: (reads > 0).then(|| reads_from_rows as f64 / reads as f64),
                ingest_successes,
                ingest_failures,
                last_reconcile: status.last_reconcile.as_ref().map(wire::tally),
                unindexed_artifacts: status.unindexed,
                evicted_texts: status.evicted,
                path: status.path,
                schema_version: SCHEMA_VERSION,
                rows_written: status.rows_written,
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn refresh(
        &self,
        request: Request<v1::RefreshCacheRequest>,
    ) -> Result<Response<v1::RefreshCacheResponse>, Status> {
        let request = request.into_inner();
        let tally = run(&self.0, &WORK, move |app| {
            app.refresh_cache(&request.collection, request.force)
        });
        Ok(Response::new(v1::RefreshCacheResponse {
            report: Some(wire::tally(&tally.await?)),
        }))
    }

    async fn invalidate(
        &self,
        request: Request<v1::InvalidateCacheRequest>,
    ) -> Result<Response<v1::InvalidateCacheResponse>, Status> {
        let request = request.into_inner();
        let done = read(&self.0, move |app| {
            app.invalidate(&request.collection, &request.artifacts)
        })
        .await?;
        Ok(Response::new(v1::InvalidateCacheResponse {
            invalidated: done.rows,
            collections: done.collections,
        }))
    }

    async fn clear(
        &self,
        _: Request<v1::ClearCacheRequest>,
    ) -> Result<Response<v1::RefreshCacheResponse>, Status> {
        let tally = run(&self.0, &WORK, App::clear).await?;
        Ok(Response::new(v1::RefreshCacheResponse {
            report: Some(wire::tally(&tally)),
        }))
    }
}
