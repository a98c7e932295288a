//! What a collection should hold: the manifest's entries and what lies on disk, matched with the rows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::reach::takes_in;
use super::{EntryColumns, Kept, Known, Scope};
use crate::artifact::{Problem, Status};
use crate::collection::layout::{self, Found, Link};
use crate::collection::lockfile::Lockfile;
use crate::collection::manifest::{Entry, Manifest, McpServer};
use crate::collection::{MANIFEST, spelling};
use crate::fs::contain;
use crate::id::ArtifactId;
use crate::kind::{Kind, Shape};
use crate::{Error, Result};

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
    pub(super) known: Option<Known>,
    /// Its folder is a link that leads out of the collection.
    pub(super) is_linked_out: bool,
    /// Whether the files must be looked at in this pass.
    pub(super) check: bool,
}

impl Candidate {
    /// Its entries as columns, if manifest and lock were read.
    pub(super) fn columns(&self) -> Option<EntryColumns> {
        match &self.server {
            Some(server) => Some(EntryColumns::of_server(server)),
            None => self.entry.as_ref().map(EntryColumns::of),
        }
    }
}

/// All candidates of a pass, and the rows that nothing stands behind any more.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) present: Vec<Candidate>,
    pub(super) vanished: Vec<Known>,
    /// Why some of the places can't be looked at. Nothing in those is among the others: their rows stay.
    pub(super) unread: Option<Error>,
    /// Links among what was looked at.
    pub(super) links: Vec<Link>,
}

/// What stands on disk, as far as it can be told.
#[derive(Default)]
struct OnDisk {
    found: Vec<Found>,
    /// Containers and places of artifacts that can't be looked at.
    unread: BTreeSet<String>,
    why: Option<Error>,
    links: Vec<Link>,
}

impl OnDisk {
    fn all(root: &Path) -> Result<Self> {
        let listing = layout::list(root)?;
        let mut all = Self {
            found: listing.found,
            links: listing.links,
            ..Self::default()
        };
        for (container, error) in listing.unread {
            all.miss(container, error);
        }
        Ok(all)
    }

    fn at(root: &Path, paths: &BTreeSet<String>) -> Self {
        let mut all = Self::default();
        for path in paths {
            match layout::found_at(root, path) {
                Ok(None) => {}
                Ok(Some((found, link))) => {
                    all.links.extend(link);
                    all.found.push(found);
                }
                Err(error) => all.miss(path, error),
            }
        }
        all
    }

    fn miss(&mut self, path: &str, error: Error) {
        self.unread.insert(path.to_owned());
        self.why.get_or_insert(error);
    }
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
    let written = Path::new(written);
    // The home may be reached through a link that the writer of an absolute path did not resolve.
    let resolved = written
        .is_absolute()
        .then(|| std::fs::canonicalize(written).ok())
        .flatten();
    let full = resolved.as_deref().unwrap_or(written);
    match contain::join(root, full.strip_prefix(root).unwrap_or(written)) {
        Ok(path) => Ok(path.strip_prefix(root).ok().map(spelling::spell)),
        Err(error) => Err(Problem::new("entry.path", error.message)),
    }
}

/// Whether a path lies in one of these containers.
fn lies_in(path: &str, containers: &[&str]) -> bool {
    path.split('/')
        .next()
        .is_some_and(|first| containers.contains(&first))
}

/// Marks the candidates that lie behind a link out of the collection.
fn mark_linked_out(root: &Path, present: &mut [Candidate]) {
    let outside = layout::linked_out(root);
    if outside.is_empty() {
        return;
    }
    for candidate in present {
        candidate.is_linked_out = candidate
            .path
            .as_ref()
            .is_some_and(|path| lies_in(path, &outside));
    }
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
        let at = self.by_id.get(&(id.clone(), path.to_owned()))?;
        self.rows.get_mut(*at).and_then(Option::take)
    }

    /// Gives candidates without a row one of the same files under another name: an entry was added, removed
    /// or renamed. Only once all have claimed their own: no row may be written over that another one needs.
    fn claim_by_path(&mut self, candidates: &mut [Candidate]) {
        for candidate in candidates.iter_mut().filter(|one| one.known.is_none()) {
            let path = candidate.path.as_deref().unwrap_or_default();
            let mut places = self.by_path.get(path).into_iter().flatten();
            candidate.known = places.find_map(|at| self.rows.get_mut(*at).and_then(Option::take));
        }
    }

    fn rest(self) -> Vec<Known> {
        self.rows.into_iter().flatten().collect()
    }
}

