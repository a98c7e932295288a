//! Small facts about the cache itself: its instance, how it ended, counters, when schedules are due.

use rusqlite::{Connection, OptionalExtension as _, params};

const INSTANCE: &str = "instance";
const RUNNING: &str = "running";

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

/// Whether the program that last wrote closed the database in order.
pub fn ended_cleanly(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(get(connection, RUNNING)?.is_none())
}

/// Notes that a program writes.
pub fn mark_running(connection: &Connection) -> rusqlite::Result<()> {
    set(connection, RUNNING, "yes")
}

/// Notes that the database was closed in order.
pub fn mark_ended(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("DELETE FROM meta WHERE key = ?1", [RUNNING])
        .map(|_| ())
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
