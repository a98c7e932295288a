//! A file that is made to hear whether the kernel's events still arrive, and that all before it did.
//!
//! Event streams die without a word after days or after a sleep. Only an event that must come tells. As the
//! kernel keeps events in the order in which they happened, one that came also tells that no older one is
//! still on its way.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the file's name begins, in the folder of what lives no longer than the process. A number follows: the echo
/// of one song is not taken for the next.
const NAME: &str = "canary-";

#[derive(Debug, Default)]
struct State {
    /// The last one that was sent.
    sent: u64,
    /// The last one that was heard.
    heard: u64,
    /// The last one of which those who wait were told.
    told: u64,
    cancelled: bool,
}

/// The file, and how much of it was heard.
#[derive(Debug)]
pub(crate) struct Canary {
    folder: PathBuf,
    state: Mutex<State>,
    news: Condvar,
    /// One sings at a time: each has the folder watched.
    singing: Mutex<()>,
}

impl Canary {
    /// A canary in this folder, which need not exist yet.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            state: Mutex::default(),
            news: Condvar::new(),
            singing: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder that must be watched meanwhile.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets nobody else sing meanwhile.
    pub(crate) fn alone(&self) -> MutexGuard<'_, ()> {
        self.singing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event; true if it is of the canary and nobody else's.
    pub(crate) fn hears(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix(NAME));
        let Some(number) = number.and_then(|number| number.parse().ok()) else {
            return false;
        };
        if path.parent() != Some(&self.folder) {
            return false;
        }
        let mut state = self.state();
        state.heard = state.heard.max(number);
        true
    }

    /// Tells those who wait of what was heard: all that came before it was taken in.
    pub(crate) fn tell(&self) {
        let mut state = self.state();
        if state.told < state.heard {
            state.told = state.heard;
            self.news.notify_all();
        }
    }

    /// Ends all waiting, now and later.
    pub(crate) fn cancel(&self) {
        self.state().cancelled = true;
        self.news.notify_all();
    }

    /// Makes the file and waits for its event, not longer than `patience`. `None`: that can't be told.
    pub(crate) fn sings(&self, patience: Duration) -> Option<bool> {
        let number = {
            let mut state = self.state();
            state.sent += 1;
            state.sent
        };
        let path = self.folder.join(format!("{NAME}{number}"));
        if let Err(error) = touch(&path) {
            tracing::warn!(path = %path.display(), %error, "can't find out whether events arrive");
            return None;
        }
        let (state, _) = self
            .news
            .wait_timeout_while(self.state(), patience, |state| {
                state.told < number && !state.cancelled
            })
            .unwrap_or_else(PoisonError::into_inner);
        let (heard, cancelled) = (state.told >= number, state.cancelled);
        drop(state);
        // It may be gone already: others clean this folder, too.
        drop(fs::remove_file(&path));
        (heard || !cancelled).then_some(heard)
    }
}

fn touch(path: &Path) -> io::Result<()> {
    File::create(path)?.write_all(b"watched\n")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn it_is_heard_or_not_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let canary = Canary::new(dir.path());
        assert_eq!(canary.sings(Duration::from_millis(20)), Some(false));
        // The echo of the last song does not count.
        assert!(canary.hears(&dir.path().join("canary-1")));
        canary.tell();
        assert_eq!(canary.sings(Duration::from_millis(20)), Some(false));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| canary.sings(Duration::from_secs(20)));
            let path = dir.path().join("canary-3");
            let end = Instant::now() + Duration::from_secs(20);
            while !path.exists() {
                assert!(Instant::now() < end, "it is never made");
                std::thread::yield_now();
            }
            for other in ["other", "canary-", "canary-x", "deep/canary-3"] {
                assert!(!canary.hears(&dir.path().join(other)), "{other}");
            }
            assert!(canary.hears(&path));
            assert!(!waits.is_finished(), "nobody was told yet");
            canary.tell();
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
