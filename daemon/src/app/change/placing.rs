//! Places change, all of them or none: by renames, so that each is one thing or the other at any moment.

use std::path::{Path, PathBuf};

use skillmeat_shared::fs::{Expected, Placed, Staged, has_content, take_out};
use skillmeat_shared::history::Node;
use skillmeat_shared::{Error, Result, failpoint};

use super::draft::{Draft, is_manifest};
use super::late::{self, Aside};
use super::outside::told_of_others;
use super::past::{self, state_of};
use super::place::{Place, Root};
use super::settings::Sides;
use crate::store::history::operation::TouchedPath;

/// One path that changes places, ready to do so.
pub(super) struct Move {
    pub(super) place: Place,
    pub(super) target: PathBuf,
    /// Where it is put aside, if not beside its place.
    pub(super) room: Option<PathBuf>,
    pub(super) staged: Option<Staged>,
    pub(super) before: Option<Node>,
    pub(super) after: Option<Node>,
    /// What is recorded instead of these two states.
    pub(super) recorded: Option<Sides>,
    /// The hash of the bytes that stood there, for files that were read.
    pub(super) expected: Option<Expected>,
}

impl Move {
    /// What comes first: new files, then what refers to them, then removals. Of the documents the lock comes
    /// first: what only it names is nothing yet.
    pub(super) fn rank(&self) -> u8 {
        match (&self.staged, &self.place.root) {
            (None, _) => 4,
            (Some(_), Root::Home) => 3,
            (Some(_), _) if is_manifest(&self.place) => 2,
            (Some(_), _) if self.place.is_document() => 1,
            (Some(_), _) => 0,
        }
    }

    pub(super) fn touched(&self) -> TouchedPath {
        let sides = || (self.before.clone(), self.after.clone());
        let (before, after) = self.recorded.clone().unwrap_or_else(sides);
        past::touched(&self.place, before, after)
    }

    fn run(self) -> Result<Placed> {
        let Self {
            target,
            room,
            staged,
            before,
            expected,
            ..
        } = self;
        let is_expected = |path: &Path| match &expected {
            Some(expected) => has_content(path, expected),
            None => Ok(state_of(path)? == before),
        };
        match (staged, &before) {
            (Some(staged), None) => staged.place(),
            (Some(staged), Some(_)) => staged.replace(&is_expected),
            (None, _) => take_out(&target, room.as_deref(), &is_expected),
        }
    }
}

/// Places that have changed, and may still be taken back.
#[derive(Default)]
pub(super) struct Moved {
    placed: Vec<Placed>,
    /// What stood there.
    asides: Vec<Aside>,
    /// What was meant to stand there.
    meant: Vec<TouchedPath>,
}

/// Lets all places change, or none.
pub(super) fn put_in_place(draft: &mut Draft<'_>, moves: Vec<Move>) -> Result<Moved> {
    let mut moved = Moved::default();
    let total = moves.len();
    for (done, one) in moves.into_iter().enumerate() {
        draft.progress.at(done, total, "changing");
        let changed = failpoint::step("change.placing").and_then(|()| moved.add(one));
        if let Err(error) = changed {
            return Err(moved.take_back(draft, error));
        }
    }
    Ok(moved)
}

impl Moved {
    fn add(&mut self, one: Move) -> Result<()> {
        let aside = Aside {
            place: one.place.clone(),
            before: one.before.clone(),
        };
        let meant = one.touched();
        self.placed.push(one.run()?);
        self.asides.push(aside);
        self.meant.push(meant);
        Ok(())
    }

    /// Makes sure that all of it outlives a power cut, and does what seals it; or takes all of it back. What others still
    /// wrote to what was replaced, and all of that, which goes when it is dropped.
    pub(super) fn seal(
        self,
        draft: &mut Draft<'_>,
        seal: impl FnOnce(&mut Draft<'_>) -> Result<()>,
    ) -> Result<(Vec<TouchedPath>, Vec<Placed>)> {
        let sealed = Placed::flush(&self.placed).and_then(|()| seal(draft));
        if let Err(error) = sealed {
            return Err(self.take_back(draft, error));
        }
        // What was made for the draft stays: things stand in it now.
        draft.made.clear();
        failpoint::hit("late.sealed").ok();
        let asides: Vec<_> = self.asides.into_iter().zip(self.placed).collect();
        let late = late::captured(draft, &asides);
        Ok((late, asides.into_iter().map(|(_, placed)| placed).collect()))
    }

    /// Takes back what was done, the last first, after what others wrote into it was kept.
    fn take_back(self, draft: &mut Draft<'_>, error: Error) -> Error {
        keep_edits(draft, &self.placed, &self.meant);
        let mut error = error;
        for one in self.placed.into_iter().rev() {
            let target = one.target().to_path_buf();
            if let Err(failed) = one.take_back() {
                tracing::error!(target: "change", "can't take back `{}`: {failed}", target.display());
                for hint in failed.hints {
                    error = error.hint(hint);
                }
                error = error.hint(format!("`{}` could not be taken back", target.display()));
            }
        }
        error
    }
}

/// Keeps what others wrote into things that were just put in place, and are about to be taken back.
fn keep_edits(draft: &mut Draft<'_>, placed: &[Placed], meant: &[TouchedPath]) {
    let mut edited = Vec::new();
    for (placed, meant) in placed.iter().zip(meant) {
        if meant.after.is_none() {
            continue;
        }
        match draft.past.capture(placed.target()) {
            Ok(now) if now == meant.after => {}
            Ok(now) => edited.push(TouchedPath {
                before: meant.after.clone(),
                after: now,
                ..meant.clone()
            }),
            Err(error) => tracing::warn!(target: "change", "can't tell who wrote since: {error}"),
        }
    }
    if !edited.is_empty()
        && let Err(error) = told_of_others(draft, &edited)
    {
        tracing::error!(target: "change", "can't keep what another program wrote: {error}");
    }
}
