//! What differs between two states.

use std::path::{Path, PathBuf};

use super::capture::MAX_DEPTH;
use super::object::Objects;
use super::packed::{Packed, PackedEntries, PackedEntry};
use super::tree::{Node, Tree};
use crate::Result;

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to what was compared.
    pub path: PathBuf,
    /// What it was; `None` if it was not there.
    pub before: Option<Node>,
    /// What it is; `None` if it is gone.
    pub after: Option<Node>,
}

/// Every path that differs, sorted. Folders are looked into while they stand on both sides, but at most so
/// many levels: 0 compares the states as a whole. A folder whose mode changed counts as a change of its own
/// besides those in it. Equal trees are never read.
pub fn diff(
    objects: &dyn Objects,
    before: Option<&Node>,
    after: Option<&Node>,
    levels: usize,
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let levels = levels.min(MAX_DEPTH);
    compare(
        objects,
        PathBuf::new(),
        (before, after),
        levels,
        &mut changes,
    )?;
    Ok(changes)
}

fn compare(
    objects: &dyn Objects,
    path: PathBuf,
    (before, after): (Option<&Node>, Option<&Node>),
    levels: usize,
    changes: &mut Vec<Change>,
) -> Result<()> {
    if before == after {
        return Ok(());
    }
    if let (
        Some(Node::Folder { mode, hash }),
        Some(Node::Folder {
            mode: new_mode,
            hash: new_hash,
        }),
    ) = (before, after)
        && levels > 0
    {
        if mode != new_mode {
            changes.push(Change {
                path: path.clone(),
                before: before.cloned(),
                after: after.cloned(),
            });
        }
        if hash == new_hash {
            return Ok(());
        }
        let (old, new) = Packed::load_unlike(objects, hash, new_hash)?;
        return merge(old.entries(), new.entries(), |before, after| {
            let Some(name) = before.or(after).map(|entry| entry.name) else {
                return Ok(());
            };
            let node = |entry: Option<PackedEntry<'_>>| {
                entry.map(|entry| Node::decode(entry.node)).transpose()
            };
            let (before, after) = (node(before)?, node(after)?);
            let path = path.join(name);
            let sides = (before.as_ref(), after.as_ref());
            compare(objects, path, sides, levels - 1, changes)
        });
    }
    changes.push(Change {
        path,
        before: before.cloned(),
        after: after.cloned(),
    });
    Ok(())
}

/// Goes through two sorted lists side by side, and shows what differs.
fn merge(
    old: PackedEntries<'_>,
    new: PackedEntries<'_>,
    mut visit: impl FnMut(Option<PackedEntry<'_>>, Option<PackedEntry<'_>>) -> Result<()>,
) -> Result<()> {
    let (mut old, mut new) = (old.peekable(), new.peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => a.name.as_encoded_bytes().cmp(b.name.as_encoded_bytes()),
        };
        let before = order.is_le().then(|| old.next()).flatten();
        let after = order.is_ge().then(|| new.next()).flatten();
        if before.map(|entry| entry.node) != after.map(|entry| entry.node) {
            visit(before, after)?;
        }
    }
}

/// Calls `visit` for everything in a state, folders before what is in them, with paths relative to it.
pub fn walk(
    objects: &dyn Objects,
    node: &Node,
    visit: &mut dyn FnMut(&Path, &Node) -> Result<()>,
) -> Result<()> {
    descend(objects, Path::new(""), node, 0, visit)
}

fn descend(
    objects: &dyn Objects,
    path: &Path,
    node: &Node,
    depth: usize,
    visit: &mut dyn FnMut(&Path, &Node) -> Result<()>,
) -> Result<()> {
    visit(path, node)?;
    if let Node::Folder { hash, .. } = node
        && depth <= MAX_DEPTH
    {
        for entry in Tree::load(objects, hash)?.entries() {
            descend(
                objects,
                &path.join(&entry.name),
                &entry.node,
                depth + 1,
                visit,
            )?;
        }
    }
    Ok(())
}

