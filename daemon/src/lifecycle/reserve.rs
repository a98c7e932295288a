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
const BLOCKS: usize = 64;

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

    /// Keeps as much as there is, if nothing is kept yet.
    pub(crate) fn keep(&self) {
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.0);
        let Ok(mut file) = opened else { return };
        for _ in 0..BLOCKS {
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
            reserve.keep();
            assert_eq!(fs::metadata(&path).unwrap().len(), (BLOCK * BLOCKS) as u64);
        }
    }
}
