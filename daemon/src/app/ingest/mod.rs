//! From hints to rows: one thread takes what is dirty and runs passes.

mod behind;
mod later;
mod links;
mod mend;
mod pace;
mod pass;
mod passing;
mod queue;
mod refresh;
mod scope;
mod tally;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use skillmeat_shared::collection::ratings;
use skillmeat_shared::failpoint;
use skillmeat_shared::paths::{
    CachePlace, ProcessEnvironment, SystemProbe, cache_place, ensure_private_dir,
};
use skillmeat_shared::reconcile::{self, Scope, Target};
use skillmeat_shared::{Code, Error, Result};

use super::change::everywhere;
use super::schedule::SAFETY;
use super::{App, Ears, RowsState};
use crate::lifecycle::Policy;
use crate::store::{Opened, Store, collection, text};
use crate::watch::{self, Dirty, Settings, Watcher};

pub(super) use links::Links;
pub(super) use mend::{AGAIN, taken_down};
use pass::Pass;
use queue::Work;
pub(super) use queue::{Change, Hold, Ingest};
use scope::beside_of;
pub(super) use scope::scope_of;
pub use tally::Tally;

/// How long to wait before a cache that can't be opened is tried again by itself.
const REOPEN: Duration = Duration::from_mins(1);

/// How long the second look at the start waits for texts that are to be indexed, if they are many.
const AFTER_TEXTS: Duration = Duration::from_secs(3);

/// Artifacts whose texts are many.
const MANY_TEXTS: u64 = 1000;

/// The reason of the passes with which the daemon begins.
const STARTUP: &str = "startup";

/// The reason of passes over what we changed ourselves.
pub(super) const OWN_WRITE: &str = "own-write";

impl App {
    /// Translates what the watcher saw of a collection.
    pub(super) fn note_dirty(&self, root: &str, dirty: Dirty, why: &'static str) {
        tracing::debug!(target: "watch", root, why, "dirty");
        match dirty {
            Dirty::All => {
                self.keeper.note_beside(root, self.now(), everywhere());
                self.ingest.submit(root, Scope::WHOLE, why);
            }
            Dirty::Paths(mut paths) => {
                let beside = beside_of(&paths);
                if !beside.is_empty() {
                    self.keeper.note_beside(root, self.now(), beside);
                }
                self.links.follow(root, &mut paths);
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
            self.place_rows(&store);
            self.gate.admit(Arc::clone(&store));
            self.recover_changes();
            self.recall_damage();
        }
        self.prove(&store);
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
        // Watched, so it must be there. Without it nothing is rated.
        if let Some(state) = self.boot.home.root().join(ratings::FILE).parent()
            && !self.boot.home.is_read_only()
        {
            ensure_private_dir(state).ok();
        }
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
            if !self.until_open(&store, &mut targets) {
                return;
            }
            self.set_rows(self.rows_state());
            if !is_watching && self.ingest.has_no_passes() {
                is_watching = true;
                self.note_compared();
                self.watch_and_look_again(&store, &targets);
            }
            let work = self.ingest.next();
            failpoint::hit("task.ingest").ok();
            match work {
                Work::Stop => return,
                Work::Pass(pass, rested) => self.run_pass(&store, &targets, pass, rested),
                Work::Late(late) => self.take_late(&targets, *late),
                Work::Home(waiters) => {
                    self.look_at_home(&store, &mut targets, "watch");
                    for waiter in waiters {
                        waiter.send(()).ok();
                    }
                }
                Work::Config => {
                    self.reload_config();
                    self.look_at_home(&store, &mut targets, "watch");
                }
                Work::Rebuild(waiters) => {
                    let result = self.rebuild(&store, &mut targets);
                    for waiter in waiters {
                        // Asked for here, before the passes that fill the new cache: theirs are the numbers.
                        let passes = result.clone().map(|()| {
                            self.ask_for(targets.keys().map(String::as_str), false, "rebuild")
                        });
                        drop(waiter.send(passes));
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
                    self.ingest.disown(Some(&name));
                    let removed =
                        store.write(move |transaction| collection::remove(transaction, &name));
                    let left: Vec<Target> = targets.values().cloned().collect();
                    note_known(&store, &left);
                    drop(waiter.send(removed));
                }
                Work::Check => self.check_store(&store, &mut targets),
            }
        }
    }

    fn watch_and_look_again(&self, store: &Store, targets: &HashMap<String, Target>) {
        let all: Vec<Target> = targets.values().cloned().collect();
        self.watch_targets(&all);
        // After a first index, the texts are of more use than what may have changed within a second.
        let waiting = store.read(text::outstanding).map_or(0, |(texts, _)| texts);
        for target in all {
            let pass = Pass::new(&target.name, Scope::WHOLE, SAFETY);
            if waiting < MANY_TEXTS {
                self.ingest.push(pass);
            } else {
                self.ingest.later(pass, AFTER_TEXTS);
            }
            // The process before us may have ended before all was kept.
            let since = self.boot.started_at;
            self.keeper.note_beside(&target.name, since, everywhere());
        }
    }

    fn rows_state(&self) -> RowsState {
        if self.is_everything_built() && !self.ingest.misses_cache() {
            RowsState::Built
        } else {
            RowsState::Building
        }
    }

    /// Whether every collection was looked at completely at least once.
    pub fn is_everything_built(&self) -> bool {
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
            let is_gone = !target.external
                && self
                    .reach
                    .through(&target.path, |path| path.symlink_metadata().is_err())
                    == Some(true);
            !(is_gone && self.forget_if_removed(store, &target.name))
        });
        if reason == STARTUP {
            let is_settled = self.is_settled();
            for target in &found {
                self.reach.through(&target.path, move |root| {
                    super::home::sweep_collection(root, is_settled);
                });
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
        note_known(store, &found);
        let before = std::mem::take(targets);
        for target in found {
            let changed = before.get(&target.name).is_none_or(|old| *old != target);
            if changed || self.reach.through(&target.path, Path::is_dir) != Some(true) {
                self.ingest.submit(&target.name, Scope::WHOLE, reason);
            }
            targets.insert(target.name.clone(), target);
        }
    }

    /// Makes an empty cache and asks for passes over everything.
    fn rebuild(&self, store: &Arc<Store>, targets: &mut HashMap<String, Target>) -> Result<()> {
        self.ingest.disown(None);
        let rebuilt = self.rebuild_store(store);
        if store.why_closed().is_none() {
            // Also what stands there after a failure is of unknown age.
            targets.clear();
            self.look_at_home(store, targets, "rebuild");
        }
        rebuilt
    }
}

/// Leaves word of the collections for a doctor who finds no daemon.
fn note_known(store: &Store, targets: &[Target]) {
    if let Err(error) = reconcile::note_known(store.path(), targets) {
        tracing::warn!(target: "ingest", "`sm doctor` can't be told of the collections: {error}");
    }
}
