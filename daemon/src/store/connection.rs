//! Opening the database: pragmas, checks after an unclean end, migrations, putting damage aside.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};
use skillmeat_shared::{Code, Error, Result};

use super::{Opened, meta, sql_error};

/// Migrations in their order; the position is the schema's version. Never change one that was released.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("migrations/0001_up.sql")).down(include_str!("migrations/0001_down.sql"))
];

/// The schema that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Bytes of the write-ahead log that stay on disk once it was moved into the database.
const JOURNAL_LIMIT: i64 = 32 * 1024 * 1024;

/// How long a connection waits for a lock of another one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database file and the files that SQLite keeps beside it.
pub fn files_of(path: &Path) -> [PathBuf; 3] {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    [path.to_owned(), beside("-wal"), beside("-shm")]
}

/// Device and inode of a file; `None` if there is none.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path)
        .ok()
        .map(|meta| (meta.dev(), meta.ino()))
}

/// Deletes the database's files; those that are not there are no error.
pub fn remove_files(path: &Path) -> Result<()> {
    for file in files_of(path) {
        match std::fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("delete", &file, &error)),
        }
    }
    Ok(())
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "mmap_size", 256 * 1024 * 1024)?;
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
    Ok(connection)
}

enum Failure {
    /// The file is no sound database: it can be put aside and built anew.
    Damaged(String),
    Error(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Error(sql_error(&error)),
        }
    }
}

fn try_open(path: &Path, is_local: bool) -> Result<(Connection, bool), Failure> {
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    configure(&connection)?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > SCHEMA_VERSION {
        return Err(Failure::Error(
            Error::new(
                Code::CacheNewerSchema,
                format!(
                    "the cache has schema {version}, this skillmeatd knows {SCHEMA_VERSION}: a newer version wrote it"
                ),
            )
            .at(path, None)
            .hint("start the newer skillmeatd, or run `sm cache clear` to build the cache anew"),
        ));
    }
    // The log needs memory shared between processes, which network disks lack.
    let journal = if is_local { "WAL" } else { "TRUNCATE" };
    connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", JOURNAL_LIMIT, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    if version > 0 && !meta::ended_cleanly(&connection)? {
        let verdict: String =
            connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Failure::Damaged(verdict));
        }
    }
    super::sql_hit("migrate.before")?;
    Migrations::from_slice(MIGRATIONS)
        .to_latest(&mut connection)
        .map_err(|error| match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => err.into(),
            other => Failure::Error(Error::new(
                Code::CacheUnavailable,
                format!("can't bring the cache to schema {SCHEMA_VERSION}: {other}"),
            )),
        })?;
    super::sql_hit("migrate.after")?;
    meta::mark_running(&connection)?;
    Ok((connection, version == 0))
}

/// Opens the one writing connection. A damaged file is put aside under a name with `.corrupt-` and the
/// time in it, and an empty database is made in its place.
pub fn open_writer(path: &Path, is_local: bool) -> Result<(Connection, Opened)> {
    match try_open(path, is_local) {
        Ok((connection, created)) => {
            restrict(path)?;
            Ok((
                connection,
                if created {
                    Opened::Created
                } else {
                    Opened::Existing
                },
            ))
        }
        Err(Failure::Error(error)) => Err(error),
        Err(Failure::Damaged(why)) => {
            let aside = put_aside(path)?;
            tracing::error!(
                target: "store",
                "the cache was damaged ({why}); it lies at {} and is built anew",
                aside.display()
            );
            match try_open(path, is_local) {
                Ok((connection, _)) => {
                    restrict(path)?;
                    Ok((connection, Opened::Replaced))
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

/// Only the user may read the database.
fn restrict(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    for file in files_of(path) {
        match std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("restrict", &file, &error)),
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "damaged, re-creatable files: nothing to make durable"
)]
fn put_aside(path: &Path) -> Result<PathBuf> {
    use skillmeat_shared::time::{Clock as _, SystemClock};
    let stamp = SystemClock.now().nanos();
    let mut aside = path.to_owned();
    for (file, suffix) in files_of(path).iter().zip(["", "-wal", "-shm"]) {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".corrupt-{stamp}{suffix}"));
        let target = PathBuf::from(name);
        match std::fs::rename(file, &target) {
            Ok(()) if suffix.is_empty() => aside = target,
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("put aside", file, &error)),
        }
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_valid_and_go_down() {
        assert_eq!(MIGRATIONS.len(), SCHEMA_VERSION as usize);
        let migrations = Migrations::from_slice(MIGRATIONS);
        let mut connection = Connection::open_in_memory().unwrap();
        migrations.to_latest(&mut connection).unwrap();
        migrations.to_version(&mut connection, 0).unwrap();
        let left: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        assert_eq!(left, Vec::<String>::new());
        migrations.to_latest(&mut connection).unwrap();
    }

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
        let (_, opened) = open_writer(&path, true).unwrap();
        assert_eq!(opened, Opened::Replaced);
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
        let (connection, _) = open_writer(&path, false).unwrap();
        let journal: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(journal, "truncate");
        assert!(!path.with_extension("db-wal").exists());
    }

    #[test]
    fn a_newer_schema_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        drop(open_writer(&path, true).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let error = open_writer(&path, true).unwrap_err();
        assert_eq!(error.code, Code::CacheNewerSchema);
        let connection = Connection::open(&path).unwrap();
        let version: u32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, 99);
    }
}
