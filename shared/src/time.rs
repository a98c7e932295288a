//! Time: a clock port, and the two spellings of a moment that we read and write.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// A moment: nanoseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Tells the time. A port, so that tests can move it.
pub trait Clock: Send + Sync {
    /// The current moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::of(OffsetDateTime::now_utc())
    }
}

impl Timestamp {
    /// The moment of a date with a zone. Clamped to what 64 bits of nanoseconds hold (1677 to 2262).
    pub fn of(date: OffsetDateTime) -> Self {
        let nanos = date.unix_timestamp_nanos();
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> std::time::Duration {
        let nanos = self.0.saturating_sub(earlier.0);
        std::time::Duration::from_nanos(if nanos < 0 { 0 } else { nanos.unsigned_abs() })
    }

    fn date(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// RFC 3339 in UTC with milliseconds, as all our output spells moments: `2026-11-20T15:47:26.161Z`.
    pub fn to_rfc3339(self) -> String {
        let format = format_description!(
            version = 3,
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        self.date().format(&format).unwrap_or_default()
    }

    /// ISO 8601 in UTC without a zone, with microseconds, as manifests spell moments.
    pub fn to_manifest(self) -> String {
        let format = format_description!(
            version = 3,
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]"
        );
        self.date().format(&format).unwrap_or_default()
    }

    /// Reads either spelling; a moment without a zone counts as UTC.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(date) = OffsetDateTime::parse(text, &Rfc3339) {
            return Some(Self::of(date));
        }
        let with_fraction = format_description!(
            version = 3,
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond]"
        );
        let whole =
            format_description!(version = 3, "[year]-[month]-[day]T[hour]:[minute]:[second]");
        PrimitiveDateTime::parse(text, &with_fraction)
            .or_else(|_| PrimitiveDateTime::parse(text, &whole))
            .ok()
            .map(|date| Self::of(date.assume_utc()))
    }
}
