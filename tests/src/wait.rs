//! Waiting for conditions.

use std::time::{Duration, Instant};

/// Longer than anything here may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// The rest between two looks.
const REST: Duration = Duration::from_millis(15);

/// Looks until the condition gives something; that.
///
/// # Panics
/// If it gives nothing before the deadline; names `what`.
#[track_caller]
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited in vain for: {what}");
        std::thread::park_timeout(REST);
    }
}

/// As [`until`], for conditions that give no value.
#[track_caller]
pub fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()));
}
