//! Taking operations back, and doing them again. Both are operations like others.
//!
//! Files and folders of artifacts go back as a whole, if they are as the operation left them. Documents go back
//! entry by entry, so that what others changed in them since stays.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use skillmeat_shared::collection::ratings;
use skillmeat_shared::collection::undo::{self, Obstacle};
use skillmeat_shared::fs::FileHash;
use skillmeat_shared::history::{Node, object};
use skillmeat_shared::{Code, Error, Result};

use super::carry::{Renamed, collection_at, renamed_by};
use super::clone::own_changes;
use super::names::{Followed, Names};
use super::obstacle::{InTheWay, NAMED, Why, superseded};
use super::past::{MAX_DOCUMENT, place_of};
use super::settings::{not_kept, take_back_settings};
use super::{Actor, Asked, Caller, ChangeItem, ChangeSummary, Draft, Place};
use crate::app::App;
use crate::store::history::operation::{self, Operation, State, TouchedPath};

/// Operations that are looked through for one that is in the way.
const LATEST: u32 = 200;

impl App {
    /// Takes an operation back: the one of this number, else the last one that stands.
    pub fn undo(
        &self,
        number: Option<i64>,
        dry_run: bool,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        let found = match number {
            Some(number) => Some(self.operation_numbered(number)?),
            None => self.history.read(operation::last_done)?,
        };
        let Some(operation) = found else {
            let error = Error::new(Code::OperationNotFound, "there is nothing to undo");
            return Err(self.or_lost(error.hint("`sm log` lists what was done")));
        };
        // To take back an undoing is to do it again.
        let mut summary = self.reverse(&operation, dry_run, caller)?;
        if number.is_none() {
            summary.notes.extend(self.loss_after(operation.id));
        }
        Ok(summary)
    }

    /// Does the operation again that was taken back last.
    pub fn redo(&self, dry_run: bool, caller: &dyn Caller) -> Result<ChangeSummary> {
        let Some(undoing) = self.history.read(operation::last_undo)? else {
            let error = Error::new(Code::OperationNotFound, "there is nothing to redo").hint(
                "only what was undone can be redone, and only until something else is changed",
            );
            return Err(self.or_lost(error));
        };
        let mut summary = self.reverse(&undoing, dry_run, caller)?;
        summary.notes.extend(self.loss_after(undoing.id));
        Ok(summary)
    }

    /// The operation of this number.
    pub(super) fn operation_numbered(&self, number: i64) -> Result<Operation> {
        let found = self
            .history
            .read(|connection| operation::get(connection, number))?;
        found.ok_or_else(|| {
            let message = format!("there is no operation {number}");
            let error = Error::new(Code::OperationNotFound, message);
            self.or_lost(error.hint("`sm log` lists those that there are"))
        })
    }

    /// The error that something is not in the history, which may have been lost.
    pub(super) fn or_lost(&self, error: Error) -> Error {
        match self.history_loss() {
            Some(lost) => error.hint(lost),
            None => error,
        }
    }

    /// What was lost of the history, in words.
    pub fn history_loss(&self) -> Option<String> {
        let lost = self.history.lost()?;
        Some(format!(
            "the history is lost: {lost}; `sm status` tells what to do"
        ))
    }

    /// What was lost of the history, in words, if what came after an operation is: it was not the last one then.
    fn loss_after(&self, id: i64) -> Option<String> {
        let is_lost = self
            .history
            .read(|connection| operation::lacks_later(connection, id));
        self.history_loss().filter(|_| is_lost.unwrap_or(true))
    }

    fn reverse(
        &self,
        reversed: &Operation,
        dry_run: bool,
        caller: &dyn Caller,
    ) -> Result<ChangeSummary> {
        let id = reversed.id;
        check_stands(reversed)?;
        let paths = self
            .history
            .read(|connection| operation::paths(connection, id))?;
        if paths.is_empty() {
            let message = format!("operation {id} can't be undone: it changed no files");
            return Err(Error::new(Code::OperationSuperseded, message)
                .hint(format!("it was to {}", reversed.what)));
        }
        let is_undoing = reversed.undoes.is_some();
        let (verb, word, result, would) = if is_undoing {
            ("operation.redo", "redo", "redone", "would-redo")
        } else {
            ("operation.undo", "undo", "undone", "would-undo")
        };
        let told = match reversed.undoes {
            Some(first) => self.operation_numbered(first)?,
            None => reversed.clone(),
        };
        let asked = Asked {
            verb,
            what: format!("{word} operation {}: {}", told.id, told.what),
            actor: Actor::CommandLine,
            dry_run,
            undoes: Some(id),
        };
        let renamed = renamed_by(&paths);
        let names = match &renamed {
            // Its own place: not where somebody else has moved the collection to.
            Some(_) => Names::default(),
            None => self.history.read(Names::read)?,
        };
        let paths: Vec<Followed> = paths
            .into_iter()
            .map(|touched| names.follow(touched, id))
            .collect();
        let changed = self.change_told(&asked, caller, &|draft| {
            // Somebody else may have taken it back while this one waited for its turn.
            check_stands(&self.operation_numbered(id)?)?;
            let obstacles = match &renamed {
                Some(renamed) if is_changed_since(draft, renamed, &paths)? => {
                    rename_back(draft, renamed, &paths)?
                }
                _ => take_back(draft, &paths)?,
            };
            if obstacles.is_empty() {
                return match &renamed {
                    Some(_) => Ok(()),
                    None => self.bring_ratings_back(draft, id, &paths),
                };
            }
            if let Some(one) = obstacles.iter().find(|one| one.why == Why::NotKept) {
                return Err(not_kept(told.id, word, &one.entries));
            }
            Err(self.in_the_way(id, (word, told.id), &obstacles))
        });
        let changed =
            changed.map_err(|error| self.gone_since(id, (word, told.id), &paths, error))?;
        if changed.operation.is_none() && !dry_run {
            // Nothing had to change: somebody else has taken it back by hand.
            let message = format!("operation {id} has no effect any more: all is as it was before");
            return Err(Error::new(Code::OperationSuperseded, message));
        }
        let item = ChangeItem {
            id: format!("operation {}", told.id),
            result: if dry_run { would } else { result },
            reason: told.what,
            ..ChangeItem::default()
        };
        let items = [item];
        Ok(ChangeSummary::told("", &[result], &items, &changed, caller))
    }