/// Matches what should be there with the rows. `wanted` limits the work to some paths; manifest and lock
/// being read lifts that limit for all whose entries changed.
pub(super) fn gather(
    root: &Path,
    entries: Entries,
    known: Vec<Known>,
    scope: &Scope,
) -> Result<Candidates> {
    let mut rows = Unclaimed::new(known);
    let mut present = Vec::new();
    let mut claimed_paths = HashSet::new();
    let (rows, on_disk) = match entries {
        Entries::Read(manifest, mut lock) => {
            for entry in manifest.entries {
                let claimed = &mut claimed_paths;
                present.push(from_entry(root, entry, &mut lock, &mut rows, claimed));
            }
            // An entry that names no usable place stands for the server of its name, too.
            let placeless: HashSet<ArtifactId> = present
                .iter()
                .filter(|one| one.path.is_none())
                .map(|one| one.id.clone())
                .collect();
            for server in manifest.mcp_servers {
                let candidate = from_server(server, &mut rows);
                if !placeless.contains(&candidate.id) {
                    present.push(candidate);
                }
            }
            (rows, OnDisk::all(root)?)
        }
        Entries::Kept => {
            // Rows with entries claim their paths first, then come the others. What is missing without an
            // entry is nobody's.
            let none = EntryColumns::of(&Kept::default()).hash();
            let (with_entry, without): (Vec<Known>, Vec<Known>) = rows
                .rest()
                .into_iter()
                .partition(|row| row.status != Status::Unmanaged && row.entry_hash != none);
            for row in with_entry {
                if row.status != Status::Declared {
                    claimed_paths.insert(row.path.clone());
                    present.push(from_row(row));
                } else if row.invalidated {
                    present.push(from_row(row));
                }
            }
            let on_disk = match scope {
                Scope::All { .. } => OnDisk::all(root)?,
                Scope::Paths(paths) => OnDisk::at(root, paths),
            };
            (Unclaimed::new(without), on_disk)
        }
    };
    Ok(complete(
        root,
        scope,
        on_disk,
        rows,
        &claimed_paths,
        present,
    ))
}

/// Adds what stands on disk and in no entry, and tells what must be looked at and what is gone.
fn complete(
    root: &Path,
    scope: &Scope,
    on_disk: OnDisk,
    mut rows: Unclaimed,
    claimed_paths: &HashSet<String>,
    mut present: Vec<Candidate>,
) -> Candidates {
    add_found(on_disk.found, &mut rows, claimed_paths, &mut present);
    rows.claim_by_path(&mut present);
    mark_linked_out(root, &mut present);
    decide(&mut present, scope);
    let mut vanished = rows.rest();
    if on_disk.why.is_some() {
        let is_unread = |path: &str| takes_in(&on_disk.unread, path);
        present.retain(|one| !one.path.as_deref().is_some_and(is_unread));
        vanished.retain(|row| !is_unread(&row.path));
    }
    Candidates {
        present,
        vanished,
        unread: on_disk.why,
        links: on_disk.links,
    }
}

fn from_entry(
    root: &Path,
    mut entry: Entry,
    lock: &mut Lockfile,
    rows: &mut Unclaimed,
    claimed_paths: &mut HashSet<String>,
) -> Candidate {
    let path = match place(root, &entry) {
        Ok(Some(path)) => Some(path),
        Ok(None) => {
            let message = format!(
                "the entry of `{}` names no path, and its kind has no folder",
                entry.id
            );
            let problem = Problem::new("entry.path", message);
            entry.problems.push(problem.at(MANIFEST, Some(entry.line)));
            None
        }
        Err(problem) => {
            entry.problems.push(problem.at(MANIFEST, Some(entry.line)));
            None
        }
    };
    if let Some(path) = &path {
        claimed_paths.insert(path.clone());
    }
    let id = entry.id.clone();
    // Its problems are kept with it, so that they stand in every row that is made of it.
    let kept = Kept {
        lock: lock.entries.remove(&id),
        entry: Some(entry),
    };
    Candidate {
        known: rows.claim(&id, path.as_deref().unwrap_or_default()),
        id,
        path,
        entry: Some(kept),
        server: None,
        is_linked_out: false,
        check: false,
    }
}

fn from_server(server: McpServer, rows: &mut Unclaimed) -> Candidate {
    let id = ArtifactId::new(Kind::Mcp, server.name.clone());
    Candidate {
        known: rows.claim(&id, ""),
        id,
        path: None,
        entry: Some(Kept::default()),
        server: Some(server),
        is_linked_out: false,
        check: false,
    }
}

fn from_row(row: Known) -> Candidate {
    Candidate {
        id: row.id.clone(),
        path: (!row.path.is_empty()).then(|| row.path.clone()),
        entry: None,
        server: None,
        known: Some(row),
        is_linked_out: false,
        check: false,
    }
}

fn add_found(
    found: Vec<Found>,
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
            server: None,
            is_linked_out: false,
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
                known.invalidated
                    || candidate
                        .path
                        .as_ref()
                        .is_some_and(|path| takes_in(paths, path))
                    || candidate
                        .columns()
                        .is_some_and(|columns| columns.hash() != known.entry_hash)
                    || known.id != candidate.id
            }
        };
    }
}
