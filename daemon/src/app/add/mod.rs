//! Adding local artifacts to a collection.
//!
//! Invariants: everything is checked before the first byte is written; nothing that exists is overwritten
//! unless that is asked for, and then its bytes are in the history; what fails alone fails alone.

mod plan;
mod record;
mod sources;

use std::path::PathBuf;

use skillmeat_shared::artifact::discover::Candidate;
use skillmeat_shared::artifact::read::{self, Reading};
use skillmeat_shared::artifact::{name as names, scan};
use skillmeat_shared::collection::edit;
use skillmeat_shared::collection::lockfile::Lockfile;

use skillmeat_shared::fs::copy::Links;
use skillmeat_shared::{Code, Error, Kind, Result};

use super::App;
use super::change::{
    Actor, Asked, Caller, ChangeItem, ChangeSummary, Draft, Place, Source, Telling, is_wanted,
};
use plan::{Collection, Planned, Renamed, failed, item, plan};
use record::record;
use sources::Sources;

/// The results that a summary always counts.
const RESULTS: [&str; 6] = [
    "added",
    "replaced",
    "unchanged",
    "skipped",
    "conflict",
    "failed",
];

/// Paths that the log of operations names one by one.
const NAMED: usize = 3;

/// What happens to what stands in the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replace {
    /// It stays.
    #[default]
    Never,
    /// Artifacts with other content are replaced, unless that is somebody's edit.
    Changed,
    /// It is replaced.
    Always,
}

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
    pub replace: Replace,
    pub dry_run: bool,
    /// Artifacts chosen one by one, with kind and name.
    pub chosen: Vec<Candidate>,
}

impl AddRequest {
    /// The request in words.
    fn what(&self, collection: &str) -> String {
        let all = self
            .paths
            .iter()
            .chain(self.chosen.iter().map(|one| &one.path));
        let mut paths: Vec<String> = all
            .clone()
            .take(NAMED)
            .map(|path| format!("`{}`", path.display()))
            .collect();
        let more = all.count().saturating_sub(NAMED);
        if more > 0 {
            paths.push(format!("{more} more"));
        }
        let verb = if self.chosen.is_empty() {
            "add"
        } else {
            "adopt"
        };
        let how = match self.replace {
            Replace::Never => "",
            Replace::Changed => ", replacing what changed",
            Replace::Always => ", replacing what is there",
        };
        format!("{verb} {} to `{collection}`{how}", paths.join(", "))
    }
}

/// An artifact that was drafted, as manifest and lock record it.
struct Taken {
    planned: Planned,
    reading: Reading,
}

impl App {
    /// Adds local artifacts to a collection. Tells of each step and each artifact; fails only if nothing
    /// can be added at all.
    pub fn add(&self, request: &AddRequest, caller: &dyn Caller) -> Result<ChangeSummary> {
        let name = self.known_collection(&request.collection)?;
        if let Some(name) = &request.name {
            names::validate_given(name)?;
        }
        if request.name.is_some() && (request.all || request.paths.len() != 1) {
            return Err(Error::new(
                Code::InvalidArgument,
                "a name is given for several artifacts",
            )
            .hint("use `--as` with a single path and without `--all`"));
        }
        let asked = Asked {
            verb: if request.chosen.is_empty() {
                "artifact.add"
            } else {
                "artifact.adopt"
            },
            what: request.what(&name),
            actor: Actor::CommandLine,
            dry_run: request.dry_run,
            undoes: None,
        };
        let sources = Sources::find(&self.boot.home, request, caller)?;
        let changed = self.change_told(&asked, caller, &|draft| {
            self.plan_addition(&name, request, &sources, caller, draft)
        })?;
        Ok(ChangeSummary::told(
            &name,
            &RESULTS,
            &changed.report,
            &changed,
            caller,
        ))
    }

    fn plan_addition(
        &self,
        name: &str,
        request: &AddRequest,
        sources: &Sources,
        caller: &dyn Caller,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<ChangeItem>> {
        let existing = draft.existing(name)?;
        let root = draft.root(name)?;
        // What can't be read can't be written either: say so before anything is copied.
        let (_, manifest) = draft.parsed(name)?;
        draft.edit_lock(name, &|text| edit::set_lock(text, &[]))?;
        let lock = Lockfile::parse(&draft.lock(name)?).unwrap_or_default();
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
            entries: manifest
                .entries
                .into_iter()
                .map(|one| (one.id, one.upstream))
                .collect(),
            recorded: lock
                .entries
                .into_iter()
                .filter_map(|(id, one)| Some((id, one.content_hash?)))
                .collect(),
            aliases: self.aliases_in(name)?,
        };
        let mut items = sources.items.clone();
        let planned = plan(
            &sources.named,
            request.replace,
            &mut collection,
            caller,
            &mut items,
        )?;
        let total = planned.len() as u64;
        let mut taken = Vec::new();
        for (done, planned) in (0..).zip(planned) {
            caller.tell(Telling::Progress(done, total, "adding"));
            is_wanted(caller)?;
            let (id, source) = (planned.id.to_string(), planned.source.clone());
            match take_in(name, &collection, planned, request.dry_run, draft) {
                Ok(one) => taken.push(one),
                Err(error) => items.push(failed(&id, &source, &error)),
            }
        }
        caller.tell(Telling::Progress(total, total, "adding"));
        record(name, &taken, self.now(), draft)?;
        items.extend(taken.into_iter().map(|one| {
            let result = match (request.dry_run, one.planned.replaces) {
                (false, false) => "added",
                (false, true) => "replaced",
                (true, false) => "would-add",
                (true, true) => "would-replace",
            };
            let told = match one.planned.renamed {
                Renamed::Stays(told) => told,
                Renamed::No | Renamed::File(..) => String::new(),
            };
            ChangeItem {
                path: one.planned.path,
                ..item(
                    &one.planned.id.to_string(),
                    &one.planned.source,
                    result,
                    told,
                )
            }
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
            draft.leave(&place);
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
    draft.put(&target, Source::Disk(planned.from.clone(), Links::Followed))?;
    if let Renamed::File(file, bytes) = &planned.renamed {
        let inner = if planned.from.is_dir() {
            format!("{copy_to}/{}", file.display())
        } else {
            copy_to.clone()
        };
        draft.write(&Place::collection(name, inner), bytes.clone())?;
    }
    Ok(())
}
