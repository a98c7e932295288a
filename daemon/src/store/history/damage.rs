//! Rows of snapshots that are known not to be whole.

use rusqlite::Connection;

/// A snapshot that is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The collection.
    pub collection: String,
    /// The snapshot.
    pub snapshot: String,
    /// The first thing that is wrong.
    pub why: String,
}

/// All of them, by collection, the newest first.
pub fn all(connection: &Connection) -> rusqlite::Result<Vec<Damage>> {
    connection
        .prepare_cached(
            "SELECT collection, snapshot, why FROM damage ORDER BY collection, snapshot DESC",
        )?
        .query_map([], |row| {
            Ok(Damage {
                collection: row.get(0)?,
                snapshot: row.get(1)?,
                why: row.get(2)?,
            })
        })?
        .collect()
}

/// Notes that a snapshot is not whole.
pub fn set(connection: &Connection, damage: &Damage) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO damage VALUES (?1, ?2, ?3)
             ON CONFLICT (collection, snapshot) DO UPDATE SET why = excluded.why",
        )?
        .execute([&damage.collection, &damage.snapshot, &damage.why])
        .map(drop)
}

/// Notes that a snapshot is whole, or gone.
pub fn clear(connection: &Connection, collection: &str, snapshot: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM damage WHERE collection = ?1 AND snapshot = ?2")?
        .execute([collection, snapshot])
        .map(drop)
}
