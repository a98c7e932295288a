//! The cache: one SQLite file, derived from files, that may be deleted at any moment.
//!
//! Invariants: one writer thread owns the only writing connection and runs closures, each in one
//! transaction; readers are read-only and never wait for the writer; all SQL of the daemon stands in
//! this room, one file per table family; only [`artifact`] and [`collection`] write rows that are
//! derived from files, and only reconciling calls them.

pub mod artifact;
pub mod backup;
mod checkpoint;
pub mod collection;
pub mod connection;
mod count;
mod difference;
pub mod event;
pub mod evict;
pub mod files;
pub mod history;
mod index;
mod journal;
pub mod list;
pub mod meta;
pub mod migrate;
mod pages;
mod proof;
pub mod readers;
mod rows;
pub mod search;
pub mod show;
pub mod terms;
pub mod text;
mod usage;
pub mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, ffi};
use skillmeat_shared::failpoint;
use skillmeat_shared::paths::ensure_private_dir;
use skillmeat_shared::time::{Clock as _, SystemClock};
use skillmeat_shared::{Code, Error, Result};

use backup::Fresh;
use checkpoint::Checkpoints;
use readers::Readers;
use usage::Usage;
use writer::Writer;

/// What becomes of a damaged cache.
pub const ANEW: &str = "it is put aside and built anew from your files: try again in a moment";

/// Translates an error of SQLite into one that a person can act on.
pub fn sql_error(error: &rusqlite::Error) -> Error {
    let mut result = Error::new(Code::CacheUnavailable, format!("the cache failed: {error}"));
    if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        result.code = Code::DiskFull;
        result.hint("make room on the disk that holds the cache")
    } else if is_damage(error) {
        result.code = Code::CacheDamaged;
        result.hint(ANEW)
    } else if is_held(error) {
        result.message = format!("another program holds the cache: {error}");
        result.hint("end what has its file open, then try again: `sm db current` names the file, `fuser FILE` who has it open")
    } else {
        result.hint("`sm daemon logs` tells more; `sm cache clear` builds the cache anew")
    }
}

/// Whether an error tells of a lock of somebody else. Ours do not get in each other's way.
fn is_held(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Whether an error tells that the database is damaged: SQLite says so, or a row holds what we never write.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as Sql;
    match error {
        Sql::FromSqlConversionFailure(..)
        | Sql::IntegralValueOutOfRange(..)
        | Sql::InvalidColumnType(..)
        | Sql::Utf8Error(..) => true,
        _ => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        ),
    }
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
    proof: proof::Keeper,
    /// Device and inode of the file, to notice that somebody deleted it.
    identity: (u64, u64),
    instance: String,
}

/// How the database came to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It was there.
    Existing,
    /// It was made: rows must be built from files.
    Created,
    /// It was damaged, in this way, and put aside; rows must be built from files.
    Replaced(String),
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
    /// Something in the database turned out to be damaged.
    damaged: AtomicBool,
    /// In words, if it is known better than by SQLite.
    damage: Mutex<Option<String>>,
    /// The last write found no room on the disk.
    full: AtomicBool,
    /// Why the database could not be opened again after its files were changed.
    closed: Mutex<Option<Error>>,
    /// Called when one of these two turns out to be so.
    trouble: OnceLock<Alarm>,
    usage: Usage,
}

