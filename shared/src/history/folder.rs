//! Open folders: listing them, and the paths of what is in them.

use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::io::Errno;

use crate::fs::atomic::TEMP_PREFIX;

/// Bytes of names that are read at once.
#[cfg(target_os = "linux")]
const ROOM: usize = 32 * 1024;

/// The names in a folder, in no order. Nobody has read from the descriptor before.
#[cfg(target_os = "linux")]
pub(super) fn list(opened: &OwnedFd, most: u64) -> Result<Vec<OsString>, Errno> {
    let mut room = Vec::with_capacity(ROOM);
    let mut entries = rustix::fs::RawDir::new(opened, room.spare_capacity_mut());
    let mut names = Names::new(most);
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) if names.take(entry.file_name()) => {}
            // It was removed meanwhile.
            Ok(_) | Err(Errno::NOENT) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(names.listed)
}

/// The names in a folder, in no order.
#[cfg(not(target_os = "linux"))]
pub(super) fn list(opened: &OwnedFd, most: u64) -> Result<Vec<OsString>, Errno> {
    let mut names = Names::new(most);
    for entry in rustix::fs::Dir::read_from(opened)? {
        if !names.take(entry?.file_name()) {
            break;
        }
    }
    Ok(names.listed)
}

/// Names up to one more than `most`.
struct Names {
    listed: Vec<OsString>,
    most: u64,
}

impl Names {
    const fn new(most: u64) -> Self {
        let listed = Vec::new();
        Self { listed, most }
    }

    /// Whether more are wanted.
    fn take(&mut self, name: &CStr) -> bool {
        let name = name.to_bytes();
        if name != b"." && name != b".." {
            self.listed.push(OsString::from_vec(name.to_vec()));
        }
        self.listed.len() as u64 <= self.most
    }
}

/// Whether it is one of our own half-made files, which are nobody's past.
pub(super) fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes())
}

/// The path of an entry of a folder that lies at `path`, relative as that.
pub(super) fn join(path: &[u8], name: &OsStr) -> Vec<u8> {
    let mut joined = Vec::with_capacity(path.len() + 1 + name.len());
    if !path.is_empty() {
        joined.extend(path);
        joined.push(b'/');
    }
    joined.extend(name.as_bytes());
    joined
}

/// The permissions of a folder that are kept: nothing runs as somebody else, but what is made in it may belong to its group.
pub(super) fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o3777).unwrap_or_default()
}

/// The same of a file, without setuid, setgid and sticky: they are never brought back, so they make no difference.
pub(super) fn permissions_of_file(mode: u32) -> u16 {
    u16::try_from(mode & 0o777).unwrap_or_default()
}
