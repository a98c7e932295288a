//! Bringing single artifacts back, with what manifest and lock said of them.

use std::collections::BTreeSet;
use std::path::Path;

use skillmeat_shared::collection::edit::{self, Key};
use skillmeat_shared::collection::layout::Found;
use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::collection::{LOCK, MANIFEST};
use skillmeat_shared::history::{Node, capture};
use skillmeat_shared::id::ArtifactRef;
use skillmeat_shared::{ArtifactId, Code, Error, Result};

use super::restore::text_of;
use super::{Opened, artifacts_in};
use crate::app::change::{ChangeItem, Draft, Place, Source};

/// Plans to bring some artifacts back, with their entries; also those of them that were not there.
pub(super) fn some(
    name: &str,
    target: &Opened<'_>,
    wanted: &[ArtifactRef],
    is_dry: bool,
    draft: &mut Draft<'_>,
) -> Result<(Vec<ChangeItem>, Vec<ArtifactId>)> {
    let held = artifacts_in(&target.objects, &target.node)?;
    let (mut items, mut failures) = (Vec::new(), Vec::new());
    let (mut ids, mut come) = (Vec::new(), Vec::new());
    let mut chosen: Vec<&(Found, Node)> = Vec::new();
    for reference in wanted {
        match meant(reference, &held, &target.view.id) {
            Ok(all) => chosen.extend(all),
            Err(error) => failures.push(failed(shown(reference), &error)),
        }
    }
    let mut seen = BTreeSet::new();
    chosen.retain(|(found, _)| seen.insert(&found.path));
    for (found, node) in chosen {
        let id = ArtifactId::new(found.kind.clone(), found.name.clone());
        if found.raw.is_some() {
            let error = Error::new(Code::FileOutside, "its name is not UTF-8")
                .hint("take the whole collection back instead");
            items.push(failed(id.to_string(), &error));
            continue;
        }
        let place = Place::collection(name, &found.path);
        let there = draft.root(name)?.join(&found.path);
        let now = capture(&there, &target.objects)?.node;
        if now.is_none() {
            come.push(id.clone());
        }
        let is_same = now.as_ref() == Some(node);
        if !is_same {
            draft.put(&place, Source::Past(node.clone()))?;
        }
        items.push(ChangeItem {
            id: id.to_string(),
            result: match (is_same, is_dry) {
                (true, _) => "unchanged",
                (false, true) => "would-restore",
                (false, false) => "restored",
            },
            path: found.path.clone(),
            ..ChangeItem::default()
        });
        ids.push(id);
    }
    items.append(&mut failures);
    entries(name, target, &ids, draft)?;
    Ok((items, come))
}

/// What a name or pattern means among the artifacts of a snapshot. A name with `*` in it that is there is a name.
fn meant<'h>(
    reference: &ArtifactRef,
    held: &'h [(Found, Node)],
    id: &str,
) -> Result<Vec<&'h (Found, Node)>> {
    let is_kind = |found: &Found| {
        reference
            .kind
            .as_ref()
            .is_none_or(|kind| found.kind == *kind)
    };
    let named = held
        .iter()
        .filter(|(found, _)| found.name == reference.name && is_kind(found));
    let named: Vec<_> = named.collect();
    if named.len() > 1 {
        return Err(ambiguous(reference, &named));
    }
    if !named.is_empty() {
        return Ok(named);
    }
    let fits = |(found, _): &&(Found, Node)| reference.fits(found.kind.as_str(), &found.name);
    let fitting: Vec<_> = held
        .iter()
        .filter(|_| reference.is_pattern())
        .filter(fits)
        .collect();
    if fitting.is_empty() {
        return Err(no_artifact(reference, id));
    }
    Ok(fitting)
}

/// Brings back what manifest and lock said of artifacts.
fn entries(
    name: &str,
    target: &Opened<'_>,
    ids: &[ArtifactId],
    draft: &mut Draft<'_>,
) -> Result<()> {
    if let Some(old) = text_of(&target.objects, &target.node, Path::new(MANIFEST))? {
        draft.edit_manifest(name, &|text| {
            ids.iter().try_fold(text.to_owned(), |text, id| {
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
                edit::insert(&rest, &block, next.as_ref())
            })
        })?;
    }
    if let Some(old) = text_of(&target.objects, &target.node, Path::new(LOCK))? {
        draft.edit_lock(name, &|text| {
            ids.iter().try_fold(text.to_owned(), |text, id| {
                match edit::lock_block(&old, id)? {
                    Some(block) if edit::lock_block(&text, id)?.as_deref() != Some(&block) => {
                        edit::put_lock(&text, id, &block)
                    }
                    _ => Ok(text),
                }
            })
        })?;
    }
    Ok(())
}

/// The artifact's entry that comes after this one in a manifest, so that order is kept.
fn following(text: &str, key: &Key) -> Result<Option<Key>> {
    let parsed =
        Manifest::parse(text).map_err(|error| Error::new(Code::ManifestInvalid, error.message))?;
    let mut entries = parsed
        .entries
        .into_iter()
        .map(|entry| Key::Artifact(entry.id))
        .skip_while(|other| other != key)
        .skip(1);
    Ok(entries.next())
}

fn failed(id: String, error: &Error) -> ChangeItem {
    ChangeItem {
        id,
        result: "failed",
        reason: error.message.clone(),
        code: Some(error.code),
        ..ChangeItem::default()
    }
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
