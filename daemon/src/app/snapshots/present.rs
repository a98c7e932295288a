//! Collections as they are: captured as a whole, or only where they changed since the last time.
//!
//! Where the watcher knows every change since a state was kept, only that is looked at. In doubt, now and then,
//! and whenever a pass over everything finds what nobody told of, all is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skillmeat_shared::Result;
use skillmeat_shared::artifact::Problem;
use skillmeat_shared::collection::layout;
use skillmeat_shared::history::{
    Again, Captured, Node, Objects, Tree, capture_again, capture_collection,
};
use skillmeat_shared::time::Timestamp;

use super::{artifacts_in, named};
use crate::app::{App, collections};
use crate::store::history::seen::SeenFolders;
use crate::store::history::{Batch, snapshot};
use crate::watch::Changes;

/// How long changes are added to a state before all is looked at once more.
const LONGEST: Duration = Duration::from_hours(24);

/// The state of a collection that was kept last, while changes since are known.
#[derive(Debug, Clone)]
struct Last {
    root: PathBuf,
    /// Which folder it was: device and inode.
    identity: Option<(u64, u64)>,
    state: Captured,
    node: Node,
    artifacts: u64,
    /// When all of it was looked at.
    walked_at: Timestamp,
}

/// States that were kept last, by collection.
#[derive(Debug, Default)]
pub(in crate::app) struct Lasts(Mutex<BTreeMap<String, Last>>);

impl Lasts {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed of which nobody told.
    pub(in crate::app) fn forget(&self, collection: &str) {
        self.all().remove(collection);
    }
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Everything.
    Whole,
    /// What changed, if that is known.
    Changes,
}

/// A collection as it is.
pub(super) struct Present {
    pub(super) captured: Captured,
    /// Its folder.
    pub(super) node: Node,
    pub(super) artifacts: u64,
    pub(super) seen: SeenFolders,
    identity: Option<(u64, u64)>,
    walked_at: Timestamp,
    /// Whether changes from here on are known.
    is_followed: bool,
}

impl App {
    /// Captures a collection that is about to be kept: what changes from here on is what will be looked at next time.
    /// The mutation lock is held.
    pub(super) fn capture_to_keep(
        &self,
        (name, root): (&str, &Path),
        how: How,
        batch: &Batch<'_>,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<Present> {
        let mut lasts = self.lasts.all();
        let last = lasts.remove(name).filter(|_| how == How::Changes);
        let changes = self.changes(name, true);
        drop(lasts);
        self.capture_present((name, root), last, &changes, batch, tell)
    }

    /// What was captured is about to be kept.
    pub(super) fn is_kept(&self, name: &str, root: &Path, present: &Present) {
        if present.is_followed {
            let last = Last {
                root: root.to_owned(),
                identity: present.identity,
                state: present.captured.clone(),
                node: present.node.clone(),
                artifacts: present.artifacts,
                walked_at: present.walked_at,
            };
            self.lasts.all().insert(name.to_owned(), last);
        }
    }

    /// The collection as it is, with the objects to read it by, which are not kept.
    pub(super) fn state_now(&self, name: &str) -> Result<(Node, Batch<'_>)> {
        let root = self.collection_root(name)?;
        let lasts = self.lasts.all();
        let last = lasts.get(name).cloned();
        let changes = match last {
            Some(_) => self.changes(name, false),
            None => Changes::Unknown,
        };
        drop(lasts);
        let batch = self.history.batch();
        let present = self.capture_present((name, &root), last, &changes, &batch, &|_| {})?;
        Ok((present.node, batch))
    }

    fn changes(&self, name: &str, anew: bool) -> Changes {
        self.watcher
            .get()
            .map_or(Changes::Unknown, |watcher| watcher.changes(name, anew))
    }

    fn capture_present(
        &self,
        (name, root): (&str, &Path),
        last: Option<Last>,
        changes: &Changes,
        batch: &Batch<'_>,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<Present> {
        if let (Some(last), Changes::Only(changed)) = (last, changes) {
            match self.capture_changes(name, root, &last, changed, batch) {
                Ok(Some(present)) => return Ok(present),
                Ok(None) => {}
                Err(error) => tracing::debug!(
                    target: "history", collection = name, "all of it is looked at: {error}"
                ),
            }
        }
        let walked_at = self.now();
        let identity = identity(root);
        let seen = self
            .history
            .read(|connection| SeenFolders::load(connection, root))?;
        let captured = capture_collection(root, batch, &seen, tell)?;
        let node = captured.node.clone();
        let node = node.ok_or_else(|| collections::not_found(name))?;
        Ok(Present {
            artifacts: artifacts_in(batch, &node)?.len() as u64,
            captured,
            node,
            seen,
            identity,
            walked_at,
            is_followed: *changes != Changes::Unknown,
        })
    }

    /// Looks only where the collection changed. Nothing if the last state is of no use.
    fn capture_changes(
        &self,
        name: &str,
        root: &Path,
        last: &Last,
        changed: &BTreeSet<PathBuf>,
        batch: &Batch<'_>,
    ) -> Result<Option<Present>> {
        let since = self.now().0.saturating_sub(last.walked_at.0);
        let is_recent = u128::try_from(since).is_ok_and(|since| since < LONGEST.as_nanos());
        // If a folder above it was replaced, no event told.
        let is_same = last.root == root && last.identity == identity(root);
        if !is_same || !is_recent {
            return Ok(None);
        }
        let (has_state, seen) = self.history.read(|connection| {
            let has_state = snapshot::has_state(connection, name, &last.node)?;
            let seen = SeenFolders::load_around(connection, root, changed)?;
            Ok((has_state, seen))
        })?;
        if !has_state {
            return Ok(None);
        }
        let again = Again {
            before: &last.state,
            changed,
        };
        let (mut captured, changes) = capture_again(root, &again, batch, &seen)?;
        let Some(node) = captured.node.clone() else {
            return Ok(None);
        };
        let stays = last.state.left_out.iter().filter(|one| stays(one, changed));
        captured.left_out.extend(stays.cloned());
        let mut artifacts = last.artifacts;
        for change in &changes {
            artifacts =
                artifacts.saturating_sub(count(batch, &change.path, change.before.as_ref())?);
            artifacts += count(batch, &change.path, change.after.as_ref())?;
        }
        Ok(Some(Present {
            captured,
            node,
            artifacts,
            seen,
            identity: last.identity,
            walked_at: last.walked_at,
            is_followed: true,
        }))
    }
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(folder).ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether something that could not be kept was not looked at again.
fn stays(problem: &Problem, changed: &BTreeSet<PathBuf>) -> bool {
    let Some(path) = problem.path.as_deref().map(Path::new) else {
        return false;
    };
    path.components().count() > 1 && !changed.iter().any(|place| path.starts_with(place))
}

/// The artifacts that a place of one or two names is or holds.
fn count(objects: &dyn Objects, path: &Path, node: Option<&Node>) -> Result<u64> {
    let mut names = path.iter();
    let (Some(container), name, Some(node)) = (names.next(), names.next(), node) else {
        return Ok(0);
    };
    if !layout::is_container(container) {
        return Ok(0);
    }
    match (name, node) {
        (Some(name), node) => Ok(u64::from(named(container, name, node).is_some())),
        (None, Node::Folder { hash, .. }) => {
            let tree = Tree::load(objects, hash)?;
            let entries = tree.entries().iter();
            let found =
                entries.filter(|entry| named(container, &entry.name, &entry.node).is_some());
            Ok(found.count() as u64)
        }
        (None, _) => Ok(0),
    }
}
