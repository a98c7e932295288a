//! Reading with a limit, and writing so that a file is either the old one or the new one.
//!
//! Every write goes to a temporary file in the same folder, is flushed to the disk, and is then renamed
//! over the target; the folder is flushed last. A crash leaves at most a temporary file, whose name begins
//! with [`TEMP_PREFIX`] and which nobody reads.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as Io, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, OFlags, RenameFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::failpoint::hit;
use crate::fs::lock::FileLock;
use crate::{Code, Error, Result};

/// How the names of our temporary files begin.
pub const TEMP_PREFIX: &str = ".skillmeat-tmp-";

/// How long another of our programs may take to replace a file.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How many links a chain of symbolic links may have.
const MAX_LINKS: usize = 40;

/// The SHA-256 of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileHash(pub [u8; 32]);

impl FileHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// 64 lower-case hex digits.
    pub fn to_hex(self) -> String {
        use fmt::Write as _;
        self.0
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                // Writing to a string can't fail.
                let _ignored = write!(text, "{byte:02x}");
                text
            })
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// What a caller of [`swap`] believes about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// There is none.
    Absent,
    /// It has the content with this hash.
    Content(FileHash),
}

impl Expected {
    /// The belief that follows from having read these bytes, or from having found no file.
    pub fn after_reading(bytes: Option<&[u8]>) -> Self {
        bytes.map_or(Self::Absent, |bytes| Self::Content(FileHash::of(bytes)))
    }
}

/// What the names of temporaries of the one process that owns a home have in common with those of its predecessors.
struct Owned {
    mark: u32,
    /// The first number of this process: greater than all of its predecessors'.
    first: u64,
}

static OWNED: OnceLock<Owned> = OnceLock::new();

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Has temporaries of this process bear a mark of its owner on this machine: a folder that only one process at a time
/// owns, which holds a lock for as long as it lives. Only the first call counts.
///
/// # Errors
/// If the folder is gone.
pub fn own_temporaries(folder: &Path, machine: &str) -> std::io::Result<()> {
    let found = fs::metadata(folder)?;
    let owner = format!("{} {} {machine}", found.dev(), found.ino());
    let [a, b, c, d, ..] = FileHash::of(owner.as_bytes()).0;
    let first = u64::try_from(now().as_micros()).unwrap_or_default();
    let mark = u32::from_be_bytes([a, b, c, d]);
    OWNED.get_or_init(|| Owned { mark, first });
    Ok(())
}

/// Whether a temporary of this process, number and mark was made by an owner before this process.
pub(super) fn is_of_predecessor(process: &str, serial: &str, mark: &str) -> bool {
    let Some(owned) = OWNED.get() else {
        return false;
    };
    let is_before = serial.parse().is_ok_and(|serial: u64| serial < owned.first);
    let is_other = process.parse() != Ok(std::process::id());
    u32::from_str_radix(mark, 16) == Ok(owned.mark) && (is_other || is_before)
}

/// A new temporary file or folder that is removed unless it was renamed into its place.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    armed: bool,
}

impl Temporary {
    /// A name in `folder` that nobody uses. The caller creates the thing, exclusively.
    pub(crate) fn name_in(folder: &Path) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let (serial, mark) = OWNED.get().map_or_else(
            || (serial, now().subsec_nanos()),
            |owned| (owned.first + serial, owned.mark),
        );
        folder.join(format!(
            "{TEMP_PREFIX}{}-{serial}-{mark:08x}",
            std::process::id()
        ))
    }

    /// Takes charge of an existing path.
    pub(crate) const fn adopt(path: PathBuf) -> Self {
        Self { path, armed: true }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The thing stands in its place now: nothing is left to remove.
    pub(crate) fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // A temporary thing that can't be removed is ignored by every reader: nothing better to do.
        let _ignored = match fs::remove_file(&self.path) {
            Err(error) if error.kind() != Io::NotFound => fs::remove_dir_all(&self.path),
            removed => removed,
        };
    }
}

/// Replaces the content of `path`, or makes the file with `mode`. An existing file keeps its mode and, as
/// far as the system allows, its owner; a symbolic link stays one and its target is replaced.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let target = resolve(path)?;
    let temporary = prepare(&target, bytes, mode)?;
    replace(temporary, &target)
}

/// Makes a new file with `mode`. Never overwrites.
///
/// # Errors
/// [`Code::FileExists`] if something stands at `path`.
pub fn create_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(exists(path));
    }
    let temporary = prepare(path, bytes, mode)?;
    place_new(temporary, path)
}