struct Alarm(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Alarm")
    }
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
            damaged: AtomicBool::new(false),
            damage: Mutex::default(),
            full: AtomicBool::new(false),
            closed: Mutex::default(),
            trouble: OnceLock::new(),
            usage: Usage::default(),
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
        self.usage.note();
        self.noticed(self.database().writer.run(work))
    }

    /// As [`Store::write`], for long work: it can ask whether others wait, and should then come to its end.
    pub fn write_politely<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>, &dyn Fn() -> bool) -> rusqlite::Result<T> + Send + 'static,
    {
        self.usage.note();
        self.noticed(self.database().writer.run_politely(work))
    }

    /// Runs `work` on a read-only connection.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.usage.note();
        self.noticed(self.database().readers.run(work))
    }

    /// Has all that `work` reads on this thread be of one moment, which takes a single snapshot.
    pub fn at_once<T>(&self, work: impl FnOnce() -> T) -> T {
        self.database().readers.hold(work)
    }

    /// Remembers what an error tells of the database as a whole.
    fn noticed<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            let known = match error.code {
                Code::CacheDamaged => self.damaged.swap(true, Ordering::Relaxed),
                Code::DiskFull => self.full.swap(true, Ordering::Relaxed),
                _ => true,
            };
            if !known && let Some(alarm) = self.trouble.get() {
                alarm.0();
            }
        }
        result
    }

    /// Takes what to call when the database turns out to be damaged, or its disk to be full. It is called by
    /// whoever noticed, and must return at once. Only the first one counts.
    pub fn on_trouble(&self, alarm: impl Fn() + Send + Sync + 'static) {
        drop(self.trouble.set(Alarm(Box::new(alarm))));
    }

    /// There is room on the disk again: a small write says nothing of that, where a large one failed.
    pub fn found_room(&self) {
        self.full.store(false, Ordering::Relaxed);
    }

    /// Whether the file was deleted, replaced or emptied behind our back.
    pub fn is_gone(&self) -> bool {
        files::identity(&self.path) != Some(self.database().identity)
            || files::is_cut_short(&self.path)
    }

    /// Whether something in the database turned out to be damaged.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Whether the last write found no room on the disk.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Drops the database, whatever state it is in, and makes an empty one; a damaged one is put aside. Its
    /// events go on with higher numbers, with a gap that tells who asks for an older one that something was
    /// lost.
    pub fn rebuild(&self) -> Result<()> {
        let cut = || files::is_cut_short(&self.path).then(|| "its file was cut short".to_owned());
        let misplaced = files::misplaced(&self.path).or_else(cut);
        let damaged = self.is_damaged() || misplaced.is_some();
        self.replace(|path| {
            if damaged {
                let aside = files::put_aside(path)?;
                let what = misplaced.as_deref().unwrap_or("the cache is damaged");
                tracing::error!(target: "store", "{what}; it lies at {}", aside.display());
            } else {
                files::remove_files(path)?;
            }
            Ok(None)
        })?;
        if damaged {
            let why = self
                .damage
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let note = replaced_note(
                why.as_deref()
                    .or(misplaced.as_deref())
                    .unwrap_or("it was damaged while it was in use"),
            );
            self.write(move |transaction| meta::set(transaction, meta::REPLACED, &note))?;
        }
        Ok(())
    }

    /// Takes over a database instead of the own one. It has a name of its own: its rows and events are not
    /// those that anybody saw last. What stood there goes once it is open, if nothing is known to be wrong with it.
    pub fn restore(&self, fresh: &Fresh) -> Result<()> {
        let sound = !self.is_damaged() && !self.is_gone() && files::misplaced(&self.path).is_none();
        let mut before = None;
        self.replace(|path| {
            let aside = fresh.take_place(path)?;
            Ok(before.insert(aside).clone().into())
        })?;
        if let Some(before) = before.filter(|_| sound) {
            files::discard(&before);
        }
        Ok(())
    }

    /// Opens what stands at the path now, after [`Store::close_file`].
    pub fn reopen(&self) -> Result<()> {
        self.replace(|_| Ok(None))
    }

    /// Why no database is open any more, although the store was not closed.
    pub fn why_closed(&self) -> Option<Error> {
        self.closed().clone()
    }

    fn closed(&self) -> MutexGuard<'_, Option<Error>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the database, has its files changed, and opens what stands there then. The change may tell where it
    /// put the old files: they come back if the new ones can't be opened. Failing, what stood there serves on.
    fn replace(&self, change: impl FnOnce(&Path) -> Result<Option<PathBuf>>) -> Result<()> {
        let mut slot = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Unreadable, it has nothing to go on from.
        if let Ok((_, last)) = slot.writer.run(|transaction| event::bounds(transaction)) {
            self.last_event.fetch_max(last, Ordering::Relaxed);
        }
        // The old connections must be closed first: a closing writer may still touch the files' names.
        slot.proof.stop();
        slot.readers.close();
        slot.writer.stop();
        let (opened, failed) = match change(&self.path) {
            Err(error) => (self.open_again(), Some(error)),
            Ok(before) => match (self.open_again(), before) {
                (Err(error), Some(before)) => {
                    let back = files::put_back(&before, &self.path);
                    (back.and_then(|()| self.open_again()), Some(error))
                }
                (opened, _) => (opened, None),
            },
        };
        match opened {
            Ok(database) => {
                *slot = Arc::new(database);
                *self.closed() = None;
                if failed.is_none() {
                    self.damaged.store(false, Ordering::Relaxed);
                }
                failed.map_or(Ok(()), Err)
            }
            Err(error) => {
                *self.closed() = Some(error.clone());
                Err(failed.unwrap_or(error))
            }
        }
    }

    /// Opens what stands at the path. Its events go on after those of the databases before it.
    fn open_again(&self) -> Result<Database> {
        if let Some(folder) = self.path.parent() {
            ensure_private_dir(folder)?;
        }
        let (database, _) = Database::open(&self.path, self.is_local)?;
        let last = self.last_event.load(Ordering::Relaxed);
        if last > 0 {
            let begin = move |transaction: &Transaction<'_>| event::begin_after(transaction, last);
            database.writer.run(begin)?;
        }
        Ok(database)
    }

    /// Bytes of the database with its write-ahead log.
    pub fn size_bytes(&self) -> u64 {
        files::size_of(&self.path)
    }

    /// Waits until rows have been read or written, and then not for so long. False once the store is closed. As long
    /// as they are, `meanwhile` is called each time that so long has passed.
    pub fn until_quiet(&self, quiet: Duration, meanwhile: &dyn Fn()) -> bool {
        self.usage.until_quiet(quiet, meanwhile)
    }

    /// Moves the write-ahead log into the database and notes that it was closed in order. What is asked of
    /// it afterwards fails.
    pub fn close(&self) {
        self.usage.stop();
        self.close_file();
    }

    /// As [`Store::close`], for a while: it can be opened again.
    pub fn close_file(&self) {
        let database = self.database();
        database.proof.stop();
        database.readers.close();
        let whole = database.writer.close();
        let sealed = failpoint::step("shutdown.before_seal").and_then(|()| {
            if whole && !self.is_damaged() && !self.is_gone() {
                files::seal(&self.path)
            } else {
                Ok(())
            }
        });
        if let Err(error) = sealed {
            tracing::warn!(target: "store", "the next start will check the cache: {error}");
        }
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
        let done = self
            .database()
            .writer
            .run_outside(|connection| work(connection));
        self.noticed(done)
    }

    /// Gives back the memory of the connections.
    pub fn shrink(&self) -> Result<()> {
        self.database().readers.shrink();
        self.maintain(|connection| connection.execute_batch("PRAGMA shrink_memory"))
    }

    /// Moves the write-ahead log into the database.
    pub fn checkpoint(&self) -> Result<()> {
        // Nothing is moved before.
        self.prove();
        let done = self.database().writer.empty_log();
        self.noticed(done)
    }

    /// Gives free pages back to the file system.
    pub fn compact(&self) -> Result<()> {
        self.maintain(evict::compact)?;
        self.checkpoint()
    }
}

fn replaced_note(why: &str) -> String {
    format!("{} {why}", SystemClock.now().nanos())
}

impl Database {
    fn open(path: &Path, is_local: bool) -> Result<(Self, Opened)> {
        let connection::Writing {
            connection,
            opened,
            sums,
            proof,
        } = connection::open_writer(path, is_local)?;
        if let Opened::Replaced(why) = &opened {
            meta::set(&connection, meta::REPLACED, &replaced_note(why))
                .map_err(|error| sql_error(&error))?;
        }
        let instance = meta::instance(&connection).map_err(|error| sql_error(&error))?;
        let identity = files::identity(path).ok_or_else(|| {
            Error::new(
                Code::CacheUnavailable,
                format!("`{}` vanished", path.display()),
            )
        })?;
        let proof = proof::Keeper::new(proof);
        let checkpoints = Checkpoints::new(path, sums, proof.unproven());
        Ok((
            Self {
                writer: Writer::start(connection, checkpoints)?,
                proof,
                readers: Readers::open(path),
                identity,
                instance,
            },
            opened,
        ))
    }
}
