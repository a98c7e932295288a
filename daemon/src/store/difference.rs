//! What an event tells of a change: the row before against the row after, in words.

use rusqlite::Transaction;
use skillmeat_shared::reconcile::ArtifactRow;

use super::artifact::json;

/// What an event tells of a row that is overwritten.
pub(super) struct Summary {
    id: String,
    status: String,
    content_hash: Option<String>,
    description: Option<String>,
    tags: String,
    path: String,
}

/// What a row says before it is overwritten.
pub(super) fn summary_of(
    transaction: &Transaction<'_>,
    row: i64,
) -> rusqlite::Result<Option<Summary>> {
    use rusqlite::OptionalExtension as _;
    transaction
        .prepare_cached(
            "SELECT kind || ':' || name, status, content_hash, description, tags, path FROM artifact WHERE id = ?1",
        )?
        .query_row([row], |row| {
            Ok(Summary {
                id: row.get(0)?,
                status: row.get(1)?,
                content_hash: row.get(2)?,
                description: row.get(3)?,
                tags: row.get(4)?,
                path: row.get(5)?,
            })
        })
        .optional()
}

/// What changed, in words.
pub(super) fn difference(before: &Summary, now: &ArtifactRow) -> String {
    let mut words = Vec::new();
    if before.id != now.id.to_string() {
        words.push(format!("was {}", before.id));
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
