//! Why the history can't be used, remembered until it can.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use skillmeat_shared::history::file;
use skillmeat_shared::{Code, Error};

use super::super::files::identity;

/// What `stat` tells of the file: another answer means that opening it may go another way.
type Stamp = ((u64, u64), u64, (i64, i64));

fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some((
        (found.dev(), found.ino()),
        found.size(),
        (found.ctime(), found.ctime_nsec()),
    ))
}

#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// The file when it was opened last, or could not be.
    seen: Option<Stamp>,
    why: Option<Error>,
    /// The file in which damage was found while it was used. That it can be opened proves nothing.
    damaged: Option<(u64, u64)>,
}

impl Trouble {
    /// How an attempt to open the file went.
    pub(super) fn note_open(&mut self, path: &Path, error: Option<&Error>) {
        self.seen = stamp(path);
        // That there is no room is told of the disk.
        let error = error.filter(|error| error.code != Code::DiskFull);
        if error.is_none() && self.damaged.is_some() && self.damaged == identity(path) {
            return;
        }
        self.damaged = None;
        self.why = error.cloned().map(file::with_way);
    }

    /// Something in it can't be read.
    pub(super) fn note_damage(&mut self, path: &Path, error: &Error) {
        self.damaged = identity(path);
        self.why = Some(file::with_way(error.clone()));
    }

    /// Whether the file was changed since it was opened.
    pub(super) fn is_old(&self, path: &Path) -> bool {
        self.seen != stamp(path)
    }

    pub(super) fn why(&self) -> Option<Error> {
        self.why.clone()
    }

    pub(super) fn doubt(&mut self) {
        if self.why.is_some() {
            self.seen = None;
        }
    }
}
