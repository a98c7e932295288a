//! What the daemon tells of itself: phase, counters, warnings.

use std::sync::atomic::{AtomicU64, Ordering};

use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Error, Result};

use super::{App, Tally};
use crate::jobs::scheduler::{CronScheduler, ScheduleStatus, Scheduler as _};
use crate::lifecycle::{Boot, TaskState};
use crate::store::{collection, event, meta, text};

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
        self.last_event().1
    }

    /// The instance of the event log, and the number of its newest event; 0 if there is none.
    pub fn last_event(&self) -> (String, u64) {
        let last = self.gate.open().and_then(|store| {
            let read = store
                .read(|connection| Ok((meta::instance(connection)?, event::bounds(connection)?)));
            read.ok()
        });
        last.map_or_else(Default::default, |(instance, (_, last))| (instance, last))
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
}
