//! One pass over one collection.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::candidate::{self, Candidates, Entries};
use super::examine::examine;
use super::look::{Look, look_at_manifest};
use super::row::{CollectionRow, CollectionState, ManifestPart};
use super::{Batch, Change, CollectionPut, Context, KnownCollection, Rows, Scope, Seen, guard};
use crate::artifact::Problem;
use crate::collection::layout::Link;
use crate::collection::{MANIFEST, spelling};
use crate::error::{Code, Error, Result};

/// A collection to reconcile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Absolute path.
    pub path: PathBuf,
    /// Lies outside of the home.
    pub external: bool,
}

/// Failures of a pass that are told.
pub const MAX_FAILURES: usize = 100;

/// An artifact whose files can't be read; or a manifest, a lock file or a folder with artifacts that can't, or all of a
/// collection: the path of these has no `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its collection.
    pub collection: String,
    /// Relative to the collection.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// What a pass did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Artifacts compared with their files.
    pub verified: u64,
    /// Artifacts whose files were read.
    pub read: u64,
    /// Rows added.
    pub added: u64,
    /// Rows changed.
    pub changed: u64,
    /// Rows removed.
    pub removed: u64,
    /// What can't be read: [`Failure`].
    pub failed: u64,
    /// Those of them of which that was not known.
    pub failed_anew: u64,
    /// The first of them, [`MAX_FAILURES`] at most.
    pub failures: Vec<Failure>,
    /// Rows of artifacts that were looked at.
    pub rows: Vec<i64>,
    /// Paths that are as young as the clock's resolution and must be looked at once more.
    pub young: Vec<String>,
    /// So much is gone that a second look is needed; nothing was removed.
    pub doubtful: bool,
    /// Manifest or lock changed, or the collection's state.
    pub collection_changed: bool,
    /// Manifest or lock are other files than before, whatever they say.
    pub documents_written: bool,
    /// The state of the collection.
    pub state: Option<CollectionState>,
    /// Why some of its folders could not be read. Their rows stay as they were, and all else counts.
    pub unread: Option<Error>,
    /// Links to something else in the collection, among what was looked at.
    pub links: Vec<Link>,
    /// The pass was cancelled before its end.
    pub cancelled: bool,
}

impl Report {
    /// Names the manifest or lock file that can't be read.
    fn add_unread(&mut self, target: &Target, look: &Look, is_known: bool) {
        if look.state != CollectionState::Broken {
            return;
        }
        let is_whole = |problem: &&Problem| {
            problem.code == "manifest.invalid" || problem.code == "manifest.unreadable"
        };
        for problem in look.problems.iter().filter(is_whole) {
            let line = problem.line.map(|line| format!("line {line}: "));
            let reason = line.unwrap_or_default() + &problem.message;
            let path = problem.path.clone().unwrap_or_default();
            self.add_failure(target, path, &reason, is_known);
        }
    }

    /// Names what of the collection itself can't be read.
    fn add_failure(&mut self, target: &Target, path: String, reason: &str, is_known: bool) {
        self.failed += 1;
        self.failed_anew += u64::from(!is_known);
        self.failures.push(Failure {
            collection: target.name.clone(),
            path,
            reason: reason.to_owned(),
        });
    }
}

