//! What the daemon tells of itself: phase, counters, warnings.

use std::sync::atomic::{AtomicU64, Ordering};

use skillmeat_shared::collection::layout;
use skillmeat_shared::reconcile::CollectionState;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Error, Result};

use super::{App, Tally};
use crate::jobs::scheduler::{CronScheduler, ScheduleStatus, Scheduler as _};
use crate::lifecycle::{Boot, TaskState};
use crate::store::{collection, event, evict, text};
use crate::watch::{RootState, State};

/// What the daemon can do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The cache is not open yet.
    Starting,
    /// Rows are served; some collections have never been looked at completely.
    Reconciling,
    /// Everything is served.
    Ready,
    /// The cache can't be opened.
    Degraded,
    /// The process is about to end.
    Draining,
}

impl Phase {
    /// The name in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Reconciling => "reconciling",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
        }
    }
}

/// Reads and ingests, counted over the life of the cache.
#[derive(Debug, Default)]
pub struct Counters {
    reads: AtomicU64,
    reads_from_rows: AtomicU64,
    successes: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    /// Counts a read. It counts as answered from rows if the rows were there.
    pub fn read(&self, from_rows: bool) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.reads_from_rows
            .fetch_add(u64::from(from_rows), Ordering::Relaxed);
    }

    pub(super) fn ingested(&self, successes: u64, failures: u64) {
        self.successes.fetch_add(successes, Ordering::Relaxed);
        self.failures.fetch_add(failures, Ordering::Relaxed);
    }

    fn all(&self) -> [&AtomicU64; 4] {
        [
            &self.reads,
            &self.reads_from_rows,
            &self.successes,
            &self.failures,
        ]
    }

    pub(super) fn to_text(&self) -> String {
        self.all()
            .map(|counter| counter.load(Ordering::Relaxed).to_string())
            .join(" ")
    }

    pub(super) fn recall(&self, text: &str) {
        for (counter, number) in self.all().into_iter().zip(text.split(' ')) {
            counter.fetch_add(number.parse().unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Reads, and those answered from rows.
    pub fn reads(&self) -> (u64, u64) {
        (
            self.reads.load(Ordering::Relaxed),
            self.reads_from_rows.load(Ordering::Relaxed),
        )
    }

    /// Artifacts taken over, and those that could not be read.
    pub fn ingests(&self) -> (u64, u64) {
        (
            self.successes.load(Ordering::Relaxed),
            self.failures.load(Ordering::Relaxed),
        )
    }
}

/// Something a person should know about the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable name; has a heading in TROUBLESHOOTING.md.
    pub code: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// What it is.
    pub message: String,
    /// What to do.
    pub hints: Vec<String>,
}

impl Warning {
    /// The codes of all warnings.
    pub const CODES: &'static [&'static str] = &[
        "cache-unavailable",
        "cache-evicted",
        "cache-on-network-disk",
        "collection-broken",
        "collection-linked-out",
        "collection-unreachable",
        "config-invalid",
        "watch-failed",
    ];

    fn new(code: &'static str, severity: &'static str, message: String, hint: &str) -> Self {
        Self {
            code,
            severity,
            message,
            hints: vec![hint.to_owned()],
        }
    }
}

/// The state of the cache.
#[derive(Debug, Clone, Default)]
pub struct CacheStatus {
    pub artifacts: u64,
    pub collections: u64,
    pub size_bytes: u64,
    pub max_size_bytes: u64,
    pub last_refresh: Option<Timestamp>,
    pub stale: u64,
    pub unindexed: u64,
    pub evicted: u64,
    pub rows_written: u64,
    pub path: String,
    pub last_reconcile: Option<Tally>,
}

/// Artifacts of the home in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Artifacts by status.
    pub by_status: std::collections::BTreeMap<String, u64>,
    /// Stale rows.
    pub stale: u64,
}

/// Resident memory of this process in bytes; 0 where the system does not tell.
pub fn memory_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages.saturating_mul(rustix::param::page_size() as u64)
}

impl App {
    /// Artifacts in numbers; empty while the cache can't be read.
    pub fn overview(&self) -> Overview {
        let Some(store) = self.gate.open() else {
            return Overview::default();
        };
        let overview = store.read(|connection| {
            let mut overview = Overview::default();
            for view in collection::all(connection)? {
                for (_, status, count, _) in &view.counts {
                    *overview.by_status.entry(status.clone()).or_insert(0) += count;
                }
                overview.stale += self.stale_of(connection, (view.row, &view.name))?;
            }
            Ok(overview)
        });
        overview.unwrap_or_default()
    }

    /// What the process was started with.
    pub fn boot(&self) -> &Boot {
        &self.boot
    }

    /// What the daemon can do at the moment.
    pub fn phase(&self) -> Phase {
        if self.boot.shutdown.is_requested() {
            return Phase::Draining;
        }
        if self.gate.failure().is_some() {
            return Phase::Degraded;
        }
        if self.gate.open().is_none() {
            return Phase::Starting;
        }
        if self.is_everything_built() {
            Phase::Ready
        } else {
            Phase::Reconciling
        }
    }

    /// Why the cache can't be opened.
    pub fn failure(&self) -> Option<Error> {
        self.gate.failure()
    }

    /// Tasks and threads of the process.
    pub fn tasks(&self) -> Vec<TaskState> {
        self.boot.supervisor.status()
    }

