//! What a collection should hold: the manifest's entries and what lies on disk, matched with the rows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::seen::short_hash;
use super::{Kept, Known, Scope};
use crate::Result;
use crate::artifact::{Problem, Status};
use crate::collection::layout;
use crate::collection::lockfile::Lockfile;
use crate::collection::manifest::{Entry, Manifest, McpServer};
use crate::fs::contain;
use crate::id::ArtifactId;
use crate::kind::{Kind, Shape};

/// Where the entries come from in a pass.
#[derive(Debug)]
pub(super) enum Entries {
    /// From manifest and lock, just read.
    Read(Box<Manifest>, Lockfile),
    /// Manifest and lock are as they were, or can't be read: the rows keep the entries.
    Kept,
}

/// Something that may be an artifact of the collection.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) id: ArtifactId,
    /// Relative to the collection; none if it has no files by nature or its entry names no usable path.
    pub(super) path: Option<String>,
    /// The entries, if manifest and lock were read.
    pub(super) entry: Option<Kept>,
    pub(super) server: Option<McpServer>,
    pub(super) entry_hash: Option<[u8; 16]>,
    pub(super) known: Option<Known>,
    /// Problems of the entry itself.
    pub(super) problems: Vec<Problem>,
    /// Whether the files must be looked at in this pass.
    pub(super) check: bool,
}

/// All candidates of a pass, and the rows that nothing stands behind any more.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) present: Vec<Candidate>,
    pub(super) vanished: Vec<Known>,
}

/// The path of an entry, relative to the collection. An absolute path below the collection counts as a
/// relative one; any other way out of the collection is a problem.
fn place(root: &Path, entry: &Entry) -> Result<Option<String>, Problem> {
    let Some(written) = entry.path.as_deref() else {
        return Ok(entry
            .id
            .kind
            .container()
            .map(|container| match entry.id.kind.shape() {
                Shape::Markdown => format!("{container}/{}.md", entry.id.name),
                Shape::Folder | Shape::Any => format!("{container}/{}", entry.id.name),
            }));
    };
    let relative = Path::new(written)
        .strip_prefix(root)
        .unwrap_or_else(|_| Path::new(written));
    match contain::join(root, relative) {
        Ok(path) => Ok(path
            .strip_prefix(root)
            .ok()
            .map(|path| path.to_string_lossy().into_owned())),
        Err(error) => Err(Problem::new("entry.path", error.message)),
    }
}

/// Hash of the entries of an artifact in manifest and lock.
fn hash_entry(kept: &Kept) -> [u8; 16] {
    short_hash(&serde_json::to_vec(kept).unwrap_or_default())
}

fn hash_server(server: &McpServer) -> [u8; 16] {
    short_hash(&serde_json::to_vec(server).unwrap_or_default())
}

/// The rows by id and by path; each is claimed at most once.
struct Unclaimed {
    rows: Vec<Option<Known>>,
    by_id: HashMap<(ArtifactId, String), usize>,
    by_path: HashMap<String, Vec<usize>>,
}

impl Unclaimed {
    fn new(known: Vec<Known>) -> Self {
        let mut by_id = HashMap::new();
        let mut by_path: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, row) in known.iter().enumerate() {
            by_id.insert((row.id.clone(), row.path.clone()), at);
            if !row.path.is_empty() {
                by_path.entry(row.path.clone()).or_default().push(at);
            }
        }
        Self {
            rows: known.into_iter().map(Some).collect(),
            by_id,
            by_path,
        }
    }

    fn claim(&mut self, id: &ArtifactId, path: &str) -> Option<Known> {
        if let Some(at) = self.by_id.get(&(id.clone(), path.to_owned()))
            && let Some(known) = self.rows.get_mut(*at).and_then(Option::take)
        {
            return Some(known);
        }
        // The same files under another name: an entry was added, removed or renamed.
        let places = self.by_path.get(path)?;
        places
            .iter()
            .find_map(|at| self.rows.get_mut(*at).and_then(Option::take))
    }

    fn rest(self) -> Vec<Known> {
        self.rows.into_iter().flatten().collect()
    }
}

