//! The watched folders and what is known of each: `Watching`, `Missing` or `Failed`.
//!
//! A root is never dropped because a disk vanished: it turns `Missing`, the nearest folder above it that
//! exists is watched instead, and it comes back by itself. A folder in which nothing is counts as missing,
//! too: so looks the place of a disk that was unmounted.

use std::path::{Path, PathBuf};

use super::backend::{Depth, Refusal};
use super::choice::{Armed, Trouble, Watches};
use super::place::Containers;
use super::state::{RootState, State};
use super::trail::Trail;

/// A folder to watch with everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRoot {
    /// The collection's name.
    pub name: String,
    /// The folder, absolute.
    pub path: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) shown: RootState,
    /// The folder with links resolved: what the kernel's paths begin with.
    pub(crate) real: PathBuf,
    /// The folder above that is watched while this one is missing.
    waiting_at: Option<PathBuf>,
    /// Which folder is watched: device and inode.
    identity: Option<(u64, u64)>,
    /// The same of the containers in it, on which disks may be mounted.
    containers: Containers,
    /// Its disk may fall silent.
    pub(crate) is_far: bool,
    /// Where events told of changes.
    pub(crate) trail: Trail,
}

/// All roots, and the folders of the home that are watched besides.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) roots: Vec<Root>,
    /// Folders that are watched without their trees in any case.
    pub(crate) fixed: Vec<PathBuf>,
    /// Folders that are not to be touched.
    pub(crate) silent: Vec<PathBuf>,
}

impl Root {
    fn new(root: WatchRoot) -> Self {
        let real = root.path.clone();
        Self {
            shown: RootState::unwatched(root.name, root.path, State::Missing, String::new()),
            real,
            waiting_at: None,
            identity: None,
            containers: Containers::new(),
            is_far: false,
            trail: Trail::default(),
        }
    }

    /// Sets the state with its reason.
    fn fail(&mut self, refusal: &Refusal) {
        self.shown.state = match refusal {
            Refusal::Missing | Refusal::Empty => State::Missing,
            Refusal::Silent => State::Unresponsive,
            Refusal::Limit | Refusal::Instances | Refusal::Other(_) => State::Failed,
        };
        self.shown.trouble = match refusal {
            Refusal::Missing | Refusal::Empty | Refusal::Silent => None,
            Refusal::Limit | Refusal::Instances => Some(Trouble::Limit { needed: 0 }),
            Refusal::Other(_) => Some(Trouble::Refused),
        };
        self.shown.reason = refusal.reason();
    }

    /// Whether it isn't what it was when its watch was set. What does not answer is left as it is.
    fn has_moved(&self, watches: &Watches) -> bool {
        let place = watches.place(&self.shown.path);
        place.is_some_and(|place| {
            place.real != self.real
                || place.containers != self.containers
                || place.identity.ok() != self.identity
        })
    }

    /// Takes over how watching it went.
    fn take_over(&mut self, armed: Result<Armed, Refusal>) {
        // What changed while it was not watched, nobody told.
        self.trail.lose();
        match armed {
            Ok(armed) => {
                self.shown.state = State::Watching;
                self.shown.by = armed.by;
                self.shown.reason = armed.reason;
                self.shown.trouble = armed.trouble;
            }
            Err(refusal) => self.fail(&refusal),
        }
    }
}

