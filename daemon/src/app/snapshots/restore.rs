//! Going back: a whole collection to a snapshot, or single artifacts (`artifacts.rs`).
//!
//! Both are changes as all others: planned, recorded, applied as a whole or not at all, and taken back by
//! `undo`. Before a rollback, a snapshot of the collection as it is makes sure of what no record would hold.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use skillmeat_shared::collection::{layout, spelling};
use skillmeat_shared::history::diff::{self, Change};
use skillmeat_shared::history::{Node, Objects, object};
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::thread::in_halves;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::artifacts::some;
use super::name::Called;
use super::ratings::Turned;
use super::{How, Origin};
use crate::app::App;
use crate::app::change::{Actor, Asked, Caller, ChangeItem, ChangeSummary, Draft, Place, Turn};
use crate::store::history::{Batch, snapshot};

/// What the snapshot before a rollback says; the ancestor's say the same.
const BEFORE: &str = "[auto] Before rollback";

/// Bytes of the largest manifest of a snapshot that is looked into.
pub(super) const MAX_MANIFEST: u64 = 64 * 1024 * 1024;

/// How far below the collection things are put back as a whole: artifacts lie two levels down.
const LEVELS: usize = 2;

/// What is always counted.
pub(super) const RESULTS: [&str; 4] = ["restored", "removed", "unchanged", "failed"];

/// Files that changed in an artifact up to which they are put back one by one.
const FEW: usize = 16;

/// Things from which on two threads look into them.
const MANY: usize = 16;

/// The snapshot before a rollback, once it is written.
#[derive(Default)]
struct Safety(Rc<RefCell<Option<String>>>);

/// What goes back, and to when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollbackRequest {
    /// Empty: the default one.
    pub collection: String,
    /// The snapshot.
    pub id: String,
    /// Only these artifacts; none: everything.
    pub artifacts: Vec<ArtifactRef>,
    /// They are restored, which is no rollback: no snapshot is made before.
    pub restore: bool,
    /// Plan only.
    pub dry_run: bool,
}

impl App {
    /// Takes a collection back to a snapshot: everything, or some artifacts with what manifest and lock say of
    /// them. What the snapshot did not have goes. A collection that is gone comes back as a whole.
    pub fn roll_back(
        &self,
        request: &RollbackRequest,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        let name = self.collection_or_default(&request.collection);
        let target = self.open_snapshot(&name, &request.id)?;
        // Snapshots outlive their collection.
        if request.artifacts.is_empty() && self.is_gone(&name)? {
            return self.bring_back(&name, &target, request, caller);
        }
        let root = self.collection_root(&name)?;
        if request.artifacts.is_empty() && !request.dry_run {
            // While it is planned: what others wrote is nothing that the change should wait for.
            skillmeat_shared::fs::write_out(&root);
        }
        let (at, then) = (target.view.at, &target.node);
        let safety = Safety::default();
        let changed = self.change_told(&asked(request), caller, &|draft| {
            // Of a plan that came to nothing, as somebody wrote meanwhile.
            self.drop_safety(&name, &safety);
            if !request.artifacts.is_empty() {
                if !(request.dry_run || request.restore) {
                    self.make_safe(&name, draft, &safety)?;
                }
                let back = some(self, &name, &target, request, draft, caller)?;
                self.turn_ratings(&name, at, draft, &|_| {
                    Ok(Turned {
                        come: back.come.clone(),
                        ..Turned::default()
                    })
                })?;
                return Ok((back.items, back.notes));
            }
            if request.dry_run {
                let (now, objects) = self.state_now(&name)?;
                let items = everything(&name, (&now, Some(&objects)), then, draft)?;
                self.turn_ratings(&name, at, draft, &|_| Turned::between(&objects, &now, then))?;
                return Ok((items, Vec::new()));
            }
            let now = self.make_safe(&name, draft, &safety)?;
            let items = everything(&name, (&now, None), then, draft)?;
            // While the rest is planned: the files that were just made.
            skillmeat_shared::fs::write_out(&root);
            self.turn_ratings(&name, at, draft, &|draft| {
                Turned::between(draft.objects(), &now, then)
            })?;
            Ok((items, Vec::new()))
        });
        let mut changed = changed.inspect_err(|_| self.drop_safety(&name, &safety))?;
        changed.notes.extend(std::mem::take(&mut changed.report.1));
        let items = &changed.report.0;
        Ok(ChangeSummary::told(
            &name, &RESULTS, items, &changed, caller,
        ))
    }

