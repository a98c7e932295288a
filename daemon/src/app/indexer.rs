//! The text index in the background: reads what waits for it, and keeps the cache below its size.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use skillmeat_shared::artifact::{read, scan};
use skillmeat_shared::collection::spelling;
use skillmeat_shared::failpoint;
use skillmeat_shared::thread::give_way;
use skillmeat_shared::{Kind, Result};

use super::App;
use super::errand::{self, Waited};
use crate::store::text::{self, Packed, Waiting};
use crate::store::{Store, evict};

/// Artifacts that are read and handed over together: whoever wants to write waits for one batch.
const BATCH: u32 = 25;

/// Bytes of text in one transaction, as long as nobody else wants to write. Each commit makes a segment of
/// the index, and segments are merged later: few large ones cost half of many small ones.
const TRANSACTION: usize = 64 * 1024 * 1024;

/// How long a transaction waits for the next texts. It must not wait for ever: a cache that is being dropped
/// waits for the writer, and keeps those who read texts waiting.
const PATIENCE: Duration = Duration::from_millis(50);

/// Batches that are read ahead of the writer.
const AHEAD: usize = 16;

/// How long no texts must have come before the index is merged.
const SETTLED: Duration = Duration::from_millis(500);

/// Segments of the index that wait for that no longer. With sixteen, whoever adds the next one has to merge them.
const MANY: usize = 6;

/// Artifacts whose texts are evicted first; then twice as many, and so on, since the index is merged each time.
const EVICTED_AT_ONCE: usize = 200;

/// The share of the limit that eviction leaves in use, in percent. The file may keep the rest as free pages.
const LEAVE: u64 = 90;

/// How much nicer those who read texts are than those who answer.
const NICE: i32 = 10;

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
    /// The rows alone pass the limit. Then the size is looked at by the clock only: evicting the one text that
    /// each change brings would be endless work for nothing.
    exhausted: AtomicBool,
    /// Segments that were added to the index since it was merged.
    added: AtomicUsize,
    /// The last run failed, so texts wait that nobody will wake it for.
    failed: AtomicBool,
    /// Collections in which a thread hangs that reads texts: another one would hang, too.
    behind: Mutex<HashSet<PathBuf>>,
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

    /// Whether the last run failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    fn behind(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .stopping
    }

    /// Whether nothing comes for so long.
    fn is_idle_for(&self, pause: Duration) -> bool {
        let is_idle =
            |state: &State| !(state.texts || state.size || state.readmit || state.stopping);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, pause, |state| is_idle(state))
            .unwrap_or_else(PoisonError::into_inner);
        is_idle(&state)
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
fn read_texts(waiting: &Waiting) -> Packed {
    let root = Path::new(&waiting.root);
    let path = spelling::on_disk(root, &waiting.path);
    let kind = Kind::from_manifest(&waiting.kind);
    let texts = scan::scan(&path, root).map(|scan| read::texts(&kind, &path, &scan));
    Packed::new(&texts.unwrap_or_default())
}

fn bytes_of(batch: &[(Waiting, Packed)]) -> usize {
    batch.iter().map(|(_, packed)| packed.size()).sum()
}

impl App {
    /// The thread.
    pub(super) fn run_indexer(self: Arc<Self>) {
        while let Some(work) = self.indexer.next() {
            failpoint::hit("task.text_index").ok();
            let Some(store) = self.gate.open() else {
                // Who opens it wakes us.
                continue;
            };
            let result = self.index(&store, &work);
            self.indexer
                .failed
                .store(result.is_err(), Ordering::Relaxed);
            if let Err(error) = result {
                tracing::warn!(target: "text-index", "{error}");
                self.ingest.look_at_cache_in(super::ingest::AGAIN);
            }
        }
    }

    fn index(self: &Arc<Self>, store: &Store, work: &State) -> Result<()> {
        if work.readmit {
            store.write(evict::readmit)?;
        }
        self.index_waiting(store)?;
        let exhausted = self.indexer.exhausted.load(Ordering::Relaxed);
        if !exhausted || work.size || work.readmit {
            self.evict(store)?;
        }
        self.merge(store)
    }

