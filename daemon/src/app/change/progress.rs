//! How far a change of many things is, told often enough for a person and no more.

use std::cell::Cell;
use std::time::{Duration, Instant};

use skillmeat_shared::Result;

use super::{Caller, Telling, is_wanted};

/// How long it is silent at least.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells of the progress of a change.
pub(in crate::app) struct Progress<'t> {
    caller: &'t dyn Caller,
    last: Cell<Option<(&'static str, Instant)>>,
}

impl<'t> Progress<'t> {
    pub(in crate::app) fn new(caller: &'t dyn Caller) -> Self {
        Self {
            caller,
            last: Cell::new(None),
        }
    }

    /// So many of all are done. The beginning of each phase is told, then what stands after each pause.
    pub(in crate::app) fn at(&self, done: usize, total: usize, phase: &'static str) {
        self.at_time(Instant::now(), done, total, phase);
    }

    fn at_time(&self, now: Instant, done: usize, total: usize, phase: &'static str) {
        let is_told = self
            .last
            .get()
            .is_some_and(|(last, at)| last == phase && now.duration_since(at) < PAUSE);
        // One thing is done or not.
        if is_told || total < 2 {
            return;
        }
        self.last.set(Some((phase, now)));
        let told = Telling::Progress(done as u64, total as u64, phase);
        self.caller.tell(told);
    }

    /// Gives up if nobody waits any more.
    ///
    /// # Errors
    /// As [`is_wanted`].
    pub(in crate::app) fn is_wanted(&self) -> Result<()> {
        is_wanted(self.caller)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Told(RefCell<Vec<(u64, &'static str)>>);

    impl Caller for Told {
        fn tell(&self, telling: Telling) {
            if let Telling::Progress(done, _, phase) = telling {
                self.0.borrow_mut().push((done, phase));
            }
        }

        fn is_gone(&self) -> bool {
            false
        }
    }

    #[test]
    fn phases_and_pauses_are_told() {
        let told = Told::default();
        let progress = Progress::new(&told);
        let start = Instant::now();
        for (at, done, total, phase) in [
            (0, 0, 9, "a"),
            (99, 1, 9, "a"),
            (100, 2, 9, "a"),
            (101, 3, 9, "a"),
            (102, 0, 9, "b"),
            (500, 0, 1, "c"),
            (501, 1, 9, "b"),
        ] {
            progress.at_time(start + Duration::from_millis(at), done, total, phase);
        }
        assert_eq!(*told.0.borrow(), [(0, "a"), (2, "a"), (0, "b"), (1, "b")]);
    }
}
