//! The gRPC services: each call decodes, calls a use-case on the blocking pool, and encodes. No decision is
//! made here.

mod adopt;
mod artifact;
mod cache;
mod change;
mod collection;
mod config;
mod curation;
mod daemon;
mod db;
mod event;
mod group;
mod maintenance;
mod operation;
mod search;
mod snapshot;
mod tag;
mod validation;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use skillmeat_proto::v1;
use skillmeat_proto::{MAX_MESSAGE_BYTES, error_to_status};
use skillmeat_shared::{Code, Error, Result};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::service::Routes;

use crate::app::App;

/// The full names of our services.
pub const NAMES: &[&str] = &[
    "skillmeat.v1.AdoptService",
    "skillmeat.v1.ArtifactService",
    "skillmeat.v1.CacheService",
    "skillmeat.v1.CollectionService",
    "skillmeat.v1.ConfigService",
    "skillmeat.v1.CurationService",
    "skillmeat.v1.DaemonService",
    "skillmeat.v1.DbService",
    "skillmeat.v1.EventService",
    "skillmeat.v1.MaintenanceService",
    "skillmeat.v1.OperationService",
    "skillmeat.v1.GroupService",
    "skillmeat.v1.SearchService",
    "skillmeat.v1.SnapshotService",
    "skillmeat.v1.TagService",
];

/// Those that answer in every state of the cache.
pub const ALWAYS_SERVING: &[&str] = &["skillmeat.v1.DaemonService", "skillmeat.v1.DbService"];

/// Calls of one sort: how long one may take, and how many may be at work. The others wait without a thread,
/// so that no sort of calls can take all threads of the pool from the others.
struct Lane {
    limit: Duration,
    room: Semaphore,
    /// Whether somebody needs the daemon for it.
    is_work: bool,
}

impl Lane {
    const fn new(limit: Duration, room: usize) -> Self {
        Self {
            limit,
            room: Semaphore::const_new(room),
            is_work: true,
        }
    }
}

/// What the daemon tells of itself: never behind other calls.
static STATUS: Lane = Lane {
    is_work: false,
    ..Lane::new(Duration::from_secs(30), 2)
};

/// Reads.
static READ: Lane = Lane::new(Duration::from_secs(30), 8);

/// Changes and passes over files, which wait for each other.
static WORK: Lane = Lane::new(Duration::from_mins(10), 4);

/// How long a read waits for the first rows of a new cache.
const FIRST_ROWS: Duration = Duration::from_secs(2);

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
        adopt_service_server,
        AdoptServiceServer,
        adopt::Service(app())
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
        config_service_server,
        ConfigServiceServer,
        config::Service(app())
    ))
    .add_service(server!(
        curation_service_server,
        CurationServiceServer,
        curation::Service(app())
    ))
    .add_service(server!(
        daemon_service_server,
        DaemonServiceServer,
        daemon::Service(app())
    ))
    .add_service(server!(
        db_service_server,
        DbServiceServer,
        db::Service(app())
    ))
    .add_service(server!(
        event_service_server,
        EventServiceServer,
        event::Service(app())
    ))
    .add_service(server!(
        maintenance_service_server,
        MaintenanceServiceServer,
        maintenance::Service(app())
    ))
    .add_service(server!(
        operation_service_server,
        OperationServiceServer,
        operation::Service(app())
    ))
    .add_service(server!(
        group_service_server,
        GroupServiceServer,
        group::Service(app())
    ))
    .add_service(server!(
        search_service_server,
        SearchServiceServer,
        search::Service(app())
    ))
    .add_service(server!(
        tag_service_server,
        TagServiceServer,
        tag::Service(app())
    ))
    .add_service(server!(
        snapshot_service_server,
        SnapshotServiceServer,
        snapshot::Service(app())
    ))
}

/// Runs a use-case that reads rows; waits a moment for a cache that is being built for the first time. Where rows
/// may have been missing, or are those of the last run and don't have it, it looks again once they are there.
async fn read<T: Send + 'static>(
    app: &Arc<App>,
    work: impl Fn(&App) -> Result<T> + Send + Sync + 'static,
) -> Result<T, Status> {
    let (work, begun) = (Arc::new(work), Instant::now());
    app.until_built(FIRST_ROWS).await;
    loop {
        let look = Arc::clone(&work);
        let looked = run(app, &READ, move |app| Ok(app.look(|app| look(app)))).await?;
        let left = FIRST_ROWS.saturating_sub(begun.elapsed());
        if !(looked.in_doubt || looked.is_early) || left.is_zero() {
            return looked
                .result
                .map_err(|error| error_to_status(&app.told(error)));
        }
        if looked.is_early {
            app.until_compared(left).await;
        } else {
            app.until_built(left).await;
        }
    }
}

/// Runs a use-case that names what is there and can't be done twice.
async fn once_built<T: Send + 'static>(
    app: &Arc<App>,
    lane: &'static Lane,
    work: impl FnOnce(&App) -> Result<T> + Send + 'static,
) -> Result<T, Status> {
    app.until_rebuilt(FIRST_ROWS).await;
    let told = |app: &App| work(app).map_err(|error| app.told(error));
    run(app, lane, told).await
}

/// Runs a use-case on the blocking pool, when its lane has room, within its deadline.
async fn run<T: Send + 'static>(
    app: &Arc<App>,
    lane: &'static Lane,
    work: impl FnOnce(&App) -> Result<T> + Send + 'static,
) -> Result<T, Status> {
    let app = Arc::clone(app);
    let busy = lane.is_work.then(|| app.begin_call());
    let task = async {
        let room = lane.room.acquire().await;
        tokio::task::spawn_blocking(move || {
            // Given back when the work ends, which may be after its caller has left.
            let _room = (room, busy);
            work(&app)
        })
        .await
    };
    let result =
        match tokio::time::timeout(lane.limit, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::new(Code::Internal, "the call panicked")
                .hint("`sm daemon logs` tells where")),
            Err(_) => Err(Error::new(Code::DaemonTimeout, "the call took too long")
                .hint("`sm daemon logs` tells what the daemon does")),
        };
    result.map_err(|error| error_to_status(&error))
}

#[cfg(test)]
mod tests {
    use super::{READ, STATUS, WORK};
    use crate::lifecycle::BLOCKING_THREADS;

    #[test]
    fn calls_leave_threads_for_the_clock() {
        let taken = [&STATUS, &READ, &WORK].map(|lane| lane.room.available_permits());
        assert!(taken.iter().sum::<usize>() < BLOCKING_THREADS);
    }
}
