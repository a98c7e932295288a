//! Opening the history: pragmas, migrations, and what to do with a file that is no database.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations};
use skillmeat_shared::history::file::{self, SCHEMA_VERSION};
use skillmeat_shared::time::{Clock as _, SystemClock};
use skillmeat_shared::{Code, Error, Result};

use super::super::connection::{BUSY_TIMEOUT, JOURNAL_LIMIT, configure};
use super::super::{files, migrate};
use super::sql_error;

/// Bytes of a page of a new database.
const PAGE: u32 = 16 * 1024;

/// Kibibytes of pages that a connection keeps.
const CACHE: i32 = -8192;

/// In their order; the position is the version. Never change one that was released.
static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::new(vec![
        M::up(include_str!("migrations/0001_up.sql"))
            .down(include_str!("migrations/0001_down.sql")),
        M::up(include_str!("migrations/0002_up.sql"))
            .down(include_str!("migrations/0002_down.sql")),
    ])
});

/// A connection that only reads.
pub(super) use super::super::connection::open_reader as reader;

/// A connection that only reads, of a file that can't be written. Where SQLite can't make its own files beside it, the
/// file is read as one that nobody changes; without a file there is nothing to read.
pub(super) fn reader_of_read_only(path: &Path) -> Result<Connection> {
    let failed = |error: rusqlite::Error| sql_error(&error).at(path, None);
    if let Some(error) = file::misplaced(path) {
        return Err(error);
    }
    if files::size_of(path) == 0 {
        let mut empty = Connection::open_in_memory().map_err(failed)?;
        MIGRATIONS.to_latest(&mut empty).map_err(|error| {
            Error::new(
                Code::HistoryUnavailable,
                format!("can't make an empty history: {error}"),
            )
        })?;
        return Ok(empty);
    }
    let probe = |connection: &Connection| -> rusqlite::Result<(u32, bool)> {
        let version = migrate::version(connection)?;
        Ok((version, is_ours(connection, version)?))
    };
    let plain = super::super::connection::open_reader(path);
    let plain = plain.and_then(|connection| Ok((probe(&connection)?, connection)));
    let ((version, is_ours), connection) = match plain {
        // The one is said of a disk, the other of a folder that forbids it.
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
            ) && files::log_bytes(path) == 0 =>
        {
            let connection = immutable(path).map_err(failed)?;
            (probe(&connection).map_err(failed)?, connection)
        }
        plain => plain.map_err(failed)?,
    };
    if version > SCHEMA_VERSION {
        return Err(file::newer(path, version));
    }
    if !is_ours {
        return Err(file::foreign(path));
    }
    if version < SCHEMA_VERSION {
        let message = format!(
            "the history has schema {version}, and can't be brought to {SCHEMA_VERSION} where it can't be written"
        );
        return Err(Error::new(Code::HistoryUnavailable, message)
            .hint("make the home writable once, then `sm status`")
            .at(path, None));
    }
    Ok(connection)
}

/// A connection to a file as it is, without locks and without a log.
fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' => name.push(char::from(*byte)),
            _ if byte.is_ascii_alphanumeric() => name.push(char::from(*byte)),
            _ => {
                let encoded = format!("%{byte:02x}");
                name.push_str(&encoded);
            }
        }
    }
    name.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(name, flags)?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// The one connection that writes. The file is made if there is none. One that is no database, or damaged, is
/// put aside and never deleted: what can still be read of it is worth something.
pub(super) fn writer(path: &Path, is_local: bool) -> Result<Connection> {
    match try_open(path, is_local) {
        Err(error) if error.code == Code::HistoryDamaged => {
            let aside = put_aside(path)?;
            tracing::error!(
                target: "history",
                "{}; it lies at `{}` and a new one is begun",
                error.message,
                aside.display()
            );
            try_open(path, is_local)
        }
        other => other,
    }
}

