//! One pass over one collection.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use super::build::{self, Files};
use super::candidate::{self, Candidate, Candidates, Entries};
use super::row::{CollectionRow, CollectionState, ManifestPart};
use super::{
    Batch, Change, CollectionPut, Context, Kept, KnownCollection, Rows, Scope, Seen, guard,
};
use crate::artifact::Problem;
use crate::collection::lockfile::Lockfile;
use crate::collection::manifest::Manifest;
use crate::error::{Code, Error, Result};
use crate::fs::atomic::read_bounded;

/// Artifacts whose rows are written in one transaction.
const BATCH: usize = 512;

/// Passes that read no more artifacts than this index their texts in the same transaction; others leave
/// the texts to the background.
const TEXTS_AT_ONCE: usize = 64;

/// Largest manifest or lock that is read, bytes.
const MAX_MANIFEST: u64 = 64 * 1024 * 1024;

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
    /// Artifacts whose files can't be read.
    pub failed: u64,
    /// Rows of artifacts that were looked at.
    pub rows: Vec<i64>,
    /// Paths that are as young as the clock's resolution and must be looked at once more.
    pub young: Vec<String>,
    /// So much is gone that a second look is needed; nothing was removed.
    pub doubtful: bool,
    /// Manifest or lock changed, or the collection's state.
    pub collection_changed: bool,
    /// The state of the collection.
    pub state: Option<CollectionState>,
    /// The pass was cancelled before its end.
    pub cancelled: bool,
}

/// The manifest and lock as they stand, compared with what was last taken over.
struct Look {
    entries: Entries,
    state: CollectionState,
    problems: Vec<Problem>,
    manifest: Option<Seen>,
    lock: Option<Seen>,
    part: Option<ManifestPart>,
    /// Nothing about the collection itself can have changed.
    same: bool,
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
    let root = match std::fs::canonicalize(&target.path) {
        Ok(root) if std::fs::read_dir(&root).is_ok() && !is_emptied(&root, known.as_ref()) => root,
        outcome => {
            let error = outcome.err().map_or_else(
                || "the folder is empty or can't be read".to_owned(),
                |error| Error::io("open", &target.path, &error).message,
            );
            return unreachable(target, rows, known.as_ref(), &error, report);
        }
    };
    let look = look_at_manifest(&root, known.as_ref(), scope, context);
    report.state = Some(look.state);
    if look.manifest.is_some_and(|seen| !seen.is_trustworthy()) {
        report.young.push("collection.toml".to_owned());
    }
    let put = collection_put(target, known.as_ref(), &look);
    report.collection_changed = put.as_ref().is_some_and(|put| put.differs);
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
    let candidates = candidate::gather(&root, &look.entries, existing, scope)?;
    examine(
        &root,
        target,
        &candidates,
        scope,
        rows,
        context,
        &mut report,
    )?;
    report.cancelled = (context.is_cancelled)();
    let removals = removals(&candidates, known_count, scope, &mut report);
    let mut put = put.filter(|put| {
        put.differs
            || known.as_ref().is_none_or(|known| {
                is_better(put.manifest, known.manifest) || is_better(put.lock, known.lock)
            })
    });
    if report.cancelled || report.doubtful {
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

/// An empty folder where a collection was: an unmounted disk, not a user's will.
fn is_emptied(root: &Path, known: Option<&KnownCollection>) -> bool {
    known.is_some_and(|known| known.manifest.is_some())
        && std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none())
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
    if let Some(put) = collection_put(target, known, &look).filter(|put| put.differs) {
        report.collection_changed = true;
        rows.apply(Batch {
            collection: target.name.clone(),
            collection_row: Some(put),
            changes: Vec::new(),
        })?;
    }
    Ok(report)
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

fn look_at_manifest(
    root: &Path,
    known: Option<&KnownCollection>,
    scope: &Scope,
    context: &Context<'_>,
) -> Look {
    let manifest_path = root.join("collection.toml");
    let lock_path = root.join("collection.lock");
    let now = context.clock.now();
    let manifest = Seen::of_file(&manifest_path, now);
    let lock = Seen::of_file(&lock_path, now);
    let force = matches!(scope, Scope::All { force: true, .. });
    let is_same = |new: Option<Seen>, old: Option<Seen>| match (new, old) {
        (Some(new), Some(old)) => new.proves_unchanged_since(&old),
        (None, None) => true,
        _ => false,
    };
    if let Some(known) = known
        && !force
        && matches!(
            known.state,
            CollectionState::Ok | CollectionState::NoManifest
        )
        && is_same(manifest, known.manifest)
        && is_same(lock, known.lock)
    {
        return Look {
            entries: Entries::Kept,
            state: known.state,
            problems: Vec::new(),
            manifest: known.manifest,
            lock: known.lock,
            part: None,
            same: true,
        };
    }
    let mut look = Look {
        entries: Entries::Kept,
        state: CollectionState::Broken,
        problems: Vec::new(),
        manifest,
        lock,
        part: None,
        same: false,
    };
    let has_rows = known.is_some_and(|known| known.manifest.is_some());
    if manifest.is_none() {
        look.state = CollectionState::NoManifest;
        look.problems.push(
            Problem::new("manifest.absent", "there is no collection.toml")
                .at("collection.toml", None),
        );
        // The entries of a manifest that was just there stay, until it is back or the cache is rebuilt.
        look.manifest = known.and_then(|known| known.manifest);
        return look;
    }
    let read_lock = if lock.is_some() {
        parse_lock(&lock_path)
    } else {
        Ok(Lockfile::default())
    };
    match (parse_manifest(&manifest_path), read_lock) {
        (Ok(manifest), Ok(lock)) => take_over(&mut look, manifest, lock, CollectionState::Ok),
        (Ok(manifest), Err(problem)) if !has_rows => {
            look.problems.push(problem);
            take_over(
                &mut look,
                manifest,
                Lockfile::default(),
                CollectionState::Broken,
            );
        }
        (Ok(_), Err(problem)) | (Err(problem), Ok(_)) => look.problems.push(problem),
        (Err(manifest), Err(lock)) => look.problems.extend([manifest, lock]),
    }
    look
}

fn take_over(look: &mut Look, manifest: Manifest, lock: Lockfile, state: CollectionState) {
    look.state = state;
    look.problems.extend(manifest.problems.iter().cloned());
    look.problems.extend(lock.problems.iter().cloned());
    look.part = Some(ManifestPart {
        header: manifest.header.clone(),
        unknown_keys: manifest.unknown_keys.clone(),
        groups: manifest.groups.clone(),
        tag_definitions: manifest.tag_definitions.clone(),
    });
    look.entries = Entries::Read(Box::new(manifest), lock);
}

fn read_text(path: &Path, name: &str) -> Result<String, Problem> {
    let bytes = read_bounded(path, MAX_MANIFEST)
        .map_err(|error| Problem::new("manifest.unreadable", error.message).at(name, None))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..good).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Problem::new("manifest.invalid", "the file is not valid UTF-8")
            .at(name, u32::try_from(line).ok())
    })
}

