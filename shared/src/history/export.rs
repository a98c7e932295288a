//! A state as a `.tar.gz`, as the ancestor's snapshots are: one folder, named like the collection.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::diff::walk;
use super::object::{self, Objects};
use super::tree::Node;
use crate::bundle::packer::Packer;
use crate::fs::atomic::{Temporary, place_new, replace};
use crate::time::Timestamp;
use crate::{Code, Error, Result};

/// Files of more bytes go by way of the disk.
const IN_MEMORY: u64 = 16 * 1024 * 1024;

/// Writes a state to the archive `target`, whole or not at all, with `name` as its one folder and `at` as the
/// time of all files. Gives its size.
///
/// # Errors
/// [`Code::FileExists`] if something stands at `target`, unless `force` lets it be replaced; what the disk
/// and the history say.
pub fn export(
    objects: &dyn Objects,
    node: &Node,
    name: &str,
    at: Timestamp,
    target: &Path,
    force: bool,
) -> Result<u64> {
    let fail = |error: &std::io::Error| Error::io("write", target, error);
    match fs::symlink_metadata(target) {
        Ok(found) if force && found.is_file() => {}
        Ok(_) => {
            let message = format!("`{}` exists already", target.display());
            return Err(Error::new(Code::FileExists, message)
                .hint("name another file, or use `--force` to replace a file")
                .at(target, None));
        }
        Err(_) => {}
    }
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let temporary = Temporary::adopt(Temporary::name_in(folder));
    let file = open(temporary.path()).map_err(|error| fail(&error))?;
    let packer = Packer::new(BufWriter::new(file));
    let mut writing = Writing {
        archive: Builder::new(packer),
        objects,
        spool: folder,
        seconds: u64::try_from(at.0 / 1_000_000_000).unwrap_or_default(),
        target,
    };
    walk(objects, node, &mut |path, node| {
        let path = if path.as_os_str().is_empty() {
            PathBuf::from(name)
        } else {
            Path::new(name).join(path)
        };
        writing.entry(&path, node)
    })?;
    let file = writing
        .archive
        .into_inner()
        .and_then(Packer::finish)
        .and_then(|buffer| {
            buffer
                .into_inner()
                .map_err(std::io::IntoInnerError::into_error)
        })
        .map_err(|error| fail(&error))?;
    file.sync_all().map_err(|error| fail(&error))?;
    let size = file.metadata().map_err(|error| fail(&error))?.len();
    if force {
        replace(temporary, target)?;
    } else {
        place_new(temporary, target)?;
    }
    Ok(size)
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

struct Writing<'a, W: Write> {
    archive: Builder<W>,
    objects: &'a dyn Objects,
    spool: &'a Path,
    seconds: u64,
    target: &'a Path,
}

impl<W: Write> Writing<'_, W> {
    fn entry(&mut self, path: &Path, node: &Node) -> Result<()> {
        let target = self.target;
        let fail = |error: &std::io::Error| Error::io("write", target, error);
        let mut header = Header::new_gnu();
        header.set_mtime(self.seconds);
        header.set_uid(0);
        header.set_gid(0);
        match node {
            Node::Folder { mode, .. } => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode((*mode).into());
                header.set_size(0);
                self.archive
                    .append_data(&mut header, path, std::io::empty())
                    .map_err(|error| fail(&error))
            }
            Node::Link { target } => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                self.archive
                    .append_link(&mut header, path, Path::new(target))
                    .map_err(|error| fail(&error))
            }
            Node::File { mode, size, hash } => {
                header.set_entry_type(EntryType::Regular);
                header.set_mode((*mode).into());
                header.set_size(*size);
                if *size <= IN_MEMORY {
                    let bytes = object::get(self.objects, hash, *size)?;
                    return self
                        .archive
                        .append_data(&mut header, path, bytes.as_slice())
                        .map_err(|error| fail(&error));
                }
                let spooled = Temporary::adopt(Temporary::name_in(self.spool));
                let mut file = open(spooled.path()).map_err(|error| fail(&error))?;
                self.objects.copy_to(hash, &mut file)?;
                let file = File::open(spooled.path()).map_err(|error| fail(&error))?;
                self.archive
                    .append_data(&mut header, path, BufReader::new(file))
                    .map_err(|error| fail(&error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::ancestor::{LIMITS, collection_in};
    use super::super::{MemoryObjects, capture};
    use super::*;
    use crate::bundle::archive;
    use crate::fs::write;

    #[test]
    fn what_is_exported_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        let deep = from.join(["long".repeat(40), "er".repeat(60)].join("/"));
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir(from.join("empty")).unwrap();
        write(&from.join("collection.toml"), b"[collection]", 0o600).unwrap();
        write(&deep.join("file"), b"deep", 0o755).unwrap();
        write(&from.join("caf\u{e9}"), b"c", 0o644).unwrap();
        let large = File::create(from.join("large")).unwrap();
        large.set_len(IN_MEMORY + 1).unwrap();
        symlink("empty/../caf\u{e9}", from.join("link")).unwrap();
        fs::set_permissions(from.join("empty"), fs::Permissions::from_mode(0o750)).unwrap();
        let objects = MemoryObjects::default();
        let node = capture(&from, &objects).unwrap().node.unwrap();
        let target = folder.path().join("out.tar.gz");
        let at = Timestamp(1_700_000_000_000_000_000);
        let export = |force| export(&objects, &node, "work", at, &target, force);
        let size = export(false).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().len(), size);
        assert_eq!(export(false).unwrap_err().code, Code::FileExists);
        assert_eq!(export(true).unwrap(), size);
        let unpacked =
            archive::unpack(&target, &folder.path().join("room"), "in", &LIMITS).unwrap();
        let root = collection_in(unpacked.root()).unwrap();
        assert!(root.ends_with("work"));
        assert_eq!(capture(&root, &objects).unwrap().node.unwrap(), node);
        let link = fs::read_link(root.join("link")).unwrap();
        assert_eq!(link.as_os_str(), "empty/../caf\u{e9}");
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }
}
