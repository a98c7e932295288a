//! The texts of artifacts and their full-text index.

use rusqlite::{Connection, Transaction, params};
use skillmeat_shared::artifact::read::FileText;

use super::index::IndexChanges;

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
pub(super) fn remove(
    transaction: &Transaction<'_>,
    artifact: i64,
    index: &mut IndexChanges<'_>,
) -> rusqlite::Result<()> {
    let mut gone = transaction
        .prepare_cached("DELETE FROM artifact_text WHERE artifact_id = ?1 RETURNING id")?;
    for id in gone.query_map([artifact], |row| row.get(0))? {
        index.remove_text(id?);
    }
    Ok(())
}

/// Puts the texts of an artifact that has none into table and index; without any it waits for the
/// background.
pub(super) fn put<'a>(
    transaction: &Transaction<'_>,
    artifact: i64,
    texts: Option<&'a [FileText]>,
    index: &mut IndexChanges<'a>,
) -> rusqlite::Result<()> {
    if let Some(texts) = texts {
        for text in texts {
            index.add_text(insert(transaction, artifact, text)?, &text.text);
        }
    }
    transaction
        .prepare_cached("UPDATE artifact SET text_state = ?2 WHERE id = ?1 AND text_state <> ?2")?
        .execute(params![artifact, i64::from(texts.is_some())])?;
    Ok(())
}

fn insert(transaction: &Transaction<'_>, artifact: i64, text: &FileText) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached("INSERT INTO artifact_text (artifact_id, path, text) VALUES (?1, ?2, ?3)")?
        .execute(params![artifact, text.path, text.text])?;
    Ok(transaction.last_insert_rowid())
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

/// Stores texts that were read in the background; artifacts that changed since then are left alone. What
/// comes back is still to be put into the index, by [`index`], at the end of the transaction.
pub fn store(
    transaction: &Transaction<'_>,
    read: Vec<(Waiting, Vec<FileText>)>,
) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut current = transaction.prepare_cached(
        "UPDATE artifact SET text_state = 1 WHERE id = ?1 AND row_hash = ?2 AND text_state = 0",
    )?;
    let mut stored = Vec::new();
    for (artifact, texts) in read {
        if current.execute(params![artifact.row, artifact.row_hash])? == 1 {
            for text in texts {
                stored.push((insert(transaction, artifact.row, &text)?, text.text));
            }
        }
    }
    Ok(stored)
}

/// Puts stored texts into the index.
pub fn index(transaction: &Transaction<'_>, stored: &[(i64, String)]) -> rusqlite::Result<()> {
    let mut index = IndexChanges::default();
    for (id, text) in stored {
        index.add_text(*id, text);
    }
    index.write(transaction)?;
    super::sql_hit("index.before_commit")
}
