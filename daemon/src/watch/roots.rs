//! The watched folders and what is known of each: `Watching`, `Missing` or `Failed`.
//!
//! A root is never dropped because a disk vanished: it turns `Missing`, the nearest folder above it that
//! exists is watched instead, and it comes back by itself.

use std::fs;
use std::path::{Path, PathBuf};

use skillmeat_shared::time::Timestamp;

use super::backend::{Backend, Depth, Refusal};

/// A folder to watch with everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRoot {
    /// The collection's name.
    pub name: String,
    /// The folder, absolute.
    pub path: PathBuf,
}

/// Whether a root is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Changes are seen.
    Watching,
    /// The folder isn't there.
    Missing,
    /// The folder is there but can't be watched, or only in part.
    Failed,
}

impl State {
    /// The name, as status shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Missing => "missing",
            Self::Failed => "failed",
        }
    }
}

/// What status tells of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootState {
    /// The collection's name.
    pub name: String,
    /// The folder as it was given.
    pub path: PathBuf,
    /// Whether it is watched.
    pub state: State,
    /// How it is watched.
    pub backend: &'static str,
    /// When the last event came.
    pub last_event_at: Option<Timestamp>,
    /// Why, if it isn't watched; empty otherwise.
    pub reason: String,
    /// Events since the root was set.
    pub events: u64,
    /// Of these, echoes of our own writes.
    pub echoes: u64,
    /// How often events were lost.
    pub overflows: u64,
}

#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) shown: RootState,
    /// The folder with links resolved: what the kernel's paths begin with.
    pub(crate) real: PathBuf,
    /// The folder above that is watched while this one is missing.
    waiting_at: Option<PathBuf>,
}

/// All roots, and the folders of the home that are watched besides.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) roots: Vec<Root>,
    /// Folders that are watched without their trees in any case.
    pub(crate) fixed: Vec<PathBuf>,
}

impl Root {
    fn new(root: WatchRoot) -> Self {
        let real = real_path(&root.path);
        Self {
            shown: RootState {
                name: root.name,
                path: root.path,
                state: State::Missing,
                backend: "native",
                last_event_at: None,
                reason: String::new(),
                events: 0,
                echoes: 0,
                overflows: 0,
            },
            real,
            waiting_at: None,
        }
    }

    /// Sets the state with its reason.
    pub(crate) fn fail(&mut self, refusal: &Refusal) {
        self.shown.state = if *refusal == Refusal::Missing {
            State::Missing
        } else {
            State::Failed
        };
        self.shown.reason = refusal.reason();
    }
}

impl Table {
    /// Takes over a new list of roots: arms the new ones and those that aren't watched, forgets the
    /// absent ones. Returns the names of known roots that are watched again.
    pub(crate) fn replace(
        &mut self,
        wanted: Vec<WatchRoot>,
        backend: &mut dyn Backend,
    ) -> Vec<String> {
        let mut old = std::mem::take(&mut self.roots);
        let mut known = Vec::new();
        for root in wanted {
            let same = |old: &Root| old.shown.name == root.name && old.shown.path == root.path;
            if let Some(at) = old.iter().position(same) {
                known.push(root.name);
                self.roots.push(old.swap_remove(at));
            } else {
                self.roots.push(Root::new(root));
            }
        }
        let mut unwatched = false;
        for gone in old {
            backend.unwatch(&gone.real);
            unwatched = true;
            if let Some(folder) = &gone.waiting_at {
                self.release(folder, backend);
            }
        }
        let mut back = Vec::new();
        for at in 0..self.roots.len() {
            let watching = self.state_at(at) == Some(State::Watching);
            // An overlapping root may have taken watches of this one with it.
            if !watching || unwatched {
                self.arm(at, backend);
            }
            if !watching
                && let Some(root) = self.roots.get(at)
                && root.shown.state == State::Watching
                && known.contains(&root.shown.name)
            {
                back.push(root.shown.name.clone());
            }
        }
        back
    }

    /// The positions of the roots at or above a path.
    pub(crate) fn at(&self, path: &Path) -> Vec<usize> {
        self.select(|root| path.starts_with(&root.real))
    }

    /// The positions of the roots that aren't watched and lie at or below a path.
    pub(crate) fn waiting_below(&self, path: &Path) -> Vec<usize> {
        self.select(|root| root.shown.state != State::Watching && root.real.starts_with(path))
    }

    /// The positions of the roots that aren't there.
    pub(crate) fn missing(&self) -> Vec<usize> {
        self.select(|root| root.shown.state == State::Missing)
    }

    fn select(&self, wanted: impl Fn(&Root) -> bool) -> Vec<usize> {
        let numbered = self.roots.iter().enumerate();
        numbered
            .filter(|(_, root)| wanted(root))
            .map(|(at, _)| at)
            .collect()
    }

    fn state_at(&self, at: usize) -> Option<State> {
        self.roots.get(at).map(|root| root.shown.state)
    }

    /// Watches a root anew, whatever stood before. True if it is watched now.
    pub(crate) fn rearm(&mut self, at: usize, backend: &mut dyn Backend) -> bool {
        if let Some(root) = self.roots.get(at) {
            backend.unwatch(&root.real);
        }
        self.arm(at, backend)
    }

