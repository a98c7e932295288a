//! What we wrote ourselves, so that its echo from the kernel is known as such.
//!
//! Two strengths. [`Ledger::note`] only labels: events at or below the path within [`TTL`] are counted as
//! echoes and looked at all the same. [`Ledger::note_settled`] is for a writer that has already brought the
//! rows up to date: an echo is then dropped, but only while the path is in exactly the state that was
//! noted, and only if that state was old enough at the time that no later write could hide in the clock's
//! resolution. In doubt the event counts: a needless look costs one hash, a missed one costs the truth.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a note holds.
pub const TTL: Duration = Duration::from_secs(5);

/// A change younger than this when noted may share its time stamp with the next one.
const RACY: Duration = Duration::from_millis(20);

/// Entries below one settled folder that are recorded; the rest is labelled only.
const MAX_ENTRIES: usize = 20_000;

/// Notes kept at most; the oldest go first.
const MAX_NOTES: usize = 100_000;

/// What an event turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// Somebody else's change, as far as we know.
    Foreign,
    /// Probably ours; look at it all the same.
    Labelled,
    /// Ours, and the rows already tell it.
    Settled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug)]
struct Note {
    until: Instant,
    signature: Option<Signature>,
}

/// Recent writes of this process.
#[derive(Debug, Default)]
pub struct Ledger {
    notes: Mutex<BTreeMap<PathBuf, Note>>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that we write at this absolute path: a file, or a folder with all below it. Call it before
    /// or right after the write.
    pub fn note(&self, path: &Path) {
        self.insert([(path.to_owned(), None)], Instant::now());
    }

    /// Notes that we wrote at this absolute path and that the rows already tell what is there now: a
    /// file, or a folder with all below it. Call it before the reconcile that reads the path, so that a
    /// change in between is either read by it or still seen as an event.
    pub fn note_settled(&self, path: &Path) {
        let metadata = fs::symlink_metadata(path).ok();
        let mut found = vec![(path.to_owned(), metadata.as_ref().and_then(settled))];
        let is_folder = metadata.is_some_and(|metadata| metadata.is_dir());
        let mut folders: Vec<PathBuf> = is_folder.then(|| path.to_owned()).into_iter().collect();
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                if found.len() >= MAX_ENTRIES {
                    break;
                }
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path.clone());
                }
                let metadata = entry.metadata().ok();
                found.push((path, metadata.as_ref().and_then(settled)));
            }
        }
        self.insert(found, Instant::now());
    }

    /// Judges an event at an absolute path.
    pub fn judge(&self, path: &Path) -> Echo {
        self.judge_at(path, Instant::now())
    }

    /// The same where the disk must not be asked: nothing is known to be settled.
    pub fn judge_unasked(&self, path: &Path) -> Echo {
        let now = Instant::now();
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = |path: &Path| notes.get(path).is_some_and(|note| note.until > now);
        if path.ancestors().any(alive) {
            Echo::Labelled
        } else {
            Echo::Foreign
        }
    }

    fn judge_at(&self, path: &Path, now: Instant) -> Echo {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.is_empty() {
            return Echo::Foreign;
        }
        let alive = |path: &Path| notes.get(path).filter(|note| note.until > now);
        let recorded = alive(path).and_then(|note| note.signature);
        let labelled = path.ancestors().any(|ancestor| alive(ancestor).is_some());
        drop(notes);
        match recorded {
            Some(recorded)
                if fs::symlink_metadata(path).is_ok_and(|now| signature(&now) == recorded) =>
            {
                Echo::Settled
            }
            _ if labelled => Echo::Labelled,
            _ => Echo::Foreign,
        }
    }

    /// Drops notes whose time is over.
    pub fn prune(&self) {
        let now = Instant::now();
        self.notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, note| note.until > now);
    }

    fn insert(&self, found: impl IntoIterator<Item = (PathBuf, Option<Signature>)>, now: Instant) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() >= MAX_NOTES {
            notes.retain(|_, note| note.until > now);
        }
        if notes.len() >= MAX_NOTES {
            // Without notes every event counts, which is always safe.
            notes.clear();
        }
        for (path, signature) in found {
            notes.insert(
                path,
                Note {
                    until: now + TTL,
                    signature,
                },
            );
        }
    }
}

fn signature(metadata: &Metadata) -> Signature {
    Signature {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// The signature of what is old enough that no later write could hide.
fn settled(metadata: &Metadata) -> Option<Signature> {
    let signature = signature(metadata);
    let (seconds, nanos) = signature.changed;
    let changed = UNIX_EPOCH.checked_add(Duration::new(
        u64::try_from(seconds).ok()?,
        u32::try_from(nanos).ok()?,
    ))?;
    let age = SystemTime::now().duration_since(changed).ok()?;
    (age > RACY).then_some(signature)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests arrange files plainly")]
mod tests {
    use super::*;

    /// Waits until the path's state is older than the clock's resolution.
    fn settle(path: &Path) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while settled(&fs::symlink_metadata(path).unwrap()).is_none() {
            assert!(Instant::now() < deadline, "the clock stands still");
            std::thread::yield_now();
        }
    }

    #[test]
    fn foreign_by_default() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::new();
        assert_eq!(ledger.judge(&dir.path().join("x")), Echo::Foreign);
        ledger.note(&dir.path().join("y"));
        assert_eq!(ledger.judge(&dir.path().join("x")), Echo::Foreign);
    }

    #[test]
    fn a_note_labels_what_lies_below_until_its_time_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::new();
        ledger.note(&dir.path().join("skills/a"));
        let below = dir.path().join("skills/a/SKILL.md");
        let now = Instant::now();
        assert_eq!(ledger.judge_at(&below, now), Echo::Labelled);
        assert_eq!(
            ledger.judge_at(&dir.path().join("skills/ab"), now),
            Echo::Foreign
        );
        assert_eq!(ledger.judge_at(&below, now + TTL + TTL), Echo::Foreign);
    }

    #[test]
    fn a_settled_state_is_dropped_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("SKILL.md");
        fs::write(&file, "one").unwrap();
        settle(&file);
        let ledger = Ledger::new();
        ledger.note_settled(dir.path());
        assert_eq!(ledger.judge(&file), Echo::Settled);
        fs::write(&file, "two").unwrap();
        assert_eq!(ledger.judge(&file), Echo::Labelled);
        fs::remove_file(&file).unwrap();
        assert_eq!(ledger.judge(&file), Echo::Labelled);
    }

    #[test]
    fn a_file_that_was_not_there_is_never_dropped() {
        let dir = tempfile::tempdir().unwrap();
        settle(dir.path());
        let ledger = Ledger::new();
        ledger.note_settled(dir.path());
        let late = dir.path().join("late.md");
        assert_eq!(ledger.judge(&late), Echo::Labelled);
        fs::write(&late, "x").unwrap();
        assert_eq!(ledger.judge(&late), Echo::Labelled);
        assert_eq!(
            ledger.judge(dir.path()),
            Echo::Labelled,
            "the folder itself changed"
        );
    }

    #[test]
    fn pruning_keeps_what_is_young() {
        let ledger = Ledger::new();
        ledger.note(Path::new("/x"));
        ledger.prune();
        assert_eq!(ledger.judge(Path::new("/x/y")), Echo::Labelled);
    }
}