/// Replaces the content of `path` if the file is still what the caller read; an absent file is made with
/// mode 0600.
///
/// # Errors
/// [`Code::FileChanged`] if the file has other content, is gone, or has appeared.
pub fn swap(path: &Path, expected: &Expected, bytes: &[u8]) -> Result<()> {
    let changed = |what: &str| {
        Error::new(Code::FileChanged, format!("`{}` {what}", path.display()))
            .hint("run the command again: nothing was written")
            .at(path, None)
    };
    match expected {
        Expected::Absent => create_new(path, bytes, 0o600).map_err(|error| match error.code {
            Code::FileExists => changed("was made by somebody else meanwhile"),
            _ => error,
        }),
        Expected::Content(hash) => {
            let target = resolve(path)?;
            let temporary = prepare(&target, bytes, 0o600)?;
            // Two of our programs that compare at once would both find what they expect, and one edit be lost.
            let _held = match target.parent() {
                Some(folder) => FileLock::of_folder(folder, PATIENCE)?,
                None => None,
            };
            // Compared as late as can be: the new bytes are on the disk already.
            match hash_of(&target) {
                Ok(found) if found == *hash => replace(temporary, &target),
                Ok(_) => Err(changed("was changed by somebody else meanwhile")),
                Err(error) if error.code == Code::FileNotFound => {
                    Err(changed("was removed by somebody else meanwhile"))
                }
                Err(error) => Err(error),
            }
        }
    }
}

/// The whole content of a regular file of at most `max` bytes. Symbolic links are followed; anything else
/// than a regular file (a pipe, a device) is never opened.
///
/// # Errors
/// [`Code::FileTooLarge`] above `max`; [`Code::FilePermission`] for what is no regular file.
pub fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>> {
    let (file, size) = open_regular(path)?;
    let too_large = || {
        Error::new(
            Code::FileTooLarge,
            format!("`{}` is larger than {max} bytes", path.display()),
        )
        .at(path, None)
    };
    if size > max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", path, &error))?;
    if bytes.len() as u64 > max {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Opens a regular file for reading and gives its size. What the path names is looked at before and after
/// it is opened, so that a pipe put there in between neither blocks us nor is read.
pub(crate) fn open_regular(path: &Path) -> Result<(File, u64)> {
    let refuse = || {
        Error::new(
            Code::FilePermission,
            format!("`{}` is not a regular file", path.display()),
        )
        .at(path, None)
    };
    let before = fs::metadata(path).map_err(|error| Error::io("read", path, &error))?;
    if !before.is_file() {
        return Err(refuse());
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| Error::io("read", path, &error))?;
    let after = file
        .metadata()
        .map_err(|error| Error::io("read", path, &error))?;
    if !after.is_file() {
        return Err(refuse());
    }
    Ok((file, after.len()))
}

/// Flushes a folder's entries to the disk. File systems that can't are left alone.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    let opened = File::open(folder).map_err(|error| Error::io("open", folder, &error))?;
    match hit("atomic.sync_folder").and_then(|()| opened.sync_all()) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), Io::InvalidInput | Io::Unsupported) => Ok(()),
        Err(error) => Err(Error::io("write", folder, &error)),
    }
}

/// Moves a finished temporary file or folder to a path where nothing stands, and flushes the folder.
pub(crate) fn place_new(temporary: Temporary, target: &Path) -> Result<()> {
    put_new(temporary, target)?;
    let flushed = sync_folder(parent(target));
    if flushed.is_err() {
        // Nothing stood there, and nothing shall: all of it or nothing.
        drop(Temporary::adopt(target.to_path_buf()));
    }
    flushed
}

/// As [`place_new`]; the caller flushes the folder.
pub(crate) fn put_new(temporary: Temporary, target: &Path) -> Result<()> {
    let from = temporary.path();
    hit("atomic.before_place").map_err(|error| Error::io("create", target, &error))?;
    let outcome = match rustix::fs::renameat_with(CWD, from, CWD, target, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => place_without_flag(from, target),
        other => other.map_err(std::io::Error::from),
    };
    match outcome {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), Io::AlreadyExists | Io::DirectoryNotEmpty) => {
            return Err(exists(target));
        }
        Err(error) => return Err(Error::io("create", target, &error)),
    }
    temporary.disarm();
    let placed = hit("atomic.after_place").map_err(|error| Error::io("create", target, &error));
    if placed.is_err() {
        drop(Temporary::adopt(target.to_path_buf()));
    }
    placed
}