/// Whether a database is a history, or empty and may become one.
fn is_ours(connection: &Connection, version: u32) -> rusqlite::Result<bool> {
    let count = |tables: &str| {
        let query = format!("SELECT count(*) FROM sqlite_schema {tables}");
        connection.query_row(&query, [], |row| row.get::<_, u32>(0))
    };
    if version == 0 {
        return Ok(count("")? == 0);
    }
    Ok(count("WHERE type = 'table' AND name IN ('object', 'operation', 'snapshot')")? == 3)
}

fn try_open(path: &Path, is_local: bool) -> Result<Connection> {
    let failed = |error: rusqlite::Error| sql_error(&error).at(path, None);
    if let Some(error) = file::misplaced(path) {
        return Err(error);
    }
    if file::is_gone(path) && files::log_bytes(path) > 0 {
        // SQLite would take it for a new one and delete the log.
        let message = format!("`{}` was emptied beside its log", path.display());
        return Err(Error::new(Code::HistoryDamaged, message).at(path, None));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    let version = migrate::version(&connection).map_err(failed)?;
    if version > SCHEMA_VERSION {
        return Err(file::newer(path, version));
    }
    if !is_ours(&connection, version).map_err(failed)? {
        return Err(file::foreign(path));
    }
    let prepare = |connection: &Connection| -> rusqlite::Result<()> {
        if version == 0 {
            connection.pragma_update(None, "page_size", PAGE)?;
            // What is collected goes back to the disk.
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        let journal = if is_local { "WAL" } else { "TRUNCATE" };
        connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
        connection.pragma_update_and_check(
            None,
            "journal_size_limit",
            JOURNAL_LIMIT,
            |_| Ok(()),
        )?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "cache_size", CACHE)?;
        connection.busy_timeout(BUSY_TIMEOUT)
    };
    prepare(&connection).map_err(failed)?;
    if version < SCHEMA_VERSION {
        MIGRATIONS
            .to_latest(&mut connection)
            .map_err(|error| match error {
                rusqlite_migration::Error::RusqliteError { err, .. } => failed(err),
                other => Error::new(
                    Code::HistoryUnavailable,
                    format!("can't bring the history to schema {SCHEMA_VERSION}: {other}"),
                ),
            })?;
    }
    files::restrict(path)?;
    Ok(connection)
}

/// Moves the files away, to names with `.corrupt-` and the time in them.
#[expect(
    clippy::disallowed_methods,
    reason = "moved as they are: nothing of them is ours to flush"
)]
fn put_aside(path: &Path) -> Result<PathBuf> {
    let aside = file::name_aside(path, SystemClock.now().nanos());
    let targets = files::files_of(&aside);
    for (file, target) in files::files_of(path).iter().zip(&targets) {
        match std::fs::rename(file, target) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("put aside", file, &error));
            }
            _ => {}
        }
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrate::tests::objects;
    use file::aside;

    #[test]
    fn the_migrations_are_as_many_as_versions() {
        MIGRATIONS.validate().unwrap();
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        assert_eq!(migrate::version(&connection).unwrap(), SCHEMA_VERSION);
        MIGRATIONS.to_version(&mut connection, 0).unwrap();
        let left: u32 = connection
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(left, 0);
    }

    /// A history as a version of the schema left it. `SKILLMEAT_STORE_DATABASES=1 cargo test -p skillmeatd stored` writes
    /// those anew that are not there; one that is there belongs to a version that was in use, and stays.
    fn stored(version: u32) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/databases/history-v{version}.db"))
    }

    #[test]
    fn stored_ones_of_every_version_are_as_made_and_are_brought_up() {
        for version in 1..=SCHEMA_VERSION {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("history.db");
            let mut made = Connection::open(&path).unwrap();
            MIGRATIONS.to_version(&mut made, version as usize).unwrap();
            made.execute_batch(
                "INSERT INTO object VALUES (1, zeroblob(32), 0, 1, x'61');
                 INSERT INTO operation VALUES (1, 5, 6, 'cli', 'artifact.rate', 'rate', 'done', NULL, '');
                 INSERT INTO operation_path VALUES (1, 'default', 'skills/a', NULL, x'01');",
            )
            .unwrap();
            let as_made = objects(&made);
            made.close().unwrap();
            if std::env::var_os("SKILLMEAT_STORE_DATABASES").is_some() && !stored(version).exists()
            {
                std::fs::copy(&path, stored(version)).unwrap();
            }
            std::fs::copy(stored(version), &path).unwrap();
            let kept = Connection::open(&path).unwrap();
            assert_eq!(migrate::version(&kept).unwrap(), version);
            assert_eq!(objects(&kept), as_made, "migration {version} was changed");
            kept.close().unwrap();

            let up = writer(&path, true).unwrap();
            assert_eq!(migrate::version(&up).unwrap(), SCHEMA_VERSION);
            assert_eq!(aside(&path), Vec::<PathBuf>::new());
            let rows: (Vec<u8>, String, Vec<u8>) = up
                .query_row(
                    "SELECT o.data, p.verb, t.after FROM object o, operation p JOIN operation_path t ON t.operation = p.id",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .unwrap();
            assert_eq!(rows, (b"a".to_vec(), "artifact.rate".to_owned(), vec![1]));
            let mut fresh = Connection::open_in_memory().unwrap();
            MIGRATIONS.to_latest(&mut fresh).unwrap();
            assert_eq!(objects(&up), objects(&fresh));
        }
    }

    #[test]
    fn what_is_no_database_is_put_aside_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        skillmeat_shared::fs::write(&path, &b"no database ".repeat(500), 0o600).unwrap();
        assert_eq!(aside(&path), Vec::<PathBuf>::new());
        drop(writer(&path, true).unwrap());
        let found = aside(&path);
        assert_eq!(found.len(), 1);
        assert!(
            std::fs::read(&found[0])
                .unwrap()
                .starts_with(b"no database")
        );
        // And for good: the next start finds a sound one.
        drop(writer(&path, true).unwrap());
        assert_eq!(aside(&path).len(), 1);
    }

    #[test]
    fn one_of_others_is_put_aside_whole() {
        for version in 0..=SCHEMA_VERSION {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("history.db");
            let theirs = Connection::open(&path).unwrap();
            theirs.execute_batch("CREATE TABLE t (x)").unwrap();
            theirs.pragma_update(None, "user_version", version).unwrap();
            drop(theirs);
            let bytes = std::fs::read(&path).unwrap();
            let error = reader_of_read_only(&path).unwrap_err();
            assert_eq!(error.code, Code::HistoryDamaged);
            let told = file::trouble(&path).unwrap();
            assert_eq!((told.code, told.message), (error.code, error.message));
            drop(writer(&path, true).unwrap());
            assert_eq!(std::fs::read(&aside(&path)[0]).unwrap(), bytes);
            assert_eq!(file::trouble(&path), None);
        }
    }

    #[test]
    fn one_that_can_not_be_written_is_read_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a %3f?b#c.db");
        let count = |connection: &Connection| {
            let rows = "SELECT count(*) FROM object";
            connection.query_row(rows, [], |row| row.get::<_, u32>(0))
        };
        assert_eq!(count(&reader_of_read_only(&path).unwrap()), Ok(0));
        assert!(!path.exists());
        let object =
            "INSERT INTO object (hash, packing, size, data) VALUES (zeroblob(32), 0, 0, '')";
        let connection = writer(&path, true).unwrap();
        connection
            .execute_batch(&object.replace("''", "x''"))
            .unwrap();
        assert_eq!(count(&reader_of_read_only(&path).unwrap()), Ok(1));
        drop(connection);
        let read = immutable(&path).unwrap();
        assert_eq!(count(&read), Ok(1));
        assert!(read.execute_batch("DELETE FROM object").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_newer_one_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        let connection = writer(&path, true).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let error = writer(&path, true).unwrap_err();
        assert_eq!(error.code, Code::HistoryNewerSchema);
        assert_eq!(aside(&path), Vec::<PathBuf>::new());
    }
}
