//! Snapshots that are not whole any more: noted when they are verified, told as a warning until they are whole or
//! deleted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::PoisonError;

use skillmeat_shared::Result;
use skillmeat_shared::error::word;
use skillmeat_shared::health::Finding;
use skillmeat_shared::history::ancestor;

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

    /// Notes what a look at snapshots found. If it was at all of these collections, what they have no more is forgotten.
    pub(super) fn note_damage(&self, verified: &[Verified], whole: &[String]) -> Result<()> {
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
        let is_there = |known: &Damage| {
            let mut views = verified.iter().map(|(view, _)| view);
            views.any(|view| view.collection == known.collection && view.id == known.snapshot)
        };
        let gone: Vec<&Damage> = known
            .iter()
            .filter(|one| whole.contains(&one.collection) && !is_there(one))
            // What can't be read tells of none.
            .filter(|one| self.ancestors(&one.collection).is_ok())
            .collect();
        if found.is_empty() && gone.is_empty() || self.boot.home.is_read_only() {
            return Ok(());
        }
        self.history.write(|transaction| {
            for ((view, _), damage) in &found {
                match damage {
                    Some(damage) => damage::set(transaction, damage)?,
                    None => damage::clear(transaction, &view.collection, &view.id)?,
                }
            }
            for one in gone {
                damage::clear(transaction, &one.collection, &one.snapshot)?;
            }
            Ok(())
        })?;
        self.recall_damage();
        Ok(())
    }

    /// Where the ancestor's archive of a snapshot belongs, if its index says no other place.
    fn archive_of(&self, damage: &Damage) -> PathBuf {
        let file = format!("{}.tar.gz", damage.snapshot);
        self.boot.home.snapshots(&damage.collection).join(file)
    }

    /// How a person has one of the ancestor's snapshots go.
    pub(super) fn way_out_of_index(&self, collection: &str) -> String {
        let index = self.boot.home.snapshots(collection).join(ancestor::INDEX);
        format!("take its `[[snapshots]]` out of `{}`", index.display())
    }

    /// What is known of damage.
    pub(super) fn damaged(&self) -> Vec<Damage> {
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
            let verify = format!("`sm snapshot verify -c {named}`");
            let ours = all.iter().any(|one| one.is_ours).then(|| {
                format!("bring a backup of the history back, or `sm snapshot delete ID -c {named}`")
            });
            let theirs = all.iter().find(|one| !one.is_ours).map(|one| {
                format!(
                    "bring the ancestor's `{}` back, or {}, then {verify}",
                    self.archive_of(one).display(),
                    self.way_out_of_index(&one.collection)
                )
            });
            let hints = [
                Some(format!("{verify} tells all that is wrong")),
                ours,
                theirs,
            ];
            (collection, message, hints.into_iter().flatten().collect())
        };
        by_collection.into_iter().map(finding).collect()
    }
}

fn damage_of((view, problems): &Verified) -> Option<Damage> {
    let (path, why) = problems.first()?;
    Some(Damage {
        is_ours: view.is_ours(),
        collection: view.collection.clone(),
        snapshot: view.id.clone(),
        why: if path.is_empty() {
            why.clone()
        } else {
            format!("`{path}`: {why}")
        },
    })
}
