//! Collecting garbage: forgetting old operations, and deleting objects that nothing needs any more.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, params};
use skillmeat_shared::Result;
use skillmeat_shared::fs::FileHash;
use skillmeat_shared::history::tree::{Node, Tree};
use skillmeat_shared::history::{Objects, object as port};
use skillmeat_shared::time::Timestamp;

use super::{History, node_at, object, sql_error};

/// The share of what is needed anyway that operations may take where the limit has no room for them: forgetting them
/// would free next to nothing.
const SHARE: u64 = 100;

/// Objects that are deleted in one transaction.
const AT_ONCE: usize = 2000;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations since this moment, if there is room.
    pub since: Timestamp,
    /// Bytes of all objects. Snapshots, known states and what is under way are kept whatever their size.
    pub max_bytes: u64,
}

/// What was collected, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Operations that can't be undone any more.
    pub operations: u64,
    /// Objects.
    pub objects: u64,
    /// Bytes of these objects, as they were kept.
    pub bytes: u64,
    /// Bytes of the objects that stay.
    pub left: u64,
    /// Bytes of those that would stay without any operation.
    pub needed: u64,
}

/// The objects that something needs.
#[derive(Default)]
struct Needed {
    rows: HashSet<i64>,
    trees: HashSet<FileHash>,
    bytes: u64,
    /// What the last one added, which may turn out to be too much.
    fresh: Fresh,
}

#[derive(Default)]
struct Fresh {
    rows: Vec<i64>,
    trees: Vec<FileHash>,
    bytes: u64,
}

impl History {
    /// Deletes what is beyond the limits, or only counts it. What is needed by a snapshot, by an operation that
    /// is kept or under way, or as the known state of a place, stays.
    pub fn collect(&self, limits: Limits, dry_run: bool) -> Result<Collected> {
        self.alone(|| {
            let (doomed, needed, least) = self.read(|connection| mark(connection, limits))?;
            let all = self.read(|connection| {
                connection
                    .prepare("SELECT id, length(data) FROM object")?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<rusqlite::Result<Vec<(i64, u64)>>>()
            })?;
            let garbage: Vec<(i64, u64)> = all
                .into_iter()
                .filter(|(row, _)| !needed.rows.contains(row))
                .collect();
            let collected = Collected {
                operations: doomed.len() as u64,
                objects: garbage.len() as u64,
                bytes: garbage.iter().map(|(_, bytes)| bytes).sum(),
                left: needed.bytes,
                needed: least,
            };
            if !dry_run {
                self.sweep(&doomed, &garbage, &needed)?;
            }
            Ok(collected)
        })
    }

    fn sweep(&self, doomed: &[i64], garbage: &[(i64, u64)], needed: &Needed) -> Result<()> {
        // First what names objects, then the objects: a crash in between leaves garbage and no holes.
        self.write(|transaction| {
            let mut delete = transaction.prepare("DELETE FROM operation WHERE id = ?1")?;
            for id in doomed {
                delete.execute([id])?;
            }
            let seen: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = transaction
                .prepare("SELECT top, folder, substr(said, 1, 32) FROM seen")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let mut forget =
                transaction.prepare("DELETE FROM seen WHERE top = ?1 AND folder = ?2")?;
            for (top, folder, tree) in seen {
                let is_needed = <[u8; 32]>::try_from(tree)
                    .is_ok_and(|tree| needed.trees.contains(&FileHash(tree)));
                if !is_needed {
                    forget.execute(params![top, folder])?;
                }
            }
            Ok(())
        })?;
        for some in garbage.chunks(AT_ONCE) {
            self.write(|transaction| {
                let mut delete = transaction.prepare("DELETE FROM object WHERE id = ?1")?;
                for (row, _) in some {
                    delete.execute([row])?;
                }
                Ok(())
            })?;
        }
        if garbage.is_empty() {
            return Ok(());
        }
        self.with_writer(|connection| {
            // Each step of it gives one page back.
            let mut statement = connection.prepare("PRAGMA incremental_vacuum")?;
            let mut steps = statement.query([])?;
            while steps.next()?.is_some() {}
            drop(steps);
            drop(statement);
            super::super::checkpoint::empty_log(connection)
        })
    }

    /// Reads everything that a state needs and compares it with its hashes. Gives the paths, relative to the
    /// state, at which something is missing or was altered, each with what is wrong; at most `most`.
    pub fn verify(&self, node: &Node, most: usize) -> Vec<(std::path::PathBuf, String)> {
        let mut checked = HashSet::new();
        let mut found = Vec::new();
        self.verify_below(
            std::path::Path::new(""),
            node,
            &mut checked,
            most,
            &mut found,
        );
        found
    }

    fn verify_below(
        &self,
        path: &std::path::Path,
        node: &Node,
        checked: &mut HashSet<FileHash>,
        most: usize,
        found: &mut Vec<(std::path::PathBuf, String)>,
    ) {
        let Some(hash) = node.hash() else { return };
        if found.len() >= most || !checked.insert(*hash) {
            return;
        }
        let mut wrong =
            |error: skillmeat_shared::Error| found.push((path.to_owned(), error.message));
        match node {
            Node::Folder { .. } => match Tree::load(self, hash) {
                Ok(tree) => {
                    for entry in tree.entries() {
                        let inner = path.join(&entry.name);
                        self.verify_below(&inner, &entry.node, checked, most, found);
                    }
                }
                Err(error) => wrong(error),
            },
            Node::File { size, .. } => {
                let mut whole = Whole::default();
                match self.copy_to(hash, &mut whole) {
                    Ok(()) if whole.is(hash, *size) => {}
                    Ok(()) => wrong(port::altered(hash)),
                    Err(error) => wrong(error),
                }
            }
            Node::Link { .. } => {}
        }
    }
}

