//! Rest between passes over one collection, so that files written without end don't keep a core busy.
//!
//! A pass that nobody waits for rests after the one before in proportion to what that cost, and the more so
//! the more passes there were without a pause. The first few of a burst don't rest at all: an edit is seen
//! at once, and so is the end of a checkout.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Passes in a row that don't rest.
const FREE: u32 = 3;

/// The longest rest, in lengths of the pass before.
const MOST: u32 = 2;

/// The longest rest.
const LONGEST: Duration = Duration::from_secs(5);

/// A pause after which a burst is over.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
struct Last {
    until: Instant,
    row: u32,
}

/// The rests of all collections.
#[derive(Debug, Default)]
pub(super) struct Pace {
    last: HashMap<String, Last>,
}

impl Pace {
    /// A pass over a collection ended, after so long.
    pub(super) fn ended(&mut self, collection: &str, took: Duration, now: Instant) {
        self.last.retain(|_, last| last.until + PAUSE > now);
        let row = self
            .last
            .get(collection)
            .map_or(1, |last| last.row.saturating_add(1));
        let rest = took.saturating_mul(row.saturating_sub(FREE).min(MOST));
        let last = Last {
            until: now + rest.min(LONGEST),
            row,
        };
        self.last.insert(collection.to_owned(), last);
    }

    /// Until when a collection rests, if it does.
    pub(super) fn rests_until(&self, collection: &str, now: Instant) -> Option<Instant> {
        let until = self.last.get(collection)?.until;
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Passes as soon as they may be, for a minute; how many there were, and how long they ran.
    fn busy_minute(took: Duration) -> (u32, Duration) {
        let start = Instant::now();
        let (mut pace, mut now, mut count) = (Pace::default(), start, 0);
        while now < start + 60 * SECOND {
            now += took;
            count += 1;
            pace.ended("c", took, now);
            now = pace.rests_until("c", now).unwrap_or(now);
        }
        (count, took * count)
    }

    #[test]
    fn endless_changes_leave_most_of_the_time_free() {
        let (_, ran) = busy_minute(SECOND);
        assert!(ran < 24 * SECOND, "{ran:?}");
        let (_, ran) = busy_minute(20 * SECOND / 1_000);
        assert!(ran < 21 * SECOND, "{ran:?}");
    }

    #[test]
    fn a_burst_of_few_passes_does_not_rest() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for _ in 0..FREE {
            pace.ended("c", SECOND, now);
            assert_eq!(pace.rests_until("c", now), None);
        }
        pace.ended("c", SECOND, now);
        assert_eq!(pace.rests_until("c", now), Some(now + SECOND));
        assert_eq!(pace.rests_until("other", now), None);
    }

    #[test]
    fn a_pause_ends_the_burst_and_no_rest_is_endless() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..20 {
            pace.ended("c", 60 * SECOND, now);
        }
        assert_eq!(pace.rests_until("c", now), Some(now + LONGEST));
        now += LONGEST + PAUSE;
        pace.ended("c", SECOND, now);
        assert_eq!(pace.rests_until("c", now), None);
        assert_eq!(pace.last.len(), 1);
    }
}
