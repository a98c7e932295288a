//! Objects that are kept together with what names them.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use rusqlite::Transaction;
use skillmeat_shared::fs::FileHash;
use skillmeat_shared::history::{Keep, Objects};
use skillmeat_shared::{Error, Result};

use super::moment::Moment;
use super::object::{self, Packed, Packer};
use super::parts::{self, Parts};
use super::{History, lock};

/// Packed bytes that wait in memory at most.
const FULL: usize = 8 * 1024 * 1024;

/// Questions from which on a list of all objects is worth its while.
const MANY: u64 = 5_000;

/// Objects up to which it is: 32 bytes each.
const MOST: u64 = 500_000;

#[derive(Default)]
struct Pending {
    objects: HashMap<FileHash, Packed>,
    bytes: usize,
}

/// Keeps objects. Threads may share it. What it took is certain to stay only once it was committed: many
/// objects go to the disk before, but nothing names them yet.
pub struct Batch<'a> {
    history: &'a History,
    moment: Moment<'a>,
    /// All of them are kept, or are about to be.
    held: Mutex<Parts>,
    pending: Mutex<Pending>,
    packers: Mutex<Vec<Packer>>,
    stored: AtomicU64,
    /// How often it was asked whether the database has an object.
    asked: AtomicU64,
    /// All that the database has, once it was asked often. Nothing is deleted while a batch is open.
    known: OnceLock<Option<HashSet<FileHash>>>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        Self {
            history,
            moment: Moment::new(history),
            held: Mutex::default(),
            pending: Mutex::default(),
            packers: Mutex::default(),
            stored: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            known: OnceLock::new(),
        }
    }

    /// Bytes that it adds to the history.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Commits what is left together with what `work` writes.
    pub fn commit<T>(
        self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let pending = std::mem::take(&mut *lock(&self.pending));
        let generation = self.moment.generation();
        self.moment.pass();
        let value = self.history.write(|transaction| {
            object::insert(transaction, pending.objects.iter())?;
            work(transaction)
        })?;
        self.history.hold_parts(generation, &lock(&self.held));
        Ok(value)
    }

    fn add(&self, hash: &FileHash, packed: Packed) -> Result<()> {
        let bytes = packed.data.len();
        let mut pending = lock(&self.pending);
        if pending.objects.insert(*hash, packed).is_none() {
            pending.bytes += bytes;
            self.stored.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        if pending.bytes < FULL {
            return Ok(());
        }
        let full = std::mem::take(&mut *pending);
        drop(pending);
        self.moment.pass();
        self.history
            .write(|transaction| object::insert(transaction, full.objects.iter()))
    }

    /// Whether the database has an object. Thousands of questions are answered from one list.
    fn is_kept(&self, hash: &FileHash) -> Result<bool> {
        if lock(&self.held).has(hash) {
            return Ok(true);
        }
        if self.asked.fetch_add(1, Ordering::Relaxed) < MANY {
            return self.moment.ask(|connection| object::has(connection, hash));
        }
        let known = self.known.get_or_init(|| {
            let all = self.moment.ask(|connection| object::all(connection, MOST));
            all.ok().flatten()
        });
        match known {
            Some(known) if known.contains(hash) => Ok(true),
            // What others kept meanwhile is kept once all the same.
            Some(_) => Ok(false),
            None => self.moment.ask(|connection| object::has(connection, hash)),
        }
    }

    fn load(&self, hash: &FileHash) -> Result<Option<Packed>> {
        let waiting = lock(&self.pending).objects.get(hash).cloned();
        if waiting.is_some() {
            return Ok(waiting);
        }
        let load = || self.moment.ask(|connection| object::load(connection, hash));
        if let Some(packed) = load()? {
            return Ok(Some(packed));
        }
        // It may have been written since.
        self.moment.pass();
        load()
    }

    fn copy_part(&self, hash: &FileHash, into: &mut dyn Write) -> Result<()> {
        let held = lock(&self.held).get(hash);
        let bytes = if let Some(bytes) = held {
            bytes
        } else if let Some(bytes) = self.history.part(hash) {
            lock(&self.held).hold(hash, &bytes);
            bytes
        } else {
            let mut bytes = Vec::new();
            object::copy(&|other: &FileHash| self.load(other), hash, &mut bytes)?;
            let bytes = bytes.into();
            lock(&self.held).hold(hash, &bytes);
            bytes
        };
        into.write_all(&bytes)
            .map_err(|error| Error::io("write", Path::new("object"), &error))
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.history.batch_ended();
    }
}

