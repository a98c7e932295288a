//! When the log is moved into the database, and the sums of the pages that change by that.
//!
//! SQLite would move it by itself, but not tell us; and it could not begin it anew while readers overlap without end,
//! so that it would grow for ever.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::connection::{BUSY_TIMEOUT, JOURNAL_LIMIT};
use super::files;
use super::journal::Follower;
use super::pages::{Proven, Sums};

/// Frames in the log at which it is to be moved, once nobody writes.
const FRAMES: u64 = 1000;

/// Frames in the log at which it is moved while others still write: 256 MB of pages of the usual size. To move it
/// waits for the disk twice, and what is written in a row, such as a first index, should wait for that once.
const MOST: u64 = 16 * 1024;

/// Frames after which it is tried again while readers keep the log from beginning anew.
const AGAIN: u64 = 250;

/// How long the writer waits for readers when it shortens the log.
const READERS_PATIENCE: Duration = Duration::from_millis(100);

/// Moves the log into the database, without the sums, and empties it. Outside of a transaction only.
pub(super) fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Moves the log into the database; whether all of it was.
fn run(connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
    let pragma = format!("PRAGMA wal_checkpoint({mode})");
    connection.query_row(&pragma, [], |row| {
        let (is_busy, frames, moved): (bool, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(!is_busy && frames == moved)
    })
}

/// Belongs to the writer.
#[derive(Debug)]
pub(super) struct Checkpoints {
    path: PathBuf,
    /// Which file stood there when it was opened.
    identity: Option<(u64, u64)>,
    /// None: the database has no log.
    kept: Option<Kept>,
    /// Nothing is moved while it is not known that the database is as it was written.
    unproven: Arc<AtomicBool>,
    /// Frames at which the log is to be moved next.
    due: u64,
    /// Bytes beyond which the log is shortened.
    limit: u64,
}

#[derive(Debug)]
struct Kept {
    sums: Sums,
    log: Follower,
}

impl Checkpoints {
    pub(super) fn new(path: &Path, sums: Option<Sums>, unproven: Arc<AtomicBool>) -> Self {
        let log = Follower::new(path);
        Self {
            path: path.to_owned(),
            identity: files::identity(path),
            kept: sums.map(|sums| Kept { sums, log }),
            unproven,
            due: FRAMES,
            limit: JOURNAL_LIMIT.into(),
        }
    }

    /// To be called after each closure, whatever it did. Whether [`Checkpoints::settle`] should follow as soon as
    /// nobody writes.
    pub(super) fn after_write(&mut self, connection: &Connection) -> bool {
        let Some(kept) = &mut self.kept else {
            return false;
        };
        if let Err(error) = kept.log.advance() {
            tracing::warn!(target: "store", "can't follow the log of writes: {error}");
        }
        if self.unproven.load(Ordering::Acquire) {
            return false;
        }
        let frames = kept.log.frames();
        if frames + FRAMES < self.due {
            // It has begun anew.
            self.due = FRAMES;
        }
        let is_due = frames >= self.due || self.is_too_long();
        if is_due && frames >= MOST.max(self.due) {
            self.settle(connection);
            return false;
        }
        is_due
    }

    /// Moves the log, and shortens it if it has grown too long.
    pub(super) fn settle(&mut self, connection: &Connection) {
        let frames = self.kept.as_ref().map_or(0, |kept| kept.log.frames());
        if frames >= self.due {
            self.due = frames + AGAIN;
            if let Err(error) = self.advance(connection, "PASSIVE") {
                tracing::warn!(target: "store", "can't move the log of writes: {error}");
            }
        }
        if self.is_too_long() {
            self.shorten(connection);
        }
    }

    fn is_too_long(&self) -> bool {
        files::log_bytes(&self.path) > self.limit
    }

    /// Whether the database was moved away with its folder: the connection would write its pages where it is now, while
    /// sums and seal went to where it was. Or it was emptied: what the log lacks would be missing.
    fn is_moved(&self) -> bool {
        files::identity(&self.path) != self.identity || files::is_cut_short(&self.path)
    }

    /// Moves the log and takes the sums of what changed; whether all of it was moved.
    fn advance(&mut self, connection: &Connection, mode: &str) -> rusqlite::Result<bool> {
        if self.is_moved() {
            return Ok(false);
        }
        let Some(kept) = &mut self.kept else {
            return Ok(true);
        };
        if let Err(error) = kept.log.advance() {
            tracing::warn!(target: "store", "can't follow the log of writes: {error}");
        }
        let is_whole = run(connection, mode)?;
        if is_whole && !kept.log.pages().is_empty() {
            // Failing to, the old ones stay, and the database is built anew after a kill.
            match kept.sums.update(&self.path, kept.log.pages()) {
                Ok(()) => kept.log.forget(),
                Err(error) => tracing::warn!(target: "store", "{error}"),
            }
            if let Err(error) = kept.sums.save(&self.path) {
                tracing::warn!(target: "store", "can't keep the sums of pages: {error}");
            }
        }
        Ok(is_whole)
    }

    /// Compares all pages of the database with their sums; what is wrong. Nobody else changes it meanwhile.
    pub(super) fn compare(&mut self) -> Option<String> {
        let kept = self.kept.as_mut()?;
        if let Err(error) = kept.log.advance() {
            tracing::warn!(target: "store", "can't follow the log of writes: {error}");
        }
        match kept.sums.compare(&self.path, kept.log.pages()) {
            Proven::Damaged(why) => Some(why),
            Proven::Sound(_) | Proven::Stopped => None,
        }
    }

    /// Moves the log into the database and empties it.
    pub(super) fn empty(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.unproven.load(Ordering::Acquire) {
            return Ok(());
        }
        // The sums must be on disk before the log is gone.
        if self.advance(connection, "FULL")? {
            empty_log(connection)?;
            self.due = FRAMES;
        }
        Ok(())
    }

    /// Moves the log for the last time; whether all of it was, into a database that is as it was written.
    pub(super) fn close(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        if self.unproven.load(Ordering::Acquire) || self.is_moved() {
            return Ok(false);
        }
        self.empty(connection)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Ok(true)
    }

    /// Waits a moment for the readers and empties the log.
    fn shorten(&mut self, connection: &Connection) {
        let emptied = connection
            .busy_timeout(READERS_PATIENCE)
            .and_then(|()| self.empty(connection));
        let restored = connection.busy_timeout(BUSY_TIMEOUT);
        if let Err(error) = emptied.and(restored) {
            tracing::warn!(target: "store", "can't shorten the log of writes: {error}");
        }
        let left = files::log_bytes(&self.path);
        self.limit = u64::from(JOURNAL_LIMIT);
        if left > self.limit {
            // Some reader holds on. Not at every write: each try waits.
            self.limit = left.saturating_add(self.limit / 4);
            tracing::debug!(target: "store", bytes = left, "a long read keeps the log of writes");
        }
    }
}
