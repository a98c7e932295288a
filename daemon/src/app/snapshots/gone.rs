//! Collections that are gone, of which snapshots are kept.

use skillmeat_shared::error::word;
use skillmeat_shared::{ArtifactId, Error, Result};

use super::ratings::Turned;
use super::restore::{RESULTS, RollbackRequest, asked};
use super::{Opened, artifacts_in};
use crate::app::change::{Caller, ChangeItem, ChangeSummary, Place, Source};
use crate::app::{App, collections};

impl App {
    /// Whether there is no collection of this name, and nothing in its place.
    pub(super) fn is_gone(&self, name: &str) -> Result<bool> {
        let views = self.store()?.read(crate::store::collection::all)?;
        let is_known = views.iter().any(|view| view.name == name);
        Ok(!is_known && self.boot.home.collection(name).symlink_metadata().is_err())
    }

    /// The error that there is no such collection; its snapshots may be there still.
    pub(super) fn gone(&self, name: &str) -> Error {
        let error = collections::not_found(name);
        match self.snapshots(name, false, 1) {
            Ok((_, total, _)) if total > 0 => error.hint(format!(
                "its snapshots are kept: `sm rollback ID --collection {}` brings all of it back",
                word(name)
            )),
            _ => error,
        }
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
        let changed = self.change_told(&asked(request), caller, &|draft| {
            let place = Place::collection_as_whole(name);
            if draft.exists(&place)? {
                return Err(collections::exists(name, "run the command again"));
            }
            draft.put(&place, Source::Past(target.node.clone()))?;
            self.turn_ratings(name, target.view.at, draft, &|_| {
                Turned::into(&target.objects, &target.node)
            })
        })?;
        Ok(ChangeSummary::told(
            name, &RESULTS, &items, &changed, caller,
        ))
    }
}
