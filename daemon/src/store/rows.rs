//! What reconciling asks of the rows, and how it has them written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rusqlite::{Connection, Row, params};
use skillmeat_shared::artifact::Status;
use skillmeat_shared::failpoint;
use skillmeat_shared::reconcile::{
    Batch, Change, Kept, Known, KnownCollection, Rows, Seen, is_tree,
};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{ArtifactId, Kind, Result};

use super::artifact::apply;
use super::index::IndexChanges;
use super::{Store, collection, sql_hit};

/// Changes of one transaction, as far as there are as many.
const MOST: usize = 2048;

/// How long a transaction waits for more changes.
const PATIENCE: Duration = Duration::from_millis(20);
impl Rows for Store {
    fn collection(&self, name: &str) -> Result<Option<KnownCollection>> {
        let name = name.to_owned();
        self.read(|connection| collection::known(connection, &name))
    }

    fn known(&self, collection: i64, paths: Option<&BTreeSet<String>>) -> Result<Vec<Known>> {
        self.read(|connection| match paths {
            None => known_all(connection, collection),
            Some(paths) => known_at(connection, collection, paths),
        })
    }

    fn kept(&self, rows: &[i64]) -> Result<HashMap<i64, Kept>> {
        self.read(|connection| {
            let kept = rows.iter().map(|row| Ok((*row, kept(connection, *row)?)));
            kept.collect()
        })
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let (_, nothing) = sync_channel(0);
        self.apply_as_they_come(batch, nothing).map(drop)
    }

    fn apply_as_they_come(
        &self,
        batch: Batch,
        more: Receiver<Vec<Change>>,
    ) -> Result<Receiver<Vec<Change>>> {
        failpoint::step("reconcile.before_begin")?;
        let (written, more) = self.write_politely(move |transaction, is_awaited| {
            let before = transaction.total_changes();
            let mut index = IndexChanges::default();
            let (mut batch, mut count) = (batch, 0);
            loop {
                batch.changes.extend(more.try_iter().flatten());
                count += batch.changes.len();
                let collection = batch.collection.clone();
                apply(transaction, batch, &mut index)?;
                if count >= MOST || is_awaited() {
                    break;
                }
                let Ok(changes) = more.recv_timeout(PATIENCE) else {
                    break;
                };
                batch = Batch {
                    collection,
                    collection_row: None,
                    changes,
                };
            }
            index.write(transaction)?;
            sql_hit("reconcile.before_commit")?;
            Ok((transaction.total_changes() - before, more))
        })?;
        self.rows_written.fetch_add(written, Ordering::Relaxed);
        self.found_room();
        failpoint::step("reconcile.after_commit")?;
        Ok(more)
    }
}

const KNOWN: &str = "SELECT id, kind, name, path, status, signature, newest, scanned_at, entry_hash, row_hash, \
     invalidated FROM artifact";

fn read_known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let kind: String = row.get(1)?;
    let status: String = row.get(4)?;
    Ok(Known {
        row: row.get(0)?,
        id: ArtifactId::new(Kind::from_manifest(&kind), row.get::<_, String>(2)?),
        path: row.get(3)?,
        status: Status::parse(&status).unwrap_or(Status::Unmanaged),
        seen: Seen {
            signature: fixed(row.get_ref(5)?.as_blob()?),
            newest: row.get(6)?,
            at: Timestamp(row.get(7)?),
        },
        entry_hash: fixed(row.get_ref(8)?.as_blob()?),
        row_hash: fixed(row.get_ref(9)?.as_blob()?),
        invalidated: row.get(10)?,
    })
}

fn known_all(connection: &Connection, collection: i64) -> rusqlite::Result<Vec<Known>> {
    connection
        .prepare_cached(&format!("{KNOWN} WHERE collection_id = ?1"))?
        .query_map([collection], read_known)?
        .collect()
}

fn known_at(
    connection: &Connection,
    collection: i64,
    paths: &BTreeSet<String>,
) -> rusqlite::Result<Vec<Known>> {
    let mut at =
        connection.prepare_cached(&format!("{KNOWN} WHERE collection_id = ?1 AND path = ?2"))?;
    // What has no entry is only ever looked for at its own place.
    let mut below = connection.prepare_cached(&format!(
        "{KNOWN} WHERE collection_id = ?1 AND path > ?2 || '/' AND path < ?2 || '0' AND status <> 'unmanaged'"
    ))?;
    let mut known = BTreeMap::new();
    for path in paths {
        let mut take = |row: Known| drop(known.insert(row.row, row));
        for row in at.query_map(params![collection, path], read_known)? {
            take(row?);
        }
        if is_tree(paths, path) {
            for row in below.query_map(params![collection, path], read_known)? {
                take(row?);
            }
        }
    }
    Ok(known.into_values().collect())
}

fn kept(connection: &Connection, row: i64) -> rusqlite::Result<Kept> {
    let mut statement = connection
        .prepare_cached("SELECT manifest, lock FROM artifact_detail WHERE artifact_id = ?1")?;
    let mut rows = statement.query([row])?;
    let Some(row) = rows.next()? else {
        return Ok(Kept::default());
    };
    let entry: Option<String> = row.get(0)?;
    let lock: Option<String> = row.get(1)?;
    Ok(Kept {
        entry: entry.and_then(|text| serde_json::from_str(&text).ok()),
        lock: lock.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn fixed(bytes: &[u8]) -> [u8; 16] {
    bytes.try_into().unwrap_or_default()
}
