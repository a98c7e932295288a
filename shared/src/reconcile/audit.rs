//! What a collection holds and what its files say it holds, without rows: for looking after damage.

use std::path::Path;

use super::candidate::{self, Entries};
use super::look::look_at_manifest;
use super::row::CollectionState;
use super::{Context, Scope};
use crate::artifact::{Problem, Status};
use crate::collection::{layout, spelling};
use crate::id::ArtifactId;
use crate::time::SystemClock;
use crate::{Error, Result};

/// A collection as it stands on disk.
#[derive(Debug)]
pub struct Audit {
    /// How it stands.
    pub state: CollectionState,
    /// What is wrong with its manifest and lock file.
    pub problems: Vec<Problem>,
    /// What it holds, or should.
    pub artifacts: Vec<Audited>,
    /// Entries of the lock file for which there is no artifact. None where that can't be told.
    pub locked_only: Vec<ArtifactId>,
    /// Why a part of it can't be looked at. Nothing in that part is among the artifacts.
    pub unread: Option<Error>,
}

/// An artifact as it stands on disk.
#[derive(Debug)]
pub struct Audited {
    /// Kind and name.
    pub id: ArtifactId,
    /// Relative to the collection; none if it has no files by nature or its entry names no usable path.
    pub path: Option<String>,
    /// The line of its entry in the manifest.
    pub line: Option<u32>,
    /// How it stands.
    pub status: Status,
    /// The lock file has an entry for it.
    pub locked: bool,
    /// What is wrong with its entry.
    pub problems: Vec<Problem>,
}

/// Looks at a collection's folder. Reads its manifest and lock file, and no file of an artifact.
///
/// # Errors
/// If the folder can't be read, or holds too much.
pub fn audit(root: &Path) -> Result<Audit> {
    drop(std::fs::read_dir(root).map_err(|error| Error::io("read", root, &error))?);
    let scope = Scope::All {
        force: true,
        confirmed: false,
    };
    let context = Context {
        clock: &SystemClock,
        threads: 1,
        is_cancelled: &|| false,
    };
    let look = look_at_manifest(root, None, false, &context);
    let mut audit = Audit {
        state: look.state,
        problems: look.problems,
        artifacts: Vec::new(),
        locked_only: Vec::new(),
        unread: None,
    };
    let Entries::Read(manifest, mut lock) = look.entries else {
        return Ok(audit);
    };
    let entries = Entries::Read(manifest, lock.clone());
    let candidates = candidate::gather(root, entries, Vec::new(), &scope)?;
    audit.unread = candidates.unread;
    for candidate in candidates.present {
        let kept = candidate.entry.unwrap_or_default();
        let status = match (&candidate.server, &kept.entry, &candidate.path) {
            (Some(_), _, _) => Status::Declared,
            (None, None, _) => Status::Unmanaged,
            (None, Some(_), None) => Status::Missing,
            (None, Some(_), Some(path)) => {
                let place = spelling::on_disk(root, path);
                match place.symlink_metadata() {
                    Ok(_) => Status::Managed,
                    Err(error) if layout::is_absence(&error) => Status::Missing,
                    Err(error) => {
                        let error = || Error::io("read", &place, &error);
                        audit.unread.get_or_insert_with(error);
                        continue;
                    }
                }
            }
        };
        let entry = kept.entry.as_ref();
        audit.artifacts.push(Audited {
            path: candidate.path,
            line: entry.map(|entry| entry.line),
            status,
            locked: lock.entries.remove(&candidate.id).is_some(),
            problems: entry.map_or_else(Vec::new, |entry| entry.problems.clone()),
            id: candidate.id,
        });
    }
    if audit.unread.is_none() {
        audit.locked_only = lock.entries.into_keys().collect();
    }
    Ok(audit)
}