/// Matches what should be there with the rows. `wanted` limits the work to some paths; manifest and lock
/// being read lifts that limit for all whose entries changed.
pub(super) fn gather(
    root: &Path,
    entries: &Entries,
    known: Vec<Known>,
    scope: &Scope,
) -> Result<Candidates> {
    let mut rows = Unclaimed::new(known);
    let mut present = Vec::new();
    let mut claimed_paths = HashSet::new();
    match entries {
        Entries::Read(manifest, lock) => {
            for entry in &manifest.entries {
                present.push(from_entry(root, entry, lock, &mut rows, &mut claimed_paths));
            }
            for server in &manifest.mcp_servers {
                present.push(from_server(server, &mut rows));
            }
            let found = layout::list(root)?;
            add_found(found, &mut rows, &claimed_paths, &mut present);
            decide(&mut present, scope);
            Ok(Candidates {
                present,
                vanished: rows.rest(),
            })
        }
        Entries::Kept => {
            // Rows with entries claim their paths first, then come the others.
            let (with_entry, without): (Vec<Known>, Vec<Known>) = rows
                .rest()
                .into_iter()
                .partition(|row| row.status != Status::Unmanaged);
            for row in with_entry {
                if row.status == Status::Declared {
                    continue;
                }
                claimed_paths.insert(row.path.clone());
                present.push(from_row(row));
            }
            let mut rows = Unclaimed::new(without);
            let found = match scope {
                Scope::All { .. } => layout::list(root)?,
                Scope::Paths(paths) => paths
                    .iter()
                    .filter_map(|path| layout::found_at(root, path))
                    .collect(),
            };
            add_found(found, &mut rows, &claimed_paths, &mut present);
            decide(&mut present, scope);
            Ok(Candidates {
                present,
                vanished: rows.rest(),
            })
        }
    }
}

fn from_entry(
    root: &Path,
    entry: &Entry,
    lock: &Lockfile,
    rows: &mut Unclaimed,
    claimed_paths: &mut HashSet<String>,
) -> Candidate {
    let mut problems = entry.problems.clone();
    let path = match place(root, entry) {
        Ok(Some(path)) => Some(path),
        Ok(None) => {
            problems.push(Problem::new(
                "entry.path",
                format!(
                    "the entry of `{}` names no path, and its kind has no folder",
                    entry.id
                ),
            ));
            None
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    if let Some(path) = &path {
        claimed_paths.insert(path.clone());
    }
    let kept = Kept {
        entry: Some(entry.clone()),
        lock: lock.entries.get(&entry.id).cloned(),
    };
    Candidate {
        known: rows.claim(&entry.id, path.as_deref().unwrap_or_default()),
        id: entry.id.clone(),
        path,
        entry_hash: Some(hash_entry(&kept)),
        entry: Some(kept),
        server: None,
        problems,
        check: false,
    }
}

fn from_server(server: &McpServer, rows: &mut Unclaimed) -> Candidate {
    let id = ArtifactId::new(Kind::Mcp, server.name.clone());
    Candidate {
        known: rows.claim(&id, ""),
        id,
        path: None,
        entry: Some(Kept::default()),
        entry_hash: Some(hash_server(server)),
        server: Some(server.clone()),
        problems: Vec::new(),
        check: false,
    }
}

fn from_row(row: Known) -> Candidate {
    Candidate {
        id: row.id.clone(),
        path: (!row.path.is_empty()).then(|| row.path.clone()),
        entry: None,
        entry_hash: None,
        server: None,
        known: Some(row),
        problems: Vec::new(),
        check: false,
    }
}

fn add_found(
    found: Vec<layout::Found>,
    rows: &mut Unclaimed,
    claimed_paths: &HashSet<String>,
    present: &mut Vec<Candidate>,
) {
    for found in found {
        if claimed_paths.contains(&found.path) {
            continue;
        }
        let id = ArtifactId::new(found.kind, found.name);
        present.push(Candidate {
            known: rows.claim(&id, &found.path),
            id,
            path: Some(found.path),
            entry: Some(Kept::default()),
            entry_hash: Some(hash_entry(&Kept::default())),
            server: None,
            problems: Vec::new(),
            check: false,
        });
    }
}

/// Marks the candidates whose files must be looked at.
fn decide(present: &mut [Candidate], scope: &Scope) {
    let wanted: Option<&BTreeSet<String>> = match scope {
        Scope::All { .. } => None,
        Scope::Paths(paths) => Some(paths),
    };
    for candidate in present {
        candidate.check = match (&candidate.known, wanted) {
            (None, _) | (_, None) => true,
            (Some(known), Some(paths)) => {
                candidate
                    .path
                    .as_ref()
                    .is_some_and(|path| paths.contains(path))
                    || candidate
                        .entry_hash
                        .is_some_and(|hash| hash != known.entry_hash)
                    || known.id != candidate.id
            }
        };
    }
}
