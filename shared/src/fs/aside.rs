//! Moving a file or folder out of the way without losing a byte.

use std::fs::{self, DirBuilder, File, FileTimes, Metadata, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::atomic::{Temporary, open_regular, place_new, sync_folder};
use super::copy::{MAX_BYTES, MAX_DEPTH, MAX_ENTRIES};
use crate::{Code, Error, Result};

/// Moves `from` to `to`, where nothing may stand and whose folder must exist. What comes from another disk is
/// copied as it is, links as links, and only what was copied is then deleted.
///
/// # Errors
/// [`Code::FileExists`] if something stands at `to`; [`Code::FileTooLarge`] and [`Code::FilePermission`] for
/// what can't be copied to another disk; [`Code::FileChanged`] if somebody wrote to it meanwhile; else what the
/// file system says. Nothing is lost then: all of it is at `from`, at `to`, or at both.
pub fn set_aside(from: &Path, to: &Path) -> Result<()> {
    let fail = |error: std::io::Error| Error::io("move", from, &error);
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            return Err(Error::new(
                Code::FileExists,
                format!("`{}` exists already", to.display()),
            )
            .hint("run the command again")
            .at(to, None));
        }
        Err(Errno::XDEV) => return to_another_disk(from, to),
        // Without the flag a folder, or a file that appears in this instant, could be overwritten: `to` lies
        // in a folder that was just made for it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => {
            match rustix::fs::rename(from, to) {
                Ok(()) => {}
                Err(Errno::XDEV) => return to_another_disk(from, to),
                Err(error) => return Err(fail(error.into())),
            }
        }
        Err(error) => return Err(fail(error.into())),
    }
    for folder in [to.parent(), from.parent()].into_iter().flatten() {
        sync_folder(folder)?;
    }
    Ok(())
}

/// Copies what stands at `from` to `to`, and deletes it when all of the copy is on the disk.
fn to_another_disk(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().unwrap_or_else(|| Path::new("."));
    let temporary = Temporary::adopt(Temporary::name_in(folder));
    let mut move_out = MoveOut::default();
    move_out
        .copy(from, temporary.path(), 0)
        .map_err(|error| error.hint(format!("move `{}` away by hand", from.display())))?;
    place_new(temporary, to)?;
    move_out.delete()?;
    from.parent().map_or(Ok(()), sync_folder)
}

/// What was copied, folders before what is in them.
#[derive(Default)]
struct MoveOut {
    copied: Vec<(PathBuf, Stamp)>,
    bytes: u64,
}

/// What shows that a file is still the one that was copied. A folder shows it by being empty in the end.
#[derive(PartialEq, Eq)]
enum Stamp {
    Folder,
    Other {
        inode: u64,
        size: u64,
        changed: (i64, i64),
    },
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        if found.is_dir() {
            return Self::Folder;
        }
        Self::Other {
            inode: found.ino(),
            size: found.size(),
            changed: (found.mtime(), found.mtime_nsec()),
        }
    }
}

impl MoveOut {
    fn copy(&mut self, from: &Path, to: &Path, depth: usize) -> Result<()> {
        let unreadable = |error: &std::io::Error| Error::io("read", from, error);
        let failed = |error: &std::io::Error| Error::io("create", to, error);
        let found = fs::symlink_metadata(from).map_err(|error| unreadable(&error))?;
        if depth > MAX_DEPTH || self.copied.len() >= MAX_ENTRIES {
            return Err(too_large(from));
        }
        self.copied.push((from.to_path_buf(), Stamp::of(&found)));
        if found.is_symlink() {
            let leads_to = fs::read_link(from).map_err(|error| unreadable(&error))?;
            return symlink(leads_to, to).map_err(|error| failed(&error));
        }
        let mode = found.mode() & 0o777;
        if found.is_dir() {
            DirBuilder::new()
                .mode(0o700)
                .create(to)
                .map_err(|error| failed(&error))?;
            for entry in fs::read_dir(from).map_err(|error| unreadable(&error))? {
                let name = entry.map_err(|error| unreadable(&error))?.file_name();
                self.copy(&from.join(&name), &to.join(&name), depth + 1)?;
            }
            fs::set_permissions(to, Permissions::from_mode(mode | 0o700))
                .map_err(|error| failed(&error))?;
            return sync_folder(to);
        }
        // Refuses pipes and the like.
        let (source, size) = open_regular(from)?;
        let left = MAX_BYTES.saturating_sub(self.bytes);
        let mut target: File = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(|error| failed(&error))?;
        // It may grow while it is read.
        let mut source = std::io::Read::take(source, left.saturating_add(1));
        let copied = if size > left {
            size
        } else {
            std::io::copy(&mut source, &mut target).map_err(|error| failed(&error))?
        };
        if copied > left {
            return Err(too_large(from));
        }
        self.bytes += copied;
        if let Ok(modified) = found.modified() {
            target
                .set_times(FileTimes::new().set_modified(modified))
                .map_err(|error| failed(&error))?;
        }
        target
            .set_permissions(Permissions::from_mode(mode))
            .and_then(|()| target.sync_all())
            .map_err(|error| failed(&error))
    }

