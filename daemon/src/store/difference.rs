//! The row before a change against the row after it: what an event tells of it, in words, and whether it is
//! found as before.

use rusqlite::Transaction;
use skillmeat_shared::reconcile::ArtifactRow;

use super::artifact::json;

/// What there is to compare of a row that is overwritten.
pub(super) struct Summary {
    pub(super) kind: String,
    name: String,
    aliases: String,
    title: Option<String>,
    author: Option<String>,
    pub(super) status: String,
    pub(super) size: i64,
    content_hash: Option<String>,
    description: Option<String>,
    tags: String,
    path: String,
    /// It was written by a pass, and not only taken over from a copy.
    is_believed: bool,
}

impl Summary {
    /// Whether the artifact is called as before, and stands where it did.
    pub(super) fn is_in_place(&self, now: &ArtifactRow) -> bool {
        self.is_called(now) && self.path == now.path
    }

    fn is_called(&self, now: &ArtifactRow) -> bool {
        self.kind == now.id.kind.as_str() && self.name == now.id.name
    }
}

/// What a row says before it is overwritten.
pub(super) fn summary_of(
    transaction: &Transaction<'_>,
    row: i64,
) -> rusqlite::Result<Option<Summary>> {
    use rusqlite::OptionalExtension as _;
    transaction
        .prepare_cached(
            "SELECT kind, status, content_hash, description, tags, path, name, aliases, title, author, size,
                    row_hash <> zeroblob(16)
             FROM artifact WHERE id = ?1",
        )?
        .query_row([row], |row| {
            Ok(Summary {
                kind: row.get(0)?,
                status: row.get(1)?,
                content_hash: row.get(2)?,
                description: row.get(3)?,
                tags: row.get(4)?,
                path: row.get(5)?,
                name: row.get(6)?,
                aliases: row.get(7)?,
                title: row.get(8)?,
                author: row.get(9)?,
                size: row.get(10)?,
                is_believed: row.get(11)?,
            })
        })
        .optional()
}

/// Whether all that the index of metadata holds of a row, and its tags, are as before.
pub(super) fn is_found_as_before(before: &Summary, now: &ArtifactRow) -> bool {
    let metadata = &now.metadata;
    before.is_believed
        && before.name == now.id.name
        && before.aliases == json(&metadata.aliases)
        && before.title == metadata.title
        && before.tags == json(&metadata.tags)
        && before.description == metadata.description
        && before.author == metadata.author
}

/// What changed, in words.
pub(super) fn difference(before: &Summary, now: &ArtifactRow) -> String {
    let mut words = Vec::new();
    if !before.is_called(now) {
        words.push(format!("was {}:{}", before.kind, before.name));
    }
    if before.status != now.status.as_str() {
        words.push(format!("{} -> {}", before.status, now.status));
    }
    if before.content_hash != now.content_hash {
        words.push("content".to_owned());
    }
    if before.description != now.metadata.description {
        words.push("description".to_owned());
    }
    if before.tags != json(&now.metadata.tags) {
        words.push("tags".to_owned());
    }
    if before.path != now.path {
        words.push("path".to_owned());
    }
    if words.is_empty() {
        words.push("metadata".to_owned());
    }
    words.join(", ")
}
