//! What the daemon does by the clock.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use skillmeat_shared::failpoint;
use skillmeat_shared::reconcile::Scope;
use skillmeat_shared::time::Timestamp;

use super::App;
use super::lasting::Lasting;
use crate::jobs::scheduler::{CronScheduler, Due, DueStore, Run, Scheduler as _};
use crate::store::{Store, collection, meta};

/// Compares stale rows with their files.
pub(super) const VERIFY: &str = "verify-stale";

/// Keeps the cache below its size.
pub(super) const EVICT: &str = "evict";

/// How often the cache's size is looked at.
const EVICT_PERIOD: Duration = Duration::from_hours(1);

/// Compares everything with its files, whatever anybody told.
pub(super) const SAFETY: &str = "safety";

/// How long a change that nobody told may go unseen.
const SAFETY_PERIOD: Duration = Duration::from_hours(1);

/// Makes snapshots of what changed, and prunes those that nobody wants any more.
pub(super) const SNAPSHOT: &str = "snapshot";

/// Deletes what the history need not keep.
pub(super) const COLLECT: &str = "collect";

/// How often.
const COLLECT_PERIOD: Duration = Duration::from_hours(7 * 24);

/// Reads all snapshots and compares them with their hashes.
pub(super) const VERIFY_SNAPSHOTS: &str = "verify-snapshots";

/// Compares the pages of the cache with their sums: after an end that was in order nobody else does.
const VERIFY_CACHE: &str = "verify-cache";

/// How often what is stored is verified.
const MONTH: Duration = Duration::from_hours(30 * 24);

/// How often snapshots are made. Where they are not, a look at the config now and then costs nothing.
pub(super) fn snapshot_period(configured: Duration) -> Duration {
    if configured.is_zero() {
        COLLECT_PERIOD
    } else {
        configured
    }
}

/// How often stale rows are looked for: often enough that none stays stale for long.
pub(super) fn verify_period(ttl: Duration) -> Duration {
    (ttl / 4).clamp(Duration::from_secs(1), Duration::from_mins(5))
}

/// Keeps due times in the cache, and those of the history beside it, too.
struct Dues {
    store: Arc<Store>,
    lasting: Lasting,
}

impl DueStore for Dues {
    fn load(&self) -> Vec<Due> {
        let rows = self.store.read(meta::schedules).unwrap_or_else(|error| {
            tracing::warn!(target: "schedule", "can't read due times: {error}");
            Vec::new()
        });
        let rows = rows.into_iter().map(|row| Due {
            name: row.name,
            next_due: Timestamp(row.next_due),
            last_run: row.last_run.map(Timestamp),
        });
        // The last one of a name counts.
        self.lasting.all().into_iter().chain(rows).collect()
    }

    fn save(&self, due: &Due) {
        if let Err(error) = self.lasting.save(due) {
            tracing::debug!(target: "schedule", "can't keep a due time for long: {error}");
        }
        let row = meta::DueRow {
            name: due.name.clone(),
            next_due: due.next_due.0,
            last_run: due.last_run.map(|at| at.0),
        };
        if let Err(error) = self
            .store
            .write(move |transaction| meta::save_schedule(transaction, &row))
        {
            tracing::warn!(target: "schedule", "can't keep a due time: {error}");
        }
    }
}

impl App {
    pub(super) fn start_schedules(self: &Arc<Self>, store: &Arc<Store>) {
        let dues = Arc::new(Dues {
            store: Arc::clone(store),
            lasting: Lasting::of(self.history.path()),
        });
        let runtime = self.boot.supervisor.runtime();
        let scheduler = match CronScheduler::start(dues, Arc::clone(&self.clock), runtime) {
            Ok(scheduler) => scheduler,
            Err(error) => {
                tracing::error!(target: "schedule", "{error}");
                return;
            }
        };
        let verify = self.turn(VERIFY, Self::verify_stale);
        scheduler.every(VERIFY, verify_period(self.metadata_ttl()), verify);
        let evict = self.turn(EVICT, |app| app.indexer.look_at_size());
        scheduler.every(EVICT, EVICT_PERIOD, evict);
        let safety = self.turn(SAFETY, |app| app.look_at_everything("safety"));
        scheduler.every(SAFETY, SAFETY_PERIOD, safety);
        let snapshots = self.turn(SNAPSHOT, Self::snapshot_by_schedule);
        let period = snapshot_period(self.config().config.snapshot_schedule);
        scheduler.every(SNAPSHOT, period, snapshots);
        let collect = self.turn(COLLECT, Self::collect_by_schedule);
        scheduler.every(COLLECT, COLLECT_PERIOD, collect);
        let verify = self.turn(VERIFY_SNAPSHOTS, Self::verify_by_schedule);
        scheduler.every(VERIFY_SNAPSHOTS, MONTH, verify);
        let compare = self.turn(VERIFY_CACHE, Self::compare_cache);
        scheduler.every(VERIFY_CACHE, MONTH, compare);
        drop(self.scheduler.set(scheduler));
    }

    /// What a schedule runs. A panic is told, and ends nothing but that run.
    fn turn(self: &Arc<Self>, name: &'static str, work: fn(&Self)) -> Run {
        // The application owns the scheduler: its jobs must not own the application.
        let app = Arc::downgrade(self);
        Arc::new(move || {
            if let Some(app) = app.upgrade() {
                app.boot.supervisor.attempt(name, || {
                    failpoint::hit("task.schedule").ok();
                    work(&app);
                });
            }
        })
    }

    fn compare_cache(&self) {
        let compared = self.gate.open().map(|store| store.compare_pages());
        if let Some(Err(error)) = compared {
            tracing::warn!(target: "schedule", "can't compare the pages of the cache: {error}");
        }
    }

    /// Asks for passes over collections with rows that are stale, or will be before the next look.
    fn verify_stale(&self) {
        let Some(store) = self.gate.open() else {
            return;
        };
        let (now, ttl) = (self.now(), self.metadata_ttl());
        let horizon = ttl.saturating_sub(verify_period(ttl));
        let names = match store.read(collection::names) {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(target: "schedule", "can't look for stale rows: {error}");
                return;
            }
        };
        for (row, name) in names {
            let verified = self
                .freshness
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .verified_at(&name);
            let is_due = verified.is_none_or(|at| at > now || now.since(at) >= horizon);
            let has_stale = || {
                store
                    .read(|c| self.stale_of(c, (row, &name)))
                    .is_ok_and(|stale| stale > 0)
            };
            if is_due || has_stale() {
                self.ingest.submit(&name, Scope::WHOLE, "ttl");
            }
        }
    }
}
