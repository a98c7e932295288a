//! Copies of the whole database, checks of it, and taking a copy over.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use rustix::io::Errno;
use skillmeat_shared::fs::atomic::TEMP_PREFIX;
use skillmeat_shared::{Code, Error, Result};

use super::migrate::{self, SCHEMA_VERSION};
use super::{files, meta, sql_error};

/// Findings of a check that are told.
const MOST_FINDINGS: u32 = 20;

/// Empties what tells that rows are as their files, in any schema: whoever wrote to the copy may have left it. The rest
/// stays as it is, until files have been read.
const DOUBT: &str = "
    UPDATE artifact SET signature = zeroblob(16), newest = 0, scanned_at = 0,
                        entry_hash = zeroblob(16), row_hash = zeroblob(16);
    UPDATE collection SET row_hash = zeroblob(16),
                          manifest_seen = iif(manifest_seen IS NULL, NULL, zeroblob(32)),
                          lock_seen = iif(lock_seen IS NULL, NULL, zeroblob(32));
    DELETE FROM artifact_count;
    INSERT INTO artifact_count
    SELECT collection_id, kind, status, count(*), sum(size) FROM artifact GROUP BY 1, 2, 3;";

/// Opens a database of any schema that nobody need own, to look at it only.
pub fn open_to_look(path: &Path) -> Result<Connection> {
    if !path.is_file() {
        return Err(Error::new(
            Code::FileNotFound,
            format!("there is no database at `{}`", path.display()),
        )
        .at(path, None));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| sql_error(&error))?;
    super::connection::configure(&connection).map_err(|error| sql_error(&error))?;
    Ok(connection)
}

/// What is wrong with a database; nothing if it is sound. A thorough check compares indexes with rows, too, and
/// looks whether all texts are some.
pub fn check(connection: &Connection, thorough: bool) -> rusqlite::Result<Vec<String>> {
    let pragma = if thorough {
        "integrity_check"
    } else {
        "quick_check"
    };
    let mut found: Vec<String> = connection
        .prepare(&format!("PRAGMA {pragma}({MOST_FINDINGS})"))?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    found.retain(|line| line != "ok");
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if found.len() >= MOST_FINDINGS as usize {
            break;
        }
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        found.push(format!("a row of {table} stands for nothing in {parent}"));
    }
    if thorough && found.is_empty() {
        found.extend(no_texts(connection)?);
    }
    Ok(found)
}

/// The tables in which a text is no UTF-8, which SQLite does not look at.
fn no_texts(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow')")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut found = Vec::new();
    for table in tables {
        let quoted = table.replace('"', "\"\"");
        let mut statement = connection.prepare(&format!("SELECT * FROM \"{quoted}\""))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        'rows: while let Some(row) = rows.next()? {
            for column in 0..columns {
                let value = row.get_ref(column)?;
                if matches!(value, ValueRef::Text(text) if std::str::from_utf8(text).is_err()) {
                    found.push(format!("a text in {table} is not UTF-8"));
                    break 'rows;
                }
            }
        }
    }
    Ok(found)
}

/// Why a copy was not written. The database itself is only read: what fails of writing is its place.
fn not_written(error: &rusqlite::Error, target: &Path) -> Error {
    let of_reading = [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ];
    let extended = error.sqlite_error().map(|found| found.extended_code);
    let errno = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Errno::NOSPC,
        Some(ErrorCode::ReadOnly) => Errno::ROFS,
        Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure)
            if extended.is_none_or(|code| !of_reading.contains(&code)) =>
        {
            Errno::IO
        }
        _ => return sql_error(error).at(target, None),
    };
    Error::io("write", target, &errno.into())
}

/// Makes the file of a copy. The system tells better than SQLite what is in its way, and SQLite takes an empty one.
fn make(temporary: &Path) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true).mode(0o600);
    options.open(temporary).map(drop)
}

/// Writes a copy of the database as it is at this moment, whole or not at all, for the user only. What
/// stands at `target` is replaced.
///
/// # Errors
/// Those of its place name `target`.
#[expect(
    clippy::disallowed_methods,
    reason = "flushed before and after: this is the durable rename"
)]
pub fn copy(connection: &Connection, target: &Path) -> Result<()> {
    let folder = target.parent().unwrap_or_else(|| Path::new("/"));
    let temporary = folder.join(format!("{TEMP_PREFIX}{}-copy", std::process::id()));
    let write = |temporary: &Path| -> Result<()> {
        let text = temporary.to_str().ok_or_else(|| {
            Error::new(
                Code::InvalidArgument,
                format!("`{}` is not UTF-8", target.display()),
            )
        })?;
        let io = |error: &std::io::Error| Error::io("write", target, error);
        make(temporary).map_err(|error| io(&error))?;
        super::sql_hit("backup.before_copy")
            .and_then(|()| connection.execute("VACUUM INTO ?1", [text]))
            .map_err(|error| not_written(&error, target))?;
        let copied = open_to_look(temporary)?;
        if migrate::version(&copied).map_err(|error| sql_error(&error))? == 0 {
            return Err(files::damaged(target, "the database holds nothing"));
        }
        drop(copied);
        let file = std::fs::File::open(temporary).map_err(|error| io(&error))?;
        restrict(&file).map_err(|error| io(&error))?;
        file.sync_all().map_err(|error| io(&error))?;
        skillmeat_shared::failpoint::hit("backup.before_rename")
            .and_then(|()| std::fs::rename(temporary, target))
            .map_err(|error| io(&error))?;
        let folder = std::fs::File::open(folder).map_err(|error| io(&error))?;
        folder.sync_all().map_err(|error| io(&error))
    };
    // Of a copy that was cut short before.
    files::discard(&temporary);
    let written = write(&temporary);
    if written.is_err() {
        // On a full disk SQLite leaves its journal there, too.
        files::discard(&temporary);
    }
    written
}

