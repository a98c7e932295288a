//! Capturing once more a collection of which it is known where it changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::{Captured, Entry, Found, Hands, Look, SHARED, Walk, folder};
use crate::fs::FileHash;
use crate::history::diff::{self, Change};
use crate::history::object::{Keep, Objects};
use crate::history::packed::{Packed, PackedEntry};
use crate::history::seen::Seen;
use crate::history::tree::{Node, Tree};
use crate::thread::in_halves;
use crate::{Code, Error, Result};

/// A state that was captured, and where it changed since.
#[derive(Debug, Clone, Copy)]
pub struct Again<'a> {
    /// What was captured.
    pub before: &'a Captured,
    /// Paths of one or two names: what changed, or has changes in it.
    pub changed: &'a BTreeSet<PathBuf>,
}

/// As [`capture_collection`](super::capture_collection), of one that was captured before and has changed only in
/// some places. Only these are looked at, and the folder's own entries; each with its states before and now. All
/// objects of the state before must be kept.
///
/// # Errors
/// As there; [`Code::HistoryDamaged`] if an object is missing.
pub fn capture_again(
    root: &Path,
    again: &Again<'_>,
    objects: &dyn Keep,
    seen: &dyn Seen,
) -> Result<(Captured, Vec<Change>)> {
    let Again { before, changed } = *again;
    let mut later = Later {
        walk: Walk::new(root, objects, Some(seen), &|_| {}),
        changed,
        looked: Vec::new(),
    };
    let node = later.top(before.node.as_ref())?;
    let count = |places: &[Change]| -> Result<[Sum; 2]> {
        let mut sums = [Sum::default(); 2];
        for place in places {
            let sides = (place.before.as_ref(), place.after.as_ref());
            for change in diff::diff(objects, sides.0, sides.1, usize::MAX)? {
                let is_folder = |node: &Option<Node>| node.as_ref().is_some_and(Node::is_folder);
                if is_folder(&change.before) && is_folder(&change.after) {
                    // Its mode alone: what differs in it comes by itself.
                    continue;
                }
                for (sum, node) in sums.iter_mut().zip([change.before, change.after]) {
                    sum.add(objects, node.as_ref())?;
                }
            }
        }
        Ok(sums)
    };
    let (mut files, mut bytes) = (before.files, before.bytes);
    for part in in_halves("count", &later.looked, SHARED, &count) {
        let [gone, come] = part?;
        files = (files + come.files).saturating_sub(gone.files);
        bytes = (bytes + come.bytes).saturating_sub(gone.bytes);
    }
    let captured = Captured {
        files,
        bytes,
        ..later.walk.captured(Some(node))
    };
    Ok((captured, later.looked))
}

/// Files, and the bytes in them.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    files: u64,
    bytes: u64,
}

impl Sum {
    /// Adds all files of a state.
    fn add(&mut self, objects: &dyn Objects, node: Option<&Node>) -> Result<()> {
        let Some(node) = node else { return Ok(()) };
        diff::walk(objects, node, &mut |_, node| {
            if let Node::File { size, .. } = node {
                self.files += 1;
                self.bytes += size;
            }
            Ok(())
        })
    }
}

/// What of a folder stays as it was.
#[derive(Default)]
pub(super) struct Stays<'a> {
    /// Its tree before, and the names in it that were looked at anew.
    pub(super) tree: Option<(&'a Packed, &'a BTreeSet<&'a OsStr>)>,
    /// What is remembered of its files that stay.
    pub(super) files: Vec<(OsString, Look, FileHash)>,
}

struct Later<'a> {
    walk: Walk<'a>,
    changed: &'a BTreeSet<PathBuf>,
    /// What was looked at anew.
    looked: Vec<Change>,
}

