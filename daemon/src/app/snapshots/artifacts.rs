//! Single artifacts that come back from a snapshot, with what manifest and lock said of them, and in the
//! groups that held them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use skillmeat_shared::collection::edit::{self, Key};
use skillmeat_shared::collection::layout::Found;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::collection::membership::ByName;
use skillmeat_shared::collection::{LOCK, MANIFEST};
use skillmeat_shared::error::word;
use skillmeat_shared::history::{Node, capture};
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::ratings::ids_in;
use super::restore::{RollbackRequest, text_of};
use super::{Opened, artifacts_in};
use crate::app::App;
use crate::app::change::{Caller, ChangeItem, Draft, Place, Source, named};
use crate::app::curation::{id_of, take_out};
use crate::app::selection::Selection;
use crate::store::list::Summary;

/// An artifact, and a group that held it and is gone.
type Gone = (ArtifactId, String);

/// Artifacts that were drafted to come back.
pub(super) struct Restored {
    pub(super) items: Vec<ChangeItem>,
    /// Those that were not there.
    pub(super) come: BTreeSet<ArtifactId>,
    pub(super) notes: Vec<String>,
}

/// Plans to bring some artifacts back, with their entries; also those of them that were not there. A rollback takes
/// away those that the snapshot did not have. A name that means none is an error of the whole.
pub(super) fn some(
    app: &App,
    name: &str,
    target: &Opened<'_>,
    request: &RollbackRequest,
    draft: &mut Draft<'_>,
    caller: &dyn Caller,
) -> Result<Restored> {
    let is_dry = request.dry_run;
    let held = artifacts_in(&target.objects, &target.node)?;
    let known = if request.restore {
        None
    } else {
        // Only what the rows say of the files as they are can go.
        draft.existing(name)?;
        ids_in(&target.objects, &target.node)?
    };
    let mut ids = Vec::new();
    let (mut come, mut as_then) = (BTreeSet::new(), BTreeSet::new());
    let mut chosen: Vec<&(Found, Node)> = Vec::new();
    let mut newer: BTreeMap<i64, Summary> = BTreeMap::new();
    for reference in &request.artifacts {
        let then = meant(reference, &held)?;
        let count = newer.len();
        if let (Some(known), true) = (&known, then.is_empty() || reference.is_pattern()) {
            let selected = app.select(name, &Selection::one(name, reference))?;
            let mut failed = selected.failed.into_iter().map(|(_, error)| error);
            if let Some(error) = failed.find(|error| error.code != Code::ArtifactNotFound) {
                return Err(error);
            }
            let rows = selected.rows.into_iter();
            let rows = rows.filter(|row| !known.contains(&id_of(row)));
            newer.extend(rows.map(|row| (row.row, row)));
        }
        if then.is_empty() && newer.len() == count {
            return Err(no_artifact(reference, &target.view.id));
        }
        chosen.extend(then);
    }
    let newer: Vec<Summary> = newer.into_values().collect();
    let mut items = take_out(&newer, name, is_dry, draft, caller)?;
    let mut seen = BTreeSet::new();
    chosen.retain(|(found, _)| seen.insert(&found.path));
    for (found, node) in chosen {
        let id = ArtifactId::new(found.kind.clone(), found.name.clone());
        if found.raw.is_some() {
            let message = format!("the name of `{id}` is not UTF-8");
            return Err(Error::new(Code::FileOutside, message)
                .hint("take the whole collection back instead"));
        }
        let place = Place::collection(name, &found.path);
        let there = draft.root(name)?.join(&found.path);
        let now = capture(&there, &target.objects)?.node;
        if now.is_none() {
            come.insert(id.clone());
        }
        if now.as_ref() == Some(node) {
            as_then.insert(id.clone());
        } else {
            draft.put(&place, Source::Past(node.clone()))?;
        }
        items.push(ChangeItem {
            id: id.to_string(),
            result: if is_dry { "would-restore" } else { "restored" },
            path: found.path.clone(),
            ..ChangeItem::default()
        });
        ids.push(id);
    }
    let (changed, gone) = entries(name, target, &ids, draft)?;
    for id in as_then.difference(&changed).map(ToString::to_string) {
        let same = items.iter_mut().filter(|item| item.id == id);
        same.for_each(|item| item.result = "unchanged");
    }
    Ok(Restored {
        items,
        come,
        notes: not_anew(gone),
    })
}

/// What a name or pattern means among the artifacts of a snapshot: maybe none. A name with `*` in it that is there is
/// a name.
fn meant<'h>(reference: &ArtifactRef, held: &'h [(Found, Node)]) -> Result<Vec<&'h (Found, Node)>> {
    let is_kind = |found: &Found| {
        reference
            .kind
            .as_ref()
            .is_none_or(|kind| found.kind == *kind)
    };
    let named = held
        .iter()
        .filter(|(found, _)| found.name == reference.name && is_kind(found))
        .filter(|_| !reference.is_all());
    let named: Vec<_> = named.collect();
    if named.len() > 1 {
        return Err(ambiguous(reference, &named));
    }
    if !named.is_empty() {
        return Ok(named);
    }
    let fits = |(found, _): &&(Found, Node)| reference.fits(found.kind.as_str(), &found.name);
    let fitting = held.iter().filter(|_| reference.is_pattern());
    Ok(fitting.filter(fits).collect())
}

