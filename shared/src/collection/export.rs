//! A collection as an archive: everything in its folder but what is git's, and what we left half-made.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::bundle::packer::Packer;
use crate::fs::TEMP_PREFIX;
use crate::{Code, Error, Result};

/// Files and folders at most.
const MAX_ENTRIES: u64 = 1_000_000;

/// The deepest folder.
const MAX_DEPTH: usize = 64;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exported {
    /// Files and links.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Links that lead out of the collection, the first of them: they are in no archive, as nobody would unpack
    /// one with such links.
    pub left_out: Vec<PathBuf>,
}

/// Links that are told of at most.
const MAX_LEFT_OUT: usize = 1000;

/// Whether a link in a folder of a collection leads out of it: by its text, or by where it ends.
fn leads_out(root: &Path, link: &Path, target: &Path) -> bool {
    let folder = link.strip_prefix(root).ok().and_then(Path::parent);
    let mut depth = folder.map_or(0, |folder| folder.components().count());
    for part in target.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return true,
        }
    }
    std::fs::canonicalize(link).is_ok_and(|real| !real.starts_with(root))
}

/// Writes a collection's folder, without links in its path, as a `.tar.gz` whose one folder is called `name`. Links
/// are kept as they are; those that lead out of it are left out.
///
/// # Errors
/// What reading the folder or writing the archive says; [`Code::FileTooLarge`] for too many files or folders
/// that lie too deep.
pub fn export(root: &Path, name: &str, to: impl Write) -> Result<Exported> {
    let mut archive = Builder::new(Packer::new(to));
    archive.follow_symlinks(false);
    let mut done = Exported::default();
    let mut entries = 0;
    folder(
        &mut archive,
        root,
        (root, Path::new(name)),
        0,
        &mut entries,
        &mut done,
    )?;
    let failed = |error: io::Error| Error::io("write the archive of", root, &error);
    let packed = archive.into_inner().map_err(failed)?;
    let mut to = packed.finish().map_err(failed)?;
    to.flush().map_err(failed)?;
    Ok(done)
}

fn folder<W: Write>(
    archive: &mut Builder<W>,
    root: &Path,
    (path, name): (&Path, &Path),
    depth: usize,
    entries: &mut u64,
    done: &mut Exported,
) -> Result<()> {
    if depth > MAX_DEPTH {
        let message = format!("the folders below `{}` lie too deep", path.display());
        return Err(Error::new(Code::FileTooLarge, message).at(path, None));
    }
    let failed = |error: io::Error| Error::io("read", path, &error);
    archive.append_dir(name, path).map_err(failed)?;
    let mut names: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()
        .map_err(failed)?;
    names.sort();
    for inner in names {
        let own = inner.file_name().unwrap_or_default();
        let is_git = depth == 0 && own == OsStr::new(".git");
        let is_ours = own.as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes());
        if is_git || is_ours {
            continue;
        }
        *entries += 1;
        if *entries > MAX_ENTRIES {
            let message = "the collection has more than 1,000,000 files";
            return Err(Error::new(Code::FileTooLarge, message));
        }
        let inside = name.join(own);
        let failed = |error: io::Error| Error::io("read", &inner, &error);
        let found = std::fs::symlink_metadata(&inner).map_err(failed)?;
        if found.is_dir() {
            folder(archive, root, (&inner, &inside), depth + 1, entries, done)?;
        } else if found.is_symlink() {
            let target = std::fs::read_link(&inner).map_err(failed)?;
            if leads_out(root, &inner, &target) {
                if done.left_out.len() < MAX_LEFT_OUT {
                    let path = inner.strip_prefix(root).unwrap_or(&inner);
                    done.left_out.push(path.to_path_buf());
                }
                continue;
            }
            let mut header = Header::new_gnu();
            header.set_metadata(&found);
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            archive
                .append_link(&mut header, &inside, &target)
                .map_err(failed)?;
            done.files += 1;
        } else if found.is_file() {
            let mut file = File::open(&inner).map_err(failed)?;
            archive.append_file(&inside, &mut file).map_err(failed)?;
            done.files += 1;
            done.bytes += found.len();
        }
    }
    Ok(())
}
