//! A stat walk of one artifact: which files it has and what the file system says of them.
//!
//! Invariants: no file is opened; a symlinked folder is never descended into; the walk ends after
//! [`MAX_ENTRIES`] entries and [`MAX_DEPTH`] levels; entries stand in the order in which the content
//! hash wants them. One `readdir` per folder and one `stat` per file is all that a clean sweep costs;
//! paths are resolved for symlinks only.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::artifact::Problem;
use crate::collection::spelling;
use crate::{Code, Error, Result};

/// Files and folders that one scan looks at before it gives up.
pub const MAX_ENTRIES: usize = 20_000;
/// Levels of folders below the artifact's own that one scan descends.
pub const MAX_DEPTH: usize = 32;

/// What an entry of an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symlink to a regular file inside the collection; size, times and inode are its target's.
    LinkedFile,
    /// A symlink to a folder. It is not followed.
    FolderLink,
    /// A symlink to a file outside the collection. It is not followed.
    OutsideLink,
    /// A symlink to nothing, or to something that is neither file nor folder.
    BrokenLink,
    /// A FIFO, socket or device. It is never opened.
    Special,
    /// A folder that can't be listed, or an entry that can't be examined.
    Unreadable,
}

impl EntryKind {
    /// Whether the entry's path counts in the hashes.
    pub const fn is_hashed(self) -> bool {
        matches!(self, Self::File | Self::LinkedFile | Self::OutsideLink)
    }

    /// Whether the entry's bytes may be read.
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::File | Self::LinkedFile)
    }

    const fn tag(self) -> u8 {
        match self {
            Self::File => 0,
            Self::LinkedFile => 1,
            Self::FolderLink => 2,
            Self::OutsideLink => 3,
            Self::BrokenLink => 4,
            Self::Special => 5,
            Self::Unreadable => 6,
        }
    }
}

/// One file, or one thing that is neither file nor folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path relative to the artifact's folder; for an artifact of one file, the file's name.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes.
    pub size: u64,
    /// Time of the last change of the contents, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Time of the last change of the inode, nanoseconds since the epoch.
    pub ctime_ns: i64,
    /// The inode's number.
    pub inode: u64,
    /// Type and permissions, as `stat` gives them.
    pub mode: u32,
}

impl Entry {
    fn of(path: PathBuf, kind: EntryKind, stat: Option<&Metadata>) -> Self {
        let nanos =
            |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Self {
            path,
            kind,
            size: stat.map_or(0, Metadata::size),
            mtime_ns: stat.map_or(0, |s| nanos(s.mtime(), s.mtime_nsec())),
            ctime_ns: stat.map_or(0, |s| nanos(s.ctime(), s.ctime_nsec())),
            inode: stat.map_or(0, Metadata::ino),
            mode: stat.map_or(0, Metadata::mode),
        }
    }
}

/// What a walk over one artifact found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Everything but plain folders, in the order of the content hash: component by component, by bytes.
    pub entries: Vec<Entry>,
    /// Whether the artifact is one file.
    pub is_file: bool,
    /// Plain folders below the artifact's own.
    pub folders: u64,
    /// Whether the walk saw everything: no limit was passed and the artifact's own folder can be listed.
    pub complete: bool,
    /// What a person should know of it.
    pub problems: Vec<Problem>,
    /// Where the files are: the path that was asked for, with a symlink at its end resolved.
    root: PathBuf,
    /// The path that was asked for, relative to the boundary.
    label: PathBuf,
    boundary: PathBuf,
}

impl Scan {
    /// A fingerprint of all entries' path, kind, size, times, inode and mode: it differs whenever the
    /// file system admits to a change.
    pub fn signature(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        for entry in &self.entries {
            let path = entry.path.as_os_str().as_bytes();
            hash.update((path.len() as u64).to_le_bytes());
            hash.update(path);
            hash.update([entry.kind.tag()]);
            hash.update(entry.size.to_le_bytes());
            hash.update(entry.mtime_ns.to_le_bytes());
            hash.update(entry.ctime_ns.to_le_bytes());
            hash.update(entry.inode.to_le_bytes());
            hash.update(entry.mode.to_le_bytes());
        }
        let digest = hash.finalize();
        let mut signature = [0; 16];
        for (to, from) in signature.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        signature
    }

    /// The latest change of contents or inode, nanoseconds since the epoch; 0 without entries.
    pub fn newest_ns(&self) -> i64 {
        self.entries
            .iter()
            .map(|e| e.mtime_ns.max(e.ctime_ns))
            .max()
            .unwrap_or(0)
    }

