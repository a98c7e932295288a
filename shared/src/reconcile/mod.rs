//! Reconciling: disk against rows. What is dirty, what must be written, and what must not be believed.
//!
//! This is the only road from files to file-backed rows: start-up, the watcher, the scheduler, requests
//! and every mutation enter here with a [`Scope`]. Invariants:
//! - a pass over unchanged files writes nothing;
//! - a manifest that can't be read changes no row: the last good ones stay, and the collection says so;
//! - a collection that vanishes keeps its rows and becomes unreachable;
//! - nothing is believed on the word of a timestamp that is as young as the clock's resolution.

mod audit;
mod build;
mod candidate;
mod examine;
mod guard;
mod known;
mod look;
mod pass;
mod reach;
mod row;
mod seen;

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::Receiver;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::artifact::read::FileText;
use crate::collection::lockfile::LockEntry;
use crate::collection::manifest::Entry;
use crate::collection::manifest::McpServer;
use crate::id::ArtifactId;
use crate::time::Clock;

pub use audit::{Audit, Audited, audit};
pub use known::{known, note_known};
pub use pass::{Failure, MAX_FAILURES, Report, Target, leave_alone, reconcile};
pub use reach::is_tree;
pub use row::{ArtifactRow, CollectionRow, CollectionState, FileRow, ManifestPart};
pub use seen::Seen;
pub(crate) use seen::tick;

/// What a pass looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything in the collection.
    All {
        /// Read every file, whatever size and times say.
        force: bool,
        /// A second look has confirmed that many artifacts are really gone.
        confirmed: bool,
    },
    /// Artifacts at these paths (relative to the collection), and the manifest and lock if they changed.
    Paths(BTreeSet<String>),
}

impl Scope {
    /// Everything, believing what sizes and times say.
    pub const WHOLE: Self = Self::All {
        force: false,
        confirmed: false,
    };
}

/// What the rows say of a collection.
#[derive(Debug, Clone)]
pub struct KnownCollection {
    /// Its row.
    pub row: i64,
    /// Where it lay.
    pub path: String,
    /// Whether it lay outside of the home.
    pub external: bool,
    /// How it was when last looked at.
    pub state: CollectionState,
    /// What the manifest looked like when it was last taken over.
    pub manifest: Option<Seen>,
    /// What the lock looked like when it was last taken over.
    pub lock: Option<Seen>,
    /// Hash of its columns, groups and tag definitions.
    pub row_hash: [u8; 16],
}

impl KnownCollection {
    /// Whether it was somewhere else when its row was written.
    fn lies_elsewhere(&self, target: &Target) -> bool {
        self.external != target.external || self.path != target.path.display().to_string()
    }
}

/// What the rows say of an artifact: enough to decide whether it must be read.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its row.
    pub row: i64,
    /// Its id.
    pub id: ArtifactId,
    /// Relative to the collection.
    pub path: String,
    /// Where it stands.
    pub status: crate::artifact::Status,
    /// What its files looked like when they were last read.
    pub seen: Seen,
    /// Hash of its entries in manifest and lock.
    pub entry_hash: [u8; 16],
    /// Hash of its columns.
    pub row_hash: [u8; 16],
    /// Somebody asked that it be read again.
    pub invalidated: bool,
}

/// The entries of an artifact as the rows keep them, for as long as manifest or lock can't be read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Kept {
    /// The manifest's entry.
    pub entry: Option<Entry>,
    /// The lock's entry.
    pub lock: Option<LockEntry>,
}

/// The same as columns keep them: JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryColumns {
    /// The manifest's entry, or what it declares of an MCP server.
    pub manifest: Option<String>,
    /// The lock's entry.
    pub lock: Option<String>,
    /// Where the manifest's entry puts the artifact among the others.
    pub position: Option<i64>,
}

