//! Collections that are clones: what git does for itself is no change of theirs.

use std::collections::BTreeMap;
use std::path::Path;

use skillmeat_shared::Result;
use skillmeat_shared::history::diff::{self, Change};
use skillmeat_shared::history::{Node, Objects, object};
use skillmeat_shared::source::clone::{self, GIT, Part};

use super::carry::collection_at;
use super::place::Place;

/// Bytes of the largest file of git's that is looked into.
const MAX_BYTES: u64 = 64 << 20;

/// The paths in a place that were changed by somebody between two states, where that can be told; nothing if it is
/// as it was.
pub(super) fn own_changes(
    objects: &dyn Objects,
    place: &Place,
    (then, now): (Option<&Node>, Option<&Node>),
) -> Result<Option<Vec<String>>> {
    if then == now {
        return Ok(None);
    }
    let (Some(then), Some(now)) = (then, now) else {
        return Ok(Some(Vec::new()));
    };
    let is_clone = then.is_folder() && diff::find(objects, then, Path::new(GIT))?.is_some();
    if collection_at(place).is_none() || !is_clone {
        return Ok(Some(Vec::new()));
    }
    let mut own = Vec::new();
    let mut refs = None;
    for change in diff::diff(objects, Some(then), Some(now), usize::MAX)? {
        if is_folder_of_upkeep(objects, &change)? {
            continue;
        }
        let is_own = match clone::part(&change.path) {
            Part::Own => true,
            Part::Upkeep => false,
            Part::Refs => {
                if refs.is_none() {
                    refs = Some(names(objects, then)? != names(objects, now)?);
                }
                refs == Some(true)
            }
            Part::Index => {
                let staged = |node: &Option<Node>| -> Result<_> {
                    let bytes = node.as_ref().map(|node| bytes(objects, node));
                    Ok(bytes.transpose()?.and_then(|bytes| clone::staged(&bytes)))
                };
                let old = staged(&change.before)?;
                old.is_none() || old != staged(&change.after)?
            }
        };
        if is_own {
            own.push(change.path.display().to_string());
        }
    }
    Ok((!own.is_empty()).then_some(own))
}

/// Whether it is a folder of git's that came or went with nothing in it that is somebody's.
fn is_folder_of_upkeep(objects: &dyn Objects, change: &Change) -> Result<bool> {
    let ((None, Some(node)) | (Some(node), None)) = (&change.before, &change.after) else {
        return Ok(false);
    };
    let mut is_upkeep = node.is_folder() && change.path.starts_with(GIT);
    if is_upkeep {
        diff::walk(objects, node, &mut |path, node| {
            let part = clone::part(&change.path.join(path));
            is_upkeep &= node.is_folder() || part == Part::Upkeep;
            Ok(())
        })?;
    }
    Ok(is_upkeep)
}

/// All names of commits in a clone, wherever they stand.
fn names(objects: &dyn Objects, state: &Node) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let at = |path: &str| diff::find(objects, state, &Path::new(GIT).join(path));
    let mut names = match at("packed-refs")? {
        Some(packed) => clone::packed_refs(&bytes(objects, &packed)?),
        None => BTreeMap::new(),
    };
    for top in ["HEAD", "refs"] {
        let Some(node) = at(top)? else {
            continue;
        };
        diff::walk(objects, &node, &mut |path, node| {
            if !node.is_folder() {
                let name = Path::new(top).join(path);
                let name = name.to_string_lossy().trim_end_matches('/').to_owned();
                let said = bytes(objects, node)?.trim_ascii().to_vec();
                names.insert(name.into_bytes(), said);
            }
            Ok(())
        })?;
    }
    Ok(names)
}

/// The bytes of a file; what a link says.
fn bytes(objects: &dyn Objects, node: &Node) -> Result<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;
    match node {
        Node::File { hash, .. } => object::get(objects, hash, MAX_BYTES),
        Node::Link { target } => Ok(target.as_bytes().to_vec()),
        Node::Folder { .. } => Ok(Vec::new()),
    }
}
