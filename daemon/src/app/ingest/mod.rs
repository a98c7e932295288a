//! From hints to rows: one thread takes what is dirty and runs passes.

mod later;
mod mend;
mod pace;
mod queue;
mod scope;
mod tally;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use skillmeat_shared::failpoint;
use skillmeat_shared::paths::{
    CachePlace, ProcessEnvironment, SystemProbe, cache_place, ensure_private_dir,
};
use skillmeat_shared::reconcile::{self, Context, Report, Scope, Target};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error, Result};

use super::{App, Ears, RowsState};
use crate::lifecycle::Policy;
use crate::store::{Opened, Store, collection};
use crate::watch::{self, Dirty, Settings, Watcher};

pub(super) use mend::AGAIN;
pub(super) use queue::{Change, Hold, Ingest};
use queue::{Pass, Work, draining};
use scope::merge;
pub(super) use scope::scope_of;
pub use tally::Tally;

/// When files as young as the clock's resolution are looked at again: first soon, then once more for file
/// systems that keep whole seconds.
const SECOND_LOOKS: [Duration; 2] = [Duration::from_millis(60), Duration::from_millis(2200)];

/// When a loss of many artifacts is looked at again before it is believed.
const DOUBT: Duration = Duration::from_secs(1);

/// How long to wait before a cache that can't be opened is tried again by itself.
const REOPEN: Duration = Duration::from_mins(1);

/// The reason of the passes with which the daemon begins.
const STARTUP: &str = "startup";

/// The reason of passes over what we changed ourselves.
pub(super) const OWN_WRITE: &str = "own-write";

/// Threads that read files during a pass.
const READERS: usize = 2;

impl App {
    /// Translates what the watcher saw of a collection.
    pub(super) fn note_dirty(&self, root: &str, dirty: Dirty, why: &'static str) {
        tracing::debug!(target: "watch", root, why, "dirty");
        match dirty {
            Dirty::All => self.ingest.submit(
                root,
                Scope::All {
                    force: false,
                    confirmed: false,
                },
                why,
            ),
            Dirty::Paths(paths) => {
                if let Some(scope) = scope_of(&paths) {
                    self.ingest.submit(root, scope, "watch");
                }
            }
        }
    }

    /// The thread: opens the cache, then turns work into rows until the end.
    pub(super) fn run_ingest(self: Arc<Self>) {
        let Some((store, opened)) = self.open_store() else {
            return;
        };
        let store = Arc::new(store);
        let app = Arc::downgrade(&self);
        store.on_trouble(move || {
            if let Some(app) = app.upgrade() {
                app.ingest.look_at_cache();
            }
        });
        if let Err(error) = self.recall(&store, &opened) {
            tracing::warn!(target: "store", "can't read the counters: {error}");
        }
        {
            // Nobody changes anything before it is known what stands.
            let _no_change = self.mutation.lock();
            self.gate.admit(Arc::clone(&store));
            self.recover_changes();
            self.recall_damage();
        }
        // The process before us may have ended with texts that were still to be indexed.
        self.indexer.wake();
        let config = self.config();
        let options = watch::Options {
            settings: Settings {
                settle: config.config.watch_settle,
                max_delay: config.config.watch_max_delay,
            },
            backend: config.config.watch_backend,
            poll_interval: config.config.watch_poll_interval,
        };
        let sink = Arc::new(Ears(Arc::clone(&self)));
        match Watcher::start(&self.boot.home, options, sink, Arc::clone(&self.ledger)) {
            Ok(watcher) => drop(self.watcher.set(watcher)),
            Err(error) => tracing::error!(target: "watch", "{error}"),
        }
        self.start_schedules(&store);
        let (app, used) = (Arc::clone(&self), Arc::clone(&store));
        self.boot
            .supervisor
            .spawn_thread("quiet", Policy::Background, move || app.run_quiet(&used));
        let mut targets = HashMap::new();
        self.look_at_home(&store, &mut targets, STARTUP);
        // Setting thousands of watches takes longer than looking at what they watch: rows come first, then
        // the watches, then a second look at what may have changed in between.
        let mut is_watching = false;
        loop {
            self.set_rows(self.rows_state());
            if !is_watching && self.ingest.has_no_passes() {
                is_watching = true;
                self.watch_and_look_again(&targets);
            }
            let (work, idle) = self.ingest.next();
            failpoint::hit("task.ingest").ok();
            match work {
                Work::Stop => return,
                Work::Pass(pass) => self.run_pass(&store, &targets, pass, idle),
                Work::Home => self.look_at_home(&store, &mut targets, "watch"),
                Work::Config => {
                    self.reload_config();
                    self.look_at_home(&store, &mut targets, "watch");
                }
                Work::Rebuild(waiters) => {
                    let result = self.rebuild(&store, &mut targets);
                    for waiter in waiters {
                        drop(waiter.send(result.clone()));
                    }
                }
                Work::Change(change, waiter) => {
                    if !self.change_store(&store, &mut targets, change, &waiter) {
                        return;
                    }
                }
                Work::Forget(name, waiter) => {
                    // On this thread, and without its target: a pass would find it missing, and write its row anew.
                    targets.remove(&name);
                    let removed =
                        store.write(move |transaction| collection::remove(transaction, &name));
                    drop(waiter.send(removed));
                }
                Work::Check => self.check_store(&store, &mut targets),
            }
        }
    }

