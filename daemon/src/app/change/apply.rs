//! From a draft to the disk: make ready, compare, record, let places change, and take all of it back if a part
//! fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use skillmeat_shared::failpoint;
use skillmeat_shared::fs::{Expected, Placed, Staged};
use skillmeat_shared::history::{Node, restore};
use skillmeat_shared::reconcile::Scope;
use skillmeat_shared::thread::{beside, give_way};
use skillmeat_shared::{Error, Result, config};

use super::draft::{After, Before, Draft, changed, is_manifest};
use super::outside::{came_as_a_whole, missed, renewed};
use super::past::state_of;
use super::place::{Place, Root};
use super::placing::{Move, put_in_place};
use super::settings::record_of_config;
use super::{Asked, carry};
use crate::app::App;
use crate::app::ingest::{Hold, OWN_WRITE, scope_of};
use crate::store::history::operation::{self, State, TouchedPath};
use crate::store::{Store, collection};

/// Mode of new files.
const MODE: u32 = 0o600;

/// All of a collection, as what is gone was removed by us.
const ALL: Scope = Scope::All {
    force: false,
    confirmed: true,
};

/// Removed paths from which on a pass would doubt its eyes if it were not told.
const MANY: usize = 20;

/// How much nicer than those who bring the rows up to date they are who delete what was replaced.
const NICE: i32 = 10;

/// Threads that delete what was replaced, and how much is worth one: some disks are told of all that becomes free, and
/// each deletion waits for that.
const HANDS: usize = 8;
const SHARE: usize = 16;

/// A path that changed, where it is on disk, and whether nothing stands there any more.
type Touched = (Place, PathBuf, bool);

impl App {
    /// Applies a draft. The number of the operation, and what there is to tell besides.
    pub(super) fn apply(&self, asked: &Asked, draft: &mut Draft<'_>) -> Result<(i64, Vec<String>)> {
        failpoint::step("change.planned")?;
        let moves = ready(draft)?;
        // From here on it is brought to its end.
        draft.progress.is_wanted()?;
        failpoint::step("change.ready")?;
        let paths: Vec<TouchedPath> = moves.iter().map(Move::touched).collect();
        let places = moves.iter().map(|one| (&one.place, one.target.as_path()));
        let missed = missed(self, draft, places)?;
        let made = draft.past.unflushed();
        // Both wait for the disk.
        let flush = || restore::flush(&made);
        let record = || draft.past.record(asked, self, &paths, &missed);
        let (flushed, recorded) = beside("flush", &flush, record);
        // It may be on the disk all the same.
        let id = recorded.inspect_err(|_| self.unsettled.store(true, Ordering::Relaxed))?;
        let touched: Vec<Touched> = moves
            .iter()
            .map(|one| (one.place.clone(), one.target.clone(), one.staged.is_none()))
            .collect();
        let placed = flushed.and_then(|()| self.place(draft, id, moves, &touched));
        let (notes, followed) = match placed {
            Ok(done) => done,
            Err(error) => {
                if let Err(failed) = self.note_failure(draft, id, &touched) {
                    tracing::error!(target: "change", id, "can't note that it was rolled back: {failed}");
                    self.unsettled.store(true, Ordering::Relaxed);
                }
                return Err(error);
            }
        };
        tracing::info!(
            target: "change",
            id, verb = asked.verb, actor = asked.actor.as_str(), paths = touched.len(),
            "{}", asked.what
        );
        // No event tells of a collection that we removed.
        followed
            .inspect_err(|_| self.ingest.look_at_home())
            .map_err(follows)?;
        Ok((id, notes))
    }

    /// Notes that a change was rolled back.
    fn note_failure(&self, draft: &mut Draft<'_>, id: i64, touched: &[Touched]) -> Result<()> {
        let noted = self
            .history
            .read(|connection| operation::get(connection, id))?;
        // What failed may be no more than the news of its success.
        let states = if noted.is_some_and(|noted| noted.state == State::Done) {
            draft.believed.clear();
            renewed(self, draft, touched)?
        } else {
            Vec::new()
        };
        draft.past.finish(id, State::RolledBack, self, &states)
    }