fn parse_manifest(path: &Path) -> Result<Manifest, Problem> {
    let text = read_text(path, "collection.toml")?;
    Manifest::parse(&text).map_err(|error| {
        Problem::new("manifest.invalid", error.message).at("collection.toml", Some(error.line))
    })
}

fn parse_lock(path: &Path) -> Result<Lockfile, Problem> {
    let text = read_text(path, "collection.lock")?;
    Lockfile::parse(&text).map_err(|error| {
        Problem::new("manifest.invalid", error.message).at("collection.lock", Some(error.line))
    })
}

fn removals(
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
    if !confirmed && guard::needs_second_look(candidates.vanished.len(), known_count) {
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

/// Looks at every candidate that must be looked at, on several threads, and writes what differs.
fn examine(
    root: &Path,
    target: &Target,
    candidates: &Candidates,
    scope: &Scope,
    rows: &dyn Rows,
    context: &Context<'_>,
    report: &mut Report,
) -> Result<()> {
    let work: Vec<&Candidate> = candidates
        .present
        .iter()
        .filter(|candidate| candidate.check)
        .collect();
    if work.is_empty() {
        return Ok(());
    }
    let force = matches!(scope, Scope::All { force: true, .. });
    let texts = work.len() <= TEXTS_AT_ONCE;
    let threads = context.threads.clamp(1, work.len().div_ceil(8));
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let (sender, receiver) = sync_channel::<Outcome>(BATCH);
    std::thread::scope(|threads_scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (work, next, stop, failure) = (&work, &next, &stop, &failure);
            threads_scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && !(context.is_cancelled)() {
                    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed));
                    let Some(candidate) = at.ok().and_then(|at| work.get(at)) else {
                        return;
                    };
                    match examine_one(root, candidate, force, texts, rows, context) {
                        Ok(outcome) => {
                            if sender.send(outcome).is_err() {
                                return;
                            }
                        }
                        Err(error) => {
                            stop.store(true, Ordering::Relaxed);
                            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                            return;
                        }
                    }
                }
            });
        }
        drop(sender);
        let mut changes = Vec::new();
        while let Ok(outcome) = receiver.recv() {
            note(&outcome, report);
            changes.extend(outcome.change);
            if changes.len() >= BATCH {
                let batch = std::mem::take(&mut changes);
                if let Err(error) = rows.apply(batch_of(target, batch)) {
                    stop.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        if let Some(error) = failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            return Err(error);
        }
        if changes.is_empty() {
            Ok(())
        } else {
            rows.apply(batch_of(target, changes))
        }
    })
}

