//! What passes did, in numbers.

use std::time::Duration;

use skillmeat_shared::reconcile::{MAX_FAILURES, Report};
use skillmeat_shared::time::Timestamp;

/// What passes did, summed up over those that ran for one reason without a pause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Why they ran.
    pub reason: &'static str,
    /// When the last one ended.
    pub finished_at: Timestamp,
    /// Time in passes.
    pub duration: Duration,
    /// Collections looked at.
    pub collections: u64,
    /// What was counted in them.
    pub counts: Report,
}

impl Tally {
    /// Adds what a pass did.
    pub(super) fn add(&mut self, report: &Report, duration: Duration, at: Timestamp) {
        self.finished_at = at;
        self.duration += duration;
        self.collections += 1;
        self.counts.verified += report.verified;
        self.counts.read += report.read;
        self.counts.added += report.added;
        self.counts.changed += report.changed;
        self.counts.removed += report.removed;
        self.counts.failed += report.failed;
        let mut left = MAX_FAILURES.saturating_sub(self.counts.failures.len());
        for failure in &report.failures {
            // Those are few, and who asked is told of each.
            if left > 0 || !failure.path.contains('/') {
                self.counts.failures.push(failure.clone());
            }
            left = left.saturating_sub(1);
        }
    }
}
