//! What differs between two snapshots, or between one and the collection as it is.

use std::path::Path;

use skillmeat_shared::Result;
use skillmeat_shared::collection::layout;
use skillmeat_shared::history::Objects;
use skillmeat_shared::history::diff::{self, Change};
use skillmeat_shared::history::tree::Node;

use crate::app::App;

/// Paths that are told at most.
const MOST: usize = 10_000;

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields of SnapshotChange; see snapshot.proto"
)]
pub struct Difference {
    pub change: &'static str,
    pub path: String,
    pub artifact: Option<String>,
    pub before_bytes: Option<u64>,
    pub after_bytes: Option<u64>,
}

/// All that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The collection.
    pub collection: String,
    /// By path.
    pub differences: Vec<Difference>,
    /// More differs than is told.
    pub truncated: bool,
}

impl App {
    /// Compares a snapshot with a later one, or with the collection as it is if `after` is empty.
    pub fn compare_snapshots(
        &self,
        collection: &str,
        before: &str,
        after: &str,
    ) -> Result<Compared> {
        let name = self.collection_or_default(collection);
        let old = self.open_snapshot(&name, before)?;
        let changes = if after.is_empty() {
            // Objects of the present are looked at and forgotten.
            let (now, batch) = self.state_now(&name)?;
            diff::diff(&batch, Some(&old.node), Some(&now), usize::MAX)?
                .into_iter()
                .filter(is_inside)
                .map(|change| spread(&batch, &change))
                .collect::<Result<Vec<_>>>()?
        } else {
            let new = self.open_snapshot(&name, after)?;
            diff::diff(&new.objects, Some(&old.node), Some(&new.node), usize::MAX)?
                .into_iter()
                .filter(is_inside)
                .map(|change| spread(&new.objects, &change))
                .collect::<Result<Vec<_>>>()?
        };
        let mut differences: Vec<Difference> = changes.into_iter().flatten().collect();
        let truncated = differences.len() > MOST;
        differences.truncate(MOST);
        Ok(Compared {
            collection: name,
            differences,
            truncated,
        })
    }
}

/// Whether it is one of something in the collection: no rollback changes the mode of the collection's own folder.
fn is_inside(change: &Change) -> bool {
    !change.path.as_os_str().is_empty()
}

/// A change of a folder that came or went, as changes of all that is in it.
fn spread(objects: &dyn Objects, change: &Change) -> Result<Vec<Difference>> {
    let (folder, came) = match (&change.before, &change.after) {
        (None, Some(node @ Node::Folder { .. })) => (node, true),
        (Some(node @ Node::Folder { .. }), None) => (node, false),
        _ => return Ok(vec![difference(change)]),
    };
    let mut all = Vec::new();
    diff::walk(objects, folder, &mut |path, node| {
        let path = if path.as_os_str().is_empty() {
            change.path.clone()
        } else {
            change.path.join(path)
        };
        let (before, after) = if came {
            (None, Some(node.clone()))
        } else {
            (Some(node.clone()), None)
        };
        all.push(difference(&Change {
            path,
            before,
            after,
        }));
        Ok(())
    })?;
    Ok(all)
}

fn difference(change: &Change) -> Difference {
    let size = |node: Option<&Node>| match node {
        Some(Node::File { size, .. }) => Some(*size),
        _ => None,
    };
    let is_folder = |node: Option<&Node>| node.is_some_and(Node::is_folder);
    let mut path = change.path.display().to_string();
    if is_folder(change.before.as_ref().or(change.after.as_ref())) {
        path.push('/');
    }
    Difference {
        change: kind_of(change),
        path,
        artifact: artifact_at(change),
        before_bytes: size(change.before.as_ref()),
        after_bytes: size(change.after.as_ref()),
    }
}

fn kind_of(change: &Change) -> &'static str {
    match (&change.before, &change.after) {
        (None, _) => "added",
        (_, None) => "removed",
        (Some(Node::File { hash, .. }), Some(Node::File { hash: new, .. })) if hash == new => {
            "mode"
        }
        (Some(Node::Folder { .. }), Some(Node::Folder { .. })) => "mode",
        (Some(Node::File { .. }), Some(Node::File { .. }))
        | (Some(Node::Link { .. }), Some(Node::Link { .. })) => "changed",
        _ => "type",
    }
}

/// The artifact that a path belongs to.
fn artifact_at(change: &Change) -> Option<String> {
    let mut parts = change.path.iter();
    let (container, name) = (parts.next()?, parts.next()?);
    let is_folder = parts.next().is_some() || {
        let node = change.after.as_ref().or(change.before.as_ref());
        node.is_some_and(Node::is_folder)
    };
    let found = layout::named(container, Path::new(name).as_os_str(), is_folder)?;
    Some(format!("{}:{}", found.kind, found.name))
}
