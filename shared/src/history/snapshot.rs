//! Names of snapshots, as the ancestor makes them.

use time::format_description::FormatDescriptionV3;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::time::Timestamp;
use crate::{Code, Error, Result};

/// `20261120-155145-120724`: UTC, down to the microsecond.
const FORMAT: FormatDescriptionV3<'_> = format_description!(
    version = 3,
    "[year][month][day]-[hour][minute][second]-[subsecond digits:6]"
);

/// The name of a snapshot that is made at this moment.
pub fn id_at(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0))
        .ok()
        .and_then(|date| date.format(&FORMAT).ok())
        .unwrap_or_default()
}

/// The moment that a snapshot's name tells.
///
/// # Errors
/// [`Code::InvalidArgument`] if it is no such name. Names become names of files: nothing else is believed.
pub fn moment_of(id: &str) -> Result<Timestamp> {
    PrimitiveDateTime::parse(id, &FORMAT)
        .ok()
        .filter(|_| id.len() == 22)
        .map(|date| Timestamp::of(date.assume_utc()))
        .ok_or_else(|| {
            Error::new(
                Code::InvalidArgument,
                format!("`{id}` is no id of a snapshot"),
            )
            .hint("ids look like `20261120-155145-120724`; `sm snapshot list` shows them")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_moment() {
        let at = Timestamp::parse("2026-11-20T15:51:45.120724").unwrap();
        assert_eq!(id_at(at), "20261120-155145-120724");
        assert_eq!(moment_of("20261120-155145-120724").unwrap(), at);
        for bad in [
            "",
            "abc123def456",
            "20261120-155145",
            "20261320-155145-120724",
            "20261120-155145-120724.tar.gz",
            "../20261120-155145-120",
        ] {
            assert_eq!(
                moment_of(bad).unwrap_err().code,
                Code::InvalidArgument,
                "{bad}"
            );
        }
    }
}