    /// Whether a later operation changed these entries of a document. In doubt it did.
    fn is_in_the_way(&self, id: i64, place: &Place, entries: &[String]) -> bool {
        if entries.is_empty() || place.is_config() {
            return true;
        }
        let paths = self
            .history
            .read(|connection| operation::paths(connection, id));
        let touched = paths.unwrap_or_default();
        if place.path == ratings::FILE && renamed_by(&touched).is_some() {
            // Ratings are looked for under the name that the collection has now.
            return false;
        }
        let touched = touched.iter().find(|one| {
            one.path == place.path && one.root.is_empty() == place.collection_name().is_empty()
        });
        let Some(touched) = touched else {
            return true;
        };
        let text = |node: Option<&Node>| match node.and_then(Node::hash) {
            Some(hash) => object::get(&*self.history, hash, MAX_DOCUMENT)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok()),
            None => Some(String::new()),
        };
        match (text(touched.before.as_ref()), text(touched.after.as_ref())) {
            (Some(before), Some(after)) => undo::touched(&before, &after, entries),
            _ => true,
        }
    }

    /// The error for what lay in a collection that is not there: what took it away since is in the way.
    fn gone_since(&self, id: i64, told: (&str, i64), paths: &[Followed], error: Error) -> Error {
        if !matches!(
            error.code,
            Code::CollectionNotFound | Code::CollectionUnreachable
        ) {
            return error;
        }
        let places = paths.iter().map(|one| place_of(&one.touched));
        let gone: Vec<InTheWay> = places
            .filter(|place| {
                let name = place.collection_name();
                let folder = self.boot.home.collection(name);
                !name.is_empty() && folder.symlink_metadata().is_err()
            })
            .map(|place| InTheWay {
                place,
                entries: Vec::new(),
                why: Why::Changed,
            })
            .collect();
        let names = gone.iter().map(|one| one.place.collection_name());
        let wholes: BTreeSet<Place> = names.map(Place::collection_as_whole).collect();
        let later = wholes.iter().flat_map(|whole| self.standing(id, whole));
        let later: Vec<_> = later.map(|one| (one.id, one.what)).collect();
        if later.is_empty() {
            return error;
        }
        superseded(id, told, &gone, later)
    }

    /// The operations on a place that came later and stand, the newest first. Those that took back something that
    /// came later, too, are as if neither had been done.
    fn standing(&self, id: i64, place: &Place) -> impl Iterator<Item = Operation> + use<> {
        let found = self.operations_at(place, None, LATEST).unwrap_or_default();
        found.into_iter().filter(move |one| {
            one.id > id && one.state == State::Done && one.undoes.is_none_or(|undone| undone < id)
        })
    }

    /// The error that names what was changed since.
    fn in_the_way(&self, id: i64, told: (&str, i64), obstacles: &[InTheWay]) -> Error {
        let mut later = Vec::new();
        for InTheWay { place, entries, .. } in obstacles {
            let inside = collection_at(place).map(|name| Place::collection(name, ""));
            let found = std::iter::once(place).chain(&inside);
            let standing = found
                .flat_map(|place| self.standing(id, place))
                .filter(|one| self.is_in_the_way(one.id, place, entries));
            later.extend(standing.take(NAMED).map(|one| (one.id, one.what)));
        }
        superseded(id, told, obstacles, later)
    }
}

/// Fails if there is nothing of an operation that can be taken back.
fn check_stands(operation: &Operation) -> Result<()> {
    let why = match operation.state {
        State::Done => return Ok(()),
        State::Undone => "was undone already",
        State::RolledBack => "failed and was rolled back",
        State::Open => "is not finished",
    };
    let id = operation.id;
    let message = format!("operation {id} can't be undone: it {why}");
    Err(Error::new(Code::OperationSuperseded, message)
        .hint(format!("`sm log show {id}` tells more")))
}