/// Hashes what is written to it: the parts of a large file are sound each, but may be the wrong ones.
#[derive(Default)]
struct Whole {
    hasher: sha2::Sha256,
    size: u64,
}

impl Whole {
    fn is(self, hash: &FileHash, size: u64) -> bool {
        use sha2::Digest as _;
        self.size == size && FileHash(self.hasher.finalize().into()) == *hash
    }
}

impl std::io::Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        use sha2::Digest as _;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Operations that go, the objects that stay, and the bytes of those that would stay without any operation. Of the
/// operations that are not too old, those that free nothing stay in any case.
fn mark(connection: &Connection, limits: Limits) -> rusqlite::Result<(Vec<i64>, Needed, u64)> {
    let mut needed = Needed::default();
    for query in [
        "SELECT state FROM snapshot",
        "SELECT state FROM known",
        "SELECT before FROM operation_path JOIN operation ON id = operation WHERE state = 'open'",
        "SELECT after FROM operation_path JOIN operation ON id = operation WHERE state = 'open'",
    ] {
        let nodes: Vec<Option<Node>> = connection
            .prepare(query)?
            .query_map([], |row| node_at(row, 0))?
            .collect::<rusqlite::Result<_>>()?;
        for node in nodes.into_iter().flatten() {
            needed.add(connection, &node)?;
        }
    }
    let least = needed.bytes;
    let is_in_vain = least > limits.max_bytes;
    let most = if is_in_vain {
        least + least / SHARE
    } else {
        limits.max_bytes
    };
    let operations: Vec<(i64, i64)> = connection
        .prepare("SELECT id, at FROM operation WHERE state <> 'open' ORDER BY id DESC")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut paths =
        connection.prepare("SELECT before, after FROM operation_path WHERE operation = ?1")?;
    let (mut doomed, mut is_full) = (Vec::new(), false);
    for (id, at) in operations {
        if at < limits.since.0 {
            doomed.push(id);
            continue;
        }
        let nodes: Vec<[Option<Node>; 2]> = paths
            .query_map([id], |row| Ok([node_at(row, 0)?, node_at(row, 1)?]))?
            .collect::<rusqlite::Result<_>>()?;
        needed.fresh = Fresh::default();
        for node in nodes.into_iter().flatten().flatten() {
            needed.add(connection, &node)?;
        }
        let is_too_much = needed.bytes > most;
        // It goes with all before it that need anything of their own. Where the limit can't be kept to, those go that take
        // much.
        is_full |= is_too_much && !is_in_vain;
        if (is_full || is_too_much) && needed.fresh.bytes > 0 {
            needed.take_back();
            doomed.push(id);
        }
    }
    Ok((doomed, needed, least))
}

impl Needed {
    fn take_back(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        self.bytes -= fresh.bytes;
        for row in fresh.rows {
            self.rows.remove(&row);
        }
        for tree in fresh.trees {
            self.trees.remove(&tree);
        }
    }

    fn add(&mut self, connection: &Connection, node: &Node) -> rusqlite::Result<()> {
        let Some(hash) = node.hash() else {
            return Ok(());
        };
        if self.trees.contains(hash) || !self.add_object(connection, hash)? {
            return Ok(());
        }
        if !node.is_folder() {
            return Ok(());
        }
        self.trees.insert(*hash);
        self.fresh.trees.push(*hash);
        let load =
            |hash: &FileHash| object::load(connection, hash).map_err(|error| sql_error(&error));
        let mut bytes = Vec::new();
        let read = object::copy(&load, hash, &mut bytes).and_then(|()| Tree::decode(&bytes));
        match read {
            Ok(tree) => {
                for entry in tree.entries() {
                    self.add(connection, &entry.node)?;
                }
            }
            // What can't be read needs nothing; `verify` tells of it.
            Err(error) => tracing::warn!(target: "history", "{error}"),
        }
        Ok(())
    }

    /// Notes an object and its parts. False if it was noted before as a file, or is missing.
    fn add_object(&mut self, connection: &Connection, hash: &FileHash) -> rusqlite::Result<bool> {
        let found = connection
            .prepare_cached(
                "SELECT id, length(data), CASE packing WHEN 2 THEN data END FROM object WHERE hash = ?1",
            )?
            .query_row([hash.0], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
            })
            .optional()?;
        let Some((row, bytes, parts)) = found else {
            return Ok(false);
        };
        let (row, bytes): (i64, u64) = (row, bytes);
        if self.rows.insert(row) {
            self.bytes += bytes;
            self.fresh.bytes += bytes;
            self.fresh.rows.push(row);
            for part in parts.unwrap_or_default().as_chunks::<32>().0 {
                self.add_object(connection, &FileHash(*part))?;
            }
        }
        Ok(true)
    }
}
