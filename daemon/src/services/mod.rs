//! The gRPC services: each call decodes, calls a use-case on the blocking pool, and encodes. No decision is
//! made here.

mod artifact;
mod cache;
mod collection;
mod daemon;
mod event;
mod search;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use skillmeat_proto::v1;
use skillmeat_proto::{MAX_MESSAGE_BYTES, error_to_status};
use skillmeat_shared::{Code, Error, Result};
use tonic::Status;
use tonic::service::Routes;

use crate::app::App;

/// The full names of our services.
pub const NAMES: &[&str] = &[
    "skillmeat.v1.ArtifactService",
    "skillmeat.v1.CacheService",
    "skillmeat.v1.CollectionService",
    "skillmeat.v1.DaemonService",
    "skillmeat.v1.EventService",
    "skillmeat.v1.SearchService",
];

/// The longest that a read may take.
const READ: Duration = Duration::from_secs(30);

/// How long a read waits for the first rows of a new cache.
const FIRST_ROWS: Duration = Duration::from_secs(2);

/// The longest that a change or a pass over files may take.
const WORK: Duration = Duration::from_mins(10);

/// All services.
pub fn routes(app: &Arc<App>) -> Routes {
    macro_rules! server {
        ($module:ident, $server:ident, $service:expr) => {
            v1::$module::$server::new($service)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
        };
    }
    let app = || Arc::clone(app);
    Routes::new(server!(
        artifact_service_server,
        ArtifactServiceServer,
        artifact::Service(app())
    ))
    .add_service(server!(
        cache_service_server,
        CacheServiceServer,
        cache::Service(app())
    ))
    .add_service(server!(
        collection_service_server,
        CollectionServiceServer,
        collection::Service(app())
    ))
    .add_service(server!(
        daemon_service_server,
        DaemonServiceServer,
        daemon::Service(app())
    ))
    .add_service(server!(
        event_service_server,
        EventServiceServer,
        event::Service(app())
    ))
    .add_service(server!(
        search_service_server,
        SearchServiceServer,
        search::Service(app())
    ))
}

/// Runs a use-case that reads rows; waits a moment for a cache that is being built for the first time.
async fn read<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T> + Send + 'static,
) -> Result<T, Status> {
    app.until_built(FIRST_ROWS).await;
    run(app, READ, work).await
}

/// Runs a use-case on the blocking pool, within a deadline.
async fn run<T: Send + 'static>(
    app: &Arc<App>,
    limit: Duration,
    work: impl FnOnce(&App) -> Result<T> + Send + 'static,
) -> Result<T, Status> {
    let app = Arc::clone(app);
    let task = tokio::task::spawn_blocking(move || work(&app));
    let result =
        match tokio::time::timeout(limit, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::new(Code::Internal, "the call panicked")
                .hint("`sm daemon logs` tells where")),
            Err(_) => Err(Error::new(Code::DaemonTimeout, "the call took too long")
                .hint("`sm daemon logs` tells what the daemon does")),
        };
    result.map_err(|error| error_to_status(&error))
}
