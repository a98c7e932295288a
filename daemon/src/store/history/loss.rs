//! A history that is gone, or that lacks what it held: noticed, and noted outside of it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, params};
use skillmeat_shared::history::file;
use skillmeat_shared::paths::ensure_private_dir;
use skillmeat_shared::time::{Clock as _, SystemClock};
use skillmeat_shared::{Result, fs};

use super::super::files;

/// How the first line of the note begins. What the history held last follows, in as many bytes whatever it is.
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

    /// The smaller one of each.
    pub(super) fn at_most(&self, other: &Self) -> Self {
        Self {
            operation: self.operation.min(other.operation),
            object: self.object.min(other.object),
            snapshots: self.snapshots.min(other.snapshots),
        }
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
        let numbers = marked(path).map(|before| Kept {
            object: 0,
            snapshots: 0,
            ..before
        });
        note(
            path,
            "`history.db` was gone, and a new one was begun: no earlier change can be undone",
            numbers.as_ref(),
        );
    }
    is_gone
}

/// Compares a history that was opened with what it held before, and notes what it lacks.
pub(super) fn compare(path: &Path, before: &Kept, now: &Kept) {
    let held = Kept {
        operation: before.operation.max(now.operation),
        ..*now
    };
    let why =
        "a part of `history.db` was deleted or cut off, or an older copy was put in its place";
    if now.operation < before.operation {
        let (first, last) = (now.operation + 1, before.operation);
        let what = match last - now.operation {
            1 => format!("1 operation ({last}) is not in it any more"),
            many => format!("{many} operations ({first} to {last}) are not in it any more"),
        };
        note(path, &format!("{why}: {what}"), Some(&held));
    } else if now.operation == before.operation && now.at_most(before) != *before {
        // A program that notes no numbers has written to one with more operations.
        let what = "snapshots or states that it held are gone";
        note(path, &format!("{why}: {what}"), Some(&held));
    }
}

/// Gives the next operation a number that none had before, if some were lost.
pub(super) fn go_on(connection: &Connection, before: &Kept) -> rusqlite::Result<Kept> {
    let now = Kept::of(connection)?;
    if now.operation >= before.operation {
        return Ok(now);
    }
    // There is no row as long as there was no operation.
    connection.execute(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'operation', 0
         WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'operation')",
        [],
    )?;
    connection.execute(
        "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'operation'",
        params![before.operation],
    )?;
    Kept::of(connection)
}

/// What the history held when it was written last, as noted.
pub(super) fn marked(path: &Path) -> Option<Kept> {
    let note = fs::read_bounded(&file::note_of(path), LONGEST).ok()?;
    let line = note.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix(ABOUT)?;
    let mut numbers = line
        .split(|letter: char| !letter.is_ascii_digit())
        .filter(|number| !number.is_empty())
        .map(str::parse);
    Some(Kept {
        operation: numbers.next()?.ok()?,
        object: numbers.next()?.ok()?,
        snapshots: numbers.next()?.ok()?,
    })
}

fn first_line(kept: Option<&Kept>) -> String {
    let Some(kept) = kept else {
        return ABOUT.to_owned();
    };
    format!(
        "{ABOUT} It went up to operation {:<19} and object {:<19} and had {:<19} snapshots.",
        kept.operation, kept.object, kept.snapshots
    )
}

/// Notes that there is a history, so that it is missed, and what it holds, so that a part of it is. What was committed
/// is on the disk by then, and this follows when it will, so it may say less, and never more. Who is about to have it
/// hold less (`is_first`) has that noted on the disk before.
pub(super) fn remember(path: &Path, kept: Option<&Kept>, is_first: bool) {
    let is_noted = match kept {
        Some(kept) => overwrite(path, kept, is_first).unwrap_or(false),
        None => file::note_of(path).symlink_metadata().is_ok(),
    };
    if !is_noted && let Err(error) = write_with(path, &[], kept) {
        tracing::debug!(target: "history", "can't note that there is one: {error}");
    }
}

/// Puts the numbers in the place of those that are noted: that costs no more than a few bytes in memory. False if it has
/// no place for them.
fn overwrite(path: &Path, kept: &Kept, is_flushed: bool) -> std::io::Result<bool> {
    let line = first_line(Some(kept)) + "\n";
    let note = File::options()
        .read(true)
        .write(true)
        .open(file::note_of(path))?;
    let mut there = vec![0; line.len()];
    note.read_exact_at(&mut there, 0)?;
    if there == line.as_bytes() {
        return Ok(true);
    }
    let end = there.iter().position(|byte| *byte == b'\n');
    if !there.starts_with(ABOUT.as_bytes()) || end != Some(line.len() - 1) {
        return Ok(false);
    }
    note.write_all_at(line.as_bytes(), 0)?;
    if is_flushed {
        note.sync_data()?;
    }
    Ok(true)
}

