//! Snapshots of collections: made, listed, looked into. Those that the ancestor made are listed beside ours
//! and can be used like them; its archives stay as they are.

mod archive;
mod artifacts;
mod compare;
mod damage;
mod gone;
mod keep;
mod name;
mod present;
mod ratings;
mod restore;
mod which;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use rusqlite::Transaction;
use skillmeat_shared::artifact::Problem;
use skillmeat_shared::collection::layout::{self, Found};
use skillmeat_shared::history::tree::{Node, Tree};
use skillmeat_shared::history::{Objects, ancestor, diff, snapshot as names};
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::App;
use super::change::Actor;
use crate::store::history::Batch;
use crate::store::history::seen::SeenFolders;
use crate::store::history::snapshot::{self, Snapshot};

pub use compare::{Compared, Difference};
pub use keep::Collected;
pub(super) use present::Lasts;
use present::{How, Present};
pub use restore::RollbackRequest;

/// What a snapshot says if the user says nothing; the ancestor says the same.
const MANUAL: &str = "Manual snapshot";

/// Why a snapshot was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Somebody asked for it.
    Manual,
    /// Before a rollback.
    Safety,
    /// By the clock.
    Scheduled,
    /// It came from an archive.
    Imported,
}

impl Origin {
    /// As rows and output spell it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Safety => "safety",
            Self::Scheduled => "scheduled",
            Self::Imported => "imported",
        }
    }
}

/// One snapshot, ours or the ancestor's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Snapshot; see snapshot.proto")]
pub struct SnapshotView {
    pub id: String,
    pub collection: String,
    pub at: Timestamp,
    pub message: String,
    pub origin: String,
    pub artifacts: u64,
    pub files: Option<u64>,
    pub bytes: Option<u64>,
    pub stored: u64,
    pub archive: Option<PathBuf>,
    pub problem: Option<&'static str>,
}

impl SnapshotView {
    /// Whether the history holds it; else the ancestor's archive is all there is, which stays as it is.
    pub fn is_ours(&self) -> bool {
        self.archive.is_none() && self.problem.is_none()
    }
}

impl From<Snapshot> for SnapshotView {
    fn from(row: Snapshot) -> Self {
        Self {
            id: row.id,
            collection: row.collection,
            at: row.at,
            message: row.message,
            origin: row.origin,
            artifacts: row.artifacts,
            files: Some(row.files),
            bytes: Some(row.bytes),
            stored: row.stored,
            archive: None,
            problem: None,
        }
    }
}

/// A snapshot that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The snapshot.
    pub snapshot: SnapshotView,
    /// Files that had to be read.
    pub read: u64,
    /// What has no bytes to keep.
    pub left_out: Vec<Problem>,
}

impl Made {
    /// Files in it.
    pub fn files(&self) -> u64 {
        self.snapshot.files.unwrap_or_default()
    }
}

/// One artifact in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields of SnapshotArtifact; see snapshot.proto"
)]
pub struct HeldArtifact {
    pub id: ArtifactId,
    pub path: String,
    pub files: u64,
    pub bytes: u64,
}

/// A snapshot that is still to be written.
struct NewSnapshot {
    row: Snapshot,
    read: u64,
    root: PathBuf,
    seen: SeenFolders,
    /// Names that are the ancestor's.
    taken: BTreeSet<String>,
}

impl NewSnapshot {
    /// Writes it under a name that no other has.
    fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Snapshot> {
        self.seen.save(transaction, &self.root)?;
        let mut row = self.row.clone();
        // Names tell microseconds.
        loop {
            row.id = names::id_at(row.at);
            let is_taken = self.taken.contains(&row.id);
            if !is_taken && snapshot::get(transaction, &row.collection, &row.id)?.is_none() {
                break;
            }
            row.at.0 += 1_000;
        }
        snapshot::insert(transaction, &row)?;
        tracing::info!(
            target: "history",
            collection = row.collection, id = row.id, origin = row.origin,
            files = row.files, read = self.read, stored = row.stored,
            "snapshot"
        );
        Ok(row)
    }
}

/// A state of a collection, with the objects to read it by, which stay while this is held.
struct Opened<'a> {
    view: SnapshotView,
    node: Node,
    objects: Batch<'a>,
}

