//! Runs passes: each on a thread of its own, so that a disk that falls silent in the middle of one holds up no other
//! collection for longer than a few seconds.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use skillmeat_shared::Result;
use skillmeat_shared::reconcile::{
    self, Batch, Change, CollectionState, Context, Kept, Known, KnownCollection, Report, Rows,
    Scope, Target,
};
use skillmeat_shared::time::Timestamp;

use super::behind::{Fence, Late, Left};
use super::pass::Pass;
use super::scope::merge;
use super::{App, OWN_WRITE};
use crate::app::errand::{self, Beat, Waited};
use crate::app::reach::SILENT;
use crate::store::Store;

/// When files as young as the clock's resolution are looked at again: first soon, then once more for file
/// systems that keep whole seconds.
const SECOND_LOOKS: [Duration; 2] = [Duration::from_millis(60), Duration::from_millis(2200)];

/// When a loss of many artifacts is looked at again before it is believed.
const DOUBT: Duration = Duration::from_secs(1);

/// Threads that read files during a pass.
const READERS: usize = 2;

/// How a pass began.
#[derive(Clone, Copy)]
pub(super) struct Start {
    at: Timestamp,
    began: Instant,
    /// The thread had been idle before.
    idle: bool,
}

impl Start {
    pub(super) fn at(at: Timestamp, idle: bool) -> Self {
        Self {
            at,
            began: Instant::now(),
            idle,
        }
    }
}

/// The rows, for a pass that may be left behind.
struct Fenced<'a> {
    store: &'a Store,
    beat: &'a Beat,
    fence: &'a Fence,
}

impl Rows for Fenced<'_> {
    fn collection(&self, name: &str) -> Result<Option<KnownCollection>> {
        self.beat.elsewhere(|| self.store.collection(name))
    }

    fn known(&self, collection: i64, paths: Option<&BTreeSet<String>>) -> Result<Vec<Known>> {
        self.beat.elsewhere(|| self.store.known(collection, paths))
    }

    fn kept(&self, rows: &[i64]) -> Result<HashMap<i64, Kept>> {
        self.beat.elsewhere(|| self.store.kept(rows))
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        self.beat.elsewhere(|| {
            let _may_write = self.fence.enter()?;
            self.store.apply(batch)
        })
    }

    fn apply_as_they_come(
        &self,
        batch: Batch,
        more: Receiver<Vec<Change>>,
    ) -> Result<Receiver<Vec<Change>>> {
        self.beat.elsewhere(|| {
            let _may_write = self.fence.enter()?;
            self.store.apply_as_they_come(batch, more)
        })
    }
}

impl App {
    pub(super) fn run_pass(
        self: &Arc<Self>,
        store: &Arc<Store>,
        targets: &HashMap<String, Target>,
        pass: Pass,
        idle: bool,
    ) {
        let Some(target) = targets.get(&pass.collection) else {
            for waiter in pass.waiters {
                drop(waiter.send(Err(crate::app::collections::not_found(&pass.collection))));
            }
            return;
        };
        let start = Start::at(self.now(), idle);
        let hangs = self.ingest.behind(|behind| behind.is_silent(&target.name));
        let is_silent = hangs || self.reach.silent_since(&target.path).is_some();
        let fence = Fence::default();
        let waited = if is_silent {
            Ok(Waited::Silent)
        } else {
            self.reconcile_apart(store, target, &pass.scope, &fence)
        };
        let left = |pass: Pass, is_silent: bool| Left {
            target: target.clone(),
            pass,
            start,
            fence: fence.clone(),
            is_silent,
        };
        let report = match waited {
            Ok(Waited::Done(report)) => report,
            Ok(Waited::Silent) => {
                if !is_silent {
                    fence.close();
                    let again = Pass::new(&target.name, Scope::WHOLE, "watch");
                    self.ingest.behind(|behind| behind.leave(left(again, true)));
                }
                reconcile::leave_alone(target, &**store, SILENT)
            }
            Ok(Waited::Stuck) => {
                tracing::warn!(target: "ingest", collection = target.name, "nothing moves in a pass; others go on");
                self.ingest.behind(|behind| behind.leave(left(pass, false)));
                return;
            }
            Err(error) => Err(error),
        };
        self.end_pass(target, pass, &start, &report);
    }