/// For file systems without a rename that refuses to overwrite: a link refuses, and so does a rename of a
/// folder over a folder that is not empty.
#[expect(clippy::disallowed_methods, reason = "the caller flushes the folder")]
fn place_without_flag(from: &Path, target: &Path) -> std::io::Result<()> {
    if fs::symlink_metadata(from)?.is_dir() {
        fs::create_dir(target)?;
        return fs::rename(from, target);
    }
    fs::hard_link(from, target)?;
    fs::remove_file(from)
}

/// Writes the bytes to a temporary file beside `target`, with the mode and owner that it should have.
fn prepare(target: &Path, bytes: &[u8], mode: u32) -> Result<Temporary> {
    let (file, temporary) = make_ready(parent(target), target, bytes, mode)?;
    hit("atomic.sync")
        .and_then(|()| file.sync_all())
        .map_err(|error| Error::io("write", target, &error))?;
    Ok(temporary)
}

/// As [`prepare`], in another folder of its disk; the caller flushes the file.
pub(super) fn make_ready(
    folder: &Path,
    target: &Path,
    bytes: &[u8],
    mode: u32,
) -> Result<(File, Temporary)> {
    let existing = match fs::symlink_metadata(target) {
        Ok(found) if found.is_file() => Some(found),
        Ok(_) => {
            return Err(Error::new(
                Code::FilePermission,
                format!("`{}` is not a regular file", target.display()),
            )
            .at(target, None));
        }
        Err(error) if error.kind() == Io::NotFound => None,
        Err(error) => return Err(Error::io("write", target, &error)),
    };
    let (mut file, temporary) = create_temporary(folder, target)?;
    let fail = |error: &std::io::Error| Error::io("write", target, error);
    hit("atomic.write")
        .and_then(|()| file.write_all(bytes))
        .map_err(|error| fail(&error))?;
    let mode = existing.as_ref().map_or(mode, MetadataExt::mode) & 0o7777;
    if let Some(found) = &existing {
        let ours = file.metadata().map_err(|error| fail(&error))?;
        if (ours.uid(), ours.gid()) != (found.uid(), found.gid()) {
            // Only root may give files away; everybody else becomes the owner by writing.
            let _ignored = rustix::fs::fchown(
                &file,
                Some(rustix::fs::Uid::from_raw(found.uid())),
                Some(rustix::fs::Gid::from_raw(found.gid())),
            );
        }
    }
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(|error| fail(&error))?;
    Ok((file, temporary))
}

fn create_temporary(folder: &Path, target: &Path) -> Result<(File, Temporary)> {
    hit("atomic.create").map_err(|error| Error::io("write", target, &error))?;
    let mut last = None;
    for _ in 0..16 {
        let path = Temporary::name_in(folder);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(file) => return Ok((file, Temporary::adopt(path))),
            Err(error) if error.kind() == Io::AlreadyExists => last = Some(error),
            Err(error) => return Err(Error::io("write", target, &error)),
        }
    }
    let error = last.unwrap_or_else(|| Io::AlreadyExists.into());
    Err(Error::io("write", target, &error))
}

#[expect(
    clippy::disallowed_methods,
    reason = "flushed before and after: this is the durable rename"
)]
pub(crate) fn replace(temporary: Temporary, target: &Path) -> Result<()> {
    let fail = |error: &std::io::Error| Error::io("write", target, error);
    hit("atomic.before_rename")
        .and_then(|()| fs::rename(temporary.path(), target))
        .map_err(|error| fail(&error))?;
    temporary.disarm();
    hit("atomic.after_rename").map_err(|error| fail(&error))?;
    sync_folder(parent(target))
}

pub(super) fn hash_of(path: &Path) -> Result<FileHash> {
    let (mut file, _) = open_regular(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(FileHash(hasher.finalize().into())),
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == Io::Interrupted => {}
            Err(error) => return Err(Error::io("read", path, &error)),
        }
    }
}

/// The file that a write to `path` should replace: the end of a chain of symbolic links. It need not exist.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    let mut at = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&at) {
            Ok(found) if found.file_type().is_symlink() => {
                let link = fs::read_link(&at).map_err(|error| Error::io("read", &at, &error))?;
                at = parent(&at).join(link);
            }
            Ok(_) => return Ok(at),
            Err(error) if error.kind() == Io::NotFound => return Ok(at),
            Err(error) => return Err(Error::io("write", path, &error)),
        }
    }
    Err(Error::new(
        Code::FilePermission,
        format!(
            "`{}` is a chain of symbolic links without an end",
            path.display()
        ),
    )
    .at(path, None))
}

fn exists(path: &Path) -> Error {
    Error::new(
        Code::FileExists,
        format!("`{}` exists already", path.display()),
    )
    .at(path, None)
}

pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