/// Drafts that paths are as they were before an operation. What is in the way.
pub(super) fn take_back(draft: &mut Draft<'_>, paths: &[Followed]) -> Result<Vec<InTheWay>> {
    let mut obstacles = Vec::new();
    for followed in paths {
        let touched = &followed.touched;
        let place = place_of(touched);
        if place.is_config() {
            obstacles.extend(take_back_settings(draft, &place, touched)?);
            continue;
        }
        if place.is_document() {
            obstacles.extend(take_back_entries(draft, place, followed)?);
            continue;
        }
        let now = draft.state(&place)?;
        let sides = (touched.after.as_ref(), now.as_ref());
        match own_changes(draft.objects(), &place, sides)? {
            None => draft.restore(&place, touched.before.as_ref())?,
            Some(entries) => obstacles.push(InTheWay {
                place,
                entries,
                why: Why::Changed,
            }),
        }
    }
    Ok(obstacles)
}

/// Whether something else was changed since in a collection that was renamed, or rated.
fn is_changed_since(draft: &mut Draft<'_>, (_, new): &Renamed, paths: &[Followed]) -> Result<bool> {
    let made = |place: &Place| {
        let mut made = paths.iter().map(|one| &one.touched);
        made.find(|one| place_of(one) == *place)
    };
    let whole = Place::collection_as_whole(new);
    let now = draft.state(&whole)?;
    if now.is_some() && made(&whole).is_some_and(|made| made.after != now) {
        return Ok(true);
    }
    let rated = Place::home(ratings::FILE);
    let Some(made) = made(&rated) else {
        return Ok(false);
    };
    let now = draft.read(&rated)?.as_deref().map(FileHash::of);
    Ok(made.after.as_ref().and_then(Node::hash).copied() != now)
}

/// Drafts that a collection that was renamed has its old name again, with all that was changed in it since. What
/// is in the way.
fn rename_back(
    draft: &mut Draft<'_>,
    (old, new): &Renamed,
    paths: &[Followed],
) -> Result<Vec<InTheWay>> {
    let mut obstacles = Vec::new();
    let wanted = Place::collection_as_whole(old);
    if draft.exists(&wanted)? {
        obstacles.push(InTheWay {
            place: wanted,
            entries: Vec::new(),
            why: Why::Changed,
        });
        return Ok(obstacles);
    }
    draft.rename_collection(new, old)?;
    for touched in paths.iter().map(|one| &one.touched) {
        let place = place_of(touched);
        if place.is_config() {
            obstacles.extend(take_back_settings(draft, &place, touched)?);
        }
    }
    Ok(obstacles)
}

fn take_back_entries(
    draft: &mut Draft<'_>,
    place: Place,
    followed: &Followed,
) -> Result<Option<InTheWay>> {
    let touched = &followed.touched;
    let now = draft.read(&place)?;
    let hash = now.as_deref().map(FileHash::of);
    let is = |node: Option<&Node>| node.and_then(Node::hash).copied() == hash;
    if is(touched.after.as_ref()) {
        draft.restore(&place, touched.before.as_ref())?;
        return take_back_mode(draft, &place, touched).map(|()| None);
    }
    let text = |node: Option<&Node>| -> Result<Option<String>> {
        match node.and_then(Node::hash) {
            Some(hash) => {
                let text = String::from_utf8(draft.past.bytes(hash)?).ok();
                Ok(text.map(|text| followed.said_now(text)))
            }
            None => Ok(Some(String::new())),
        }
    };
    let (before, after) = (
        text(touched.before.as_ref())?,
        text(touched.after.as_ref())?,
    );
    let now = now.and_then(|bytes| String::from_utf8(bytes).ok());
    let in_the_way = |place: Place, entries, why| InTheWay {
        place,
        entries,
        why,
    };
    let (Some(before), Some(after), Some(now)) = (before, after, now) else {
        return Ok(Some(in_the_way(place, Vec::new(), Why::Changed)));
    };
    match undo::take_back(&before, &after, &now) {
        Ok(text) => {
            draft.write(&place, text.into_bytes())?;
            take_back_mode(draft, &place, touched).map(|()| None)
        }
        Err(Obstacle::Changed(entries)) => Ok(Some(in_the_way(place, entries, Why::Changed))),
        Err(Obstacle::Commented(entries)) => Ok(Some(in_the_way(place, entries, Why::Commented))),
        Err(Obstacle::Syntax(_)) => Ok(Some(in_the_way(place, Vec::new(), Why::Changed))),
    }
}

/// Drafts the mode that a document had, if it was changed and is as it was left.
fn take_back_mode(draft: &mut Draft<'_>, place: &Place, touched: &TouchedPath) -> Result<()> {
    let (Some(Node::File { mode: before, .. }), Some(Node::File { mode: after, .. })) =
        (&touched.before, &touched.after)
    else {
        return Ok(());
    };
    let path = draft.on_disk(place)?;
    let now = std::fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
    if before != after && now.is_ok_and(|now| now == u32::from(*after)) {
        draft.set_mode(place, *before)?;
    }
    Ok(())
}