    /// The latest change of contents, nanoseconds since the epoch; 0 without entries.
    pub fn newest_mtime_ns(&self) -> i64 {
        self.entries.iter().map(|e| e.mtime_ns).max().unwrap_or(0)
    }

    /// Files whose bytes belong to the artifact.
    pub fn file_count(&self) -> u64 {
        self.entries.iter().filter(|e| e.kind.is_readable()).count() as u64
    }

    /// Bytes in all of them.
    pub fn total_size(&self) -> u64 {
        self.entries
            .iter()
            .filter(|e| e.kind.is_readable())
            .fold(0, |sum, entry| sum.saturating_add(entry.size))
    }

    /// Whether the artifact's own folder can't be listed.
    pub fn is_closed(&self) -> bool {
        let is_itself = |entry: &Entry| entry.path.as_os_str().is_empty();
        self.entries.iter().any(is_itself)
    }

    /// Where an entry's file is, in the artifact at `path`.
    pub(crate) fn location(&self, path: &Path, entry: &Entry) -> PathBuf {
        if self.is_file {
            self.root.clone()
        } else {
            path.join(&entry.path)
        }
    }

    /// How an entry is named in a [`Problem`]: relative to the collection.
    pub(crate) fn label(&self, entry: &Path) -> String {
        label(&self.label, entry, self.is_file)
    }

    /// Resolves a path and gives it back if it lies inside the collection or inside the artifact itself.
    pub(crate) fn resolve_inside(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let target = fs::canonicalize(path)?;
        let inside = [&self.boundary, &self.root]
            .into_iter()
            .any(|folder| fs::canonicalize(folder).is_ok_and(|folder| target.starts_with(folder)));
        Ok(inside.then_some(target))
    }
}

fn label(artifact: &Path, entry: &Path, is_file: bool) -> String {
    let path = if is_file || entry.as_os_str().is_empty() {
        artifact.to_owned()
    } else {
        artifact.join(entry)
    };
    spelling::spell(&path)
}

/// Walks one artifact: the file or folder at `path`. `boundary` is the collection's folder: symlinks
/// are followed to files inside it (or inside the artifact) only.
///
/// # Errors
///
/// `file.not_found` without such a path, `file.outside` if the path itself is a symlink that leaves the
/// boundary. Whatever goes wrong below the path becomes a [`Problem`] of the scan.
pub fn scan(path: &Path, boundary: &Path) -> Result<Scan> {
    let fail = |error: &io::Error| Error::io("read", path, error);
    let mut stat = fs::symlink_metadata(path).map_err(|e| fail(&e))?;
    let mut root = path.to_owned();
    if stat.is_symlink() {
        root = fs::canonicalize(path).map_err(|e| fail(&e))?;
        let inside = fs::canonicalize(boundary).map_err(|e| Error::io("read", boundary, &e))?;
        if !root.starts_with(&inside) {
            let message = format!("`{}` is a link that leaves its folder", path.display());
            return Err(Error::new(Code::FileOutside, message)
                .hint("put a copy of the files in its place")
                .at(path, None));
        }
        stat = fs::symlink_metadata(&root).map_err(|e| fail(&e))?;
    }
    let is_file = !stat.is_dir();
    let mut walk = Walk {
        scan: Scan {
            entries: Vec::new(),
            is_file,
            folders: 0,
            complete: true,
            problems: Vec::new(),
            root,
            label: path.strip_prefix(boundary).unwrap_or(path).to_owned(),
            boundary: boundary.to_owned(),
        },
        inside: OnceCell::new(),
        seen: 0,
    };
    if is_file {
        let name = PathBuf::from(path.file_name().unwrap_or_default());
        let kind = if stat.is_file() {
            EntryKind::File
        } else {
            EntryKind::Special
        };
        walk.add(name, kind, Some(&stat));
    } else {
        let root = walk.scan.root.clone();
        walk.folder(&root, Path::new(""), 0);
    }
    Ok(walk.scan)
}

struct Walk {
    scan: Scan,
    /// The boundary and the artifact's folder, resolved; filled by the first symlink.
    inside: OnceCell<Vec<PathBuf>>,
    seen: usize,
}

