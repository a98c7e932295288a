//! Gathers what the kernel hints at until it is quiet, per folder.
//!
//! Pure: the moment comes in with each call. A key is due when nothing came for `settle`, or when its
//! first hint is `max_delay` old, so that a file that is written without end is still looked at. What
//! waits is bounded: above [`MAX_PATHS`] paths a folder is simply dirty as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Paths that one folder may have waiting before it counts as dirty as a whole.
pub const MAX_PATHS: usize = 5_000;

/// How long after it first settled a new folder is looked at again: what was written into it before
/// its watch stood has no event of its own.
pub const SECOND_LOOK: Duration = Duration::from_millis(250);

/// What has to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dirty {
    /// These paths, relative to the root. A folder stands for all that lies below it.
    Paths(BTreeSet<PathBuf>),
    /// The whole root.
    All,
}

impl Dirty {
    fn add(&mut self, path: PathBuf) {
        if let Self::Paths(paths) = self {
            paths.insert(path);
            if paths.len() > MAX_PATHS {
                *self = Self::All;
            }
        }
    }
}

/// When waiting things become due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long it must be quiet.
    pub settle: Duration,
    /// How long the first hint may wait at most.
    pub max_delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            settle: Duration::from_millis(50),
            max_delay: Duration::from_secs(2),
        }
    }
}

/// One key whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due<K> {
    /// The key.
    pub key: K,
    /// What is dirty.
    pub dirty: Dirty,
    /// Why, in a word or two, for the log.
    pub why: &'static str,
}

#[derive(Debug)]
struct Waiting {
    first: Instant,
    last: Instant,
    dirty: Dirty,
    why: &'static str,
}

