//! Sleep and set clocks, noticed by comparing two clocks: one that is set and counts sleep, and one that is
//! and does neither.

use std::time::{Duration, Instant};

use skillmeat_shared::time::Timestamp;

/// Clocks that drift apart by less are merely being corrected.
const JUMP: Duration = Duration::from_secs(30);

/// How the clocks came apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// The machine slept, or its clock was set forward.
    Forward(Duration),
    /// The clock was set back.
    Back(Duration),
}

impl Jump {
    /// Why everything is looked at, in a word or two.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Forward(_) => "wake",
            Self::Back(_) => "clock set back",
        }
    }
}

/// The two clocks when they were last looked at.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    wall: Timestamp,
    steady: Instant,
}

impl Clocks {
    /// Begins with what the clocks show.
    pub const fn new(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady }
    }

    /// Looks at both clocks; tells if they came apart since the last look.
    pub fn look(&mut self, wall: Timestamp, steady: Instant) -> Option<Jump> {
        let before = std::mem::replace(self, Self { wall, steady });
        let lasted = nanos(steady.saturating_duration_since(before.steady));
        let apart = wall
            .nanos()
            .saturating_sub(before.wall.nanos())
            .saturating_sub(lasted);
        let by = Duration::from_nanos(apart.unsigned_abs());
        match by > JUMP {
            false => None,
            true if apart > 0 => Some(Jump::Forward(by)),
            true => Some(Jump::Back(by)),
        }
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    struct Setting {
        wall: Timestamp,
        steady: Instant,
        clocks: Clocks,
    }

    impl Setting {
        fn new() -> Self {
            let (wall, steady) = (Timestamp(1_000_000_000_000_000), Instant::now());
            Self {
                wall,
                steady,
                clocks: Clocks::new(wall, steady),
            }
        }

        /// A minute by the steady clock, and so much by the other.
        fn minute(&mut self, wall: i64) -> Option<Jump> {
            self.steady += MINUTE;
            self.wall.0 += wall * 1_000_000_000;
            self.clocks.look(self.wall, self.steady)
        }
    }

    #[test]
    fn clocks_that_go_alike_tell_nothing() {
        let mut setting = Setting::new();
        for wall in [60, 60, 59, 61, 31, 89] {
            assert_eq!(setting.minute(wall), None, "{wall}");
        }
    }

    #[test]
    fn sleep_is_told_once() {
        let mut setting = Setting::new();
        let night = Duration::from_hours(8);
        assert_eq!(setting.minute(60 + 8 * 3_600), Some(Jump::Forward(night)));
        assert_eq!(setting.minute(60), None);
        assert_eq!(
            setting.minute(91),
            Some(Jump::Forward(Duration::from_secs(31)))
        );
    }

    #[test]
    fn a_clock_set_back_is_told_once() {
        let mut setting = Setting::new();
        let hour = Duration::from_hours(1);
        assert_eq!(setting.minute(60 - 3_600), Some(Jump::Back(hour)));
        assert_eq!(setting.minute(60), None);
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let mut setting = Setting::new();
        setting.clocks = Clocks::new(Timestamp(i64::MIN), setting.steady);
        let jump = setting.clocks.look(Timestamp(i64::MAX), setting.steady);
        assert!(matches!(jump, Some(Jump::Forward(_))));
        let jump = setting.clocks.look(Timestamp(i64::MIN), setting.steady);
        assert!(matches!(jump, Some(Jump::Back(_))));
    }
}
