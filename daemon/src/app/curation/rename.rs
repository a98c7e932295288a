//! Another name for an artifact, everywhere where it has one.

use skillmeat_shared::artifact::name;
use skillmeat_shared::collection::edit::{self, Change, Key};
use skillmeat_shared::collection::entry::Entry;
use skillmeat_shared::collection::lockfile::Lockfile;
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::super::App;
use super::super::change::{Caller, ChangeSummary, Draft, Place};
use super::super::naming::Aliases;
use super::super::selection::Selection;
use super::{Batch, Work, also, edit_lock, files, id_of, regroup, relock, said};
use crate::store::list::Summary;

/// The results that a summary always counts.
const RESULTS: [&str; 4] = ["renamed", "unchanged", "conflict", "failed"];

/// What is to be renamed.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields of RenameArtifactRequest; see curation.proto"
)]
pub struct RenameRequest {
    pub collection: String,
    pub artifact: ArtifactRef,
    pub name: String,
    pub dry_run: bool,
}

impl App {
    /// Gives an artifact another name.
    pub fn rename(&self, request: &RenameRequest, caller: &dyn Caller) -> Result<ChangeSummary> {
        name::validate_given(&request.name)?;
        let work = Work {
            verb: "artifact.rename",
            words: format!("rename to `{}`:", request.name),
            results: &RESULTS,
            dry_run: request.dry_run,
        };
        let selection = Selection::one(&request.collection, &request.artifact);
        self.curate(&work, &selection, caller, &|draft, batch| {
            let row = match batch.rows {
                [] => return Ok(()),
                [one] => one,
                several => return Err(too_many(several)),
            };
            let result = said(request.dry_run, "would-rename", "renamed");
            let aliases = self.aliases_in(batch.collection)?;
            match check(&request.name, &aliases, draft, batch, row) {
                Ok(Some(goal)) => {
                    let path = goal.path.clone();
                    let stays = plan(goal, draft, batch, row)?;
                    let told = also(format!("to `{}`", request.name), stays);
                    batch.done(row, result, &told, &path);
                }
                Ok(None) => batch.done(row, "unchanged", "it has that name", &row.path),
                Err(error) if error.code == Code::FileChanged => return Err(error),
                Err(error) => batch.failed(row, &error),
            }
            Ok(())
        })
    }
}

/// The error that a pattern means more artifacts than can have one name.
fn too_many(rows: &[Summary]) -> Error {
    let named = rows.iter().take(3).map(|row| format!("`{}`", id_of(row)));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match rows.len().saturating_sub(3) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("only one can have that name, and these fit: {named}{more}");
    Error::new(Code::ArtifactAmbiguous, message).hint("name the one that is meant")
}

/// What an artifact becomes.
struct Goal {
    id: ArtifactId,
    /// Relative to the collection.
    path: String,
    /// It has files, which move.
    has_files: bool,
}

/// What the artifact becomes; nothing if it has the name already. Drafts nothing.
fn check(
    new: &str,
    aliases: &Aliases,
    draft: &mut Draft<'_>,
    batch: &Batch<'_>,
    row: &Summary,
) -> Result<Option<Goal>> {
    let (collection, id) = (batch.collection, id_of(row));
    if id.name == new {
        return Ok(None);
    }
    let to = ArtifactId::new(id.kind.clone(), new);
    let existing = draft.existing(collection)?;
    if batch.entries.places.contains_key(&to) || existing.iter().any(|one| one.id == to) {
        let message = format!("`{to}` exists already");
        return Err(Error::new(Code::ArtifactExists, message).hint("choose another name"));
    }
    aliases.are_no_name(new, Some(&id))?;
    let path = files::renamed_path(row, new);
    let has_files = !row.path.is_empty() && draft.exists(&files::place_of(collection, row))?;
    if has_files {
        files::Owners::of(&existing).only(row)?;
        if draft.exists(&Place::collection(collection, path.as_str()))? {
            let message = format!("`{path}` exists already");
            return Err(Error::new(Code::FileExists, message).hint("choose another name"));
        }
    }
    Ok(Some(Goal {
        id: to,
        path,
        has_files,
    }))
}

/// Drafts the new name, and tells if the old one stays in the file. What fails here fails the whole: a part of it may be
/// drafted.
fn plan(
    goal: Goal,
    draft: &mut Draft<'_>,
    batch: &Batch<'_>,
    row: &Summary,
) -> Result<Option<String>> {
    let (collection, id) = (batch.collection, id_of(row));
    let Goal {
        id: to,
        path,
        has_files,
    } = goal;
    let new = to.name.as_str();
    let (from_place, to_place) = (
        files::place_of(collection, row),
        Place::collection(collection, path.as_str()),
    );
    let mut stays = None;
    if has_files {
        stays = files::rename_inside(draft, collection, row, &from_place, new)?;
        draft.rename(&from_place, &to_place)?;
    }
    let now = draft.now();
    if let Some(key) = batch.entries.key_of(row) {
        let mut changes = vec![Change::set("name", new)];
        let again = batch
            .entries
            .entry_of(&id)
            .filter(|_| matches!(key, Key::Artifact(_)));
        let again = again.into_iter().flat_map(Entry::names_again);
        changes.extend(again.map(|key| Change::set(key, new)));
        if matches!(key, Key::Artifact(_)) && !row.path.is_empty() {
            changes.push(Change::set("path", path.as_str()));
        }
        let moved = [(id.clone(), Some(to.name.clone()))];
        let edits = [(key, changes)];
        draft.edit_manifest(collection, &|text| {
            let edited = edit::change(&regroup(text, &moved)?, &edits)?;
            edit::date(&edited, now)
        })?;
    }
    edit_lock(draft, collection, &|text| {
        // What an artifact of that name left behind would stand in the way.
        let stale = Lockfile::parse(text).is_ok_and(|lock| lock.entries.contains_key(&to));
        let text = if stale {
            edit::remove_lock(text, std::slice::from_ref(&to))?
        } else {
            text.to_owned()
        };
        edit::rename_lock(&text, &id, &to)
    })?;
    if has_files {
        // The name stands in the file, too.
        let touched = batch.touched(row);
        let touched = touched.map(|one| one.renamed(to.clone(), to_place));
        let touched: Vec<_> = touched.into_iter().collect();
        relock(draft, collection, &touched)?;
    }
    if draft.ratings()?.of(collection, &id.to_string()).is_some() {
        draft.rename_rating(collection, &id, &to)?;
    }
    Ok(stays)
}