/// Compares a collection with its rows and mends the rows.
pub fn reconcile(
    target: &Target,
    rows: &dyn Rows,
    scope: &Scope,
    context: &Context<'_>,
) -> Result<Report> {
    let known = rows.collection(&target.name)?;
    let mut report = Report::default();
    if known.is_none() && !target.external && is_gone(&target.path) {
        // It was deleted, with its rows, while this pass waited: nobody misses it.
        report.state = Some(CollectionState::Unreachable);
        return Ok(report);
    }
    let root = match open(&target.path) {
        Ok(root) if !is_emptied(&root, known.as_ref()) => root,
        outcome => {
            let error = outcome.err().map_or_else(
                || "the folder is empty".to_owned(),
                |error| Error::io("open", &target.path, &error).message,
            );
            return unreachable(target, rows, known.as_ref(), &error, report);
        }
    };
    let anew = known.as_ref().is_some_and(|known| match scope {
        Scope::All { force: true, .. } => true,
        // What its manifest says of it stands in its row no more.
        Scope::All { .. } if known.state == CollectionState::Unreadable => true,
        _ => known.lies_elsewhere(target),
    });
    let look = look_at_manifest(&root, known.as_ref(), anew, context);
    report.state = Some(look.state);
    let was_broken = known
        .as_ref()
        .is_some_and(|known| known.state == CollectionState::Broken);
    report.add_unread(target, &look, was_broken);
    if look.manifest.is_some_and(|seen| !seen.is_trustworthy()) {
        report.young.push(MANIFEST.to_owned());
    }
    let mut put = collection_put(target, known.as_ref(), &look);
    report.collection_changed = put.as_ref().is_some_and(|put| put.differs);
    let signature = |seen: Option<Seen>| seen.map(|seen| seen.signature);
    report.documents_written = known.as_ref().is_some_and(|known| {
        signature(look.manifest) != signature(known.manifest)
            || signature(look.lock) != signature(known.lock)
    });
    // The collection's row must stand before its artifacts' rows. What manifest and lock look like is
    // written at the end: a pass that is cut short is then repeated.
    let collection_row = if let Some(known) = &known {
        known.row
    } else {
        let first = put.as_ref().map(|put| CollectionPut {
            row: put.row.clone(),
            row_hash: [0; 16],
            before: None,
            differs: true,
            manifest: None,
            lock: None,
        });
        rows.apply(Batch {
            collection: target.name.clone(),
            collection_row: first,
            changes: Vec::new(),
        })?;
        if let Some(put) = &mut put {
            put.before = Some(look.state);
        }
        rows.collection(&target.name)?
            .ok_or_else(|| Error::new(Code::Internal, "a collection's row vanished"))?
            .row
    };
    let whole = matches!(look.entries, Entries::Read(..)) || matches!(scope, Scope::All { .. });
    let wanted = match scope {
        Scope::Paths(paths) if !whole => Some(paths),
        _ => None,
    };
    let existing = rows.known(collection_row, wanted)?;
    let known_count = existing.len();
    let found = (look.state, look.problems, look.part);
    let candidates = match candidate::gather(&root, look.entries, existing, scope) {
        Ok(candidates) => candidates,
        Err(error) => {
            note_unreadable(target, rows, known.as_ref(), found, &error)?;
            return Err(error);
        }
    };
    examine(
        &root,
        target,
        &candidates,
        scope,
        rows,
        context,
        &mut report,
    )?;
    report.links.clone_from(&candidates.links);
    report.cancelled = (context.is_cancelled)();
    let removals = removals(&root, &candidates, known_count, scope, &mut report);
    let mut put = put.filter(|put| {
        put.differs
            || known.as_ref().is_none_or(|known| {
                is_better(put.manifest, known.manifest) || is_better(put.lock, known.lock)
            })
    });
    if report.cancelled || report.doubtful || candidates.unread.is_some() {
        // What was not done must be done again: the manifest counts as not yet taken over.
        put = None;
    }
    if put.is_some() || !removals.is_empty() {
        rows.apply(Batch {
            collection: target.name.clone(),
            collection_row: put,
            changes: removals,
        })?;
    }
    if let Some(error) = candidates.unread.filter(|_| !report.cancelled) {
        let state = note_unreadable(target, rows, known.as_ref(), found, &error)?;
        report.state = Some(state);
        let is_known = known.is_some_and(|known| known.state == CollectionState::Unreadable);
        let place = error.path.as_deref().unwrap_or(&root);
        let place = place.strip_prefix(&root).map(spelling::spell);
        report.add_failure(target, place.unwrap_or_default(), &error.message, is_known);
        report.unread = Some(error);
    }
    Ok(report)
}

/// Whether a new look at a file is worth writing down: other files, or one that can be trusted at last.
fn is_better(new: Option<Seen>, old: Option<Seen>) -> bool {
    match (new, old) {
        (Some(new), Some(old)) => {
            new.signature != old.signature || (new.is_trustworthy() && !old.is_trustworthy())
        }
        (new, old) => new != old,
    }
}

/// The folder without links in its path, if what is in it can be looked at: its names alone are not enough.
fn open(path: &Path) -> std::io::Result<PathBuf> {
    let root = std::fs::canonicalize(path)?;
    std::fs::metadata(root.join("."))?;
    std::fs::read_dir(&root)?;
    Ok(root)
}

fn is_gone(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// An empty folder where a collection was: an unmounted disk, not a user's will.
fn is_emptied(root: &Path, known: Option<&KnownCollection>) -> bool {
    known.is_some_and(|known| known.manifest.is_some())
        && std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none())
}

/// Notes that a collection can't be looked at now: its rows stay. No file is touched.
///
/// # Errors
/// If the rows can't be read or written.
pub fn leave_alone(target: &Target, rows: &dyn Rows, why: &str) -> Result<Report> {
    let known = rows.collection(&target.name)?;
    unreachable(target, rows, known.as_ref(), why, Report::default())
}

