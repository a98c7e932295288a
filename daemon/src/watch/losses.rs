//! How soon a root is looked at again when events are lost, and lost again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The rest before a root is looked at for the second time in a row because events were lost. It doubles.
const LOSS_REST: Duration = Duration::from_secs(1);

/// The longest such rest, and the time after which a loss is the first again.
const LOSS_PAUSE: Duration = Duration::from_mins(1);

/// When roots were last looked at because events were lost: the more often in a row, the longer the next
/// time waits.
#[derive(Debug, Default)]
pub(super) struct Losses(BTreeMap<String, (Instant, u32)>);

impl Losses {
    /// When a root may be looked at again.
    pub(super) fn earliest(&mut self, root: &str, now: Instant) -> Instant {
        self.0.retain(|_, (last, _)| *last + LOSS_PAUSE > now);
        self.0.get(root).map_or(now, |(last, row)| {
            *last + LOSS_REST.saturating_mul(1 << row.min(&6)).min(LOSS_PAUSE)
        })
    }

    /// A root is looked at.
    pub(super) fn looked(&mut self, root: &str, now: Instant) {
        let row = self.0.get(root).map_or(0, |(_, row)| row.saturating_add(1));
        self.0.insert(root.to_owned(), (now, row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_in_a_row_are_looked_at_less_and_less_often() {
        let (mut losses, start) = (Losses::default(), Instant::now());
        let mut now = start;
        let mut looks = 0;
        while now < start + Duration::from_mins(10) {
            now = losses.earliest("a", now).max(now);
            losses.looked("a", now);
            looks += 1;
            now += Duration::from_millis(50);
        }
        assert!((7..20).contains(&looks), "{looks}");
        let calm = now + 2 * LOSS_PAUSE;
        assert_eq!(losses.earliest("a", calm), calm);
        assert_eq!(losses.earliest("b", now), now);
    }
}
