//! The history: one SQLite file with objects, operations and snapshots. Unlike the cache it is durable: it is
//! never dropped, and what is committed is on the disk.
//!
//! Invariants: objects are committed no later than what names them; an object is deleted only by
//! [`collect`], never while a [`Batch`] is open; the database is opened when it is first needed and closed
//! when nobody has needed it for a while, so that it costs an idle daemon nothing.

mod batch;
pub mod collect;
pub mod damage;
pub mod known;
mod loss;
mod moment;
mod object;
mod open;
pub mod operation;
mod parts;
mod reading;
pub mod seen;
pub mod snapshot;
mod trouble;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use skillmeat_shared::fs::FileHash;
use skillmeat_shared::history::tree::Node;
use skillmeat_shared::history::{Objects, file};
use skillmeat_shared::{Code, Error, Result};

use super::{is_held, sql_hit};
pub use batch::Batch;
use loss::{Kept, is_of_the_file};
use reading::{Reader, Readers};
use trouble::Trouble;

/// How long a collection of garbage waits for open batches.
const PATIENCE: Duration = Duration::from_mins(1);

/// Translates an error of SQLite into one that a person can act on.
fn sql_error(error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    if is_held(error) {
        let message = format!("another program holds the history: {error}");
        return Error::new(Code::HistoryUnavailable, message)
            .hint("end what has `history.db` of the home open (`fuser` finds it), then try again");
    }
    let message = format!("the history failed: {error}");
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::new(Code::DiskFull, message)
            .hint("make room on the disk that holds the home; nothing was changed"),
        Some(ErrorCode::NotADatabase) => Error::new(Code::HistoryDamaged, message).hint(
            "it is put aside and a new one is begun: try again; `sm status` tells where it lies",
        ),
        Some(ErrorCode::DatabaseCorrupt) => Error::new(Code::HistoryDamaged, message)
            .hint("`sm snapshot verify` tells which snapshots are whole"),
        Some(ErrorCode::ReadOnly) => Error::new(Code::HistoryUnavailable, message)
            .hint("make the home writable, with all that is in it"),
        _ => Error::new(Code::HistoryUnavailable, message)
            .hint("`sm daemon logs` tells more; nothing is changed without a history"),
    }
}

/// Who uses the objects.
#[derive(Debug, Default)]
struct Users {
    batches: usize,
    is_collecting: bool,
}

/// The history of one home. Cheap to make: nothing is opened yet. All calls block.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    is_local: bool,
    /// Nothing can be written beside it.
    is_read_only: bool,
    writer: Mutex<Option<Writer>>,
    readers: Mutex<Readers>,
    /// Somebody has read.
    has_read: Condvar,
    users: Mutex<Users>,
    left: Condvar,
    trouble: Mutex<Trouble>,
    /// How often it was closed because of its files.
    given_up: AtomicU64,
}

/// The one connection that writes.
#[derive(Debug)]
struct Writer {
    connection: Connection,
    /// Which file it is of: one that stands at the path no longer is not to be written.
    identity: Option<(u64, u64)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    /// The history in this file. On a disk that is not local it does without a write-ahead log.
    pub fn new(path: &Path, is_local: bool) -> Self {
        Self {
            path: path.to_owned(),
            is_local,
            is_read_only: false,
            writer: Mutex::new(None),
            readers: Mutex::default(),
            has_read: Condvar::new(),
            users: Mutex::default(),
            left: Condvar::new(),
            trouble: Mutex::default(),
            given_up: AtomicU64::new(0),
        }
    }

