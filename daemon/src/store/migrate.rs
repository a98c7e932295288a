//! The schema's versions: going up, going down, and the copy that is kept before.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use rusqlite_migration::{HookResult, M, Migrations};
use skillmeat_shared::time::{Clock as _, SystemClock};
use skillmeat_shared::{Code, Error, Result};

use super::pages::Proven;
use super::{files, journal, sql_error, sql_hit};

/// The schema that this program writes.
pub const SCHEMA_VERSION: u32 = 4;

/// What each version brought, from 1.
pub const TITLES: [&str; SCHEMA_VERSION as usize] = [
    "collections, artifacts, the text indexes and the event log",
    "when each migration was applied, and by which program",
    "artifacts counted by the program, not by triggers",
    "the positions of artifacts",
];

fn before_commit(_: &rusqlite::Transaction<'_>) -> HookResult {
    Ok(sql_hit("migrate.before_commit")?)
}

/// In their order; the position is the version. Never change one that was released.
static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::new(vec![
        M::up(include_str!("migrations/0001_up.sql"))
            .down(include_str!("migrations/0001_down.sql")),
        M::up_with_hook(include_str!("migrations/0002_up.sql"), before_commit)
            .down(include_str!("migrations/0002_down.sql")),
        M::up_with_hook(include_str!("migrations/0003_up.sql"), before_commit)
            .down(include_str!("migrations/0003_down.sql")),
        M::up_with_hook(include_str!("migrations/0004_up.sql"), before_commit)
            .down(include_str!("migrations/0004_down.sql")),
    ])
});

/// When a version was reached, as far as the database knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Nanoseconds since the epoch.
    pub at: i64,
    /// The version of the program that did it.
    pub program: String,
}

/// The schema that a database has; 0 if it is empty.
pub fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a database to a version, step by step; each step is one transaction.
pub fn to_version(connection: &mut Connection, target: u32) -> Result<()> {
    let sql = |error: rusqlite::Error| sql_error(&error);
    let before = version(connection).map_err(sql)?;
    sql_hit("migrate.before").map_err(sql)?;
    MIGRATIONS
        .to_version(connection, target as usize)
        .map_err(|error| match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => sql_error(&err),
            other => Error::new(
                Code::CacheUnavailable,
                format!("can't bring the cache from schema {before} to {target}: {other}"),
            )
            .hint("`sm cache clear` builds the cache anew from your files"),
        })?;
    sql_hit("migrate.after").map_err(sql)?;
    record(connection, before, target).map_err(sql)
}

/// Brings the database in a file that nobody has open to a version, up or down, and closes it in order.
pub fn move_file(path: &Path, target: u32) -> Result<()> {
    let sql = |error: rusqlite::Error| sql_error(&error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let proof = files::proof(path, files::seal_state(path))?;
    if let Some(Proven::Damaged(why)) = proof.map(|proof| proof.run(&|| true)) {
        return Err(files::damaged(path, &why));
    }
    let mut connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    super::connection::configure(&connection).map_err(sql)?;
    // Failing, it is as after a kill: what was done stands in the log, and the sums fit the pages.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .and_then(|_| connection.pragma_update(None, "wal_autocheckpoint", 0))
        .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
        .map_err(sql)?;
    let there = version(&connection).map_err(sql)?;
    if there > SCHEMA_VERSION {
        return Err(super::backup::newer(there, path));
    }
    let was_empty = journal::is_empty(path);
    files::unseal(path)?;
    if let Err(error) = to_version(&mut connection, target) {
        if was_empty && journal::is_empty(path) {
            // What was begun only takes room, which the disk may lack.
            drop(super::checkpoint::empty_log(&connection));
        }
        return Err(error);
    }
    super::checkpoint::empty_log(&connection).map_err(sql)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(sql)?;
    drop(connection);
    // They are taken anew when it is opened.
    files::drop_sums(path)?;
    files::seal(path)
}

/// Notes which versions were reached just now. Version 1 had no place for that.
fn record(connection: &Connection, before: u32, target: u32) -> rusqlite::Result<()> {
    if target < 2 {
        return Ok(());
    }
    let at = SystemClock.now().nanos();
    let mut insert = connection.prepare("INSERT OR REPLACE INTO migration VALUES (?1, ?2, ?3)")?;
    for version in before + 1..=target {
        insert.execute(params![version, at, env!("CARGO_PKG_VERSION")])?;
    }
    connection
        .execute("DELETE FROM migration WHERE version > ?1", [target])
        .map(drop)
}

/// When a version was reached; `None` if nobody noted it.
pub fn applied(connection: &Connection, version: u32) -> rusqlite::Result<Option<Applied>> {
    if self::version(connection)? < 2 {
        return Ok(None);
    }
    connection
        .prepare_cached("SELECT at, program FROM migration WHERE version = ?1")?
        .query_row([version], |row| {
            Ok(Applied {
                at: row.get(0)?,
                program: row.get(1)?,
            })
        })
        .optional()
}

/// Where the copy lies that was made before a database went to `version`.
pub fn copy_before(path: &Path, version: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".pre-v{version}"));
    PathBuf::from(name)
}

