//! From the disk to objects.
//!
//! Folders are opened by name from the folder above and links are never followed, so a folder that is
//! replaced by a link while it is read leads nowhere else.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::folder;
use super::object::{Keep, PART};
use super::seen::{Look, Seen, SeenFolder};
use super::tree::{Entry, Node, Tree};
use crate::artifact::Problem;
use crate::fs::FileHash;
use crate::thread::beside;
use crate::time::{Clock as _, SystemClock};
use crate::{Code, Error, Result};

mod again;

use again::Stays;
pub use again::{Again, capture_again};

/// The most files and folders of one capture.
pub const MAX_ENTRIES: u64 = 2_000_000;

/// How deep folders may lie in each other.
pub const MAX_DEPTH: usize = 100;

/// A folder of so many entries is read by two threads.
const SHARED: usize = 32;

/// How often a file that changes while it is read is read again.
const TRIES: usize = 3;

/// After how many files progress is told.
const STEP: u64 = 256;

/// What a capture found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The state; `None` if nothing stands there.
    pub node: Option<Node>,
    /// Regular files in it.
    pub files: u64,
    /// Bytes in all of them.
    pub bytes: u64,
    /// Files that had to be read.
    pub read: u64,
    /// Pipes, sockets and devices, which have no bytes to keep. Paths relative to what was captured.
    pub left_out: Vec<Problem>,
}

/// Captures whatever stands at a path: a file, a link, a folder with all that is in it, or nothing.
///
/// # Errors
/// What the file system says of the first file that can't be read: a state with holes would be no state.
/// [`Code::FileTooLarge`] beyond the limits of this module.
pub fn capture(path: &Path, objects: &dyn Keep) -> Result<Captured> {
    Walk::new(path, objects, None, &|_| {}).run(false)
}

/// As [`capture`], of a collection's folder: without its own `.git`, and without reading what `seen`
/// remembers. `tell` is called with the number of files now and then.
pub fn capture_collection(
    root: &Path,
    objects: &dyn Keep,
    seen: &dyn Seen,
    tell: &(dyn Fn(u64) + Sync),
) -> Result<Captured> {
    Walk::new(root, objects, Some(seen), tell).run(true)
}

struct Walk<'a> {
    top: &'a Path,
    objects: &'a dyn Keep,
    seen: Option<&'a dyn Seen>,
    tell: &'a (dyn Fn(u64) + Sync),
    entries: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    read: AtomicU64,
    left_out: Mutex<Vec<Problem>>,
}

/// What is remembered of a file: how it looked, and what it held.
type Remembered = Option<(Look, FileHash)>;

/// A name in a folder, its state, and what may be remembered of it.
type Found = (OsString, Node, Remembered);

/// What one thread carries along.
#[derive(Default)]
struct Hands {
    buffer: Vec<u8>,
    /// Whether other threads work beside this one.
    is_shared: bool,
}

impl<'a> Walk<'a> {
    fn new(
        top: &'a Path,
        objects: &'a dyn Keep,
        seen: Option<&'a dyn Seen>,
        tell: &'a (dyn Fn(u64) + Sync),
    ) -> Self {
        Self {
            top,
            objects,
            seen,
            tell,
            entries: AtomicU64::new(0),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            read: AtomicU64::new(0),
            left_out: Mutex::default(),
        }
    }

    fn run(self, is_collection: bool) -> Result<Captured> {
        let mut hands = Hands::default();
        let node = if is_collection {
            let (opened, mode) = self.open_top()?;
            let hash = self.folder(opened, b"", 0, &mut hands)?;
            Some(Node::Folder { mode, hash })
        } else {
            self.entry(CWD, self.top.as_os_str(), b"", 0, None, &mut hands)?
                .map(|(node, _)| node)
        };
        Ok(self.captured(node))
    }