impl Later<'_> {
    fn top(&mut self, before: Option<&Node>) -> Result<Node> {
        let Some(Node::Folder { hash, .. }) = before else {
            let message = "the state of a collection is no folder";
            return Err(Error::new(Code::HistoryDamaged, message));
        };
        let before = Tree::load(self.walk.objects, hash)?;
        let (opened, mode) = self.walk.open_top()?;
        let known = self.walk.known(b"");
        let listed = self.walk.list(&opened, b"", 0)?;
        let mut stays = Vec::new();
        let mut wanted = Vec::new();
        for name in &listed {
            let as_before = match before.get(name) {
                Some(Node::Folder { hash, .. }) if !self.changed.contains(Path::new(name)) => {
                    self.folder(&opened, name, hash)?
                }
                _ => None,
            };
            match as_before {
                Some(node) => stays.push((name.clone(), node, None)),
                None => wanted.push(name.as_os_str()),
            }
        }
        let mut hands = Hands::default();
        let mut taken = self
            .walk
            .all(&opened, b"", 0, &wanted, known.as_ref(), &mut hands)?;
        let is_looked = |entry: &&Entry| !stays.iter().any(|(name, ..)| *name == entry.name);
        let gone = before.entries().iter().filter(is_looked);
        self.looked(Path::new(""), gone, &taken);
        taken.extend(stays);
        let hash = self
            .walk
            .seal(b"", taken, Stays::default(), known.as_ref())?;
        Ok(Node::Folder { mode, hash })
    }

    /// A folder of which only some entries changed. Nothing if it must be looked at as a whole.
    fn folder(&mut self, top: &OwnedFd, name: &OsStr, before: &FileHash) -> Result<Option<Node>> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(opened) = rustix::fs::openat(top.as_fd(), name, flags, Mode::empty()) else {
            return Ok(None);
        };
        let path = name.as_bytes();
        let disk = |fd: &OwnedFd| rustix::fs::fstat(fd).map(|stat| stat.st_dev).ok();
        if disk(&opened) != disk(top) {
            // Of what is mounted there nobody tells.
            return Ok(None);
        }
        let mode = folder::permissions(self.walk.look(opened.as_fd(), path)?.mode);
        let changed: BTreeSet<&OsStr> = self
            .changed
            .iter()
            .filter_map(|place| place.strip_prefix(name).ok()?.iter().next())
            .filter(|inner| !folder::is_ours(inner))
            .collect();
        if changed.is_empty() {
            let hash = *before;
            return Ok(Some(Node::Folder { mode, hash }));
        }
        let before = Packed::load(self.walk.objects, before)?;
        let known = self.walk.known(path);
        let gone = before
            .entries()
            .filter(|entry| changed.contains(entry.name));
        let gone: Vec<Entry> = gone.filter_map(PackedEntry::unpack).collect();
        let mut files = known
            .as_ref()
            .map_or_else(Vec::new, |known| known.files.clone());
        files.retain(|(name, ..)| !changed.contains(name.as_os_str()));
        let wanted: Vec<&OsStr> = changed.iter().copied().collect();
        let mut hands = Hands::default();
        let taken = self
            .walk
            .all(&opened, path, 1, &wanted, known.as_ref(), &mut hands)?;
        self.looked(Path::new(name), gone.iter(), &taken);
        let stays = Stays {
            tree: Some((&before, &changed)),
            files,
        };
        let hash = self.walk.seal(path, taken, stays, known.as_ref())?;
        Ok(Some(Node::Folder { mode, hash }))
    }

    /// Notes what was looked at in a folder, as it was and as it was found.
    fn looked<'b>(
        &mut self,
        folder: &Path,
        before: impl Iterator<Item = &'b Entry>,
        now: &[Found],
    ) {
        let mut looked: BTreeMap<&OsStr, (Option<&Node>, Option<&Node>)> = before
            .map(|entry| (entry.name.as_os_str(), (Some(&entry.node), None)))
            .collect();
        for (name, node, _) in now {
            looked.entry(name).or_default().1 = Some(node);
        }
        let changes = looked.into_iter().map(|(name, (before, after))| Change {
            path: folder.join(name),
            before: before.cloned(),
            after: after.cloned(),
        });
        self.looked.extend(changes);
    }
}
