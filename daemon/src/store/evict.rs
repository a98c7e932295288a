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

/// Pages of the text index that are written at once, while others wait.
const STEP: u32 = 16;

/// Merges a part of the text index, where changes have left many segments or much that was deleted; whether there may
/// be more to merge.
pub fn merge_step(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let before = transaction.total_changes();
    transaction
        .prepare_cached("INSERT INTO text_index (text_index, rank) VALUES ('merge', ?1)")?
        .execute([STEP])?;
    // The statement itself counts as one, also if there was nothing to merge.
    Ok(transaction.total_changes() - before > 1)
}

/// Merges the text index into one segment, which leaves out what was deleted. Outside of a transaction only.
pub fn merge_index(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("INSERT INTO text_index (text_index) VALUES ('optimize')")
}

/// Gives free pages back to the file system, once the log is moved into the database. Outside of a transaction only.
pub fn compact(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("VACUUM")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::connection::open_writer;

    #[test]
    fn the_index_is_merged_step_by_step_and_not_by_those_who_change_it() {
        const ROWS: i64 = 12;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let mut connection = open_writer(&path, true).unwrap().connection;
        let segments = |connection: &Connection| -> i64 {
            let count = "SELECT count(DISTINCT segid) FROM text_index_idx";
            connection.query_row(count, [], |row| row.get(0)).unwrap()
        };
        for row in 1..=ROWS {
            let add = "INSERT INTO text_index (rowid, words) VALUES (?1, 'some words')";
            connection.execute(add, [row]).unwrap();
        }
        assert_eq!(segments(&connection), ROWS);
        let merge = |connection: &mut Connection| {
            let transaction = connection.transaction().unwrap();
            let more = merge_step(&transaction).unwrap();
            transaction.commit().unwrap();
            more
        };
        let steps = std::iter::repeat_with(|| merge(&mut connection));
        assert!(steps.take_while(|more| *more).count() < 100);
        assert!(segments(&connection) < 4);
        let found = "SELECT count(*) FROM text_index WHERE text_index MATCH 'words'";
        let found: i64 = connection.query_row(found, [], |row| row.get(0)).unwrap();
        assert_eq!(found, ROWS);
    }
}
