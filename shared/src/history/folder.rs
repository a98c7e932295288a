//! Open folders: listing them, and the paths of what is in them.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::fs::Dir;
use rustix::io::Errno;

use crate::fs::atomic::TEMP_PREFIX;

/// The names in a folder, in no order.
pub(super) fn list(opened: &OwnedFd, most: u64) -> Result<Vec<OsString>, Errno> {
    let mut listed = Vec::new();
    for entry in Dir::read_from(opened)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if matches!(name.as_slice(), b"." | b"..") {
            continue;
        }
        listed.push(OsString::from_vec(name));
        if listed.len() as u64 > most {
            break;
        }
    }
    Ok(listed)
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

/// The permissions of a mode.
pub(super) fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).unwrap_or_default()
}