impl Walk {
    fn add(&mut self, path: PathBuf, kind: EntryKind, stat: Option<&Metadata>) {
        let problem = match kind {
            EntryKind::File | EntryKind::LinkedFile | EntryKind::FolderLink => None,
            EntryKind::OutsideLink => {
                Some(("link.outside", "a link leaves the collection: not read"))
            }
            EntryKind::BrokenLink => Some(("link.broken", "a link points to nothing")),
            EntryKind::Special => Some((
                "file.special",
                "a pipe, socket or device is no part of an artifact: not read",
            )),
            EntryKind::Unreadable => {
                Some(("file.unreadable", "the permissions forbid to look at it"))
            }
        };
        if let Some((code, message)) = problem {
            self.problem(code, message, &path);
        }
        self.scan.entries.push(Entry::of(path, kind, stat));
    }

    fn problem(&mut self, code: &str, message: &str, path: &Path) {
        let label = self.scan.label(path);
        self.scan
            .problems
            .push(Problem::new(code, message).at(label, None));
    }

    fn truncate(&mut self, path: &Path) {
        if self.scan.complete {
            self.scan.complete = false;
            let message = format!(
                "more than {MAX_ENTRIES} files or {MAX_DEPTH} levels: the rest is left out"
            );
            self.problem("scan.truncated", &message, path);
        }
    }

    fn folder(&mut self, folder: &Path, relative: &Path, depth: usize) {
        let listed = match self.list(folder) {
            Ok(listed) => listed,
            // Gone since its parent was listed: the next sweep sees it so, too.
            Err(error) if depth > 0 && error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => {
                if depth == 0 {
                    self.scan.complete = false;
                }
                let stat = fs::symlink_metadata(folder).ok();
                return self.add(relative.to_owned(), EntryKind::Unreadable, stat.as_ref());
            }
        };
        for (name, entry) in listed {
            if self.seen >= MAX_ENTRIES {
                return self.truncate(relative);
            }
            self.seen += 1;
            let relative = relative.join(&name);
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                if depth >= MAX_DEPTH {
                    self.truncate(&relative);
                    continue;
                }
                self.scan.folders += 1;
                self.folder(&folder.join(&name), &relative, depth + 1);
                continue;
            }
            match entry.metadata() {
                Ok(stat) if stat.is_file() => self.add(relative, EntryKind::File, Some(&stat)),
                Ok(stat) if stat.is_symlink() => self.link(&folder.join(&name), relative, &stat),
                Ok(stat) => self.add(relative, EntryKind::Special, Some(&stat)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => self.add(relative, EntryKind::Unreadable, None),
            }
        }
    }

    /// One folder's entries by name. A name can't stand for a file and a folder at once, so walking
    /// sorted folders depth first gives the order of the hash.
    fn list(&self, folder: &Path) -> io::Result<Vec<(OsString, fs::DirEntry)>> {
        let room = MAX_ENTRIES.saturating_sub(self.seen).saturating_add(1);
        let mut listed = fs::read_dir(folder)?
            .take(room)
            .map(|entry| entry.map(|entry| (entry.file_name(), entry)))
            .collect::<io::Result<Vec<_>>>()?;
        listed.sort_unstable_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
        Ok(listed)
    }

    fn link(&mut self, path: &Path, relative: PathBuf, own: &Metadata) {
        let Ok(target) = fs::canonicalize(path) else {
            return self.add(relative, EntryKind::BrokenLink, Some(own));
        };
        let stat = fs::symlink_metadata(&target).ok();
        let inside = self.is_inside(&target);
        match stat {
            Some(stat) if stat.is_dir() => {
                if !inside {
                    self.problem(
                        "link.outside",
                        "a link leaves the collection: not read",
                        &relative,
                    );
                }
                self.add(relative, EntryKind::FolderLink, Some(own));
            }
            Some(stat) if stat.is_file() && inside => {
                self.add(relative, EntryKind::LinkedFile, Some(&stat));
            }
            Some(stat) if stat.is_file() => self.add(relative, EntryKind::OutsideLink, Some(own)),
            Some(_) => self.add(relative, EntryKind::Special, Some(own)),
            None => self.add(relative, EntryKind::BrokenLink, Some(own)),
        }
    }

    fn is_inside(&self, target: &Path) -> bool {
        self.inside
            .get_or_init(|| {
                [&self.scan.boundary, &self.scan.root]
                    .into_iter()
                    .filter_map(|folder| fs::canonicalize(folder).ok())
                    .collect()
            })
            .iter()
            .any(|folder| target.starts_with(folder))
    }
}

#[cfg(test)]
mod tests;