    /// Merges what changes left of the index, in small steps: once no texts have come for a while, or if it is much.
    /// Whoever changes something waits for rows, and not for that.
    fn merge(&self, store: &Store) -> Result<()> {
        let added = &self.indexer.added;
        let is_many = added.load(Ordering::Relaxed) >= MANY;
        let mut pause = if is_many { Duration::ZERO } else { SETTLED };
        while self.indexer.is_idle_for(pause) {
            if let Err(TryLockError::WouldBlock) = self.mutation.try_lock() {
                pause = SETTLED;
                continue;
            }
            if !store.write(evict::merge_step)? {
                added.store(0, Ordering::Relaxed);
                break;
            }
            pause = Duration::ZERO;
        }
        Ok(())
    }

    /// Indexes all texts that wait, reading ahead of the writer on a second thread.
    fn index_waiting(self: &Arc<Self>, store: &Store) -> Result<()> {
        std::thread::scope(|scope| {
            let (sender, mut receiver) = sync_channel::<Vec<(Waiting, Packed)>>(AHEAD);
            let reading = scope.spawn(move || -> Result<()> {
                let mut after = 0;
                while !self.indexer.is_stopping() {
                    let batch = store.read(|connection| text::waiting(connection, after, BATCH))?;
                    let Some(last) = batch.last() else { break };
                    after = last.row;
                    if sender.send(self.read_batch(batch)?).is_err() {
                        break;
                    }
                }
                Ok(())
            });
            while let Ok(mut batch) = receiver.recv() {
                receiver = store.write_politely(move |transaction, is_awaited| {
                    let mut written = 0;
                    loop {
                        written += bytes_of(&batch);
                        text::store(transaction, batch)?;
                        if written >= TRANSACTION || is_awaited() {
                            break;
                        }
                        match receiver.recv_timeout(PATIENCE) {
                            Ok(next) => batch = next,
                            Err(_) => break,
                        }
                    }
                    Ok(receiver)
                })?;
                self.indexer.added.fetch_add(1, Ordering::Relaxed);
            }
            reading
                .join()
                .unwrap_or_else(|_| Err(super::internal("reading texts panicked")))
        })
    }

    /// Reads texts, but for those of collections whose disks don't answer: these go on waiting.
    fn read_batch(self: &Arc<Self>, batch: Vec<Waiting>) -> Result<Vec<(Waiting, Packed)>> {
        let mut by_root: BTreeMap<PathBuf, Vec<Waiting>> = BTreeMap::new();
        for waiting in batch {
            let root = PathBuf::from(&waiting.root);
            by_root.entry(root).or_default().push(waiting);
        }
        let mut all = Vec::new();
        for (root, waiting) in by_root {
            let is_silent = self.reach.silent_since(&root).is_some();
            if is_silent || !self.indexer.behind().insert(root.clone()) {
                continue;
            }
            let (app, place) = (Arc::clone(self), root.clone());
            let late = move |_| {
                app.indexer.behind().remove(&place);
                app.indexer.wake();
            };
            let work = move |beat: &errand::Beat| {
                give_way(NICE);
                let read = waiting.into_iter().map(|waiting| {
                    beat.tick();
                    let packed = read_texts(&waiting);
                    (waiting, packed)
                });
                read.collect::<Vec<_>>()
            };
            match errand::run("texts", (&self.reach, &root), work, late) {
                Ok(Waited::Done(read)) => {
                    self.indexer.behind().remove(&root);
                    all.extend(read);
                }
                Ok(Waited::Silent | Waited::Stuck) => {
                    tracing::warn!(target: "text-index", "texts below `{}` can't be read now", root.display());
                }
                Err(error) => {
                    self.indexer.behind().remove(&root);
                    return Err(error);
                }
            }
        }
        Ok(all)
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
        let mut most = EVICTED_AT_ONCE;
        self.indexer.exhausted.store(false, Ordering::Relaxed);
        while store.read(evict::used_bytes)? > enough && !self.indexer.is_stopping() {
            let count = store.write(move |transaction| evict::evict_texts(transaction, most))?;
            evicted += count;
            if count == 0 {
                self.indexer.exhausted.store(true, Ordering::Relaxed);
                break;
            }
            most = most.saturating_mul(2);
            // Dropped words leave the index only when its segments are merged.
            store.maintain(evict::merge_index)?;
        }
        // Makes the whole file anew: only when it gives back more than the share that may stay free.
        if store.read(evict::free_bytes)? > limit.saturating_sub(enough) {
            store.compact()?;
        }
        if evicted > 0 {
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
