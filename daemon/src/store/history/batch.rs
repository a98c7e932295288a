//! Objects that are kept together with what names them.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use rusqlite::Transaction;
use skillmeat_shared::Result;
use skillmeat_shared::fs::FileHash;
use skillmeat_shared::history::{Keep, Objects};

use super::object::{self, Packed, Packer};
use super::{History, lock};

/// Packed bytes that wait in memory at most.
const FULL: usize = 8 * 1024 * 1024;

/// Questions from which on a list of all objects is worth its while.
const MANY: u64 = 200;

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
        self.history.write(|transaction| {
            object::insert(transaction, pending.objects.iter())?;
            work(transaction)
        })
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
        self.history
            .write(|transaction| object::insert(transaction, full.objects.iter()))
    }

    /// Whether the database has an object. Thousands of questions are answered from one list.
    fn is_kept(&self, hash: &FileHash) -> Result<bool> {
        if self.asked.fetch_add(1, Ordering::Relaxed) < MANY {
            return self.history.has(hash);
        }
        let known = self.known.get_or_init(|| {
            let all = self
                .history
                .read(|connection| object::all(connection, MOST));
            all.ok().flatten()
        });
        match known {
            Some(known) if known.contains(hash) => Ok(true),
            // What others kept meanwhile is kept once all the same.
            Some(_) => Ok(false),
            None => self.history.has(hash),
        }
    }

    fn load(&self, hash: &FileHash) -> Result<Option<Packed>> {
        let waiting = lock(&self.pending).objects.get(hash).cloned();
        match waiting {
            Some(packed) => Ok(Some(packed)),
            None => self
                .history
                .read(|connection| object::load(connection, hash)),
        }
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
        object::copy(&|hash| self.load(hash), hash, into)
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
}
