//! What status tells of a root.

use std::path::PathBuf;

use skillmeat_shared::time::Timestamp;

use super::choice::{By, Trouble};

/// Whether a root is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Changes are seen.
    Watching,
    /// The folder isn't there, or nothing is in it.
    Missing,
    /// The folder is there but can't be watched, or only in part.
    Failed,
    /// Its disk does not answer, so it is left alone.
    Unresponsive,
}

impl State {
    /// The name, as status shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Missing => "missing",
            Self::Failed => "failed",
            Self::Unresponsive => "unresponsive",
        }
    }
}

/// What status tells of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootState {
    /// The collection's name.
    pub name: String,
    /// The folder as it was given.
    pub path: PathBuf,
    /// Whether it is watched.
    pub state: State,
    /// Who watches it, or waits for it.
    pub by: By,
    /// What keeps the kernel from watching it.
    pub trouble: Option<Trouble>,
    /// When the last event came.
    pub last_event_at: Option<Timestamp>,
    /// Why it isn't watched, or not by the kernel alone; empty otherwise.
    pub reason: String,
    /// Events since the root was set.
    pub events: u64,
    /// Of these, echoes of our own writes.
    pub echoes: u64,
    /// How often events were lost.
    pub overflows: u64,
}

impl RootState {
    /// A root that is left alone, since its disk does not answer.
    pub fn silent(name: String, path: PathBuf, reason: String) -> Self {
        Self::unwatched(name, path, State::Unresponsive, reason)
    }

    pub(super) const fn unwatched(
        name: String,
        path: PathBuf,
        state: State,
        reason: String,
    ) -> Self {
        Self {
            name,
            path,
            state,
            by: By::Native,
            trouble: None,
            last_event_at: None,
            reason,
            events: 0,
            echoes: 0,
            overflows: 0,
        }
    }
}