/// The node at a path within a state; `None` if there is none. An empty path names the state itself.
pub fn find(objects: &dyn Objects, node: &Node, path: &Path) -> Result<Option<Node>> {
    let mut at = node.clone();
    for name in path {
        let Node::Folder { hash, .. } = &at else {
            return Ok(None);
        };
        match Tree::load(objects, hash)?.get(name) {
            Some(inner) => at = inner.clone(),
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::tree::Entry;
    use super::super::{MemoryObjects, capture};
    use super::*;
    use crate::fs::{FileHash, write};

    fn paths(changes: &[Change]) -> Vec<(String, bool, bool)> {
        changes
            .iter()
            .map(|change| {
                let path = change.path.display().to_string();
                (path, change.before.is_some(), change.after.is_some())
            })
            .collect()
    }

    #[test]
    fn differences_are_found_at_the_level_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let objects = MemoryObjects::default();
        let touch = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            write(&path, text.as_bytes(), 0o600).unwrap();
        };
        let now = || capture(folder.path(), &objects).unwrap().node.unwrap();
        touch("skills/one/SKILL.md", "1");
        touch("skills/two/SKILL.md", "2");
        touch("skills/two/more/x", "2");
        touch("collection.toml", "a");
        let before = now();
        touch("skills/two/more/x", "3");
        touch("commands/new.md", "n");
        std::fs::remove_dir_all(folder.path().join("skills/one")).unwrap();
        let after = now();
        let at = |levels| diff(&objects, Some(&before), Some(&after), levels).unwrap();
        assert_eq!(paths(&at(0)), [(String::new(), true, true)]);
        assert_eq!(
            paths(&at(2)),
            [
                ("commands".to_owned(), false, true),
                ("skills/one".to_owned(), true, false),
                ("skills/two".to_owned(), true, true),
            ]
        );
        assert_eq!(
            paths(&at(usize::MAX)).last().unwrap(),
            &("skills/two/more/x".to_owned(), true, true)
        );
        assert!(
            diff(&objects, Some(&after), Some(&after), 9)
                .unwrap()
                .is_empty()
        );
        let found = find(&objects, &before, Path::new("skills/one/SKILL.md")).unwrap();
        assert!(matches!(found, Some(Node::File { size: 1, .. })));
        for gone in ["skills/three", "collection.toml/x"] {
            assert_eq!(find(&objects, &before, Path::new(gone)).unwrap(), None);
        }
        let mut seen = Vec::new();
        walk(&objects, &after, &mut |path, _| {
            seen.push(path.display().to_string());
            Ok(())
        })
        .unwrap();
        assert_eq!(seen.len(), 9);
        assert!(seen.contains(&"commands/new.md".to_owned()));
    }

    /// Objects, and how often one was read.
    struct Counted<'a>(&'a MemoryObjects, AtomicU64);

    impl Objects for Counted<'_> {
        fn has(&self, hash: &FileHash) -> Result<bool> {
            self.0.has(hash)
        }

        fn copy_to(&self, hash: &FileHash, into: &mut dyn std::io::Write) -> Result<()> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.copy_to(hash, into)
        }

        fn parts(&self, hash: &FileHash) -> Result<Option<Vec<FileHash>>> {
            self.0.parts(hash)
        }
    }

    #[test]
    fn of_large_folders_only_parts_that_differ_are_read() {
        let objects = MemoryObjects::default();
        let kept = |all: &BTreeMap<String, u64>| {
            let entries = all.iter().map(|(name, size)| Entry {
                name: name.into(),
                node: Node::File {
                    mode: 0o600,
                    size: *size,
                    hash: FileHash([7; 32]),
                },
            });
            let tree = Tree::new(entries.collect()).unwrap();
            let hash = tree.keep(&objects, None).unwrap();
            Node::Folder { mode: 0o700, hash }
        };
        let before: BTreeMap<String, u64> = (0..5000).map(|at| (format!("{at:04}"), at)).collect();
        for places in [
            vec![0],
            vec![4999],
            vec![2500, 2501],
            vec![0, 1234, 4321, 4999],
        ] {
            for change in ["come", "go", "differ"] {
                let mut after = before.clone();
                let expected: Vec<String> = places
                    .iter()
                    .map(|at| match change {
                        "come" => format!("{at:04}+"),
                        _ => format!("{at:04}"),
                    })
                    .collect();
                for name in &expected {
                    match change {
                        "go" => drop(after.remove(name)),
                        _ => drop(after.insert(name.clone(), 1)),
                    }
                }
                let counted = Counted(&objects, AtomicU64::new(0));
                let (before, after) = (kept(&before), kept(&after));
                let changes = diff(&counted, Some(&before), Some(&after), 1).unwrap();
                let changed = changes.iter().map(|one| one.path.to_str().unwrap());
                assert_eq!(changed.collect::<Vec<_>>(), expected);
                let is_before = |one: &Change| one.before.is_some() == (change != "come");
                let is_after = |one: &Change| one.after.is_some() == (change != "go");
                assert!(changes.iter().all(|one| is_before(one) && is_after(one)));
                let read = counted.1.into_inner();
                assert!(read <= 4 * places.len() as u64, "{read} parts were read");
            }
        }
    }

    #[test]
    fn a_changed_mode_of_a_folder_is_a_change() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let objects = MemoryObjects::default();
        let inner = folder.path().join("a");
        std::fs::create_dir(&inner).unwrap();
        let before = capture(folder.path(), &objects).unwrap().node;
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(0o705)).unwrap();
        let after = capture(folder.path(), &objects).unwrap().node;
        let changes = diff(&objects, before.as_ref(), after.as_ref(), 5).unwrap();
        assert_eq!(paths(&changes), [("a".to_owned(), true, true)]);
    }
}
