//! Snapshots that are not whole any more: noted when they are verified, told as a warning until they are whole or
//! deleted.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use skillmeat_shared::Result;
use skillmeat_shared::error::word;
use skillmeat_shared::health::Finding;

use super::keep::Verified;
use crate::app::App;
use crate::store::history::damage::{self, Damage};

/// Snapshots that a warning names.
const NAMED: usize = 3;

impl App {
    /// Takes over what is known of damage; the history is there already.
    pub(in crate::app) fn recall_damage(&self) {
        if self.history.path().symlink_metadata().is_err() {
            return;
        }
        // Held while it is read: what was read first must not win.
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        match self.history.read(damage::all) {
            Ok(all) => {
                *damaged = all;
                self.boot.health.stir();
            }
            Err(error) => {
                tracing::warn!(target: "history", "can't tell which snapshots are damaged: {error}");
            }
        }
    }

    /// Notes what a look at snapshots found.
    pub(super) fn note_damage(&self, verified: &[Verified]) -> Result<()> {
        // Not from memory: it may not have been read yet.
        let known = self.history.read(damage::all)?;
        let found: Vec<(&Verified, Option<Damage>)> = verified
            .iter()
            .map(|one| (one, damage_of(one)))
            .filter(|((view, _), found)| {
                let before = known
                    .iter()
                    .find(|one| one.collection == view.collection && one.snapshot == view.id);
                before != found.as_ref()
            })
            .collect();
        if found.is_empty() || self.boot.home.is_read_only() {
            return Ok(());
        }
        self.history.write(|transaction| {
            for ((view, _), damage) in &found {
                match damage {
                    Some(damage) => damage::set(transaction, damage)?,
                    None => damage::clear(transaction, &view.collection, &view.id)?,
                }
            }
            Ok(())
        })?;
        self.recall_damage();
        Ok(())
    }

    fn damaged(&self) -> Vec<Damage> {
        let damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.clone()
    }

    /// One warning for each collection with snapshots that are not whole.
    pub(in crate::app) fn damage_findings(&self) -> Vec<Finding> {
        let mut by_collection: BTreeMap<String, Vec<Damage>> = BTreeMap::new();
        for one in self.damaged() {
            by_collection
                .entry(one.collection.clone())
                .or_default()
                .push(one);
        }
        let finding = |(collection, all): (String, Vec<Damage>)| {
            let named: Vec<String> = all
                .iter()
                .take(NAMED)
                .map(|one| format!("`{}` ({})", one.snapshot, one.why))
                .collect();
            let more = all.len().saturating_sub(NAMED);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let message = format!(
                "snapshots of `{collection}` are damaged: {}{more}",
                named.join(", ")
            );
            let named = word(&collection);
            let hints = vec![
                format!("`sm snapshot verify -c {named}` tells all that is wrong"),
                format!(
                    "bring a backup of the history back, or `sm snapshot delete ID -c {named}`"
                ),
            ];
            (collection, message, hints)
        };
        by_collection.into_iter().map(finding).collect()
    }
}

fn damage_of((view, problems): &Verified) -> Option<Damage> {
    let (path, why) = problems.first()?;
    Some(Damage {
        collection: view.collection.clone(),
        snapshot: view.id.clone(),
        why: if path.is_empty() {
            why.clone()
        } else {
            format!("`{path}`: {why}")
        },
    })
}
