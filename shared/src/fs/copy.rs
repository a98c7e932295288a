//! Copying an artifact into a collection.
//!
//! The copy is made beside its place and moved there when it is whole and on the disk, so that a reader sees
//! all of it or nothing. What the copy of an artifact holds is files and folders only: links inside the source are
//! replaced by what they lead to, and a link out of it is left out, since the artifact would otherwise take
//! along whatever it points at. The copy of a collection keeps links that lead to the same in the copy.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::atomic::{Temporary, open_regular, place_new, sync_folder};
use super::contain;
use super::pattern;
use crate::artifact::Problem;
use crate::failpoint::hit;
use crate::{Code, Error, Result};

/// The most files and folders that one artifact may have.
pub const MAX_ENTRIES: usize = 20_000;

/// The most bytes that one artifact may have.
pub const MAX_BYTES: u64 = 1 << 30;

/// How deep its folders may lie in each other.
pub const MAX_DEPTH: usize = 64;

/// Names that are never copied: the ancestor leaves the same ones out, and the hash of a copy depends on it.
const EXCLUDED: [&str; 12] = [
    ".git",
    ".github",
    ".gitignore",
    "__pycache__",
    "*.pyc",
    "*.pyo",
    "node_modules",
    ".venv",
    "venv",
    "*.egg-info",
    ".DS_Store",
    "Thumbs.db",
];

/// What becomes of links that stay inside what is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// The copy has what they lead to.
    Followed,
    /// They stay links, but for those that would not lead to the same in the copy.
    Kept,
}

/// Whether a file or folder with this name is left out of copies.
pub fn is_excluded(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    EXCLUDED
        .iter()
        .any(|excluded| pattern::matches(excluded.as_bytes(), name))
}

/// Copies the file or folder `src` to `dst`, where nothing may stand. Makes the folder of `dst`. Gives notes
/// on what was left out, with paths relative to `src`.
///
/// # Errors
/// [`Code::FileExists`] if something stands at `dst`; [`Code::FileTooLarge`] above one of the limits;
/// otherwise what the file system says. Nothing is left behind then.
pub fn copy_tree(src: &Path, dst: &Path, links: Links) -> Result<Vec<Problem>> {
    if fs::symlink_metadata(dst).is_ok() {
        return Err(Error::new(
            Code::FileExists,
            format!("`{}` exists already", dst.display()),
        )
        .at(dst, None));
    }
    let root = fs::canonicalize(src).map_err(|error| Error::io("read", src, &error))?;
    let folder = dst.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, &error))?;
    let temporary = Temporary::adopt(Temporary::name_in(folder));
    let mut copy = Copy::of(root.clone(), links);
    if root.is_dir() {
        let target = fs::canonicalize(folder).map_err(|error| Error::io("read", folder, &error))?;
        if target.starts_with(&root) {
            let message = format!("`{}` can't be copied into itself", src.display());
            return Err(Error::new(Code::InvalidArgument, message).at(src, None));
        }
        copy.folder(&root, temporary.path(), &mut Vec::new())?;
    } else {
        copy.file(&root, temporary.path())?;
    }
    place_new(temporary, dst)?;
    Ok(copy.notes)
}

/// What a copy of the file or folder `src` leaves out, as [`copy_tree`] would note it.
///
/// # Errors
/// As [`copy_tree`], of what can be told without reading files.
pub fn left_out(src: &Path, links: Links) -> Result<Vec<Problem>> {
    let root = fs::canonicalize(src).map_err(|error| Error::io("read", src, &error))?;
    let mut copy = Copy::of(root.clone(), links);
    if root.is_dir() {
        copy.survey(&root, &mut Vec::new())?;
    } else if root.is_file() {
        copy.weigh(&root)?;
    }
    Ok(copy.notes)
}

/// What a copy of an entry is made of.
enum Made {
    Folder(PathBuf),
    File(PathBuf),
    /// A link with this text.
    Link(PathBuf),
}

struct Copy {
    root: PathBuf,
    links: Links,
    /// In how many folders that a link stood for the walk is: what is relative there leads elsewhere in the copy.
    followed: usize,
    notes: Vec<Problem>,
    entries: usize,
    bytes: u64,
}

