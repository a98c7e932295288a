//! Changes noticed by looking: for disks whose kernel does not tell, and for folders beyond its limits.
//!
//! One thread, which sleeps without a timer while nothing is polled. A round compares what `stat` tells of
//! every entry with the round before; no file is opened. The first look at a folder says that all of it may
//! have changed, so whoever asked need not wait for it. A round takes at most a tenth of the time, however
//! slow the disk is, and what one folder can have listed is bounded: beyond, it counts as changed in every
//! round. Each folder is looked at by a thread of its own, for which the others wait a moment: a share that hangs
//! holds up nothing else.

mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::backend::{Backend, Change, Depth, Refusal, Signal};
use super::debounce::MAX_PATHS;
use look::{Look, difference, is_present};

/// Between two rounds there is this much more rest than work.
const REST: u32 = 9;

/// How long the others wait for the look at one folder.
const PATIENCE: Duration = Duration::from_secs(2);

/// Paths in one signal.
const BATCH: usize = 500;

/// What is known of a polled folder.
#[derive(Debug)]
enum Known {
    /// Nobody has looked yet.
    Nothing,
    /// What was there.
    Entries(Look),
    /// The folder is there, and it was said.
    Present,
}

#[derive(Debug)]
struct Watched {
    depth: Depth,
    known: Known,
    /// Tells this watch from one that replaces it during a look.
    number: u64,
    /// It is not looked at again before, since a look takes long.
    rests_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    watched: BTreeMap<PathBuf, Watched>,
    /// Folders at which a thread looks.
    looking: BTreeSet<PathBuf>,
    interval: Duration,
    numbers: u64,
    next: Option<Instant>,
    running: bool,
    stopping: bool,
}

struct Core {
    home: PathBuf,
    queue: SyncSender<Signal>,
    overflow: Arc<AtomicBool>,
    state: Mutex<State>,
    wake: Condvar,
}

/// The poller of one home. Clones are one and the same.
#[derive(Clone)]
pub(crate) struct Poll(Arc<Core>);

impl Poll {
    /// A poller that polls nothing yet.
    pub(crate) fn new(
        home: PathBuf,
        interval: Duration,
        queue: SyncSender<Signal>,
        overflow: Arc<AtomicBool>,
    ) -> Self {
        Self(Arc::new(Core {
            home,
            queue,
            overflow,
            state: Mutex::new(State {
                interval,
                ..State::default()
            }),
            wake: Condvar::new(),
        }))
    }

    /// Rounds begin this far apart from now on.
    pub(crate) fn set_interval(&self, interval: Duration) {
        let mut state = self.0.state();
        if state.interval != interval {
            state.interval = interval;
            state.next = state.next.map(|_| Instant::now() + interval);
            drop(state);
            self.0.wake.notify_all();
        }
    }

    /// Ends the thread. It is not waited for: a share that hangs may hold it.
    pub(crate) fn stop(&self) {
        self.0.state().stopping = true;
        self.0.wake.notify_all();
    }

    fn start(&self) -> Result<(), Refusal> {
        let core = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name("watch-poll".to_owned())
            .spawn(move || {
                let _ended = Ended(&core);
                core.run();
            })
            .map(drop)
            .map_err(|error| Refusal::Other(format!("can't start the polling thread: {error}")))
    }
}

/// Lets the next watch start another thread if this one ends by a panic.
struct Ended<'a>(&'a Core);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = false;
        for watched in state.watched.values_mut() {
            watched.known = Known::Nothing;
        }
    }
}

impl Backend for Poll {
    fn watch(&mut self, path: &Path, depth: Depth) -> Result<(), Refusal> {
        let mut state = self.0.state();
        let known = state.watched.get(path);
        if known.is_none_or(|known| known.depth != depth || depth == Depth::Presence) {
            state.numbers += 1;
            let watched = Watched {
                depth,
                known: Known::Nothing,
                number: state.numbers,
                rests_until: None,
            };
            state.watched.insert(path.to_owned(), watched);
        }
        let starts = !std::mem::replace(&mut state.running, true);
        drop(state);
        if starts && let Err(refusal) = self.start() {
            self.0.state().running = false;
            return Err(refusal);
        }
        self.0.wake.notify_all();
        Ok(())
    }

    fn unwatch(&mut self, path: &Path) {
        self.0.state().watched.remove(path);
    }

