//! Curation: what a person does to artifacts that are there.
//!
//! Invariants: each call is one operation; what fails alone is an item of its report and leaves the others
//! alone; an artifact's own file, its entry in the manifest and in the lock, its groups and its rating change
//! together.

mod files;
mod rate;
pub(in crate::app) mod relock;
mod remove;
mod rename;
mod save;
mod set;
mod transfer;
mod validate;

use std::collections::BTreeMap;

use skillmeat_shared::collection::LOCK;
use skillmeat_shared::collection::edit::{self, Key};
use skillmeat_shared::collection::entry::Entry;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::collection::spelling;
use skillmeat_shared::{ArtifactId, Code, Error, Kind, Result};

use super::App;
use super::change::{Actor, Asked, Caller, ChangeItem, ChangeSummary, Draft, Place, Progress};
use super::selection::Selection;
use crate::store::list::Summary;

pub(in crate::app) use files::{WithName, with_name};
pub(in crate::app) use rate::Rated;
use relock::{Touched, relock};

pub use rate::RateRequest;
pub use remove::RemoveRequest;
pub(in crate::app) use remove::take_out;
pub use rename::RenameRequest;
pub use save::{Opened, SaveRequest};
pub use set::{Field, SetRequest};
pub use transfer::TransferRequest;
pub use validate::{ValidateRequest, Validated, Validation};

/// How a call speaks of itself.
struct Work<'a> {
    /// The use-case, such as `artifact.remove`.
    verb: &'static str,
    /// The same for a person: `remove`.
    words: String,
    /// What its summary counts, the good result first.
    results: &'a [&'static str],
    dry_run: bool,
}

/// The artifacts of a batch, and what is known of their collection.
struct Batch<'a> {
    collection: &'a str,
    rows: &'a [Summary],
    entries: Entries,
    items: Vec<ChangeItem>,
    progress: Progress<'a>,
}

/// What a manifest has entries of.
struct Entries {
    manifest: Manifest,
    /// Where each has its entry, the first if there are several.
    places: BTreeMap<ArtifactId, usize>,
}

impl Entries {
    fn of(draft: &mut Draft<'_>, collection: &str) -> Result<Self> {
        let (_, manifest) = draft.parsed(collection)?;
        let mut places = BTreeMap::new();
        for (place, entry) in manifest.entries.iter().enumerate() {
            places.entry(entry.id.clone()).or_insert(place);
        }
        Ok(Self { manifest, places })
    }

    fn entry_of(&self, id: &ArtifactId) -> Option<&Entry> {
        self.manifest.entries.get(*self.places.get(id)?)
    }

    /// The entry of a row, if there is one.
    fn key_of(&self, row: &Summary) -> Option<Key> {
        let id = id_of(row);
        if row.status == "declared" {
            let servers = &self.manifest.mcp_servers;
            let server = servers.iter().find(|server| server.name == row.name)?;
            return Some(Key::McpServer(server.name.clone()));
        }
        self.places.contains_key(&id).then_some(Key::Artifact(id))
    }
}

impl Batch<'_> {
    fn done(&mut self, row: &Summary, result: &'static str, reason: &str, path: &str) {
        self.tell();
        self.items.push(ChangeItem {
            id: id_of(row).to_string(),
            result,
            reason: reason.to_owned(),
            path: path.to_owned(),
            ..ChangeItem::default()
        });
    }

    /// The artifact of a row, for the lock file to follow what is drafted in its files.
    fn touched(&self, row: &Summary) -> Option<Touched> {
        Touched::of(&self.entries.manifest, row, self.collection)
    }

    fn failed(&mut self, row: &Summary, error: &Error) {
        self.tell();
        self.items.push(failed(&id_of(row).to_string(), error));
    }

    fn tell(&self) {
        let (done, total) = (self.items.len(), self.rows.len());
        self.progress.at(done.min(total), total, "planning");
    }
}