    /// Watched folders.
    pub fn roots(&self) -> Vec<(RootState, Option<Timestamp>)> {
        let Some(watcher) = self.watcher.get() else {
            return Vec::new();
        };
        let table = self
            .freshness
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        watcher
            .status()
            .into_iter()
            .map(|root| {
                let verified = table.verified_at(&root.name);
                (root, verified)
            })
            .collect()
    }

    /// Work by the clock.
    pub fn schedules(&self) -> Vec<ScheduleStatus> {
        self.scheduler
            .get()
            .map(CronScheduler::status)
            .unwrap_or_default()
    }

    /// Reads and ingests.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Number of the newest event; 0 if there is none.
    pub fn last_seq(&self) -> u64 {
        self.gate
            .open()
            .and_then(|store| store.read(event::bounds).ok())
            .map_or(0, |(_, last)| last)
    }

    /// The state of the cache.
    pub fn cache_status(&self) -> Result<CacheStatus> {
        let store = self.store()?;
        let mut status = CacheStatus {
            size_bytes: store.size_bytes(),
            max_size_bytes: self
                .config()
                .config
                .cache_max_size_mb
                .saturating_mul(1024 * 1024),
            rows_written: store.rows_written(),
            path: store.path().display().to_string(),
            last_reconcile: self.ingest.last(),
            ..CacheStatus::default()
        };
        store.read(|connection| {
            let views = collection::all(connection)?;
            status.collections = views.len() as u64;
            status.artifacts = views
                .iter()
                .map(collection::CollectionView::artifacts)
                .sum();
            for view in &views {
                status.stale += self.stale_of(connection, (view.row, &view.name))?;
            }
            (status.unindexed, status.evicted) = text::outstanding(connection)?;
            let table = self
                .freshness
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            status.last_refresh = views
                .iter()
                .filter_map(|view| table.verified_at(&view.name))
                .max();
            Ok(())
        })?;
        Ok(status)
    }

    /// Everything that should be mended, computed from what is so now: nothing lingers.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for problem in &self.config().problems {
            let line = problem
                .line
                .map(|line| format!(":{line}"))
                .unwrap_or_default();
            let place = problem
                .path
                .as_ref()
                .map(|path| format!(" ({}{line})", path.display()))
                .unwrap_or_default();
            let mut warning =
                Warning::new("config-invalid", "warning", format!("{problem}{place}"), "");
            warning.hints.clone_from(&problem.hints);
            warnings.push(warning);
        }
        if let Some(error) = self.gate.failure() {
            let mut warning = Warning::new("cache-unavailable", "error", error.message.clone(), "");
            warning.hints.clone_from(&error.hints);
            warnings.push(warning);
        }
        let place = self.cache_place();
        if !place.is_local {
            warnings.push(Warning::new(
                "cache-on-network-disk",
                "warning",
                format!("the cache lies on a network disk: `{}`", place.database.display()),
                "name a folder on a local disk: `sm config set cache.path FOLDER`, then `sm daemon restart`",
            ));
        }
        for (root, _) in self.roots() {
            if root.state == State::Failed {
                warnings.push(Warning::new(
                    "watch-failed",
                    "warning",
                    format!(
                        "`{}` can't be watched: {}",
                        root.path.display(),
                        root.reason
                    ),
                    "until then changes are seen only every `cache.metadata_ttl`",
                ));
            }
        }
        if let Some(store) = self.gate.open() {
            let views = store.read(collection::all).unwrap_or_default();
            for view in views {
                warnings.extend(link_warning(&view));
                warnings.extend(collection_warning(&view));
            }
            let evicted = store
                .read(text::outstanding)
                .map_or(0, |(_, evicted)| evicted);
            if evicted > 0 && store.read(evict::used_bytes).is_ok() {
                warnings.push(Warning::new(
                    "cache-evicted",
                    "warning",
                    format!("the texts of {evicted} artifacts left the search index to save space"),
                    "raise `cache.max_size_mb`, if searching their contents matters",
                ));
            }
        }
        warnings
    }
}

fn link_warning(view: &collection::CollectionView) -> Option<Warning> {
    let outside = layout::linked_out(std::path::Path::new(&view.path));
    let folders: Vec<String> = outside.iter().map(|folder| format!("`{folder}`")).collect();
    (!folders.is_empty()).then(|| {
        Warning::new(
            "collection-linked-out",
            "warning",
            format!(
                "{} of `{}` leads out of the collection and is not read",
                folders.join(", "),
                view.name
            ),
            "make it a folder, or name the collection that it leads to as `collection.path`",
        )
    })
}

fn collection_warning(view: &collection::CollectionView) -> Option<Warning> {
    let first = view.problems.first();
    let mut what = first.map_or_else(String::new, |problem| problem.message.clone());
    if let Some(problem) = first
        && let Some(path) = &problem.path
    {
        let line = problem
            .line
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        what = format!("{}/{path}{line}: {what}", view.path);
    }
    match view.state {
        CollectionState::Broken => Some(Warning::new(
            "collection-broken",
            "error",
            format!("`{}` can't be read: {what}", view.name),
            "mend the file; until then the last good rows are served",
        )),
        CollectionState::Unreachable => Some(Warning::new(
            "collection-unreachable",
            "error",
            format!("`{}` can't be reached: {what}", view.name),
            "bring its folder back; until then the last good rows are served",
        )),
        CollectionState::NoManifest if !view.external => Some(Warning::new(
            "collection-broken",
            "warning",
            format!("`{}` has no collection.toml", view.name),
            "bring the file back; until then the last good rows are served",
        )),
        CollectionState::NoManifest | CollectionState::Ok => None,
    }
}