/// The waiting hints of all keys.
#[derive(Debug)]
pub struct Debounce<K: Ord + Clone> {
    settings: Settings,
    waiting: BTreeMap<K, Waiting>,
    /// Folders that are dirty as a whole, but not due before a moment, and why.
    put_off: BTreeMap<K, (Instant, &'static str)>,
    second_looks: BTreeMap<K, BTreeMap<PathBuf, Instant>>,
}

impl<K: Ord + Clone> Debounce<K> {
    /// Nothing waits yet.
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            waiting: BTreeMap::new(),
            put_off: BTreeMap::new(),
            second_looks: BTreeMap::new(),
        }
    }

    /// A hint at one path.
    pub fn path(&mut self, key: &K, path: PathBuf, why: &'static str, now: Instant) {
        if path.as_os_str().is_empty() {
            self.all(key, why, now);
        } else {
            let waiting = self.entry(key, why, now);
            let was_all = waiting.dirty == Dirty::All;
            waiting.dirty.add(path);
            let is_too_much = waiting.dirty == Dirty::All && !was_all;
            if is_too_much && self.put_off.contains_key(key) {
                // It will be looked at as a whole, but not sooner.
                self.waiting.remove(key);
            }
        }
    }

    /// A hint that anything may have changed.
    pub fn all(&mut self, key: &K, why: &'static str, now: Instant) {
        let waiting = self.entry(key, why, now);
        waiting.dirty = Dirty::All;
        waiting.why = why;
        self.second_looks.remove(key);
    }

    /// As [`all`](Self::all), but not due before a moment. Hints at paths that come meanwhile do not wait for it.
    pub fn all_after(&mut self, key: &K, why: &'static str, earliest: Instant, now: Instant) {
        if earliest <= now {
            self.all(key, why, now);
        } else {
            let put_off = self.put_off.entry(key.clone()).or_insert((earliest, why));
            put_off.0 = put_off.0.max(earliest);
        }
    }

    /// A new folder: its path is due as any other, and once more [`SECOND_LOOK`] after it settled.
    pub fn folder(&mut self, key: &K, path: &Path, now: Instant) {
        self.path(key, path.to_owned(), "folder appeared", now);
        let looks = self.second_looks.entry(key.clone()).or_default();
        if looks.len() < MAX_PATHS {
            looks.insert(path.to_owned(), now + self.settings.settle + SECOND_LOOK);
        }
    }

    /// Forgets a key.
    pub fn forget(&mut self, key: &K) {
        self.waiting.remove(key);
        self.put_off.remove(key);
        self.second_looks.remove(key);
    }

    /// When something becomes due next; `None` while nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        let settled = self.waiting.values().map(|waiting| self.due_at(waiting));
        let looks = self
            .second_looks
            .values()
            .flat_map(|looks| looks.values().copied());
        let put_off = self.put_off.values().map(|(earliest, _)| *earliest);
        settled.chain(looks).chain(put_off).min()
    }

    /// Takes out all that is due now.
    pub fn take_due(&mut self, now: Instant) -> Vec<Due<K>> {
        let mut due = Vec::new();
        let is_over = |_: &K, (earliest, _): &mut (Instant, _)| *earliest <= now;
        for (key, (_, why)) in self.put_off.extract_if(.., is_over) {
            self.waiting.remove(&key);
            self.second_looks.remove(&key);
            due.push(Due {
                key,
                dirty: Dirty::All,
                why,
            });
        }
        let keys: Vec<K> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| self.due_at(waiting) <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            if let Some(waiting) = self.waiting.remove(&key) {
                due.push(Due {
                    key,
                    dirty: waiting.dirty,
                    why: waiting.why,
                });
            }
        }
        self.second_looks.retain(|key, looks| {
            let mut dirty = Dirty::Paths(BTreeSet::new());
            let mut any = false;
            looks.retain(|path, at| {
                if *at > now {
                    return true;
                }
                any = true;
                dirty.add(path.clone());
                false
            });
            if any {
                due.push(Due {
                    key: key.clone(),
                    dirty,
                    why: "second look at a new folder",
                });
            }
            !looks.is_empty()
        });
        due
    }

    fn due_at(&self, waiting: &Waiting) -> Instant {
        (waiting.last + self.settings.settle).min(waiting.first + self.settings.max_delay)
    }

    fn entry(&mut self, key: &K, why: &'static str, now: Instant) -> &mut Waiting {
        let waiting = self.waiting.entry(key.clone()).or_insert_with(|| Waiting {
            first: now,
            last: now,
            dirty: Dirty::Paths(BTreeSet::new()),
            why,
        });
        waiting.last = waiting.last.max(now);
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn fresh() -> (Debounce<&'static str>, Instant) {
        (Debounce::new(Settings::default()), Instant::now())
    }

    fn paths(names: &[&str]) -> Dirty {
        Dirty::Paths(names.iter().map(PathBuf::from).collect())
    }

    #[test]
    fn quiet_means_no_deadline() {
        let (mut debounce, start) = fresh();
        assert_eq!(debounce.deadline(), None);
        debounce.path(&"a", "x".into(), "event", start);
        assert_eq!(debounce.deadline(), Some(start + 50 * MS));
        assert_eq!(debounce.take_due(start + 50 * MS).len(), 1);
        assert_eq!(debounce.deadline(), None);
    }

    #[test]
    fn hints_gather_until_it_settles() {
        let (mut debounce, start) = fresh();
        debounce.path(&"a", "x".into(), "event", start);
        debounce.path(&"a", "y".into(), "event", start + 40 * MS);
        debounce.path(&"a", "x".into(), "event", start + 45 * MS);
        assert_eq!(debounce.take_due(start + 94 * MS), []);
        assert_eq!(
            debounce.take_due(start + 95 * MS),
            [Due {
                key: "a",
                dirty: paths(&["x", "y"]),
                why: "event"
            }]
        );
    }

    #[test]
    fn a_file_written_without_end_is_still_looked_at() {
        let (mut debounce, start) = fresh();
        let mut reported = Vec::new();
        for step in 0..500_u32 {
            let now = start + step * 10 * MS;
            debounce.path(&"a", "log".into(), "event", now);
            if !debounce.take_due(now).is_empty() {
                reported.push(now - start);
            }
        }
        assert_eq!(reported.first(), Some(&(2_000 * MS)));
        assert_eq!(reported.len(), 2, "{reported:?}");
    }

    #[test]
    fn keys_settle_apart() {
        let (mut debounce, start) = fresh();
        debounce.path(&"a", "x".into(), "event", start);
        debounce.path(&"b", "x".into(), "event", start + 30 * MS);
        let due = debounce.take_due(start + 60 * MS);
        assert_eq!(due.iter().map(|due| due.key).collect::<Vec<_>>(), ["a"]);
        assert_eq!(debounce.deadline(), Some(start + 80 * MS));
    }

    #[test]
    fn too_many_paths_collapse() {
        let (mut debounce, start) = fresh();
        for number in 0..MAX_PATHS {
            debounce.path(&"a", format!("f{number}").into(), "event", start);
        }
        debounce.path(&"b", "x".into(), "event", start);
        debounce.path(&"a", "one-more".into(), "event", start);
        let due = debounce.take_due(start + 50 * MS);
        assert_eq!(due.first().map(|due| &due.dirty), Some(&Dirty::All));
        assert_eq!(due.get(1).map(|due| &due.dirty), Some(&paths(&["x"])));
    }

    #[test]
    fn the_whole_absorbs_paths_and_keeps_its_reason() {
        let (mut debounce, start) = fresh();
        debounce.path(&"a", "x".into(), "event", start);
        debounce.all(&"a", "queue overflow", start);
        debounce.path(&"a", "y".into(), "event", start + MS);
        let due = debounce.take_due(start + 51 * MS);
        assert_eq!(
            due,
            [Due {
                key: "a",
                dirty: Dirty::All,
                why: "queue overflow"
            }]
        );
    }

    #[test]
    fn what_is_put_off_waits_for_its_moment_and_paths_do_not() {
        let (mut debounce, start) = fresh();
        let whole = Due {
            key: "a",
            dirty: Dirty::All,
            why: "lost",
        };
        debounce.all_after(&"a", "lost", start, start);
        assert_eq!(debounce.take_due(start + 50 * MS).first(), Some(&whole));
        debounce.all_after(&"a", "lost", start + 10_000 * MS, start);
        debounce.path(&"a", "x".into(), "event", start);
        assert_eq!(debounce.deadline(), Some(start + 50 * MS));
        let due = debounce.take_due(start + 50 * MS);
        assert_eq!(due.first().map(|due| &due.dirty), Some(&paths(&["x"])));
        // More than fits is the whole, which is due later.
        for number in 0..=MAX_PATHS {
            debounce.path(&"a", format!("f{number}").into(), "event", start);
        }
        assert_eq!(debounce.deadline(), Some(start + 10_000 * MS));
        assert_eq!(debounce.take_due(start + 9_999 * MS), []);
        assert_eq!(debounce.take_due(start + 10_000 * MS), [whole]);
        assert_eq!(debounce.deadline(), None);
        // A whole of its own does not wait either, whatever paths come after it.
        debounce.all_after(&"a", "lost", start + 10_000 * MS, start);
        debounce.all(&"a", "folder appeared", start);
        debounce.path(&"a", "x".into(), "event", start);
        let due = debounce.take_due(start + 50 * MS);
        assert_eq!(due.first().map(|due| due.why), Some("folder appeared"));
    }

    #[test]
    fn the_root_itself_is_the_whole() {
        let (mut debounce, start) = fresh();
        debounce.path(&"a", PathBuf::new(), "event", start);
        assert_eq!(
            debounce
                .take_due(start + 50 * MS)
                .first()
                .map(|due| &due.dirty),
            Some(&Dirty::All)
        );
    }

    #[test]
    fn a_new_folder_is_looked_at_twice() {
        let (mut debounce, start) = fresh();
        debounce.folder(&"a", Path::new("skills/new"), start);
        let first = debounce.take_due(start + 50 * MS);
        assert_eq!(
            first.first().map(|due| &due.dirty),
            Some(&paths(&["skills/new"]))
        );
        assert_eq!(debounce.deadline(), Some(start + 300 * MS));
        assert_eq!(debounce.take_due(start + 299 * MS), []);
        let second = debounce.take_due(start + 300 * MS);
        assert_eq!(
            second.first().map(|due| &due.dirty),
            Some(&paths(&["skills/new"]))
        );
        assert_eq!(debounce.deadline(), None);
    }

    #[test]
    fn a_forgotten_key_never_comes() {
        let (mut debounce, start) = fresh();
        debounce.folder(&"a", Path::new("x"), start);
        debounce.forget(&"a");
        assert_eq!(debounce.deadline(), None);
        assert_eq!(debounce.take_due(start + 9_000 * MS), []);
    }
}
