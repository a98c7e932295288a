//! Whether anybody asks anything of the daemon, and what it gives back when nobody does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use skillmeat_shared::config::Origin;

use super::{App, searching};
use crate::lifecycle::heap;

/// The calls that are under way, and when the last one ended. What the daemon tells of itself does not count.
#[derive(Debug)]
pub(super) struct Activity {
    open: AtomicUsize,
    last: Mutex<Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            open: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
        }
    }
}

impl Activity {
    pub(super) fn open_calls(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }
}

/// A call that is under way until this is dropped.
#[derive(Debug)]
pub struct Busy(std::sync::Arc<App>);

impl Drop for Busy {
    fn drop(&mut self) {
        let activity = &self.0.activity;
        *activity.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        activity.open.fetch_sub(1, Ordering::Release);
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

impl App {
    /// Counts a call as under way.
    pub fn begin_call(self: &std::sync::Arc<Self>) -> Busy {
        self.activity.open.fetch_add(1, Ordering::Acquire);
        Busy(std::sync::Arc::clone(self))
    }

    /// How long nobody has asked for anything; `None` while calls or passes are under way.
    pub(super) fn quiet_for(&self) -> Option<Duration> {
        if self.activity.open_calls() > 0 || self.ingest.is_busy() {
            return None;
        }
        let last = self
            .activity
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some(last.elapsed())
    }

    /// After how long without a call the process may end. Unasked, only one that a command has started
    /// does, and only while it watches nothing: a daemon that watches has work, although nobody calls it.
    pub(super) fn may_end_after(&self) -> Option<Duration> {
        let loaded = self.config();
        let after = loaded.config.daemon_idle_exit;
        let is_asked = loaded
            .setting("daemon.idle_exit")
            .is_ok_and(|setting| setting.origin != Origin::Default);
        let is_needless = self.boot.manager == "auto" && self.roots().is_empty();
        (!after.is_zero() && (is_asked || is_needless)).then_some(after)
    }

    /// Drops what can be had again: pages of the database, words of the index.
    pub(super) fn shed_memory(&self) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = searching::Words::default();
        self.trim_memory();
    }

    /// Drops pages of the databases and gives back what is free. Under a load that never rests nothing else
    /// does it, and memory would creep up for hours.
    pub(super) fn trim_memory(&self) {
        self.history.rest();
        if let Some(store) = self.gate.open()
            && let Err(error) = store.shrink()
        {
            tracing::warn!(target: "store", "can't give back memory: {error}");
        }
        heap::give_back();
    }
}