    /// Captures a collection and has a snapshot of it recorded with the operation: in the same transaction, before
    /// the first file changes. If nothing is to be changed there is no operation, and nothing to go back to.
    fn make_safe(&self, name: &str, draft: &mut Draft<'_>, safety: &Safety) -> Result<Node> {
        let root = self.collection_root(name)?;
        let batch = draft.objects();
        let present = self.capture_to_keep((name, &root), How::Changes, batch, &|_| {})?;
        self.is_kept(name, &root, &present);
        let now = present.node.clone();
        let new = self.new_snapshot((name, root), BEFORE, Origin::Safety, present, batch);
        let id = Rc::clone(&safety.0);
        draft.record_along(Box::new(move |transaction| {
            id.replace(Some(new.write(transaction)?.id));
            Ok(())
        }));
        Ok(now)
    }

    fn drop_safety(&self, name: &str, safety: &Safety) {
        let Some(id) = safety.0.take() else { return };
        let dropped = self
            .history
            .write(|transaction| snapshot::delete(transaction, name, &id));
        if let Err(error) = dropped {
            tracing::warn!(target: "history", "the snapshot {id} is of no use, and stays: {error}");
        }
    }
}

pub(super) fn asked(request: &RollbackRequest) -> Asked {
    Asked {
        verb: "collection.rollback",
        what: what(request),
        actor: Actor::CommandLine,
        dry_run: request.dry_run,
        undoes: None,
    }
}

fn what(request: &RollbackRequest) -> String {
    if request.artifacts.is_empty() {
        return format!("rollback {}", request.id);
    }
    let names: Vec<&str> = request
        .artifacts
        .iter()
        .map(|artifact| artifact.name.as_str())
        .collect();
    let (verb, link) = if request.restore {
        ("restore", "from")
    } else {
        ("rollback", "to")
    };
    format!("{verb} {} {link} {}", names.join(", "), request.id)
}

