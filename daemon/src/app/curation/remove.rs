//! Removing artifacts: files, entries, places in groups, ratings.

use std::collections::BTreeSet;

use skillmeat_shared::collection::{edit, spelling};
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::super::App;
use super::super::change::{Caller, ChangeItem, ChangeSummary, Draft, Progress};
use super::super::selection::Selection;
use super::{Batch, Entries, Work, edit_lock, files, id_of, regroup, said};
use crate::store::list::Summary;

/// The results that a summary always counts.
const RESULTS: [&str; 3] = ["removed", "skipped", "failed"];

/// What is to be removed.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields of RemoveArtifactsRequest; see curation.proto"
)]
pub struct RemoveRequest {
    pub selection: Selection,
    pub keep_files: bool,
    pub dry_run: bool,
}

impl App {
    /// Takes artifacts out of a collection.
    pub fn remove(&self, request: &RemoveRequest, caller: &dyn Caller) -> Result<ChangeSummary> {
        let work = Work {
            verb: "artifact.remove",
            words: "remove".to_owned(),
            results: &RESULTS,
            dry_run: request.dry_run,
        };
        self.curate(&work, &request.selection, caller, &|draft, batch| {
            plan(request, draft, batch)
        })
    }
}

/// Drafts that all of some artifacts go, with what is said of them.
pub(in crate::app) fn take_out(
    rows: &[Summary],
    collection: &str,
    dry_run: bool,
    draft: &mut Draft<'_>,
    caller: &dyn Caller,
) -> Result<Vec<ChangeItem>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    for row in rows {
        spelling::plain(&row.path)?;
    }
    let mut batch = Batch {
        collection,
        rows,
        entries: Entries::of(draft, collection)?,
        items: Vec::new(),
        progress: Progress::new(caller),
    };
    let request = RemoveRequest {
        dry_run,
        ..RemoveRequest::default()
    };
    plan(&request, draft, &mut batch)?;
    let failed = |item: &ChangeItem| Some((item.code?, item.id.clone(), item.reason.clone()));
    match batch.items.iter().find_map(failed) {
        Some((code, id, reason)) => Err(Error::new(code, format!("can't remove `{id}`: {reason}"))),
        None => Ok(batch.items),
    }
}

fn plan(request: &RemoveRequest, draft: &mut Draft<'_>, batch: &mut Batch<'_>) -> Result<()> {
    let collection = batch.collection;
    let mut existing = draft.existing(collection)?;
    // What goes along shares nothing that stays.
    let leaves: BTreeSet<ArtifactId> = batch.rows.iter().map(id_of).collect();
    existing.retain(|one| !leaves.contains(&one.id));
    let owners = files::Owners::of(&existing);
    let result = said(request.dry_run, "would-remove", "removed");
    let (mut keys, mut gone) = (Vec::new(), Vec::new());
    for row in batch.rows {
        let key = batch.entries.key_of(row);
        if request.keep_files && key.is_none() {
            batch.done(row, "skipped", "it is not in the manifest", &row.path);
            continue;
        }
        if !request.keep_files && !row.path.is_empty() {
            let place = files::place_of(collection, row);
            let removed = owners
                .only(row)
                .map_err(|error| error.hint("or use `--keep-files`"))
                .and_then(|()| draft.remove(&place));
            if let Err(error) = removed {
                if error.code == Code::FileChanged {
                    return Err(error);
                }
                batch.failed(row, &error);
                continue;
            }
        }
        keys.extend(key);
        gone.push(id_of(row));
        batch.done(row, result, "", &row.path);
    }
    if keys.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let now = draft.now();
    let leaving: Vec<_> = gone.iter().map(|id| (id.clone(), None)).collect();
    draft.edit_manifest(collection, &|text| {
        let text = regroup(text, &leaving)?;
        let edited = edit::remove(&text, &keys)?;
        edit::date(&edited, now)
    })?;
    edit_lock(draft, collection, &|text| edit::remove_lock(text, &gone))?;
    if request.keep_files {
        return Ok(());
    }
    let ratings: Vec<_> = gone
        .into_iter()
        .map(|id| (collection.to_owned(), id, None))
        .collect();
    draft.rate(&ratings)
}
