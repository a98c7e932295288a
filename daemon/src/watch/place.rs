//! What stands at a path, as far as watching needs to know it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use skillmeat_shared::collection::{MANIFEST, layout};
use skillmeat_shared::paths::Disk;

use super::backend::Refusal;

/// Which folders hold artifacts in a collection: device and inode of each that is there.
pub(super) type Containers = Vec<(PathBuf, (u64, u64))>;

/// What stands at a path. Who looks hangs for as long as the disk does, so the watch thread has others look.
#[derive(Debug, Clone)]
pub struct Place {
    /// The path with links resolved, as far as it exists.
    pub(super) real: PathBuf,
    /// Which folder stands there, if something is in it: device and inode.
    pub(super) identity: Result<(u64, u64), Refusal>,
    /// The nearest folder at or above it in which it can appear.
    pub(super) above: Option<PathBuf>,
    /// The folders in it that hold artifacts: device and inode.
    pub(super) containers: Containers,
    /// Its disk, or that of a container which tells less.
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
        let device = found.map_or(0, |found| found.dev());
        let containers = if is_folder {
            containers(&real)
        } else {
            Vec::new()
        };
        Self {
            identity,
            above: above.map(Path::to_owned),
            disk: disk(&real, device, &containers),
            containers,
            device,
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

/// The containers that are folders of their own. One behind a link lies elsewhere in the collection.
fn containers(root: &Path) -> Containers {
    let of = |path: PathBuf| {
        let found = path.symlink_metadata().ok().filter(fs::Metadata::is_dir)?;
        Some((path, (found.dev(), found.ino())))
    };
    layout::containers(root).filter_map(of).collect()
}

/// The disk of a folder, unless a container lies on another one that tells less.
fn disk(folder: &Path, device: u64, containers: &Containers) -> Disk {
    let own = Disk::of(folder);
    let mounted = containers.iter().filter(|(_, (on, _))| *on != device);
    let all = mounted.map(|(path, _)| Disk::of(path));
    all.fold(own, |least, disk| {
        let is_less = (disk.is_local, disk.tells_changes) < (least.is_local, least.tells_changes);
        if is_less { disk } else { least }
    })
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
