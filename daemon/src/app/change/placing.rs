//! Places change, all of them or none: by renames, so that each is one thing or the other at any moment.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use skillmeat_shared::fs::{Expected, Placed, Staged, has_content, take_out};
use skillmeat_shared::history::Node;
use skillmeat_shared::thread::beside;
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
    /// Where it is put aside when nothing comes instead, if not beside its place.
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

    fn run(&mut self) -> Result<Placed> {
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
            None => Ok(state_of(path)? == *before),
        };
        match (staged.take(), &before) {
            (Some(staged), None) => staged.place(),
            (Some(staged), Some(_)) => staged.replace(&is_expected),
            (None, _) => take_out(target, room.as_deref(), &is_expected),
        }
    }
}

/// Places that change before it is told how far it is.
const TOGETHER: usize = 256;

/// Places from which on two threads let them change sooner than one.
const MANY: usize = 16;

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
    let mut rest = moves;
    while !rest.is_empty() {
        draft.progress.at(total - rest.len(), total, "changing");
        let later = rest.split_off(together(&rest));
        let second = rest.split_off(half(&rest));
        let first = Mutex::new(rest);
        let first = || {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            Moved::by(std::mem::take(&mut *first))
        };
        let (first, second) = if second.is_empty() {
            (first(), Moved::by(second))
        } else {
            beside("moves", &first, || Moved::by(second))
        };
        let outcome = [first, second].map(|(part, outcome)| {
            moved.extend(part);
            outcome
        });
        if let Err(error) = outcome.into_iter().collect::<Result<()>>() {
            return Err(moved.take_back(draft, error));
        }
        rest = later;
    }
    Ok(moved)
}

/// How many of these may change places at the same time: those of equal rank.
fn together(moves: &[Move]) -> usize {
    let rank = moves.first().map(Move::rank);
    let others = moves.iter().position(|one| Some(one.rank()) != rank);
    others.unwrap_or(moves.len()).min(TOGETHER)
}

/// Where the second half of these begins, if two threads are worth it: they share no folder, which each holds.
fn half(moves: &[Move]) -> usize {
    if moves.len() < MANY {
        return moves.len();
    }
    let folder = |one: &Move| one.target.parent().map(Path::to_path_buf);
    let middle = moves.len() / 2;
    let held = moves.get(middle).and_then(folder);
    let other = moves
        .iter()
        .skip(middle)
        .position(|one| folder(one) != held);
    other.map_or(moves.len(), |at| middle + at)
}

impl Moved {
    /// Lets places change, one after the other, up to the first that fails.
    fn by(moves: Vec<Move>) -> (Self, Result<()>) {
        let mut moved = Self::default();
        let add = |one| failpoint::step("change.placing").and_then(|()| moved.add(one));
        let outcome = moves.into_iter().try_for_each(add);
        (moved, outcome)
    }

    fn extend(&mut self, other: Self) {
        self.placed.extend(other.placed);
        self.asides.extend(other.asides);
        self.meant.extend(other.meant);
    }

    fn add(&mut self, mut one: Move) -> Result<()> {
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
