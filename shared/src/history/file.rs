//! The file of the history, seen from outside: whether it can be used, and what was put aside of it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::word;
use crate::{Code, Error, version};

/// Its name in a home.
pub const NAME: &str = "history.db";

/// The schema that this program writes.
pub const SCHEMA_VERSION: u32 = 2;

/// How a database of SQLite begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Where the number of the schema stands in it.
const VERSION: std::ops::Range<usize> = 60..64;

/// Where the root of the tree of the tables' descriptions begins. It says what kind of page it is, and how many cells it has.
const TREE: usize = 100;

/// A page that holds the cells itself.
const LEAF: u8 = 13;

/// How the description of a table begins that every history has.
const OURS: &[u8] = b"CREATE TABLE object";

/// The longest page, bytes.
const PAGE: u64 = 64 * 1024;

/// What to do with one that is damaged.
const KEEP: &str = "put a backup of it back, with no daemon running; keep the damaged one in any case: it holds what can be undone";

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Something else stands where the history, or a file that belongs to it, should be.
pub fn misplaced(path: &Path) -> Option<Error> {
    let mut files = ["", "-wal", "-shm", "-journal"].map(|suffix| beside(path, suffix));
    let wrong = files
        .iter_mut()
        .find(|file| std::fs::metadata(file).is_ok_and(|found| !found.is_file()))?;
    let message = format!("`{}` is no file", wrong.display());
    let error = Error::new(Code::HistoryUnavailable, message);
    Some(error.hint("move what stands there away").at(path, None))
}

/// A newer program wrote it.
pub fn newer(path: &Path, schema: u32) -> Error {
    let message = format!(
        "the history has schema {schema}, this skillmeatd {} knows {SCHEMA_VERSION}: a newer version wrote it",
        version::program()
    );
    Error::new(Code::HistoryNewerSchema, message)
        .hint("start the newer skillmeatd")
        .at(path, None)
}

/// Why it can't be used, as far as its first bytes tell. Whoever has it open must not ask: a file that is closed gives
/// up the locks that its process holds on it.
pub fn trouble(path: &Path) -> Option<Error> {
    if let Some(error) = misplaced(path) {
        return Some(error);
    }
    let has_log = std::fs::metadata(beside(path, "-wal")).is_ok_and(|found| found.len() > 0);
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PAGE).read_to_end(&mut head));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            let said = Error::io("read", path, &error).message;
            let error = Error::new(Code::HistoryUnavailable, said).at(path, None);
            return Some(error.hint(way_to(path)));
        }
        // Empty, it is about to be begun.
        Ok(0) => return None,
        Ok(_) => {}
    }
    let schema = head.get(VERSION).filter(|_| head.starts_with(MAGIC));
    let Some(Ok(schema)) = schema.map(<[u8; 4]>::try_from) else {
        let message = format!("`{}` is not a database", path.display());
        return Some(with_way(
            Error::new(Code::HistoryDamaged, message).at(path, None),
        ));
    };
    let schema = u32::from_be_bytes(schema);
    if schema > SCHEMA_VERSION {
        return Some(newer(path, schema));
    }
    // Tables that stand in the log, or in other pages, are not known.
    let is_told = !has_log && head.get(TREE) == Some(&LEAF);
    let is_begun = schema > 0 || head.get(TREE + 3..TREE + 5) != Some(&[0; 2]);
    let is_foreign = is_told && is_begun && !head.windows(OURS.len()).any(|part| part == OURS);
    is_foreign.then(|| with_way(foreign(path)))
}

/// How to get the rights to a file.
fn way_to(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let uid = rustix::process::geteuid().as_raw();
    let owner = std::fs::metadata(path).map_or(uid, |found| found.uid());
    if owner == uid {
        return "mend its rights with `chmod`".to_owned();
    }
    let place = path.to_string_lossy();
    let place = word(&place);
    format!("it belongs to the user {owner}, not to {uid}: `sudo chown \"$USER\" {place}`")
}

/// It is a sound database, of something else.
pub fn foreign(path: &Path) -> Error {
    let message = format!("`{}` is no history of SkillMeat", path.display());
    Error::new(Code::HistoryDamaged, message).at(path, None)
}

/// The same error with what to do about a history that can't be used.
#[must_use]
pub fn with_way(error: Error) -> Error {
    match error.code {
        Code::HistoryDamaged => error.hint(KEEP),
        _ => error,
    }
}

/// Where a damaged one is put.
pub fn name_aside(path: &Path, stamp: i64) -> PathBuf {
    beside(path, &format!("{ASIDE}{stamp:020}"))
}

const ASIDE: &str = ".corrupt-";

/// Histories that were damaged and put aside, the oldest first: what they held should not be forgotten.
pub fn aside(path: &Path) -> Vec<PathBuf> {
    let Some(folder) = path.parent() else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|other| {
            rest_of(path, other).is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
        })
        .collect();
    found.sort();
    found
}

/// What follows in the name of a history that was put aside, or of a file that went with it.
fn rest_of<'a>(path: &Path, other: &'a Path) -> Option<&'a [u8]> {
    let name = other.file_name()?.as_encoded_bytes();
    name.strip_prefix(path.file_name()?.as_encoded_bytes())?
        .strip_prefix(ASIDE.as_bytes())
}