/// The item of something that could not be done.
fn failed(id: &str, error: &Error) -> ChangeItem {
    let result = match error.code {
        Code::ArtifactExists | Code::FileExists => "conflict",
        _ => "failed",
    };
    let line = error.line.map(|line| format!(" (line {line})"));
    let mut reason = format!("{}{}", error.message, line.unwrap_or_default());
    for hint in &error.hints {
        reason.push_str("; ");
        reason.push_str(hint);
    }
    ChangeItem {
        id: id.to_owned(),
        result,
        reason,
        code: Some(error.code),
        ..ChangeItem::default()
    }
}

pub(in crate::app) fn id_of(row: &Summary) -> ArtifactId {
    ArtifactId::new(Kind::from_manifest(&row.kind), row.name.clone())
}

/// What was done, and what else is to be known of it.
fn also(told: String, more: Option<String>) -> String {
    match more {
        Some(more) => format!("{told}; {more}"),
        None => told,
    }
}

/// What a dry run says instead.
const fn said(dry_run: bool, would: &'static str, did: &'static str) -> &'static str {
    if dry_run { would } else { did }
}

impl App {
    /// Runs a plan over the artifacts of a selection, as one operation.
    fn curate(
        &self,
        work: &Work<'_>,
        selection: &Selection,
        caller: &dyn Caller,
        plan: &dyn Fn(&mut Draft<'_>, &mut Batch<'_>) -> Result<()>,
    ) -> Result<ChangeSummary> {
        let collection = self.known_collection(&selection.collection)?;
        let asked = Asked {
            verb: work.verb,
            what: format!("{} {} in `{collection}`", work.words, selection.words()),
            actor: Actor::CommandLine,
            undoes: None,
            dry_run: work.dry_run,
        };
        let changed = self.change_told(&asked, caller, &|draft| {
            // Only what the rows say of the files as they are can be chosen.
            draft.existing(&collection)?;
            let selected = self.select(&collection, selection)?;
            let (rows, unspoken): (Vec<Summary>, Vec<Summary>) = selected
                .rows
                .into_iter()
                .partition(|row| spelling::is_plain(&row.path));
            let entries = Entries::of(draft, &collection)?;
            // The row of what somebody removed just now may still be there.
            let (rows, gone): (Vec<Summary>, Vec<Summary>) = rows.into_iter().partition(|row| {
                let place = files::place_of(&collection, row);
                entries.key_of(row).is_some()
                    || !row.path.is_empty() && draft.exists(&place).unwrap_or(true)
            });
            let mut batch = Batch {
                collection: &collection,
                rows: &rows,
                entries,
                items: Vec::new(),
                progress: Progress::new(caller),
            };
            for (name, error) in &selected.failed {
                batch.items.push(failed(name, error));
            }
            for row in &unspoken {
                if let Err(error) = spelling::plain(&row.path) {
                    batch.failed(row, &error);
                }
            }
            for row in &gone {
                let message = "it has neither files nor an entry in the manifest";
                batch.failed(row, &Error::new(Code::FileNotFound, message));
            }
            plan(draft, &mut batch)?;
            Ok(batch.items)
        })?;
        Ok(ChangeSummary::told(
            &collection,
            work.results,
            &changed.report,
            &changed,
            caller,
        ))
    }
}

/// Edits the lock file, if there is one.
fn edit_lock(
    draft: &mut Draft<'_>,
    collection: &str,
    edit: &dyn Fn(&str) -> Result<String>,
) -> Result<()> {
    if draft.exists(&Place::collection(collection, LOCK))? {
        draft.edit_lock(collection, edit)?;
    }
    Ok(())
}

/// Takes a manifest's groups, and links between its entries, along when artifacts get other names or go. A link to
/// what goes stays: it says what is missing.
fn regroup(text: &str, moved: &[(ArtifactId, Option<String>)]) -> Result<String> {
    if moved.is_empty() {
        return Ok(text.to_owned());
    }
    let renamed = moved.iter().cloned();
    let renamed: Vec<(ArtifactId, String)> =
        renamed.filter_map(|(id, new)| Some((id, new?))).collect();
    edit::rename_links(&edit::rename_members(text, moved)?, &renamed)
}
