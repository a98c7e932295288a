//! Moving a file or folder out of the way without losing a byte.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::atomic::{create_new, read_bounded, sync_folder};
use crate::{Code, Error, Result};

/// The largest file that is moved to another disk, bytes.
const MAX_COPIED: u64 = 64 << 20;

/// Moves `from` to `to`, where nothing may stand and whose folder must exist. A file may come from another
/// disk; a folder may not.
///
/// # Errors
/// [`Code::FileExists`] if something stands at `to`; else what the file system says. `from` is still there
/// then.
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
        Err(Errno::XDEV) => {
            let bytes = read_bounded(from, MAX_COPIED)
                .map_err(|error| error.hint(format!("move `{}` away by hand", from.display())))?;
            create_new(to, &bytes, 0o600)?;
            fs::remove_file(from).map_err(fail)?;
        }
        // Without the flag a folder, or a file that appears in this instant, could be overwritten: `to` lies
        // in a folder that was just made for it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => {
            rustix::fs::rename(from, to).map_err(|error| fail(error.into()))?;
        }
        Err(error) => return Err(fail(error.into())),
    }
    for folder in [to.parent(), from.parent()].into_iter().flatten() {
        sync_folder(folder)?;
    }
    Ok(())
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
}
