//! From objects to the disk, at a path where nothing stands yet.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::capture::MAX_DEPTH;
use super::object::Objects;
use super::tree::{Node, Tree};
use crate::failpoint::hit;
use crate::fs::FileHash;
use crate::{Code, Error, Result};

/// Makes at `to`, where nothing may stand, what the node says. It is not on the disk yet when this returns:
/// see [`flush`]. No file is ever made to run as somebody else. Whether what stands there is in that very state:
/// not if modes could not be kept.
///
/// # Errors
/// [`Code::FileExists`] if something stands there; [`Code::HistoryDamaged`] if objects are missing; what the
/// file system says. What was made so far is removed.
pub fn restore(node: &Node, objects: &dyn Objects, to: &Path) -> Result<bool> {
    if let Node::File { .. } = node {
        // It is made only where nothing stands, and goes by itself if it can't be filled.
        return make(node, objects, to, 0);
    }
    if fs::symlink_metadata(to).is_ok() {
        return Err(exists(to));
    }
    let made = make(node, objects, to, 0);
    if made.is_err() {
        remove(to);
    }
    made
}

fn exists(to: &Path) -> Error {
    let message = format!("`{}` exists already", to.display());
    Error::new(Code::FileExists, message).at(to, None)
}

fn make(node: &Node, objects: &dyn Objects, to: &Path, depth: usize) -> Result<bool> {
    let fail = |error: &std::io::Error| Error::io("create", to, error);
    match node {
        Node::File { mode, hash, .. } => {
            let kept = u32::from(*mode) & 0o777;
            let target = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(kept)
                .open(to)
                .map_err(|error| match error.kind() {
                    std::io::ErrorKind::AlreadyExists => exists(to),
                    _ => fail(&error),
                })?;
            fill(target, (*mode, hash), objects, to).inspect_err(|_| drop(fs::remove_file(to)))
        }
        Node::Link { target } => symlink(target, to)
            .map(|()| true)
            .map_err(|error| fail(&error)),
        Node::Folder { mode, hash } => {
            if depth > MAX_DEPTH {
                let message = format!("`{}` lies more than {MAX_DEPTH} deep", to.display());
                return Err(Error::new(Code::HistoryDamaged, message));
            }
            fs::DirBuilder::new()
                .mode(0o700)
                .create(to)
                .map_err(|error| fail(&error))?;
            let mut is_exact = true;
            for entry in Tree::load(objects, hash)?.entries() {
                is_exact &= make(&entry.node, objects, &to.join(&entry.name), depth + 1)?;
            }
            // Last: it may forbid to write.
            let kept = fs::Permissions::from_mode(u32::from(*mode) & 0o3777);
            fs::set_permissions(to, kept)
                .and_then(|()| fs::symlink_metadata(to))
                .map(|made| is_exact && has_mode(&made, *mode))
                .map_err(|error| fail(&error))
        }
    }
}

/// Fills a file that was just made. Whether it is in the state that was asked for.
fn fill(
    mut target: File,
    (mode, hash): (u16, &FileHash),
    objects: &dyn Objects,
    to: &Path,
) -> Result<bool> {
    let fail = |error: std::io::Error| Error::io("create", to, &error);
    hit("restore.write").map_err(fail)?;
    let mut filled = Filled {
        target: &mut target,
        failed: None,
    };
    let copied = objects.copy_to(hash, &mut filled);
    match filled.failed {
        Some(error) => return Err(Error::io("write", to, &error)),
        None => copied?,
    }
    target.flush().map_err(fail)?;
    let kept = u32::from(mode) & 0o777;
    let mut made = target.metadata().map_err(fail)?;
    if made.permissions().mode() & 0o777 != kept {
        // The user's mask took some of it.
        let kept = fs::Permissions::from_mode(kept);
        target.set_permissions(kept).map_err(fail)?;
        made = target.metadata().map_err(fail)?;
    }
    Ok(has_mode(&made, mode))
}