impl Copy {
    const fn of(root: PathBuf, links: Links) -> Self {
        Self {
            root,
            links,
            followed: 0,
            notes: Vec::new(),
            entries: 0,
            bytes: 0,
        }
    }

    /// Copies a folder. `above` holds the real paths of the folders that it lies in.
    fn folder(&mut self, from: &Path, to: &Path, above: &mut Vec<PathBuf>) -> Result<()> {
        self.count(from)?;
        if above.len() >= MAX_DEPTH {
            return Err(self.too_deep(from));
        }
        let found = fs::metadata(from).map_err(|error| Error::io("read", from, &error))?;
        hit("copy.folder")
            .and_then(|()| fs::DirBuilder::new().mode(0o700).create(to))
            .map_err(|error| Error::io("create", to, &error))?;
        above.push(from.to_path_buf());
        for name in self.names(from)? {
            self.entry(&from.join(&name), &to.join(&name), above)?;
        }
        above.pop();
        // The user must be able to change and remove what is theirs.
        let mode = (found.permissions().mode() & 0o777) | 0o700;
        fs::set_permissions(to, fs::Permissions::from_mode(mode))
            .map_err(|error| Error::io("create", to, &error))?;
        sync_folder(to)
    }

    /// The names in a folder that are copied, in their order.
    fn names(&self, folder: &Path) -> Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| Error::io("read", folder, &error))? {
            let entry = entry.map_err(|error| Error::io("read", folder, &error))?;
            names.push(entry.file_name());
            if names.len() > MAX_ENTRIES {
                return Err(self.too_many(folder));
            }
        }
        names.retain(|name| !is_excluded(name));
        names.sort();
        Ok(names)
    }

    fn entry(&mut self, from: &Path, to: &Path, above: &mut Vec<PathBuf>) -> Result<()> {
        match self.real(from, above)? {
            Some(Made::Folder(real)) => {
                let followed = usize::from(real != from);
                self.followed += followed;
                self.folder(&real, to, above)?;
                self.followed -= followed;
                Ok(())
            }
            Some(Made::File(real)) => self.file(&real, to),
            Some(Made::Link(text)) => {
                self.count(from)?;
                symlink(text, to).map_err(|error| Error::io("create", to, &error))
            }
            None => Ok(()),
        }
    }

    /// What a copy of an entry is made of; nothing if it is left out, which is noted.
    fn real(&mut self, from: &Path, above: &[PathBuf]) -> Result<Option<Made>> {
        let kind = fs::symlink_metadata(from)
            .map_err(|error| Error::io("read", from, &error))?
            .file_type();
        let real = if kind.is_symlink() {
            match fs::canonicalize(from) {
                Ok(real) if !real.starts_with(&self.root) => {
                    self.note(
                        from,
                        "link.outside",
                        "leads out of the artifact and was left out",
                    );
                    return Ok(None);
                }
                Ok(real) if real == self.root || above.contains(&real) => {
                    self.note(
                        from,
                        "link.loop",
                        "leads to a folder that it lies in and was left out",
                    );
                    return Ok(None);
                }
                Ok(real) => {
                    let text = fs::read_link(from);
                    let text = text.map_err(|error| Error::io("read", from, &error))?;
                    let is_in_place = self.links == Links::Kept && self.followed == 0;
                    if is_in_place && self.leads_there(from, &text) {
                        return Ok(Some(Made::Link(text)));
                    }
                    real
                }
                Err(_) => {
                    self.note(from, "link.broken", "leads nowhere and was left out");
                    return Ok(None);
                }
            }
        } else {
            from.to_path_buf()
        };
        let found = fs::metadata(&real).map_err(|error| Error::io("read", &real, &error))?;
        if found.is_dir() {
            return Ok(Some(Made::Folder(real)));
        }
        if found.is_file() {
            return Ok(Some(Made::File(real)));
        }
        self.note(
            from,
            "file.special",
            "is a pipe, socket or device and was left out",
        );
        Ok(None)
    }

    /// Whether a link with this text, which leads somewhere, leads to the same in a copy: through folders that are all
    /// copied as such.
    fn leads_there(&self, link: &Path, text: &Path) -> bool {
        let mut at = link.parent().unwrap_or(link).to_path_buf();
        let mut parts = text.components().peekable();
        while let Some(part) = parts.next() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    at.pop();
                }
                Component::Normal(name) if !is_excluded(name) => at.push(name),
                _ => return false,
            }
            if !at.starts_with(&self.root) {
                return false;
            }
            if let Ok(next) = fs::read_link(&at) {
                return parts.peek().is_none() && self.leads_there(&at, &next);
            }
        }
        true
    }

    /// Walks as a copy would, and only notes what that leaves out.
    fn survey(&mut self, from: &Path, above: &mut Vec<PathBuf>) -> Result<()> {
        self.count(from)?;
        if above.len() >= MAX_DEPTH {
            return Err(self.too_deep(from));
        }
        above.push(from.to_path_buf());
        for name in self.names(from)? {
            let entry = from.join(name);
            match self.real(&entry, above)? {
                Some(Made::Folder(real)) => {
                    let followed = usize::from(real != entry);
                    self.followed += followed;
                    self.survey(&real, above)?;
                    self.followed -= followed;
                }
                Some(Made::File(real)) => self.weigh(&real)?,
                Some(Made::Link(_)) => self.count(from)?,
                None => {}
            }
        }
        above.pop();
        Ok(())
    }

    /// Counts a file that is not read.
    fn weigh(&mut self, from: &Path) -> Result<()> {
        self.count(from)?;
        let found = fs::metadata(from).map_err(|error| Error::io("read", from, &error))?;
        self.bytes = self.bytes.saturating_add(found.len());
        if self.bytes > MAX_BYTES {
            return Err(self.too_heavy(from));
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path) -> Result<()> {
        self.count(from)?;
        let (source, size) = open_regular(from)?;
        if self.bytes.saturating_add(size) > MAX_BYTES {
            return Err(self.too_heavy(from));
        }
        let found = source
            .metadata()
            .map_err(|error| Error::io("read", from, &error))?;
        let mut target: File = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(|error| Error::io("create", to, &error))?;
        // It may grow while it is read.
        let left = MAX_BYTES - self.bytes;
        let copied = hit("copy.write")
            .and_then(|()| std::io::copy(&mut source.take(left.saturating_add(1)), &mut target))
            .map_err(|error| Error::io("copy", from, &error))?;
        if copied > left {
            return Err(self.too_heavy(from));
        }
        self.bytes += copied;
        let fail = |error: &std::io::Error| Error::io("create", to, error);
        if let Ok(modified) = found.modified() {
            target
                .set_times(FileTimes::new().set_modified(modified))
                .map_err(|error| fail(&error))?;
        }
        // No file of an artifact runs as somebody else.
        target
            .set_permissions(fs::Permissions::from_mode(
                found.permissions().mode() & 0o777,
            ))
            .map_err(|error| fail(&error))?;
        hit("copy.sync")
            .and_then(|()| target.sync_all())
            .map_err(|error| fail(&error))
    }

    fn count(&mut self, from: &Path) -> Result<()> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            Err(self.too_many(from))
        } else {
            Ok(())
        }
    }

    fn too_many(&self, at: &Path) -> Error {
        self.too_large(
            at,
            &format!("it has more than {MAX_ENTRIES} files and folders"),
        )
    }

    fn too_deep(&self, at: &Path) -> Error {
        self.too_large(at, &format!("its folders lie more than {MAX_DEPTH} deep"))
    }

    fn too_heavy(&self, at: &Path) -> Error {
        self.too_large(at, &format!("it holds more than {MAX_BYTES} bytes"))
    }

    fn too_large(&self, at: &Path, why: &str) -> Error {
        Error::new(
            Code::FileTooLarge,
            format!("`{}` can't be copied: {why}", self.root.display()),
        )
        .hint("name a smaller folder, or move what does not belong to the artifact away")
        .at(at, None)
    }

    fn note(&mut self, at: &Path, code: &str, what: &str) {
        let path = contain::relative(&self.root, at).unwrap_or_else(|| {
            at.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        });
        self.notes
            .push(Problem::new(code, format!("`{path}` {what}")).at(path, None));
    }
}

#[cfg(test)]
mod tests;
