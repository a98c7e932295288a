//! The composition root: wires store, watcher, scheduler and reconciling, and holds the use-cases that
//! services call. Everything here blocks and runs on the blocking pool or on threads of its own.

mod activity;
mod add;
mod adopt;
mod change;
mod clear;
mod collections;
mod curation;
mod database;
mod errand;
mod filters;
mod freshness;
mod gate;
mod group;
mod health;
mod home;
mod indexer;
mod ingest;
mod lasting;
mod naming;
mod queries;
mod quiet;
mod reach;
mod repair;
mod rows;
mod safety;
mod schedule;
mod searching;
mod selection;
mod settings;
mod shown;
mod snapshots;
mod status;
mod tag;
mod watching;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use skillmeat_shared::config::{self, Loaded};
use skillmeat_shared::failpoint;
use skillmeat_shared::paths::{ProcessEnvironment, is_local_fs};
use skillmeat_shared::time::{Clock, SystemClock};
use skillmeat_shared::{Error, Result};
use tokio::sync::watch as signal;
use tonic::service::Routes;

use crate::jobs::scheduler::{CronScheduler, Scheduler as _};
use crate::lifecycle::memory::MemoryLimits;
use crate::lifecycle::{Application, Boot, Policy, Supervisor};
use crate::store::Store;
use crate::store::history::History;
use crate::store::history::damage::Damage;
use crate::watch::{self, Dirty, Ledger, Place, Watcher};

pub use activity::Busy;
pub use add::{AddRequest, Replace};
pub use adopt::{SurveyRequest, SurveyRow, Surveyed};
pub use change::{
    Actor, Caller, ChangeItem, ChangeSummary, ChangedFile, LogRequest, ShownOperation, Step,
    Telling,
};
pub use clear::Invalidated;
pub use collections::change::{CollectionAction, CollectionRequest};
pub use collections::{Described, Initialised, Whole};
pub use curation::{
    Field, Opened, RateRequest, RemoveRequest, RenameRequest, SaveRequest, SetRequest,
    TransferRequest, ValidateRequest, Validated, Validation,
};
pub use database::{Current, Migrated, Migration};
pub use freshness::{Freshness, FullPass, Outdated};
pub use group::{GroupAction, GroupRequest};
pub use ingest::Tally;
pub use queries::{ListRequest, Listed};
pub use repair::RepairRequest;
pub use rows::Looked;
use rows::{FirstLook, RowsState};
pub use searching::{Found, SearchHit, SearchRequest, SearchScope, Searched};
pub use selection::Selection;
pub use settings::ConfigAction;
pub use shown::Shown;
pub use snapshots::{
    Collected, Compared, Difference, HeldArtifact, Made, RollbackRequest, SnapshotView,
};
pub use status::{Counters, Overview, Phase};
pub use tag::{TagAction, TagRequest};
pub use watching::{EventPage, EventStart};

/// The daemon's application: one per process.
pub struct App {
    boot: Boot,
    clock: Arc<dyn Clock>,
    config: RwLock<Arc<Loaded>>,
    /// Held from reading the config until it is in force: what was read first must not win.
    reloading: Mutex<()>,
    gate: gate::Gate,
    /// What was, to undo what is. Opened when it is needed.
    history: Arc<History>,
    ingest: ingest::Ingest,
    indexer: indexer::Indexer,
    keeper: change::Keeper,
    seen_config: change::SeenConfig,
    lasts: snapshots::Lasts,
    freshness: Mutex<freshness::Table>,
    counters: status::Counters,
    ledger: Arc<Ledger>,
    links: ingest::Links,
    activity: activity::Activity,
    watcher: OnceLock<Watcher>,
    scheduler: OnceLock<CronScheduler>,
    words: Mutex<searching::Words>,
    rated: curation::Rated,
    reach: reach::Reach,
    /// Whether answers can be complete.
    rows: signal::Sender<RowsState>,
    /// Whether all collections were looked at since the start.
    compared: FirstLook,
    /// Grows with every committed change; tells subscribers to look at the event log.
    changes: signal::Sender<u64>,
    generation: AtomicU64,
    /// One mutation at a time.
    mutation: Mutex<()>,
    /// Snapshots that are known not to be whole.
    damaged: Mutex<Vec<Damage>>,
    /// An operation may be open that is not under way.
    unsettled: AtomicBool,
    ready: OnceLock<Box<dyn Fn(bool) + Send + Sync>>,
    /// Held from looking for warnings until they are raised: what was seen first must not win.
    looking: Mutex<()>,
}

