//! Room on the disk of the home for what a start has to write: where clients find the daemon, and what the cache has
//! beside it while it is open.
//!
//! A disk that is full lets nobody in otherwise, just when people look for what fills it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// Bytes of one write: a block of most disks.
const BLOCK: usize = 4096;

/// Blocks that are kept: 256 KiB.
const BLOCKS: u64 = 64;

/// Blocks of them for the next start, kept while this one opens the cache: if it is killed then, the cache has what it
/// needs beside it.
const NEXT: u64 = 16;

/// A file that holds the room.
#[derive(Clone)]
pub(crate) struct Reserve(PathBuf);

impl Reserve {
    /// Frees the room that was kept. Hold the lock of the home.
    pub(crate) fn take(path: PathBuf) -> Self {
        // There is none yet, or nothing can be removed: then a start goes as it goes.
        drop(fs::remove_file(&path));
        Self(path)
    }

    /// Keeps what the next start can't do without.
    pub(crate) fn keep_some(&self) {
        self.extend(NEXT);
    }

    /// Keeps all, or as much as there is.
    pub(crate) fn keep(&self) {
        self.extend(BLOCKS);
    }

    fn extend(&self, blocks: u64) {
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.0);
        let Ok(mut file) = opened else { return };
        let kept = file.metadata().map_or(0, |found| found.len()) / BLOCK as u64;
        for _ in kept..blocks {
            if file.write_all(&[0; BLOCK]).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reserve");
        for _ in 0..2 {
            let reserve = Reserve::take(path.clone());
            assert!(!path.exists());
            let kept = || fs::metadata(&path).unwrap().len() / BLOCK as u64;
            reserve.keep_some();
            assert_eq!(kept(), NEXT);
            for _ in 0..2 {
                reserve.keep();
                assert_eq!(kept(), BLOCKS);
            }
        }
    }
}
