//! The queue before the ingest thread: what is dirty, merged per collection.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skillmeat_shared::reconcile::{Report, Scope};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Code, Error, Result};

use super::behind::{Behind, Fence, Late};
use super::later::Later;
use super::pace::Pace;
use super::pass::Pass;
use super::tally::Tally;
use crate::store::backup::Fresh;

/// Before passes the thread looks this often whether the cache's file is still there.
const SELF_CHECK: Duration = Duration::from_secs(1);

/// How long somebody waits for a look at the home.
const PATIENCE: Duration = Duration::from_secs(2);

/// Get the reports of passes.
pub(in crate::app) type Passes = Vec<Receiver<Result<(Report, Duration)>>>;

#[derive(Default)]
struct Queue {
    passes: Vec<Pass>,
    later: Later,
    /// Collections that a mutation is changing: they are looked at when it is done.
    held: HashMap<String, usize>,
    /// The collection over which a pass runs.
    running: Option<String>,
    /// How long passes rest after one another.
    pace: Pace,
    /// Passes that did not move.
    behind: Behind,
    home: bool,
    /// Who waits for the look at the home.
    home_waiters: Vec<SyncSender<()>>,
    config: bool,
    retry: bool,
    rebuild: Vec<SyncSender<Result<Passes>>>,
    /// Collections that are no more.
    gone: Vec<(String, SyncSender<Result<()>>)>,
    change: Option<(Change, SyncSender<Result<()>>)>,
    /// When the cache's file was last looked for.
    checked: Option<Instant>,
    /// Somebody misses the cache's file, or room for it.
    check: bool,
    /// Somebody misses the cache's file: the rows may be those of one that nobody sees any more.
    lost: bool,
    /// When to look after the cache again, because something is wrong with it.
    check_at: Option<Instant>,
    /// The thread does something.
    working: bool,
    /// It had nothing to do since the last pass.
    rested: bool,
    stopping: bool,
}

/// The queue before the thread.
#[derive(Default)]
pub(in crate::app) struct Ingest {
    queue: Mutex<Queue>,
    wake: Condvar,
    last: Mutex<Option<Tally>>,
}

/// Keeps passes away from a collection while it lives.
pub(in crate::app) struct Hold<'a> {
    ingest: &'a Ingest,
    collection: String,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut queue = self.ingest.queue();
        if let Some(count) = queue.held.get_mut(&self.collection) {
            *count -= 1;
            if *count == 0 {
                queue.held.remove(&self.collection);
            }
        }
        drop(queue);
        self.ingest.wake.notify_all();
    }
}

/// What may be done to the database as a whole.
pub(in crate::app) enum Change {
    /// Take over this database.
    Restore(Fresh),
    /// Bring the schema down, and leave the database closed for an older program.
    Down(u32),
}

/// What the thread does next.
pub(super) enum Work {
    /// With whether the thread had nothing to do since the pass before it.
    Pass(Pass, bool),
    /// A pass that was left behind has ended.
    Late(Box<Late>),
    /// With those who wait for it.
    Home(Vec<SyncSender<()>>),
    Config,
    Rebuild(Vec<SyncSender<Result<Passes>>>),
    Change(Change, SyncSender<Result<()>>),
    Forget(String, SyncSender<Result<()>>),
    Check,
    Stop,
}

impl Queue {
    /// At most one pass waits for each collection.
    fn add(&mut self, pass: Pass) {
        let mut waiting = self.passes.iter_mut();
        match waiting.find(|other| other.collection == pass.collection) {
            Some(other) => other.join(pass),
            None => self.passes.push(pass),
        }
    }
}

impl Ingest {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for this pass.
    pub(super) fn push(&self, pass: Pass) {
        let mut queue = self.queue();
        if queue.stopping {
            return;
        }
        queue.add(pass);
        drop(queue);
        self.wake.notify_all();
    }

    /// Asks for a pass and does not wait.
    pub(in crate::app) fn submit(&self, collection: &str, scope: Scope, reason: &'static str) {
        self.push(Pass::new(collection, scope, reason));
    }

    /// Asks for a pass; the receiver gets its report.
    pub(in crate::app) fn request(
        &self,
        collection: &str,
        scope: Scope,
        reason: &'static str,
    ) -> Receiver<Result<(Report, Duration)>> {
        let (waiter, receiver) = sync_channel(1);
        self.push(Pass {
            waiters: vec![waiter],
            ..Pass::new(collection, scope, reason)
        });
        receiver
    }

    /// Asks for a pass and waits for its report.
    pub(in crate::app) fn run(
        &self,
        collection: &str,
        scope: Scope,
        reason: &'static str,
    ) -> Result<(Report, Duration)> {
        self.request(collection, scope, reason)
            .recv()
            .map_err(|_| draining())?
    }