impl EntryColumns {
    fn of(kept: &Kept) -> Self {
        Self {
            manifest: kept.entry.as_ref().map(json),
            lock: kept.lock.as_ref().map(json),
            position: kept.entry.as_ref().and_then(|entry| entry.position),
        }
    }

    fn of_server(server: &McpServer) -> Self {
        Self {
            manifest: Some(json(server)),
            lock: None,
            position: None,
        }
    }

    /// Tells whether the entries changed.
    fn hash(&self) -> [u8; 16] {
        let manifest = self.manifest.as_deref().unwrap_or_default();
        let lock = self.lock.as_deref().unwrap_or_default();
        // No JSON has a line break in it that is not escaped.
        seen::short_hash(&[manifest.as_bytes(), lock.as_bytes()].join(&b'\n'))
    }
}

fn json(value: &impl Serialize) -> String {
    // Serialising these types to memory can't fail; an empty text would only cause one more write.
    serde_json::to_string(value).unwrap_or_default()
}

/// One change of rows.
#[derive(Debug)]
pub enum Change {
    /// A new or changed artifact.
    Put {
        /// The row to overwrite; none for a new artifact.
        row: Option<i64>,
        /// Its columns.
        artifact: Box<ArtifactRow>,
        /// What its files looked like.
        seen: Seen,
        /// Hash of its entries.
        entry_hash: [u8; 16],
        /// Hash of its columns.
        row_hash: [u8; 16],
        /// Its texts for the index; none: they are indexed later.
        texts: Option<Vec<FileText>>,
        /// The columns differ from those of the old row.
        differs: bool,
    },
    /// Its files were verified; only what they look like has changed.
    Touch {
        /// The row.
        row: i64,
        /// What its files look like.
        seen: Seen,
    },
    /// It is gone.
    Remove {
        /// The row.
        row: i64,
        /// Its id.
        id: ArtifactId,
    },
}

/// Changes that are applied in one transaction, together with index and event log.
#[derive(Debug, Default)]
pub struct Batch {
    /// The collection's name.
    pub collection: String,
    /// The collection's row, if it changed or is new.
    pub collection_row: Option<CollectionPut>,
    /// Changes of artifacts.
    pub changes: Vec<Change>,
}

/// A collection's row to write.
#[derive(Debug)]
pub struct CollectionPut {
    /// Its columns, groups and tag definitions.
    pub row: CollectionRow,
    /// Hash of them.
    pub row_hash: [u8; 16],
    /// The state before; none for a new collection.
    pub before: Option<CollectionState>,
    /// Whether columns other than what manifest and lock look like differ.
    pub differs: bool,
    /// What the manifest looked like.
    pub manifest: Option<Seen>,
    /// What the lock looked like.
    pub lock: Option<Seen>,
}

/// The rows, as reconciling needs them.
pub trait Rows: Sync {
    /// The collection of a name.
    fn collection(&self, name: &str) -> Result<Option<KnownCollection>>;
    /// Artifacts of a collection: all, or those at the given paths and those with entries below them.
    fn known(&self, collection: i64, paths: Option<&BTreeSet<String>>) -> Result<Vec<Known>>;
    /// The entries that rows keep, by row.
    fn kept(&self, rows: &[i64]) -> Result<HashMap<i64, Kept>>;
    /// Applies a batch in one transaction.
    fn apply(&self, batch: Batch) -> Result<()>;
    /// The same, together with changes that come in good time. Who sends them is told by the receiver, which is given
    /// back, when no more come.
    fn apply_as_they_come(
        &self,
        batch: Batch,
        more: Receiver<Vec<Change>>,
    ) -> Result<Receiver<Vec<Change>>>;
}

/// What a pass needs besides the rows.
pub struct Context<'a> {
    /// Tells the time.
    pub clock: &'a dyn Clock,
    /// Threads that read files, at least one.
    pub threads: usize,
    /// Asked between artifacts; true ends the pass early without harm.
    pub is_cancelled: &'a (dyn Fn() -> bool + Sync),
}
