//! When the history is to be looked after: kept outside of the cache, which may go at any moment.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use skillmeat_shared::history::file;
use skillmeat_shared::paths::ensure_private_dir;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{Result, fs};

use super::schedule::{COLLECT, SNAPSHOT, VERIFY_SNAPSHOTS};
use crate::jobs::scheduler::Due;

/// The schedules of the history.
const LASTING: [&str; 3] = [SNAPSHOT, COLLECT, VERIFY_SNAPSHOTS];

/// Bytes of the longest file that counts.
const LONGEST: u64 = 4096;

/// The due times of the history's schedules, in a file with a line for each: the name, when it is due, and when it last
/// ran, or 0, in nanoseconds since the epoch.
pub(super) struct Lasting {
    history: PathBuf,
    kept: Mutex<Vec<Due>>,
}

impl Lasting {
    /// Those that are kept beside this history. What makes no sense is left out.
    pub(super) fn of(history: &Path) -> Self {
        let text = fs::read_bounded(&file::schedules_of(history), LONGEST).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let due = |line: &str| {
            let mut words = line.split(' ');
            let (name, next_due) = (words.next()?, words.next()?.parse().ok()?);
            let last_run: i64 = words.next()?.parse().ok()?;
            LASTING.contains(&name).then(|| Due {
                name: name.to_owned(),
                next_due: Timestamp(next_due),
                last_run: (last_run != 0).then_some(Timestamp(last_run)),
            })
        };
        Self {
            history: history.to_owned(),
            kept: Mutex::new(text.lines().filter_map(due).collect()),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Due>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that are kept.
    pub(super) fn all(&self) -> Vec<Due> {
        self.kept().clone()
    }

    /// Keeps one, if it is of the history, and there is one to look after.
    pub(super) fn save(&self, due: &Due) -> Result<()> {
        let mut kept = self.kept();
        let is_ours = LASTING.contains(&due.name.as_str());
        if !is_ours || kept.contains(due) || file::is_gone(&self.history) {
            return Ok(());
        }
        kept.retain(|one| one.name != due.name);
        kept.push(due.clone());
        let line = |one: &Due| {
            let last_run = one.last_run.map_or(0, Timestamp::nanos);
            format!("{} {} {last_run}\n", one.name, one.next_due.nanos())
        };
        let text: String = kept.iter().map(line).collect();
        let path = file::schedules_of(&self.history);
        if let Some(folder) = path.parent() {
            ensure_private_dir(folder)?;
        }
        fs::write(&path, text.as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(name: &str, last_run: Option<i64>) -> Due {
        Due {
            name: name.to_owned(),
            next_due: Timestamp(7),
            last_run: last_run.map(Timestamp),
        }
    }

    #[test]
    fn those_of_the_history_are_kept_once_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let history = folder.path().join(file::NAME);
        Lasting::of(&history).save(&due(COLLECT, None)).unwrap();
        assert_eq!(Lasting::of(&history).all(), []);
        fs::write(&history, b"something", 0o600).unwrap();
        let lasting = Lasting::of(&history);
        let all = [
            due(COLLECT, None),
            due(SNAPSHOT, Some(3)),
            due(COLLECT, Some(5)),
        ];
        for one in &all {
            lasting.save(one).unwrap();
        }
        lasting.save(&due("evict", Some(1))).unwrap();
        assert_eq!(Lasting::of(&history).all(), all[1..]);
        let path = file::schedules_of(&history);
        fs::write(
            &path,
            b"rubbish\ncollect x 1\nother 1 1\nsnapshot 7 3\n",
            0o600,
        )
        .unwrap();
        assert_eq!(Lasting::of(&history).all(), all[1..2]);
    }
}