/// Where it is noted that there is a history, so that it is missed once it is gone: a line that says what this file is,
/// and one for each time that something of it was lost.
pub fn note_of(path: &Path) -> PathBuf {
    path.with_file_name("state").join("history.note")
}

/// Where it is kept when the history is looked after, beside it as it outlasts the cache.
pub fn schedules_of(path: &Path) -> PathBuf {
    path.with_file_name("state").join("history.schedules")
}

/// The longest note that counts, bytes.
const LONGEST_NOTE: u64 = 64 * 1024;

/// Whether there is certainly no history, or an empty file in its place.
pub fn is_gone(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(found) => found.is_file() && found.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// What of it was lost, as it was noted last; what is missing now, with `now`.
pub fn lost(path: &Path, now: bool) -> Option<String> {
    let note = crate::fs::read_bounded(&note_of(path), LONGEST_NOTE).ok()?;
    let note = String::from_utf8_lossy(&note);
    if now && is_gone(path) {
        return Some(format!("there is nothing in `{}` any more", path.display()));
    }
    let (_, last) = note.trim_end().rsplit_once('\n')?;
    Some(last.to_owned())
}

/// Whether a file was put aside with a history.
pub fn is_aside(path: &Path, other: &Path) -> bool {
    path.parent() == other.parent() && rest_of(path, other).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::write;

    fn database(schema: u32) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[VERSION].copy_from_slice(&schema.to_be_bytes());
        bytes
    }

    #[test]
    fn what_can_not_be_used_is_told_by_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        let code = || trouble(&path).map(|error| error.code);
        assert_eq!(code(), None);
        for sound in [vec![], database(SCHEMA_VERSION), database(0)] {
            write(&path, &sound, 0o600).unwrap();
            assert_eq!(code(), None);
        }
        write(&path, &database(SCHEMA_VERSION + 1), 0o600).unwrap();
        assert_eq!(code(), Some(Code::HistoryNewerSchema));
        for damaged in [&b"no database"[..], &database(1)[..50]] {
            write(&path, damaged, 0o600).unwrap();
            let error = trouble(&path).unwrap();
            assert_eq!(error.code, Code::HistoryDamaged);
            assert!(error.hints[0].contains("keep"), "{error:?}");
        }
        write(&path, &database(1), 0o600).unwrap();
        std::fs::create_dir(beside(&path, "-wal")).unwrap();
        let error = trouble(&path).unwrap();
        assert_eq!(error.code, Code::HistoryUnavailable);
        assert!(error.message.contains("history.db-wal"), "{error:?}");
    }

    #[test]
    fn a_database_of_others_is_told_by_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        let code = |bytes: &[u8]| {
            write(&path, bytes, 0o600).unwrap();
            trouble(&path).map(|error| error.code)
        };
        // A page of cells, and how many there are.
        let page = |schema: u32, cells: u8, sql: &[u8]| {
            let mut bytes = database(schema);
            bytes[TREE] = LEAF;
            bytes[TREE + 4] = cells;
            bytes[4000..4000 + sql.len()].copy_from_slice(sql);
            bytes
        };
        for schema in 0..=SCHEMA_VERSION {
            let theirs = page(schema, 1, b"CREATE TABLE t (x)");
            assert_eq!(code(&theirs), Some(Code::HistoryDamaged));
            assert_eq!(code(&page(schema, 9, OURS)), None);
        }
        assert_eq!(code(&page(0, 0, b"")), None, "not begun yet");
        assert_eq!(code(&page(2, 0, b"")), Some(Code::HistoryDamaged));
        // What stands in the log is not known.
        write(&beside(&path, "-wal"), b"more", 0o600).unwrap();
        assert_eq!(code(&page(2, 0, b"")), None);
    }

    #[test]
    fn what_is_gone_is_missed_if_it_was_noted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        assert_eq!(lost(&path, true), None);
        std::fs::create_dir(folder.path().join("state")).unwrap();
        write(&note_of(&path), b"what this is\n", 0o600).unwrap();
        for _ in 0..2 {
            assert!(lost(&path, true).unwrap().contains("history.db"));
            assert_eq!(lost(&path, false), None);
            write(&path, b"", 0o600).unwrap();
        }
        write(&path, &database(1), 0o600).unwrap();
        assert_eq!(lost(&path, true), None);
        write(&note_of(&path), b"what this is\nfirst\nlast\n", 0o600).unwrap();
        assert_eq!(lost(&path, true).as_deref(), Some("last"));
    }

    #[test]
    fn what_was_put_aside_is_known_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        let first = name_aside(&path, 7);
        for file in [&first, &beside(&first, "-wal"), &name_aside(&path, 8)] {
            write(file, b"x", 0o600).unwrap();
            assert!(is_aside(&path, file));
        }
        let other = folder.path().join("skillmeatd.db.corrupt-1");
        write(&other, b"x", 0o600).unwrap();
        assert!(!is_aside(&path, &other) && !is_aside(&path, &path));
        assert_eq!(aside(&path), [first, name_aside(&path, 8)]);
    }
}
