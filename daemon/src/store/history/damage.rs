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
    /// The history holds it; else it is an archive of the ancestor.
    pub is_ours: bool,
}

/// All of them, by collection, the newest first.
pub fn all(connection: &Connection) -> rusqlite::Result<Vec<Damage>> {
    connection
        .prepare_cached(
            "SELECT collection, snapshot, why,
                    EXISTS (SELECT 1 FROM snapshot s WHERE s.collection = d.collection AND s.id = d.snapshot)
             FROM damage d ORDER BY collection, snapshot DESC",
        )?
        .query_map([], |row| {
            Ok(Damage {
                collection: row.get(0)?,
                snapshot: row.get(1)?,
                why: row.get(2)?,
                is_ours: row.get(3)?,
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