/// Makes the application. Opens nothing yet: the socket must answer first.
pub fn build(boot: Boot) -> Result<Arc<App>> {
    let config = Arc::new(boot.loaded.clone());
    let is_local = is_local_fs(boot.home.root());
    let history = History::new(&boot.home.history(), is_local);
    let history = Arc::new(history.read_only(boot.home.is_read_only()));
    Ok(Arc::new(App {
        boot,
        clock: Arc::new(SystemClock),
        config: RwLock::new(config),
        reloading: Mutex::default(),
        gate: gate::Gate::default(),
        history,
        ingest: ingest::Ingest::default(),
        indexer: indexer::Indexer::default(),
        keeper: change::Keeper::default(),
        seen_config: change::SeenConfig::default(),
        lasts: snapshots::Lasts::default(),
        freshness: Mutex::default(),
        counters: status::Counters::default(),
        ledger: Arc::new(Ledger::new()),
        links: ingest::Links::default(),
        activity: activity::Activity::default(),
        watcher: OnceLock::new(),
        scheduler: OnceLock::new(),
        words: Mutex::default(),
        rated: curation::Rated::default(),
        reach: reach::Reach::default(),
        rows: signal::channel(RowsState::Building).0,
        compared: FirstLook::default(),
        changes: signal::channel(0).0,
        generation: AtomicU64::new(0),
        mutation: Mutex::new(()),
        damaged: Mutex::default(),
        unsettled: AtomicBool::new(false),
        ready: OnceLock::new(),
        looking: Mutex::new(()),
    }))
}

impl App {
    /// The config in force.
    pub fn config(&self) -> Arc<Loaded> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The open cache; waits a while if the daemon is still starting.
    pub fn store(&self) -> Result<Arc<Store>> {
        let store = self.gate.wait()?;
        self.notice_loss(&store);
        Ok(store)
    }

    /// Told after every change of rows.
    pub fn subscribe(&self) -> signal::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Ends the process in order; at once: without waiting for open calls.
    pub fn shut_down(&self, at_once: bool) {
        if at_once {
            self.boot.shutdown.request_now("asked by a client, at once");
        } else {
            self.boot.shutdown.request("asked by a client");
        }
    }

    /// A future that ends when the process is about to.
    pub async fn until_shutdown(&self) {
        self.boot.shutdown.wait().await;
    }

    fn announce_change(&self) {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        self.changes.send_replace(generation);
        self.boot.health.stir();
    }

    fn now(&self) -> skillmeat_shared::time::Timestamp {
        self.clock.now()
    }

    /// Reads the config anew and puts it in force. A file with errors changes only what it says well.
    fn reload_config(&self) {
        let reloading = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let loaded = config::load(&self.boot.home, &ProcessEnvironment);
        failpoint::hit("config.loaded").ok();
        for problem in &loaded.problems {
            tracing::warn!(target: "config", "{problem}");
        }
        self.boot.telemetry.set_level(loaded.config.log_level);
        self.boot.telemetry.set_limits(
            loaded.config.log_max_size_mb.saturating_mul(1024 * 1024),
            usize::try_from(loaded.config.log_max_files).unwrap_or(usize::MAX),
        );
        let now = Arc::new(loaded);
        let before = {
            let mut config = self.config.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *config, Arc::clone(&now))
        };
        if let Some(scheduler) = self.scheduler.get() {
            scheduler.set_period(
                schedule::VERIFY,
                schedule::verify_period(now.config.cache_metadata_ttl),
            );
            scheduler.set_period(
                schedule::SNAPSHOT,
                schedule::snapshot_period(now.config.snapshot_schedule),
            );
        }
        if let Some(watcher) = self.watcher.get() {
            let config = &now.config;
            watcher.set_backend(config.watch_backend, config.watch_poll_interval);
        }
        if now.config.cache_max_size_mb > before.config.cache_max_size_mb {
            self.indexer.readmit();
        } else if now.config.cache_max_size_mb < before.config.cache_max_size_mb {
            self.indexer.look_at_size();
        }
        drop(reloading);
        // The watcher sees our own writes, too.
        if *before != *now {
            self.log_event("config.changed", "", "");
        }
    }

    /// Appends an event of the home and tells subscribers.
    fn log_event(&self, kind: &'static str, collection: &str, detail: &str) {
        use crate::store::event::{self, NewEvent};
        let Some(store) = self.gate.open() else {
            return;
        };
        let event = NewEvent::collection(kind, collection, detail);
        match store.write(move |transaction| event::append(transaction, &[event])) {
            Ok(()) => self.announce_change(),
            Err(error) => tracing::warn!(target: "store", "can't log {kind}: {error}"),
        }
    }
}