    /// Keeps passes away from a collection until the guard is dropped. Waits for the end of one that runs: it would see
    /// half of what is changed then.
    pub(in crate::app) fn hold(&self, collection: &str) -> Hold<'_> {
        let mut queue = self.queue();
        *queue.held.entry(collection.to_owned()).or_default() += 1;
        let runs = |queue: &mut Queue| queue.running.as_deref() == Some(collection);
        let waited = self.wake.wait_while(queue, runs);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        Hold {
            ingest: self,
            collection: collection.to_owned(),
        }
    }

    /// Asks for a look at which collections there are.
    pub(in crate::app) fn look_at_home(&self) {
        self.queue().home = true;
        self.wake.notify_all();
    }

    /// Has somebody look now, and waits for that as long as a person would.
    pub(in crate::app) fn look_at_home_now(&self) {
        let (waiter, receiver) = sync_channel(1);
        {
            let mut queue = self.queue();
            if queue.stopping {
                return;
            }
            queue.home = true;
            queue.home_waiters.push(waiter);
        }
        self.wake.notify_all();
        receiver.recv_timeout(PATIENCE).ok();
    }

    /// Asks for the config to be read again.
    pub(in crate::app) fn look_at_config(&self) {
        self.queue().config = true;
        self.wake.notify_all();
    }

    /// Asks for another try to open the cache.
    pub(in crate::app) fn retry(&self) {
        self.queue().retry = true;
        self.wake.notify_all();
    }

    /// Has the cache dropped, and waits for that. The passes fill it anew.
    pub(in crate::app) fn rebuild(&self) -> Result<Passes> {
        let (waiter, receiver) = sync_channel(1);
        {
            let mut queue = self.queue();
            if queue.stopping {
                return Err(draining());
            }
            queue.rebuild.push(waiter);
        }
        self.wake.notify_all();
        receiver.recv().map_err(|_| draining())?
    }

    /// Has the rows of a collection dropped that we deleted, and waits for that. No pass of it comes after.
    pub(in crate::app) fn forget(&self, collection: &str) -> Result<()> {
        let (waiter, receiver) = sync_channel(1);
        {
            let mut queue = self.queue();
            if queue.stopping {
                return Err(draining());
            }
            queue.gone.push((collection.to_owned(), waiter));
        }
        self.wake.notify_all();
        receiver.recv().map_err(|_| draining())?
    }

    /// Has the database as a whole changed, and waits for that. One at a time: the caller sees to it.
    pub(in crate::app) fn change(&self, change: Change) -> Result<()> {
        let (waiter, receiver) = sync_channel(1);
        {
            let mut queue = self.queue();
            if queue.stopping {
                return Err(draining());
            }
            queue.change = Some((change, waiter));
        }
        self.wake.notify_all();
        receiver.recv().map_err(|_| draining())?
    }

    /// Whether nothing waits to be looked at.
    pub(super) fn has_no_passes(&self) -> bool {
        self.queue().passes.is_empty()
    }

    /// Whether the thread does something, or soon will.
    pub(in crate::app) fn is_busy(&self) -> bool {
        let queue = self.queue();
        queue.working || !queue.passes.is_empty()
    }

    /// Asks for a look whether the cache's file is still there.
    pub(in crate::app) fn look_at_cache(&self) {
        self.queue().check = true;
        self.wake.notify_all();
    }

    /// The same for whoever saw that it is not.
    pub(in crate::app) fn look_for_lost_cache(&self) {
        self.queue().lost = true;
        self.look_at_cache();
    }

    /// Whether somebody misses the cache's file, and it was not looked for yet.
    pub(super) fn misses_cache(&self) -> bool {
        self.queue().lost
    }

    /// Ends the thread after the pass at work, which is cut short.
    pub(in crate::app) fn stop(&self) {
        let mut queue = self.queue();
        queue.stopping = true;
        // Dropping the waiters tells those who wait.
        queue.passes.clear();
        queue.later.clear();
        queue.behind.clear();
        queue.home_waiters.clear();
        queue.rebuild.clear();
        queue.gone.clear();
        queue.change = None;
        drop(queue);
        self.wake.notify_all();
    }

    /// Whether the daemon ends.
    pub(in crate::app) fn is_stopping(&self) -> bool {
        self.queue().stopping
    }

    /// Asks for a look after the cache in a while, because something is wrong with it.
    pub(in crate::app) fn look_at_cache_in(&self, pause: Duration) {
        let at = Instant::now() + pause;
        let mut queue = self.queue();
        queue.check_at = Some(queue.check_at.map_or(at, |due| due.min(at)));
        drop(queue);
        self.wake.notify_all();
    }

    /// What the last passes did.
    pub(in crate::app) fn last(&self) -> Option<Tally> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn note(
        &self,
        reason: &'static str,
        report: &Report,
        duration: Duration,
        at: Timestamp,
        fresh: bool,
    ) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some(tally) if tally.reason == reason && !fresh => tally.add(report, duration, at),
            slot => {
                let mut tally = Tally {
                    reason,
                    ..Tally::default()
                };
                tally.add(report, duration, at);
                *slot = Some(tally);
            }
        }
    }

    /// The next piece of work.
    pub(super) fn next(&self) -> Work {
        let mut queue = self.queue();
        if queue.running.take().is_some() {
            self.wake.notify_all();
        }
        let check = *queue.checked.get_or_insert_with(Instant::now) + SELF_CHECK;
        loop {
            if queue.stopping {
                return Work::Stop;
            }
            if !queue.rebuild.is_empty() {
                return Work::Rebuild(std::mem::take(&mut queue.rebuild));
            }
            if let Some(late) = queue.behind.take_late() {
                return Work::Late(Box::new(late));
            }
            if let Some((collection, waiter)) = queue.gone.pop() {
                return Work::Forget(collection, waiter);
            }
            if let Some((change, waiter)) = queue.change.take() {
                return Work::Change(change, waiter);
            }
            if std::mem::take(&mut queue.config) {
                return Work::Config;
            }
            if std::mem::take(&mut queue.home) {
                return Work::Home(std::mem::take(&mut queue.home_waiters));
            }
            let now = Instant::now();
            while let Some(pass) = queue.later.take_due(now) {
                queue.add(pass);
            }
            // Before the passes: they would write to a file that is gone, however many there are.
            let is_due = queue.check_at.is_some_and(|due| due <= now);
            if queue.check || is_due || (now >= check && !queue.passes.is_empty()) {
                queue.checked = Some(now);
                queue.check = false;
                queue.lost = false;
                queue.check_at = None;
                return Work::Check;
            }
            let rest = |pass: &Pass| {
                let rests = queue.pace.rests_until(&pass.collection, now);
                rests.filter(|_| pass.waiters.is_empty())
            };
            let is_free = |pass: &Pass| {
                let name = &pass.collection;
                !queue.held.contains_key(name) && !queue.behind.holds(name) && rest(pass).is_none()
            };
            let free = queue.passes.iter().position(is_free);
            if let Some(at) = free {
                let pass = queue.passes.remove(at);
                queue.running = Some(pass.collection.clone());
                return Work::Pass(pass, std::mem::take(&mut queue.rested));
            }
            let rested = queue.passes.iter().filter_map(rest).min();
            queue.rested = true;
            queue.working = false;
            let later = queue.later.next_due().into_iter();
            queue = if let Some(due) = later.chain(queue.check_at).chain(rested).min() {
                let pause = due.saturating_duration_since(now);
                let waited = self.wake.wait_timeout(queue, pause);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                let waited = self.wake.wait(queue);
                waited.unwrap_or_else(PoisonError::into_inner)
            };
            queue.working = true;
        }
    }

    /// A pass over a collection took so long.
    pub(super) fn rest(&self, collection: &str, took: Duration) {
        self.queue().pace.ended(collection, took, Instant::now());
    }

    /// Waits until somebody asks for another try, at most so long, or for the end; true for another try.
    pub(super) fn wait_for_retry(&self, patience: Option<Duration>) -> bool {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let mut queue = self.queue();
        loop {
            if queue.stopping {
                return false;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if std::mem::take(&mut queue.retry) || left == Some(Duration::ZERO) {
                return true;
            }
            queue = match left {
                Some(left) => {
                    self.wake
                        .wait_timeout(queue, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .wake
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    pub(super) fn later(&self, pass: Pass, pause: Duration) {
        let mut queue = self.queue();
        if !queue.stopping {
            queue.later.push(Instant::now() + pause, pass);
        }
    }

    pub(super) fn tries_again(&self, collection: &str) -> bool {
        self.queue().later.tries_again(collection)
    }

    /// The passes that were left behind.
    pub(super) fn behind<T>(&self, with: impl FnOnce(&mut Behind) -> T) -> T {
        with(&mut self.queue().behind)
    }

    /// A pass that was left behind has ended.
    pub(super) fn came_back(&self, collection: &str, report: Option<Result<Report>>) {
        self.behind(|behind| behind.came_back(collection, report));
        self.wake.notify_all();
    }

    /// Lets no pass that was left behind write any more: one collection's, or all.
    pub(super) fn disown(&self, collection: Option<&str>) {
        let fences = self.behind(|behind| behind.fences(collection));
        fences.iter().for_each(Fence::close);
    }
}

/// The error for whoever waits when the process ends.
pub(super) fn draining() -> Error {
    Error::new(Code::DaemonDraining, "the daemon is shutting down").hint("run the command again")
}

#[cfg(test)]
mod tests;