    /// Lets all places change, or none. No pass looks at them before; then their rows follow, while the change is made
    /// durable. What there is to tell, and whether the rows could follow.
    fn place(
        &self,
        draft: &mut Draft<'_>,
        id: i64,
        moves: Vec<Move>,
        touched: &[Touched],
    ) -> Result<(Vec<String>, Result<()>)> {
        let collections: BTreeSet<&str> = touched
            .iter()
            .map(|(place, ..)| served(place))
            .filter(|name| !name.is_empty())
            .collect();
        let holds = collections.iter().map(|name| self.ingest.hold(name));
        let holds: Mutex<Vec<Hold<'_>>> = Mutex::new(holds.collect());
        for (_, target, _) in touched {
            self.ledger.note(target);
        }
        failpoint::step("change.recorded")?;
        let moved = put_in_place(draft, moves)?;
        let linked = std::mem::take(&mut draft.linked);
        let let_pass = || {
            let mut holds = holds.lock().unwrap_or_else(PoisonError::into_inner);
            holds.clear();
        };
        let follow = || {
            failpoint::step("change.before_rows")?;
            // Noted before the rows are read: what changes after that is somebody else's change.
            for (_, target, _) in touched {
                self.ledger.note_settled(target);
            }
            let_pass();
            self.rows_of(touched, &linked)
        };
        let seal = || -> Result<Vec<String>> {
            let seal = |draft: &mut Draft<'_>| self.seal(draft, id, touched);
            let (late, old) = moved.seal(draft, seal)?;
            let notes = self.keep_late(draft, id, &late);
            let_go(old);
            Ok(notes)
        };
        let (followed, sealed) = beside("rows", &follow, seal);
        if sealed.is_err() {
            // They are those of what no longer stands there, if they could follow at all.
            let_pass();
            drop(self.rows_of(touched, &linked));
        }
        Ok((sealed?, followed))
    }

    /// Notes that a change stands, and what moves along with it.
    fn seal(&self, draft: &mut Draft<'_>, id: i64, touched: &[Touched]) -> Result<()> {
        failpoint::step("change.placed")?;
        let mut renewed = renewed(self, draft, touched)?;
        let places = touched.iter();
        let carried = carry::renamed(places.map(|(place, _, gone)| (place, *gone, !*gone)));
        if carried.is_none() && touched.iter().any(|(place, ..)| place.holds_artifacts()) {
            renewed.extend(came_as_a_whole(self, id)?);
        }
        let moved = match &carried {
            Some(renamed) => self.carry_archives(renamed)?,
            None => false,
        };
        let finished = draft.past.finish(id, State::Done, self, &renewed);
        if let (Err(_), Some((old, new)), true) = (&finished, carried, moved) {
            self.carry_archives(&(new, old))?;
        }
        finished
    }

    /// Brings the rows of these paths up to date, and of those that links lead from to one of them.
    fn rows_of(&self, touched: &[Touched], linked: &BTreeSet<Place>) -> Result<()> {
        let mut paths: BTreeMap<&str, BTreeSet<PathBuf>> = BTreeMap::new();
        let mut removed: BTreeMap<&str, usize> = BTreeMap::new();
        let mut whole: BTreeSet<&str> = BTreeSet::new();
        for (place, _, is_removal) in touched {
            match &place.root {
                Root::Collection(name) => {
                    paths
                        .entry(name)
                        .or_default()
                        .insert(PathBuf::from(&place.path));
                    *removed.entry(name).or_default() += usize::from(*is_removal);
                    if *is_removal && is_manifest(place) {
                        let name = name.clone();
                        self.store()?
                            .write(move |rows| collection::forget_manifest(rows, &name))?;
                    }
                }
                Root::Home if place.is_config() => {
                    let before = self.config().config.collection_path.clone();
                    self.reload_config();
                    self.look_at_own_config()?;
                    if self.config().config.collection_path != before {
                        self.ingest.look_at_home_now();
                    }
                }
                Root::Home => {
                    whole.extend(Some(served(place)).filter(|name| !name.is_empty()));
                }
            }
        }
        for place in linked {
            paths
                .entry(place.collection_name())
                .or_default()
                .insert(PathBuf::from(&place.path));
        }
        if !whole.is_empty() {
            self.follow_home(&mut whole)?;
        }
        for name in whole {
            paths.remove(name);
            self.ingest.run(name, ALL, OWN_WRITE)?;
        }
        for (name, paths) in paths {
            let scope = if removed.get(name).is_some_and(|count| *count >= MANY) {
                Some(ALL)
            } else {
                scope_of(&paths)
            };
            if let Some(scope) = scope {
                self.ingest.run(name, scope, OWN_WRITE)?;
            }
        }
        Ok(())
    }

    /// Collections of the home came or went.
    fn follow_home(&self, names: &mut BTreeSet<&str>) -> Result<()> {
        let is_gone = |name: &str| self.boot.home.collection(name).symlink_metadata().is_err();
        let gone: Vec<&str> = names.iter().copied().filter(|name| is_gone(name)).collect();
        for name in gone {
            names.remove(name);
            self.ingest.forget(name)?;
            self.announce_change();
        }
        self.ingest.look_at_home();
        Ok(())
    }

    /// Forgets a collection of the home that is gone if a change of ours removed it, and was cut short before its
    /// rows followed. Whether it did. On the thread that looks at collections only.
    pub(in crate::app) fn forget_if_removed(&self, store: &Store, name: &str) -> bool {
        let place = format!("collections/{name}");
        if self.history.path().symlink_metadata().is_err() {
            return false;
        }
        let left = self
            .history
            .read(|connection| operation::left_at(connection, "", &place, true));
        let forgotten = match left {
            Ok(Some(None)) => {
                let name = name.to_owned();
                store.write(move |transaction| collection::remove(transaction, &name))
            }
            Ok(_) => return false,
            Err(error) => Err(error),
        };
        forgotten
            .inspect(|()| self.announce_change())
            .inspect_err(|error| {
                tracing::warn!(target: "change", collection = name, "its rows stay for now: {error}");
            })
            .is_ok()
    }
}