/// Notes on groups that are gone, with those that they held.
fn not_anew(gone: Vec<Gone>) -> Vec<String> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, group) in gone {
        groups.entry(group).or_default().push(id.to_string());
    }
    let note = |(group, ids): (String, Vec<String>)| {
        format!(
            "the group `{group}` that held {} is gone, and is not made anew: `sm group create {}` makes it",
            named(&ids),
            word(&group)
        )
    };
    groups.into_iter().map(note).collect()
}

/// Brings back what manifest and lock said of artifacts, and their places in groups. Tells which of them that changed,
/// and which were in groups that are gone.
fn entries(
    name: &str,
    target: &Opened<'_>,
    ids: &[ArtifactId],
    draft: &mut Draft<'_>,
) -> Result<(BTreeSet<ArtifactId>, Vec<Gone>)> {
    if ids.is_empty() {
        return Ok((BTreeSet::new(), Vec::new()));
    }
    let changed = RefCell::new(BTreeSet::new());
    let is_changed = |id: &ArtifactId| {
        changed.borrow_mut().insert(id.clone());
    };
    let gone = RefCell::new(Vec::new());
    if let Some(old) = text_of(&target.objects, &target.node, Path::new(MANIFEST))? {
        let held = ids_in(&target.objects, &target.node)?.unwrap_or_default();
        draft.edit_manifest(name, &|text| {
            let text = ids.iter().try_fold(text.to_owned(), |text, id| {
                let key = Key::Artifact(id.clone());
                let Some(block) = edit::block(&old, &key)? else {
                    return Ok(text);
                };
                let (rest, next) = match edit::block(&text, &key)? {
                    Some(now) if now == block => return Ok(text),
                    Some(_) => {
                        let next = following(&text, &key)?;
                        (edit::remove(&text, &[key])?, next)
                    }
                    None => (text, None),
                };
                is_changed(id);
                edit::insert(&rest, &block, next.as_ref())
            })?;
            let then = parsed(&old)?;
            if then.groups.is_empty() {
                return Ok(text);
            }
            let now = parsed(&text)?;
            let now = now.entries.into_iter().map(|entry| entry.id);
            let known = ByName::of(now.chain(held.clone()).chain(ids.iter().cloned()));
            let back = edit::rejoin(&text, &then.groups, ids, &known)?;
            back.joined.iter().for_each(is_changed);
            gone.replace(back.gone);
            Ok(back.text)
        })?;
    }
    if let Some(old) = text_of(&target.objects, &target.node, Path::new(LOCK))? {
        draft.edit_lock(name, &|text| {
            ids.iter().try_fold(text.to_owned(), |text, id| {
                match edit::lock_block(&old, id)? {
                    Some(block) if edit::lock_block(&text, id)?.as_deref() != Some(&block) => {
                        is_changed(id);
                        edit::put_lock(&text, id, &block)
                    }
                    _ => Ok(text),
                }
            })
        })?;
    }
    Ok((changed.into_inner(), gone.into_inner()))
}

fn parsed(text: &str) -> Result<Manifest> {
    Manifest::parse(text).map_err(|error| Error::new(Code::ManifestInvalid, error.message))
}

/// The artifact's entry that comes after this one in a manifest, so that order is kept.
fn following(text: &str, key: &Key) -> Result<Option<Key>> {
    let mut entries = parsed(text)?
        .entries
        .into_iter()
        .map(|entry| Key::Artifact(entry.id))
        .skip_while(|other| other != key)
        .skip(1);
    Ok(entries.next())
}

fn shown(reference: &ArtifactRef) -> String {
    match &reference.kind {
        Some(kind) => format!("{kind}:{}", reference.name),
        None => reference.name.clone(),
    }
}

fn no_artifact(reference: &ArtifactRef, id: &str) -> Error {
    let message = format!("the snapshot `{id}` has no artifact `{}`", shown(reference));
    Error::new(Code::ArtifactNotFound, message)
        .hint(format!("`sm snapshot show {id}` lists those that it has"))
}

fn ambiguous(reference: &ArtifactRef, matching: &[&(Found, Node)]) -> Error {
    let names: Vec<String> = matching
        .iter()
        .map(|(found, _)| format!("`{}:{}`", found.kind, found.name))
        .collect();
    let message = format!("`{}` means {}", reference.name, names.join(" or "));
    Error::new(Code::ArtifactAmbiguous, message).hint("name its kind, too")
}
