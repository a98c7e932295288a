//! Writing the rows of artifacts, with their index.

use std::sync::LazyLock;

use rusqlite::{ToSql, Transaction, params};
use skillmeat_shared::reconcile::{ArtifactRow, Batch, Change, Seen};

use super::count::Counts;
use super::difference::{Summary, difference, is_found_as_before, summary_of};
use super::event::{self, NewEvent};
use super::index::IndexChanges;
use super::{collection, text};

/// JSON of a value for a column; an empty text if it can't be had, which no type of ours causes.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Writes what a batch changes, but for the index: that follows at the end of the transaction.
pub(super) fn apply(
    transaction: &Transaction<'_>,
    batch: Batch,
    index: &mut IndexChanges,
) -> rusqlite::Result<()> {
    let mut events = Vec::new();
    if let Some(put) = &batch.collection_row {
        collection::put(transaction, put, &mut events)?;
    }
    if !batch.changes.is_empty() {
        let collection: i64 = transaction
            .prepare_cached("SELECT id FROM collection WHERE name = ?1")?
            .query_row([&batch.collection], |row| row.get(0))?;
        let mut counts = Counts::default();
        for change in batch.changes {
            apply_change(
                transaction,
                (collection, &batch.collection),
                change,
                (&mut events, &mut counts),
                index,
            )?;
        }
        counts.write(transaction, collection)?;
    }
    event::append(transaction, &events)
}

fn apply_change(
    transaction: &Transaction<'_>,
    (collection, collection_name): (i64, &str),
    change: Change,
    (events, counts): (&mut Vec<NewEvent>, &mut Counts),
    index: &mut IndexChanges,
) -> rusqlite::Result<()> {
    match change {
        Change::Touch { row, seen } => {
            transaction
                .prepare_cached(
                    "UPDATE artifact SET signature = ?2, newest = ?3, scanned_at = ?4, invalidated = 0
                     WHERE id = ?1",
                )?
                .execute(params![row, seen.signature, seen.newest, seen.at.0])?;
        }
        Change::Remove { row, id } => {
            unindex(transaction, row, index)?;
            if let Some(before) = summary_of(transaction, row)? {
                counts.take_out(&before);
            }
            transaction
                .prepare_cached("DELETE FROM artifact WHERE id = ?1")?
                .execute([row])?;
            events.push(NewEvent::artifact(
                "artifact.removed",
                collection_name,
                &id,
                "",
            ));
        }
        Change::Put {
            row,
            artifact,
            seen,
            entry_hash,
            row_hash,
            texts,
            differs,
        } => {
            let before = match row {
                Some(row) => summary_of(transaction, row)?,
                None => None,
            };
            if let Some(before) = &before {
                counts.take_out(before);
            }
            let id = put(
                transaction,
                collection,
                (row, before.as_ref()),
                &artifact,
                &seen,
                &entry_hash,
                &row_hash,
            )?;
            // A row that vanished meanwhile is not written either.
            if row.is_none() || before.is_some() {
                counts.put_in(&artifact, bytes_of(&artifact));
            }
            if differs {
                let stays = before
                    .as_ref()
                    .is_some_and(|before| is_found_as_before(before, &artifact));
                if row.is_some() {
                    text::remove(transaction, id, index)?;
                }
                if row.is_some() && !stays {
                    clear_tags(transaction, id)?;
                    index.remove_metadata(id);
                }
                put_parts(transaction, id, &artifact)?;
                text::put(transaction, id, texts.as_deref(), index)?;
                let (kind, detail) = before.as_ref().map_or_else(
                    || ("artifact.added", artifact.status.to_string()),
                    |before| ("artifact.changed", difference(before, &artifact)),
                );
                events.push(NewEvent::artifact(
                    kind,
                    collection_name,
                    &artifact.id,
                    &detail,
                ));
                if !stays {
                    index.add_metadata(id, artifact);
                }
            }
        }
    }
    Ok(())
}

/// The columns of an artifact's row that reconciling writes.
const COLUMNS: [&str; 34] = [
    "collection_id",
    "kind",
    "name",
    "path",
    "status",
    "origin",
    "description",
    "title",
    "author",
    "license",
    "version",
    "tags",
    "tools",
    "aliases",
    "scope",
    "source",
    "origin_source",
    "version_spec",
    "resolved_sha",
    "resolved_version",
    "content_hash",
    "structure_hash",
    "file_count",
    "size",
    "parse_status",
    "problem_count",
    "synced_at",
    "updated_at",
    "signature",
    "newest",
    "scanned_at",
    "entry_hash",
    "row_hash",
    "position",
];

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let marks: Vec<String> = (1..=COLUMNS.len()).map(|at| format!("?{at}")).collect();
    format!(
        "INSERT INTO artifact ({}) VALUES ({})",
        COLUMNS.join(", "),
        marks.join(", ")
    )
});

// A row never changes its collection; and to write a foreign key costs as much as a trigger does.
static UPDATE: LazyLock<String> = LazyLock::new(|| update(&[]));

// An index is written again if one of its columns is set, whether or not it has another value then.
static UPDATE_IN_PLACE: LazyLock<String> = LazyLock::new(|| update(&["kind", "name", "path"]));

