//! Links in collections to something else in them: what changes there changes what stands behind the link, too, and
//! the watch tells only of the one.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skillmeat_shared::collection::layout::Link;

/// The links of all collections, as passes found them.
#[derive(Default)]
pub(in crate::app) struct Links(Mutex<HashMap<String, Vec<Link>>>);

impl Links {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Vec<Link>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what a pass found; all others are no more if it looked at the whole.
    pub(super) fn learn(&self, collection: &str, links: &[Link], is_whole: bool) {
        if links.is_empty() && !is_whole {
            return;
        }
        let mut all = self.all();
        let known = all.entry(collection.to_owned()).or_default();
        known.retain(|one| !is_whole && links.iter().all(|new| new.at != one.at));
        known.extend_from_slice(links);
        if known.is_empty() {
            all.remove(collection);
        }
    }

    /// Adds the paths at which what changed can be seen, too.
    pub(super) fn follow(&self, collection: &str, paths: &mut BTreeSet<PathBuf>) {
        let all = self.all();
        let Some(links) = all.get(collection) else {
            return;
        };
        let mut seen = Vec::new();
        for Link { at, to } in links {
            for path in paths.iter() {
                match path.strip_prefix(to) {
                    Ok(rest) if rest.as_os_str().is_empty() => seen.push(at.clone()),
                    Ok(rest) => seen.push(at.join(rest)),
                    // A folder above it came or went.
                    Err(_) if to.starts_with(path) => seen.push(at.clone()),
                    Err(_) => {}
                }
            }
        }
        paths.extend(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(at: &str, to: &str) -> Link {
        Link {
            at: at.into(),
            to: to.into(),
        }
    }

    #[test]
    fn what_changes_behind_a_link_changes_at_the_link() {
        let links = Links::default();
        let follow = |paths: &[&str]| -> Vec<String> {
            let mut all = paths.iter().map(PathBuf::from).collect();
            links.follow("c", &mut all);
            all.iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(follow(&["store/k"]), ["store/k"]);
        links.learn(
            "c",
            &[link("skills/k", "store/k"), link("agents", "ra")],
            true,
        );
        assert_eq!(
            follow(&["store/k/SKILL.md"]),
            ["skills/k/SKILL.md", "store/k/SKILL.md"]
        );
        assert_eq!(follow(&["store"]), ["skills/k", "store"]);
        assert_eq!(follow(&["ra/x.md"]), ["agents/x.md", "ra/x.md"]);
        assert_eq!(follow(&["storey"]), ["storey"]);
        // Looks at some paths add to it, and know where a link leads now.
        links.learn("c", &[link("skills/k", "other")], false);
        links.learn("c", &[], false);
        assert_eq!(
            follow(&["other", "store/k"]),
            ["other", "skills/k", "store/k"]
        );
        links.learn("c", &[], true);
        assert_eq!(follow(&["other"]), ["other"]);
    }
}
