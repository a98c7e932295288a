//! What the keeper is to look at, and what wakes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skillmeat_shared::time::Timestamp;

/// Places beside artifacts beyond which all of them are looked at.
const MANY_BESIDE: usize = 2000;

/// What to look for in a collection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Rows that were compared since.
    pub(super) since: Timestamp,
    /// Files beside the artifacts: these, and those in these folders.
    pub(super) beside: BTreeSet<PathBuf>,
}

#[derive(Default)]
pub(super) struct Waiting {
    /// Collections in which something changed.
    changed: BTreeMap<String, Found>,
    /// The home's own files may have changed.
    home: bool,
    pub(super) is_stopping: bool,
}

impl Waiting {
    pub(super) fn has_more(&self) -> bool {
        self.is_stopping || self.home || !self.changed.is_empty()
    }
}

/// Nothing that changed.
pub(super) const NOTHING: Found = Found {
    since: Timestamp(i64::MAX),
    beside: BTreeSet::new(),
};

/// All files beside the artifacts of a collection.
pub(in crate::app) fn everywhere() -> BTreeSet<PathBuf> {
    BTreeSet::from([PathBuf::new()])
}

/// Wakes the thread.
#[derive(Default)]
pub(in crate::app) struct Keeper {
    waiting: Mutex<Waiting>,
    woken: Condvar,
    /// Which folders the collections were when they were looked at: device and inode.
    folders: Mutex<HashMap<String, (u64, u64)>>,
}

impl Keeper {
    fn set(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.woken.notify_all();
    }

    pub(super) fn folders(&self) -> MutexGuard<'_, HashMap<String, (u64, u64)>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass that began then found changes.
    pub(in crate::app) fn note(&self, collection: &str, since: Timestamp) {
        self.note_beside(collection, since, BTreeSet::new());
    }

    /// As [`note`](Self::note); besides, files beside the artifacts may have changed, or those in these folders.
    pub(in crate::app) fn note_beside(
        &self,
        collection: &str,
        since: Timestamp,
        beside: BTreeSet<PathBuf>,
    ) {
        self.set(|waiting| {
            let none = || Found {
                since,
                beside: BTreeSet::new(),
            };
            let known = waiting
                .changed
                .entry(collection.to_owned())
                .or_insert_with(none);
            known.since = known.since.min(since);
            known.beside.extend(beside);
            if known.beside.len() > MANY_BESIDE {
                known.beside = everywhere();
            }
        });
    }

    /// The home's own files may have changed.
    pub(in crate::app) fn note_home(&self) {
        self.set(|waiting| waiting.home = true);
    }

    /// Ends the thread.
    pub(in crate::app) fn stop(&self) {
        self.set(|waiting| waiting.is_stopping = true);
    }

    /// Waits for changes: of collections, and whether of the home; `None` at the end.
    pub(super) fn next(&self) -> Option<(BTreeMap<String, Found>, bool)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if waiting.is_stopping {
                return None;
            }
            if waiting.has_more() {
                let home = std::mem::take(&mut waiting.home);
                return Some((std::mem::take(&mut waiting.changed), home));
            }
            waiting = self
                .woken
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Rests, until something ends that.
    pub(super) fn rest(&self, pause: Duration, ends: impl Fn(&Waiting) -> bool) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.woken
                .wait_timeout_while(waiting, pause, |waiting| !ends(waiting)),
        );
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_stopping
    }

    pub(super) fn has_more(&self) -> bool {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .has_more()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn found(since: i64, beside: &[&str]) -> Found {
        Found {
            since: Timestamp(since),
            beside: beside.iter().map(PathBuf::from).collect(),
        }
    }

    #[test]
    fn a_change_ends_the_rest_before_what_can_wait() {
        let long = Duration::from_hours(1);
        let keeper = Arc::new(Keeper::default());
        let resting = {
            let keeper = Arc::clone(&keeper);
            std::thread::spawn(move || keeper.rest(long, Waiting::has_more))
        };
        keeper.note("c", Timestamp(1));
        resting.join().unwrap();
        assert!(keeper.has_more());
        assert_eq!(
            keeper.next(),
            Some((BTreeMap::from([("c".to_owned(), found(1, &[]))]), false))
        );
        let two = BTreeSet::from(["x".into(), "y".into()]);
        keeper.note_beside("c", Timestamp(2), two);
        keeper.note("c", Timestamp(1));
        let both = found(1, &["x", "y"]);
        keeper.note_home();
        assert_eq!(
            keeper.next(),
            Some((BTreeMap::from([("c".to_owned(), both)]), true))
        );
        assert!(!keeper.has_more());
        keeper.stop();
        keeper.rest(long, |waiting| waiting.is_stopping);
        assert_eq!(keeper.next(), None);
    }
}
