//! Where archives of tests are unpacked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::super::{Limits, Unpacked, unpack};
use crate::{Error, Result};

pub(super) struct Room {
    pub(super) folder: tempfile::TempDir,
}

impl Room {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub(super) fn unpack(&self, bytes: &[u8], limits: &Limits) -> Result<Unpacked> {
        let archive = self.folder.path().join("a.skill");
        crate::fs::write(&archive, bytes, 0o600).unwrap();
        unpack(&archive, &self.folder.path().join("room"), "pdf", limits)
    }

    /// The error, after which nothing is left behind.
    #[track_caller]
    pub(super) fn refused(&self, bytes: &[u8], limits: &Limits) -> Error {
        let error = self.unpack(bytes, limits).unwrap_err();
        let left = fs::read_dir(self.folder.path().join("room")).unwrap();
        assert_eq!(left.count(), 0, "{error:?}");
        assert!(!self.folder.path().join("evil").exists());
        error
    }
}

pub(super) fn tree(root: &Path) -> Vec<(PathBuf, u32)> {
    let mut all = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            if found.is_dir() {
                open.push(path.clone());
            }
            let below = path.strip_prefix(root).unwrap().to_owned();
            all.push((below, found.permissions().mode() & 0o777));
        }
    }
    all.sort();
    all
}