impl App {
    /// Makes a snapshot of a collection. `tell` hears how many files were looked at.
    pub fn create_snapshot(
        &self,
        collection: &str,
        message: &str,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<Made> {
        let name = self.collection_or_default(collection);
        let message = match message.trim() {
            "" => MANUAL,
            message => message,
        };
        // First: who opens the cache holds the lock, too.
        self.store()?;
        // A snapshot shows the collection between two changes, never in the middle of one.
        let _one_at_a_time = self.mutation.lock();
        let why = (Origin::Manual, How::Changes);
        let made = self.take(&name, message, why, None, tell)?;
        self.log_event("snapshot.created", &name, &made.snapshot.id);
        self.record_deed(
            Actor::CommandLine,
            "snapshot.create",
            format!("make the snapshot `{}` of `{name}`", made.snapshot.id),
        );
        Ok(made)
    }

    /// Takes a snapshot; the caller sees to it that no change is under way. The mutation lock is not taken.
    /// Nothing is written if the state is the one of `unless`; that one is given back then.
    fn take(
        &self,
        name: &str,
        message: &str,
        (origin, how): (Origin, How),
        unless: Option<&Snapshot>,
        tell: &(dyn Fn(u64) + Sync),
    ) -> Result<Made> {
        let root = self.collection_root(name)?;
        let batch = self.history.batch();
        let present = self.capture_to_keep((name, &root), how, &batch, tell)?;
        let read = present.captured.read;
        let left_out = present.captured.left_out.clone();
        if let Some(same) = unless.filter(|unless| unless.node == present.node) {
            batch.commit(|transaction| present.seen.save(transaction, &root))?;
            self.is_kept(name, &root, &present);
            return Ok(Made {
                snapshot: same.clone().into(),
                read,
                left_out,
            });
        }
        self.is_kept(name, &root, &present);
        let new = self.new_snapshot((name, root), message, origin, present, &batch);
        let row = batch.commit(|transaction| new.write(transaction))?;
        Ok(Made {
            snapshot: row.into(),
            read,
            left_out,
        })
    }

    /// A snapshot of what was captured, still to be written.
    fn new_snapshot(
        &self,
        (name, root): (&str, PathBuf),
        message: &str,
        origin: Origin,
        present: Present,
        batch: &Batch<'_>,
    ) -> NewSnapshot {
        for left_out in &present.captured.left_out {
            tracing::info!(target: "history", collection = name, "{}", left_out.message);
        }
        NewSnapshot {
            row: Snapshot {
                collection: name.to_owned(),
                id: String::new(),
                at: self.now(),
                message: message.to_owned(),
                origin: origin.as_str().to_owned(),
                node: present.node,
                artifacts: present.artifacts,
                files: present.captured.files,
                bytes: present.captured.bytes,
                stored: batch.stored(),
            },
            read: present.captured.read,
            root,
            seen: present.seen,
            taken: self.taken(name),
        }
    }

    /// Snapshots of a collection, or of all, the newest first, at most `limit`; how many there are; and what
    /// is wrong with the ancestor's index.
    pub fn snapshots(
        &self,
        collection: &str,
        all: bool,
        limit: usize,
    ) -> Result<(Vec<SnapshotView>, u64, Vec<Error>)> {
        let collections = self.with_snapshots(collection, all)?;
        let mut views = Vec::new();
        let mut problems = Vec::new();
        for name in collections {
            let rows = self
                .history
                .read(|connection| snapshot::list(connection, &name))?;
            match self.ancestors(&name) {
                Ok((mut ancestors, found)) => {
                    // One that was imported while the index could not be read is ours.
                    ancestors.retain(|theirs| !rows.iter().any(|row| row.id == theirs.id));
                    views.extend(ancestors);
                    problems.extend(found);
                }
                Err(error) => problems.push(error),
            }
            views.extend(rows.into_iter().map(SnapshotView::from));
        }
        views.sort_by(|a, b| (&b.id, &a.collection).cmp(&(&a.id, &b.collection)));
        let total = views.len() as u64;
        views.truncate(limit);
        Ok((views, total, problems))
    }

    /// A snapshot and the artifacts in it, by id.
    pub fn snapshot(
        &self,
        collection: &str,
        id: &str,
    ) -> Result<(SnapshotView, Vec<HeldArtifact>)> {
        let name = self.collection_or_default(collection);
        let opened = self.open_snapshot(&name, id)?;
        let mut held = Vec::new();
        for (found, node) in artifacts_in(&opened.objects, &opened.node)? {
            let (mut files, mut bytes) = (0, 0);
            diff::walk(&opened.objects, &node, &mut |_, inner| {
                if let Node::File { size, .. } = inner {
                    files += 1;
                    bytes += size;
                }
                Ok(())
            })?;
            held.push(HeldArtifact {
                id: ArtifactId::new(found.kind, found.name),
                path: found.path,
                files,
                bytes,
            });
        }
        Ok((opened.view, held))
    }

    /// The folder of a collection, without links in its path.
    fn collection_root(&self, name: &str) -> Result<PathBuf> {
        let store = self.store()?;
        let views = store.read(crate::store::collection::all)?;
        match views.into_iter().find(|view| view.name == name) {
            Some(view) => self.real_root(&self.folder_of(&view)),
            None => Err(self.gone(name)),
        }
    }

    /// The ancestor's snapshots of a collection, and what is wrong with their index.
    fn ancestors(&self, name: &str) -> Result<(Vec<SnapshotView>, Vec<Error>)> {
        let (all, problems) = ancestor::list(&self.boot.home.snapshots(name))?;
        let views = all.into_iter().map(|one| SnapshotView {
            id: one.id,
            collection: name.to_owned(),
            at: one.at,
            message: one.message,
            origin: "archive".to_owned(),
            artifacts: one.artifacts,
            files: None,
            bytes: None,
            stored: one.size,
            problem: one.archive.is_none().then_some("its archive is gone"),
            archive: one.archive,
        });
        Ok((views.collect(), problems))
    }

    /// The names that the ancestor's snapshots of a collection have. An index that can't be read tells of none, and keeps
    /// nobody from a snapshot of ours.
    fn taken(&self, name: &str) -> BTreeSet<String> {
        let ancestors = self.ancestors(name).unwrap_or_else(|error| {
            tracing::warn!(target: "history", collection = name, "goes on without the ancestor's index: {error}");
            (Vec::new(), Vec::new())
        });
        ancestors.0.into_iter().map(|one| one.id).collect()
    }

    /// Finds a snapshot and has its objects ready.
    fn open_snapshot(&self, name: &str, id: &str) -> Result<Opened<'_>> {
        // What is no id is told as such.
        names::moment_of(id)?;
        let row = self
            .history
            .read(|connection| snapshot::get(connection, name, id))?;
        if let Some(row) = row {
            return Ok(Opened {
                node: row.node.clone(),
                view: row.into(),
                objects: self.history.batch(),
            });
        }
        let view = self
            .ancestors(name)?
            .0
            .into_iter()
            .find(|one| one.id == id)
            .ok_or_else(|| self.no_snapshot(name, id))?;
        self.open_archive(view)
    }

