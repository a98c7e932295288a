//! Rows of snapshots.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use skillmeat_shared::history::tree::Node;
use skillmeat_shared::time::Timestamp;

use super::{damage, node_at};

/// One snapshot of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The collection.
    pub collection: String,
    /// Its name: the moment, as the ancestor spells it.
    pub id: String,
    /// When it was made.
    pub at: Timestamp,
    /// What the user said.
    pub message: String,
    /// Why it was made: manual, safety, scheduled or imported.
    pub origin: String,
    /// The state of the collection's folder.
    pub node: Node,
    /// Artifacts in it.
    pub artifacts: u64,
    /// Files in it.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Bytes that it added to the history.
    pub stored: u64,
}

const COLUMNS: &str = "collection, id, at, message, origin, state, artifacts, files, bytes, stored";

fn decode(row: &Row<'_>) -> rusqlite::Result<Snapshot> {
    Ok(Snapshot {
        collection: row.get(0)?,
        id: row.get(1)?,
        at: Timestamp(row.get(2)?),
        message: row.get(3)?,
        origin: row.get(4)?,
        node: node_at(row, 5)?.ok_or(rusqlite::Error::InvalidQuery)?,
        artifacts: row.get(6)?,
        files: row.get(7)?,
        bytes: row.get(8)?,
        stored: row.get(9)?,
    })
}

/// Writes a new snapshot.
pub fn insert(connection: &Connection, snapshot: &Snapshot) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO snapshot (collection, id, at, message, origin, state, artifacts, files, bytes, stored)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            snapshot.collection,
            snapshot.id,
            snapshot.at.0,
            snapshot.message,
            snapshot.origin,
            snapshot.node.encode(),
            snapshot.artifacts,
            snapshot.files,
            snapshot.bytes,
            snapshot.stored,
        ])
        .map(drop)
}

/// The snapshot of this name.
pub fn get(
    connection: &Connection,
    collection: &str,
    id: &str,
) -> rusqlite::Result<Option<Snapshot>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM snapshot WHERE collection = ?1 AND id = ?2"
        ))?
        .query_row([collection, id], decode)
        .optional()
}

/// The snapshots of a collection, or of all if it is empty, the newest first.
pub fn list(connection: &Connection, collection: &str) -> rusqlite::Result<Vec<Snapshot>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM snapshot WHERE ?1 = '' OR collection = ?1
             ORDER BY id DESC, collection"
        ))?
        .query_map([collection], decode)?
        .collect()
}

/// Whether a snapshot of a collection has this state: all of its objects are kept then.
pub fn has_state(connection: &Connection, collection: &str, node: &Node) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM snapshot WHERE collection = ?1 AND state = ?2")?
        .exists(params![collection, node.encode()])
}

/// Has the snapshots of a collection be those of another name. One that has the same name there stays.
pub fn rename(connection: &Connection, from: &str, to: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE OR IGNORE snapshot SET collection = ?2 WHERE collection = ?1")?
        .execute([from, to])
        .map(drop)
}

/// Forgets a snapshot; its objects go with the next collection of garbage. Whether there was one.
pub fn delete(connection: &Connection, collection: &str, id: &str) -> rusqlite::Result<bool> {
    damage::clear(connection, collection, id)?;
    connection
        .prepare_cached("DELETE FROM snapshot WHERE collection = ?1 AND id = ?2")?
        .execute([collection, id])
        .map(|count| count > 0)
}
