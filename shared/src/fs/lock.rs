//! Advisory locks between processes.
//!
//! A lock lives as long as its [`FileLock`]; the system frees it when the process ends, however it ends.
//! Lock files are never removed: a removed one could be locked twice. They lie in the home's `run` folder,
//! not in collections: there the folder itself is locked.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Code, Error, Result};

/// How long to rest between two attempts.
const REST: Duration = Duration::from_millis(10);

/// An exclusive lock that is held.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Takes the lock if nobody holds it. `None` if somebody does. Makes the file and its folder.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        try_lock(&file, path).map(|taken| {
            taken.then(|| Self {
                file,
                path: path.to_path_buf(),
            })
        })
    }

    /// Takes the lock, waiting for it for at most `patience`.
    ///
    /// # Errors
    /// [`Code::FileChanged`] if somebody else holds it all the while.
    pub fn acquire(path: &Path, patience: Duration) -> Result<Self> {
        Self::wait(open(path)?, path, patience)
    }

    /// Holds a folder itself, so that of our programs only one at a time changes what is in it, whichever home
    /// they belong to. `None` where the file system has no such locks.
    ///
    /// # Errors
    /// [`Code::FileChanged`] if somebody else holds it all the while.
    pub(crate) fn of_folder(path: &Path, patience: Duration) -> Result<Option<Self>> {
        let Ok(folder) = File::open(path) else {
            return Ok(None);
        };
        match Self::wait(folder, path, patience) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.code == Code::FileChanged => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn wait(file: File, path: &Path, patience: Duration) -> Result<Self> {
        let deadline = Instant::now() + patience;
        while !try_lock(&file, path)? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(
                    Code::FileChanged,
                    format!(
                        "another process has held `{}` for {patience:?}",
                        path.display()
                    ),
                )
                .hint("wait until it is done, then run the command again")
                .at(path, None));
            }
            // The system's own waiting can't be given a deadline. Being woken early does no harm.
            std::thread::park_timeout(REST.min(left));
        }
        Ok(Self {
            file,
            path: path.to_path_buf(),
        })
    }

    /// The file that is locked. Its content is free for a label; it says nothing about the lock.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        crate::paths::ensure_private_dir(folder)?;
    }
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(Error::new(
            Code::FilePermission,
            format!("the lock `{}` is not a regular file", path.display()),
        )
        .hint(format!("remove `{}`", path.display()))
        .at(path, None));
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::io("open", path, &error))
}

fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks/a.lock");
        let held = FileLock::try_acquire(&path).unwrap().unwrap();
        assert_eq!(held.path(), path);
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        let error = FileLock::acquire(&path, Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.code, Code::FileChanged);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| FileLock::acquire(&path, Duration::from_secs(30)));
            drop(held);
            waiting.join().unwrap().unwrap();
        });
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
    }

    #[test]
    fn a_folder_in_its_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        std::fs::create_dir(&path).unwrap();
        assert_eq!(
            FileLock::try_acquire(&path).unwrap_err().code,
            Code::FilePermission
        );
    }
}
