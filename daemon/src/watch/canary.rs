//! A file that is touched to hear whether the kernel's events still arrive.
//!
//! Event streams die without a word after days or after a sleep. Only an event that must come tells.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The file's name in the folder of what lives no longer than the process.
const NAME: &str = "canary";

#[derive(Debug, Default)]
struct State {
    heard: u64,
    cancelled: bool,
}

/// The file, and how often it was heard of.
#[derive(Debug)]
pub(crate) struct Canary {
    path: PathBuf,
    state: Mutex<State>,
    news: Condvar,
}

impl Canary {
    /// A canary in this folder, which need not exist yet.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join(NAME),
            state: Mutex::default(),
            news: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder that must be watched meanwhile.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Takes an event; true if it is of the canary and nobody else's.
    pub(crate) fn hears(&self, path: &Path) -> bool {
        if path != self.path {
            return false;
        }
        self.state().heard += 1;
        self.news.notify_all();
        true
    }

    /// Ends all waiting, now and later.
    pub(crate) fn cancel(&self) {
        self.state().cancelled = true;
        self.news.notify_all();
    }

    /// Touches the file and waits for its event, not longer than `patience`. `None`: that can't be told.
    pub(crate) fn sings(&self, patience: Duration) -> Option<bool> {
        let before = self.state().heard;
        if let Err(error) = self.touch() {
            tracing::warn!(path = %self.path.display(), %error, "can't find out whether events arrive");
            return None;
        }
        let end = Instant::now() + patience;
        let mut state = self.state();
        while state.heard == before && !state.cancelled {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .news
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let (heard, cancelled) = (state.heard != before, state.cancelled);
        drop(state);
        // It may be gone already: others clean this folder, too.
        drop(fs::remove_file(&self.path));
        (heard || !cancelled).then_some(heard)
    }

    fn touch(&self) -> io::Result<()> {
        File::create(&self.path)?.write_all(b"watched\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_heard_or_not_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let canary = Canary::new(dir.path());
        assert_eq!(canary.sings(Duration::from_millis(20)), Some(false));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| canary.sings(Duration::from_secs(20)));
            let path = dir.path().join(NAME);
            let end = Instant::now() + Duration::from_secs(20);
            while !path.exists() {
                assert!(Instant::now() < end, "it is never touched");
                std::thread::yield_now();
            }
            assert!(!canary.hears(&dir.path().join("other")));
            assert!(canary.hears(&path));
            assert_eq!(waits.join().unwrap(), Some(true));
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn nobody_waits_at_the_end_or_without_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let canary = Canary::new(&dir.path().join("none"));
        assert_eq!(canary.sings(Duration::from_secs(20)), None);
        let canary = Canary::new(dir.path());
        canary.cancel();
        assert_eq!(canary.sings(Duration::from_secs(20)), None);
    }
}
