//! Which automatic snapshots stay.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::time::Timestamp;

/// How many automatic snapshots are kept. A snapshot that any of these wants stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest ones.
    pub last: u64,
    /// The newest of each day, for so many days that have any.
    pub daily: u64,
    /// The newest of each week, for so many weeks that have any.
    pub weekly: u64,
    /// The newest of each month, for so many months that have any.
    pub monthly: u64,
}

impl Retention {
    /// The snapshots that nothing wants any more, of these, which are automatic ones in any order. Days begin
    /// at midnight UTC, weeks on Mondays.
    pub fn doomed<T: Ord + Clone>(&self, snapshots: &[(T, Timestamp)]) -> Vec<T> {
        let mut newest_first: Vec<&(T, Timestamp)> = snapshots.iter().collect();
        newest_first.sort_by(|a, b| (b.1, &b.0).cmp(&(a.1, &a.0)));
        let mut kept = BTreeSet::new();
        let last = usize::try_from(self.last).unwrap_or(usize::MAX);
        kept.extend(newest_first.iter().take(last).map(|(id, _)| id));
        for (count, period) in [
            (self.daily, day as fn(Timestamp) -> i64),
            (self.weekly, week),
            (self.monthly, month),
        ] {
            let mut periods = BTreeSet::new();
            for (id, at) in newest_first.iter().copied() {
                if periods.len() as u64 >= count {
                    break;
                }
                if periods.insert(period(*at)) {
                    kept.insert(id);
                }
            }
        }
        newest_first
            .iter()
            .filter(|(id, _)| !kept.contains(id))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

const DAY: i64 = 86_400_000_000_000;

const fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY)
}

/// The first day of the epoch was a Thursday.
const fn week(at: Timestamp) -> i64 {
    (day(at) + 3).div_euclid(7)
}

fn month(at: Timestamp) -> i64 {
    OffsetDateTime::from_unix_timestamp_nanos(at.0.into()).map_or(0, |date| {
        i64::from(date.year()) * 12 + i64::from(u8::from(date.month()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    const NONE: Retention = Retention {
        last: 0,
        daily: 0,
        weekly: 0,
        monthly: 0,
    };

    #[test]
    fn each_rule_keeps_the_newest_of_its_periods() {
        let all: Vec<(&str, Timestamp)> = [
            "2026-11-20T23:00:00", // Friday
            "2026-11-20T08:00:00",
            "2026-11-19T10:00:00",
            "2026-11-16T00:00:00", // Monday
            "2026-11-15T23:59:59", // Sunday: the week before
            "2026-10-31T10:00:00",
            "2026-10-01T10:00:00",
        ]
        .map(|text| (text, at(text)))
        .to_vec();
        let kept = |rule: Retention| -> Vec<&str> {
            let doomed = rule.doomed(&all);
            let is_kept = |id: &&str| !doomed.contains(id);
            all.iter().map(|(id, _)| *id).filter(is_kept).collect()
        };
        assert_eq!(kept(NONE), [""; 0]);
        assert_eq!(kept(Retention { last: 2, ..NONE }), [all[0].0, all[1].0]);
        let daily = Retention { daily: 2, ..NONE };
        assert_eq!(kept(daily), [all[0].0, all[2].0]);
        let weekly = Retention { weekly: 2, ..NONE };
        assert_eq!(kept(weekly), [all[0].0, all[4].0]);
        let monthly = Retention { monthly: 9, ..NONE };
        assert_eq!(kept(monthly), [all[0].0, all[5].0]);
    }

    proptest! {
        #[test]
        fn more_is_never_kept_by_less(
            moments in prop::collection::btree_set(0_i64..400 * DAY, 0..60),
            last in 0..5_u64,
            daily in 0..5_u64,
        ) {
            let all: Vec<(i64, Timestamp)> =
                moments.into_iter().map(|at| (at, Timestamp(at))).collect();
            let rule = Retention { last, daily, ..NONE };
            let doomed = rule.doomed(&all);
            let most = usize::try_from(last + daily).unwrap();
            prop_assert!(all.len() - doomed.len() <= most);
            let wider = Retention { monthly: 3, ..rule };
            for id in wider.doomed(&all) {
                prop_assert!(doomed.contains(&id));
            }
            if let Some((newest, _)) = all.last() && (last > 0 || daily > 0) {
                prop_assert!(!doomed.contains(newest));
            }
        }
    }
}
