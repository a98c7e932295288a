//! Following the event log.

use skillmeat_shared::Result;
use skillmeat_shared::time::Timestamp;

use super::App;
use crate::store::event::{self, LoggedEvent};
use crate::store::meta;

/// Events that are read at a time.
const PAGE: u32 = 500;

/// Where a stream begins.
#[derive(Debug, Clone)]
pub struct EventStart {
    /// The instance of the log.
    pub instance: String,
    /// Events after this number follow.
    pub from: u64,
    /// Nothing between the number asked for and the first event was lost.
    pub continuous: bool,
    /// Now.
    pub at: Timestamp,
}

/// Some events in their order.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// The instance of the log.
    pub instance: String,
    /// The events.
    pub events: Vec<LoggedEvent>,
    /// Where to go on.
    pub last: u64,
    /// There may be more.
    pub is_full: bool,
    /// Nothing before them was lost.
    pub continuous: bool,
    /// Now.
    pub at: Timestamp,
}

/// Whether the log still holds everything after a number.
const fn holds(after: u64, oldest: u64, newest: u64) -> bool {
    after <= newest && (oldest == 0 || after + 1 >= oldest)
}

impl App {
    /// Where a stream begins that goes on after a number, or with what happens next.
    /// Numbers of another `instance` of the log (none if empty) say nothing about this one.
    pub fn events_start(&self, since: Option<u64>, of: &str) -> Result<EventStart> {
        let store = self.store()?;
        let (instance, (oldest, newest)) = store
            .read(|connection| Ok((meta::instance(connection)?, event::bounds(connection)?)))?;
        let (from, continuous) = match since {
            None => (newest, true),
            Some(since) if (of.is_empty() || of == instance) && holds(since, oldest, newest) => {
                (since, true)
            }
            Some(_) => (oldest.saturating_sub(1), false),
        };
        Ok(EventStart {
            instance,
            from,
            continuous,
            at: self.now(),
        })
    }

    /// The events after a number.
    pub fn events_after(&self, after: u64) -> Result<EventPage> {
        let store = self.store()?;
        let (mut after, mut continuous) = (after, true);
        // The instance is read with the events: the log may be another one a moment later.
        let (instance, events, newest) = store.read(|connection| {
            let (oldest, newest) = event::bounds(connection)?;
            if !holds(after, oldest, newest) {
                (after, continuous) = (oldest.saturating_sub(1), false);
            }
            let events = event::after(connection, after, PAGE)?;
            Ok((meta::instance(connection)?, events, newest))
        })?;
        Ok(EventPage {
            instance,
            last: events.last().map_or(after.min(newest), |event| event.seq),
            is_full: events.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX),
            events,
            continuous,
            at: self.now(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn a_stream_is_continuous_while_the_log_reaches_back() {
        assert!(holds(0, 0, 0), "an empty log has lost nothing");
        assert!(holds(0, 1, 5));
        assert!(holds(5, 1, 5));
        assert!(holds(10, 11, 20));
        assert!(!holds(9, 11, 20), "number 10 is forgotten");
        assert!(!holds(21, 11, 20), "a number from another log");
    }
}
