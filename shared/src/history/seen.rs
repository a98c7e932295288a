//! What was captured before, so that files that did not change are not read again.
//!
//! What is remembered is trusted as git trusts its index: equal size, times, inode and mode prove equal
//! bytes, unless the file was as young as the clock's resolution when it was read. Such a file is not
//! remembered at all.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::fs::Stat;

use super::encoding::{Cursor, put_text};
use crate::fs::FileHash;
use crate::reconcile::tick;
use crate::time::Timestamp;

/// Remembers folders. A port.
pub trait Seen: Sync {
    /// What was noted of a folder, by its path within what is captured.
    fn recall(&self, folder: &[u8]) -> Option<&[u8]>;

    /// Notes what a folder holds now.
    fn note(&self, folder: &[u8], said: Vec<u8>);
}

/// What the file system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) size: u64,
    changed_ns: i64,
    inode_changed_ns: i64,
    inode: u64,
    pub(super) mode: u32,
}

impl Look {
    #[expect(
        clippy::useless_conversion,
        reason = "the types differ between systems"
    )]
    pub(super) fn of(stat: &Stat) -> Self {
        let nanos = |seconds: i64, nanos: u64| {
            seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(i64::try_from(nanos).unwrap_or_default())
        };
        Self {
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            changed_ns: nanos(stat.st_mtime, stat.st_mtime_nsec.try_into().unwrap_or(0)),
            inode_changed_ns: nanos(stat.st_ctime, stat.st_ctime_nsec.try_into().unwrap_or(0)),
            inode: stat.st_ino.into(),
            mode: stat.st_mode.into(),
        }
    }

    /// Whether it was old enough at `now` that a later change shows.
    pub(super) fn is_settled(&self, now: Timestamp) -> bool {
        let newest = self.changed_ns.max(self.inode_changed_ns);
        newest.saturating_add(tick(newest)) < now.0
    }

    fn encode_into(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.changed_ns.to_le_bytes());
        bytes.extend(self.inode_changed_ns.to_le_bytes());
        bytes.extend(self.inode.to_le_bytes());
        bytes.extend(self.mode.to_le_bytes());
    }

    fn decode(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            size: cursor.long()?,
            changed_ns: cursor.array().map(i64::from_le_bytes)?,
            inode_changed_ns: cursor.array().map(i64::from_le_bytes)?,
            inode: cursor.long()?,
            mode: cursor.array().map(u32::from_le_bytes)?,
        })
    }
}

/// What is remembered of one folder: its tree, and its files that may be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFolder {
    /// The hash of its tree.
    pub tree: FileHash,
    pub(super) files: Vec<(OsString, Look, FileHash)>,
}

impl SeenFolder {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + self.files.len() * 96);
        bytes.extend(self.tree.0);
        for (name, look, hash) in &self.files {
            put_text(&mut bytes, name.as_bytes());
            look.encode_into(&mut bytes);
            bytes.extend(hash.0);
        }
        bytes
    }

    /// Reads what was noted; what can't be read was never seen.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let tree = cursor.hash()?;
        let mut files = Vec::new();
        while !cursor.is_at_end() {
            let name = OsString::from_vec(cursor.text()?.to_vec());
            files.push((name, Look::decode(&mut cursor)?, cursor.hash()?));
        }
        Some(Self { tree, files })
    }

    /// The hash of a file that looks as it did.
    pub(super) fn hash_of(&self, name: &OsStr, look: &Look) -> Option<FileHash> {
        self.files
            .binary_search_by(|(other, ..)| other.as_bytes().cmp(name.as_bytes()))
            .ok()
            .and_then(|at| self.files.get(at))
            .filter(|(_, seen, _)| seen == look)
            .map(|(.., hash)| *hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(nanos: i64) -> Look {
        Look {
            size: 7,
            changed_ns: nanos,
            inode_changed_ns: nanos,
            inode: 9,
            mode: 0o100_644,
        }
    }

    #[test]
    fn what_is_noted_is_recalled() {
        let folder = SeenFolder {
            tree: FileHash::of(b"t"),
            files: ["a", "b"]
                .map(|name| (name.into(), look(5), FileHash::of(name.as_bytes())))
                .to_vec(),
        };
        let bytes = folder.encode();
        assert_eq!(SeenFolder::decode(&bytes), Some(folder.clone()));
        assert_eq!(SeenFolder::decode(bytes.split_last().unwrap().1), None);
        let hash = |name: &str, look: &Look| folder.hash_of(OsStr::new(name), look);
        assert_eq!(hash("b", &look(5)), Some(FileHash::of(b"b")));
        assert_eq!(hash("b", &look(6)), None);
        assert_eq!(hash("c", &look(5)), None);
    }

    #[test]
    fn a_file_as_young_as_the_clock_is_not_trusted() {
        let at = Timestamp;
        let fine = look(5_000_000_001);
        assert!(!fine.is_settled(at(5_010_000_000)));
        assert!(fine.is_settled(at(5_030_000_000)));
        assert!(!fine.is_settled(at(4_000_000_000)), "in the future");
        let coarse = look(5_000_000_000);
        assert!(!coarse.is_settled(at(6_900_000_000)));
        assert!(coarse.is_settled(at(7_100_000_000)));
    }
}
