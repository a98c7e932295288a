//! From the paths that a watcher reports to what a pass must look at.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use skillmeat_shared::collection::beside::is_beside;
use skillmeat_shared::collection::layout::{self, Place};
use skillmeat_shared::collection::spelling;
use skillmeat_shared::reconcile::Scope;

/// Paths beyond which a pass looks at the whole collection instead.
const MANY_PATHS: usize = 2000;

/// Widens a scope by another one.
pub(super) fn merge(into: &mut Scope, other: Scope) {
    match (&mut *into, other) {
        (Scope::Paths(paths), Scope::Paths(more)) => {
            paths.extend(more);
            if paths.len() > MANY_PATHS {
                *into = Scope::WHOLE;
            }
        }
        (Scope::Paths(_), all) => *into = all,
        (Scope::All { .. }, Scope::Paths(_)) => {}
        (
            Scope::All { force, confirmed },
            Scope::All {
                force: f,
                confirmed: c,
            },
        ) => {
            *force |= f;
            *confirmed |= c;
        }
    }
}

/// A path and the folders above it, unless one of them is hidden.
fn ancestors(path: &Path) -> Vec<String> {
    let is_hidden = |part: &OsStr| part.as_encoded_bytes().starts_with(b".");
    if path.iter().any(is_hidden) {
        return Vec::new();
    }
    path.ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .map(spelling::spell)
        .collect()
}

/// What must be looked at for some dirty paths; `None` if nothing.
pub(in crate::app) fn scope_of(paths: &BTreeSet<PathBuf>) -> Option<Scope> {
    let mut wanted = BTreeSet::new();
    for path in paths {
        match layout::classify(path) {
            Place::Artifact(artifact) => {
                // An entry may name a folder inside of what stands in the container.
                wanted.extend(
                    ancestors(path)
                        .into_iter()
                        .filter(|p| p.starts_with(&artifact)),
                );
                wanted.insert(artifact);
            }
            // The pass itself looks at manifest and lock; their names only make it run.
            Place::Manifest | Place::Lock => {
                wanted.insert(skillmeat_shared::collection::MANIFEST.to_owned());
            }
            Place::Container => {
                return Some(Scope::WHOLE);
            }
            // An entry of the manifest may name a path outside of the usual folders.
            Place::Ignored => wanted.extend(ancestors(path)),
        }
    }
    let mut scope = Scope::Paths(BTreeSet::new());
    merge(&mut scope, Scope::Paths(wanted));
    match scope {
        Scope::Paths(paths) if paths.is_empty() => None,
        scope => Some(scope),
    }
}

/// Those of some dirty paths at which files beside the artifacts may have changed, or below which.
pub(super) fn beside_of(paths: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let holds = |path: &Path| layout::classify(path) == Place::Container;
    let dirty = paths
        .iter()
        .filter(|path| is_beside(path, false) || holds(path));
    dirty.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_of_all_entries_that_may_hold_it() {
        let scope = |path: &str| scope_of(&BTreeSet::from([PathBuf::from(path)]));
        let paths = |of: &[&str]| {
            let paths = of.iter().map(|path| (*path).to_owned());
            Some(Scope::Paths(paths.collect()))
        };
        assert_eq!(
            scope("skills/group/deep/SKILL.md"),
            paths(&[
                "skills/group",
                "skills/group/deep",
                "skills/group/deep/SKILL.md"
            ])
        );
        assert_eq!(scope("extra/one"), paths(&["extra", "extra/one"]));
        assert_eq!(scope("collection.lock"), paths(&["collection.toml"]));
        assert_eq!(scope(".git/index"), None);
    }
}
