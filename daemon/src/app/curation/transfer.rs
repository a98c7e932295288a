//! Artifacts in another collection, or twice.

use std::collections::BTreeSet;

use skillmeat_shared::artifact::name;
use skillmeat_shared::collection::edit::{self, Change, Key};
use skillmeat_shared::collection::entry::Entry;
use skillmeat_shared::collection::lockfile::Lockfile;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::fs::copy::Links;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::super::App;
use super::super::change::{Caller, ChangeSummary, Draft, Place, Source};
use super::super::naming::Aliases;
use super::super::selection::Selection;
use super::{Batch, Entries, Work, also, edit_lock, files, id_of, regroup, relock, said};
use crate::store::list::Summary;

/// What is to be moved or copied.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields of TransferArtifactsRequest; see curation.proto"
)]
pub struct TransferRequest {
    pub selection: Selection,
    pub to: String,
    pub name: Option<String>,
    pub copy: bool,
    pub dry_run: bool,
}

/// Where artifacts go, and what is there.
struct Target<'a> {
    collection: &'a str,
    /// What is there or has been given a place there.
    ids: BTreeSet<ArtifactId>,
    /// The places that were given.
    taken: BTreeSet<String>,
    aliases: Aliases,
}

/// An artifact on its way.
struct Moved {
    old: ArtifactId,
    new: ArtifactId,
    key: Option<Key>,
    path: String,
    /// What to tell of its old name in the file, if that stays.
    stays: Option<String>,
}

impl App {
    /// Moves or copies artifacts.
    pub fn transfer(
        &self,
        request: &TransferRequest,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        let store = self.store()?;
        let from = self.collection_or_default(&request.selection.collection);
        let to = if request.to.is_empty() {
            from.clone()
        } else {
            request.to.clone()
        };
        self.asked(&store, &to, false)?;
        if let Some(name) = &request.name {
            name::validate_given(name)?;
        }
        if from == to && (!request.copy || request.name.is_none()) {
            let message = format!("`{to}` is where the artifacts are already");
            return Err(Error::new(Code::InvalidArgument, message).hint(
                "name another collection with `--to`; a copy in the same one needs `--as NAME`",
            ));
        }
        let copied = ["copied", "conflict", "failed"];
        let moved = ["moved", "conflict", "failed"];
        let (verb, words) = if request.copy {
            ("artifact.copy", format!("copy to `{to}`:"))
        } else {
            ("artifact.move", format!("move to `{to}`:"))
        };
        let work = Work {
            verb,
            words,
            results: if request.copy { &copied } else { &moved },
            dry_run: request.dry_run,
        };
        self.curate(&work, &request.selection, caller, &|draft, batch| {
            plan(self, request, &to, draft, batch)
        })
    }
}

fn plan(
    app: &App,
    request: &TransferRequest,
    to: &str,
    draft: &mut Draft<'_>,
    batch: &mut Batch<'_>,
) -> Result<()> {
    if request.name.is_some() && batch.rows.len() > 1 {
        let message = "a name is given for several artifacts";
        return Err(Error::new(Code::InvalidArgument, message).hint("use `--as` with one artifact"));
    }
    let owners = files::Owners::of(&draft.existing(batch.collection)?);
    let entries = Entries::of(draft, to)?.manifest.entries;
    let mut ids: BTreeSet<ArtifactId> = entries.into_iter().map(|entry| entry.id).collect();
    ids.extend(draft.existing(to)?.into_iter().map(|one| one.id));
    let mut target = Target {
        collection: to,
        ids,
        taken: BTreeSet::new(),
        aliases: app.aliases_in(to)?,
    };
    let result = if request.copy {
        said(request.dry_run, "would-copy", "copied")
    } else {
        said(request.dry_run, "would-move", "moved")
    };
    let mut moved = Vec::new();
    for row in batch.rows {
        // A copy beside the original leaves its aliases to it.
        let brought = row.aliases.iter().filter(|_| to != batch.collection);
        let is_free = app.are_free(brought, to, &id_of(row));
        let carried =
            is_free.and_then(|()| carry(request, &mut target, &owners, draft, batch, row));
        match carried {
            Ok(one) => {
                let reason = if one.new == id_of(row) {
                    format!("to `{to}`")
                } else {
                    format!("to `{to}`, as `{}`", one.new)
                };
                let reason = also(reason, one.stays.clone());
                batch.done(row, result, &reason, &one.path);
                moved.push(one);
            }
            Err(error) if error.code == Code::FileChanged => return Err(error),
            Err(error) => batch.failed(row, &error),
        }
    }
    record(request, to, draft, batch, &moved)
}

