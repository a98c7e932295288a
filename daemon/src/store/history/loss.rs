//! A history that is gone, or that lacks what it held: noticed, and noted outside of it.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};
use skillmeat_shared::history::file;
use skillmeat_shared::paths::ensure_private_dir;
use skillmeat_shared::time::{Clock as _, SystemClock};
use skillmeat_shared::{Result, fs};

use super::super::files;

/// The first line of the note.
const ABOUT: &str = "SkillMeat notes here that `history.db` was begun, and what of it was lost. This file may be deleted.";

/// Losses that are noted.
const MOST: usize = 20;

/// Bytes of the longest note.
const LONGEST: u64 = 64 * 1024;

/// How much a history holds. Fewer without a change of ours means that something was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    operation: i64,
    object: i64,
    snapshots: i64,
}

impl Kept {
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        connection
            .prepare_cached(
                "SELECT (SELECT max(seq) FROM sqlite_sequence WHERE name = 'operation'),
                    (SELECT max(id) FROM object), (SELECT count(*) FROM snapshot)",
            )?
            .query_row([], |row| {
                Ok(Self {
                    operation: row.get::<_, Option<i64>>(0)?.unwrap_or(0),
                    object: row.get::<_, Option<i64>>(1)?.unwrap_or(0),
                    snapshots: row.get(2)?,
                })
            })
    }
}

/// Whether an error means that the files are not as they were left, or can't be read: they are closed and opened again.
pub(super) fn is_of_the_file(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            true
        }
        // Something else has its place.
        _ => error.to_string().contains("no such table"),
    }
}

/// Notes that there is no history any more where one was; whether it is so.
pub(super) fn note_gone(path: &Path) -> bool {
    let is_gone = file::is_gone(path)
        && files::log_bytes(path) == 0
        && file::note_of(path).symlink_metadata().is_ok();
    if is_gone {
        note(
            path,
            "`history.db` was gone, and a new one was begun: no earlier change can be undone",
        );
    }
    is_gone
}

/// Compares a history that was opened again with what it held before, and notes what it lacks.
pub(super) fn compare(path: &Path, before: &Kept, now: &Kept) {
    if now.operation < before.operation {
        let (first, last) = (now.operation + 1, before.operation);
        note(
            path,
            &format!(
                "a part of `history.db` was deleted or cut off while it was in use: the changes {first} to {last} are not in it any more"
            ),
        );
    } else if now.object < before.object || now.snapshots < before.snapshots {
        note(
            path,
            "a part of `history.db` was deleted or cut off while it was in use: snapshots or states that it held are gone",
        );
    }
}

/// Notes that there is a history, so that it is missed.
pub(super) fn remember(path: &Path) {
    if file::note_of(path).symlink_metadata().is_err()
        && let Err(error) = write(path, &[ABOUT])
    {
        tracing::debug!(target: "history", "can't note that there is one: {error}");
    }
}

fn note(path: &Path, what: &str) {
    tracing::warn!(target: "history", "{what}");
    let before = fs::read_bounded(&file::note_of(path), LONGEST).unwrap_or_default();
    let before = String::from_utf8_lossy(&before);
    let line = format!("{what} ({})", SystemClock.now().to_rfc3339());
    let mut lines: Vec<&str> = before.lines().skip(1).collect();
    lines.drain(..lines.len().saturating_sub(MOST - 1));
    lines.insert(0, ABOUT);
    lines.push(&line);
    if let Err(error) = write(path, &lines) {
        tracing::warn!(target: "history", "can't note what was lost: {error}");
    }
}