impl Objects for Batch<'_> {
    fn has(&self, hash: &FileHash) -> Result<bool> {
        let is_waiting = lock(&self.pending).objects.contains_key(hash);
        Ok(is_waiting || self.is_kept(hash)?)
    }

    fn copy_to(&self, hash: &FileHash, into: &mut dyn Write) -> Result<()> {
        let first = self.load(hash)?;
        let held = first
            .as_ref()
            .filter(|first| first.size <= parts::OF_ONE)
            .and_then(object::parts);
        if let Some(parts) = held {
            return parts.iter().try_for_each(|part| self.copy_part(part, into));
        }
        let first = Cell::new(first);
        let load = |other: &FileHash| match first.take() {
            Some(first) => Ok(Some(first)),
            None => self.load(other),
        };
        object::copy(&load, hash, into)
    }

    fn parts(&self, hash: &FileHash) -> Result<Option<Vec<FileHash>>> {
        Ok(self.load(hash)?.as_ref().and_then(object::parts))
    }
}

impl Keep for Batch<'_> {
    fn put(&self, hash: &FileHash, bytes: &[u8]) -> Result<()> {
        if self.has(hash)? {
            return Ok(());
        }
        let packer = lock(&self.packers).pop();
        let mut packer = packer.unwrap_or_else(Packer::new);
        let packed = packer.pack(bytes);
        lock(&self.packers).push(packer);
        self.add(hash, packed)
    }

    fn put_list(&self, hash: &FileHash, size: u64, parts: &[FileHash]) -> Result<()> {
        if self.has(hash)? {
            return Ok(());
        }
        self.add(hash, object::list(size, parts))
    }

    fn have_at_hand(&self, hash: &FileHash, bytes: &[u8]) {
        let mut held = lock(&self.held);
        if !held.has(hash) {
            held.hold(hash, &bytes.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use skillmeat_shared::Code;
    use skillmeat_shared::history::tree::Entry;
    use skillmeat_shared::history::{Node, Tree, object as port};
    use skillmeat_shared::time::Timestamp;

    use super::super::collect::Limits;
    use super::*;

    /// A tree that is kept as a list of parts.
    fn large_tree() -> Tree {
        let entries = (0..2000_u32).map(|number| Entry {
            name: format!("{number}").into(),
            node: Node::Folder {
                mode: 0o700,
                hash: FileHash::of(&number.to_le_bytes()),
            },
        });
        Tree::new(entries.collect()).unwrap()
    }

    #[test]
    fn a_list_is_the_same_when_it_is_read_again_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(&folder.path().join("history.db"), true);
        let tree = large_tree();
        let batch = history.batch();
        let hash = tree.keep(&batch, None).unwrap();
        assert_eq!(Tree::load(&batch, &hash).unwrap(), tree);
        batch.commit(|_| Ok(())).unwrap();
        let batch = history.batch();
        for _ in 0..2 {
            assert_eq!(Tree::load(&batch, &hash).unwrap(), tree);
            let error = port::get(&batch, &hash, 100).unwrap_err();
            assert_eq!(error.code, Code::FileTooLarge);
        }
    }

    #[test]
    fn what_is_at_hand_is_kept_or_is_kept_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        let history = History::new(&path, true);
        let tree = large_tree();
        let keep = || {
            let batch = history.batch();
            let hash = tree.keep(&batch, None).unwrap();
            (batch, hash)
        };
        // Of one that is given up nothing is kept.
        drop(keep());
        let is_kept = || {
            let (batch, hash) = keep();
            batch.commit(|_| Ok(())).unwrap();
            let list = history.read(|connection| object::load(connection, &hash));
            let parts = object::parts(&list.unwrap().unwrap()).unwrap();
            assert!(parts.iter().all(|part| history.part(part).is_some()));
            let anew = History::new(&path, true);
            assert_eq!(Tree::load(&anew, &hash).unwrap(), tree);
        };
        is_kept();
        let all = Limits {
            since: Timestamp(i64::MAX),
            max_bytes: 0,
        };
        assert!(history.collect(all, false).unwrap().objects > 10);
        is_kept();
        for file in crate::store::files::files_of(&path) {
            std::fs::remove_file(file).ok();
        }
        is_kept();
        history.rest();
        is_kept();
    }
}