fn note(path: &Path, what: &str, kept: Option<&Kept>) {
    tracing::warn!(target: "history", "{what}");
    let line = format!("{what} ({})", SystemClock.now().to_rfc3339());
    if let Err(error) = write_with(path, &[&line], kept) {
        tracing::warn!(target: "history", "can't note what was lost: {error}");
    }
}

/// Writes the note with what it says, more lines, and what the history holds.
fn write_with(path: &Path, more: &[&str], kept: Option<&Kept>) -> Result<()> {
    let before = fs::read_bounded(&file::note_of(path), LONGEST).unwrap_or_default();
    let before = String::from_utf8_lossy(&before);
    let first = first_line(kept);
    let mut lines: Vec<&str> = before.lines().skip(1).chain(more.iter().copied()).collect();
    lines.drain(..lines.len().saturating_sub(MOST));
    lines.insert(0, &first);
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
            note(&path, &format!("loss {number}."), None);
        }
        let text = std::fs::read_to_string(file::note_of(&path)).unwrap();
        assert_eq!(text.lines().count(), MOST + 1);
        assert_eq!(text.lines().next(), Some(ABOUT));
        fs::write(&path, b"x", 0o600).unwrap();
        let last = file::lost(&path, true).unwrap();
        assert!(last.starts_with(&format!("loss {}.", MOST + 4)), "{last}");
    }

    /// The history as a process left it that was killed, without what stood in its log alone.
    fn without_log(history: &History) -> (tempfile::TempDir, History) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        std::fs::copy(history.path(), &path).unwrap();
        let note = std::fs::read(file::note_of(history.path())).unwrap();
        ensure_private_dir(&folder.path().join("state")).unwrap();
        fs::write(&file::note_of(&path), &note, 0o600).unwrap();
        let history = History::new(&path, true);
        (folder, history)
    }

    fn operate(history: &History) -> i64 {
        let operation = "INSERT INTO operation (at, actor, verb, what, state, detail)
             VALUES (1, '', '', '', 'done', '')";
        history
            .write(|transaction| {
                transaction.execute(operation, [])?;
                Ok(transaction.last_insert_rowid())
            })
            .unwrap()
    }

    #[test]
    fn what_stood_in_a_log_that_is_gone_is_missed_and_its_numbers_are_not_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let history = begun(folder.path());
        operate(&history);
        history.rest();
        for _ in 0..3 {
            operate(&history);
        }
        let (_other, cut) = without_log(&history);
        assert_eq!(operate(&cut), 5);
        let lost = cut.lost().unwrap();
        assert!(lost.contains("3 operations (2 to 4)"), "{lost}");
        // It is told once.
        cut.rest();
        assert_eq!(operate(&cut), 6);
        let note = std::fs::read_to_string(file::note_of(cut.path())).unwrap();
        assert_eq!(note.lines().count(), 2, "{note}");
    }

    #[test]
    fn objects_of_a_log_that_is_gone_are_missed() {
        let folder = tempfile::tempdir().unwrap();
        let history = begun(folder.path());
        history.rest();
        add(&history, 2).unwrap();
        let (_other, cut) = without_log(&history);
        assert_eq!(count(&cut).unwrap(), 1);
        assert!(cut.lost().unwrap().contains("states that it held"));
    }

    #[test]
    fn what_we_deleted_is_not_missed_wherever_the_process_ended() {
        let folder = tempfile::tempdir().unwrap();
        let history = begun(folder.path());
        add(&history, 2).unwrap();
        let delete = |transaction: &rusqlite::Transaction<'_>| {
            transaction.execute("DELETE FROM object WHERE hash = ?1", [vec![2; 32]])
        };
        // It is noted before the commit, which does not come to pass here.
        let held = marked(history.path()).unwrap();
        let failed = history.write(|transaction| {
            transaction.pragma_update(None, "defer_foreign_keys", true)?;
            let nowhere = "INSERT INTO operation_path (operation, root, path) VALUES (9, '', '')";
            transaction.execute(nowhere, [])?;
            delete(transaction)
        });
        assert!(failed.is_err());
        assert_eq!(marked(history.path()).unwrap().object, held.object - 1);
        history.write(delete).unwrap();
        history.rest();
        let (_other, again) = without_log(&history);
        assert_eq!(count(&again).unwrap(), 1);
        assert_eq!(again.lost(), None);
        let line = first_line(marked(history.path()).as_ref());
        let text = std::fs::read_to_string(file::note_of(history.path())).unwrap();
        assert_eq!(text, line + "\n");
    }

    #[test]
    fn a_note_without_numbers_gets_them_and_keeps_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let history = begun(folder.path());
        let path = history.path();
        note(path, "a loss", None);
        assert_eq!(marked(path), None);
        assert_eq!(operate(&history), 1);
        assert_eq!(marked(path).unwrap().operation, 1);
        assert!(history.lost().unwrap().starts_with("a loss"));
    }
}
