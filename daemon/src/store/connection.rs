//! Opening the database: pragmas, checks unless it is as we left it, migrations, putting damage aside.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use skillmeat_shared::{Code, Error, Result};

use super::files::{self, Seal};
use super::migrate::{self, SCHEMA_VERSION};
use super::pages::{Proof, Saved, Sums};
use super::{Opened, backup, is_damage, sql_error};

/// Bytes of the write-ahead log that stay on disk once it was moved into the database.
pub(super) const JOURNAL_LIMIT: u32 = 32 * 1024 * 1024;

/// Bytes of a page of a new database.
const PAGE: u32 = 16 * 1024;

/// How long a connection waits for a lock of another one.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "trusted_schema", false)?;
    // Otherwise some statements are compiled anew each time that values are bound to them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Never mapped into memory: a file that is cut short under us would end the process, not the read.
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(())
}

/// A read-only connection.
pub fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    // The first read opens the log and takes in the schema, which stays in memory: better now than among what comes
    // and goes under load.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

enum Failure {
    /// The file is no sound database: it can be put aside and built anew.
    Damaged(String),
    Error(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            Self::Damaged(error.to_string())
        } else {
            Self::Error(sql_error(&error))
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if error.code == Code::CacheDamaged {
            Self::Damaged(error.message)
        } else {
            Self::Error(error)
        }
    }
}

/// Whoever changes the index of texts does not merge it as well, which may take longer than the change: see
/// [`evict::merge_step`](super::evict::merge_step).
fn merge_later(connection: &Connection) -> rusqlite::Result<()> {
    let is_set = "SELECT 1 FROM text_index_config WHERE k = 'automerge' AND v = 0";
    if connection.prepare(is_set)?.exists([])? {
        return Ok(());
    }
    connection.execute_batch("INSERT INTO text_index (text_index, rank) VALUES ('automerge', 0)")
}

/// The sums of a database that was just opened, before anything is moved into it.
fn take_sums(path: &Path, version: u32, is_local: bool) -> Result<Option<Sums>> {
    if !is_local {
        return files::drop_sums(path).map(|()| None);
    }
    if version == 0 {
        return Ok(Some(Sums::empty(PAGE)));
    }
    if let Saved::Sums(sums) = Sums::read(path) {
        return Ok(Some(sums));
    }
    // Of an older program, or of a copy that was taken over: it was checked as well as it can be.
    let sums = Sums::take(path)?;
    sums.save(path)?;
    Ok(Some(sums))
}

/// The writing connection, and what it found.
#[derive(Debug)]
pub struct Writing {
    pub(super) connection: Connection,
    pub(super) opened: Opened,
    /// The sums of the pages; none on disks that are not local.
    pub(super) sums: Option<Sums>,
    /// What must be compared yet.
    pub(super) proof: Option<Proof>,
}

fn try_open(path: &Path, is_local: bool) -> Result<Writing, Failure> {
    if let Some(why) = files::misplaced(path) {
        return Err(Failure::Damaged(why));
    }
    if let Some(folder) = path.parent() {
        skillmeat_shared::fs::sweep(folder);
    }
    if files::is_deleted(path) {
        // It may be deleted at any time: what lay beside it counts no longer.
        files::remove_files(path)?;
    }
    let seal = files::seal_state(path);
    let proof = files::proof(path, seal)?;
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&connection)?;
    let version = migrate::version(&connection)?;
    if version > SCHEMA_VERSION {
        return Err(Failure::Error(backup::newer(version, path)));
    }
    if seal == Seal::Broken {
        return Err(Failure::Damaged("another program wrote to it".to_owned()));
    }
    if version > 0 && seal == Seal::Missing && !is_local {
        // Pages are written in place there, and nothing tells what became of them.
        return Err(Failure::Damaged(
            "it was not closed in order on a network disk".to_owned(),
        ));
    }
    files::unseal(path)?;
    if version == 0 {
        if is_local {
            Sums::empty(PAGE).save(path)?;
        }
        // Texts fill whole pages: a quarter of the writes of the usual size, and of the calls for them.
        connection.pragma_update(None, "page_size", PAGE)?;
    }
    // The log needs memory shared between processes, which network disks lack. SQLite could do without it if
    // one connection locked the file for good (`locking_mode=EXCLUSIVE`), but that shuts out our own readers.
    let journal = if is_local { "WAL" } else { "TRUNCATE" };
    connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", JOURNAL_LIMIT, |_| Ok(()))?;
    // The writer does it: see `checkpoint`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_local)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    if version > 0 && seal == Seal::Missing {
        if let Some(found) = backup::check(&connection, false)?.into_iter().next() {
            return Err(Failure::Damaged(found));
        }
        tracing::info!(target: "store", "the cache was not closed in order; it was checked and is sound");
    }
    let sums = take_sums(path, version, is_local)?;
    if version < SCHEMA_VERSION {
        if version > 0 {
            migrate::keep_copy(&connection, path, version);
        }
        migrate::to_version(&mut connection, SCHEMA_VERSION)?;
    }
    merge_later(&connection)?;
    let opened = if version == 0 {
        Opened::Created
    } else {
        Opened::Existing
    };
    Ok(Writing {
        connection,
        opened,
        sums: sums.filter(|_| is_local),
        proof,
    })
}

