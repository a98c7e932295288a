//! The port to whatever notices changes, and what it says.
//!
//! A backend never blocks whoever it hears from, and what it sends is bounded: what does not fit into the
//! queue raises the overflow flag, which means "look at everything".

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use skillmeat_shared::collection::ratings;

/// Signals that may wait between the backends and the watch thread.
pub(crate) const QUEUE: usize = 16_384;

/// How much nicer they are who hear of changes than they who make them: a change of ours brings several events for each
/// file, and would be interrupted by each.
pub(super) const NICE: i32 = 5;

/// Entries of the home folder that we ourselves write all the time.
const NOISY: [&str; 5] = ["cache", "logs", "run", "snapshots", "state"];

/// How a path changed, as far as anybody tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// The path is new. `folder` if it surely is one.
    Created {
        /// Whether it is known to be a folder.
        folder: bool,
    },
    /// Something was moved to the path.
    Arrived,
    /// The path is gone.
    Gone,
    /// What stands at the path changed.
    Touched,
}

/// One message to the watch thread.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Something happened at these paths.
    Event(Change, Vec<PathBuf>),
    /// Events were lost.
    Lost,
    /// This folder can't be looked into, and so not be watched. That it can is told of its parent.
    Closed(PathBuf),
    /// The kernel refuses further watches, first at this path.
    Limit(Option<PathBuf>),
    /// This folder can't be watched, as turned out only now.
    Refused(PathBuf, Refusal),
    /// This root is watched again after it was not.
    Back(String),
    /// All polled folders have been looked at.
    Polled,
    /// The look at this folder takes long.
    Slow(PathBuf),
    /// Look at the flags.
    Wake,
}

/// Why a folder can't be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It isn't there.
    Missing,
    /// It is there, but nothing is in it.
    Empty,
    /// Its disk does not answer.
    Silent,
    /// The kernel's limit on watched folders is reached.
    Limit,
    /// The kernel's limit on watchers is reached.
    Instances,
    /// Any other reason.
    Other(String),
}

impl Refusal {
    /// The reason for a person, with what to do about it.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Missing => "the folder is missing".to_owned(),
            Self::Empty => "the folder is empty, as after its disk was unmounted".to_owned(),
            Self::Silent => "its disk does not answer".to_owned(),
            Self::Limit => {
                let now = Limits::now().folders;
                let now = now.map_or_else(String::new, |limit| format!(" ({limit})"));
                format!("the kernel's limit on watched folders is reached{now}")
            }
            Self::Instances => "the kernel's limit on watchers is reached".to_owned(),
            Self::Other(text) => text.clone(),
        }
    }
}

/// What the kernel lets this user have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Watched folders.
    pub(crate) folders: Option<u64>,
    /// Watchers.
    pub(crate) watchers: Option<u64>,
}

impl Limits {
    /// As they are now.
    pub(crate) fn now() -> Self {
        // The second ones are those of a user namespace, as in a container.
        Self {
            folders: least([
                "/proc/sys/fs/inotify/max_user_watches",
                "/proc/sys/user/max_inotify_watches",
            ]),
            watchers: least([
                "/proc/sys/fs/inotify/max_user_instances",
                "/proc/sys/user/max_inotify_instances",
            ]),
        }
    }
}

/// The least of the numbers in some files.
fn least(files: [&str; 2]) -> Option<u64> {
    let read = |file| fs::read_to_string(file).ok()?.trim().parse().ok();
    files.into_iter().filter_map(read).min()
}

/// How deep a watch reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The folder's own entries.
    Entries,
    /// Everything below.
    Tree,
    /// Whether the folder is there, which one it is, and whether it is empty. It need not exist.
    Presence,
}

/// What notices changes.
pub(crate) trait Backend: Send {
    /// Watches a folder. Watching it again is harmless and covers folders that are new below it.
    fn watch(&mut self, path: &Path, depth: Depth) -> Result<(), Refusal>;
    /// Stops watching a folder; one that isn't watched is ignored.
    fn unwatch(&mut self, path: &Path);
    /// Forgets everything and begins anew, as after a start.
    fn rebuild(&mut self) -> Result<(), Refusal>;
}

/// Whether a folder stands at a path itself.
pub(crate) fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

/// Whether nobody needs to know of a change at this path.
pub(crate) fn is_noise(home: &Path, path: &Path) -> bool {
    let own_temporary = |name: &OsStr| name.as_encoded_bytes().starts_with(b".skillmeat-tmp-");
    if path.file_name().is_some_and(own_temporary) {
        return true;
    }
    let Ok(inside) = path.strip_prefix(home) else {
        return false;
    };
    let mut parts = inside.components();
    let Some(first) = parts.next() else {
        return false;
    };
    let name = first.as_os_str();
    if parts.next().is_some() {
        return name == "state" && inside != Path::new(ratings::FILE);
    }
    NOISY.iter().any(|noisy| name == *noisy) || name.as_encoded_bytes().starts_with(b"history.db")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_folders_and_temporary_files_are_noise() {
        let home = Path::new("/home");
        for noise in [
            "/home/logs",
            "/home/history.db-wal",
            "/home/state/history.note",
            "/c/skills/.skillmeat-tmp-1",
        ] {
            assert!(is_noise(home, Path::new(noise)), "{noise}");
        }
        for wanted in [
            "/home/config.toml",
            "/home/state/ratings.toml",
            "/home/collections",
            "/home/collections/logs",
            "/home",
        ] {
            assert!(!is_noise(home, Path::new(wanted)), "{wanted}");
        }
    }
}
