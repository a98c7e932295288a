//! Whether the folder of a collection answers at all. A network disk whose server went away does not fail: whoever asks
//! it for anything hangs until it is back. So threads that others wait for look at folders through threads of their
//! own, and one that is silent is left alone: its thread tells when it answers.

use std::collections::HashMap;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::reconcile::Scope;
use skillmeat_shared::time::{Clock as _, SystemClock, Timestamp};
use skillmeat_shared::{Code, Error, Result};

use super::App;
use super::change::everywhere;
use crate::store::collection;
use crate::watch::RootState;

/// How long a folder may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(1);

/// Folders beyond which old answers are forgotten.
const REMEMBERED: usize = 256;

/// Why a collection on a silent disk is unreachable, in words.
pub(super) const SILENT: &str = "its disk does not answer";

type Look = Box<dyn Fn(&Path) + Send + Sync>;

/// What is known of a folder.
struct Asked {
    /// When it was asked, or answered.
    at: Instant,
    is_open: bool,
    silent_since: Option<Timestamp>,
}

struct Inner {
    asked: Mutex<HashMap<PathBuf, Asked>>,
    answered: Condvar,
    /// Told which folder answers again.
    back: OnceLock<Look>,
    look: Look,
}

impl Inner {
    fn asked(&self) -> MutexGuard<'_, HashMap<PathBuf, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, path: &Path, look: impl FnOnce(&Path)) {
        look(path);
        let mut asked = self.asked();
        let Some(found) = asked.get_mut(path) else {
            return;
        };
        found.is_open = false;
        found.at = Instant::now();
        let was_silent = found.silent_since.take().is_some();
        drop(asked);
        self.answered.notify_all();
        if was_silent {
            tracing::info!(target: "ingest", "`{}` answers again", path.display());
            if let Some(back) = self.back.get() {
                back(path);
            }
        }
    }
}

/// Asks folders.
#[derive(Clone)]
pub(super) struct Reach(Arc<Inner>);

impl Default for Reach {
    fn default() -> Self {
        Self::by(|path| {
            // Whatever it says, it says something. Opened: what `stat` tells may be remembered for minutes, but a
            // share asks its server before it opens. It may be anything, even a pipe that nobody writes to.
            let mut options = std::fs::File::options();
            let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
            options.read(true).custom_flags(flags.bits().cast_signed());
            drop(options.open(path.join(MANIFEST)));
            drop(std::fs::read_dir(path).map(|mut entries| entries.next().is_some()));
        })
    }
}

