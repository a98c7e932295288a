//! Looking at candidates, on several threads, and writing what differs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::build::{self, Files};
use super::candidate::{Candidate, Candidates};
use super::pass::{Failure, MAX_FAILURES, Report, Target};
use super::{Batch, Change, Context, EntryColumns, Kept, Known, Rows, Scope, Seen};
use crate::artifact::Status;
use crate::error::Result;
use crate::thread::give_way;

/// Artifacts from which on those who read them let others go first.
const ENOUGH: usize = 256;

/// Groups of changes that may wait to be written.
const WAITING: usize = 64;

/// Artifacts whose entries are asked for together.
const AT_ONCE: usize = 8;

/// How much nicer those who read many artifacts are than the thread that writes: while it waits for a core they fill the
/// queue, and then all cores but one wait for it.
const NICE: i32 = 5;

/// Passes that read no more artifacts than this index their texts in the same transaction; others leave
/// the texts to the background.
const TEXTS_AT_ONCE: usize = 64;

/// Looks at every candidate that must be looked at, on several threads, and writes what differs.
pub(super) fn examine(
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
    let at_once = (work.len() / threads / 4).clamp(1, AT_ONCE);
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let report = Mutex::new(report);
    std::thread::scope(|threads_scope| {
        // Dropped before the threads are waited for: an early end here lets those go on that would send.
        let (sender, mut changes) = sync_channel::<Vec<Change>>(WAITING);
        for _ in 0..threads {
            let sender = sender.clone();
            let (work, next, stop, failure, report) = (&work, &next, &stop, &failure, &report);
            threads_scope.spawn(move || {
                if work.len() > ENOUGH {
                    give_way(NICE);
                }
                while !stop.load(Ordering::Relaxed) {
                    let from = next.fetch_add(at_once, Ordering::Relaxed);
                    let some = work.iter().skip(from).take(at_once).copied();
                    let looked = some.map_while(|candidate| {
                        (!(context.is_cancelled)()).then(|| look(root, candidate, force, context))
                    });
                    let looked: Vec<Looked<'_>> = looked.collect();
                    if looked.is_empty() {
                        break;
                    }
                    let built = match build_all(root, looked, texts, rows, context) {
                        Ok(built) => built,
                        Err(error) => {
                            stop.store(true, Ordering::Relaxed);
                            *lock(failure) = Some(error);
                            return;
                        }
                    };
                    let mut report = lock(report);
                    for one in &built {
                        note(one, target, &mut report);
                    }
                    drop(report);
                    let changes: Vec<Change> =
                        built.into_iter().filter_map(|one| one.change).collect();
                    // Nobody takes them where writing failed.
                    if !changes.is_empty() && sender.send(changes).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        while let Ok(first) = changes.recv() {
            let batch = Batch {
                collection: target.name.clone(),
                collection_row: None,
                changes: first,
            };
            changes = rows
                .apply_as_they_come(batch, changes)
                .inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
        }
        lock(&failure).take().map_or(Ok(()), Err)
    })
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What came of looking at one candidate.
struct Outcome {
    change: Option<Change>,
    row: Option<i64>,
    read: bool,
    /// Where files can't be read, and why.
    failed: Option<(String, String)>,
    young: Option<String>,
}

fn note(outcome: &Outcome, target: &Target, report: &mut Report) {
    report.verified += 1;
    report.read += u64::from(outcome.read);
    if let Some((path, reason)) = &outcome.failed {
        report.failed += 1;
        let is_new = matches!(outcome.change, Some(Change::Put { differs: true, .. }));
        report.failed_anew += u64::from(is_new);
        if report.failures.len() < MAX_FAILURES {
            report.failures.push(Failure {
                collection: target.name.clone(),
                path: path.clone(),
                reason: reason.clone(),
            });
        }
    }
    report.rows.extend(outcome.row);
    report.young.extend(outcome.young.clone());
    match &outcome.change {
        Some(Change::Put { row: None, .. }) => report.added += 1,
        Some(Change::Put { differs: true, .. }) => report.changed += 1,
        _ => {}
    }
}

/// A candidate that was looked at.
struct Looked<'a> {
    candidate: &'a Candidate,
    outcome: Outcome,
    /// What must be read; nothing if all is as the row tells it.
    unlike: Option<Unlike>,
}

/// Files that are not known to be as they were.
struct Unlike {
    files: Files,
    seen: Seen,
    columns: Option<EntryColumns>,
    entry_hash: Option<[u8; 16]>,
}

/// Compares what the file system says of a candidate with its row.
fn look<'a>(
    root: &Path,
    candidate: &'a Candidate,
    force: bool,
    context: &Context<'_>,
) -> Looked<'a> {
    let files = build::look(root, candidate, context);
    let seen = files.seen(context.clock.now());
    let mut outcome = Outcome {
        change: None,
        row: candidate.known.as_ref().map(|known| known.row),
        read: false,
        failed: None,
        young: None,
    };
    let columns = candidate.columns();
    let entry_hash = columns.as_ref().map(EntryColumns::hash);
    let same_entry = |known: &Known| {
        known.id == candidate.id && entry_hash.is_none_or(|hash| hash == known.entry_hash)
    };
    let is_same = |known: &Known| {
        !force
            && !known.invalidated
            && same_entry(known)
            && seen.proves_unchanged_since(&known.seen)
            && is_expected(&files, known.status)
    };
    let known = candidate.known.as_ref();
    let unlike = if known.is_some_and(is_same) {
        None
    } else if let Some(known) = known
        && known.status == Status::Declared
        && candidate.entry.is_none()
    {
        // It stands in the manifest alone, and that is as it was.
        let row = known.row;
        outcome.change = Some(Change::Touch { row, seen });
        None
    } else {
        Some(Unlike {
            files,
            seen,
            columns,
            entry_hash,
        })
    };
    Looked {
        candidate,
        outcome,
        unlike,
    }
}

/// Reads what must be read, with the entries that rows keep of it.
fn build_all(
    root: &Path,
    looked: Vec<Looked<'_>>,
    texts: bool,
    rows: &dyn Rows,
    context: &Context<'_>,
) -> Result<Vec<Outcome>> {
    let kept_in = |one: &Looked<'_>| {
        let is_asked = one.unlike.is_some() && one.candidate.entry.is_none();
        one.candidate
            .known
            .as_ref()
            .filter(|_| is_asked)
            .map(|known| known.row)
    };
    let asked: Vec<i64> = looked.iter().filter_map(kept_in).collect();
    let mut kept = if asked.is_empty() {
        HashMap::new()
    } else {
        rows.kept(&asked)?
    };
    let looked = looked.into_iter();
    let looked = looked.take_while(|one| one.unlike.is_none() || !(context.is_cancelled)());
    let built = looked.map(|one| {
        let Looked {
            candidate,
            outcome,
            unlike,
        } = one;
        let Some(unlike) = unlike else { return outcome };
        let kept = match (&candidate.entry, &candidate.known) {
            (Some(kept), _) => Cow::Borrowed(kept),
            (None, known) => {
                let kept = known.as_ref().and_then(|known| kept.remove(&known.row));
                Cow::Owned(kept.unwrap_or_default())
            }
        };
        build_one(root, candidate, outcome, unlike, &kept, texts)
    });
    Ok(built.collect())
}

fn build_one(
    root: &Path,
    candidate: &Candidate,
    mut outcome: Outcome,
    unlike: Unlike,
    kept: &Kept,
    texts: bool,
) -> Outcome {
    let Unlike {
        files,
        seen,
        columns,
        entry_hash,
    } = unlike;
    if matches!(files, Files::Present(..)) && !seen.is_trustworthy() {
        outcome.young.clone_from(&candidate.path);
    }
    if matches!(files, Files::Absent) && kept.entry.is_none() && candidate.server.is_none() {
        // It went after its folder was listed, and no entry misses it: the next look finds nothing there.
        outcome.row = None;
        outcome.young.clone_from(&candidate.path);
        return outcome;
    }
    let columns = columns.unwrap_or_else(|| EntryColumns::of(kept));
    let built = build::build(root, candidate, (kept, columns), &files, texts);
    outcome.read = matches!(files, Files::Present(..));
    let path = candidate.path.clone().unwrap_or_default();
    outcome.failed = built.failed.map(|reason| (path, reason));
    let entry_hash = entry_hash
        .or_else(|| candidate.known.as_ref().map(|known| known.entry_hash))
        .unwrap_or_default();
    let row_hash = built.artifact.hash(entry_hash);
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
    outcome
}

/// Whether files are where the row says that they are.
fn is_expected(files: &Files, status: Status) -> bool {
    match files {
        Files::Present(..) => matches!(status, Status::Managed | Status::Unmanaged),
        Files::Absent => matches!(status, Status::Missing | Status::Declared),
        Files::LinkedOut(_) => matches!(status, Status::Missing),
        Files::Unreadable(_) => false,
    }
}