    /// Deletes what was copied, if it is still that.
    fn delete(self) -> Result<()> {
        for (path, stamp) in self.copied.into_iter().rev() {
            let failed = |error: &std::io::Error| Error::io("remove", &path, error);
            let found = fs::symlink_metadata(&path).map_err(|error| failed(&error))?;
            if Stamp::of(&found) != stamp {
                return Err(Error::new(
                    Code::FileChanged,
                    format!("`{}` was changed while it was moved away", path.display()),
                )
                .hint("run the command again")
                .at(path, None));
            }
            let removed = match stamp {
                Stamp::Folder => fs::remove_dir(&path),
                Stamp::Other { .. } => fs::remove_file(&path),
            };
            removed.map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

fn too_large(path: &Path) -> Error {
    let message = format!(
        "`{}` is too large to be moved to another disk",
        path.display()
    );
    Error::new(Code::FileTooLarge, message).at(path, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::write;

    #[test]
    fn files_and_folders_move_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("file"), b"bytes", 0o600).unwrap();
        fs::create_dir(at("tree")).unwrap();
        write(&at("tree/inner"), b"inner", 0o600).unwrap();
        fs::create_dir(at("kept")).unwrap();
        set_aside(&at("file"), &at("kept/file")).unwrap();
        set_aside(&at("tree"), &at("kept/tree")).unwrap();
        assert_eq!(fs::read(at("kept/file")).unwrap(), b"bytes");
        assert_eq!(fs::read(at("kept/tree/inner")).unwrap(), b"inner");
        assert!(!at("file").exists() && !at("tree").exists());
        write(&at("file"), b"other", 0o600).unwrap();
        let error = set_aside(&at("file"), &at("kept/file")).unwrap_err();
        assert_eq!(error.code, Code::FileExists);
        assert_eq!(fs::read(at("file")).unwrap(), b"other");
        assert_eq!(fs::read(at("kept/file")).unwrap(), b"bytes");
    }

    #[test]
    fn to_another_disk_all_goes_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("tree/deep/empty")).unwrap();
        write(&at("tree/deep/run.sh"), b"bytes", 0o755).unwrap();
        fs::set_permissions(at("tree/deep/run.sh"), Permissions::from_mode(0o755)).unwrap();
        write(&at("kept"), b"not ours", 0o600).unwrap();
        symlink("../kept", at("tree/link")).unwrap();
        symlink("nowhere", at("tree/broken")).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(480_000);
        let file = File::open(at("tree/deep/run.sh")).unwrap();
        file.set_modified(old).unwrap();
        to_another_disk(&at("tree"), &at("there")).unwrap();
        assert!(!at("tree").exists());
        assert_eq!(fs::read(at("kept")).unwrap(), b"not ours");
        assert_eq!(
            fs::read_link(at("there/link")).unwrap(),
            Path::new("../kept")
        );
        assert_eq!(
            fs::read_link(at("there/broken")).unwrap(),
            Path::new("nowhere")
        );
        assert!(at("there/deep/empty").is_dir());
        let moved = fs::metadata(at("there/deep/run.sh")).unwrap();
        assert_eq!(
            (moved.mode() & 0o777, moved.modified().unwrap()),
            (0o755, old)
        );
        assert_eq!(fs::read(at("there/deep/run.sh")).unwrap(), b"bytes");
        // A link goes by itself, not what it leads to.
        symlink("kept", at("single")).unwrap();
        to_another_disk(&at("single"), &at("there/single")).unwrap();
        assert!(at("kept").exists() && at("single").symlink_metadata().is_err());
    }

    #[test]
    fn what_cant_be_copied_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("tree")).unwrap();
        write(&at("tree/file"), b"bytes", 0o600).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(at("tree/socket"));
        let error = to_another_disk(&at("tree"), &at("there")).unwrap_err();
        drop(listener);
        assert_eq!(error.code, Code::FilePermission);
        assert!(error.hints.join(" ").contains("by hand"), "{error:?}");
        fs::remove_file(at("tree/socket")).unwrap();
        File::create(at("tree/huge"))
            .unwrap()
            .set_len(MAX_BYTES + 1)
            .unwrap();
        let error = to_another_disk(&at("tree"), &at("there")).unwrap_err();
        assert_eq!(error.code, Code::FileTooLarge);
        fs::remove_file(at("tree/huge")).unwrap();
        write(&at("there"), b"other", 0o600).unwrap();
        let error = to_another_disk(&at("tree"), &at("there")).unwrap_err();
        assert_eq!(error.code, Code::FileExists);
        assert_eq!(fs::read(at("tree/file")).unwrap(), b"bytes");
        assert_eq!(fs::read(at("there")).unwrap(), b"other");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_changed_after_it_was_copied_is_not_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for change in ["file", "new"] {
            fs::create_dir_all(at("tree")).unwrap();
            write(&at("tree/file"), b"bytes", 0o600).unwrap();
            let mut move_out = MoveOut::default();
            move_out
                .copy(&at("tree"), &at(&format!("there-{change}")), 0)
                .unwrap();
            write(&at("tree").join(change), b"an edit meanwhile", 0o600).unwrap();
            assert!(move_out.delete().is_err());
            assert_eq!(
                fs::read(at("tree").join(change)).unwrap(),
                b"an edit meanwhile"
            );
        }
    }
}