    /// The same history, in a home that can't be written: it is read as it is.
    #[must_use]
    pub fn read_only(self, is_read_only: bool) -> Self {
        Self {
            is_read_only,
            ..self
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in one transaction, which is on the disk when this returns; an error rolls it back.
    pub fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.with_writer(|connection| {
            sql_hit("history.before_begin")?;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            let kept = Kept::of(&transaction)?;
            let least = lock(&self.readers)
                .kept
                .map(|before| (before, kept.at_most(&before)));
            if let Some((before, least)) = least
                && least != before
            {
                loss::remember(&self.path, Some(&least), true);
            }
            sql_hit("history.before_commit")?;
            transaction.commit()?;
            lock(&self.readers).kept = Some(kept);
            loss::remember(&self.path, Some(&kept), false);
            sql_hit("history.after_commit")?;
            Ok(value)
        })
    }

    /// Runs `work` on the writing connection, outside of a transaction.
    fn with_writer<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        if self.is_read_only {
            let message = format!(
                "can't write `{}`: the home is read-only",
                self.path.display()
            );
            let error = Error::new(Code::FilePermission, message).at(&self.path, None);
            return Err(error.hint("make the home writable, with all that is in it"));
        }
        let mut slot = lock(&self.writer);
        let there = super::files::identity(&self.path);
        if slot.is_some() && !self.is_as_left() {
            self.give_up(&mut slot);
        }
        let writer = match slot.as_mut() {
            // Of a file that was deleted or replaced only its open connections are left.
            Some(writer) if there.is_some() && writer.identity == there => writer,
            _ => {
                *slot = None;
                slot.insert(self.open_writer()?)
            }
        };
        let outcome = work(&mut writer.connection);
        lock(&self.readers).log_bytes = super::files::log_bytes(&self.path);
        outcome.map_err(|error| {
            let told = sql_error(&error);
            if told.code == Code::HistoryDamaged {
                lock(&self.trouble).note_damage(&self.path, &told);
            }
            if is_of_the_file(&error) {
                self.give_up(&mut slot);
            }
            told
        })
    }

    /// Whether the file that is open was neither cut short nor lost of its log. Another one in its place is not looked at.
    fn is_as_left(&self) -> bool {
        let readers = lock(&self.readers);
        readers.identity != super::files::identity(&self.path)
            || (!super::files::is_cut_short(&self.path)
                && super::files::log_bytes(&self.path) >= readers.log_bytes)
    }