    /// Compares a collection with its rows on another thread.
    fn reconcile_apart(
        self: &Arc<Self>,
        store: &Arc<Store>,
        target: &Target,
        scope: &Scope,
        fence: &Fence,
    ) -> Result<Waited<Result<Report>>> {
        let (app, store, fence) = (Arc::clone(self), Arc::clone(store), fence.clone());
        let (asked, scope) = (target.clone(), scope.clone());
        let work = move |beat: &Beat| {
            let rows = Fenced {
                store: &store,
                beat,
                fence: &fence,
            };
            let context = Context {
                clock: &*app.clock,
                threads: READERS,
                is_cancelled: &|| {
                    beat.tick();
                    fence.is_closed() || app.ingest.is_stopping()
                },
            };
            reconcile::reconcile(&asked, &rows, &scope, &context)
        };
        let (app, name) = (Arc::clone(self), target.name.clone());
        let late = move |report| app.ingest.came_back(&name, report);
        errand::run("pass", (&self.reach, &target.path), work, late)
    }

    /// Takes in what a pass found that had been left behind; has another one run if that does not count.
    pub(super) fn take_late(&self, targets: &HashMap<String, Target>, late: Late) {
        let name = late.left.target.name.clone();
        tracing::info!(target: "ingest", collection = name, "the pass that did not move has ended");
        match late.instead(targets.get(&name)) {
            Ok((left, report)) => self.end_pass(&left.target, left.pass, &left.start, &report),
            Err(pass) => self.ingest.push(pass),
        }
    }

    fn end_pass(&self, target: &Target, pass: Pass, start: &Start, result: &Result<Report>) {
        let Pass {
            collection,
            scope,
            reason,
            looks,
            tries,
            waiters,
        } = pass;
        let duration = start.began.elapsed();
        self.ingest.rest(&collection, duration);
        match result {
            Ok(report) => {
                // A second look at young files is the same ingest once more.
                if looks == 0 {
                    let good = report.read.saturating_sub(report.failed);
                    // What can't be read for good is one failure, however often it is tried.
                    self.counters.ingested(good, report.failed_anew);
                }
                self.ingest
                    .note(reason, report, duration, self.now(), start.idle);
                let is_whole = matches!(scope, Scope::All { .. });
                if let Some(error) = &report.unread {
                    // Only a look at everything tells that all of it can be read again.
                    self.pass_failed(&collection, Scope::WHOLE, (looks, tries), error);
                } else if is_whole || (tries > 0 && !self.ingest.tries_again(&collection)) {
                    self.pass_went_well(&collection);
                }
                self.after_pass(target, &scope, report, (start.at, reason), looks);
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
        target: &Target,
        scope: &Scope,
        report: &Report,
        (at, reason): (Timestamp, &'static str),
        looks: usize,
    ) {
        if report.cancelled {
            return;
        }
        let collection = target.name.as_str();
        let is_whole = matches!(scope, Scope::All { .. }) && report.unread.is_none();
        self.links.learn(collection, &report.links, is_whole);
        {
            let mut table = self
                .freshness
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let reachable = report.state != Some(CollectionState::Unreachable);
            let is_all = reachable && !report.doubtful && report.unread.is_none();
            match scope {
                Scope::All { .. } if is_all => {
                    table.verified(collection, at, reason);
                }
                Scope::All { .. } | Scope::Paths(_) => {
                    table.verified_rows(collection, &report.rows, at);
                }
            }
            table.building.remove(collection);
        }
        // Not every way in which a folder goes has an event: the watch must know, to see it come back.
        if report.state == Some(CollectionState::Unreachable)
            && let Some(watcher) = self.watcher.get()
        {
            if self.reach.answers(&target.path) {
                watcher.look_again(collection);
            } else if watcher.status().iter().any(|root| root.name == collection) {
                // It is no longer watched.
                self.ingest.look_at_home();
            }
        }
        let is_changed =
            report.added + report.changed + report.removed > 0 || report.collection_changed;
        if is_changed || report.documents_written {
            self.keeper.note(collection, at);
        }
        if is_changed {
            self.announce_change();
            self.indexer.wake();
            if matches!(scope, Scope::All { .. }) && reason != OWN_WRITE {
                // Perhaps nobody told of it.
                self.lasts.forget(collection);
            }
        }
        let again = |scope: Scope, looks: usize| Pass {
            looks,
            ..Pass::new(collection, scope, "settle")
        };
        if report.doubtful {
            let scope = Scope::All {
                force: false,
                confirmed: true,
            };
            self.ingest.later(again(scope, 0), DOUBT);
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
}