fn write(path: &Path, lines: &[&str]) -> Result<()> {
    let note = file::note_of(path);
    if let Some(folder) = note.parent() {
        ensure_private_dir(folder)?;
    }
    fs::write(&note, (lines.join("\n") + "\n").as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;
    use skillmeat_shared::Code;

    use super::super::History;
    use super::*;

    fn begun(folder: &Path) -> History {
        let history = History::new(&folder.join("history.db"), true);
        add(&history, 1).unwrap();
        history
    }

    fn add(history: &History, id: u8) -> Result<usize> {
        let object = "INSERT INTO object (hash, packing, size, data) VALUES (?1, 0, 0, x'')";
        history.write(|transaction| transaction.execute(object, [vec![id; 32]]))
    }

    fn count(history: &History) -> Result<u32> {
        let count = "SELECT count(*) FROM object";
        history.read(|connection| connection.query_row(count, [], |row| row.get(0)))
    }

    fn cut(file: &Path, to: u64) {
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_len(to).unwrap();
    }

    #[test]
    fn an_error_of_the_disk_is_told_and_nothing_is_put_aside_or_lost() {
        let folder = tempfile::tempdir().unwrap();
        let history = begun(folder.path());
        let error = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        for code in [
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_FULL,
        ] {
            let failed: Result<()> = history.write(|_| Err(error(code)));
            let expected = if code == ffi::SQLITE_FULL {
                Code::DiskFull
            } else {
                Code::HistoryUnavailable
            };
            assert_eq!(failed.unwrap_err().code, expected);
            let failed: Result<()> = history.read(|_| Err(error(code)));
            assert_eq!(failed.unwrap_err().code, expected);
            assert_eq!(count(&history).unwrap(), 1);
        }
        assert_eq!(history.times_given_up(), 6);
        assert_eq!(history.put_aside(), Vec::<std::path::PathBuf>::new());
        assert_eq!(history.lost(), None);
        assert_eq!(history.trouble(), None);
    }

    #[test]
    fn who_finds_that_it_is_no_database_is_told_what_becomes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let history = begun(folder.path());
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOTADB), None);
        let failed: Result<()> = history.write(|_| Err(error));
        let hints = failed.unwrap_err().hints;
        assert!(hints[0].contains("put aside"), "{hints:?}");
    }

    #[test]
    fn a_history_of_a_read_only_home_is_refused_as_other_files_are() {
        let folder = tempfile::tempdir().unwrap();
        begun(folder.path()).rest();
        let history = History::new(&folder.path().join("history.db"), true).read_only(true);
        let error = add(&history, 2).unwrap_err();
        assert_eq!(error.code, Code::FilePermission);
        assert_eq!(count(&history).unwrap(), 1);
    }

    #[test]
    fn a_log_that_is_cut_in_use_costs_what_stood_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let history = begun(folder.path());
        history.rest();
        add(&history, 2).unwrap();
        let log = files::files_of(history.path())[1].clone();
        let whole = std::fs::metadata(&log).unwrap().len();
        add(&history, 3).unwrap();
        assert_eq!(count(&history).unwrap(), 3);
        cut(&log, whole);
        assert_eq!(count(&history).unwrap(), 2);
        assert!(history.lost().unwrap().contains("cut off"));
        add(&history, 4).unwrap();
        cut(&log, 0);
        add(&history, 5).unwrap();
        assert_eq!(count(&history).unwrap(), 2);
        assert_eq!(history.put_aside(), Vec::<std::path::PathBuf>::new());
    }

    #[test]
    fn a_log_that_others_moved_into_the_database_is_no_loss() {
        let folder = tempfile::tempdir().unwrap();
        let history = begun(folder.path());
        assert_eq!(count(&history).unwrap(), 1);
        let other = Connection::open(history.path()).unwrap();
        super::super::super::checkpoint::empty_log(&other).unwrap();
        assert_eq!(files::log_bytes(history.path()), 0);
        add(&history, 2).unwrap();
        assert_eq!(count(&history).unwrap(), 2);
        assert_eq!(history.lost(), None);
    }

    #[test]
    fn who_still_reads_a_log_that_is_cut_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let history = begun(folder.path());
        let log = files::files_of(history.path())[1].clone();
        let reader = history.reader().unwrap();
        cut(&log, 0);
        let error = add(&history, 2).unwrap_err();
        assert_eq!(error.code, Code::HistoryUnavailable);
        history.give_back(reader);
        add(&history, 2).unwrap();
        assert_eq!(count(&history).unwrap(), 1);
        assert!(history.lost().is_some());
    }

    #[test]
    fn losses_are_noted_one_below_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        for number in 0..MOST + 5 {
            note(&path, &format!("loss {number}."));
        }
        let text = std::fs::read_to_string(file::note_of(&path)).unwrap();
        assert_eq!(text.lines().count(), MOST + 1);
        assert_eq!(text.lines().next(), Some(ABOUT));
        fs::write(&path, b"x", 0o600).unwrap();
        let last = file::lost(&path, true).unwrap();
        assert!(last.starts_with(&format!("loss {}.", MOST + 4)), "{last}");
    }
}
