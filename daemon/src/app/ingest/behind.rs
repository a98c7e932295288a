//! Passes that were left behind, as nothing moved in them: at most one for each collection.
//!
//! Where the disk is silent, what such a pass finds later is not believed, and the collection counts as unreachable
//! until the pass has ended. Where the disk answers and only one file does not, the pass counts, and others over the
//! same collection wait for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skillmeat_shared::reconcile::{Report, Target};
use skillmeat_shared::{Code, Error, Result};

use super::pass::Pass;
use super::passing::Start;
use skillmeat_shared::reconcile::Scope;

/// Whether a pass may write still.
#[derive(Clone, Default)]
pub(super) struct Fence(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    is_closed: AtomicBool,
    /// Held while it writes. Who only asks must not wait for that.
    writing: Mutex<()>,
}

impl Fence {
    /// Fails if it may not. Until the guard is dropped nobody takes the leave away.
    pub(super) fn enter(&self) -> Result<MutexGuard<'_, ()>> {
        let writing = self
            .0
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.is_closed() {
            return Err(Error::new(
                Code::CollectionUnreachable,
                "the pass was given up: nothing moved in it",
            ));
        }
        Ok(writing)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::Acquire)
    }

    /// Lets it write no more. Waits for what is being written.
    pub(super) fn close(&self) {
        let _nothing_is_written = self
            .0
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.0.is_closed.store(true, Ordering::Release);
    }
}

/// One that was left behind.
pub(super) struct Left {
    pub(super) target: Target,
    pub(super) pass: Pass,
    pub(super) start: Start,
    pub(super) fence: Fence,
    /// Its disk did not answer, and nobody waits for it.
    pub(super) is_silent: bool,
}

/// One that has ended after all.
pub(super) struct Late {
    pub(super) left: Left,
    /// What it found; nothing if it panicked.
    pub(super) report: Option<Result<Report>>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Behind {
    left: HashMap<String, Left>,
    late: Vec<(String, Option<Result<Report>>)>,
}

impl Behind {
    /// Leaves one behind.
    pub(super) fn leave(&mut self, left: Left) {
        self.left.insert(left.target.name.clone(), left);
    }

    /// Whether passes over a collection wait for the end of one.
    pub(super) fn holds(&self, collection: &str) -> bool {
        self.left
            .get(collection)
            .is_some_and(|left| !left.is_silent)
    }

    /// Whether one over a collection hangs on a silent disk.
    pub(super) fn is_silent(&self, collection: &str) -> bool {
        self.left.get(collection).is_some_and(|left| left.is_silent)
    }

    /// The fences of all, or of one collection's. Whoever writes may wait for the queue: close them without it.
    pub(super) fn fences(&self, collection: Option<&str>) -> Vec<Fence> {
        let mut left: Vec<&Left> = self.left.values().collect();
        left.retain(|left| collection.is_none_or(|one| one == left.target.name));
        left.into_iter().map(|left| left.fence.clone()).collect()
    }

    /// One has ended.
    pub(super) fn came_back(&mut self, collection: &str, report: Option<Result<Report>>) {
        self.late.push((collection.to_owned(), report));
    }

    /// One that has ended and was not looked at.
    pub(super) fn take_late(&mut self) -> Option<Late> {
        let (collection, report) = self.late.pop()?;
        let left = self.left.remove(&collection)?;
        Some(Late { left, report })
    }

    pub(super) fn clear(&mut self) {
        self.left.clear();
    }
}

impl Late {
    /// The pass that must be run instead, if what this one found does not count.
    pub(super) fn instead(
        self,
        target: Option<&Target>,
    ) -> std::result::Result<(Left, Result<Report>), Pass> {
        let counts = !self.left.fence.is_closed() && target == Some(&self.left.target);
        match self.report.filter(|_| counts) {
            Some(report) => Ok((self.left, report)),
            None => Err(Pass {
                scope: Scope::WHOLE,
                ..self.left.pass
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use skillmeat_shared::time::Timestamp;

    use super::*;

    fn left(name: &str, is_silent: bool) -> Left {
        Left {
            target: Target {
                name: name.to_owned(),
                path: format!("/{name}").into(),
                external: false,
            },
            pass: Pass::new(name, Scope::WHOLE, "test"),
            start: Start::at(Timestamp::default(), false),
            fence: Fence::default(),
            is_silent,
        }
    }

    #[test]
    fn others_wait_for_a_slow_one_and_not_for_one_on_a_silent_disk() {
        let mut behind = Behind::default();
        behind.leave(left("slow", false));
        behind.leave(left("silent", true));
        assert!(behind.holds("slow") && !behind.holds("silent") && !behind.holds("other"));
        assert!(behind.is_silent("silent") && !behind.is_silent("slow"));
        assert!(behind.take_late().is_none());
        behind.came_back("slow", Some(Ok(Report::default())));
        let late = behind.take_late().unwrap();
        assert!(!behind.holds("slow"));
        let target = late.left.target.clone();
        assert!(late.instead(Some(&target)).is_ok());
    }

    #[test]
    fn what_no_longer_counts_is_done_again_for_those_who_wait() {
        let mut behind = Behind::default();
        for (moved, closed, report) in [
            (true, false, Some(Ok(Report::default()))),
            (false, true, Some(Ok(Report::default()))),
            (false, false, None),
        ] {
            let mut one = left("c", false);
            let mut target = one.target.clone();
            if moved {
                target.path = "/elsewhere".into();
            }
            one.pass.waiters.push(sync_channel(1).0);
            behind.leave(one);
            if closed {
                behind.fences(None).iter().for_each(Fence::close);
            }
            behind.came_back("c", report);
            let again = behind.take_late().unwrap().instead(Some(&target));
            assert_eq!(again.err().map(|pass| pass.waiters.len()), Some(1));
        }
    }

    #[test]
    fn behind_a_closed_fence_nothing_is_written() {
        let fence = Fence::default();
        assert!(fence.enter().is_ok() && !fence.is_closed());
        fence.close();
        assert!(fence.enter().is_err() && fence.is_closed());
    }
}
