//! What a draft has stand at a place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skillmeat_shared::fs::copy::Links;
use skillmeat_shared::fs::{self, FileHash, Staged, read_bounded};
use skillmeat_shared::history::Node;
use skillmeat_shared::{Code, Error, Result};

/// Largest file that is read into a draft, bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Mode of new files.
const MODE: u32 = 0o600;

/// Where something comes from that is put into a draft.
#[derive(Debug, Clone)]
pub(in crate::app) enum Source {
    /// A file or folder outside, of which a copy is made; a collection keeps its links.
    Disk(PathBuf, Links),
    /// A file or folder that was made for this, which moves here as it is.
    Ours(PathBuf),
    /// A state of the past.
    Past(Node),
    /// An empty folder.
    Folder,
}

/// What a place was when the draft's author looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app::change) enum Before {
    Absent,
    /// A file with these bytes.
    Content(FileHash),
    /// A file or folder; its state, if that matters already.
    Thing(Option<Node>),
}

/// What is to stand at a place.
#[derive(Debug)]
pub(in crate::app::change) enum After {
    Absent,
    Bytes(Vec<u8>),
    Thing(Thing),
}

/// A file or folder as a whole.
#[derive(Debug)]
pub(in crate::app::change) struct Thing {
    /// Made ready beside its place; nothing in a dry run.
    pub(in crate::app::change) staged: Option<Staged>,
    /// What it will be like, as far as a dry run tells.
    pub(super) like: Option<PathBuf>,
    /// Its state, if that is known.
    pub(in crate::app::change) state: Option<Node>,
    /// What a dry run would write into it; nothing: remove.
    pub(super) below: BTreeMap<String, Option<Vec<u8>>>,
}

impl Thing {
    pub(super) const fn staged(staged: Staged, state: Option<Node>) -> Self {
        Self {
            staged: Some(staged),
            like: None,
            state,
            below: BTreeMap::new(),
        }
    }

    pub(super) const fn like(like: Option<PathBuf>) -> Self {
        Self {
            staged: None,
            like,
            state: None,
            below: BTreeMap::new(),
        }
    }

    /// Where its content can be read.
    pub(super) fn content(&self) -> Option<&Path> {
        match &self.staged {
            Some(staged) => Some(staged.path()),
            None => self.like.as_deref(),
        }
    }

    pub(super) fn read(&self, rest: &str) -> Result<Option<Vec<u8>>> {
        match (self.below.get(rest), self.content()) {
            (Some(drafted), _) => Ok(drafted.clone()),
            (None, Some(content)) => bytes_of(&inside(content, rest)),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn write(&mut self, rest: &str, bytes: Vec<u8>) -> Result<()> {
        self.state = None;
        let Some(staged) = &self.staged else {
            self.below.insert(rest.to_owned(), Some(bytes));
            return Ok(());
        };
        let path = inside(staged.path(), rest);
        if let Some(folder) = path.parent().filter(|_| !rest.is_empty()) {
            fs::make_folders(folder)?;
        }
        fs::write(&path, &bytes, MODE)
    }

    pub(super) fn remove(&mut self, rest: &str) -> Result<()> {
        self.state = None;
        let Some(staged) = &self.staged else {
            self.below.insert(rest.to_owned(), None);
            return Ok(());
        };
        let path = inside(staged.path(), rest);
        let removed = match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
            Err(_) => Ok(()),
        };
        removed.map_err(|error| Error::io("remove", &path, &error))
    }
}

pub(super) fn inside(folder: &Path, rest: &str) -> PathBuf {
    if rest.is_empty() {
        folder.to_path_buf()
    } else {
        folder.join(rest)
    }
}

pub(super) fn bytes_of(path: &Path) -> Result<Option<Vec<u8>>> {
    match read_bounded(path, MAX_FILE) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.code == Code::FileNotFound => Ok(None),
        Err(error) => Err(error),
    }
}
