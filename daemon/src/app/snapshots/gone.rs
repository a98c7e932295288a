//! Collections that are gone, of which snapshots are kept.

use std::path::Path;

use skillmeat_shared::collection::manifest::Manifest;
use skillmeat_shared::collection::{MANIFEST, edit};
use skillmeat_shared::error::word;
use skillmeat_shared::history::tree::{Entry, Tree};
use skillmeat_shared::history::{Node, diff, object};
use skillmeat_shared::{ArtifactId, Error, Result};

use super::ratings::Turned;
use super::restore::{RESULTS, RollbackRequest, asked, text_of};
use super::{Opened, artifacts_in};
use crate::app::change::{Caller, ChangeItem, ChangeSummary, Place, Source};
use crate::app::{App, collections};
use crate::store::history::{Batch, operation};

/// What a clone has, and no snapshot.
const GIT: &str = ".git";

impl App {
    /// Whether nothing stands where a collection of this name would, and none lies elsewhere.
    pub(super) fn is_gone(&self, name: &str) -> Result<bool> {
        let views = self.store()?.read(crate::store::collection::all)?;
        let lies_elsewhere = views.iter().any(|view| view.name == name && view.external);
        Ok(!lies_elsewhere && self.boot.home.collection(name).symlink_metadata().is_err())
    }

    /// The error that there is no such collection; its snapshots may be there still.
    pub(super) fn gone(&self, name: &str) -> Error {
        let error = collections::not_found(name);
        if !matches!(self.snapshots(name, false, 1), Ok((_, total, _)) if total > 0) {
            return error;
        }
        let place = self.boot.home.collection(name);
        let way = format!(
            "`sm rollback ID --collection {}` brings it back",
            word(name)
        );
        error.hint(if place.symlink_metadata().is_ok() {
            format!(
                "its snapshots are kept: move `{}` away, then {way}",
                place.display()
            )
        } else {
            format!("its snapshots are kept: {way}")
        })
    }

    /// Brings a collection back that is gone, with the ratings that it had. Nothing is there that a snapshot before it
    /// could hold.
    pub(super) fn bring_back(
        &self,
        name: &str,
        target: &Opened<'_>,
        request: &RollbackRequest,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        let items = artifacts_in(&target.objects, &target.node)?;
        let items = items.into_iter().map(|(found, _)| ChangeItem {
            id: ArtifactId::new(found.kind, found.name).to_string(),
            result: if request.dry_run {
                "would-restore"
            } else {
                "restored"
            },
            path: found.path,
            ..ChangeItem::default()
        });
        let items: Vec<ChangeItem> = items.collect();
        let mut changed = self.change_told(&asked(request), caller, &|draft| {
            let place = Place::collection_as_whole(name);
            if draft.exists(&place)? {
                return Err(collections::exists(name, "run the command again"));
            }
            let node = called(name, &target.node, draft.objects())?;
            draft.put(&place, Source::Past(node))?;
            self.turn_ratings(name, target.view.at, draft, &|_| {
                Turned::into(&target.objects, &target.node)
            })
        })?;
        changed.notes.extend(self.without_git(name, target)?);
        Ok(ChangeSummary::told(
            name, &RESULTS, &items, &changed, caller,
        ))
    }

    /// What to know of a collection that was a clone when it was deleted: no snapshot holds what git keeps.
    fn without_git(&self, name: &str, target: &Opened<'_>) -> Result<Option<String>> {
        let place = Place::collection_as_whole(name).path;
        let deleted = self
            .history
            .read(|connection| operation::first_at(connection, "", &place, target.view.at, 0))?;
        let Some((id, Some(before))) = deleted else {
            return Ok(None);
        };
        // What retention took can't be looked into, nor brought back.
        let git = diff::find(&*self.history, &before, Path::new(GIT))
            .ok()
            .flatten();
        Ok(git.map(|_| {
            format!("its `{GIT}` is in no snapshot: `sm undo {id}` instead brings that back, too")
        }))
    }
}

/// The state of a collection, which is called so now: it may have had another name when the snapshot was made.
fn called(name: &str, node: &Node, objects: &Batch<'_>) -> Result<Node> {
    let said = |text: &str| Manifest::parse(text).ok()?.header.name;
    let text = text_of(objects, node, Path::new(MANIFEST))?.unwrap_or_default();
    let is_other = said(&text).is_some_and(|said| said != name);
    let (Node::Folder { mode, hash }, true, Ok(text)) = (node, is_other, edit::rename(&text, name))
    else {
        return Ok(node.clone());
    };
    let mut entries: Vec<Entry> = Tree::load(objects, hash)?.into_entries();
    for entry in &mut entries {
        if let (true, Node::File { size, hash, .. }) = (entry.name == MANIFEST, &mut entry.node) {
            *size = text.len() as u64;
            *hash = object::put(objects, text.as_bytes())?;
        }
    }
    Ok(Node::Folder {
        mode: *mode,
        hash: Tree::new(entries)?.keep(objects, None)?,
    })
}
