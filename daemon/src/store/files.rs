//! The files of the database: which they are, whether they are what we left, putting them aside.
//!
//! A database that was closed in order is *sealed*: a file beside it tells its size and time. Whoever writes
//! to it afterwards breaks the seal, and what it holds is then no longer believed. A database without a seal
//! was not closed in order, and is checked: at once whether it is a database, and then page by page (see
//! `pages.rs`).

use std::io::ErrorKind as Io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use skillmeat_shared::time::{Clock as _, SystemClock};
use skillmeat_shared::{Code, Error, Result, fs};

use super::journal;
use super::pages::{Proof, Saved, Sums};

/// Damaged databases that are kept.
const KEPT: usize = 2;

/// Bytes of a database's header.
const HEADER: u64 = 100;

/// The longest seal, bytes.
const LONGEST_SEAL: u64 = 256;

/// What the seal says about the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// It is as we left it.
    Whole,
    /// Somebody wrote to it since.
    Broken,
    /// It was not closed in order, or there is no database.
    Missing,
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The database file and the files that SQLite keeps beside it.
pub fn files_of(path: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", "-journal"].map(|suffix| beside(path, suffix))
}

/// What we note beside the database.
fn notes_of(path: &Path) -> [PathBuf; 2] {
    [sums_of(path), seal_of(path)]
}

/// All of these.
fn parts_of(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    files_of(path).into_iter().chain(notes_of(path))
}

/// Whether a file is the database, or one that stands beside it for it.
pub fn is_part(path: &Path, other: &Path) -> bool {
    parts_of(path).any(|part| part == other)
}

/// The write-ahead log.
pub(super) fn log_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// The sums of the database's pages.
pub(super) fn sums_of(path: &Path) -> PathBuf {
    beside(path, "-sums")
}

fn seal_of(path: &Path) -> PathBuf {
    beside(path, "-sealed")
}

/// Device and inode of a file; `None` if there is none.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path)
        .ok()
        .map(|meta| (meta.dev(), meta.ino()))
}

/// Whether there is certainly no database.
pub(super) fn is_deleted(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == Io::NotFound)
}

/// Whether the database that somebody has open is shorter than its header. Its rows may all stand in the log, but who
/// opens it now takes it for a new one, and deletes the log.
pub(super) fn is_cut_short(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() < HEADER)
}

/// Bytes of the database with its log.
pub fn size_of(path: &Path) -> u64 {
    files_of(path)
        .iter()
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|found| found.len())
        .sum()
}

/// Bytes of the write-ahead log.
pub fn log_bytes(path: &Path) -> u64 {
    std::fs::metadata(log_of(path)).map_or(0, |found| found.len())
}

/// Why the files can't be a database: something else stands there. A link is none wherever it leads: what belongs to
/// the database stands beside it.
pub(super) fn misplaced(path: &Path) -> Option<String> {
    let wrong = parts_of(path).find(|part| is_misplaced(part))?;
    Some(format!("`{}` is no file", wrong.display()))
}

/// Whether something else stands at the place of a file.
fn is_misplaced(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|found| !found.is_file())
}

/// Size and time of the database, as the seal tells them; `None` while the log holds something.
fn state(path: &Path) -> Option<String> {
    let found = std::fs::metadata(path).ok()?;
    (log_bytes(path) == 0).then(|| {
        format!(
            "{} {}.{:09}\n",
            found.len(),
            found.mtime(),
            found.mtime_nsec()
        )
    })
}

/// Whether the database is as we left it.
pub(super) fn seal_state(path: &Path) -> Seal {
    match fs::read_bounded(&seal_of(path), LONGEST_SEAL) {
        Err(_) => Seal::Missing,
        Ok(said) if state(path).is_some_and(|state| state.as_bytes() == said) => Seal::Whole,
        Ok(_) => Seal::Broken,
    }
}

/// Notes that the database was closed in order; not if its log still holds something.
pub(super) fn seal(path: &Path) -> Result<()> {
    match state(path) {
        Some(state) => fs::write(&seal_of(path), state.as_bytes(), 0o600),
        None => Ok(()),
    }
}

/// What must be compared before a database is believed that was not closed in order; `None` if it never had sums, or
/// was never begun. Who broke a seal is not believed anyway.
///
/// # Errors
/// If it is damaged for certain.
pub(super) fn proof(path: &Path, seal: Seal) -> Result<Option<Proof>> {
    if seal != Seal::Missing || is_deleted(path) {
        return Ok(None);
    }
    match Sums::read(path) {
        // It was never finished: its first rows stand in the log, or nowhere.
        Saved::Sums(sums) if sums.is_empty() && journal::is_empty(path) => {
            remove_files(path).map(|()| None)
        }
        Saved::None if journal::is_empty(path) => Ok(None),
        _ if is_cut_short(path) => Err(damaged(path, "its file was cut short")),
        Saved::None => Ok(None),
        Saved::Damaged => Err(damaged(path, "the sums of its pages are damaged")),
        Saved::Sums(sums) => Proof::begin(path, sums)
            .map(Some)
            .map_err(|why| damaged(path, &why)),
    }
}

/// The error for a database that is not as it was written.
pub(super) fn damaged(path: &Path, why: &str) -> Error {
    Error::new(Code::CacheDamaged, why.to_owned()).at(path, None)
}

/// Forgets the sums of the database's pages.
pub(super) fn drop_sums(path: &Path) -> Result<()> {
    remove(&sums_of(path))
}

