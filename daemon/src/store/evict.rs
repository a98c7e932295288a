//! Keeping the cache below its size: what can be made again from files goes first.

use rusqlite::{Connection, Transaction};

use super::index::IndexChanges;

/// Bytes in use, apart from free pages.
pub fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT (p.page_count - f.freelist_count) * s.page_size
             FROM pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s",
        )?
        .query_row([], |row| row.get(0))
}

/// Bytes of free pages, which the file keeps for what comes.
pub fn free_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT f.freelist_count * s.page_size FROM pragma_freelist_count() f, pragma_page_size() s",
        )?
        .query_row([], |row| row.get(0))
}

/// Drops the texts of the largest artifacts, `most` of them, from table and index; returns how many artifacts
/// lost theirs. Their metadata stays searchable.
pub fn evict_texts(transaction: &Transaction<'_>, most: usize) -> rusqlite::Result<usize> {
    let rows: Vec<i64> = transaction
        .prepare_cached(
            "SELECT id FROM artifact WHERE text_state = 1 ORDER BY size DESC, id LIMIT ?1",
        )?
        .query_map([most], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut mark =
        transaction.prepare_cached("UPDATE artifact SET text_state = 2 WHERE id = ?1")?;
    let mut index = IndexChanges::default();
    for row in &rows {
        super::text::remove(transaction, *row, &mut index)?;
        mark.execute([row])?;
    }
    index.write(transaction)?;
    Ok(rows.len())
}

/// Gives evicted texts another chance, after the limit was raised.
pub fn readmit(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached("UPDATE artifact SET text_state = 0 WHERE text_state = 2")?
        .execute([])
}

/// Merges the text index into one segment, which leaves out what was deleted. Outside of a transaction only.
pub fn merge_index(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("INSERT INTO text_index (text_index) VALUES ('optimize')")
}

/// Gives free pages back to the file system, once the log is moved into the database. Outside of a transaction only.
pub fn compact(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("VACUUM")
}