    /// Closes a database in which something can't be read: opened anew it is put aside, if it is none any more. Who goes
    /// on asking would keep it open. What stands in its log stays there, so that nothing is mixed.
    fn give_up(&self, slot: &mut Option<Writer>) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
        lock(&self.readers).begin_anew();
        if let Some(writer) = slot.take() {
            let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            drop(writer.connection.set_db_config(keep, true));
        }
    }

    /// How often it was closed because of its files: what failed meanwhile may go well now.
    pub fn times_given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    fn open_writer(&self) -> Result<Writer> {
        let there = super::files::identity(&self.path);
        let before = {
            let mut readers = lock(&self.readers);
            readers.begin_anew();
            readers.kept.filter(|_| readers.identity == there)
        };
        if before.is_some() {
            self.wait_for_old_readers()?;
        }
        let known = before.or_else(|| loss::marked(&self.path));
        let is_begun_anew = loss::note_gone(&self.path);
        let opened = open::writer(&self.path, self.is_local);
        let identity = super::files::identity(&self.path);
        let mut kept = opened.as_ref().ok().and_then(|new| Kept::of(new).ok());
        if let (Some(known), Some(now), Ok(connection)) = (known, kept, &opened) {
            if identity == there && !is_begun_anew {
                loss::compare(&self.path, &known, &now);
            }
            match loss::go_on(connection, &known) {
                Ok(now) => kept = Some(now),
                Err(error) => {
                    tracing::warn!(target: "history", "numbers may be given again: {error}");
                }
            }
        }
        {
            let mut readers = lock(&self.readers);
            readers.identity = identity;
            readers.log_bytes = super::files::log_bytes(&self.path);
            // What can't be opened may still be, with all that it held.
            readers.kept = kept.or(before);
        }
        lock(&self.trouble).note_open(&self.path, opened.as_ref().err());
        let connection = opened?;
        loss::remember(&self.path, kept.as_ref(), false);
        Ok(Writer {
            connection,
            identity,
        })
    }

    /// Why it can't be used, as far as is known. A file that was changed since it was opened last is tried, unless
    /// somebody is at work on it; one that is not there yet is no trouble.
    pub fn trouble(&self) -> Option<Error> {
        if (lock(&self.trouble).is_old(&self.path) || !self.is_as_left())
            && let Ok(mut slot) = self.writer.try_lock()
        {
            let there = super::files::identity(&self.path);
            let is_open = slot.as_ref().is_some_and(|open| open.identity == there);
            if there.is_none() {
                lock(&self.trouble).note_open(&self.path, None);
            } else if self.is_read_only {
                drop(self.open_as_it_is());
            } else if !is_open || !self.is_as_left() {
                if is_open {
                    self.give_up(&mut slot);
                }
                *slot = None;
                *slot = self.open_writer().ok();
            }
        }
        lock(&self.trouble).why()
    }

    /// What of it was lost, in words, until that is acknowledged or it is back.
    pub fn lost(&self) -> Option<String> {
        // Who opens it may just have put it aside.
        let alone = self.writer.try_lock();
        if alone.as_ref().is_ok_and(|slot| slot.is_some()) && !file::is_gone(&self.path) {
            // Who acknowledged a loss deleted the note: the next one is missed, too.
            let kept = lock(&self.readers).kept;
            loss::remember(&self.path, kept.as_ref(), false);
        }
        file::lost(&self.path, alone.is_ok())
    }

    /// Has a history that can't be used tried again: what was in its way may have gone without a trace.
    pub fn doubt(&self) {
        lock(&self.trouble).doubt();
    }

    /// Begins to keep objects.
    pub fn batch(&self) -> Batch<'_> {
        let mut users = lock(&self.users);
        while users.is_collecting {
            users = self
                .left
                .wait(users)
                .unwrap_or_else(PoisonError::into_inner);
        }
        users.batches += 1;
        Batch::new(self)
    }

    fn batch_ended(&self) {
        lock(&self.users).batches -= 1;
        self.left.notify_all();
    }

    /// Runs `work` while no batch is open.
    ///
    /// # Errors
    /// [`Code::HistoryUnavailable`] if batches stay open for a minute.
    fn alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut users = lock(&self.users);
        while users.batches > 0 || users.is_collecting {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(
                    Error::new(Code::HistoryUnavailable, "the history is in use")
                        .hint("try again when no other command is at work"),
                );
            }
            users = self
                .left
                .wait_timeout(users, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        users.is_collecting = true;
        drop(users);
        lock(&self.readers).parts.clear();
        let done = Ended(self);
        let value = work();
        drop(done);
        value
    }

    /// Bytes of the database with its write-ahead log.
    pub fn size_bytes(&self) -> u64 {
        super::files::size_of(&self.path)
    }

    /// Histories that were damaged and put aside, the oldest first.
    pub fn put_aside(&self) -> Vec<PathBuf> {
        file::aside(&self.path)
    }

    /// Closes the connections that nobody uses; they are opened again when they are needed.
    pub fn rest(&self) {
        if !self.is_as_left() {
            // What it lacks is noted first.
            drop(self.trouble());
        }
        let mut readers = lock(&self.readers);
        readers.idle.clear();
        readers.parts.clear();
        drop(readers);
        if let Ok(mut slot) = self.writer.try_lock()
            && slot.take().is_some()
        {
            let mut readers = lock(&self.readers);
            (readers.log_bytes, readers.kept) = (0, None);
        }
    }
}

/// Lets batches begin again, also after a panic.
struct Ended<'a>(&'a History);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        lock(&self.0.users).is_collecting = false;
        self.0.left.notify_all();
    }
}

impl Objects for History {
    fn has(&self, hash: &FileHash) -> Result<bool> {
        self.read(|connection| object::has(connection, hash))
    }

    fn copy_to(&self, hash: &FileHash, into: &mut dyn Write) -> Result<()> {
        object::copy(
            &|hash| self.read(|connection| object::load(connection, hash)),
            hash,
            into,
        )
    }
}

/// A state as a column holds it.
fn state(node: Option<&Node>) -> Option<Vec<u8>> {
    node.map(Node::encode)
}

/// Reads a column that holds a state.
fn node_at(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Node>> {
    let Some(bytes) = row.get_ref(column)?.as_blob_or_null()? else {
        return Ok(None);
    };
    Node::decode(bytes).map(Some).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Blob,
            Box::new(error),
        )
    })
}

#[cfg(test)]
mod tests;