impl Table {
    /// Takes over a new list of roots: arms the new ones, those that aren't watched and those that aren't what they
    /// were, forgets the absent ones. Returns the names of known roots that are watched again.
    pub(crate) fn replace(&mut self, wanted: Vec<WatchRoot>, watches: &mut Watches) -> Vec<String> {
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
            watches.unwatch(&gone.real);
            unwatched = true;
            if let Some(folder) = &gone.waiting_at {
                self.release(folder, watches);
            }
        }
        let mut back = Vec::new();
        for at in 0..self.roots.len() {
            let is_armed =
                |root: &Root| root.shown.state == State::Watching && !root.has_moved(watches);
            let watching = self.roots.get(at).is_some_and(is_armed);
            // An overlapping root may have taken watches of this one with it.
            if watching && unwatched {
                self.arm(at, watches);
            } else if !watching {
                self.rearm(at, watches);
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

    /// Whether a path lies on a disk that may fall silent, as far as roots tell.
    pub(crate) fn is_far(&self, path: &Path) -> bool {
        let mut roots = self.roots.iter();
        roots.any(|root| root.is_far && path.starts_with(&root.real))
    }

    /// The folder of a root as it was given.
    pub(crate) fn given(&self, real: &Path) -> Option<PathBuf> {
        let root = self.roots.iter().find(|root| root.real == real)?;
        Some(root.shown.path.clone())
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

    /// Watches a root anew, whatever stood before. True if it is watched now.
    pub(crate) fn rearm(&mut self, at: usize, watches: &mut Watches) -> bool {
        if let Some(root) = self.roots.get(at) {
            watches.unwatch(&root.real);
        }
        self.arm(at, watches)
    }

    fn arm(&mut self, at: usize, watches: &mut Watches) -> bool {
        let Some(root) = self.roots.get_mut(at) else {
            return false;
        };
        let Some(place) = watches.place(&root.shown.path) else {
            root.identity = None;
            root.take_over(Err(Refusal::Silent));
            return false;
        };
        root.real.clone_from(&place.real);
        root.identity = place.identity.as_ref().ok().copied();
        root.containers.clone_from(&place.containers);
        root.is_far = place.is_far();
        let found = place.identity.clone();
        let armed = found.and_then(|_| watches.watch_at(&root.real, Depth::Tree, &place));
        let waits = matches!(armed, Err(Refusal::Missing | Refusal::Empty));
        root.take_over(armed);
        let left = root.waiting_at.take();
        root.waiting_at = place.above.filter(|_| waits);
        let now = root.waiting_at.clone();
        let real = root.real.clone();
        let watching = root.shown.state == State::Watching;
        if left != now
            && let Some(folder) = left
        {
            self.release(&folder, watches);
        }
        if let Some(folder) = now {
            if !self.is_covered(&folder) {
                // Without this watch the root comes back when the list of roots is next set.
                drop(watches.watch(&folder, Depth::Entries));
            }
            watches.wait_for(&real);
        }
        watching
    }

    /// Looks at a root instead of having the kernel tell, since that refuses a folder below it.
    pub(crate) fn degrade(&mut self, at: usize, refusal: &Refusal, watches: &mut Watches) {
        if let Some(root) = self.roots.get_mut(at) {
            let armed = watches.degrade(&root.real, Depth::Tree, refusal);
            root.take_over(armed);
        }
    }

    /// The positions of the roots that aren't what they were when their watch was set: there or not,
    /// another folder, behind another link. And of those that the kernel might watch after all.
    pub(crate) fn outdated(&self, watches: &Watches) -> Vec<usize> {
        self.select(|root| {
            root.shown.trouble.is_some()
                || root.shown.state == State::Failed
                || root.has_moved(watches)
        })
    }

    /// The positions of the roots on disks that always answer which aren't what they were when their watch was set.
    pub(crate) fn all_moved(&self, watches: &Watches) -> Vec<usize> {
        self.select(|root| !root.is_far && root.has_moved(watches))
    }

    /// The position of a root if it isn't what it was when its watch was set.
    pub(crate) fn moved(&self, name: &str, watches: &Watches) -> Option<usize> {
        let is_it = |root: &Root| root.shown.name == name && root.has_moved(watches);
        self.roots.iter().position(is_it)
    }

    /// The positions of the roots that exceed a limit of the kernel.
    pub(crate) fn limited(&self) -> Vec<usize> {
        self.select(|root| matches!(root.shown.trouble, Some(Trouble::Limit { .. })))
    }

    /// Stops watching a folder that a root waited at, unless somebody else needs it.
    fn release(&self, folder: &Path, watches: &mut Watches) {
        let needed = self
            .roots
            .iter()
            .any(|root| root.waiting_at.as_deref() == Some(folder));
        if !needed && !self.is_covered(folder) {
            watches.unwatch(folder);
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

#[cfg(test)]
mod tests {
    use std::fs;

    use skillmeat_shared::config::WatchBackend;

    use super::super::choice::{By, fake};
    use super::*;

    fn root(name: &str, path: &Path) -> WatchRoot {
        WatchRoot {
            name: name.to_owned(),
            path: path.to_owned(),
        }
    }

    /// A folder that isn't empty.
    fn folder(path: &Path) {
        fs::create_dir_all(path.join("skills")).unwrap();
    }

    #[test]
    fn the_limit_makes_one_root_polled_until_it_is_raised() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (good, bad) = (base.join("good"), base.join("bad"));
        folder(&good);
        folder(&bad);
        let (native, poll, mut watches) = fake::watches(WatchBackend::Auto);
        native.refuse(&[&bad], Refusal::Limit);
        let mut table = Table::default();
        let roots = vec![root("bad", &bad), root("good", &good)];
        table.replace(roots.clone(), &mut watches);
        let shown = |table: &Table| {
            let of = |root: &Root| (root.shown.state, root.shown.by);
            table.roots.iter().map(of).collect::<Vec<_>>()
        };
        let watching = |by| (State::Watching, by);
        assert_eq!(shown(&table), [watching(By::Poll), watching(By::Native)]);
        assert!(table.roots[0].shown.reason.contains("limit"));
        assert_eq!(table.limited(), [0]);
        assert_eq!(table.outdated(&watches), [0]);
        assert_eq!(poll.watched(), std::slice::from_ref(&bad));
        native.clear();
        assert!(table.rearm(0, &mut watches));
        assert_eq!(shown(&table), [watching(By::Native), watching(By::Native)]);
        assert_eq!(table.roots[0].shown.reason, "");
        assert!(poll.watched().is_empty() && table.limited().is_empty());
        // A folder deep in it, later.
        table.degrade(1, &Refusal::Limit, &mut watches);
        assert_eq!(shown(&table), [watching(By::Native), watching(By::Poll)]);
    }

    #[test]
    fn a_missing_root_waits_above_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let path = base.join("a/b");
        let (native, poll, mut watches) = fake::watches(WatchBackend::Auto);
        let mut table = Table::default();
        table.replace(vec![root("b", &path)], &mut watches);
        assert_eq!(table.missing(), [0]);
        assert_eq!(native.watched(), std::slice::from_ref(&base));
        // A disk that is mounted tells nobody.
        assert_eq!(poll.watched(), std::slice::from_ref(&path));
        fs::create_dir(base.join("a")).unwrap();
        assert_eq!(table.waiting_below(&base.join("a")), [0]);
        assert!(!table.rearm(0, &mut watches));
        assert_eq!(native.watched(), [base.join("a")]);
        folder(&path);
        assert_eq!(table.outdated(&watches), [0]);
        assert!(table.rearm(0, &mut watches));
        assert_eq!(native.watched(), [path]);
        assert!(poll.watched().is_empty() && table.outdated(&watches).is_empty());
    }

    #[test]
    fn an_emptied_root_is_missing_and_watched_for_what_comes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("c");
        folder(&path);
        let (native, poll, mut watches) = fake::watches(WatchBackend::Auto);
        let mut table = Table::default();
        table.replace(vec![root("c", &path)], &mut watches);
        assert_eq!(table.roots[0].shown.state, State::Watching);
        fs::remove_dir(path.join("skills")).unwrap();
        assert_eq!(table.outdated(&watches), [0]);
        assert!(!table.rearm(0, &mut watches));
        assert_eq!(table.roots[0].shown.state, State::Missing);
        assert!(table.roots[0].shown.reason.contains("empty"));
        assert_eq!(native.watched(), std::slice::from_ref(&path));
        assert_eq!(poll.watched(), std::slice::from_ref(&path));
        folder(&path);
        assert!(table.rearm(0, &mut watches));
        assert_eq!(native.watched(), [path]);
    }

    #[test]
    fn another_folder_in_its_place_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        for name in ["one", "two", "plain", "new"] {
            folder(&base.join(name));
        }
        let link = base.join("link");
        std::os::unix::fs::symlink(base.join("one"), &link).unwrap();
        let (native, _, mut watches) = fake::watches(WatchBackend::Auto);
        let mut table = Table::default();
        let plain = base.join("plain");
        table.replace(vec![root("a", &link), root("b", &plain)], &mut watches);
        assert!(table.outdated(&watches).is_empty());
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(base.join("two"), &link).unwrap();
        fs::remove_dir_all(&plain).unwrap();
        let moved = std::process::Command::new("mv")
            .arg(base.join("new"))
            .arg(&plain)
            .status();
        assert!(moved.unwrap().success());
        assert_eq!(table.outdated(&watches), [0, 1]);
        assert_eq!(
            (table.moved("b", &watches), table.moved("c", &watches)),
            (Some(1), None)
        );
        assert!(table.rearm(0, &mut watches));
        assert_eq!(native.watched(), [plain, base.join("two")]);
    }

    #[test]
    fn a_root_behind_a_link_is_watched_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        folder(&base.join("real"));
        std::os::unix::fs::symlink(base.join("real"), base.join("link")).unwrap();
        let (native, _, mut watches) = fake::watches(WatchBackend::Auto);
        let mut table = Table::default();
        table.replace(vec![root("x", &base.join("link"))], &mut watches);
        assert_eq!(native.watched(), [base.join("real")]);
        assert_eq!(table.at(&base.join("real/skills/a")), [0]);
        assert_eq!(table.roots[0].shown.path, base.join("link"));
    }

    #[test]
    fn removed_roots_are_forgotten_and_overlaps_stay_watched() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        folder(&base.join("in"));
        let (native, _, mut watches) = fake::watches(WatchBackend::Auto);
        let mut table = Table::default();
        table.replace(
            vec![root("out", &base), root("in", &base.join("in"))],
            &mut watches,
        );
        assert_eq!(table.at(&base.join("in/x")), [0, 1]);
        native.clear();
        table.replace(vec![root("out", &base)], &mut watches);
        assert_eq!(native.watched(), [base], "watched again");
        assert_eq!(table.roots.len(), 1);
    }
}
