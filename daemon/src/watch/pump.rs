//! The watch thread: takes signals, sorts paths to roots, waits until it is quiet, tells the sink.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::failpoint;
use skillmeat_shared::time::{Clock as _, SystemClock};

use super::Shared;
use super::backend::{Change, Refusal, Signal, is_folder};
use super::debounce::{Debounce, Due, Settings};
use super::ledger::Echo;
use super::losses::Losses;
use super::state::State;

/// Signals taken in one go before due things are looked at.
const BATCH: usize = 4_096;

const LOST: &str = "events were lost";

const OPENED: &str = "a folder may be readable again";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Config,
    Collections,
    Root(String),
}

/// The state of the watch thread.
pub(crate) struct Pump {
    shared: Arc<Shared>,
    debounce: Debounce<Key>,
    losses: Losses,
    /// Folders that have no watch because they can't be looked into.
    closed: BTreeSet<PathBuf>,
}

impl Pump {
    pub(crate) fn new(shared: Arc<Shared>, settings: Settings) -> Self {
        Self {
            shared,
            debounce: Debounce::new(settings),
            losses: Losses::default(),
            closed: BTreeSet::new(),
        }
    }

    /// Runs until the watcher stops.
    pub(crate) fn run(mut self, signals: &Receiver<Signal>) {
        let _fails_if_it_ends = Guard(Arc::clone(&self.shared));
        loop {
            let first = match self.debounce.deadline() {
                None => signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => signals.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            if self.shared.stopping.load(Ordering::Acquire)
                || first == Err(RecvTimeoutError::Disconnected)
            {
                return;
            }
            failpoint::hit("task.watch").ok();
            for signal in first.into_iter().chain(signals.try_iter()).take(BATCH) {
                self.take(signal);
            }
            if self.shared.overflow.swap(false, Ordering::AcqRel) {
                self.take(Signal::Lost);
            }
            // Only now: what the queue lost before is known, too.
            self.shared.canary.tell();
            let due = self.debounce.take_due(Instant::now());
            if !due.is_empty() {
                self.shared.ledger.prune();
            }
            for due in due {
                self.deliver(due);
            }
        }
    }

    fn take(&mut self, signal: Signal) {
        let now = Instant::now();
        match signal {
            Signal::Event(change, paths) => {
                for path in paths {
                    self.event(change, &path, now);
                }
            }
            Signal::Lost => {
                let mut names = Vec::new();
                for root in &mut self.shared.table().roots {
                    root.shown.overflows += 1;
                    root.trail.lose();
                    names.push(root.shown.name.clone());
                }
                tracing::warn!("events were lost; every collection is looked at again");
                for name in names {
                    let earliest = self.losses.earliest(&name, now);
                    self.debounce
                        .all_after(&Key::Root(name), LOST, earliest, now);
                }
                self.debounce.all(&Key::Collections, LOST, now);
                self.debounce.all(&Key::Config, LOST, now);
            }
            Signal::Closed(path) => {
                self.closed.insert(path);
            }
            Signal::Limit(path) => self.limit(path.as_deref(), &Refusal::Limit, now),
            Signal::Refused(path, refusal) => {
                // It may be watched in another way since.
                if self.shared.watches().is_far(&path) {
                    self.limit(Some(&path), &refusal, now);
                }
            }
            Signal::Polled => self.try_limited(now),
            Signal::Back(name) => self.debounce.all(&Key::Root(name), "watched again", now),
            Signal::Slow(folder) => {
                let given = self.shared.table().given(&folder);
                if let Some(path) = given {
                    self.shared.sink.root_slow(path);
                }
            }
            Signal::Wake => {}
        }
    }

    /// The kernel refused a folder that is new below some roots: they are looked at instead.
    fn limit(&mut self, path: Option<&Path>, refusal: &Refusal, now: Instant) {
        let mut watches = self.shared.watches();
        let mut table = self.shared.table();
        let hit = match path {
            Some(path) => table.at(path),
            None => (0..table.roots.len()).collect(),
        };
        let mut names = Vec::new();
        for at in hit {
            table.degrade(at, refusal, &mut watches);
            names.extend(table.roots.get(at).map(|root| root.shown.name.clone()));
        }
        drop(table);
        drop(watches);
        for name in names {
            let reason = refusal.reason();
            tracing::warn!(collection = name, reason, "not watched by the kernel");
            self.debounce.all(&Key::Root(name), "watch limit", now);
        }
        self.shared.sink.roots_changed();
    }

    /// Asks the kernel again for what it refused, once its limit is another one.
    fn try_limited(&mut self, now: Instant) {
        let limited = self.shared.table().limited();
        if !limited.is_empty() && self.shared.watches().limit_moved() {
            for at in limited {
                self.rearm(at, now);
            }
        }
    }

    fn event(&mut self, change: Change, path: &Path, now: Instant) {
        if self.shared.canary.hears(path) {
            return;
        }
        let is_new_home = path == self.shared.home && change != Change::Touched;
        let is_own = path == self.shared.config || path == self.shared.ratings;
        if is_own || is_new_home {
            self.debounce.all(&Key::Config, "event", now);
            return;
        }
        let is_child = |path: &Path| path.parent() == Some(&self.shared.collections);
        let makes_one = path.ends_with(MANIFEST) && path.parent().is_some_and(is_child);
        if change != Change::Touched
            && (is_child(path) || makes_one || path == self.shared.collections)
        {
            self.debounce.all(&Key::Collections, "event", now);
        }
        let is_far = self.shared.table().is_far(path);
        let echo = if is_far {
            self.shared.ledger.judge_unasked(path)
        } else {
            self.shared.ledger.judge(path)
        };
        let may_be_open = self.closed.remove(path) && change == Change::Touched;
        let mut inside: Vec<(String, PathBuf)> = Vec::new();
        let mut again: Vec<usize> = Vec::new();
        let mut table = self.shared.table();
        for at in table.at(path) {
            let Some(root) = table.roots.get_mut(at) else {
                continue;
            };
            root.shown.events += 1;
            root.shown.last_event_at = Some(SystemClock.now());
            if echo != Echo::Foreign {
                root.shown.echoes += 1;
            }
            let relative = path.strip_prefix(&root.real).unwrap_or(path).to_owned();
            root.trail.note(&relative);
            let is_root = relative.as_os_str().is_empty();
            // The first thing in a folder in which nothing was.
            let is_first = root.shown.state == State::Missing && change != Change::Gone;
            if (is_root && change != Change::Touched) || is_first {
                again.push(at);
            } else if echo != Echo::Settled {
                inside.push((root.shown.name.clone(), relative));
            }
        }
        if change != Change::Touched && change != Change::Gone {
            again.extend(table.waiting_below(path));
            again.sort_unstable();
            again.dedup();
        }
        drop(table);
        for (name, relative) in inside {
            let key = Key::Root(name);
            if may_be_open {
                self.debounce.all(&key, OPENED, now);
            } else if is_new_folder(change, path) {
                self.debounce.folder(&key, &relative, now);
            } else {
                self.debounce.path(&key, relative, "event", now);
            }
        }
        for at in again {
            self.rearm(at, now);
        }
    }

    /// The root's own folder came, went or was replaced.
    fn rearm(&mut self, at: usize, now: Instant) {
        let mut watches = self.shared.watches();
        let mut table = self.shared.table();
        let watching = table.rearm(at, &mut watches);
        let name = table.roots.get(at).map(|root| root.shown.name.clone());
        drop(table);
        drop(watches);
        self.shared.sink.roots_changed();
        if let Some(name) = name {
            let why = if watching {
                "folder appeared"
            } else {
                "folder is missing"
            };
            tracing::info!(collection = name, "the collection's {why}");
            self.debounce.all(&Key::Root(name), why, now);
            self.debounce.all(&Key::Collections, why, now);
        }
    }

    fn deliver(&mut self, due: Due<Key>) {
        match due.key {
            Key::Config => self.shared.sink.config_changed(),
            Key::Collections => {
                self.shared.watch_home();
                let now = Instant::now();
                let missing = self.shared.table().missing();
                for at in missing {
                    let mut watches = self.shared.watches();
                    let mut table = self.shared.table();
                    let back = table.rearm(at, &mut watches);
                    let name = table.roots.get(at).map(|root| root.shown.name.clone());
                    drop(table);
                    drop(watches);
                    if let (true, Some(name)) = (back, name) {
                        self.debounce.all(&Key::Root(name), "folder appeared", now);
                    }
                }
                self.shared.sink.collections_changed();
            }
            Key::Root(name) => {
                if due.why == LOST {
                    self.losses.looked(&name, Instant::now());
                }
                // Folders that were made while events were lost have no watch yet, nor have those that were closed.
                if due.why == LOST || due.why == OPENED {
                    self.watch_again(&name);
                }
                self.shared.sink.root_dirty(&name, due.dirty, due.why);
            }
        }
    }

    fn watch_again(&self, name: &str) {
        let mut watches = self.shared.watches();
        let mut table = self.shared.table();
        if let Some(at) = table.roots.iter().position(|root| root.shown.name == name) {
            table.rearm(at, &mut watches);
        }
    }
}

fn is_new_folder(change: Change, path: &Path) -> bool {
    match change {
        Change::Created { folder } => folder,
        Change::Arrived => is_folder(path),
        Change::Gone | Change::Touched => false,
    }
}

/// Shows each root as failed when the thread ends although nobody asked it to.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.0.stopping.load(Ordering::Acquire) {
            for root in &mut self.0.table().roots {
                root.shown.state = State::Failed;
                "the watch thread ended; restart the daemon".clone_into(&mut root.shown.reason);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests;
