//! The event log: what changed, with numbers that only grow. Bounded; older events are forgotten.

use rusqlite::{Connection, Row, Transaction, params};
use skillmeat_shared::ArtifactId;
use skillmeat_shared::time::{Clock as _, SystemClock};

/// Events that are kept for `sm watch --since`.
pub const KEPT: u64 = 10_000;

/// An event to append.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What happened, such as `artifact.added`.
    pub kind: &'static str,
    /// The collection's name; empty for events of the whole home.
    pub collection: String,
    /// `type:name`, or empty.
    pub artifact: String,
    /// What changed, in words.
    pub detail: String,
}

impl NewEvent {
    /// An event about an artifact.
    pub fn artifact(kind: &'static str, collection: &str, id: &ArtifactId, detail: &str) -> Self {
        Self {
            kind,
            collection: collection.to_owned(),
            artifact: id.to_string(),
            detail: detail.to_owned(),
        }
    }

    /// An event about a collection, or about the home if its name is empty.
    pub fn collection(kind: &'static str, collection: &str, detail: &str) -> Self {
        Self {
            kind,
            collection: collection.to_owned(),
            artifact: String::new(),
            detail: detail.to_owned(),
        }
    }
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its number.
    pub seq: u64,
    /// Nanoseconds since the epoch.
    pub at: i64,
    /// What happened.
    pub kind: String,
    /// The collection's name, or empty.
    pub collection: String,
    /// `type:name`, or empty.
    pub artifact: String,
    /// What changed, in words.
    pub detail: String,
}

fn read(row: &Row<'_>) -> rusqlite::Result<LoggedEvent> {
    Ok(LoggedEvent {
        seq: row.get(0)?,
        at: row.get(1)?,
        kind: row.get(2)?,
        collection: row.get(3)?,
        artifact: row.get(4)?,
        detail: row.get(5)?,
    })
}

/// Appends events and forgets those beyond the limit.
pub fn append(transaction: &Transaction<'_>, events: &[NewEvent]) -> rusqlite::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let at = SystemClock.now().nanos();
    let mut insert = transaction.prepare_cached(
        "INSERT INTO event (at, kind, collection, artifact, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for event in events {
        insert.execute(params![
            at,
            event.kind,
            event.collection,
            event.artifact,
            event.detail
        ])?;
    }
    let last = transaction.last_insert_rowid();
    let oldest = last.saturating_sub(i64::try_from(KEPT).unwrap_or(i64::MAX));
    transaction
        .prepare_cached("DELETE FROM event WHERE seq <= ?1")?
        .execute([oldest])?;
    Ok(())
}

/// Has a log go on after the log before it, leaving out one number. One that is as far already is not written to.
pub fn begin_after(transaction: &Transaction<'_>, last: u64) -> rusqlite::Result<()> {
    let last = i64::try_from(last.saturating_add(1)).unwrap_or(i64::MAX);
    let is_behind: bool = transaction.query_row(
        "SELECT coalesce(max(seq), 0) < ?1 - 1 FROM sqlite_sequence WHERE name = 'event'",
        [last],
        |row| row.get(0),
    )?;
    if is_behind {
        // Of several rows of a name only the first one counts.
        transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'event'", [])?;
        transaction.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?1)",
            [last],
        )?;
    }
    Ok(())
}

/// Events after a number, oldest first.
pub fn after(connection: &Connection, seq: u64, limit: u32) -> rusqlite::Result<Vec<LoggedEvent>> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT seq, at, kind, collection, artifact, detail FROM event
             WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?
        .query_map(params![seq, limit], read)?
        .collect()
}

/// The oldest and the newest number in the log; zeros if it is empty.
pub fn bounds(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached(
            "SELECT coalesce((SELECT min(seq) FROM event), 0), coalesce((SELECT max(seq) FROM event), 0)",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}
