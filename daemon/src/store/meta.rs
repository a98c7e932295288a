//! Small facts about the cache itself: its instance, counters, when schedules are due.

use rusqlite::{Connection, OptionalExtension as _, params};

const INSTANCE: &str = "instance";

/// When a damaged database was replaced by this one, in nanoseconds since the epoch, and why.
pub const REPLACED: &str = "replaced";

/// Bytes that the history needed when it was collected last, if they were more than it may hold.
pub const HISTORY_NEEDS: &str = "history-needs";

/// Written to find out whether there is room on the disk again.
pub const ROOM: &str = "room";

/// When a piece of scheduled work is due. Times are nanoseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRow {
    /// The schedule's name.
    pub name: String,
    /// When it is due.
    pub next_due: i64,
    /// When it last ran.
    pub last_run: Option<i64>,
}

/// The value under a key.
pub fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

/// Sets the value under a key; writes nothing if it stands there already.
pub fn set(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value",
        )?
        .execute(params![key, value])?;
    Ok(())
}

/// The name that was drawn when the database was made.
pub fn instance(connection: &Connection) -> rusqlite::Result<String> {
    Ok(get(connection, INSTANCE)?.unwrap_or_default())
}

/// When a damaged database was replaced by this one, and why.
pub fn replaced(connection: &Connection) -> rusqlite::Result<Option<(i64, String)>> {
    Ok(get(connection, REPLACED)?.and_then(|text| {
        let (at, why) = text.split_once(' ')?;
        Some((at.parse().ok()?, why.to_owned()))
    }))
}

/// Draws another name.
pub fn rename_instance(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute(
            "UPDATE meta SET value = lower(hex(randomblob(8))) WHERE key = ?1",
            [INSTANCE],
        )
        .map(drop)
}

/// All schedules.
pub fn schedules(connection: &Connection) -> rusqlite::Result<Vec<DueRow>> {
    connection
        .prepare_cached("SELECT name, next_due, last_run FROM schedule")?
        .query_map([], |row| {
            Ok(DueRow {
                name: row.get(0)?,
                next_due: row.get(1)?,
                last_run: row.get(2)?,
            })
        })?
        .collect()
}

/// Sets when a schedule is due.
pub fn save_schedule(connection: &Connection, due: &DueRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO schedule (name, next_due, last_run) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET next_due = excluded.next_due, last_run = excluded.last_run",
        )?
        .execute(params![due.name, due.next_due, due.last_run])?;
    Ok(())
}
