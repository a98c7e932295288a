//! Watches the home and its collections and tells what is dirty.
//!
//! Invariants: events are only hints that something is dirty, never facts; what the kernel or our own
//! queue loses makes every root dirty as a whole; nothing here reads the content of a file; while nothing
//! happens no thread wakes. A root is watched before [`Watcher::set_roots`] returns, so that a full pass
//! after it misses nothing.

mod backend;
pub mod debounce;
pub mod ledger;
mod pump;
pub mod roots;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use skillmeat_shared::paths::Home;
use skillmeat_shared::{Code, Error, Result};

pub use debounce::{Dirty, Settings};
pub use ledger::Ledger;
pub use roots::{RootState, State, WatchRoot};

use backend::{Backend, Depth, QUEUE, Signal};
use roots::Table;

/// Folders beside the collections that are watched for a manifest, at most.
const CANDIDATES: usize = 256;

/// Hears what is dirty. Called on the watch thread: hand over and return.
pub trait Sink: Send + Sync {
    /// Something below a root changed, or may have.
    fn root_dirty(&self, root: &str, dirty: Dirty, why: &'static str);
    /// Collections appeared or went, or may have.
    fn collections_changed(&self);
    /// The config file changed, or may have.
    fn config_changed(&self);
}

/// What the watch thread and its owner share.
pub(crate) struct Shared {
    pub(crate) home: PathBuf,
    pub(crate) collections: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) table: Mutex<Table>,
    /// Taken before `table`, never after it.
    pub(crate) backend: Mutex<Box<dyn Backend>>,
    pub(crate) overflow: Arc<AtomicBool>,
    pub(crate) stopping: AtomicBool,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) ledger: Arc<Ledger>,
}

impl Shared {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn backend(&self) -> MutexGuard<'_, Box<dyn Backend>> {
        self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the home, the folder of its collections, and what may become one, as far as they are there.
    pub(crate) fn watch_home(&self) {
        let mut backend = self.backend();
        for folder in [&self.home, &self.collections]
            .into_iter()
            .chain(&self.candidates())
        {
            if folder.is_dir()
                && let Err(refusal) = backend.watch(folder, Depth::Entries)
            {
                tracing::warn!(folder = %folder.display(), reason = refusal.reason(), "not watched");
            }
        }
    }

    /// Folders beside the collections that are none yet: a folder becomes one when it gets its manifest, which
    /// may be long after it was made.
    fn candidates(&self) -> Vec<PathBuf> {
        let table = self.table();
        let is_root = |path: &PathBuf| table.roots.iter().any(|root| root.shown.path == *path);
        let entries = std::fs::read_dir(&self.collections).into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| !is_root(path))
            .take(CANDIDATES)
            .collect()
    }
}

/// The watcher of one home. Dropping it stops it.
pub struct Watcher {
    shared: Arc<Shared>,
    queue: SyncSender<Signal>,
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
        settings: Settings,
        sink: Arc<dyn Sink>,
        ledger: Arc<Ledger>,
    ) -> Result<Self> {
        let (queue, signals) = sync_channel(QUEUE);
        let overflow = Arc::new(AtomicBool::new(false));
        let backend = backend::open(home.root(), queue.clone(), Arc::clone(&overflow));
        let collections = home.collections();
        let shared = Arc::new(Shared {
            home: home.root().to_owned(),
            config: home.config(),
            table: Mutex::new(Table {
                roots: Vec::new(),
                fixed: vec![home.root().to_owned(), collections.clone()],
            }),
            collections,
            backend: Mutex::new(backend),
            overflow,
            stopping: AtomicBool::new(false),
            sink,
            ledger,
        });
        shared.watch_home();
        let pump = pump::Pump::new(Arc::clone(&shared), settings);
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || pump.run(&signals))
            .map_err(|error| {
                Error::new(
                    Code::Internal,
                    format!("can't start the watch thread: {error}"),
                )
            })?;
        Ok(Self {
            shared,
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Sets the folders to watch. Blocks until they are watched (about 20 ms per 1,000 folders below
    /// them). Roots that are missing or failed are tried again.
    pub fn set_roots(&self, roots: Vec<WatchRoot>) {
        let mut backend = self.shared.backend();
        let back = self.shared.table().replace(roots, backend.as_mut());
        drop(backend);
        for name in back {
            // A full queue has raised the overflow flag already, which says more.
            drop(self.queue.try_send(Signal::Back(name)));
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

    /// Stops the watch thread and waits for it. Twice is harmless.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
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

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}