    fn rebuild(&mut self) -> Result<(), Refusal> {
        for watched in self.0.state().watched.values_mut() {
            watched.known = Known::Nothing;
        }
        self.0.wake.notify_all();
        Ok(())
    }
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            let new = loop {
                if state.stopping {
                    return;
                }
                if state.watched.is_empty() {
                    state.next = None;
                    state = self.wait(state, None);
                    continue;
                }
                let new = state.new_paths();
                let now = Instant::now();
                let interval = state.interval;
                let next = *state.next.get_or_insert(now + interval);
                if !new.is_empty() {
                    break new;
                }
                if next <= now {
                    break Vec::new();
                }
                state = self.wait(state, Some(next - now));
            };
            let is_round = new.is_empty();
            let paths = if is_round {
                state.due_paths(Instant::now())
            } else {
                new
            };
            drop(state);
            let start = Instant::now();
            // Those that take long rest on their own: nobody else does for them.
            let in_vain: Duration = paths.iter().map(|path| self.visit_apart(path)).sum();
            if is_round {
                let mut state = self.state();
                let took = start.elapsed().saturating_sub(in_vain);
                state.next = Some(start + pause(state.interval, took));
                drop(state);
                self.send(Signal::Polled);
            }
        }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        pause: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match pause {
            None => self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(pause) => {
                self.wake
                    .wait_timeout(state, pause)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        }
    }

    /// Looks at one folder on another thread, and waits a moment for it: how long that was in vain.
    fn visit_apart(self: &Arc<Self>, path: &Path) -> Duration {
        let mut state = self.state();
        state.looking.insert(path.to_owned());
        let number = state.watched.get(path).map(|watched| watched.number);
        drop(state);
        let (core, place) = (Arc::clone(self), path.to_owned());
        let spawned = std::thread::Builder::new()
            .name("watch-look".to_owned())
            .spawn(move || {
                let start = Instant::now();
                core.visit(&place);
                let mut state = core.state();
                state.looking.remove(&place);
                state.looked(&place, number, start, start.elapsed());
                drop(state);
                core.wake.notify_all();
            });
        let mut state = self.state();
        if let Err(error) = spawned {
            tracing::warn!("can't look at `{}`: {error}", path.display());
            state.looking.remove(path);
            drop(state);
            self.visit(path);
            return Duration::ZERO;
        }
        let is_at_work = |state: &mut State| state.looking.contains(path) && !state.stopping;
        let waited = self.wake.wait_timeout_while(state, PATIENCE, is_at_work);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        if !waited.timed_out() {
            return Duration::ZERO;
        }
        self.send(Signal::Slow(path.to_owned()));
        PATIENCE
    }

    /// Looks at one folder, without holding the lock, and tells what differs.
    fn visit(&self, path: &Path) {
        let (depth, number, known) = {
            let mut state = self.state();
            let Some(watched) = state.watched.get_mut(path) else {
                return;
            };
            let known = std::mem::replace(&mut watched.known, Known::Nothing);
            (watched.depth, watched.number, known)
        };
        let (known, told) = if depth == Depth::Presence {
            match (known, is_present(path)) {
                (Known::Present, true) => (Known::Present, Vec::new()),
                (_, true) => {
                    let told = vec![(Change::Created { folder: true }, path.to_owned())];
                    (Known::Present, told)
                }
                // Something other than "nobody has looked": it would be looked at again at once.
                (_, false) => (Known::Entries(Look::default()), Vec::new()),
            }
        } else {
            let now = Look::at(path, depth == Depth::Tree, &self.home);
            let told = match &known {
                Known::Entries(before) => difference(path, before, &now),
                // What is in it may be new, or anything below it.
                Known::Nothing | Known::Present if depth == Depth::Entries => {
                    vec![(Change::Created { folder: true }, path.to_owned())]
                }
                Known::Nothing | Known::Present => vec![(Change::Touched, path.to_owned())],
            };
            (Known::Entries(now), told)
        };
        {
            let mut state = self.state();
            match state.watched.get_mut(path) {
                Some(watched) if watched.number == number => watched.known = known,
                // Replaced or forgotten meanwhile: what was seen is nobody's.
                _ => return,
            }
        }
        self.tell(path, told);
    }

    fn tell(&self, folder: &Path, told: Vec<(Change, PathBuf)>) {
        if told.len() > MAX_PATHS {
            self.send(Signal::Event(Change::Touched, vec![folder.to_owned()]));
            return;
        }
        let mut by_change: BTreeMap<Change, Vec<PathBuf>> = BTreeMap::new();
        for (change, path) in told {
            by_change.entry(change).or_default().push(path);
        }
        for (change, paths) in by_change {
            for batch in paths.chunks(BATCH) {
                self.send(Signal::Event(change, batch.to_vec()));
            }
        }
    }

    fn send(&self, signal: Signal) {
        if matches!(self.queue.try_send(signal), Err(TrySendError::Full(_))) {
            self.overflow.store(true, Ordering::Release);
        }
    }
}

impl State {
    fn due_paths(&self, now: Instant) -> Vec<PathBuf> {
        let is_due = |path: &PathBuf, watched: &Watched| {
            !self.looking.contains(path) && watched.rests_until.is_none_or(|until| until <= now)
        };
        let due = self.watched.iter();
        let due = due.filter(|(path, watched)| is_due(path, watched));
        due.map(|(path, _)| path.clone()).collect()
    }

    /// A look that began then took so long. One that nobody waited for says nothing of other folders, nor of its own
    /// if that was given up meanwhile and is watched anew.
    fn looked(&mut self, path: &Path, number: Option<u64>, start: Instant, took: Duration) {
        let rested = start + pause(self.interval, took);
        if took < PATIENCE {
            self.next = self.next.map(|next| next.max(rested));
        } else if let Some(watched) = self.watched.get_mut(path)
            && Some(watched.number) == number
        {
            watched.rests_until = Some(rested);
        }
    }

    fn new_paths(&self) -> Vec<PathBuf> {
        let is_new = |path: &PathBuf, watched: &Watched| {
            matches!(watched.known, Known::Nothing) && !self.looking.contains(path)
        };
        let all = self.watched.iter();
        let new = all.filter(|(path, watched)| is_new(path, watched));
        new.map(|(path, _)| path.clone()).collect()
    }
}

/// From the beginning of a round that took so long to the beginning of the next.
fn pause(interval: Duration, took: Duration) -> Duration {
    interval.max(took.saturating_mul(REST + 1))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests;