    /// The folder of a collection, which may be reached by a link, as a home may; and its mode.
    fn open_top(&self) -> Result<(OwnedFd, u16)> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, self.top, flags, Mode::empty())
            .map_err(|errno| self.fail(b"", errno))?;
        let look = self.look(opened.as_fd(), b"")?;
        Ok((opened, folder::permissions(look.mode)))
    }

    fn captured(self, node: Option<Node>) -> Captured {
        let mut left_out = self
            .left_out
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        left_out.sort_by(|a, b| a.path.cmp(&b.path));
        Captured {
            node,
            files: self.files.into_inner(),
            bytes: self.bytes.into_inner(),
            read: self.read.into_inner(),
            left_out,
        }
    }

    fn fail(&self, path: &[u8], errno: Errno) -> Error {
        Error::io("read", &self.absolute(path), &errno.into())
    }

    fn absolute(&self, path: &[u8]) -> PathBuf {
        if path.is_empty() {
            return self.top.to_path_buf();
        }
        self.top.join(OsStr::from_bytes(path))
    }

    fn look(&self, fd: BorrowedFd<'_>, path: &[u8]) -> Result<Look> {
        rustix::fs::fstat(fd)
            .map(|stat| Look::of(&stat))
            .map_err(|errno| self.fail(path, errno))
    }

    /// The tree of an open folder. `path` is relative to the top.
    fn folder(
        &self,
        opened: OwnedFd,
        path: &[u8],
        depth: usize,
        hands: &mut Hands,
    ) -> Result<FileHash> {
        if depth > MAX_DEPTH {
            return Err(self.too_large(&format!(
                "the folders of `{}` lie more than {MAX_DEPTH} deep",
                self.absolute(path).display()
            )));
        }
        let wanted = self.list(&opened, path, depth)?;
        let known = self.known(path);
        let wanted: Vec<&OsStr> = wanted.iter().map(OsString::as_os_str).collect();
        let taken = self.all(&opened, path, depth, &wanted, known.as_ref(), hands)?;
        drop(opened);
        self.seal(path, taken, Stays::default(), known.as_ref())
    }

    /// The names in a folder that belong to its state.
    fn list(&self, opened: &OwnedFd, path: &[u8], depth: usize) -> Result<Vec<OsString>> {
        let mut listed =
            folder::list(opened, MAX_ENTRIES).map_err(|errno| self.fail(path, errno))?;
        let is_top = depth == 0 && self.seen.is_some();
        listed.retain(|name| !(folder::is_ours(name) || is_top && name == ".git"));
        let count = listed.len() as u64;
        let before = self.entries.fetch_add(count, Ordering::Relaxed);
        if before + count > MAX_ENTRIES {
            let message = format!("it has more than {MAX_ENTRIES} files and folders");
            return Err(self.too_large(&message));
        }
        Ok(listed)
    }

    /// What is remembered of a folder.
    fn known(&self, path: &[u8]) -> Option<SeenFolder> {
        let said = self.seen.and_then(|seen| seen.recall(path));
        said.and_then(SeenFolder::decode)
    }

    /// The tree of what was taken of a folder and of what stays, and remembers both.
    fn seal(
        &self,
        path: &[u8],
        taken: Vec<Found>,
        Stays { tree, mut files }: Stays<'_>,
        known: Option<&SeenFolder>,
    ) -> Result<FileHash> {
        let mut entries = Vec::with_capacity(taken.len());
        for (name, node, look) in taken {
            if let Some((look, hash)) = look {
                files.push((name.clone(), look, hash));
            }
            entries.push(Entry { name, node });
        }
        let now = Tree::new(entries)?;
        let kept = known.map(|known| &known.tree);
        let hash = match tree {
            Some((before, looked)) => before.changed(looked, &now).keep(self.objects, kept)?,
            None => now.keep(self.objects, kept)?,
        };
        if let Some(seen) = self.seen {
            files.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            let now = SeenFolder { tree: hash, files };
            if known != Some(&now) {
                seen.note(path, now.encode());
            }
        }
        Ok(hash)
    }

    /// All entries of a folder, by two threads if they are many. In no order.
    fn all(
        &self,
        opened: &OwnedFd,
        path: &[u8],
        depth: usize,
        wanted: &[&OsStr],
        known: Option<&SeenFolder>,
        hands: &mut Hands,
    ) -> Result<Vec<Found>> {
        let next = AtomicUsize::new(0);
        let work = |hands: &mut Hands| {
            let mut taken = Vec::new();
            while let Some(name) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                let inner = folder::join(path, name);
                let found = self.entry(opened.as_fd(), name, &inner, depth + 1, known, hands);
                match found {
                    Ok(Some((node, look))) => taken.push(((*name).to_owned(), node, look)),
                    Ok(None) => {}
                    Err(error) => {
                        // Nobody needs the rest.
                        next.store(wanted.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
            Ok(taken)
        };
        if hands.is_shared || wanted.len() < SHARED {
            return work(hands);
        }
        let other = || {
            work(&mut Hands {
                is_shared: true,
                ..Hands::default()
            })
        };
        hands.is_shared = true;
        let (theirs, taken) = beside("capture", &other, || work(hands));
        hands.is_shared = false;
        let mut all = taken?;
        all.extend(theirs?);
        Ok(all)
    }

    /// One entry of an open folder; `None` if it is gone, or nothing that can be kept.
    fn entry(
        &self,
        above: BorrowedFd<'_>,
        name: &OsStr,
        path: &[u8],
        depth: usize,
        known: Option<&SeenFolder>,
        hands: &mut Hands,
    ) -> Result<Option<(Node, Remembered)>> {
        // What it is may change between two calls: then it is looked at again.
        for _ in 0..TRIES {
            let found = match rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => found,
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(self.fail(path, errno)),
            };
            let kind = FileType::from_raw_mode(found.st_mode);
            let taken = match kind {
                FileType::RegularFile => {
                    let look = Look::of(&found);
                    if let Some(hash) = known.and_then(|known| known.hash_of(name, &look)) {
                        self.count(look.size);
                        let node = file(&look, look.size, hash);
                        return Ok(Some((node, Some((look, hash)))));
                    }
                    self.file(above, name, path, hands)
                }
                FileType::Directory => {
                    let flags =
                        OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
                    match rustix::fs::openat(above, name, flags, Mode::empty()) {
                        Ok(opened) => {
                            let look = self.look(opened.as_fd(), path)?;
                            let hash = self.folder(opened, path, depth, hands)?;
                            let mode = folder::permissions(look.mode);
                            return Ok(Some((Node::Folder { mode, hash }, None)));
                        }
                        Err(errno) => Err(errno),
                    }
                }
                FileType::Symlink => match rustix::fs::readlinkat(above, name, Vec::new()) {
                    Ok(target) => {
                        let target = OsString::from_vec(target.into_bytes());
                        return Ok(Some((Node::Link { target }, None)));
                    }
                    Err(errno) => Err(errno),
                },
                _ => {
                    self.leave_out(path);
                    return Ok(None);
                }
            };
            match taken {
                Ok(taken) => return taken.map(Some),
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::INVAL | Errno::NXIO) => {}
                Err(errno) => return Err(self.fail(path, errno)),
            }
        }
        let message = format!("`{}` changes all the time", self.absolute(path).display());
        Err(Error::new(Code::FileChanged, message)
            .hint("try again when nobody writes to it")
            .at(self.absolute(path), None))
    }

    /// Reads a file and keeps its bytes. The outer error tells that it is no regular file any more.
    fn file(
        &self,
        above: BorrowedFd<'_>,
        name: &OsStr,
        path: &[u8],
        hands: &mut Hands,
    ) -> Result<Result<(Node, Remembered)>, Errno> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        for attempt in 1.. {
            let opened = rustix::fs::openat(above, name, flags, Mode::empty())?;
            let before = rustix::fs::fstat(&opened)?;
            if FileType::from_raw_mode(before.st_mode) != FileType::RegularFile {
                return Err(Errno::NXIO);
            }
            let (look, now) = (Look::of(&before), SystemClock.now());
            let mut opened = std::fs::File::from(opened);
            // One more than there should be: the end is found by the first read.
            let room = usize::try_from(look.size).map_or(PART, |size| size.saturating_add(1));
            hands.buffer.clear();
            hands.buffer.reserve(room.min(PART));
            let (hash, size) = match self.contents(&mut opened, path, hands) {
                Ok(read) => read,
                Err(error) => return Ok(Err(error)),
            };
            let after = Look::of(&rustix::fs::fstat(&opened)?);
            let is_still = after == look && size == look.size;
            if !is_still && attempt < TRIES {
                continue;
            }
            // A file that is written all the time, a log, is kept as it was read.
            self.read.fetch_add(1, Ordering::Relaxed);
            self.count(size);
            let trusted = (is_still && look.is_settled(now)).then_some((look, hash));
            return Ok(Ok((file(&after, size, hash), trusted)));
        }
        Err(Errno::NXIO)
    }

    fn contents(
        &self,
        opened: &mut std::fs::File,
        path: &[u8],
        hands: &mut Hands,
    ) -> Result<(FileHash, u64)> {
        let fail = |error: &std::io::Error| Error::io("read", &self.absolute(path), error);
        let buffer = &mut hands.buffer;
        let mut next = |buffer: &mut Vec<u8>| {
            buffer.clear();
            opened
                .by_ref()
                .take(PART as u64)
                .read_to_end(buffer)
                .map_err(|error| fail(&error))
        };
        let mut length = next(buffer)?;
        if length < PART {
            let hash = FileHash::of(buffer);
            self.objects.put(&hash, buffer)?;
            return Ok((hash, length as u64));
        }
        let (mut whole, mut size, mut parts) = (Sha256::new(), 0, Vec::new());
        while length > 0 {
            whole.update(&*buffer);
            size += length as u64;
            let hash = FileHash::of(buffer);
            self.objects.put(&hash, buffer)?;
            parts.push(hash);
            length = next(buffer)?;
        }
        let hash = FileHash(whole.finalize().into());
        if parts.len() > 1 {
            self.objects.put_list(&hash, size, &parts)?;
        }
        Ok((hash, size))
    }

    fn count(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let files = self.files.fetch_add(1, Ordering::Relaxed) + 1;
        if files.is_multiple_of(STEP) {
            (self.tell)(files);
        }
    }

    fn leave_out(&self, path: &[u8]) {
        let name = String::from_utf8_lossy(path).into_owned();
        let message = format!("`{name}` is a pipe, socket or device and was left out");
        self.left_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Problem::new("file.special", message).at(name, None));
    }

    fn too_large(&self, why: &str) -> Error {
        let message = format!("`{}` can't be captured: {why}", self.top.display());
        Error::new(Code::FileTooLarge, message)
            .hint("move what does not belong there away")
            .at(self.top, None)
    }
}

fn file(look: &Look, size: u64, hash: FileHash) -> Node {
    Node::File {
        mode: folder::permissions_of_file(look.mode),
        size,
        hash,
    }
}

#[cfg(test)]
mod tests;