/// Hands what the watcher sees to reconciling.
struct Ears(Arc<App>);

impl watch::Sink for Ears {
    fn root_dirty(&self, root: &str, dirty: Dirty, why: &'static str) {
        self.0.note_dirty(root, dirty, why);
    }

    fn collections_changed(&self) {
        self.0.ingest.look_at_home();
    }

    fn config_changed(&self) {
        self.0.ingest.look_at_config();
        self.0.keeper.note_home();
    }

    fn roots_changed(&self) {
        self.0.boot.health.stir();
    }

    fn root_slow(&self, path: PathBuf) {
        let app = Arc::clone(&self.0);
        let runtime = self.0.boot.supervisor.runtime().clone();
        // Detached: the watch thread has no time to wait.
        drop(runtime.spawn_blocking(move || app.doubt(&path)));
    }

    fn place(&self, path: &Path) -> Option<Place> {
        let place = self.0.reach.through(path, Place::of);
        if place.is_none() {
            // What is silent is found out there, and left alone.
            self.0.ingest.look_at_home();
        }
        place
    }
}

impl Application for App {
    fn start(self: Arc<Self>, supervisor: &Supervisor) {
        self.watch_the_clock();
        self.watch_the_mute();
        self.heed_who_comes_back();
        let app = Arc::downgrade(&self);
        // Whoever asks notices a cache that is gone; so does the daemon by itself, when nobody asks.
        self.boot.self_check.add(move |_| {
            if let Some(app) = app.upgrade()
                && let Some(store) = app.gate.open()
            {
                app.notice_loss(&store);
                app.trim_memory();
            }
        });
        let app = Arc::downgrade(&self);
        self.boot.self_check.add(move |_| {
            // Without it everything looks fine and nothing is seen.
            if let Some(app) = app.upgrade()
                && app.watcher.get().is_some_and(Watcher::has_failed)
            {
                app.boot.shutdown.fail("the watch thread ended");
            }
        });
        let app = Arc::downgrade(&self);
        self.boot.self_check.add(move |_| {
            if let Some(app) = app.upgrade() {
                app.doubt_history();
            }
        });
        let app = Arc::clone(&self);
        supervisor.spawn_thread("ingest", Policy::Essential, move || app.run_ingest());
        let app = Arc::clone(&self);
        supervisor.spawn_lasting("warnings", move || app.follow_health());
        let app = Arc::clone(&self);
        supervisor.spawn_thread("keeper", Policy::Background, move || app.run_keeper());
        supervisor.spawn_thread("text-index", Policy::Essential, move || self.run_indexer());
    }

    fn services(self: Arc<Self>) -> Routes {
        crate::services::routes(&self)
    }

    fn service_names(&self) -> &'static [&'static str] {
        crate::services::NAMES
    }

    fn always_serving(&self) -> &'static [&'static str] {
        crate::services::ALWAYS_SERVING
    }

    fn on_ready(&self, report: Box<dyn Fn(bool) + Send + Sync>) {
        drop(self.ready.set(report));
    }

    fn open_calls(&self) -> usize {
        self.activity.open_calls()
    }

    fn idle_for(&self) -> Option<Duration> {
        self.quiet_for()
    }

    fn idle_exit(&self) -> Option<Duration> {
        self.may_end_after()
    }

    fn memory_limits(&self) -> MemoryLimits {
        let loaded = self.config();
        MemoryLimits {
            soft: loaded.config.daemon_memory_soft_mb.saturating_mul(1 << 20),
            hard: loaded.config.daemon_memory_hard_mb.saturating_mul(1 << 20),
        }
    }

    fn shed_memory(&self) {
        App::shed_memory(self);
    }

    fn drain(&self) {
        self.boot.health.close();
        if let Some(scheduler) = self.scheduler.get() {
            scheduler.stop();
        }
        if let Some(watcher) = self.watcher.get() {
            watcher.stop();
        }
        self.ingest.stop();
        self.indexer.stop();
        self.keeper.stop();
        self.boot.supervisor.wait_for(
            |name| matches!(name, "ingest" | "text-index" | "keeper" | "warnings"),
            self.config().config.daemon_drain_timeout,
        );
        if let Some(store) = self.gate.open() {
            let kept =
                failpoint::step("shutdown.before_persist").and_then(|()| self.persist(&store));
            if let Err(error) = kept {
                tracing::warn!(target: "store", "can't keep the counters: {error}");
            }
            store.close();
        }
        self.history.rest();
    }
}

/// The error for everything that must not happen.
fn internal(what: &str) -> Error {
    Error::new(skillmeat_shared::Code::Internal, what)
}