    fn watch_and_look_again(&self, targets: &HashMap<String, Target>) {
        let all: Vec<Target> = targets.values().cloned().collect();
        self.watch_targets(&all);
        for target in all {
            let scope = Scope::All {
                force: false,
                confirmed: false,
            };
            self.ingest.submit(&target.name, scope, "safety");
            // The process before us may have ended before all was kept.
            self.keeper.note(&target.name, self.boot.started_at);
        }
    }

    fn rows_state(&self) -> RowsState {
        if self.is_everything_built() {
            RowsState::Built
        } else {
            RowsState::Building
        }
    }

    pub(super) fn is_everything_built(&self) -> bool {
        let table = self
            .freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        !table.unknown && table.building.is_empty()
    }

    fn open_store(&self) -> Option<(Store, Opened)> {
        loop {
            match self.make_store() {
                Ok(opened) => return Some(opened),
                Err(error) => self.cannot_open(error),
            }
            if !self.ingest.wait_for_retry(Some(REOPEN)) {
                return None;
            }
            // Those who ask are told why until there is something better to tell.
        }
    }

    fn make_store(&self) -> Result<(Store, Opened)> {
        failpoint::step("boot.before_cache")?;
        let place = self.cache_place();
        if let Some(folder) = place.database.parent() {
            ensure_private_dir(folder).map_err(|error| {
                let message = format!("there is no place for the cache: {}", error.message);
                Error::new(Code::CacheUnavailable, message)
                    .hint("name another folder with `cache.path` or `SKILLMEAT_CACHE_PATH`, then run `sm daemon restart`")
                    .at(folder, None)
            })?;
        }
        if !place.is_local {
            tracing::warn!(target: "store", "the cache lies on a network disk: `{}`", place.database.display());
        }
        let opened = Store::open(&place.database, place.is_local)?;
        failpoint::step("boot.after_cache")?;
        Ok(opened)
    }

    /// Where the cache lies.
    pub(super) fn cache_place(&self) -> CachePlace {
        let probe = SystemProbe::new(&ProcessEnvironment);
        cache_place(
            &self.boot.home,
            self.boot.loaded.config.cache_path.as_deref(),
            &probe,
        )
    }