    fn arm(&mut self, at: usize, backend: &mut dyn Backend) -> bool {
        let Some(root) = self.roots.get_mut(at) else {
            return false;
        };
        root.real = real_path(&root.shown.path);
        let is_folder = fs::metadata(&root.real).is_ok_and(|metadata| metadata.is_dir());
        let watched = if is_folder {
            backend.watch(&root.real, Depth::Tree)
        } else {
            Err(Refusal::Missing)
        };
        let left = root.waiting_at.take();
        match watched {
            Ok(()) => {
                root.shown.state = State::Watching;
                root.shown.reason.clear();
            }
            Err(refusal) => {
                root.fail(&refusal);
                if refusal == Refusal::Missing {
                    let above = root.real.ancestors().skip(1).find(|path| path.is_dir());
                    root.waiting_at = above.map(Path::to_owned);
                }
            }
        }
        let now = root.waiting_at.clone();
        let watching = root.shown.state == State::Watching;
        if left != now
            && let Some(folder) = left
        {
            self.release(&folder, backend);
        }
        if let Some(folder) = now
            && !self.is_covered(&folder)
        {
            // Without this watch the root comes back when the list of roots is next set.
            drop(backend.watch(&folder, Depth::Entries));
        }
        watching
    }

    /// Stops watching a folder that a root waited at, unless somebody else needs it.
    fn release(&self, folder: &Path, backend: &mut dyn Backend) {
        let needed = self
            .roots
            .iter()
            .any(|root| root.waiting_at.as_deref() == Some(folder));
        if !needed && !self.is_covered(folder) {
            backend.unwatch(folder);
        }
    }

    fn is_covered(&self, folder: &Path) -> bool {
        self.fixed.iter().any(|fixed| fixed == folder)
            || self
                .roots
                .iter()
                .any(|root| root.shown.state == State::Watching && folder.starts_with(&root.real))
    }
}

/// The path with links resolved, as far as it exists.
fn real_path(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(real) = fs::canonicalize(above)
            && let Ok(rest) = path.strip_prefix(above)
        {
            return if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records what is watched; refuses by list.
    #[derive(Default)]
    struct Fake {
        watched: Vec<PathBuf>,
        refused: Vec<PathBuf>,
    }

    impl Backend for Fake {
        fn watch(&mut self, path: &Path, _: Depth) -> Result<(), Refusal> {
            if self.refused.iter().any(|refused| refused == path) {
                return Err(Refusal::Limit);
            }
            self.watched.push(path.to_owned());
            Ok(())
        }

        fn unwatch(&mut self, path: &Path) {
            self.watched.retain(|watched| watched != path);
        }
    }

    fn root(name: &str, path: &Path) -> WatchRoot {
        WatchRoot {
            name: name.to_owned(),
            path: path.to_owned(),
        }
    }

    #[test]
    fn the_limit_fails_one_root_and_names_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (good, bad) = (base.join("good"), base.join("bad"));
        fs::create_dir(&good).unwrap();
        fs::create_dir(&bad).unwrap();
        let mut fake = Fake {
            refused: vec![bad.clone()],
            ..Fake::default()
        };
        let mut table = Table::default();
        table.replace(vec![root("bad", &bad), root("good", &good)], &mut fake);
        let states: Vec<State> = table.roots.iter().map(|root| root.shown.state).collect();
        assert_eq!(states, [State::Failed, State::Watching]);
        assert!(table.roots[0].shown.reason.contains("max_user_watches"));
        fake.refused.clear();
        let back = table.replace(vec![root("bad", &bad), root("good", &good)], &mut fake);
        assert_eq!(back, ["bad"]);
        assert_eq!(table.roots[0].shown.reason, "");
    }

    #[test]
    fn a_missing_root_waits_above_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let path = base.join("a/b");
        let mut fake = Fake::default();
        let mut table = Table::default();
        table.replace(vec![root("b", &path)], &mut fake);
        assert_eq!(table.missing(), [0]);
        assert_eq!(fake.watched, std::slice::from_ref(&base));
        fs::create_dir(base.join("a")).unwrap();
        assert_eq!(table.waiting_below(&base.join("a")), [0]);
        assert!(!table.rearm(0, &mut fake));
        assert_eq!(fake.watched, [base.join("a")]);
        fs::create_dir(&path).unwrap();
        assert!(table.rearm(0, &mut fake));
        assert_eq!(fake.watched, [path]);
    }

    #[test]
    fn a_root_behind_a_link_is_watched_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir(base.join("real")).unwrap();
        std::os::unix::fs::symlink(base.join("real"), base.join("link")).unwrap();
        let mut fake = Fake::default();
        let mut table = Table::default();
        table.replace(vec![root("x", &base.join("link"))], &mut fake);
        assert_eq!(fake.watched, [base.join("real")]);
        assert_eq!(table.at(&base.join("real/skills/a")), [0]);
        assert_eq!(table.roots[0].shown.path, base.join("link"));
    }

    #[test]
    fn removed_roots_are_forgotten_and_overlaps_stay_watched() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir(base.join("in")).unwrap();
        let mut fake = Fake::default();
        let mut table = Table::default();
        table.replace(
            vec![root("out", &base), root("in", &base.join("in"))],
            &mut fake,
        );
        assert_eq!(table.at(&base.join("in/x")), [0, 1]);
        fake.watched.clear();
        table.replace(vec![root("out", &base)], &mut fake);
        assert_eq!(fake.watched, std::slice::from_ref(&base), "watched again");
        assert_eq!(table.roots.len(), 1);
    }
}
