//! Adding local artifacts to a collection.
//!
//! Invariants: everything is checked before the first byte is written; nothing that exists is overwritten;
//! what fails alone fails alone.

mod plan;

use std::path::PathBuf;

use skillmeat_shared::artifact::read::{self, Reading};
use skillmeat_shared::artifact::scan;
use skillmeat_shared::collection::edit::{self, NewEntry};
use skillmeat_shared::collection::lockfile::{self, LockEntry};
use skillmeat_shared::collection::manifest::EntryMetadata;
use skillmeat_shared::time::Timestamp;
use skillmeat_shared::{ArtifactId, Code, Error, Kind, Result};

use super::App;
use super::change::{Actor, Asked, ChangeItem, ChangeSummary, Draft, Place, Source, Telling};
use plan::{Collection, Planned, failed, item, plan};

/// The results that a summary always counts.
const RESULTS: [&str; 5] = ["added", "unchanged", "skipped", "conflict", "failed"];

/// What is to be added.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields of AddArtifactsRequest; see artifact.proto"
)]
pub struct AddRequest {
    pub collection: String,
    pub paths: Vec<PathBuf>,
    pub kind: Option<Kind>,
    pub name: Option<String>,
    pub all: bool,
    pub dry_run: bool,
}

/// An artifact that was drafted, as manifest and lock record it.
struct Taken {
    planned: Planned,
    reading: Reading,
}

impl App {
    /// Adds local artifacts to a collection. Tells of each step and each artifact; fails only if nothing
    /// can be added at all.
    pub fn add(&self, request: &AddRequest, tell: &dyn Fn(Telling)) -> Result<ChangeSummary> {
        let store = self.store()?;
        self.asked(&store, &request.collection, false)?;
        let name = self.collection_or_default(&request.collection);
        if request.name.is_some() && (request.all || request.paths.len() != 1) {
            return Err(Error::new(
                Code::InvalidArgument,
                "a name is given for several artifacts",
            )
            .hint("use `--name` with a single path and without `--all`"));
        }
        let paths: Vec<String> = request
            .paths
            .iter()
            .map(|path| format!("`{}`", path.display()))
            .collect();
        let asked = Asked {
            verb: "artifact.add",
            what: format!("add {} to `{name}`", paths.join(", ")),
            actor: Actor::CommandLine,
            dry_run: request.dry_run,
            undoes: None,
        };
        let changed = self.change(&asked, &|draft| {
            self.plan_addition(&name, request, tell, draft)
        })?;
        for item in &changed.report {
            tell(Telling::Item(item.clone()));
        }
        Ok(ChangeSummary::of(
            &name,
            &RESULTS,
            &changed.report,
            request.dry_run,
            &changed,
        ))
    }

    fn plan_addition(
        &self,
        name: &str,
        request: &AddRequest,
        tell: &dyn Fn(Telling),
        draft: &mut Draft<'_>,
    ) -> Result<Vec<ChangeItem>> {
        let existing = draft.existing(name)?;
        let root = draft.root(name)?;
        // What can't be read can't be written either: say so before anything is copied.
        draft.manifest(name)?;
        draft.edit_lock(name, &|text| lockfile::set_entries(text, &[]))?;
        let mut collection = Collection {
            root,
            by_hash: existing
                .iter()
                .filter_map(|one| one.content_hash.clone().map(|hash| (hash, one.id.clone())))
                .collect(),
            by_id: existing
                .into_iter()
                .map(|one| (one.id.clone(), one))
                .collect(),
        };
        let mut items = Vec::new();
        let planned = plan(request, &mut collection, tell, &mut items);
        let total = planned.len() as u64;
        let mut taken = Vec::new();
        for (done, planned) in (0..).zip(planned) {
            tell(Telling::Progress(done, total, "adding"));
            let (id, source) = (planned.id.to_string(), planned.source.clone());
            match take_in(name, &collection, planned, request.dry_run, draft) {
                Ok(one) => taken.push(one),
                Err(error) => items.push(failed(&id, &source, &error)),
            }
        }
        tell(Telling::Progress(total, total, "adding"));
        record(name, &taken, self.now(), draft)?;
        let result = if request.dry_run {
            "would-add"
        } else {
            "added"
        };
        items.extend(taken.into_iter().map(|one| ChangeItem {
            path: one.planned.path,
            ..item(&one.planned.id.to_string(), &one.planned.source, result, "")
        }));
        Ok(items)
    }
}

/// Drafts the copy of one artifact.
fn take_in(
    name: &str,
    collection: &Collection,
    planned: Planned,
    is_dry: bool,
    draft: &mut Draft<'_>,
) -> Result<Taken> {
    let place = Place::collection(name, &planned.path);
    let drafted = put(name, &place, &planned, draft).and_then(|()| {
        if is_dry {
            return Ok(planned.reading.clone());
        }
        // The source may have changed since it was looked at: what counts is the copy.
        let content = draft.content(&place)?;
        let scan = scan::scan(&content, &collection.root)?;
        let id = &planned.id;
        read::read(&id.kind, &id.name, &content, &scan, false)
    });
    match drafted {
        Ok(reading) => Ok(Taken { planned, reading }),
        Err(error) => {
            if planned.copy_to.is_some() {
                draft.remove(&place)?;
            }
            Err(error)
        }
    }
}

fn put(name: &str, place: &Place, planned: &Planned, draft: &mut Draft<'_>) -> Result<()> {
    let Some(copy_to) = &planned.copy_to else {
        return Ok(());
    };
    if *copy_to != planned.path {
        // A lone file that gets a folder of its own.
        draft.put(place, Source::Folder)?;
    }
    let target = Place::collection(name, copy_to);
    draft.put(&target, Source::Disk(planned.source.clone()))
}

/// Drafts manifest and lock.
fn record(name: &str, taken: &[Taken], now: Timestamp, draft: &mut Draft<'_>) -> Result<()> {
    let entries: Vec<NewEntry> = taken
        .iter()
        .filter(|one| !one.planned.has_entry)
        .map(|one| new_entry(one, now))
        .collect();
    let locks: Vec<(ArtifactId, LockEntry)> = taken
        .iter()
        .map(|one| {
            let entry = LockEntry {
                content_hash: one.reading.hashes.content.clone(),
                fetched: Some(now.to_manifest()),
                ..LockEntry::default()
            };
            (one.planned.id.clone(), entry)
        })
        .filter(|(_, entry)| entry.content_hash.is_some())
        .collect();
    if !locks.is_empty() {
        draft.edit_lock(name, &|text| lockfile::set_entries(text, &locks))?;
    }
    if !entries.is_empty() {
        draft.edit_manifest(name, &|text| edit::add_entries(text, &entries, now))?;
    }
    Ok(())
}

fn new_entry(taken: &Taken, now: Timestamp) -> NewEntry {
    let metadata = &taken.reading.metadata;
    let mut entry = NewEntry::local(taken.planned.id.clone(), taken.planned.path.clone(), now);
    entry.tags.clone_from(&metadata.tags);
    entry.metadata = EntryMetadata {
        title: metadata.title.clone(),
        description: metadata.description.clone(),
        author: metadata.author.clone(),
        license: metadata.license.clone(),
        version: metadata.version.clone(),
        tags: Vec::new(),
        tools: metadata.tools.clone(),
        dependencies: metadata.dependencies.clone(),
    };
    entry
}
