//! What changed below a root since somebody last asked.
//!
//! Whoever has looked at all of a root once need only look there again. A trail is believed only as long as
//! nothing was lost: not by the kernel, not in our queue, and not while the root was watched anew.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::choice::By;
use super::roots::{Root, Table};
use super::state::State;

/// Places beyond which it is as well to look at everything.
const MOST: usize = 4_096;

/// How many names of a path are kept: the place of an artifact.
const NAMES: usize = 2;

/// What changed below a root.
#[derive(Debug, Default)]
pub(crate) struct Trail(Option<BTreeSet<PathBuf>>);

/// What is known of a root's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Nothing is known, and nothing will be.
    Unknown,
    /// Nothing is known of what was; from here on it is.
    FromNowOn,
    /// Only these places changed, one or two names deep, or what is in them. An empty path is the root itself.
    Only(BTreeSet<PathBuf>),
}

impl Table {
    /// The root of this name, if the kernel tells of every change below it.
    pub(crate) fn told(&mut self, name: &str) -> Option<&mut Root> {
        let is_told = |root: &Root| {
            cfg!(target_os = "linux")
                && root.shown.state == State::Watching
                && root.shown.by == By::Native
                && root.shown.trouble.is_none()
                && !root.is_far
        };
        self.roots
            .iter_mut()
            .find(|root| root.shown.name == name && is_told(root))
    }
}

impl Trail {
    /// Notes a change at this path, relative to the root.
    pub(crate) fn note(&mut self, path: &Path) {
        let Some(places) = &mut self.0 else { return };
        let place: PathBuf = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .take(NAMES)
            .collect();
        places.insert(place);
        if places.len() > MOST {
            self.0 = None;
        }
    }

    /// Something may have changed of which nobody was told.
    pub(crate) fn lose(&mut self) {
        self.0 = None;
    }

    /// What was noted since this was last called; from here on is noted.
    pub(crate) fn take(&mut self) -> Changes {
        self.0
            .replace(BTreeSet::new())
            .map_or(Changes::FromNowOn, Changes::Only)
    }

    /// What was noted until now.
    pub(crate) fn look(&self) -> Changes {
        self.0.clone().map_or(Changes::Unknown, Changes::Only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_noted_once_somebody_asked_until_something_is_lost() {
        let mut trail = Trail::default();
        trail.note(Path::new("skills/early"));
        assert_eq!(trail.look(), Changes::Unknown);
        assert_eq!(trail.take(), Changes::FromNowOn);
        for path in ["skills/a/deep/x", "skills/a", "collection.toml", ""] {
            trail.note(Path::new(path));
        }
        let only = |places: &[&str]| Changes::Only(places.iter().map(PathBuf::from).collect());
        let noted = only(&["", "collection.toml", "skills/a"]);
        assert_eq!(trail.look(), noted);
        assert_eq!(trail.take(), noted);
        assert_eq!(trail.take(), only(&[]));
        trail.note(Path::new("skills/b"));
        trail.lose();
        assert_eq!(trail.take(), Changes::FromNowOn);
    }

    #[test]
    fn too_many_places_are_everything() {
        let mut trail = Trail::default();
        trail.take();
        for number in 0..=MOST {
            trail.note(Path::new(&format!("skills/{number}")));
        }
        assert_eq!(trail.take(), Changes::FromNowOn);
    }
}
