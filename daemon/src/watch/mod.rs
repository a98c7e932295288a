//! Watches the home and its collections and tells what is dirty.
//!
//! Invariants: events are only hints that something is dirty, never facts; what the kernel or our own
//! queue loses makes every root dirty as a whole; nothing here reads the content of a file; while nothing
//! happens no thread wakes, unless a folder has to be polled. A root is watched before
//! [`Watcher::set_roots`] returns, or tells that it is dirty as a whole once it is, so that nothing is missed.

mod backend;
mod canary;
mod choice;
pub mod debounce;
mod far;
pub mod ledger;
mod losses;
mod native;
mod place;
mod poll;
mod pump;
pub mod roots;
mod state;
mod trail;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use skillmeat_shared::collection::{MANIFEST, ratings};
use skillmeat_shared::config::WatchBackend;
use skillmeat_shared::paths::Home;
use skillmeat_shared::thread::give_way;
use skillmeat_shared::{Code, Error, Result};

pub use choice::{By, Trouble};
pub use debounce::{Dirty, Settings};
pub use ledger::Ledger;
pub use place::Place;
pub use roots::WatchRoot;
pub use state::{RootState, State};
pub use trail::Changes;

use backend::{Backend, Change, Depth, NICE, QUEUE, Signal};
use canary::Canary;
use choice::Watches;
use far::Far;
use native::Native;
use poll::Poll;
use roots::Table;

/// Folders beside the collections that are watched for a manifest, at most.
const CANDIDATES: usize = 256;

/// How long the event of the canary may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long events that are on their way may take, before everything is looked at instead.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// How often a silent kernel is asked before it is given up until the next check.
const TRIES: usize = 3;

/// How a home is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// When waiting things become due.
    pub settings: Settings,
    /// Who notices changes.
    pub backend: WatchBackend,
    /// From one look at polled folders to the next.
    pub poll_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            backend: WatchBackend::Auto,
            poll_interval: Duration::from_secs(30),
        }
    }
}

/// Hears what is dirty. Called on the watch thread: hand over and return.
pub trait Sink: Send + Sync {
    /// Something below a root changed, or may have.
    fn root_dirty(&self, root: &str, dirty: Dirty, why: &'static str);
    /// Collections appeared or went, or may have.
    fn collections_changed(&self);
    /// The config file changed, or may have.
    fn config_changed(&self);
    /// How roots are watched changed.
    fn roots_changed(&self);
    /// A look at the folder of a root takes so long that its disk may not answer.
    fn root_slow(&self, path: PathBuf);
    /// Looks at a path; nothing if its disk does not answer, which is not waited for for long.
    fn place(&self, path: &Path) -> Option<Place> {
        Some(Place::of(path))
    }
}

/// What the watch thread and its owner share.
pub(crate) struct Shared {
    pub(crate) home: PathBuf,
    pub(crate) collections: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) ratings: PathBuf,
    pub(crate) table: Mutex<Table>,
    /// Taken before `table`, never after it.
    pub(crate) watches: Mutex<Watches>,
    pub(crate) canary: Canary,
    pub(crate) overflow: Arc<AtomicBool>,
    pub(crate) stopping: AtomicBool,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) ledger: Arc<Ledger>,
}

impl Shared {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folders that are the home's own.
    fn own(&self) -> [PathBuf; 3] {
        let state = self.ratings.parent().unwrap_or(&self.home);
        [
            self.home.clone(),
            self.collections.clone(),
            state.to_owned(),
        ]
    }

    /// Watches the home, the folder of its collections, and what may become one, as far as they are there.
    pub(crate) fn watch_home(&self) {
        let mut watches = self.watches();
        for folder in self.own().iter().chain(&self.candidates()) {
            if let Some(place) = watches.place(folder).filter(|place| place.is_folder)
                && let Err(refusal) = watches.watch_at(folder, Depth::Entries, &place)
            {
                tracing::warn!(folder = %folder.display(), reason = refusal.reason(), "not watched");
            }
        }
    }

    /// Folders beside the collections that are none yet: a folder becomes one when it gets its manifest, which
    /// may be long after it was made.
    fn candidates(&self) -> Vec<PathBuf> {
        let table = self.table();
        let is_root = |path: &PathBuf| {
            table.silent.contains(path) || table.roots.iter().any(|root| root.shown.path == *path)
        };
        let has_name = |entry: &std::fs::DirEntry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| !name.starts_with('.'))
        };
        let entries = std::fs::read_dir(&self.collections).into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok().filter(has_name).map(|entry| entry.path()))
            .filter(|path| !is_root(path))
            .take(CANDIDATES)
            .collect()
    }
}