fn batch_of(target: &Target, changes: Vec<Change>) -> Batch {
    Batch {
        collection: target.name.clone(),
        collection_row: None,
        changes,
    }
}

/// What came of looking at one candidate.
struct Outcome {
    change: Option<Change>,
    row: Option<i64>,
    read: bool,
    failed: bool,
    young: Option<String>,
}

fn note(outcome: &Outcome, report: &mut Report) {
    report.verified += 1;
    report.read += u64::from(outcome.read);
    report.failed += u64::from(outcome.failed);
    report.rows.extend(outcome.row);
    report.young.extend(outcome.young.clone());
    match &outcome.change {
        Some(Change::Put { row: None, .. }) => report.added += 1,
        Some(Change::Put { differs: true, .. }) => report.changed += 1,
        _ => {}
    }
}

fn examine_one(
    root: &Path,
    candidate: &Candidate,
    force: bool,
    texts: bool,
    rows: &dyn Rows,
    context: &Context<'_>,
) -> Result<Outcome> {
    let files = build::look(root, candidate, context);
    let seen = match &files {
        Files::Present(_, seen) => *seen,
        Files::Absent | Files::Unreadable(_) => Seen {
            at: context.clock.now(),
            ..Seen::default()
        },
    };
    let mut outcome = Outcome {
        change: None,
        row: candidate.known.as_ref().map(|known| known.row),
        read: false,
        failed: matches!(files, Files::Unreadable(_)),
        young: None,
    };
    let same_entry = |known: &super::Known| {
        known.id == candidate.id
            && candidate
                .entry_hash
                .is_none_or(|hash| hash == known.entry_hash)
    };
    if let Some(known) = &candidate.known
        && !force
        && !known.invalidated
        && same_entry(known)
        && seen.proves_unchanged_since(&known.seen)
        && is_expected(&files, known.status)
    {
        return Ok(outcome);
    }
    if matches!(files, Files::Present(..)) && !seen.is_trustworthy() {
        outcome.young.clone_from(&candidate.path);
    }
    let kept = match (&candidate.entry, &candidate.known) {
        (Some(kept), _) => kept.clone(),
        (None, Some(known)) => rows.kept(known.row)?,
        (None, None) => Kept::default(),
    };
    let built = build::build(root, candidate, kept, &files, texts)?;
    outcome.read = matches!(files, Files::Present(..));
    outcome.failed = built.failed;
    let row_hash = built.artifact.hash();
    let entry_hash = candidate
        .entry_hash
        .or_else(|| candidate.known.as_ref().map(|k| k.entry_hash));
    let entry_hash = entry_hash.unwrap_or_default();
    outcome.change = match &candidate.known {
        Some(known) if known.row_hash == row_hash && known.entry_hash == entry_hash => {
            let worth_writing = known.invalidated
                || seen.signature != known.seen.signature
                || (seen.is_trustworthy() && !known.seen.is_trustworthy());
            worth_writing.then_some(Change::Touch {
                row: known.row,
                seen,
            })
        }
        known => Some(Change::Put {
            row: known.as_ref().map(|known| known.row),
            differs: known
                .as_ref()
                .is_none_or(|known| known.row_hash != row_hash),
            artifact: Box::new(built.artifact),
            seen,
            entry_hash,
            row_hash,
            texts: built.texts,
        }),
    };
    Ok(outcome)
}

/// Whether files are where the row says that they are.
fn is_expected(files: &Files, status: crate::artifact::Status) -> bool {
    use crate::artifact::Status;
    match files {
        Files::Present(..) => matches!(status, Status::Managed | Status::Unmanaged),
        Files::Absent => matches!(status, Status::Missing | Status::Declared),
        Files::Unreadable(_) => false,
    }
}