    /// Finds the collections, watches them, and asks for passes over new ones (at start: over all).
    fn look_at_home(
        &self,
        store: &Store,
        targets: &mut HashMap<String, Target>,
        reason: &'static str,
    ) {
        let mut found = match self.targets(store) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(target: "ingest", "can't look at the home: {error}");
                return;
            }
        };
        found.retain(|target| {
            let is_gone = !target.external && target.path.symlink_metadata().is_err();
            !(is_gone && self.forget_if_removed(store, &target.name))
        });
        if reason == STARTUP {
            for target in &found {
                super::home::sweep_collection(&target.path);
            }
        }
        let known: HashSet<String> = store
            .read(collection::built)
            .unwrap_or_default()
            .into_iter()
            .collect();
        {
            let mut table = self
                .freshness
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            table.unknown = false;
            let new = found.iter().filter(|target| !known.contains(&target.name));
            table.building.extend(new.map(|target| target.name.clone()));
            // Nobody will build what is no longer there.
            table
                .building
                .retain(|name| found.iter().any(|target| target.name == *name));
        }
        // Rows that are there are served from here on: to watch a large collection takes longer than anybody
        // should wait for them.
        self.set_rows(self.rows_state());
        // Watching comes before the passes, which this same thread runs later: what changes during a pass must
        // not be missed.
        if reason != STARTUP {
            self.watch_targets(&found);
        }
        let before = std::mem::take(targets);
        for target in found {
            let changed = before.get(&target.name).is_none_or(|old| *old != target);
            let gone = !target.path.is_dir();
            if changed || gone {
                self.ingest.submit(
                    &target.name,
                    Scope::All {
                        force: false,
                        confirmed: false,
                    },
                    reason,
                );
            }
            targets.insert(target.name.clone(), target);
        }
    }

    fn run_pass(
        &self,
        store: &Arc<Store>,
        targets: &HashMap<String, Target>,
        pass: Pass,
        idle: bool,
    ) {
        let Pass {
            collection,
            scope,
            reason,
            looks,
            tries,
            waiters,
        } = pass;
        let Some(target) = targets.get(&collection) else {
            for waiter in waiters {
                drop(waiter.send(Err(super::collections::not_found(&collection))));
            }
            return;
        };
        let started = Instant::now();
        let at = self.now();
        let context = Context {
            clock: &*self.clock,
            threads: READERS,
            is_cancelled: &|| self.ingest.is_stopping(),
        };
        let result = reconcile::reconcile(target, &**store, &scope, &context);
        let duration = started.elapsed();
        self.ingest.rest(&collection, duration);
        match &result {
            Ok(report) => {
                // A second look at young files is the same ingest once more.
                if looks == 0 {
                    self.counters
                        .ingested(report.read.saturating_sub(report.failed), report.failed);
                }
                self.ingest.note(reason, report, duration, self.now(), idle);
                let is_whole = matches!(scope, Scope::All { .. });
                if is_whole || (tries > 0 && !self.ingest.tries_again(&collection)) {
                    self.pass_went_well(&collection);
                }
                self.after_pass(&collection, &scope, report, (at, reason), looks);
                tracing::debug!(
                    target: "ingest",
                    collection, reason, verified = report.verified, read = report.read,
                    added = report.added, changed = report.changed, removed = report.removed,
                    ms = duration.as_millis(),
                    "pass"
                );
            }
            Err(error) => {
                self.counters.ingested(0, 1);
                self.pass_failed(&collection, scope, (looks, tries), error);
            }
        }
        for waiter in waiters {
            // Who asked may have given up.
            drop(waiter.send(result.clone().map(|report| (report, duration))));
        }
    }

    fn after_pass(
        &self,
        collection: &str,
        scope: &Scope,
        report: &Report,
        (at, reason): (Timestamp, &'static str),
        looks: usize,
    ) {
        if report.cancelled {
            return;
        }
        {
            let mut table = self
                .freshness
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let reachable = report.state != Some(reconcile::CollectionState::Unreachable);
            match scope {
                Scope::All { .. } if reachable && !report.doubtful => {
                    table.verified(collection, at, reason);
                }
                Scope::All { .. } | Scope::Paths(_) => {
                    table.verified_rows(collection, &report.rows, at);
                }
            }
            table.building.remove(collection);
        }
        // Not every way in which a folder goes has an event: the watch must know, to see it come back.
        if report.state == Some(reconcile::CollectionState::Unreachable)
            && let Some(watcher) = self.watcher.get()
        {
            watcher.look_again(collection);
        }
        if report.added + report.changed + report.removed > 0 || report.collection_changed {
            self.announce_change();
            self.indexer.wake();
            self.keeper.note(collection, at);
            if matches!(scope, Scope::All { .. }) && reason != OWN_WRITE {
                // Perhaps nobody told of it.
                self.lasts.forget(collection);
            }
        }
        let again = |scope: Scope, looks: usize| Pass {
            collection: collection.to_owned(),
            scope,
            reason: "settle",
            looks,
            tries: 0,
            waiters: Vec::new(),
        };
        if report.doubtful {
            self.ingest.later(
                again(
                    Scope::All {
                        force: false,
                        confirmed: true,
                    },
                    0,
                ),
                DOUBT,
            );
        }
        if !report.young.is_empty()
            && let Some(pause) = SECOND_LOOKS.get(looks)
        {
            let paths: BTreeSet<String> = report.young.iter().cloned().collect();
            let mut scope = Scope::Paths(BTreeSet::new());
            merge(&mut scope, Scope::Paths(paths));
            self.ingest.later(again(scope, looks + 1), *pause);
        }
    }

    /// Makes an empty cache and asks for passes over everything.
    fn rebuild(&self, store: &Arc<Store>, targets: &mut HashMap<String, Target>) -> Result<()> {
        self.rebuild_store(store)?;
        targets.clear();
        self.look_at_home(store, targets, "rebuild");
        Ok(())
    }

    /// Runs passes over collections and sums up what they did.
    pub fn refresh(
        &self,
        collections: &[String],
        force: bool,
        reason: &'static str,
    ) -> Result<Tally> {
        let waiting: Vec<_> = collections
            .iter()
            .map(|name| {
                self.ingest.request(
                    name,
                    Scope::All {
                        force,
                        confirmed: false,
                    },
                    reason,
                )
            })
            .collect();
        let mut tally = Tally {
            reason,
            ..Tally::default()
        };
        for receiver in waiting {
            let (report, duration) = receiver.recv().map_err(|_| draining())??;
            tally.add(&report, duration, self.now());
        }
        Ok(tally)
    }

    /// Compares one collection, or all, with their files now.
    pub fn refresh_cache(&self, collection: &str, force: bool) -> Result<Tally> {
        let store = self.store()?;
        let asked = self.asked(&store, collection, collection.is_empty())?;
        let names: Vec<String> = asked.into_iter().map(|(_, name)| name).collect();
        self.refresh(&names, force, "request")
    }
}
