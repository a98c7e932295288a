//! What stands at a path, as far as watching needs to know it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use skillmeat_shared::collection::MANIFEST;
use skillmeat_shared::paths::Disk;

use super::backend::Refusal;

/// What stands at a path. Who looks hangs for as long as the disk does, so the watch thread has others look.
#[derive(Debug, Clone)]
pub struct Place {
    /// The path with links resolved, as far as it exists.
    pub(super) real: PathBuf,
    /// Which folder stands there, if something is in it: device and inode.
    pub(super) identity: Result<(u64, u64), Refusal>,
    /// The nearest folder at or above it in which it can appear.
    pub(super) above: Option<PathBuf>,
    pub(super) disk: Disk,
    pub(super) device: u64,
    pub(super) is_folder: bool,
    pub(super) has_manifest: bool,
}

impl Place {
    /// Looks.
    pub fn of(path: &Path) -> Self {
        let real = real_path(path);
        let found = fs::metadata(&real).ok();
        let is_folder = found.as_ref().is_some_and(fs::Metadata::is_dir);
        let identity = match &found {
            Some(found) if is_folder => {
                // One that can't be listed is not known to be empty.
                if fs::read_dir(&real).is_ok_and(|mut entries| entries.next().is_none()) {
                    Err(Refusal::Empty)
                } else {
                    Ok((found.dev(), found.ino()))
                }
            }
            _ => Err(Refusal::Missing),
        };
        let skipped = usize::from(identity != Err(Refusal::Empty));
        let above = real.ancestors().skip(skipped).find(|path| path.is_dir());
        Self {
            identity,
            above: above.map(Path::to_owned),
            disk: Disk::of(&real),
            device: found.map_or(0, |found| found.dev()),
            is_folder,
            has_manifest: is_folder && real.join(MANIFEST).exists(),
            real,
        }
    }

    /// Whether its disk may fall silent: whoever asks it then hangs.
    pub(super) const fn is_far(&self) -> bool {
        !self.disk.is_local
    }
}

/// The path with links resolved, as far as it exists.
fn real_path(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(real) = fs::canonicalize(above)
            && let Ok(rest) = path.strip_prefix(above)
        {
            return if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            };
        }
    }
    path.to_owned()
}