/// Opens the one writing connection. A damaged file is put aside under a name with `.corrupt-` and the
/// time in it, and an empty database is made in its place.
pub fn open_writer(path: &Path, is_local: bool) -> Result<Writing> {
    match try_open(path, is_local) {
        Ok(writing) => {
            files::restrict(path)?;
            Ok(writing)
        }
        Err(Failure::Error(error)) => Err(error),
        Err(Failure::Damaged(why)) => {
            let aside = files::put_aside(path)?;
            tracing::error!(
                target: "store",
                "the cache was damaged ({why}); it lies at {} and is built anew",
                aside.display()
            );
            match try_open(path, is_local) {
                Ok(mut writing) => {
                    files::restrict(path)?;
                    writing.opened = Opened::Replaced(why);
                    Ok(writing)
                }
                Err(Failure::Error(error)) => Err(error),
                Err(Failure::Damaged(why)) => Err(Error::new(
                    Code::CacheUnavailable,
                    format!("can't make a cache at `{}`: {why}", path.display()),
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        std::fs::File::create(&path).unwrap();
        std::io::Write::write_all(
            &mut std::fs::File::create(&path).unwrap(),
            &b"this is no database ".repeat(500),
        )
        .unwrap();
        let opened = open_writer(&path, true).unwrap().opened;
        assert!(matches!(opened, Opened::Replaced(_)), "{opened:?}");
        let kept = std::fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .contains(".corrupt-")
            })
            .count();
        assert_eq!(kept, 1);
    }

    #[test]
    fn without_shared_memory_there_is_no_write_ahead_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let journal = |connection: &Connection, pragma: &str| -> String {
            connection
                .pragma_query_value(None, pragma, |row| row.get(0))
                .unwrap()
        };
        // It may also come from a local disk, and go back to one.
        for is_local in [false, true, false] {
            let mut writer = open_writer(&path, is_local).unwrap().connection;
            let wanted = if is_local { "wal" } else { "truncate" };
            assert_eq!(journal(&writer, "journal_mode"), wanted);
            assert_eq!(journal(&writer, "locking_mode"), "normal");
            let reader = open_reader(&path).unwrap();
            let count = || {
                let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'later'";
                reader.query_row(tables, [], |row| row.get(0))
            };
            // Others read while it writes, and see what was before.
            let writing = writer.transaction().unwrap();
            writing.execute_batch("CREATE TABLE later (a)").unwrap();
            assert_eq!(count(), Ok(0), "{is_local}");
            writing.rollback().unwrap();
            drop(reader);
            assert_eq!(path.with_extension("db-wal").exists(), is_local);
        }
    }

    #[test]
    fn each_connection_keeps_its_own_pages() {
        // See `.cargo/config.toml`: in a cache that all of them share nothing stays that is read once it is full.
        let connection = Connection::open_in_memory().unwrap();
        let is_shared: bool = connection
            .query_row(
                "SELECT sqlite_compileoption_used('ENABLE_MEMORY_MANAGEMENT')",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert!(!is_shared);
    }

    #[test]
    fn a_newer_schema_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        drop(open_writer(&path, true).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        // A newer program keeps its own.
        files::drop_sums(&path).unwrap();
        let error = open_writer(&path, true).unwrap_err();
        assert_eq!(error.code, Code::CacheNewerSchema);
        let connection = Connection::open(&path).unwrap();
        let version: u32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, 99);
    }
}
