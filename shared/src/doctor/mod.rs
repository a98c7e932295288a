//! What is wrong with a home, its collections and the system around it, told without a daemon; and mending
//! what is safe to mend.
//!
//! Looking changes nothing. Mending touches only what is ours or nobody's: leftovers, stray lock files,
//! modes, words of a daemon that is gone. What it takes away is kept in a folder of the home.

mod collections;
mod debris;
mod diagnoses;
mod folders;
pub mod git;
mod history;
pub mod mend;
mod system;

use std::path::PathBuf;

use crate::health::Severity;

pub use collections::{Collection, examine as examine_collection, in_home};
pub use debris::{in_folder, left_by_a_daemon};
pub use diagnoses::*;
pub use folders::{Access, RealAccess, examine as examine_folders, secrets};
pub use history::examine as examine_history;
pub use mend::Repair;
pub use system::{Machine, Probe, Space, examine as examine_system};

/// Something that can be wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Stable name; has a heading in TROUBLESHOOTING.md.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it means for a person.
    pub meaning: &'static str,
    /// The way to mend it.
    pub remedy: &'static str,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub diagnosis: &'static Diagnosis,
    /// What it is about: an artifact, a collection, a path. May be empty.
    pub subject: String,
    /// What was found. Lower-case start, no full stop.
    pub message: String,
    /// The file or folder.
    pub path: Option<PathBuf>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// What to do, where that is known better than of the diagnosis.
    pub hints: Vec<String>,
    /// How we can mend it ourselves.
    pub repair: Option<Repair>,
}

impl Finding {
    /// A finding without a place.
    pub fn new(
        diagnosis: &'static Diagnosis,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            diagnosis,
            subject: subject.into(),
            message: message.into(),
            path: None,
            line: None,
            hints: Vec::new(),
            repair: None,
        }
    }

    /// The same finding with what to do in this very case.
    #[must_use]
    pub fn hinted(mut self, hints: Vec<String>) -> Self {
        self.hints = hints;
        self
    }

    /// What to do.
    pub fn ways(&self) -> Vec<String> {
        if self.hints.is_empty() {
            return vec![self.diagnosis.remedy.to_owned()];
        }
        self.hints.clone()
    }

    /// The same finding with its place.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>, line: Option<u32>) -> Self {
        self.path = Some(path.into());
        self.line = line;
        self
    }

    /// The same finding with the way in which we can mend it.
    #[must_use]
    pub fn mended_by(mut self, repair: Repair) -> Self {
        self.repair = Some(repair);
        self
    }
}

#[cfg(test)]
mod tests;