/// Fails if the artifact would be without its file elsewhere, as a link leads there.
fn leads_on(is_copy: bool, draft: &mut Draft<'_>, collection: &str, row: &Summary) -> Result<()> {
    let place = files::place_of(collection, row);
    let invalid = |message: String| Error::new(Code::ArtifactInvalid, message);
    if draft.real(&place)? != place {
        // A copy has the files themselves.
        return if is_copy {
            Ok(())
        } else {
            Err(invalid("it is a link to another artifact".to_owned())
                .hint("`sm copy` takes its files along; then remove it here"))
        };
    }
    let Some((file, name)) = files::manifest_file(draft, collection, row)? else {
        return Ok(());
    };
    if draft.real(&file)?.below(&place).is_some() {
        return Ok(());
    }
    let message = format!("its `{}` is a link that leads out of it", name.display());
    Err(invalid(message).hint("put the file itself in its place"))
}

/// Drafts the files of one artifact at their new place.
fn carry(
    request: &TransferRequest,
    target: &mut Target<'_>,
    owners: &files::Owners,
    draft: &mut Draft<'_>,
    batch: &Batch<'_>,
    row: &Summary,
) -> Result<Moved> {
    let old = id_of(row);
    let new = match &request.name {
        Some(name) => ArtifactId::new(old.kind.clone(), name.as_str()),
        None => old.clone(),
    };
    let exists = |what: &str| {
        Error::new(
            Code::ArtifactExists,
            format!("`{what}` exists already in `{}`", target.collection),
        )
    };
    if target.ids.contains(&new) {
        return Err(exists(&new.to_string()));
    }
    target.aliases.are_no_name(&new.name, None)?;
    let key = batch.entries.key_of(row);
    let path = match &request.name {
        Some(name) if !row.path.is_empty() => files::renamed_path(row, name),
        _ => row.path.clone(),
    };
    let place = files::place_of(batch.collection, row);
    let goal = Place::collection(target.collection, path.as_str());
    let mut stays = None;
    if !row.path.is_empty() && draft.exists(&place)? {
        if target.taken.contains(&path) || draft.exists(&goal)? {
            return Err(exists(&path));
        }
        leads_on(request.copy, draft, batch.collection, row)?;
        if request.copy {
            let content = draft.content(&place)?;
            draft.put(&goal, Source::Disk(content, Links::Followed))?;
            if let Some(name) = &request.name {
                // A dry run has no copy that could be changed.
                stays = if request.dry_run {
                    files::name_that_stays(draft, batch.collection, row, &place, name)?
                } else {
                    files::rename_inside(draft, target.collection, row, &goal, name)?
                };
            }
        } else {
            owners.only(row)?;
            draft.rename(&place, &goal)?;
        }
    }
    target.ids.insert(new.clone());
    target.taken.insert(path.clone());
    Ok(Moved {
        old,
        new,
        key,
        path,
        stays,
    })
}

