//! What a look at some paths takes in.

use std::collections::BTreeSet;
use std::ops::Bound;

/// Whether a path stands for all that lies below it, too: a folder that arrives or goes is told by its own name
/// alone. What lies at the top and has a path of the set below it is only there as that one's parent.
pub fn is_tree(paths: &BTreeSet<String>, path: &str) -> bool {
    let below = format!("{path}/");
    let next = paths
        .range::<str, _>((Bound::Excluded(below.as_str()), Bound::Unbounded))
        .next();
    path.contains('/') || next.is_none_or(|next| !next.starts_with(&below))
}

/// Whether a look at these paths takes in what an entry says lies at `path`.
pub(super) fn takes_in(paths: &BTreeSet<String>, path: &str) -> bool {
    let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
    paths.contains(path)
        || above
            .into_iter()
            .any(|above| paths.contains(above) && is_tree(paths, above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_in_what_lies_below_it() {
        let paths =
            |all: &[&str]| -> BTreeSet<String> { all.iter().map(|&one| one.into()).collect() };
        let arrived = paths(&["extra", "skills/a"]);
        for inside in ["extra", "extra/x", "extra/x/y", "skills/a", "skills/a/refs"] {
            assert!(takes_in(&arrived, inside), "{inside}");
        }
        for outside in ["skills", "skills/ab", "skills/b", "extras/x"] {
            assert!(!takes_in(&arrived, outside), "{outside}");
        }
        // A file in a folder that holds artifacts says nothing of the others in there.
        let beside = paths(&["skills", "skills/notes.md"]);
        assert!(!takes_in(&beside, "skills/a"));
        assert!(takes_in(&beside, "skills"));
    }
}
