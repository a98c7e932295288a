//! The text index in the background: reads what waits for it, and keeps the cache below its size.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use skillmeat_shared::artifact::read::{self, FileText};
use skillmeat_shared::artifact::scan;
use skillmeat_shared::{Kind, Result};

use super::App;
use crate::store::text::{self, Waiting};
use crate::store::{Store, evict};

/// Artifacts whose texts are written in one transaction.
const BATCH: u32 = 250;

/// Batches that are read ahead of the writer.
const AHEAD: usize = 2;

/// The share of the limit that eviction leaves in use, in percent.
const LEAVE: u64 = 90;

#[derive(Default)]
struct State {
    texts: bool,
    size: bool,
    readmit: bool,
    stopping: bool,
}

/// Wakes the thread.
#[derive(Default)]
pub(super) struct Indexer {
    state: Mutex<State>,
    changed: Condvar,
}

impl Indexer {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// There may be texts to index.
    pub(super) fn wake(&self) {
        self.set(|state| state.texts = true);
    }

    /// The cache may be too large.
    pub(super) fn look_at_size(&self) {
        self.set(|state| state.size = true);
    }

    /// Evicted texts may come back.
    pub(super) fn readmit(&self) {
        self.set(|state| state.readmit = true);
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        self.set(|state| state.stopping = true);
    }

    fn is_stopping(&self) -> bool {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stopping
    }

    /// Waits for something to do; `None` at the end.
    fn next(&self) -> Option<State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.stopping {
                return None;
            }
            if state.texts || state.size || state.readmit {
                return Some(std::mem::take(&mut *state));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Reads the texts of an artifact; nothing if its files are gone or can't be read: the watcher will tell.
fn read_texts(waiting: &Waiting) -> Vec<FileText> {
    let root = Path::new(&waiting.root);
    let path = root.join(&waiting.path);
    let kind = Kind::from_manifest(&waiting.kind);
    scan::scan(&path, root)
        .and_then(|scan| read::read(&kind, &waiting.name, &path, &scan, true))
        .map(|reading| reading.texts)
        .unwrap_or_default()
}

impl App {
    /// The thread.
    pub(super) fn run_indexer(self: Arc<Self>) {
        self.indexer.wake();
        while let Some(work) = self.indexer.next() {
            let Some(store) = self.gate.open() else {
                continue;
            };
            let result = self.index(&store, &work);
            if let Err(error) = result {
                tracing::warn!(target: "text-index", "{error}");
            }
        }
    }

    fn index(&self, store: &Store, work: &State) -> Result<()> {
        if work.readmit {
            store.write(evict::readmit)?;
        }
        self.index_waiting(store)?;
        self.evict(store)
    }

    /// Indexes all texts that wait, reading ahead of the writer on a second thread.
    fn index_waiting(&self, store: &Store) -> Result<()> {
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Vec<(Waiting, Vec<FileText>)>>(AHEAD);
            let reading = scope.spawn(move || -> Result<()> {
                let mut after = 0;
                while !self.indexer.is_stopping() {
                    let batch = store.read(|connection| text::waiting(connection, after, BATCH))?;
                    let Some(last) = batch.last() else { break };
                    after = last.row;
                    let read = batch
                        .into_iter()
                        .map(|waiting| {
                            let texts = read_texts(&waiting);
                            (waiting, texts)
                        })
                        .collect();
                    if sender.send(read).is_err() {
                        break;
                    }
                }
                Ok(())
            });
            while let Ok(batch) = receiver.recv() {
                store.write(move |transaction| text::store(transaction, &batch))?;
            }
            reading
                .join()
                .unwrap_or_else(|_| Err(super::internal("reading texts panicked")))
        })
    }

    /// Drops texts while the cache is larger than it may be.
    fn evict(&self, store: &Store) -> Result<()> {
        let limit = self
            .config()
            .config
            .cache_max_size_mb
            .saturating_mul(1024 * 1024);
        if store.size_bytes() <= limit {
            return Ok(());
        }
        // The log may hold most of it.
        store.checkpoint()?;
        if store.size_bytes() <= limit {
            return Ok(());
        }
        let enough = limit / 100 * LEAVE;
        let mut evicted = 0;
        while store.read(evict::used_bytes)? > enough && !self.indexer.is_stopping() {
            let count = store.write(evict::evict_texts)?;
            evicted += count;
            if count == 0 {
                break;
            }
            // Dropped words leave the index only when its segments are merged.
            store.maintain(evict::merge_index)?;
        }
        if evicted > 0 {
            store.maintain(evict::compact)?;
            tracing::warn!(
                target: "text-index",
                "the cache passed its {} MB: the texts of {evicted} artifacts left the index",
                limit / (1024 * 1024)
            );
            self.log_event(
                "cache.evicted",
                "",
                &format!("texts of {evicted} artifacts"),
            );
        }
        Ok(())
    }
}