/// Plans to bring everything back. What the snapshot did not have goes. Objects of a dry run are kept nowhere.
fn everything(
    name: &str,
    (now, dry): (&Node, Option<&Batch<'_>>),
    then: &Node,
    draft: &mut Draft<'_>,
) -> Result<Vec<ChangeItem>> {
    let is_dry = dry.is_some();
    let called = Called::new(name, &draft.root(name)?);
    let (changes, parts) = {
        let batch = dry.unwrap_or_else(|| draft.objects());
        let objects: &dyn Objects = batch;
        let changes = diff::diff(objects, Some(now), Some(then), LEVELS)?;
        let changes = changes
            .into_iter()
            .map(|change| called.as_now(batch, change));
        let changes = changes.collect::<Result<Vec<_>>>()?;
        let changes = changes.into_iter().flatten().collect();
        let changes = whole(objects, changes, now, then)?;
        let parts_of = |some: &[Change]| -> Result<Vec<Vec<Change>>> {
            some.iter().map(|change| parts(batch, change)).collect()
        };
        let parts = in_halves("compare", &changes, MANY, &parts_of);
        let parts = parts.into_iter().collect::<Result<Vec<_>>>()?.concat();
        (changes, parts)
    };
    let mut items = Vec::new();
    let mut turns = Vec::new();
    for (change, parts) in changes.into_iter().zip(parts) {
        let Some(path) = change.path.to_str() else {
            let message = format!("`{}` is not UTF-8", change.path.display());
            return Err(Error::new(Code::FileOutside, message)
                .hint("move it away yourself; a collection has no such names at its top"));
        };
        let result = match (&change.after, is_dry) {
            (Some(_), true) => "would-restore",
            (Some(_), false) => "restored",
            (None, true) => "would-remove",
            (None, false) => "removed",
        };
        items.push(item(&change, path, result));
        for part in parts {
            let inner = part.path.to_str().unwrap_or_default();
            let inner = if inner.is_empty() {
                path.to_owned()
            } else {
                format!("{path}/{inner}")
            };
            turns.push(Turn {
                place: Place::collection(name, inner),
                before: part.before,
                after: part.after,
            });
        }
        let place = Place::collection(name, path);
        draft.believe(&place, change.before, change.after);
    }
    draft.turn(turns)?;
    Ok(items)
}

/// What of a thing that changed is put back: the whole thing, or a few files in it. Their paths are relative to it.
fn parts(objects: &dyn Objects, change: &Change) -> Result<Vec<Change>> {
    let whole = || Change {
        path: PathBuf::new(),
        ..change.clone()
    };
    let is_folder = |node: &Option<Node>| node.as_ref().is_some_and(Node::is_folder);
    if !is_folder(&change.before) || !is_folder(&change.after) {
        return Ok(vec![whole()]);
    }
    let inner = diff::diff(
        objects,
        change.before.as_ref(),
        change.after.as_ref(),
        usize::MAX,
    )?;
    // A folder whose mode changed is put back with all that is in it.
    let is_a_part = |part: &Change| {
        let is_turned = is_folder(&part.before) && is_folder(&part.after);
        !is_turned && part.path.to_str().is_some_and(spelling::is_plain)
    };
    if inner.len() > FEW || !inner.iter().all(is_a_part) {
        return Ok(vec![whole()]);
    }
    Ok(inner)
}

/// Changes of whole things: a folder that changed itself, its mode, is put back with all that is in it, and so is
/// one with names that no record can hold. The collection's own folder stays, whatever its mode.
fn whole(
    objects: &dyn Objects,
    changes: Vec<Change>,
    before: &Node,
    after: &Node,
) -> Result<Vec<Change>> {
    let mut kept: BTreeMap<PathBuf, Change> = BTreeMap::new();
    for change in changes {
        if change.path.as_os_str().is_empty() {
            continue;
        }
        let is_spelled = change.path.to_str().is_some_and(spelling::is_plain);
        let folder = change
            .path
            .parent()
            .filter(|one| !one.as_os_str().is_empty());
        let change = match folder {
            Some(folder) if !is_spelled => Change {
                before: diff::find(objects, before, folder)?,
                after: diff::find(objects, after, folder)?,
                path: folder.to_path_buf(),
            },
            _ => change,
        };
        kept.insert(change.path.clone(), change);
    }
    let covered: Vec<PathBuf> = kept
        .keys()
        .filter(|path| {
            path.parent()
                .is_some_and(|folder| kept.contains_key(folder))
        })
        .cloned()
        .collect();
    for path in covered {
        kept.remove(&path);
    }
    Ok(kept.into_values().collect())
}

fn item(change: &Change, path: &str, result: &'static str) -> ChangeItem {
    let mut parts = Path::new(path).iter();
    let is_folder = change
        .after
        .as_ref()
        .or(change.before.as_ref())
        .is_some_and(Node::is_folder);
    let found = match (parts.next(), parts.next()) {
        (Some(container), Some(name)) => layout::named(container, name, is_folder),
        _ => None,
    };
    ChangeItem {
        id: found.map_or_else(
            || path.to_owned(),
            |found| ArtifactId::new(found.kind, found.name).to_string(),
        ),
        result,
        path: path.to_owned(),
        ..ChangeItem::default()
    }
}

/// The text of a document in a snapshot; nothing if it is not there, or can't be read as one.
pub(super) fn text_of(objects: &dyn Objects, node: &Node, path: &Path) -> Result<Option<String>> {
    match diff::find(objects, node, path)? {
        Some(Node::File { hash, .. }) => {
            let bytes = object::get(objects, &hash, MAX_MANIFEST)?;
            Ok(String::from_utf8(bytes).ok())
        }
        _ => Ok(None),
    }
}
