//! Looking at candidates, on several threads, and writing what differs.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use super::build::{self, Files};
use super::candidate::{Candidate, Candidates};
use super::pass::{Failure, MAX_FAILURES, Report, Target};
use super::{Batch, Change, Context, EntryColumns, Kept, Known, Rows, Scope};
use crate::artifact::Status;
use crate::error::Result;
use crate::thread::give_way;

/// Artifacts whose rows are written in one transaction, as far as there are as many.
const BATCH: usize = 2048;

/// Artifacts for which a transaction is worth its cost while more are being read.
const ENOUGH: usize = 256;

/// Outcomes that are handed over together: whoever writes them is woken each time.
const TOGETHER: usize = 32;

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
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    std::thread::scope(|threads_scope| {
        // Dropped before the threads are waited for: an early end here lets those go on that would send.
        let (sender, receiver) = sync_channel::<Vec<Outcome>>(BATCH / TOGETHER);
        for _ in 0..threads {
            let sender = sender.clone();
            let (work, next, stop, failure) = (&work, &next, &stop, &failure);
            threads_scope.spawn(move || {
                if work.len() > ENOUGH {
                    give_way(NICE);
                }
                let mut outcomes = Vec::new();
                while !stop.load(Ordering::Relaxed) && !(context.is_cancelled)() {
                    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed));
                    let Some(candidate) = at.ok().and_then(|at| work.get(at)) else {
                        break;
                    };
                    match examine_one(root, candidate, force, texts, rows, context) {
                        Ok(outcome) => outcomes.push(outcome),
                        Err(error) => {
                            stop.store(true, Ordering::Relaxed);
                            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                            return;
                        }
                    }
                    if outcomes.len() >= TOGETHER
                        && sender.send(std::mem::take(&mut outcomes)).is_err()
                    {
                        return;
                    }
                }
                // Nobody takes them where writing failed.
                sender.send(outcomes).ok();
            });
        }
        drop(sender);
        let mut changes = Vec::new();
        while let Ok(first) = receiver.recv() {
            for outcomes in std::iter::once(first).chain(receiver.try_iter()) {
                for outcome in outcomes {
                    note(&outcome, target, report);
                    changes.extend(outcome.change);
                }
                if changes.len() >= BATCH {
                    break;
                }
            }
            if changes.len() >= ENOUGH {
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

fn examine_one(
    root: &Path,
    candidate: &Candidate,
    force: bool,
    texts: bool,
    rows: &dyn Rows,
    context: &Context<'_>,
) -> Result<Outcome> {
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
    if let Some(known) = &candidate.known
        && !force
        && !known.invalidated
        && same_entry(known)
        && seen.proves_unchanged_since(&known.seen)
        && is_expected(&files, known.status)
    {
        return Ok(outcome);
    }
    if let Some(known) = &candidate.known
        && known.status == Status::Declared
        && candidate.entry.is_none()
    {
        // It stands in the manifest alone, and that is as it was.
        let row = known.row;
        outcome.change = Some(Change::Touch { row, seen });
        return Ok(outcome);
    }
    if matches!(files, Files::Present(..)) && !seen.is_trustworthy() {
        outcome.young.clone_from(&candidate.path);
    }
    let kept = match (&candidate.entry, &candidate.known) {
        (Some(kept), _) => Cow::Borrowed(kept),
        (None, Some(known)) => Cow::Owned(rows.kept(known.row)?),
        (None, None) => Cow::Owned(Kept::default()),
    };
    if matches!(files, Files::Absent) && kept.entry.is_none() && candidate.server.is_none() {
        // It went after its folder was listed, and no entry misses it: the next look finds nothing there.
        outcome.row = None;
        outcome.young.clone_from(&candidate.path);
        return Ok(outcome);
    }
    let columns = columns.unwrap_or_else(|| EntryColumns::of(&kept));
    let built = build::build(root, candidate, (&kept, columns), &files, texts);
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
    Ok(outcome)
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
