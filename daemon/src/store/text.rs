//! The texts of artifacts and their full-text index.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use skillmeat_shared::artifact::read::FileText;
use skillmeat_shared::search::distinct_words;

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

/// The texts of an artifact as the cache keeps them, and their words for the index.
#[derive(Debug)]
pub struct Packed {
    files: String,
    text: String,
    pub(super) words: String,
}

impl Packed {
    /// Packs texts. Costs about as much as reading them.
    pub fn new(texts: &[FileText]) -> Self {
        let files: Vec<(&str, usize)> = texts
            .iter()
            .map(|file| (file.path.as_str(), file.text.len()))
            .collect();
        Self {
            files: super::artifact::json(&files),
            text: texts.iter().map(|file| file.text.as_str()).collect(),
            words: distinct_words(texts.iter().map(|file| file.text.as_str())),
        }
    }

    /// Bytes of the texts.
    pub const fn size(&self) -> usize {
        self.text.len()
    }
}

/// The texts of an artifact.
#[derive(Debug, Default)]
pub struct Texts {
    files: Vec<(String, usize)>,
    text: String,
}

impl Texts {
    /// Path and text of each file, in their order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = self.text.as_str();
        self.files.iter().map_while(move |(path, size)| {
            let (text, after) = rest.split_at_checked(*size)?;
            rest = after;
            Some((path.as_str(), text))
        })
    }

    /// Bytes of all texts.
    pub const fn size(&self) -> usize {
        self.text.len()
    }
}

/// The texts of an artifact; none if they are not in the cache.
pub fn of_artifact(connection: &Connection, artifact: i64) -> rusqlite::Result<Texts> {
    texts(
        connection,
        "SELECT files, text FROM artifact_text WHERE artifact_id = ?1",
        params![artifact],
    )
}

/// The beginning of an artifact's first text, or all of it, as its only file.
pub fn head_of_first(
    connection: &Connection,
    artifact: i64,
    characters: u32,
) -> rusqlite::Result<Texts> {
    let mut head = texts(
        connection,
        "SELECT files, substr(text, 1, ?2) FROM artifact_text WHERE artifact_id = ?1",
        params![artifact, characters],
    )?;
    head.files.truncate(1);
    for (_, size) in &mut head.files {
        *size = head.text.len().min(*size);
    }
    Ok(head)
}

fn texts(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<Texts> {
    let found = connection
        .prepare_cached(sql)?
        .query_row(values, |row| {
            Ok(Texts {
                files: serde_json::from_str(row.get_ref(0)?.as_str()?).unwrap_or_default(),
                text: row.get(1)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Takes the texts of an artifact out of table and index.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    artifact: i64,
    index: &mut IndexChanges,
) -> rusqlite::Result<()> {
    let gone = transaction
        .prepare_cached("DELETE FROM artifact_text WHERE artifact_id = ?1")?
        .execute([artifact])?;
    if gone > 0 {
        index.remove_text(artifact);
    }
    Ok(())
}

/// Puts the texts of an artifact that has none into table and index; without any it waits for the
/// background.
pub(super) fn put(
    transaction: &Transaction<'_>,
    artifact: i64,
    texts: Option<&[FileText]>,
    index: &mut IndexChanges,
) -> rusqlite::Result<()> {
    if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
        let packed = Packed::new(texts);
        insert(transaction, artifact, &packed)?;
        index.add_text(artifact, packed.words);
    }
    transaction
        .prepare_cached("UPDATE artifact SET text_state = ?2 WHERE id = ?1 AND text_state <> ?2")?
        .execute(params![artifact, i64::from(texts.is_some())])?;
    Ok(())
}

fn insert(transaction: &Transaction<'_>, artifact: i64, packed: &Packed) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO artifact_text (artifact_id, files, size, text) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![artifact, packed.files, packed.size(), packed.text])?;
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

/// Puts texts that were read in the background into table and index; artifacts that changed since then are left
/// alone. None of these statements makes a savepoint, so the index goes to disk at the end of the transaction.
pub fn store(transaction: &Transaction<'_>, read: Vec<(Waiting, Packed)>) -> rusqlite::Result<()> {
    let mut current = transaction.prepare_cached(
        "UPDATE artifact SET text_state = 1 WHERE id = ?1 AND row_hash = ?2 AND text_state = 0",
    )?;
    let mut index = IndexChanges::default();
    for (artifact, packed) in read {
        if current.execute(params![artifact.row, artifact.row_hash])? == 1 && packed.size() > 0 {
            insert(transaction, artifact.row, &packed)?;
            index.add_text(artifact.row, packed.words);
        }
    }
    index.write(transaction)?;
    super::sql_hit("index.before_commit")
}