fn update(stay: &[&str]) -> String {
    let sets: Vec<String> = (1..)
        .zip(COLUMNS)
        .skip(1)
        .filter(|(_, name)| !stay.contains(name))
        .map(|(at, name)| format!("{name} = ?{at}"))
        .collect();
    format!(
        "UPDATE artifact SET {}, invalidated = 0 WHERE id = ?{}",
        sets.join(", "),
        COLUMNS.len() + 1
    )
}

fn bytes_of(artifact: &ArtifactRow) -> i64 {
    i64::try_from(artifact.size).unwrap_or(i64::MAX)
}

fn put(
    transaction: &Transaction<'_>,
    collection: i64,
    (row, before): (Option<i64>, Option<&Summary>),
    artifact: &ArtifactRow,
    seen: &Seen,
    entry_hash: &[u8; 16],
    row_hash: &[u8; 16],
) -> rusqlite::Result<i64> {
    let metadata = &artifact.metadata;
    let (tags, tools, aliases) = (
        json(&metadata.tags),
        json(&metadata.tools),
        json(&metadata.aliases),
    );
    let file_count = i64::try_from(artifact.file_count).unwrap_or(i64::MAX);
    let size = bytes_of(artifact);
    let values: [&dyn ToSql; COLUMNS.len()] = [
        &collection,
        &artifact.id.kind.as_str(),
        &artifact.id.name,
        &artifact.path,
        &artifact.status.as_str(),
        &artifact.origin,
        &metadata.description,
        &metadata.title,
        &metadata.author,
        &metadata.license,
        &metadata.version,
        &tags,
        &tools,
        &aliases,
        &metadata.scope,
        &artifact.source,
        &artifact.origin_source,
        &artifact.version_spec,
        &artifact.resolved_sha,
        &artifact.resolved_version,
        &artifact.content_hash,
        &artifact.structure_hash,
        &file_count,
        &size,
        &metadata.parse_status.as_str(),
        &artifact.problems.len(),
        &seen.at.0,
        &artifact.updated_at.0,
        &seen.signature,
        &seen.newest,
        &seen.at.0,
        entry_hash,
        row_hash,
        &artifact.entries.position,
    ];
    if let Some(row) = row {
        let values: Vec<&dyn ToSql> = values.into_iter().chain([&row as &dyn ToSql]).collect();
        let statement = match before {
            Some(before) if before.is_in_place(artifact) => &UPDATE_IN_PLACE,
            _ => &UPDATE,
        };
        transaction
            .prepare_cached(statement)?
            .execute(values.as_slice())?;
        return Ok(row);
    }
    transaction
        .prepare_cached(&INSERT)?
        .execute(values.as_slice())?;
    Ok(transaction.last_insert_rowid())
}

/// Takes away the tags of a row that is about to be written again.
fn clear_tags(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM artifact_tag WHERE artifact_id = ?1")?
        .execute([id])
        .map(drop)
}

fn put_parts(
    transaction: &Transaction<'_>,
    id: i64,
    artifact: &ArtifactRow,
) -> rusqlite::Result<()> {
    let metadata = &artifact.metadata;
    let (error, line) = match &metadata.parse_error {
        Some((message, line)) => (Some(message), *line),
        None => (None, None),
    };
    let files: Vec<_> = artifact
        .files
        .iter()
        .map(|file| {
            (
                &file.path,
                file.size,
                file.kind,
                file.executable,
                file.modified_at,
            )
        })
        .collect();
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO artifact_detail
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            id,
            json(&metadata.tool_patterns),
            json(&metadata.dependencies),
            json(&metadata.frontmatter),
            error,
            line,
            artifact.entries.manifest,
            artifact.entries.lock,
            json(&artifact.problems),
            json(&files),
        ])?;
    let mut insert =
        transaction.prepare_cached("INSERT OR IGNORE INTO artifact_tag VALUES (?1, ?2)")?;
    for tag in &metadata.tags {
        insert.execute(params![tag, id])?;
    }
    Ok(())
}

/// Takes an artifact out of both indexes, and its texts out of their table.
pub(super) fn unindex(
    transaction: &Transaction<'_>,
    id: i64,
    index: &mut IndexChanges,
) -> rusqlite::Result<()> {
    index.remove_metadata(id);
    text::remove(transaction, id, index)
}

/// Marks artifacts as not to be trusted; returns how many there were.
pub fn invalidate(
    transaction: &Transaction<'_>,
    collection: &str,
    rows: Option<&[i64]>,
) -> rusqlite::Result<usize> {
    match rows {
        None => transaction
            .prepare_cached(
                "UPDATE artifact SET invalidated = 1
                 WHERE collection_id = (SELECT id FROM collection WHERE name = ?1)",
            )?
            .execute([collection]),
        Some(rows) => {
            let mut update =
                transaction.prepare_cached("UPDATE artifact SET invalidated = 1 WHERE id = ?1")?;
            let mut count = 0;
            for row in rows {
                count += update.execute([row])?;
            }
            Ok(count)
        }
    }
}
