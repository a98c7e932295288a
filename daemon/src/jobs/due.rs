//! When a schedule is due: a pure decision.

use std::time::Duration;

use skillmeat_shared::time::Timestamp;

/// When a schedule is due, as it is persisted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The schedule's name.
    pub name: String,
    /// When it runs next.
    pub next_due: Timestamp,
    /// When it last began to run.
    pub last_run: Option<Timestamp>,
}

/// When a schedule is due next, given what is kept of it. The past means now.
///
/// A moment further away than one period comes from a clock that was set back or from a longer period
/// than today's: then the last run decides, and a last run in the future means now.
pub fn next_due(due: &Due, every: Duration, now: Timestamp) -> Timestamp {
    let latest = later(now, every);
    match due.last_run {
        Some(last) if last > now => now,
        Some(last) if due.next_due > latest => later(last, every).min(latest),
        _ => due.next_due.min(latest),
    }
}

/// A moment so much later, at most the last that there is.
pub(super) fn later(moment: Timestamp, by: Duration) -> Timestamp {
    Timestamp(
        moment
            .nanos()
            .saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    fn due(next: i64, last: Option<i64>) -> Due {
        Due {
            name: "x".to_owned(),
            next_due: at(next),
            last_run: last.map(at),
        }
    }

    #[test]
    fn the_kept_moment_stands() {
        assert_eq!(next_due(&due(130, Some(70)), MINUTE, at(100)), at(130));
        assert_eq!(next_due(&due(90, Some(30)), MINUTE, at(100)), at(90));
        assert_eq!(next_due(&due(90, None), MINUTE, at(100)), at(90));
    }

    #[test]
    fn a_clock_set_back_makes_it_due() {
        assert_eq!(
            next_due(&due(10_060, Some(10_000)), MINUTE, at(100)),
            at(100)
        );
    }

    #[test]
    fn a_shorter_period_counts_from_the_last_run() {
        assert_eq!(next_due(&due(3_600, Some(0)), MINUTE, at(30)), at(60));
        assert_eq!(next_due(&due(3_600, None), MINUTE, at(30)), at(90));
    }
}
