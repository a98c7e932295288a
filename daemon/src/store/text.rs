//! The texts of artifacts and their full-text index.

use rusqlite::{Connection, Transaction, params};
use skillmeat_shared::artifact::read::FileText;

/// An artifact whose texts are not in the index yet.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its row.
    pub row: i64,
    /// Its kind's name.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its collection's absolute path.
    pub root: String,
    /// Its path in the collection.
    pub path: String,
    /// Hash of the row when it was looked at, to notice that it changed meanwhile.
    pub row_hash: Vec<u8>,
}

/// Takes the texts of an artifact out of table and index.
pub fn remove(transaction: &Transaction<'_>, artifact: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "DELETE FROM text_index WHERE rowid IN (SELECT id FROM artifact_text WHERE artifact_id = ?1)",
        )?
        .execute([artifact])?;
    transaction
        .prepare_cached("DELETE FROM artifact_text WHERE artifact_id = ?1")?
        .execute([artifact])?;
    Ok(())
}

/// Puts an artifact's texts in place of those that it had; without new ones it waits for the background.
pub fn replace(
    transaction: &Transaction<'_>,
    artifact: i64,
    texts: Option<&[FileText]>,
) -> rusqlite::Result<()> {
    remove(transaction, artifact)?;
    if let Some(texts) = texts {
        insert(transaction, artifact, texts)?;
    }
    transaction
        .prepare_cached("UPDATE artifact SET text_state = ?2 WHERE id = ?1 AND text_state <> ?2")?
        .execute(params![artifact, i64::from(texts.is_some())])?;
    Ok(())
}

fn insert(
    transaction: &Transaction<'_>,
    artifact: i64,
    texts: &[FileText],
) -> rusqlite::Result<()> {
    let mut row = transaction.prepare_cached(
        "INSERT INTO artifact_text (artifact_id, path, text) VALUES (?1, ?2, ?3)",
    )?;
    let mut index =
        transaction.prepare_cached("INSERT INTO text_index (rowid, text) VALUES (?1, ?2)")?;
    for text in texts {
        row.execute(params![artifact, text.path, text.text])?;
        index.execute(params![transaction.last_insert_rowid(), text.text])?;
    }
    Ok(())
}

/// The next artifacts after `after` whose texts wait for the index.
pub fn waiting(connection: &Connection, after: i64, limit: u32) -> rusqlite::Result<Vec<Waiting>> {
    connection
        .prepare_cached(
            "SELECT a.id, a.kind, a.name, c.path, a.path, a.row_hash
             FROM artifact a JOIN collection c ON c.id = a.collection_id
             WHERE a.text_state = 0 AND a.id > ?1 ORDER BY a.id LIMIT ?2",
        )?
        .query_map(params![after, limit], |row| {
            Ok(Waiting {
                row: row.get(0)?,
                kind: row.get(1)?,
                name: row.get(2)?,
                root: row.get(3)?,
                path: row.get(4)?,
                row_hash: row.get(5)?,
            })
        })?
        .collect()
}

/// Number of artifacts whose texts wait for the index, and of those whose texts were evicted.
pub fn outstanding(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM artifact WHERE text_state = 0),
                    (SELECT count(*) FROM artifact WHERE text_state = 2)",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Stores texts that were read in the background. Artifacts that changed since then are left alone.
pub fn store(
    transaction: &Transaction<'_>,
    read: &[(Waiting, Vec<FileText>)],
) -> rusqlite::Result<()> {
    let mut current = transaction.prepare_cached(
        "UPDATE artifact SET text_state = 1 WHERE id = ?1 AND row_hash = ?2 AND text_state = 0",
    )?;
    for (artifact, texts) in read {
        if current.execute(params![artifact.row, artifact.row_hash])? == 1 {
            insert(transaction, artifact.row, texts)?;
        }
    }
    Ok(())
}
