//! From objects to the disk, at a path where nothing stands yet.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::capture::MAX_DEPTH;
use super::object::Objects;
use super::tree::{Node, Tree};
use crate::failpoint::hit;
use crate::{Code, Error, Result};

/// Makes at `to`, where nothing may stand, what the node says. It is not on the disk yet when this returns:
/// see [`flush`]. No file is ever made to run as somebody else.
///
/// # Errors
/// [`Code::FileExists`] if something stands there; [`Code::HistoryDamaged`] if objects are missing; what the
/// file system says. What was made so far is removed.
pub fn restore(node: &Node, objects: &dyn Objects, to: &Path) -> Result<()> {
    if fs::symlink_metadata(to).is_ok() {
        let message = format!("`{}` exists already", to.display());
        return Err(Error::new(Code::FileExists, message).at(to, None));
    }
    let made = make(node, objects, to, 0);
    if made.is_err() {
        remove(to);
    }
    made
}

fn make(node: &Node, objects: &dyn Objects, to: &Path, depth: usize) -> Result<()> {
    let fail = |error: &std::io::Error| Error::io("create", to, error);
    match node {
        Node::File { mode, hash, .. } => {
            let mut target = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(to)
                .map_err(|error| fail(&error))?;
            hit("restore.write").map_err(|error| fail(&error))?;
            objects.copy_to(hash, &mut target).map_err(|error| {
                if error.code == Code::FileIo || error.code == Code::DiskFull {
                    return error.at(to, None);
                }
                error
            })?;
            target.flush().map_err(|error| fail(&error))?;
            let mode = fs::Permissions::from_mode(u32::from(*mode) & 0o777);
            target.set_permissions(mode).map_err(|error| fail(&error))
        }
        Node::Link { target } => symlink(target, to).map_err(|error| fail(&error)),
        Node::Folder { mode, hash } => {
            if depth > MAX_DEPTH {
                let message = format!("`{}` lies more than {MAX_DEPTH} deep", to.display());
                return Err(Error::new(Code::HistoryDamaged, message));
            }
            fs::DirBuilder::new()
                .mode(0o700)
                .create(to)
                .map_err(|error| fail(&error))?;
            for entry in Tree::load(objects, hash)?.entries() {
                make(&entry.node, objects, &to.join(&entry.name), depth + 1)?;
            }
            // Last: it may forbid to write.
            let mode = fs::Permissions::from_mode(u32::from(*mode) & 0o3777);
            fs::set_permissions(to, mode).map_err(|error| fail(&error))
        }
    }
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

/// Waits until what was restored to these paths is on the disk: one call for each disk, however many files. Where
/// the system has no such call, files and folders are flushed one by one. What is gone again is passed over.
pub fn flush(paths: &[PathBuf]) -> Result<()> {
    #[cfg(target_os = "linux")]
    let mut disks = std::collections::BTreeSet::new();
    for path in paths {
        let fail = |error: &std::io::Error| Error::io("write", path, error);
        let Ok(found) = fs::symlink_metadata(path) else {
            continue;
        };
        hit("restore.flush").map_err(|error| fail(&error))?;
        #[cfg(target_os = "linux")]
        if disks.insert(std::os::unix::fs::MetadataExt::dev(&found)) {
            // The path itself may be a link that leads nowhere.
            let folder = path.parent().unwrap_or(path);
            let opened = fs::File::open(folder).map_err(|error| fail(&error))?;
            rustix::fs::syncfs(&opened).map_err(|errno| fail(&errno.into()))?;
        }
        #[cfg(not(target_os = "linux"))]
        flush_each(path, &found, 0)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn flush_each(path: &Path, found: &fs::Metadata, depth: usize) -> Result<()> {
    let fail = |error: &std::io::Error| Error::io("write", path, error);
    if found.is_dir() && depth <= MAX_DEPTH {
        for entry in fs::read_dir(path).map_err(|error| fail(&error))? {
            let entry = entry.map_err(|error| fail(&error))?;
            let inner = entry.metadata().map_err(|error| fail(&error))?;
            flush_each(&entry.path(), &inner, depth + 1)?;
        }
    }
    if found.is_dir() || found.is_file() {
        let opened = fs::File::open(path).map_err(|error| fail(&error))?;
        opened.sync_all().map_err(|error| fail(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryObjects, capture};
    use super::*;
    use crate::fs::{FileHash, write};

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
        restore(&node, &objects, &to).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        let link = folder.path().join("link");
        flush(&[link, to.clone(), folder.path().join("gone")]).unwrap();
        assert_eq!(capture(&to, &objects).unwrap().node.unwrap(), node);
        for one in [&from, &to] {
            fs::set_permissions(one.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}