fn unreachable(
    target: &Target,
    rows: &dyn Rows,
    known: Option<&KnownCollection>,
    why: &str,
    mut report: Report,
) -> Result<Report> {
    let look = Look {
        entries: Entries::Kept,
        state: CollectionState::Unreachable,
        problems: vec![Problem::new("collection.unreachable", why)],
        manifest: known.and_then(|known| known.manifest),
        lock: known.and_then(|known| known.lock),
        part: None,
        same: false,
    };
    report.state = Some(CollectionState::Unreachable);
    let put = collection_put(target, known, &look).filter(|put| put.differs);
    report.add_failure(target, String::new(), why, put.is_none());
    if let Some(put) = put {
        report.collection_changed = true;
        rows.apply(Batch {
            collection: target.name.clone(),
            collection_row: Some(put),
            changes: Vec::new(),
        })?;
    }
    Ok(report)
}

/// Notes that a folder in a collection can't be read: its rows stay, and manifest and lock, as they were `found`,
/// count as not yet taken over: what they say of that folder was not. Returns the state of the collection.
fn note_unreadable(
    target: &Target,
    rows: &dyn Rows,
    known: Option<&KnownCollection>,
    found: (CollectionState, Vec<Problem>, Option<ManifestPart>),
    error: &Error,
) -> Result<CollectionState> {
    let (mut state, mut problems, manifest) = found;
    if manifest.is_none() && known.is_some_and(|known| known.state == CollectionState::Unreadable) {
        // It stands there already.
        return Ok(CollectionState::Unreadable);
    }
    let problem = Problem::new("collection.unreadable", error.message.clone());
    if let CollectionState::Ok | CollectionState::Unreadable = state {
        state = CollectionState::Unreadable;
        problems.insert(0, problem);
    } else {
        problems.push(problem);
    }
    let row = CollectionRow {
        name: target.name.clone(),
        path: target.path.display().to_string(),
        external: target.external,
        state,
        problems,
        manifest,
    };
    // Only a first pass that came to its end writes the hash of the row.
    let is_built = known.is_some_and(|known| known.row_hash != [0; 16]);
    let row_hash = if is_built { row.hash() } else { [0; 16] };
    if known.is_some_and(|known| known.row_hash == row_hash && known.state == state) {
        return Ok(state);
    }
    // One that could not be read was never taken over.
    let is_taken_over = known.is_some_and(|known| known.state != CollectionState::Broken);
    let seen =
        |seen: Option<Seen>| seen.map(|seen| if is_taken_over { seen } else { Seen::default() });
    rows.apply(Batch {
        collection: target.name.clone(),
        collection_row: Some(CollectionPut {
            before: Some(known.map_or(state, |known| known.state)),
            differs: true,
            manifest: seen(known.and_then(|known| known.manifest)),
            lock: seen(known.and_then(|known| known.lock)),
            row,
            row_hash,
        }),
        changes: Vec::new(),
    })?;
    Ok(state)
}

fn collection_put(
    target: &Target,
    known: Option<&KnownCollection>,
    look: &Look,
) -> Option<CollectionPut> {
    if look.same {
        return None;
    }
    let row = CollectionRow {
        name: target.name.clone(),
        path: target.path.display().to_string(),
        external: target.external,
        state: look.state,
        problems: look.problems.clone(),
        manifest: look.part.clone(),
    };
    let row_hash = row.hash();
    Some(CollectionPut {
        differs: known.is_none_or(|known| known.row_hash != row_hash),
        row,
        row_hash,
        before: known.map(|known| known.state),
        manifest: look.manifest,
        lock: look.lock,
    })
}

fn removals(
    root: &Path,
    candidates: &Candidates,
    known_count: usize,
    scope: &Scope,
    report: &mut Report,
) -> Vec<Change> {
    if report.cancelled || candidates.vanished.is_empty() {
        return Vec::new();
    }
    let confirmed = matches!(
        scope,
        Scope::All {
            confirmed: true,
            ..
        }
    );
    // Nothing is found in a collection that was moved away while it was looked at.
    let is_doubtful =
        || is_gone(root) || guard::needs_second_look(candidates.vanished.len(), known_count);
    if !confirmed && is_doubtful() {
        report.doubtful = true;
        return Vec::new();
    }
    report.removed += candidates.vanished.len() as u64;
    candidates
        .vanished
        .iter()
        .map(|known| Change::Remove {
            row: known.row,
            id: known.id.clone(),
        })
        .collect()
}