impl Reach {
    pub(super) fn by(look: impl Fn(&Path) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            asked: Mutex::default(),
            answered: Condvar::new(),
            back: OnceLock::new(),
            look: Box::new(look),
        }))
    }

    /// Takes what to call with each folder that answers again.
    pub(super) fn on_back(&self, back: impl Fn(&Path) + Send + Sync + 'static) {
        drop(self.0.back.set(Box::new(back)));
    }

    /// Asks a folder unless that was done just now, and does not wait for the answer.
    pub(super) fn ask(&self, path: &Path) {
        self.ask_unless(path, FRESH);
    }

    /// Asks a folder unless it answered within a time.
    fn ask_unless(&self, path: &Path, answered: Duration) {
        if self.claim(path, answered) {
            let inner = Arc::clone(&self.0);
            self.spawn(path, move |path| (inner.look)(path));
        }
    }

    /// Looks at a folder, and waits for what was seen, unless the folder is silent.
    pub(super) fn through<T: Send + 'static>(
        &self,
        path: &Path,
        look: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Option<T> {
        loop {
            if !self.wait(path) {
                return None;
            }
            if self.claim(path, Duration::ZERO) {
                break;
            }
        }
        let (sender, seen) = sync_channel(1);
        self.spawn(path, move |path| drop(sender.send(look(path))));
        // Sent before it counts as an answer.
        if self.wait(path) {
            seen.try_recv().ok()
        } else {
            None
        }
    }

    /// Makes this one the only thread that looks at a folder, unless there is one or it answered within a time.
    fn claim(&self, path: &Path, answered: Duration) -> bool {
        let mut asked = self.0.asked();
        if asked
            .get(path)
            .is_some_and(|found| found.is_open || found.at.elapsed() < answered)
        {
            return false;
        }
        let begun = Asked {
            at: Instant::now(),
            is_open: true,
            silent_since: None,
        };
        if asked.len() > REMEMBERED {
            asked.retain(|_, found| found.is_open || found.at.elapsed() < FRESH);
        }
        asked.insert(path.to_owned(), begun);
        true
    }

    fn spawn(&self, path: &Path, look: impl FnOnce(&Path) + Send + 'static) {
        let (inner, place) = (Arc::clone(&self.0), path.to_owned());
        let spawned = std::thread::Builder::new()
            .name("reach".to_owned())
            .spawn(move || inner.run(&place, look));
        // Nobody waits for it: the process may end while it hangs.
        if let Err(error) = spawned {
            tracing::warn!(target: "ingest", "can't ask `{}`: {error}", path.display());
            self.0.asked().remove(path);
        }
    }

    /// Whether a folder answers; waits a moment for it, unless it is known to be silent.
    pub(super) fn answers(&self, path: &Path) -> bool {
        self.ask(path);
        self.wait(path)
    }

    /// The same, without believing an answer of before.
    pub(super) fn answers_now(&self, path: &Path) -> bool {
        self.ask_unless(path, Duration::ZERO);
        self.wait(path)
    }

    fn wait(&self, path: &Path) -> bool {
        let mut asked = self.0.asked();
        loop {
            let Some(found) = asked.get_mut(path).filter(|found| found.is_open) else {
                return true;
            };
            if found.silent_since.is_some() {
                return false;
            }
            let left = PATIENCE.saturating_sub(found.at.elapsed());
            if left.is_zero() {
                found.silent_since = Some(SystemClock.now());
                tracing::warn!(target: "ingest", "`{}` does not answer", path.display());
                return false;
            }
            let waited = self.0.answered.wait_timeout(asked, left);
            asked = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Since when a folder is silent.
    pub(super) fn silent_since(&self, path: &Path) -> Option<Timestamp> {
        self.0
            .asked()
            .get(path)
            .and_then(|found| found.silent_since)
    }

    /// The folders that are silent.
    pub(super) fn silent(&self) -> Vec<PathBuf> {
        let asked = self.0.asked();
        let silent = asked
            .iter()
            .filter(|(_, found)| found.silent_since.is_some());
        silent.map(|(path, _)| path.clone()).collect()
    }
}

/// The error for a collection whose folder can't be opened.
pub(super) fn unreachable(path: &Path, error: &std::io::Error) -> Error {
    let error = Error {
        code: Code::CollectionUnreachable,
        ..Error::io("open", path, error)
    };
    error
        .hint(
            "mount its disk, or bring the folder back; `sm collection list` tells where each lies",
        )
        .hint("if it was deleted, `sm log` names that, and `sm undo NUMBER` takes it back")
}

impl App {
    /// The folder of a collection, without links in its path. Fails if it does not answer.
    pub(super) fn real_root(&self, path: &Path) -> Result<PathBuf> {
        match self.reach.through(path, |path| std::fs::canonicalize(path)) {
            Some(Ok(real)) => Ok(real),
            Some(Err(error)) => Err(unreachable(path, &error)),
            None => {
                let message = format!("`{}` can't be reached: {SILENT}", path.display());
                Err(Error::new(Code::CollectionUnreachable, message)
                    .hint("bring its disk or its server back, or unmount it; `sm status` tells when it answers again")
                    .at(path, None))
            }
        }
    }

    /// Has a collection compared as a whole once its folder answers again.
    pub(super) fn heed_who_comes_back(self: &Arc<Self>) {
        let app = Arc::downgrade(self);
        self.reach.on_back(move |path| {
            let Some(app) = app.upgrade() else { return };
            app.ingest.look_at_home();
            app.ask_for_folder(path);
            app.indexer.wake();
            app.boot.health.stir();
        });
    }

    /// Finds out whether a folder answers, and has it left alone if not: before somebody needs it.
    pub(super) fn doubt(&self, path: &Path) {
        if self.reach.answers_now(path) {
            return;
        }
        self.ingest.look_at_home();
        self.ask_for_folder(path);
    }

    /// Asks for passes over the collections of a folder.
    fn ask_for_folder(&self, path: &Path) {
        let views = self
            .gate
            .open()
            .and_then(|store| store.read(collection::all).ok());
        for view in views.unwrap_or_default() {
            if Path::new(&view.path) == path {
                self.ingest.submit(&view.name, Scope::WHOLE, "watch");
                let since = self.boot.started_at;
                self.keeper.note_beside(&view.name, since, everywhere());
            }
        }
    }

    /// Collections whose folders are silent, as roots that nobody watches.
    pub(super) fn silent_roots(&self) -> Vec<RootState> {
        let views = self
            .gate
            .open()
            .and_then(|store| store.read(collection::all).ok());
        let silent = views.into_iter().flatten().filter_map(|view| {
            let path = PathBuf::from(&view.path);
            let since = self.reach.silent_since(&path)?;
            let reason = format!("{SILENT} since {}", since.to_rfc3339());
            Some(RootState::silent(view.name, path, reason))
        });
        silent.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::sync_channel;

    #[test]
    fn one_silent_folder_holds_one_thread_and_comes_back() {
        let (release, held) = sync_channel::<()>(0);
        let (held, asked) = (Mutex::new(held), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        let reach = Reach::by(move |path| {
            if path == Path::new("/silent") {
                count.fetch_add(1, Ordering::Relaxed);
                held.lock().unwrap().recv().unwrap();
            }
        });
        let (tell, told) = sync_channel(4);
        reach.on_back(move |path| tell.send(path.to_owned()).unwrap());
        let (silent, other) = (Path::new("/silent"), Path::new("/other"));
        assert!(!reach.answers(silent));
        let began = Instant::now();
        for _ in 0..100 {
            assert!(!reach.answers(silent));
            assert!(reach.answers(other));
        }
        assert!(began.elapsed() < PATIENCE, "nobody waits twice");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(reach.silent(), [silent]);
        assert!(reach.silent_since(silent).is_some());
        release.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), silent);
        assert!(reach.answers(silent), "its answer still counts");
        assert_eq!(reach.silent(), Vec::<PathBuf>::new());
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn what_is_not_there_answers() {
        let folder = tempfile::tempdir().unwrap();
        let reach = Reach::default();
        assert!(reach.answers(folder.path()) && reach.answers(&folder.path().join("nowhere")));
    }
}