/// The copies that were made before migrations, the newest schema first.
pub fn copies(path: &Path) -> Vec<PathBuf> {
    // Later programs may have left theirs.
    (1..=SCHEMA_VERSION + 100)
        .rev()
        .map(|version| copy_before(path, version))
        .filter(|copy| copy.is_file())
        .collect()
}

/// Keeps a copy of a database that is about to go up, for the program that knows no more than this, and
/// deletes older copies. Without room for it the migration goes on: files are the truth.
pub(super) fn keep_copy(connection: &Connection, path: &Path, before: u32) {
    let target = copy_before(path, before + 1);
    for old in copies(path) {
        if let Err(error) = std::fs::remove_file(&old) {
            tracing::debug!(target: "store", "can't delete `{}`: {error}", old.display());
        }
    }
    match super::backup::copy(connection, &target) {
        Ok(()) => {
            tracing::info!(target: "store", "the cache as it was lies at `{}`", target.display());
        }
        Err(error) => tracing::warn!(target: "store", "no copy before the migration: {error}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Everything that a database consists of.
    pub(in crate::store) fn objects(connection: &Connection) -> Vec<(String, Option<String>)> {
        connection
            .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap()
    }

    #[test]
    fn the_migrations_are_as_many_as_versions() {
        MIGRATIONS.validate().unwrap();
        let mut connection = Connection::open_in_memory().unwrap();
        MIGRATIONS.to_latest(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), SCHEMA_VERSION);
    }

    #[test]
    fn each_step_up_down_and_up_again_leaves_the_same_schema() {
        let mut connection = Connection::open_in_memory().unwrap();
        for version in 1..=SCHEMA_VERSION {
            let below = objects(&connection);
            to_version(&mut connection, version).unwrap();
            let there = objects(&connection);
            assert_ne!(below, there, "{version}");
            to_version(&mut connection, version - 1).unwrap();
            // SQLite's own table for AUTOINCREMENT stays once it was needed.
            let left: Vec<_> = objects(&connection)
                .into_iter()
                .filter(|(name, _)| name != "sqlite_sequence" || below.iter().any(|b| b.0 == *name))
                .collect();
            assert_eq!(left, below, "{version}");
            to_version(&mut connection, version).unwrap();
            assert_eq!(objects(&connection), there, "{version}");
        }
    }

    #[test]
    fn who_went_where_and_when_is_known_from_the_second_version_on() {
        let mut connection = Connection::open_in_memory().unwrap();
        to_version(&mut connection, 1).unwrap();
        assert_eq!(applied(&connection, 1).unwrap(), None);
        to_version(&mut connection, 2).unwrap();
        assert_eq!(applied(&connection, 1).unwrap(), None);
        let second = applied(&connection, 2).unwrap().unwrap();
        assert_eq!(second.program, env!("CARGO_PKG_VERSION"));
        assert!(second.at > 0);
        let mut fresh = Connection::open_in_memory().unwrap();
        to_version(&mut fresh, SCHEMA_VERSION).unwrap();
        for version in 1..=SCHEMA_VERSION {
            assert!(applied(&fresh, version).unwrap().is_some(), "{version}");
        }
    }
}