/// A file that is being filled, and why it can't be: the source knows no path to name.
struct Filled<'a> {
    target: &'a mut File,
    failed: Option<std::io::Error>,
}

impl Write for Filled<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.target.write(bytes).map_err(|error| {
            let kind = error.kind();
            if kind != std::io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            kind.into()
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.target.flush()
    }
}

/// Disks without modes, and groups that are not the user's, keep less than was asked for.
fn has_mode(made: &fs::Metadata, mode: u16) -> bool {
    made.permissions().mode() & 0o7777 == u32::from(mode)
}

/// Removes what was made; folders that forbid it are opened first.
fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            if fs::remove_dir_all(path).is_err() {
                open_up(path, 0);
                // What still can't be removed has a name that every reader ignores.
                drop(fs::remove_dir_all(path));
            }
        }
        Ok(_) => drop(fs::remove_file(path)),
        Err(_) => {}
    }
}

fn open_up(path: &Path, depth: usize) {
    drop(fs::set_permissions(path, fs::Permissions::from_mode(0o700)));
    if depth > MAX_DEPTH {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path(), depth + 1);
        }
    }
}

/// Waits until what was restored to these paths is on the disk. What is gone again is passed over.
pub fn flush(paths: &[PathBuf]) -> Result<()> {
    if let Some(first) = paths.first() {
        hit("restore.flush").map_err(|error| Error::io("write", first, &error))?;
    }
    crate::fs::flush(paths)
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryObjects, capture};
    use super::*;
    use crate::fs::write;

    #[test]
    fn nothing_is_overwritten_and_nothing_half_made_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::create_dir_all(from.join("locked/deep")).unwrap();
        write(&from.join("locked/deep/a"), b"a", 0o600).unwrap();
        write(&from.join("z"), b"z", 0o600).unwrap();
        fs::set_permissions(from.join("locked"), fs::Permissions::from_mode(0o500)).unwrap();
        let objects = MemoryObjects::default();
        let node = capture(&from, &objects).unwrap().node.unwrap();
        let there = folder.path().join("there");
        write(&there, b"mine", 0o600).unwrap();
        let error = restore(&node, &objects, &there).unwrap_err();
        assert_eq!(error.code, Code::FileExists);
        assert_eq!(fs::read(&there).unwrap(), b"mine");
        // `z`, the last one, is lost.
        let (Node::Folder { hash, mode }, lost) = (&node, MemoryObjects::default()) else {
            panic!("a folder");
        };
        let mut entries = Tree::load(&objects, hash).unwrap().into_entries();
        for entry in &mut entries {
            if let Node::File { hash, .. } = &mut entry.node {
                *hash = FileHash::of(b"lost");
            }
            capture(&from.join(&entry.name), &lost).unwrap();
        }
        let tree = Tree::new(entries).unwrap();
        let hash = tree.keep(&lost, None).unwrap();
        let broken = Node::Folder { mode: *mode, hash };
        let to = folder.path().join("to");
        let error = restore(&broken, &lost, &to).unwrap_err();
        assert_eq!(error.code, Code::HistoryDamaged);
        assert!(!to.exists());
        assert!(restore(&node, &objects, &to).unwrap());
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        let link = folder.path().join("link");
        flush(&[link, to.clone(), folder.path().join("gone")]).unwrap();
        assert_eq!(capture(&to, &objects).unwrap().node.unwrap(), node);
        for one in [&from, &to] {
            fs::set_permissions(one.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_with_the_file_that_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        write(&from, b"more than fits", 0o600).unwrap();
        let objects = MemoryObjects::default();
        let node = capture(&from, &objects).unwrap().node.unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let to = Path::new("skills/a/SKILL.md");
        let error = fill(full, (0o600, node.hash().unwrap()), &objects, to).unwrap_err();
        assert_eq!(error.code, Code::DiskFull);
        assert!(error.message.contains("skills/a/SKILL.md"), "{error:?}");
    }
}