fn restrict(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

/// Checks that a file is a sound database of a schema that this program knows, and gives the schema.
///
/// # Errors
/// [`Code::InvalidArgument`] if it is no database of ours, damaged or newer.
pub fn check_file(path: &Path) -> Result<u32> {
    let connection = open_to_look(path)?;
    let unfit = |why: &str| {
        Error::new(
            Code::InvalidArgument,
            format!("`{}` can't be taken over: {why}", path.display()),
        )
        .hint("name a file that `sm db backup` wrote")
        .at(path, None)
    };
    let failed = |error: rusqlite::Error| unfit(&error.to_string());
    let version = migrate::version(&connection).map_err(failed)?;
    if version > SCHEMA_VERSION {
        let mut error = unfit(&newer_words("it", version));
        error.hints = vec!["restore it with the newer skillmeatd, or name another copy".to_owned()];
        return Err(error);
    }
    let is_ours: bool = connection
        .query_row(
            "SELECT count(*) = 2 FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'artifact')",
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if version == 0 || !is_ours {
        return Err(unfit("it is no cache of SkillMeat"));
    }
    let found = check(&connection, true).map_err(failed)?;
    match found.first() {
        None => Ok(version),
        Some(first) => Err(unfit(first)),
    }
}

/// A database beside another one, in whose place it is to come; deleted if it does not.
#[derive(Debug)]
pub struct Fresh(PathBuf);

impl Drop for Fresh {
    fn drop(&mut self) {
        // It is not there once it has come to its place.
        files::discard(&self.0);
    }
}

impl Fresh {
    /// Comes to its place. What stood there is put aside; where.
    pub fn take_place(&self, path: &Path) -> Result<PathBuf> {
        let aside = files::put_aside(path)?;
        match place(&self.0, path) {
            Ok(()) => Ok(aside),
            Err(error) => {
                files::put_back(&aside, path)?;
                Err(error)
            }
        }
    }
}

/// Puts a copy of the database in `file` to `path`: see [`prepare`]. What stood there is put aside.
pub fn take_over(file: &Path, path: &Path) -> Result<()> {
    prepare(file, path)?.take_place(path).map(drop)
}

/// Copies the database in `file`, which must have been checked, for the place of the one at `path`, under a name that
/// no database had. Its rows are to be served, but not believed: all are read anew.
pub fn prepare(file: &Path, path: &Path) -> Result<Fresh> {
    let source = open_to_look(file)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let fresh = Fresh(folder.join(format!("{TEMP_PREFIX}{}-taken", std::process::id())));
    // Its place is the cache's for whoever asked.
    copy(&source, &fresh.0).map_err(|error| error.at(path, None))?;
    drop(source);
    let doubt = |mut copied: Connection| {
        let transaction = copied.transaction()?;
        meta::rename_instance(&transaction)?;
        transaction.execute_batch(DOUBT)?;
        transaction.commit()
    };
    let doubted = Connection::open(&fresh.0).and_then(doubt);
    doubted.map_err(|error| sql_error(&error))?;
    Ok(fresh)
}

#[expect(
    clippy::disallowed_methods,
    reason = "flushed by `copy`; a database that is lost is built anew"
)]
fn place(fresh: &Path, path: &Path) -> Result<()> {
    std::fs::rename(fresh, path).map_err(|error| Error::io("write", path, &error))
}

fn newer_words(what: &str, version: u32) -> String {
    let program = env!("CARGO_PKG_VERSION");
    format!(
        "{what} has schema {version}, this skillmeatd {program} knows {SCHEMA_VERSION}: a newer version wrote it"
    )
}

/// The error for a cache that a newer program wrote.
pub(super) fn newer(version: u32, path: &Path) -> Error {
    Error::new(
        Code::CacheNewerSchema,
        newer_words("the cache", version),
    )
    .at(path, None)
    .hint("start the newer skillmeatd")
    .hint(format!(
        "or run `sm db downgrade {SCHEMA_VERSION}` (or `sm cache clear`), which loses nothing: all of it is made from your files"
    ))
}

/// The first copy made before a migration that this program can open.
pub fn usable_copy(path: &Path, newest: u32) -> Option<(PathBuf, u32)> {
    migrate::copies(path).into_iter().find_map(|copy| {
        let version = check_file(&copy).ok()?;
        (version <= newest).then_some((copy, version))
    })
}