/// Notes that the database is about to be written to.
pub(super) fn unseal(path: &Path) -> Result<()> {
    remove(&seal_of(path))
}

fn remove(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != Io::NotFound => Err(Error::io("delete", file, &error)),
        _ => Ok(()),
    }
}

/// Deletes the database's files; those that are not there are no error.
pub fn remove_files(path: &Path) -> Result<()> {
    if misplaced(path).is_some() {
        return put_aside(path).map(drop);
    }
    unseal(path)?;
    drop_sums(path)?;
    for file in files_of(path) {
        remove(&file)?;
    }
    Ok(())
}

/// Only the user may read the database.
pub(super) fn restrict(path: &Path) -> Result<()> {
    for file in files_of(path) {
        match std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)) {
            Err(error) if error.kind() != Io::NotFound => {
                return Err(Error::io("restrict", &file, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Moves what stands at the database's place away, to a name with `.corrupt-` and the time in it, and
/// deletes what was put aside long ago. Gives the new name.
#[expect(
    clippy::disallowed_methods,
    reason = "damaged, re-creatable files: nothing to make durable"
)]
pub fn put_aside(path: &Path) -> Result<PathBuf> {
    let stamp = SystemClock.now().nanos();
    let aside = beside(path, &format!(".corrupt-{stamp:020}"));
    // What is no file is not ours, and may hold anything.
    for note in notes_of(path).iter().filter(|note| !is_misplaced(note)) {
        remove(note)?;
    }
    for (file, target) in parts_of(path).zip(parts_of(&aside)) {
        match std::fs::rename(&file, target) {
            Err(error) if error.kind() != Io::NotFound => {
                return Err(Error::io("put aside", &file, &error));
            }
            _ => {}
        }
    }
    forget_old(path);
    Ok(aside)
}

/// Moves what was put aside back to the database's place, instead of what stands there now; nothing if nothing was.
#[expect(
    clippy::disallowed_methods,
    reason = "re-creatable files: nothing to make durable"
)]
pub(super) fn put_back(aside: &Path, path: &Path) -> Result<()> {
    if is_deleted(aside) {
        return Ok(());
    }
    remove_files(path)?;
    for (from, to) in files_of(aside).iter().zip(files_of(path)) {
        match std::fs::rename(from, &to) {
            Err(error) if error.kind() != Io::NotFound => {
                return Err(Error::io("put back", &to, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Deletes all but the newest of what was put aside. Folders stay: they are not ours.
fn forget_old(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let mut start = name.as_encoded_bytes().to_vec();
    start.extend(b".corrupt-");
    let mut aside: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|found| {
            let name = found.file_name().unwrap_or_default().as_encoded_bytes();
            let rest = name.strip_prefix(start.as_slice());
            rest.is_some_and(|rest| rest.iter().all(u8::is_ascii_digit)) && found.is_file()
        })
        .collect();
    aside.sort();
    let old = aside.len().saturating_sub(KEPT);
    for file in aside.iter().take(old) {
        discard(file);
    }
}

/// Deletes a database that nobody needs, with all that stands beside it for it, as far as that can be done.
pub(super) fn discard(path: &Path) {
    for part in parts_of(path) {
        if let Err(error) = remove(&part) {
            tracing::debug!(target: "store", "{error}");
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;

    #[test]
    fn a_seal_tells_whether_somebody_wrote_since() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        assert_eq!(seal_state(&path), Seal::Missing);
        std::fs::write(&path, "rows").unwrap();
        assert_eq!(seal_state(&path), Seal::Missing);
        seal(&path).unwrap();
        assert_eq!(seal_state(&path), Seal::Whole);
        let changed = std::fs::File::options().write(true).open(&path).unwrap();
        let before = changed.metadata().unwrap().modified().unwrap();
        std::io::Write::write_all(&mut &changed, b"Rows").unwrap();
        changed
            .set_modified(before + std::time::Duration::from_nanos(1))
            .unwrap();
        assert_eq!(seal_state(&path), Seal::Broken);
        changed.set_modified(before).unwrap();
        assert_eq!(seal_state(&path), Seal::Whole);
        std::fs::write(beside(&path, "-wal"), "more").unwrap();
        assert_eq!(seal_state(&path), Seal::Broken);
        unseal(&path).unwrap();
        seal(&path).unwrap();
        assert_eq!(seal_state(&path), Seal::Missing, "the log is not empty");
    }

    #[test]
    fn what_is_put_aside_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(beside(&path, ".corrupt-notes"), "theirs").unwrap();
        let mut last = PathBuf::new();
        for round in 0..5u32 {
            std::fs::write(&path, round.to_string()).unwrap();
            std::fs::write(beside(&path, "-wal"), "log").unwrap();
            last = put_aside(&path).unwrap();
        }
        assert_eq!(std::fs::read_to_string(last).unwrap(), "4");
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2 * KEPT + 1);
    }

    #[test]
    fn a_folder_at_the_place_is_moved_and_not_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        for place in parts_of(&path) {
            std::fs::create_dir(&place).unwrap();
            std::fs::write(place.join("theirs"), "1").unwrap();
            assert!(misplaced(&path).is_some(), "{}", place.display());
            remove_files(&path).unwrap();
            assert!(misplaced(&path).is_none(), "{}", place.display());
            assert!(!place.exists());
        }
        let mut kept = std::fs::read_dir(folder.path()).unwrap();
        assert!(kept.all(|one| one.unwrap().path().join("theirs").exists()));
        let kept = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(kept, 6);
    }
}
