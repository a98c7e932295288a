//! Passes that are put off: second looks at young files, and what failed and is tried again.

use std::time::Instant;

use super::pass::Pass;

/// Passes and when they are due. At most one for each collection is another try.
#[derive(Default)]
pub(super) struct Later {
    passes: Vec<(Instant, Pass)>,
}

impl Later {
    /// Puts a pass off. Another try joins the one that there is.
    pub(super) fn push(&mut self, due: Instant, pass: Pass) {
        let is_same =
            |other: &Pass| pass.tries > 0 && other.tries > 0 && other.collection == pass.collection;
        match self.passes.iter_mut().find(|(_, other)| is_same(other)) {
            Some((at, other)) => {
                *at = due.min(*at);
                other.join(pass);
            }
            None => self.passes.push((due, pass)),
        }
    }

    /// One that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Pass> {
        let at = self.passes.iter().position(|(due, _)| *due <= now)?;
        Some(self.passes.swap_remove(at).1)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.passes.iter().map(|(due, _)| *due).min()
    }

    /// Whether something that failed will be tried again.
    pub(super) fn tries_again(&self, collection: &str) -> bool {
        let mut passes = self.passes.iter();
        passes.any(|(_, pass)| pass.tries > 0 && pass.collection == collection)
    }

    pub(super) fn clear(&mut self) {
        self.passes.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use skillmeat_shared::reconcile::Scope;

    use super::*;

    fn pass(collection: &str, path: &str, tries: u32) -> Pass {
        let scope = Scope::Paths(BTreeSet::from([path.to_owned()]));
        Pass {
            tries,
            ..Pass::new(collection, scope, "test")
        }
    }

    #[test]
    fn however_often_a_collection_fails_it_is_tried_again_once() {
        let mut later = Later::default();
        let now = Instant::now();
        let after = |secs| now + Duration::from_secs(secs);
        later.push(after(60), pass("c", "skills/a", 6));
        for path in ["skills/b", "skills/c"] {
            later.push(after(1), pass("c", path, 1));
        }
        later.push(after(2), pass("c", "skills/young", 0));
        later.push(after(3), pass("d", "skills/a", 1));
        assert!(later.tries_again("c") && later.tries_again("d"));
        assert_eq!(later.next_due(), Some(after(1)));
        assert!(later.take_due(now).is_none());
        let first = later.take_due(after(1)).unwrap();
        assert_eq!((first.collection.as_str(), first.tries), ("c", 6));
        let Scope::Paths(paths) = first.scope else {
            panic!("paths became the whole");
        };
        assert_eq!(paths.len(), 3);
        assert!(!later.tries_again("c"));
        assert_eq!(later.take_due(after(2)).unwrap().tries, 0);
        assert_eq!(later.take_due(after(3)).unwrap().collection, "d");
        assert!(later.next_due().is_none());
    }
}