/// Deletes what was replaced, while others need the processor more.
fn let_go(mut old: Vec<Placed>) {
    let share = old.len().div_ceil(HANDS).max(SHARE);
    std::thread::scope(|scope| {
        while !old.is_empty() {
            let some = old.split_off(old.len().saturating_sub(share));
            let deleting = std::thread::Builder::new().name("old-files".to_owned());
            // Without a thread they go where this ends.
            drop(deleting.spawn_scoped(scope, move || {
                give_way(NICE);
                some.into_iter().for_each(Placed::keep);
            }));
        }
    });
}

/// The collection whose rows a place is about; empty if none.
fn served(place: &Place) -> &str {
    match &place.root {
        Root::Collection(name) => name,
        Root::Home => place
            .path
            .strip_prefix("collections/")
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default(),
    }
}

/// Makes everything ready beside its place, and takes the states that are about to be replaced.
pub(super) fn ready(draft: &mut Draft<'_>) -> Result<Vec<Move>> {
    let places: Vec<Place> = draft.touches.keys().cloned().collect();
    // Links may have been made since the plan looked.
    draft.inside.clear();
    let mut moves = Vec::new();
    let total = places.len();
    for (done, place) in places.into_iter().enumerate() {
        draft.progress.at(done, total, "keeping");
        draft.progress.is_wanted()?;
        // What was only read must be so, too.
        draft.check(&place)?;
        let target = draft.on_disk(&place)?;
        let Some(touch) = draft.touches.get_mut(&place) else {
            continue;
        };
        let before = touch.before.clone();
        let mut room = None;
        let (staged, state) = match touch.after.take() {
            None => continue,
            Some(After::Absent) => {
                room = draft.room(&place, &target)?;
                (None, None)
            }
            Some(After::Thing(thing)) => (thing.staged, thing.state),
            Some(After::Bytes(bytes)) => {
                room = draft.room(&place, &target)?;
                draft.make_room(&place, &target)?;
                if place.is_config() {
                    // The new one gets the rights of the old one.
                    config::protect(&target)?;
                }
                let staged = Staged::file(&target, room.as_deref(), &bytes, MODE)?;
                if let Some(mode) = draft.modes.get(&place) {
                    let mode = Permissions::from_mode(u32::from(*mode) & 0o777);
                    std::fs::set_permissions(staged.path(), mode)
                        .map_err(|error| Error::io("change", &target, &error))?;
                }
                draft.past.made(staged.path());
                (Some(staged), None)
            }
        };
        // A document that is a link is replaced where the link leads to.
        let target = staged
            .as_ref()
            .map_or(target, |staged| staged.target().to_path_buf());
        moves.push(prepared(
            draft,
            place,
            (target, room),
            (staged, state),
            &before,
        )?);
    }
    // Those of one folder together: whoever changes something in it holds it.
    moves.sort_by_cached_key(|one| (one.rank(), one.target.parent().map(Path::to_path_buf)));
    Ok(moves)
}

fn prepared(
    draft: &Draft<'_>,
    place: Place,
    (target, room): (PathBuf, Option<PathBuf>),
    (staged, state): (Option<Staged>, Option<Node>),
    before: &Before,
) -> Result<Move> {
    let capture = |path: &Path| {
        if place.is_config() {
            state_of(path)
        } else {
            draft.past.capture(path)
        }
    };
    let found = match before {
        // Taken already, and compared once more when it is moved aside.
        Before::Thing(Some(node)) => Some(node.clone()),
        _ => capture(&target)?,
    };
    let after = match (&staged, state) {
        (Some(_), Some(state)) => Some(state),
        (Some(staged), None) => capture(staged.path())?,
        (None, _) => None,
    };
    let recorded = if place.is_config() {
        let new = staged.as_ref().map(Staged::path);
        Some(record_of_config(&draft.past, found.as_ref(), &target, new)?)
    } else {
        None
    };
    let expected = match before {
        Before::Absent if found.is_none() => Some(Expected::Absent),
        Before::Content(hash) if found.as_ref().and_then(Node::hash) == Some(hash) => {
            Some(Expected::Content(*hash))
        }
        Before::Thing(_) if found.is_some() => None,
        _ => return Err(changed(&target)),
    };
    Ok(Move {
        place,
        target,
        room,
        staged,
        before: found,
        after,
        recorded,
        expected,
    })
}

/// The error of a change that stands, whose rows could not be written.
fn follows(error: Error) -> Error {
    error.hint("the files are changed; the rows follow by themselves")
}