    /// The error that there is no such snapshot, or no such collection.
    fn no_snapshot(&self, name: &str, id: &str) -> Error {
        match self.check_known(name) {
            Err(error) if error.code == Code::CollectionNotFound => error,
            _ => not_found(name, id),
        }
    }
}

fn not_found(name: &str, id: &str) -> Error {
    let message = format!("`{name}` has no snapshot `{id}`");
    Error::new(Code::SnapshotNotFound, message).hint(
        "`sm snapshot list` shows those that there are; `--collection` names another collection",
    )
}

/// The artifacts in a state of a collection, by their paths, with their states.
pub(in crate::app) fn artifacts_in(
    objects: &dyn Objects,
    node: &Node,
) -> Result<Vec<(Found, Node)>> {
    let mut all = Vec::new();
    let Node::Folder { hash, .. } = node else {
        return Ok(all);
    };
    for container in Tree::load(objects, hash)?.entries() {
        all.extend(artifacts_of(objects, &container.name, &container.node)?);
    }
    all.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    Ok(all)
}

/// The artifacts in one folder of a collection; none if it is not one of those that hold some.
pub(in crate::app) fn artifacts_of(
    objects: &dyn Objects,
    container: &OsStr,
    node: &Node,
) -> Result<Vec<(Found, Node)>> {
    let Node::Folder { hash, .. } = node else {
        return Ok(Vec::new());
    };
    if !layout::is_container(container) {
        return Ok(Vec::new());
    }
    let entries = Tree::load(objects, hash)?.into_entries().into_iter();
    Ok(entries
        .filter_map(|entry| Some((named(container, &entry.name, &entry.node)?, entry.node)))
        .collect())
}

/// The artifact that an entry of a container is.
fn named(container: &OsStr, name: &OsStr, node: &Node) -> Option<Found> {
    let at = |is_folder| layout::named(container, name, is_folder);
    match node {
        Node::Folder { .. } => at(true),
        Node::File { .. } => at(false),
        // Where it leads is not in the snapshot.
        Node::Link { .. } => at(true).or_else(|| at(false)),
    }
}
