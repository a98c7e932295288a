//! Changes of the two full-text indexes, gathered and written together at the end of a transaction.
//!
//! SQLite opens a savepoint for every statement that may fail half-way, such as one that fires triggers, and
//! FTS5 then writes what it has gathered to disk. Words inserted between such statements make a segment for
//! each artifact, and merging those costs several times what indexing does.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};
use skillmeat_shared::reconcile::ArtifactRow;

/// What is to change in the indexes, by row: FTS5 writes out what it has gathered whenever it is given a row with
/// a smaller number than the last one, and merging what was written costs several times what indexing does. To go
/// and to come again is one change of a row.
#[derive(Debug, Default)]
pub(super) struct IndexChanges {
    metadata: BTreeMap<i64, Change<Box<ArtifactRow>>>,
    texts: BTreeMap<i64, Change<String>>,
}

#[derive(Debug)]
struct Change<T> {
    is_gone: bool,
    new: Option<T>,
}

impl<T> Default for Change<T> {
    fn default() -> Self {
        Self {
            is_gone: false,
            new: None,
        }
    }
}

impl IndexChanges {
    /// The artifact of a row is to be found no longer, or by other words.
    pub(super) fn remove_metadata(&mut self, artifact: i64) {
        self.metadata.entry(artifact).or_default().is_gone = true;
    }

    /// An artifact is to be found by its metadata.
    pub(super) fn add_metadata(&mut self, row: i64, artifact: Box<ArtifactRow>) {
        self.metadata.entry(row).or_default().new = Some(artifact);
    }

    /// The texts of an artifact are to be found no longer.
    pub(super) fn remove_text(&mut self, artifact: i64) {
        self.texts.entry(artifact).or_default().is_gone = true;
    }

    /// An artifact is to be found by the words of its texts.
    pub(super) fn add_text(&mut self, artifact: i64, words: String) {
        self.texts.entry(artifact).or_default().new = Some(words);
    }

    /// Writes all changes. Nothing but the end of the transaction should follow.
    pub(super) fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut remove =
            transaction.prepare_cached("DELETE FROM metadata_index WHERE rowid = ?1")?;
        let mut add = transaction.prepare_cached(
            "INSERT INTO metadata_index (rowid, name, aliases, title, tags, description, author)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for (row, change) in self.metadata {
            if change.is_gone {
                remove.execute([row])?;
            }
            let Some(artifact) = change.new else { continue };
            let metadata = &artifact.metadata;
            add.execute(params![
                row,
                artifact.id.name,
                metadata.aliases.join("\n"),
                metadata.title,
                metadata.tags.join("\n"),
                metadata.description,
                metadata.author,
            ])?;
        }
        let mut remove = transaction.prepare_cached("DELETE FROM text_index WHERE rowid = ?1")?;
        let mut add =
            transaction.prepare_cached("INSERT INTO text_index (rowid, words) VALUES (?1, ?2)")?;
        for (artifact, change) in self.texts {
            if change.is_gone {
                remove.execute([artifact])?;
            }
            if let Some(words) = change.new {
                add.execute(params![artifact, words])?;
            }
        }
        Ok(())
    }
}