/// The watcher of one home. Dropping it stops it.
pub struct Watcher {
    shared: Arc<Shared>,
    queue: SyncSender<Signal>,
    poll: Poll,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watcher {
    /// Starts to watch the home; collections follow by [`Self::set_roots`]. A kernel that refuses to watch
    /// is no error: each root then shows why.
    ///
    /// # Errors
    /// Only when no thread can be started.
    pub fn start(
        home: &Home,
        options: Options,
        sink: Arc<dyn Sink>,
        ledger: Arc<Ledger>,
    ) -> Result<Self> {
        let kernel = |queue, overflow| {
            Box::new(Native::new(home.root().to_owned(), queue, overflow)) as Box<dyn Backend>
        };
        Self::over(kernel, home, options, sink, ledger)
    }

    fn over(
        kernel: impl FnOnce(SyncSender<Signal>, Arc<AtomicBool>) -> Box<dyn Backend>,
        home: &Home,
        options: Options,
        sink: Arc<dyn Sink>,
        ledger: Arc<Ledger>,
    ) -> Result<Self> {
        let (queue, signals) = sync_channel(QUEUE);
        let overflow = Arc::new(AtomicBool::new(false));
        let root = home.root().to_owned();
        let native = kernel(queue.clone(), Arc::clone(&overflow));
        let interval = options.poll_interval;
        let poll = Poll::new(root, interval, queue.clone(), Arc::clone(&overflow));
        let polls = Box::new(poll.clone());
        let far = far_of(home, &queue, &overflow);
        let asked = Arc::clone(&sink);
        let places = Box::new(move |path: &Path| asked.place(path));
        let collections = home.collections();
        let ratings = home.root().join(ratings::FILE);
        let state = ratings.parent().unwrap_or(home.root()).to_owned();
        let shared = Arc::new(Shared {
            home: home.root().to_owned(),
            config: home.config(),
            ratings,
            table: Mutex::new(Table {
                roots: Vec::new(),
                fixed: vec![home.root().to_owned(), collections.clone(), state],
                silent: Vec::new(),
            }),
            collections,
            watches: Mutex::new(Watches::new(options.backend, native, far, polls, places)),
            canary: Canary::new(&home.run_dir()),
            overflow,
            stopping: AtomicBool::new(false),
            sink,
            ledger,
        });
        shared.watch_home();
        let pump = pump::Pump::new(Arc::clone(&shared), options.settings);
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || {
                give_way(NICE);
                pump.run(&signals);
            })
            .map_err(|error| {
                Error::new(
                    Code::Internal,
                    format!("can't start the watch thread: {error}"),
                )
            })?;
        Ok(Self {
            shared,
            queue,
            poll,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Sets the folders that are not to be touched, as their disks do not answer. To be set before the roots.
    pub fn leave_alone(&self, silent: Vec<PathBuf>) {
        self.shared.table().silent = silent;
    }

    /// Sets the folders to watch. Blocks until they are watched (about 20 ms per 1,000 folders below
    /// them). Roots that are missing or failed are tried again.
    pub fn set_roots(&self, roots: Vec<WatchRoot>) {
        let mut watches = self.shared.watches();
        let back = self.shared.table().replace(roots, &mut watches);
        drop(watches);
        self.are_back(back);
        // What is no root any more may become one again, or has before it was watched for that.
        self.shared.watch_home();
        let mut ready = self.shared.candidates();
        let watches = self.shared.watches();
        ready.retain(|folder| {
            watches
                .place(folder)
                .is_some_and(|place| place.has_manifest)
        });
        drop(watches);
        for folder in ready {
            let made = Change::Created { folder: false };
            let manifest = vec![folder.join(MANIFEST)];
            drop(self.queue.try_send(Signal::Event(made, manifest)));
        }
        self.shared.sink.roots_changed();
    }

    /// Changes who notices changes, and how often we look.
    pub fn set_backend(&self, backend: WatchBackend, poll_interval: Duration) {
        self.poll.set_interval(poll_interval);
        let mut watches = self.shared.watches();
        if !watches.set_mode(backend) {
            return;
        }
        watches.set_silent(false);
        for folder in self.shared.own() {
            watches.unwatch(&folder);
        }
        drop(watches);
        self.watch_anew(|_| true);
    }

    /// Watches a root anew if it isn't what it was when its watch was set.
    pub fn look_again(&self, root: &str) {
        let watches = self.shared.watches();
        let outdated = self.shared.table().moved(root, &watches);
        drop(watches);
        self.watch_anew(|at| outdated == Some(at));
    }

    /// Watches anew what isn't what it was when its watch was set: behind another link, or below a disk that was mounted
    /// over it. Nobody tells of these.
    pub fn look_at_places(&self) {
        let watches = self.shared.watches();
        let moved = self.shared.table().all_moved(&watches);
        drop(watches);
        if !moved.is_empty() {
            self.watch_anew(|at| moved.contains(&at));
        }
    }

    /// Finds out whether the kernel's events still arrive, and makes its watcher anew if not; if they
    /// never do, we look ourselves until the next check. Watches anew what is not watched as it should
    /// be. Blocks, some seconds if something is wrong; what was missed meanwhile a full pass must find.
    pub fn check(&self) {
        self.check_within(PATIENCE);
    }

    fn check_within(&self, patience: Duration) {
        match self.listen(patience) {
            Some(heard) if self.shared.watches().set_silent(!heard) => {
                tracing::warn!(heard, "whether the kernel's events arrive");
                self.watch_anew(|_| true);
            }
            _ => {
                let watches = self.shared.watches();
                let outdated = self.shared.table().outdated(&watches);
                drop(watches);
                self.watch_anew(|at| outdated.contains(&at));
            }
        }
    }

    /// Whether the kernel's events arrive; `None` if that can't be told.
    fn listen(&self, patience: Duration) -> Option<bool> {
        if self.shared.watches().is_silent() {
            self.rebuild()?;
            return self.sings(patience, false);
        }
        for _ in 0..TRIES {
            if self.sings(patience, false)? {
                return Some(true);
            }
            tracing::warn!("the kernel's events don't arrive; its watcher is made anew");
            let rebuilt = self.rebuild();
            // If there is no watcher any more, this lets us look instead.
            self.watch_anew(|_| true);
            rebuilt?;
        }
        Some(false)
    }

    fn rebuild(&self) -> Option<()> {
        self.shared.watches().rebuild()
    }

    /// Whether the canary's event arrives. Its folder is watched from then on if it `stays`, as to end a watch takes
    /// the longer the more there are; but a folder that is not heard is watched anew by the next one.
    fn sings(&self, patience: Duration, stays: bool) -> Option<bool> {
        let canary = &self.shared.canary;
        let _alone = canary.alone();
        let watched = {
            let mut watches = self.shared.watches();
            watches.native()?.watch(canary.folder(), Depth::Entries)
        };
        watched.ok()?;
        let heard = canary.sings(patience);
        if stays && heard == Some(true) {
            return heard;
        }
        if let Some(native) = self.shared.watches().native() {
            native.unwatch(canary.folder());
        }
        heard
    }

    /// What changed below a root, up to the moment of this call, since this was last called with `anew`. With
    /// it, the next call tells what changes from here on. Blocks until events that are on their way have come.
    ///
    /// Only where the kernel tells of every change, and keeps what it tells in order, anything is known. It does not
    /// tell of writes through a mapping that outlives its file's descriptor, nor of those through a link with
    /// another name outside.
    pub fn changes(&self, root: &str, anew: bool) -> Changes {
        let is_told = self.shared.table().told(root).is_some();
        // Twice: when the first was heard, folders that were new before it may have no watch yet; when the second
        // was, they have: in between, the thread that sets them is asked to watch the canary's folder, and answers.
        let is_heard = is_told && (0..2).all(|_| self.sings(ON_THE_WAY, true) == Some(true));
        let mut table = self.shared.table();
        match table.told(root) {
            Some(root) if is_heard && anew => root.trail.take(),
            Some(root) if is_heard => root.trail.look(),
            Some(root) => {
                root.trail.lose();
                Changes::Unknown
            }
            None => Changes::Unknown,
        }
    }

    /// Watches the home and some roots anew, which may then have changed in any way.
    fn watch_anew(&self, which: impl Fn(usize) -> bool) {
        self.shared.watch_home();
        let mut watches = self.shared.watches();
        let mut table = self.shared.table();
        let mut names = Vec::new();
        for at in 0..table.roots.len() {
            if which(at) {
                table.rearm(at, &mut watches);
                names.extend(table.roots.get(at).map(|root| root.shown.name.clone()));
            }
        }
        drop(table);
        drop(watches);
        if !names.is_empty() {
            self.are_back(names);
            self.shared.sink.roots_changed();
        }
    }

    fn are_back(&self, names: Vec<String>) {
        for name in names {
            // A full queue means that much is to be looked at, and this too.
            if self.queue.try_send(Signal::Back(name)).is_err() {
                self.shared.overflow.store(true, Ordering::Release);
            }
        }
    }

    /// What is known of each root.
    pub fn status(&self) -> Vec<RootState> {
        self.shared
            .table()
            .roots
            .iter()
            .map(|root| root.shown.clone())
            .collect()
    }

    /// Whether the watch thread ended although nobody stopped it.
    pub fn has_failed(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Stops the watch thread and waits for it. Twice is harmless.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.canary.cancel();
        self.poll.stop();
        drop(self.queue.try_send(Signal::Wake));
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the watch thread had panicked");
        }
    }
}

/// The kernel's watchers of disks that may fall silent.
fn far_of(home: &Home, queue: &SyncSender<Signal>, overflow: &Arc<AtomicBool>) -> Far {
    let (root, heard, lost) = (home.root().to_owned(), queue.clone(), Arc::clone(overflow));
    let make = move || {
        let native = Native::new(root.clone(), heard.clone(), Arc::clone(&lost));
        Box::new(native.far()) as Box<dyn Backend>
    };
    Far::new(make, queue.clone(), Arc::clone(overflow))
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests;
