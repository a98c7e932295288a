//! Mending what is safe to mend. Nothing is deleted: what is taken away is moved into a folder of the home,
//! under the path that it had.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use crate::fs::set_aside;
use crate::paths::{Home, ensure_private_dir};
use crate::time::Timestamp;
use crate::{Code, Error, Result};

/// How something can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Move a file or folder away.
    SetAside(PathBuf),
    /// Remove a socket that nobody listens on. It has no bytes to keep.
    RemoveSocket(PathBuf),
    /// Give a file or folder this mode.
    Mode(PathBuf, u32),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// In words.
    pub what: String,
    /// Where the bytes are now, if something was taken away.
    pub saved: Option<PathBuf>,
}

/// The folder that keeps what is taken away at this moment.
pub fn keep(home: &Home, now: Timestamp) -> PathBuf {
    let time = now.to_rfc3339().replace(':', "");
    home.root().join("state").join("doctor").join(time)
}

/// Mends. What is taken away goes below `keep`.
///
/// # Errors
/// If the thing is no longer what it was, or the file system fails. Nothing is lost then.
pub fn mend(repair: &Repair, keep: &Path) -> Result<Mended> {
    match repair {
        Repair::SetAside(path) => {
            let saved = place_in(keep, path);
            if let Some(folder) = saved.parent() {
                ensure_private_dir(folder)?;
            }
            set_aside(path, &saved)?;
            Ok(Mended {
                what: format!("moved `{}` away", path.display()),
                saved: Some(saved),
            })
        }
        Repair::RemoveSocket(path) => {
            let found = fs::symlink_metadata(path).map_err(|e| Error::io("look at", path, &e))?;
            let uid = rustix::process::geteuid().as_raw();
            if !found.file_type().is_socket() || found.uid() != uid {
                return Err(Error::new(
                    Code::FileChanged,
                    format!("`{}` is no socket of yours any more", path.display()),
                )
                .hint("run `sm doctor` again"));
            }
            fs::remove_file(path).map_err(|error| Error::io("remove", path, &error))?;
            Ok(Mended {
                what: format!("removed the socket `{}`", path.display()),
                saved: None,
            })
        }
        Repair::Mode(path, mode) => {
            let found = fs::symlink_metadata(path).map_err(|e| Error::io("look at", path, &e))?;
            if found.is_symlink() {
                return Err(Error::new(
                    Code::FileChanged,
                    format!("`{}` is a link now", path.display()),
                )
                .hint("run `sm doctor` again"));
            }
            fs::set_permissions(path, Permissions::from_mode(*mode))
                .map_err(|error| Error::io("change the mode of", path, &error))?;
            let before = found.mode() & 0o7777;
            Ok(Mended {
                what: format!(
                    "changed the mode of `{}` from {before:04o} to {mode:04o}",
                    path.display()
                ),
                saved: None,
            })
        }
    }
}

/// The path of a thing below the folder that keeps it.
fn place_in(keep: &Path, path: &Path) -> PathBuf {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    names.fold(keep.to_path_buf(), |place, name| place.join(name))
}
