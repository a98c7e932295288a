//! After a process that was killed, or a history that failed while it took down how a change ended: what was left
//! half-changed is finished or rolled back, before anybody looks.

use std::sync::atomic::Ordering;

use skillmeat_shared::Result;
use skillmeat_shared::fs::{self, Placed};
use skillmeat_shared::history::restore;

use super::apply::ready;
use super::carry::renamed_by;
use super::names::Followed;
use super::obstacle::InTheWay;
use super::outside::{came_as_a_whole, renewed};
use super::past::{place_of, state_of};
use super::placing::put_in_place;
use super::settings::state_of_config;
use super::undo::take_back;
use super::{Draft, Nobody};
use crate::app::App;
use crate::store::history::operation::{self, Operation, State};

impl App {
    /// Whether no change of a process before this one may still need what it made ready or put aside.
    pub(in crate::app) fn is_settled(&self) -> bool {
        !self.unsettled.load(Ordering::Relaxed) && self.history.lost().is_none()
    }

    /// Finishes or rolls back every operation that was left open. No change is under way. What can't be settled
    /// stays open until the next change or start.
    pub(in crate::app) fn recover_changes(&self) {
        if self.history.path().symlink_metadata().is_err() {
            return;
        }
        // A text of the config that was never put in its place may hold a secret.
        fs::sweep(self.boot.home.root());
        let open = match self.history.read(operation::open) {
            Ok(open) => open,
            Err(error) => {
                self.unsettled.store(true, Ordering::Relaxed);
                tracing::error!(target: "change", "can't look for changes that were cut short: {error}");
                return;
            }
        };
        // The last one first: it stands on those before it.
        for operation in open.iter().rev() {
            match self.settle_change(operation) {
                Ok(how) => tracing::warn!(
                    target: "change",
                    id = operation.id, "a change was cut short and is {how}: {}", operation.what
                ),
                Err(error) => {
                    self.unsettled.store(true, Ordering::Relaxed);
                    tracing::error!(
                        target: "change",
                        id = operation.id, "a change that was cut short can't be rolled back: {error}"
                    );
                }
            }
        }
        if self.is_settled() {
            let home = &self.boot.home;
            for folder in [home.root(), &home.collections(), &home.root().join("state")] {
                fs::sweep_predecessors(folder);
            }
        }
    }

    fn settle_change(&self, operation: &Operation) -> Result<&'static str> {
        let paths = self
            .history
            .read(|connection| operation::paths(connection, operation.id))?;
        let mut draft = Draft::new(self, false, &Nobody);
        let mut is_finished = true;
        let mut places = Vec::new();
        let mut changed = Vec::new();
        for touched in &paths {
            let place = place_of(touched);
            let path = fs::resolve(&draft.on_disk(&place)?)?;
            let (is_before, is_after) = if place.is_config() {
                state_of_config(&draft.past, touched, &path)?
            } else {
                let now = state_of(&path)?;
                (now == touched.before, now == touched.after)
            };
            is_finished &= is_after;
            if !is_before {
                changed.push(touched.clone());
            }
            places.push((place, path, touched.after.is_none()));
        }
        if is_finished {
            let mut renewed = renewed(self, &draft, &places)?;
            match renamed_by(&paths) {
                Some(renamed) => {
                    self.carry_archives(&renamed)?;
                }
                None => renewed.extend(came_as_a_whole(self, operation.id)?),
            }
            draft
                .past
                .finish(operation.id, State::Done, self, &renewed)?;
            return Ok("finished");
        }
        let changed: Vec<Followed> = changed.into_iter().map(Followed::from).collect();
        for InTheWay { place, .. } in take_back(&mut draft, &changed)? {
            tracing::warn!(
                target: "change",
                id = operation.id,
                "`{}` was changed by somebody else since and stays as it is", place.path
            );
        }
        let moves = ready(&mut draft)?;
        restore::flush(&draft.past.unflushed())?;
        let (late, old) = put_in_place(&mut draft, moves)?.seal(&mut draft, |_| Ok(()))?;
        old.into_iter().for_each(Placed::keep);
        draft.past.close(operation.id, State::RolledBack, self)?;
        // The log has them; nobody waits for an answer.
        drop(self.keep_late(&mut draft, operation.id, &late));
        Ok("rolled back")
    }
}