/// Drafts manifests, locks and ratings.
fn record(
    request: &TransferRequest,
    to: &str,
    draft: &mut Draft<'_>,
    batch: &Batch<'_>,
    moved: &[Moved],
) -> Result<()> {
    if moved.is_empty() {
        return Ok(());
    }
    let now = draft.now();
    let from = batch.collection;
    let source = draft.manifest(from)?;
    let mut entries = Vec::new();
    for list in [true, false] {
        let of_list: Vec<&Moved> = moved
            .iter()
            .filter(|one| matches!(&one.key, Some(key) if matches!(key, Key::Artifact(_)) == list))
            .collect();
        let keys: Vec<Key> = of_list.iter().filter_map(|one| one.key.clone()).collect();
        let blocks = edit::blocks(&source, &keys)?;
        for (one, block) in of_list.into_iter().zip(blocks) {
            let is_beside = from == to;
            let copied = request.copy.then_some((now, is_beside));
            let block = block.map(|block| carried(one, &block, copied));
            entries.extend(block.transpose()?);
        }
    }
    if !entries.is_empty() {
        draft.edit_manifest(to, &|text| {
            edit::date(&edit::insert_all(text, &entries)?, now)
        })?;
    }
    if draft.exists(&Place::lock(from))? {
        let lock = draft.lock(from)?;
        let names: Vec<_> = moved
            .iter()
            .map(|one| (one.old.clone(), one.new.clone()))
            .collect();
        let known = Lockfile::parse(&lock)
            .map(|lock| lock.entries)
            .unwrap_or_default();
        if names.iter().any(|(old, _)| known.contains_key(old)) {
            draft.edit_lock(to, &|text| edit::carry_lock(&lock, text, &names))?;
        }
    }
    if request.copy {
        // Under another name: it stands in the file, too.
        let renamed = moved.iter().filter(|one| one.old != one.new);
        let touched: Vec<_> = renamed
            .filter_map(|one| {
                let row = batch.rows.iter().find(|row| id_of(row) == one.old)?;
                let place = Place::collection(to, one.path.as_str());
                Some(batch.touched(row)?.renamed(one.new.clone(), place))
            })
            .collect();
        return relock(draft, to, &touched);
    }
    let keys: Vec<Key> = moved.iter().filter_map(|one| one.key.clone()).collect();
    let leaving: Vec<_> = moved.iter().map(|one| (one.old.clone(), None)).collect();
    draft.edit_manifest(from, &|text| {
        let text = regroup(text, &leaving)?;
        edit::date(&edit::remove(&text, &keys)?, now)
    })?;
    let gone: Vec<ArtifactId> = moved.iter().map(|one| one.old.clone()).collect();
    edit_lock(draft, from, &|text| edit::remove_lock(text, &gone))?;
    let known = draft.ratings()?;
    let ratings: Vec<_> = moved
        .iter()
        .filter_map(|one| Some((one, known.of(from, &one.old.to_string())?)))
        .flat_map(|(one, stars)| {
            [
                (from.to_owned(), one.old.clone(), None),
                (to.to_owned(), one.new.clone(), Some(stars)),
            ]
        })
        .collect();
    draft.rate(&ratings)
}

/// The text of an entry under its new name; that of a copy says when it was made, and has no aliases if it stands
/// beside the original: they would name both.
fn carried(one: &Moved, block: &str, copied: Option<(Timestamp, bool)>) -> Result<String> {
    let Some(key) = one.key.clone() else {
        return Ok(block.to_owned());
    };
    let is_artifact = matches!(key, Key::Artifact(_));
    let mut changes = Vec::new();
    if one.old != one.new {
        changes.push(Change::set("name", one.new.name.as_str()));
        if is_artifact {
            let said = Manifest::parse(block).unwrap_or_default();
            let again = said.entries.iter().flat_map(Entry::names_again);
            changes.extend(again.map(|key| Change::set(key, one.new.name.as_str())));
            changes.push(Change::set("path", one.path.as_str()));
        }
    }
    if let Some((now, is_beside)) = copied.filter(|_| is_artifact) {
        if is_beside {
            changes.extend(["aliases", "metadata.extra.aliases"].map(Change::unset));
        }
        changes.push(Change::set("added", now.to_manifest().as_str()));
        // A universal id is of one artifact only.
        changes.push(Change::unset("uuid"));
    }
    edit::change(block, &[(key, changes)])
}
