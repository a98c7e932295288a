//! The cache: one SQLite file, derived from files, that may be deleted at any moment.
//!
//! Invariants: one writer thread owns the only writing connection and runs closures, each in one
//! transaction; readers are read-only and never wait for the writer; all SQL of the daemon stands in
//! this room, one file per table family; only [`artifact`] and [`collection`] write rows that are
//! derived from files, and only reconciling calls them.

pub mod artifact;
pub mod collection;
pub mod connection;
mod difference;
pub mod event;
pub mod evict;
mod index;
pub mod list;
pub mod meta;
pub mod readers;
pub mod search;
pub mod show;
pub mod terms;
pub mod text;
pub mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, Transaction, ffi};
use skillmeat_shared::failpoint;
use skillmeat_shared::paths::ensure_private_dir;
use skillmeat_shared::{Code, Error, Result};

use readers::Readers;
use writer::Writer;

/// Translates an error of SQLite into one that a person can act on.
pub fn sql_error(error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let code = error.sqlite_error_code();
    let mut result = Error::new(Code::CacheUnavailable, format!("the cache failed: {error}"));
    match code {
        Some(ErrorCode::DiskFull) => {
            result = result.hint("make room on the disk that holds the home");
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            result =
                result.hint("`sm cache clear` drops the cache and builds it anew from your files");
        }
        _ => {
            result =
                result.hint("`sm daemon logs` tells more; `sm cache clear` builds the cache anew");
        }
    }
    result
}

/// Passes a failpoint where SQLite works: a full disk and a broken one look as SQLite reports them.
fn sql_hit(name: &'static str) -> rusqlite::Result<()> {
    failpoint::hit(name).map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::StorageFull {
            ffi::SQLITE_FULL
        } else {
            ffi::SQLITE_IOERR
        };
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(error.to_string()))
    })
}

/// One open database: its writer, its readers, and who it is.
#[derive(Debug)]
struct Database {
    writer: Writer,
    readers: Readers,
    /// Device and inode of the file, to notice that somebody deleted it.
    identity: (u64, u64),
    instance: String,
}

/// How the database came to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It was there.
    Existing,
    /// It was made: rows must be built from files.
    Created,
    /// It was damaged and put aside; rows must be built from files.
    Replaced,
}

/// The cache of one home. Cheap to share; all calls block.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    is_local: bool,
    database: RwLock<Arc<Database>>,
    rows_written: AtomicU64,
    /// The newest event of the databases before this one.
    last_event: AtomicU64,
}

impl Store {
    /// Opens or makes the database at `path`, migrates it, and puts a damaged one aside. On a disk that is
    /// not local it does without a write-ahead log.
    pub fn open(path: &Path, is_local: bool) -> Result<(Self, Opened)> {
        let (database, opened) = Database::open(path, is_local)?;
        let store = Self {
            path: path.to_owned(),
            is_local,
            database: RwLock::new(Arc::new(database)),
            rows_written: AtomicU64::new(0),
            last_event: AtomicU64::new(0),
        };
        Ok((store, opened))
    }

    /// Where the database lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A name that is new for every database file: rows of different ones can't be compared.
    pub fn instance(&self) -> String {
        self.database().instance.clone()
    }

    fn database(&self) -> Arc<Database> {
        Arc::clone(&self.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `work` in one transaction on the writer thread and waits for its result.
    pub fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.database().writer.run(work)
    }

    /// As [`Store::write`], for long work: it can ask whether others wait, and should then come to its end.
    pub fn write_politely<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>, &dyn Fn() -> bool) -> rusqlite::Result<T> + Send + 'static,
    {
        self.database().writer.run_politely(work)
    }

    /// Runs `work` on a read-only connection.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.database().readers.run(work)
    }

    /// Whether the file was deleted or replaced behind our back.
    pub fn is_gone(&self) -> bool {
        connection::identity(&self.path) != Some(self.database().identity)
    }

    /// Drops the database, whatever state it is in, and makes an empty one. Its events go on with higher
    /// numbers, with a gap that tells who asks for an older one that something was lost.
    pub fn rebuild(&self) -> Result<()> {
        let mut slot = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Unreadable, it has nothing to go on from.
        if let Ok((_, last)) = slot.writer.run(|transaction| event::bounds(transaction)) {
            self.last_event.fetch_max(last, Ordering::Relaxed);
        }
        // The old connections must be closed first: a closing writer may still touch the files' names.
        slot.writer.stop();
        connection::remove_files(&self.path)?;
        if let Some(folder) = self.path.parent() {
            ensure_private_dir(folder)?;
        }
        let (database, _) = Database::open(&self.path, self.is_local)?;
        let last = self.last_event.load(Ordering::Relaxed);
        if last > 0 {
            database
                .writer
                .run(move |transaction| event::begin_after(transaction, last))?;
        }
        *slot = Arc::new(database);
        Ok(())
    }

    /// Bytes of the database with its write-ahead log.
    pub fn size_bytes(&self) -> u64 {
        connection::files_of(&self.path)
            .iter()
            .filter_map(|file| std::fs::metadata(file).ok())
            .map(|meta| meta.len())
            .sum()
    }

    /// Moves the write-ahead log into the database and marks the end as clean. Called once, at the end.
    pub fn close(&self) {
        let database = self.database();
        database.writer.close();
    }

    /// Rows that reconciling wrote since the store was opened.
    pub fn rows_written(&self) -> u64 {
        self.rows_written.load(Ordering::Relaxed)
    }

    /// Runs maintenance on the writer thread outside of a transaction.
    pub fn maintain<F>(&self, work: F) -> Result<()>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    {
        self.database()
            .writer
            .run_outside(|connection| work(connection))
    }

    /// Moves the write-ahead log into the database.
    pub fn checkpoint(&self) -> Result<()> {
        self.maintain(evict::checkpoint)
    }
}

impl Database {
    fn open(path: &Path, is_local: bool) -> Result<(Self, Opened)> {
        let (connection, opened) = connection::open_writer(path, is_local)?;
        let instance = meta::instance(&connection).map_err(|error| sql_error(&error))?;
        let identity = connection::identity(path).ok_or_else(|| {
            Error::new(
                Code::CacheUnavailable,
                format!("`{}` vanished", path.display()),
            )
        })?;
        Ok((
            Self {
                writer: Writer::start(connection)?,
                readers: Readers::new(path),
                identity,
                instance,
            },
            opened,
        ))
    }
}
